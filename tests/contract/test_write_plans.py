"""What a write of the road changes besides its row: which indexes,
as SQLite says it would run the statement."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from tests.contract.busy_world import busy_world
from tests.contract.stores import opened

from tuppence_server.domain.commands import MarkSeen
from tuppence_server.store import schema
from tuppence_server.store.sqlite import writes
from tuppence_server.store.sqlite.store import SqliteStore

INDEXES: Final[dict[str, set[str]]] = {
    "user": set(),
    "session": {"session_own", "session_over"},
    "conversation": set(),
    "member": set(),
    "account": set(),
    "payment": {"payment_due"},
    "share": {"share_person"},
    "quote": {"quote_unused"},
    "use": set(),
}
"""Whose entries change when a row does that is there already: those over what has changed, and no other."""


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    async with opened("sqlite", tmp_path):
        yield tmp_path


def rewritten(db: sqlite3.Connection, sql: str) -> set[str]:
    """The indexes from which the statement takes entries out to put them back in."""
    pages = dict(db.execute("SELECT rootpage, name FROM sqlite_schema WHERE type = 'index'"))
    cursors: dict[int, int] = {}
    found = set()
    for at, (step, name, cursor, page, *_) in enumerate(db.execute(f"EXPLAIN {sql}", [0] * sql.count("?"))):
        if step != at:
            break  # from here on it is what triggers do, with cursors of their own
        if name == "OpenWrite":
            cursors[cursor] = page
        elif name == "IdxDelete":
            found.add(pages[cursors[cursor]])
    return found


def test_a_row_that_changes_rewrites_only_the_indexes_over_what_changes(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "tuppence.db")) as db:
        tables = [each for each in vars(schema).values() if isinstance(each, schema.Table)]
        assert {
            table.name for table in [*tables, *schema.SIMPLE.values()] if table.changing
        } == INDEXES.keys()
        for table in [*tables, *schema.SIMPLE.values()]:
            if table.changing and table is not schema.STAY:
                assert rewritten(db, writes.insert(table, 1)) == INDEXES[table.name], table.name
        assert rewritten(db, writes.insert(schema.STAY, 1)) == {"member_here", "member_gone"}


async def test_marks_and_roles_are_written_without_the_ends_of_stays(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        assert isinstance(store, SqliteStore)
        world = await busy_world(store)
        for write, touched in (
            (lambda: world.order(MarkSeen(world.group_id, world.users["bob"], 1, 1)), set()),
            (lambda: world.do("carol", "room.leave", world.group_id), {"member_here", "member_gone"}),
        ):
            await write()
            assert world.book is not None
            packed = store.pack(world.book.changes, world.book.head)
            with closing(sqlite3.connect(tmp_path / "tuppence.db")) as db:
                members = [sql for sql, _ in packed if '"member"' in sql]  # type: ignore[attr-defined]
                assert len(members) == 1
                assert rewritten(db, members[0]) == touched
