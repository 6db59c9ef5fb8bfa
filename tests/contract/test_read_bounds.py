"""What a read costs does not grow with what it has not to tell: counted in SQLite's steps and bytes, never in time."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.contract.stores import EPOCH, KINDS, World, head_of, opened
from tests.contract.work import counting

from tuppence_protocol.limits import RESUME_BYTES_MAX, TEXT_CHARS_MAX
from tuppence_server.store.base import Cursor, Snapshot
from tuppence_server.store.migrate import migrations
from tuppence_server.store.sqlite import SqliteStore

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
        db.execute(
            "CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT, checksum TEXT, applied_at INTEGER)"
        )
        for each in migrations()[:4]:
            db.executescript(each.sql)
            db.execute("INSERT INTO migration VALUES (?, ?, ?, 0)", (each.version, each.name, each.checksum))
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


# --- who waits for whom -----------------------------------------------------------------------------------


async def test_hellos_that_take_long_keep_nobody_from_asking_or_from_being_known(world: World) -> None:
    await world.log_in("bob", 1)
    await world.say("bob", "@alice")
    store = world.store
    assert isinstance(store, SqliteStore)
    async with asyncio.timeout(10):
        for _ in range(store.hellos.readers):
            await store.hellos.reader().__aenter__()
        waiting = [asyncio.ensure_future(back(world, "alice", 0)) for _ in range(6)]
        await asyncio.sleep(0)
        assert await store.identify("token 1") is not None
        assert await store.place(world.users["bob"], "@alice") is not None
        assert not any(each.done() for each in waiting)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
