"""What the SQLite file itself holds: invariants once more, one schema ever, and nothing half-committed."""

import asyncio
import pickle
import resource
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.contract.stores import (
    EPOCH,
    POLICY,
    Counted,
    World,
    commit,
    event_id,
    migrated,
    opened,
    said,
    wire_id,
)

from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.chat.people import skeleton
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import Account, IdempotencyRecord, LoggedEvent, LogHead
from tuppence_server.store.contract import SchemaTooNew, StoreFault, Unusable
from tuppence_server.store.sql import entries
from tuppence_server.store.sqlite import store as sqlite
from tuppence_server.store.sqlite.migrate import migrations
from tuppence_server.store.sqlite.store import SqliteStore


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob")
        await world.credit("alice", "10")
        await world.pay("alice", "@bob", "4")
        yield world


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file as any other program would open it."""
    with closing(sqlite3.connect(folder / "tuppence.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def _store(world: World) -> SqliteStore:
    assert isinstance(world.store, SqliteStore)
    return world.store


async def test_migrations_apply_once_and_are_noted(tmp_path: Path) -> None:
    noted = []
    for _ in range(2):
        async with opened("sqlite", tmp_path):
            with database(tmp_path) as db:
                noted.append(db.execute("SELECT * FROM migration ORDER BY version").fetchall())
    assert [row[:3] for row in noted[0]] == [(m.version, m.name, m.checksum) for m in migrations()]
    assert noted[0] == noted[1], "the second start applied nothing, so no time of application changed"


async def test_transfers_made_before_their_entries_are_kept_and_found(tmp_path: Path) -> None:
    """A file as the third migration left it: a payment, a hold and its end."""
    made = [
        (1, 1, 1, 2, 500, "pay.deposit", "single", 0),
        (2, 2, 2, 3, 200, "pay.send", "pending", 0),
        (3, 3, 2, 3, 200, "pay.accept", "post", 2),
    ]
    with database(tmp_path) as db:
        migrated(db, 3)
        db.execute("INSERT INTO head VALUES (1, ?, 3, zeroblob(32), 3, 3, 0, 'live')", (EPOCH,))
        db.execute("INSERT INTO conversation VALUES ('c_x', 'self', '', 'x', 0, 3, 3, 1, 0)")
        for number, (owner, code) in enumerate(
            (("operator", "cash"), ("x", "customer"), ("y", "customer")), 1
        ):
            db.execute("INSERT INTO account VALUES (?, ?, 'EUR', ?, 0, 500, 0, 0, 0)", (number, owner, code))
        for pos in (1, 2, 3):
            db.execute("INSERT INTO event VALUES (?, 'c_x', ?, x'', x'', x'', zeroblob(32))", (pos, pos))
        db.executemany("INSERT INTO transfer VALUES (?, ?, ?, ?, ?, ?, ?, ?)", made)
        db.commit()
    store = SqliteStore(tmp_path / "tuppence.db")
    await store.open()
    try:
        span = await store.span("x", "EUR", None, None, 0)
        assert [(each.transfer, each.amount) for each in (await store.movements(span, 0, 10))[0]] == [
            (1, 500),
            (3, -200),
        ]
    finally:
        await store.close()
    with database(tmp_path) as db:
        assert db.execute("SELECT * FROM transfer").fetchall() == made
        assert db.execute("SELECT count(*), (SELECT entries FROM head) FROM entry").fetchone() == (6, 3)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        for change in ("UPDATE transfer SET amount = 1", "DELETE FROM transfer"):
            with pytest.raises(sqlite3.IntegrityError, match="immutable"):
                db.execute(change)
        for phase, pending in (("void", 2), ("single", 1), ("post", 0), ("other", 0), ("post", -1)):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute("INSERT INTO transfer VALUES (4, 3, 2, 3, 1, 'x', ?, ?)", (phase, pending))


async def test_looks_of_handles_from_before_are_drawn_anew_and_nobody_loses_theirs(tmp_path: Path) -> None:
    """A file from before `0010_strokes`, with two people whose handles look alike."""
    kept = {"modem": "modem", "vwx": "vwx", "vvvx": "wvx", "wilma": "wllma", "bob": "bob"}
    with database(tmp_path) as db:
        migrated(db, 9)
        for handle, look in kept.items():
            db.execute(
                "INSERT INTO user (id, handle, skeleton, name, disabled, created_at) VALUES (?, ?, ?, '', 0, 0)",
                (f"u_{handle}", handle, look),
            )
        db.commit()
    store = SqliteStore(tmp_path / "tuppence.db")
    await store.open()
    await store.close()
    with database(tmp_path) as db:
        looks = dict(db.execute("SELECT handle, skeleton FROM user").fetchall())
    alike = {looks.pop("vwx"), looks.pop("vvvx")}
    assert looks == {handle: skeleton(handle) for handle in looks}
    assert skeleton("vwx") == skeleton("vvvx") in alike
    assert len(alike) == 2


async def test_a_migration_that_changed_since_is_refused(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path):
        pass
    with database(tmp_path) as db:
        db.execute("UPDATE migration SET checksum = 'another'")
    with pytest.raises(StoreFault, match="Migration 1 is not the one"):
        await SqliteStore(tmp_path / "tuppence.db").open()


async def test_data_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path):
        pass
    with database(tmp_path) as db:
        db.execute("INSERT INTO migration VALUES (9999, '9999_future', 'x', 0)")
    with pytest.raises(SchemaTooNew, match="9999"):
        await SqliteStore(tmp_path / "tuppence.db").open()
    with database(tmp_path) as db:
        assert db.execute("SELECT epoch FROM head").fetchone() == (EPOCH,)


async def test_only_the_owner_may_read_the_file(world: World, tmp_path: Path) -> None:
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


async def test_the_writer_survives_a_power_cut(world: World) -> None:
    found = {}
    for pragma in ("journal_mode", "synchronous", "foreign_keys"):
        ((found[pragma],),) = await _store(world)._db.execute_fetchall(f"PRAGMA {pragma}")
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_readers_cannot_write(world: World) -> None:
    async with _store(world).pool.reader() as reader:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.rows("DELETE FROM member")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfer SET amount = amount + 1",
        "DELETE FROM transfer",
        "UPDATE event SET head = x'00'",
        "UPDATE event SET seq = seq + 1",
        "UPDATE event SET hash = zeroblob(32)",
        "UPDATE event SET conv = (SELECT min(id) FROM conversation)",
        "DELETE FROM event",
        "UPDATE receipt SET sender = 'u_mallory'",
        "UPDATE receipt SET pos = 1",
        "DELETE FROM receipt",
    ],
)
async def test_what_was_written_stays(world: World, tmp_path: Path, statement: str) -> None:
    with database(tmp_path) as db, pytest.raises(sqlite3.IntegrityError, match="immutable"):
        db.execute(statement)


async def test_a_body_can_be_erased_with_its_salt(world: World, tmp_path: Path) -> None:
    """Personal data stands beside the chain, so that it can go."""
    with database(tmp_path) as db:
        db.execute("UPDATE event SET body = x'', salt = x'' WHERE pos = 1")


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE account SET debits_posted = credits_posted + 1 WHERE code = 'customer'", "CHECK"),
        ("UPDATE account SET debits_pending = credits_posted + 1 WHERE code = 'customer'", "CHECK"),
        ("UPDATE account SET credits_posted = 12.5 WHERE id = 1", "cannot store REAL value"),
        (
            "UPDATE account SET credits_posted = 9223372036854775807 + 1 WHERE id = 1",
            "cannot store REAL value",
        ),
        ("UPDATE account SET credits_posted = 'much' WHERE id = 1", "cannot store TEXT value"),
        ("UPDATE account SET credits_posted = -1 WHERE code = 'cash'", "CHECK"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 2, 0, 'x', 'single', 0)", "CHECK"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 2, 1000000000000001, 'x', 'single', 0)", "CHECK"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 1, 5, 'x', 'single', 0)", "CHECK"),
        ("INSERT INTO transfer VALUES (9, 99, 1, 2, 5, 'x', 'single', 0)", "FOREIGN KEY"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 99, 5, 'x', 'single', 0)", "FOREIGN KEY"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 2, 5, 'x', 'undo', 1)", "CHECK"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 2, 5, 'x', 'single', 1)", "CHECK"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 2, 5, 'x', 'pending', 1)", "CHECK"),
        ("INSERT INTO transfer VALUES (9, 1, 1, 2, 5, 'x', 'void', 0)", "CHECK"),
        (
            "INSERT INTO transfer VALUES (8, 1, 1, 2, 5, 'x', 'post', 7), (9, 1, 1, 2, 5, 'x', 'void', 7)",
            "UNIQUE",
        ),
        ("INSERT INTO receipt (id, sender, pos, refusal) VALUES ('both', 's', 1, x'00')", "CHECK"),
        ("INSERT INTO receipt (id, sender) VALUES ('none', 's')", "CHECK"),
        ("INSERT INTO head VALUES (2, 'e', 0, zeroblob(32), 0, 0, 0, 'live', 0)", "CHECK"),
        ("UPDATE head SET mode = 'toy'", "CHECK"),
        ("INSERT INTO event SELECT 99, conv, seq, head, body, salt, hash FROM event WHERE pos = 1", "UNIQUE"),
        ("UPDATE user SET skeleton = 'bob'", "UNIQUE"),
        ("INSERT INTO currency VALUES ('EUR', 2)", "UNIQUE"),
        ("INSERT INTO currency VALUES ('XYZ', 9)", "CHECK"),
        ("UPDATE payment SET state = 'stolen'", "CHECK"),
        ("UPDATE payment SET kind = 'gift'", "CHECK"),
        ("UPDATE payment SET amount = 0", "CHECK"),
        ("UPDATE payment SET fee = -1", "CHECK"),
        ("UPDATE payment SET refunded = received + 1", "CHECK"),
        ("UPDATE payment SET refunded = -1", "CHECK"),
        ("UPDATE payment SET claimed = count + 1", "CHECK"),
        ("UPDATE share SET state = 'lost' WHERE state = 'open'", "CHECK"),
        ("UPDATE share SET amount = 0 WHERE state = 'open'", "CHECK"),
        (
            "UPDATE share SET person = (SELECT person FROM share WHERE state = 'paid') WHERE state = 'open'",
            "UNIQUE",
        ),
        ("INSERT INTO share SELECT 'none', n, person, amount, state, hold FROM share", "FOREIGN KEY"),
        ("INSERT INTO use VALUES ('u', 'EUR', 1, -1, 0)", "CHECK"),
        ("INSERT INTO use VALUES ('u', 'EUR', 1, 0, -1)", "CHECK"),
        ("INSERT INTO use VALUES ('u', 'EUR', 1, 1, 1), ('u', 'EUR', 1, 1, 1)", "UNIQUE"),
        ("INSERT INTO quote VALUES ('q', 'u', 'EUR', 'JPY', 0, 1, 0, 0, '1', 0, '')", "CHECK"),
        ("INSERT INTO quote VALUES ('q', 'u', 'EUR', 'JPY', 1, 0, 0, 0, '1', 0, '')", "CHECK"),
        ("INSERT INTO quote VALUES ('q', 'u', 'EUR', 'JPY', 1, 1, -1, 0, '1', 0, '')", "CHECK"),
    ],
)
async def test_the_schema_holds_the_invariants_once_more(
    world: World, tmp_path: Path, statement: str, why: str
) -> None:
    shares = [{"user": "@alice"}, {"user": "@bob"}]
    split = await world.do("alice", "pay.split", "@bob", total="2", currency="EUR", shares=shares)
    assert said(split) == "stored"
    with database(tmp_path) as db, pytest.raises(sqlite3.IntegrityError, match=why):
        db.execute(statement)


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
    store = _store(world)
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
    store = _store(world)
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
    store = _store(world)
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


async def test_events_must_belong_to_a_conversation(world: World) -> None:
    head = await world.store.head()
    changes = Changes()
    pos = head.pos + 1
    changes.events = {pos: LoggedEvent(pos, wire_id("c_", 99), 1, b"{}", b"{}", b"", bytes(32))}
    with pytest.raises(StoreFault, match="FOREIGN KEY"):
        await commit(world.store, changes, LogHead(EPOCH, head.pos + 1, bytes(32), 3, 2))
    assert await world.store.head() == head


async def test_the_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice")
        await world.say("alice", "self", key=event_id(1))
        before = await store.head()
    async with opened("sqlite", tmp_path) as store:
        assert await store.head() == before
        book = Book(await store.head(), POLICY, Counted())
        assert book.head == before
        world.store = store
        again = await world.say("alice", "self", key=event_id(1))
        assert said(again) == "stored"
        assert getattr(again, "repeated", False)
        await world.say("alice", "self", "more", key=event_id(2))
        assert (await store.head()).pos == before.pos + 1


async def test_a_new_epoch_leaves_the_log_as_it_is(world: World) -> None:
    before = await world.store.head()
    await _store(world).start_epoch("e_second")
    after = await world.store.head()
    assert after.epoch == "e_second"
    assert (after.pos, after.hash, after.transfer_id) == (before.pos, before.hash, before.transfer_id)


async def test_entries_are_filled_in_behind_the_transfers_and_after_a_save_that_failed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it reads would stay right, and look through every transfer there ever was."""
    monkeypatch.setattr(entries, "ENTRIES_BEHIND_MAX", 5)

    def filled() -> tuple[int, int]:
        with database(tmp_path) as db:
            found: tuple[int, int] = db.execute(
                "SELECT entries, transfer_id FROM head WHERE (SELECT count(*) FROM entry) = 2 * entries"
            ).fetchone()
            return found

    for made in range(3, 12):
        await world.pay("alice", "@bob", "0.01")
        assert filled() == (made - made % 5, made)
    store, head = _store(world), await world.store.head()
    changes = Changes()
    changes.receipts = {event_id(1): IdempotencyRecord(event_id(1), "x", 1, None)}  # an id that is taken
    head.transfer_id += 5
    with pytest.raises(StoreFault):
        await commit(store, changes, head)
    await world.pay("alice", "@bob", "0.01")
    assert filled() == (12, 12)


# --- the log is folded into the file -------------------------------------------------------------------------

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
    store = _store(world)
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
    store = _store(world)
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
    store = _store(world)
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
