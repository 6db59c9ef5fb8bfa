"""Faults of the file and of SQLite: what is in doubt is fatal, what is not costs its batch alone."""

import asyncio
import pickle
import resource
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.sqlite_world import database, sqlite_store, sqlite_world
from tests.contract.stores import (
    World,
    commit,
    event_id,
    opened,
    said,
)

from tuppence_server.domain.changes import Changes
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import Account, IdempotencyRecord
from tuppence_server.store.contract import StoreFault, Unusable
from tuppence_server.store.sqlite import store as sqlite
from tuppence_server.store.sqlite.store import SqliteStore


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite_world(tmp_path) as world:
        yield world


async def test_an_overdraft_that_slips_past_the_rules_is_not_committed(world: World) -> None:
    head = await world.store.head()
    before = await world.store.accounts()
    changes = Changes()
    changes.receipts = {event_id(99): IdempotencyRecord(event_id(99), "x", None, b"{}")}
    changes.accounts[world.users["alice"], "EUR", "customer"] = Account(
        2, world.users["alice"], "EUR", "customer", 1_001, 1_000
    )
    with pytest.raises(StoreFault, match="CHECK") as fault:
        await commit(world.store, changes, head)
    assert not fault.value.fatal
    assert await world.store.accounts() == before
    assert said(await world.say("alice", "@bob", key=event_id(99))) == "stored", "no receipt was left behind"


@pytest.mark.parametrize("broken", ["float", "too large", "not text", "unbindable"])
async def test_a_row_that_cannot_be_written_costs_only_its_batch(world: World, broken: str) -> None:
    """Whatever the failure, no transaction stays open and the next batch is committed."""
    before = await world.store.head()
    amount = {"float": 12.5, "too large": 2**63, "not text": "x", "unbindable": object()}[broken]
    changes = Changes()
    changes.receipts = {event_id(99): IdempotencyRecord(event_id(99), "x", None, b"{}")}
    changes.accounts["x", "EUR", "cash"] = Account(77, "x", "EUR", "cash", amount)  # type: ignore[arg-type]
    with pytest.raises(StoreFault):
        await commit(world.store, changes, before)
    assert await world.store.head() == before
    assert said(await world.say("alice", "@bob", key=event_id(99))) == "stored"
    assert [account.id for account in await world.store.accounts()] == [1, 2, 3]


async def test_nothing_is_written_after_sqlite_gave_up_the_transaction(world: World, tmp_path: Path) -> None:
    """SQLite may roll back by itself (an I/O error, a full disk); what comes after must not commit alone."""
    before = await world.store.head()
    frames = [
        world.frame("alice", "pay.send", "@bob", key=event_id(99), amount="1", currency="EUR"),
        world.frame("bob", "room.create", key=event_id(98), title="Club", members=["@alice"]),
    ]
    with database(tmp_path) as db:
        db.execute(
            "CREATE TRIGGER gives_up BEFORE INSERT ON event BEGIN SELECT RAISE (ROLLBACK, 'gone'); END"
        )
        with pytest.raises(StoreFault, match="gone"):
            await world.settle(*frames)
        assert await world.store.head() == before
        for table, rows in (
            ("receipt", 2),
            ("event", 2),
            ("transfer", 2),
            ("account", 3),
            ("conversation", 3),
        ):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,), table
        db.execute("DROP TRIGGER gives_up")
    assert [said(each) for each in await world.settle(*frames)] == ["stored", "stored"]
    assert await world.balance("bob") == 500


async def test_a_fault_is_fatal_only_where_the_disk_is_in_doubt(world: World, tmp_path: Path) -> None:
    store = sqlite_store(world)
    await store._db.execute("PRAGMA busy_timeout = 0")
    head = await store.head()
    changes = Changes()
    changes.receipts = {event_id(99): IdempotencyRecord(event_id(99), "x", None, b"{}")}
    with database(tmp_path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFault, match="locked") as fault:
            await commit(store, changes, head)
        assert not fault.value.fatal
        other.execute("ROLLBACK")
    await commit(store, changes, head)


async def test_damage_that_a_reader_alone_finds_is_fatal(world: World, tmp_path: Path) -> None:
    """Whoever writes may never come to that page."""
    store = sqlite_store(world)
    store.watch()
    await store._db.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / "tuppence.db").open("r+b", buffering=0) as file:
        size = file.seek(0, 2)
        file.seek(sqlite.PAGE_BYTES)
        file.write(b"\xa5" * (size - sqlite.PAGE_BYTES))
    with pytest.raises(StoreFault):
        await store.user("alice")
    with pytest.raises(StoreFault, match="malformed") as fault:
        store.watch()
    assert fault.value.fatal


async def test_a_damaged_file_is_fatal(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path):
        pass
    path = tmp_path / "tuppence.db"
    whole = path.read_bytes()
    path.write_bytes(b"not a database".ljust(4096, b"."))
    with pytest.raises(Unusable, match="not a SQLite database"):
        await SqliteStore(path).open()
    path.write_bytes(whole[:100].ljust(len(whole), b"\xa5"))
    with pytest.raises(StoreFault, match="malformed") as fault:
        await SqliteStore(path).open()
    assert fault.value.fatal
    again = pickle.loads(pickle.dumps(fault.value))
    assert (str(again), again.fatal) == (str(fault.value), True), "it can come from another process"


async def test_reading_what_is_damaged_is_a_fault_of_the_store(world: World, tmp_path: Path) -> None:
    store = sqlite_store(world)
    await store._db.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "tuppence.db"
    path.write_bytes(path.read_bytes()[:4096].ljust(path.stat().st_size, b"\xa5"))
    reader = store.reader()
    assert reader is not None
    with pytest.raises(StoreFault):
        list(reader.pieces(0, 10))
    await store.pool.close()
    await store.pool.open()
    for read in (store.users(), store.user("alice"), store.accounts(), store.backup(tmp_path / "copy.db")):
        with pytest.raises(StoreFault):
            await read


# --- the log is folded into the file ------------------------------------------------------------------------

BALLAST_BYTES = 24 << 20
LIMIT_BYTES = 20 << 20
"""More than the log has when it is folded, less than where the file grows."""


@contextmanager
def no_file_beyond(limit: int) -> Iterator[None]:
    """Every write of this process beyond that offset fails, for whatever user: a real fault of write()."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_fault_in_folding_the_log_is_fatal_and_loses_nothing(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        await World(store).register("alice")
    with database(tmp_path) as db:
        db.execute("CREATE TABLE ballast (x)")
        db.execute("INSERT INTO ballast VALUES (zeroblob(?))", (BALLAST_BYTES,))
    store = SqliteStore(tmp_path / "tuppence.db")
    await store.open()
    world = World(store)
    world.users = {"alice": (await store.users())[0].id}
    world.used = 10
    acknowledged = 0

    async def talk() -> None:
        nonlocal acknowledged
        for _ in range(100):
            assert {said(each) for each in await world.settle(*_long_texts(world, 20))} == {"stored"}
            acknowledged += 20

    with no_file_beyond(LIMIT_BYTES):
        with pytest.raises(StoreFault, match="I/O error") as fault:
            await talk()
        assert fault.value.fatal
        assert acknowledged > 0
        await store.close()
    log_bytes = (tmp_path / "tuppence.db-wal").stat().st_size
    assert log_bytes > 0, "what is in doubt is not folded in closing"
    assert log_bytes < LIMIT_BYTES - (2 << 20), (
        "it is the folding that failed, not the log that found no room"
    )
    again = SqliteStore(tmp_path / "tuppence.db")
    assert (await again.open()).pos == acknowledged
    await again.close()


def _long_texts(world: World, number: int) -> list[Request]:
    return [world.frame("alice", "chat.text", "self", text="\u00e9" * 8_000) for _ in range(number)]


async def test_a_long_reader_makes_no_commit_wait_and_the_log_begins_anew_behind_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sqlite_store(world)
    monkeypatch.setattr(sqlite, "WAL_BYTES_MAX", 4_096)
    monkeypatch.setattr(sqlite, "WAL_PAGES_FOLD", 20, raising=False)
    await store._db.execute_fetchall("PRAGMA busy_timeout = 60000")
    with database(tmp_path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        async with asyncio.timeout(30):
            for _ in range(250):
                assert said(await world.say("alice", "@bob")) == "stored"
        reader.execute("COMMIT")
    assert store._files is not None
    index = store._files.index
    assert index is not None
    before = index.generation
    for _ in range(20):
        assert said(await world.say("alice", "@bob")) == "stored"
    assert index.generation != before
    assert index.frames < 100


async def test_the_log_is_as_long_as_sqlite_says(world: World) -> None:
    store = sqlite_store(world)
    assert store._files is not None
    for _ in range(5):
        await world.say("alice", "@bob")
        said_so = store._files.index.frames
        ((_, frames, _),) = await store._db.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        assert said_so == frames > 0


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_taken_away_or_replaced_while_it_is_open_is_fatal(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    """What is committed then goes to a file that has no name any more."""
    store = sqlite_store(world)
    monkeypatch.setattr(sqlite, "WAL_PAGES_FOLD", 20)
    (tmp_path / "tuppence.db").rename(tmp_path / "away.db")
    if replaced:
        shutil.copy(tmp_path / "away.db", tmp_path / "tuppence.db")
    with pytest.raises(StoreFault, match="taken away") as fault:
        await store.backup(tmp_path / "copy.db")
    assert fault.value.fatal

    async def talk() -> None:
        for _ in range(20):
            await world.say("alice", "@bob")

    with pytest.raises(StoreFault, match="taken away") as fault:
        await talk()
    assert fault.value.fatal
    with pytest.raises(StoreFault, match=r"is kept as .*rescued"):
        await store.close()
