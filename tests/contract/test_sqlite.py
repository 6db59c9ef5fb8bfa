"""What the SQLite file itself holds: invariants once more, one schema ever, and nothing half-committed."""

import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.sqlite_world import database, sqlite_store, sqlite_world
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
from tuppence_server.domain.rows import IdempotencyRecord, LoggedEvent, LogHead
from tuppence_server.store.contract import SchemaTooNew, StoreFault
from tuppence_server.store.sql import entries
from tuppence_server.store.sqlite.migrate import migrations
from tuppence_server.store.sqlite.store import SqliteStore


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite_world(tmp_path) as world:
        yield world


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
                "INSERT INTO user (id, handle, skeleton, name, disabled, created_at) "
                "VALUES (?, ?, ?, '', 0, 0)",
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
        ((found[pragma],),) = await sqlite_store(world)._db.execute_fetchall(f"PRAGMA {pragma}")
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_readers_cannot_write(world: World) -> None:
    async with sqlite_store(world).pool.reader() as reader:
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
    await sqlite_store(world).start_epoch("e_second")
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
    store, head = sqlite_store(world), await world.store.head()
    changes = Changes()
    changes.receipts = {event_id(1): IdempotencyRecord(event_id(1), "x", 1, None)}  # an id that is taken
    head.transfer_id += 5
    with pytest.raises(StoreFault):
        await commit(store, changes, head)
    await world.pay("alice", "@bob", "0.01")
    assert filled() == (12, 12)
