"""A database with something in every table, and every way to change one thing in it."""

import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.contract.busy_world import BusyWorld, busy_world
from tests.contract.stores import opened, said

from tuppence_server.audit.verify import verify
from tuppence_server.domain.commands import MarkSeen, SetFlags
from tuppence_server.domain.facts import Spend
from tuppence_server.store.sql import entries
from tuppence_server.store.sqlite.store import SqliteStore

ROWS_PER_COLUMN = 1


class Edit(NamedTuple):
    """SQL that changes one thing."""

    table: str
    column: str
    sql: str
    values: tuple[Any, ...]


async def full_database(folder: Path, lines: int = 0) -> Path:
    """Money moved in every way, refusals, limits, flags, marks, logins, people who left and came back,
    long texts."""
    async with opened("sqlite", folder) as store:
        world = await busy_world(store)
        with closing(sqlite3.connect(folder / "tuppence.db")) as db, db:
            for sql in entries.FILL:
                db.execute(sql)
        await _people(world)
        for number in range(lines):
            await world.settle(
                *(world.frame("alice", "chat.text", "@bob", text="x" * (1 + number % 7)) for _ in range(40)),
                world.frame("bob", "chat.text", "@alice", text="long " * 1_000),
            )
    path = folder / "tuppence.db"
    with closing(sqlite3.connect(path)) as db:  # a few pages that hold nothing any more
        db.execute("CREATE TABLE gone AS SELECT zeroblob(30000)")
        db.execute("DROP TABLE gone")
    return path


async def _people(world: BusyWorld) -> None:
    group = world.group_id
    for kind in ("room.remove", "room.invite", "room.role"):
        body: dict[str, Any] = {"users": ["@carol"]} if kind == "room.invite" else {"user": "@carol"}
        await world.made("alice", kind, group, **body, **({"role": "admin"} if kind == "room.role" else {}))
    await world.made("bob", "room.leave", group)
    await world.made("alice", "room.update", group, title="Another title")
    for number, who in enumerate(("alice", "bob"), 1):
        await world.log_in(who, number)
        assert said(await world.pay(who, "@carol", "100000")) == "insufficient_funds"
        await world.order(SetFlags(who, "EUR", number, 0))
        assert world.book is not None
        await world.order(MarkSeen(group, world.users["alice"], 2, 3))
        world.book.begin(world.now)
        world.book.uses[world.users[who], "EUR"] = {}
        world.book.apply(Spend(world.users[who], "EUR", 7, number, 1))
        await world.store.save(world.store.pack(world.book.changes, world.book.head))


async def problems(path: Path) -> Sequence[str]:
    """What is found, at the start or by the check."""
    store = SqliteStore(path)
    try:
        try:
            await store.open()
            return (await verify(store)).problems
        finally:
            await store.close()
    except Exception as fault:  # noqa: BLE001 - however the start, or the end, refuses
        return [repr(fault)]


def copied(path: Path) -> Path:
    """Another copy."""
    other = path.with_name("edited.db")
    for leftover in ("", "-wal", "-shm"):
        other.with_name(other.name + leftover).unlink(missing_ok=True)
    shutil.copyfile(path, other)
    return other


def columns(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Every column of every table."""
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").fetchall():
        for row in db.execute(f'PRAGMA table_info("{table}")').fetchall():
            yield table, row[1]


def edits(path: Path, chance: random.Random) -> Iterator[Edit]:
    """For each column of some rows another row's value and one that was never there;
    rows doubled and taken away."""
    with closing(sqlite3.connect(path)) as db:
        every = list(columns(db))
        for table in sorted({table for table, _ in every}):
            info = db.execute(f'PRAGMA table_info("{table}")').fetchall()
            key = [row[1] for row in info if row[5]]
            where = " AND ".join(f'"{name}" = ?' for name in key)
            rows = db.execute(f'SELECT * FROM "{table}"').fetchall()
            names = [row[1] for row in info]
            keys = [tuple(row[names.index(name)] for name in key) for row in rows]
            for at in chance.sample(range(len(rows)), min(ROWS_PER_COLUMN, len(rows))):
                yield Edit(table, "*", f'DELETE FROM "{table}" WHERE {where}', keys[at])
                for number, name in enumerate(names):
                    others = sorted({row[number] for row in rows} - {rows[at][number], None}, key=repr)
                    for value in (*chance.sample(others, min(1, len(others))), _mutated(rows[at][number])):
                        sql = f'UPDATE "{table}" SET "{name}" = ? WHERE {where}'
                        yield Edit(table, name, sql, (value, *keys[at]))


def carried_out(db: sqlite3.Connection, edit: Edit) -> bool:
    """Make an edit; False where no such value can be there twice."""
    for more in (0, 10**9):
        value, *key = edit.values
        if more and not isinstance(value, int):
            break
        with suppress(sqlite3.IntegrityError):
            return db.execute(edit.sql, (value + more, *key) if more else edit.values).rowcount == 1
    return False


def _mutated(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
    if isinstance(value, str):
        return value[:-1] + "~"
    return 1
