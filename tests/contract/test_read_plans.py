"""No read of people's goes through a whole table: every statement that the store runs,
as SQLite says it would run it."""

import inspect
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

from tests.contract.busy_world import BusyWorld, busy_world
from tests.contract.stores import EPOCH, opened

from tuppence_server.domain.stale import Before
from tuppence_server.store.contract import Cursor, Store
from tuppence_server.store.sql.people import _SESSIONS
from tuppence_server.store.sqlite.store import SqliteStore

OF_THE_OPERATOR: Final = {
    "accounts", "all_conversations", "all_members", "faults", "log", "misplaced", "outcomes", "tally",
    "totals",
    "password_kinds", "people", "refusals", "transfers", "users", "backup", "latest", "reader",
}  # fmt: skip
"""What reads everything, since it checks, counts or copies everything; none of it is asked for by people."""
NO_READS: Final = {"open", "close", "pack", "save", "load", "start_epoch", "watch"}
SMALL: Final = {"head", "currency", "migration", "seal"}
"""Tables of a few rows, however much there is of everything."""
Read = Callable[[BusyWorld], Awaitable[Any]]


async def statement(world: BusyWorld) -> None:
    """A statement's balances and lines."""
    span = await world.store.span(world.users["alice"], "EUR", world.now - 1_000, world.now, 3)
    await world.store.movements(span, span.after, 9)


async def replay(world: BusyWorld) -> None:
    """A hello after an absence, with a stay that ended meanwhile."""
    await world.do("carol", "room.leave", world.group_id)
    await world.store.snapshot(world.users["carol"], "s_none", Cursor(EPOCH, 0))
    await world.store.snapshot(world.users["bob"], "s_none", Cursor(EPOCH, 1))
    await world.store.snapshot(world.users["bob"], "s_none", None)


READS: Final[dict[str, Read]] = {
    "head": lambda world: world.store.head(),
    "identify": lambda world: world.store.identify("token 1"),
    "groups": lambda world: world.store.groups(world.users["alice"]),
    "snapshot": replay,
    "conversation": lambda world: world.store.conversation(world.users["alice"], "@bob"),
    "acquainted": lambda world: world.store.acquainted(world.users["alice"], ["@bob", world.users["carol"]]),
    "history": lambda world: world.store.history(world.users["alice"], world.group_id, 9, None, 9),
    "conversations": lambda world: world.store.conversations(world.users["alice"], 9, 9),
    "event": lambda world: world.store.event(world.users["alice"], world.ids["plain"]),
    "members": lambda world: world.store.members(world.users["alice"], world.group_id, "", 9),
    "person": lambda world: world.store.person("@alice"),
    "user": lambda world: world.store.user("alice"),
    "listed": lambda world: world.store.listed("alice"),
    "funds": lambda world: world.store.funds(world.users["alice"]),
    "sessions": lambda world: world.store.sessions(world.users["alice"], 1, 9),
    "payments": lambda world: world.store.payments(world.users["alice"], None, 200),
    "span": statement,
    "movements": statement,
    "position": lambda world: world.store.position(None, world.now - 5),
    "load_payments": lambda world: world.store.load_payments(
        [world.ids["part"]], ["q_none"], [world.ids["plain"]]
    ),
    "currencies": lambda world: world.store.currencies(),
    "due": lambda world: world.store.due(world.now, 9),
    "stale": lambda world: world.store.stale(Before(1, 1, 1), 9),
}


@asynccontextmanager
async def traced(folder: Path) -> AsyncIterator[tuple[BusyWorld, set[str]]]:
    """A busy ledger, and every statement that its readers and its road's loads run."""
    said: set[str] = set()
    async with opened("sqlite", folder) as store:
        assert isinstance(store, SqliteStore)
        for reader in store.pool._open:
            await reader.set_trace_callback(said.add)
        yield await busy_world(store), said


def test_every_read_of_the_contract_is_here_or_is_the_operators() -> None:
    contract = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")}
    assert contract == READS.keys() | OF_THE_OPERATOR | NO_READS


def scanned(plan: list[str], sql: str, tables: set[str]) -> set[str]:
    """The tables that a plan goes through from one end to the other."""
    named = {alias: table for table, alias in re.findall(r'(?:FROM|JOIN)\s+"?(\w+)"?\s+AS\s+(\w+)', sql)}
    steps = [step.split()[1] for step in plan if step.startswith("SCAN")]
    return {table for step in steps if (table := named.get(step, step)) in tables}


async def test_no_read_goes_through_a_whole_table(tmp_path: Path) -> None:
    async with traced(tmp_path) as (world, said):
        await world.log_in("alice", 1)
        for read in READS.values():
            await read(world)
        statements = {sql for sql in said if sql.lstrip("(").startswith(("SELECT", "WITH"))}
        assert len(statements) > 3 * len(READS)
        with closing(sqlite3.connect(tmp_path / "tuppence.db")) as db:
            named = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            tables = {name for (name,) in named} - SMALL
            assert {"event", "member", "quote", "session", "transfer", "use", "user"} <= tables
            for sql in statements:
                plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
                assert not scanned(plan, sql, tables), (sql, plan)
                assert not [step for step in plan if "AUTOMATIC" in step], (sql, plan)


async def test_a_persons_logins_are_found_without_those_that_ended(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path):
        with closing(sqlite3.connect(tmp_path / "tuppence.db")) as db:
            plan = [
                row[3]
                for row in db.execute(f"EXPLAIN QUERY PLAN {_SESSIONS}", {"user": "u", "now": 1, "limit": 9})
            ]
    assert plan[0].endswith("(user=? AND revoked_at=?)"), plan
