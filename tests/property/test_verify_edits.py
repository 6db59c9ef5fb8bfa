"""Whatever is changed in the file, `verify` or the start finds it, or the list of what is not checked says
why not."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.contract.edits import carried_out, columns, copied, edits, full_database, problems
from tests.contract.pages import KINDS, pages, readable
from tests.contract.tampering import unguarded
from tests.support.server import ROOT
from tests.support.waiting import seeded

from tuppence_server.audit.unchecked import UNCHECKED, as_markdown
from tuppence_server.store.sqlite.migrate import LEDGER, migrations

UNCHECKED_TABLES = {"session", "use", "quote", "carried"}
"""Tables of which rows may come and go: what is not used any more is taken away, what was carried is a
shortcut."""


async def test_every_column_of_every_table_is_checked_or_said_not_to_be(tmp_path: Path) -> None:
    chance = seeded()
    path = await full_database(tmp_path)
    assert await problems(copied(path)) == []
    missed, tried = [], set()
    for edit in edits(path, chance):
        other = copied(path)
        with unguarded(other) as db:
            if not carried_out(db, edit):
                continue
        tried.add((edit.table, edit.column))
        named = (
            edit.table in UNCHECKED_TABLES
            if edit.column == "*"
            else f"{edit.table}.{edit.column}" in UNCHECKED
        )
        if not named and not await problems(other):
            missed.append(edit)
    assert missed == []
    with closing(sqlite3.connect(path)) as db:
        assert set(columns(db)) <= tried, "every table has a row, and every column was changed"


def test_only_columns_that_there_are_are_said_not_to_be_checked() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute(LEDGER)
        for migration in migrations():
            db.executescript(migration.sql)
        assert {tuple(name.split(".")) for name in UNCHECKED} <= set(columns(db))


def test_what_is_not_checked_is_documented() -> None:
    told = (ROOT / "docs" / "operating.md").read_text("utf-8")
    assert f"<!-- generated:unchecked -->\n{as_markdown()}<!-- /generated -->" in told


FLIPS_PER_KIND = 15


async def test_a_flipped_bit_in_a_page_of_any_kind_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """Where nothing is found, every row reads as before, but for what is said not to be checked."""
    chance = seeded()
    path = await full_database(tmp_path, lines=12)
    before = readable(path, set(UNCHECKED))
    kinds = pages(path)
    assert kinds.keys() == {"header", "freelist", "overflow", *KINDS.values()}
    missed, found = [], Counter[str]()
    for kind, offsets in kinds.items():
        for _ in range(FLIPS_PER_KIND):
            at = chance.choice(offsets) + chance.randrange(100 if kind == "header" else 4_096)
            other = copied(path)
            with other.open("r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1 << chance.randrange(8)]))
            if await problems(other):
                found[kind] += 1
            elif readable(other, set(UNCHECKED)) != before:
                missed.append((kind, at))
    assert missed == []
    assert sum(found.values()) > FLIPS_PER_KIND, found
