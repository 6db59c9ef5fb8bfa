"""What a read costs does not grow with what it has not to tell: counted in SQLite's steps and bytes,
never in time."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from tests.contract.stores import EPOCH, KINDS, World, head_of, migrated, opened
from tests.contract.work import counting

from tuppence_protocol.limits import RESUME_BYTES_MAX, TEXT_CHARS_MAX
from tuppence_server.store.contract import Cursor, Snapshot
from tuppence_server.store.sql import entries, money
from tuppence_server.store.sqlite.pool import READERS
from tuppence_server.store.sqlite.store import SqliteStore

LONG = "€" * TEXT_CHARS_MAX
"""As long as a text may be, in characters of three bytes."""
KIB = 1024


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob", "carol")
        yield world


async def back(world: World, who: str, cursor: int) -> Snapshot:
    return await world.store.snapshot(world.users[who], "s_none", Cursor(EPOCH, cursor))


# --- coming back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_replay_is_bounded_in_bytes_and_beyond_it_nothing_of_it_is_read(
    kind: str, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob")
        fits = RESUME_BYTES_MAX // (3 * TEXT_CHARS_MAX + KIB)
        for _ in range(fits // 10):
            await world.settle(*[world.frame("bob", "chat.text", "@alice", text=LONG) for _ in range(10)])
        near = await back(world, "alice", 0)
        assert near.missed is not None
        assert len(near.missed) == fits // 10 * 10
        assert sum(len(each.wire) for each in near.missed) > RESUME_BYTES_MAX * 9 // 10
        await world.settle(*[world.frame("bob", "chat.text", "@alice", text=LONG) for _ in range(20)])
        async with counting(store) as work:
            far = await back(world, "alice", 0)
        assert (far.missed, far.why) == (None, "too_far")
        assert work.bytes < 4 * KIB, "it is told by lengths alone"


async def test_a_hello_costs_nothing_for_groups_that_were_left(world: World) -> None:
    async with counting(world.store) as before:
        await world.store.groups(world.users["carol"])
        await world.store.snapshot(world.users["carol"], "s_none", None)
    for _ in range(60):
        group = await world.group("alice", "carol")
        await world.do("alice", "room.remove", group, user="@carol")
    pos = (await world.store.head()).pos
    async with counting(world.store) as after:
        assert await world.store.groups(world.users["carol"]) == []
        assert (await back(world, "carol", pos)).missed == []
    assert after.steps <= before.steps + 300, (before.steps, after.steps)
    assert after.bytes <= before.bytes + KIB


async def test_whom_one_knows_is_found_however_many_those_know(world: World) -> None:
    others = [f"other{letter}" for letter in "bcdefghjkmnpqrstuvwxyz"]
    await world.register(*others)
    asked = [world.users["bob"], "@carol"]
    alice, steps = world.users["alice"], []
    for _ in range(2):
        async with counting(world.store) as work:
            assert await world.store.acquainted(alice, asked) == []
        steps.append(work.steps)
        for other in others:
            await world.say(other, "@bob")
        await world.group("bob", *others)
    assert steps[1] <= steps[0] + 20, steps
    await world.say("carol", "@alice")
    assert await world.store.acquainted(alice, asked) == [world.users["carol"]]
    await world.group("bob", "alice")
    assert sorted(await world.store.acquainted(alice, [*asked, alice])) == sorted([*world.users.values()][:3])


async def test_finding_where_a_long_absence_began_is_halving_and_not_walking(world: World) -> None:
    steps = {}
    for count in (20, 1_500):
        start = (await world.store.head()).pos
        for first in range(0, count, 500):
            some = range(first, min(first + 500, count))
            await world.settle(*[world.frame("bob", "chat.text", "@alice", text=f"{n}") for n in some])
        pos = (await world.store.head()).pos
        for cursor in (start, start + count // 3, pos - 1):
            async with counting(world.store) as work:
                missed = (await back(world, "alice", cursor)).missed
            assert missed is not None
            assert [each.pos for each in missed] == list(range(cursor + 1, pos + 1))
            steps[count, pos - cursor] = work.steps
    walking = 1_500 * 3
    assert steps[1_500, 1] - steps[20, 1] < walking // 4, steps


async def test_a_stay_that_ended_long_ago_is_not_looked_at_again(world: World) -> None:
    group = await world.group("alice", "carol")
    left = head_of(await world.do("carol", "room.leave", group))["pos"]
    for _ in range(40):
        await world.say("alice", group, "without carol")
    found = await back(world, "carol", left)
    assert found.missed == []
    found = await back(world, "carol", left - 1)
    assert found.missed is not None
    assert [each.pos for each in found.missed] == [left]


async def test_stays_are_found_in_data_of_before(tmp_path: Path) -> None:
    """A file as the fourth migration left it: one who stayed, one who left, one who left and came back."""
    path = tmp_path / "tuppence.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrated(db, 4)
        db.execute("INSERT INTO head VALUES (1, ?, 9, zeroblob(32), 0, 0, 0, 'live', 0)", (EPOCH,))
        for conv, pair in (("c_1", None), ("c_2", None), ("c_3", "a|b")):
            kind = "dm" if pair else "group"
            db.execute("INSERT INTO conversation VALUES (?, ?, '', ?, 0, 3, 9, 1, 1)", (conv, kind, pair))
        for number in range(1, 10):
            conv, seq = f"c_{(number - 1) % 3 + 1}", (number - 1) // 3 + 1
            event = (number, conv, seq, b"{", b"}", b"", bytes(32))
            db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", event)
        for user in ("a", "b", "c"):
            db.execute("INSERT INTO user VALUES (?1, ?1, ?1, '', NULL, 0, 0, 'basic', 0)", (user,))
        for conv, user, since, until, left in (
            ("c_1", "a", 1, None, None), ("c_2", "a", 1, None, None), ("c_3", "a", 1, None, None),
            ("c_1", "b", 1, 2, None), ("c_2", "b", 3, None, 1), ("c_1", "c", 2, 3, 1),
        ):  # fmt: skip
            db.execute(
                "INSERT INTO member VALUES (?, ?, 'member', ?, ?, 0, 0, ?)", (conv, user, since, until, left)
            )
    store = SqliteStore(path)
    await store.open()
    try:
        with closing(sqlite3.connect(path)) as db:
            gone = {
                (conv, user): pos for conv, user, pos in db.execute("SELECT conv, user, gone FROM member")
            }
            groups = dict(db.execute("SELECT id, groups FROM user"))
        assert {key: pos for key, pos in gone.items() if pos} == {
            ("c_1", "b"): 4, ("c_2", "b"): 2, ("c_1", "c"): 7,
        }  # fmt: skip
        assert groups == {"a": 2, "b": 1, "c": 0}
    finally:
        await store.close()


# --- statements and payments ------------------------------------------------------------------------------


async def paid(world: World, count: int) -> None:
    """So many payments of Alice's, a second apart for each hundred."""
    for _ in range(count // 100):
        world.now += 1_000
        await world.settle(
            *[world.frame("alice", "pay.send", "@bob", amount="0.01", currency="EUR") for _ in range(100)]
        )


async def test_a_statement_of_any_time_costs_the_same_behind_a_long_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ENTRIES_BEHIND_MAX", 64)
    await world.credit("alice", "1000")
    start, steps, done = world.now, {}, 0
    for count in (400, 4_000):
        await paid(world, count - done)
        done = count
        last = await world.store.head()
        for part in (0, 1, 2, 3, 4):
            moment = start + 1 + part * (world.now - start) // 4
            after = last.transfer_id * part // 4
            async with counting(world.store) as work:
                span = await world.store.span(world.users["alice"], "EUR", moment, None, after)
            steps[count, part] = work.steps
            paid_before = (moment - 1 - start) // 1_000 * 100
            assert span.opening == 100_000 - paid_before
            assert span.carried == 100_000 - max(paid_before, after - 1)
            assert span.closing == 100_000 - count
    most = max(cost for (count, _), cost in steps.items() if count == 400)
    assert max(steps.values()) < 2 * most + 1_000, steps


async def test_balances_are_carried_of_what_was_there_before(tmp_path: Path) -> None:
    """A file as the fifth migration left it, with 2,500 transfers."""
    path, transfers = tmp_path / "tuppence.db", 2_500
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrated(db, 5)
        db.execute(
            "INSERT INTO head VALUES (1, ?, 0, zeroblob(32), 2, ?, 0, 'live', ?)",
            (EPOCH, transfers, transfers),
        )
        for number, owner in ((1, "a"), (2, "b")):
            db.execute(
                "INSERT INTO account VALUES (?, ?, 'EUR', 'customer', 9, 90000000, 0, 0, 0)", (number, owner)
            )
        db.execute("BEGIN")
        for number in range(1, transfers + 1):
            phase = "pending" if number % 7 == 0 else "single"
            row = (number, 1 + number % 2, 2 - number % 2, number, phase)
            db.execute("INSERT INTO transfer VALUES (?1, 1, ?2, ?3, ?4, 'x', ?5, 0)", row)
            db.execute("INSERT INTO entry VALUES (1, ?1), (2, ?1)", (number,))
        db.execute("COMMIT")
    store = SqliteStore(path)
    await store.open()
    try:
        async with store.pool.snapshot() as reader:
            for transfer in (0, 1, 999, 1_000, 1_001, 2_000, 2_499):
                posted = [n for n in range(1, transfer + 1) if n % 7]
                expected = sum(n if n % 2 else -n for n in posted)
                for account, sign in ((1, 1), (2, -1)):
                    found = await money._balance_at(reader, account, transfer, (transfers, 0))
                    assert found == sign * expected, (account, transfer)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM carried").fetchone() == (4,)
    finally:
        await store.close()


# --- who waits for whom -----------------------------------------------------------------------------------


async def test_hellos_that_take_long_keep_nobody_from_asking_or_from_being_known(world: World) -> None:
    await world.log_in("bob", 1)
    await world.say("bob", "@alice")
    store = world.store
    assert isinstance(store, SqliteStore)
    async with asyncio.timeout(10), AsyncExitStack() as taken:
        for _ in range(READERS["hellos"]):
            await taken.enter_async_context(store.pool.reader("hellos"))
        waiting = [asyncio.ensure_future(back(world, "alice", 0)) for _ in range(6)]
        await asyncio.sleep(0)
        assert await store.identify("token 1") is not None
        assert await store.conversation(world.users["bob"], "@alice") is not None
        assert not any(each.done() for each in waiting)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
