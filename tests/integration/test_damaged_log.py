"""What a damaged log loses is noticed at the start, told, and never passed over under the same epoch."""

import asyncio
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.stores import World, opened, said
from tests.support.commands import CANNOT_START, PROBLEMS, invoke, is_refused
from tests.support.server import Server
from tests.support.waiting import seeded

from tuppence_server.data_dir import DATABASE
from tuppence_server.store.contract import Unusable
from tuppence_server.store.sqlite.store import SqliteStore
from tuppence_server.store.sqlite.wal import UNFINISHED_COMMITS_MAX, after_the_end

HEADER_BYTES, FRAME_BYTES = 32, 24 + 4_096


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A directory as SIGKILL leaves it, with twenty commits in its log, and the frame at which each of them
    ends."""
    copy = tmp_path_factory.mktemp("killed")
    asyncio.run(_talk(tmp_path_factory.mktemp("live"), copy))
    ends = [number for number, pages in _frames(copy / (DATABASE + "-wal")) if pages]
    return copy, ends


async def _talk(live: Path, copy: Path) -> None:
    async with opened("sqlite", live) as store:
        world = World(store)
        await world.register("alice", "bob")
        assert isinstance(store, SqliteStore)
        await store._db.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        for _ in range(20):
            assert said(await world.say("alice", "@bob")) == "stored"
        for side in ("", "-wal"):
            shutil.copy(live / (DATABASE + side), copy)


def _frames(wal: Path) -> Iterator[tuple[int, int]]:
    data = wal.read_bytes()
    for number in range((len(data) - HEADER_BYTES) // FRAME_BYTES):
        yield number, struct.unpack_from(">I", data, HEADER_BYTES + number * FRAME_BYTES + 4)[0]


def damaged(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "data"))


def flip(wal: Path, at: int) -> None:
    data = bytearray(wal.read_bytes())
    data[at // 8] ^= 1 << at % 8
    wal.write_bytes(data)


async def test_a_flipped_bit_anywhere_is_found_or_costs_at_most_the_last_commit(
    killed: tuple[Path, list[int]], tmp_path: Path
) -> None:
    """Whatever SQLite does not bring back is told, but for one commit, which a power cut may leave like
    that."""
    folder, ends = killed
    whole = (folder / (DATABASE + "-wal")).stat().st_size
    rng = seeded()
    bits = [
        *range(0, HEADER_BYTES * 8, 5),
        *(rng.randrange(HEADER_BYTES * 8, whole * 8) for _ in range(60)),
        *(
            8 * (HEADER_BYTES + frame * FRAME_BYTES) + rng.randrange(24 * 8)
            for frame in ends
            for _ in range(2)
        ),
    ]
    found = 0
    for number, at in enumerate(bits):
        data = damaged(folder, tmp_path / str(number))
        path = data / DATABASE
        flip(path.with_name(path.name + "-wal"), at)
        before = path.with_name(path.name + "-wal").read_bytes()
        store = SqliteStore(path)
        try:
            head = await store.open()
        except Unusable:
            assert path.with_name(path.name + "-wal").read_bytes() == before, "the evidence stays"
            found += 1
        else:
            await store.close()
            assert 20 - head.pos <= UNFINISHED_COMMITS_MAX, f"bit {at}: {20 - head.pos} commits were dropped"
            assert head.pos == 20 or store.tail.frames > 0, f"bit {at}"
        shutil.rmtree(data)
    assert found > len(bits) // 2


@pytest.mark.parametrize("missing", ["first", "last", "all but the last", "half a frame"])
async def test_the_torn_tail_of_a_commit_that_nobody_was_told_of_is_no_damage(
    killed: tuple[Path, list[int]], tmp_path: Path, missing: str
) -> None:
    """A power cut keeps any part of the last commit; the kill of a process keeps its beginning."""
    folder, ends = killed
    data = damaged(folder, tmp_path)
    wal = data / (DATABASE + "-wal")
    first, last = ends[-2] + 1, ends[-1]
    gone = {"first": [first], "last": [last], "all but the last": range(first, last), "half a frame": []}[
        missing
    ]
    content = bytearray(wal.read_bytes())
    for number in gone:
        at = HEADER_BYTES + number * FRAME_BYTES
        content[at : at + FRAME_BYTES] = bytes(FRAME_BYTES)
    if missing == "half a frame":
        content = content[: -FRAME_BYTES // 2]
    wal.write_bytes(content)
    store = SqliteStore(data / DATABASE)
    head = await store.open()
    try:
        assert head.pos == 19
        assert store.tail.commits <= UNFINISHED_COMMITS_MAX
    finally:
        await store.close()
    assert after_the_end(data / DATABASE).frames == 0


async def test_what_an_earlier_generation_left_is_no_damage(
    killed: tuple[Path, list[int]], tmp_path: Path
) -> None:
    folder, _ = killed
    async with opened("sqlite", tmp_path / "live") as store:
        world = World(store)
        await world.register("alice", "bob")
        assert isinstance(store, SqliteStore)
        for _ in range(20):
            await world.say("alice", "@bob")
        await store._db.execute_fetchall("PRAGMA wal_checkpoint(RESTART)")
        for _ in range(3):
            await world.say("alice", "@bob")
        copy = tmp_path / "copy"
        copy.mkdir()
        for side in ("", "-wal"):
            shutil.copy(tmp_path / "live" / (DATABASE + side), copy)
    assert after_the_end(copy / DATABASE).frames == 0
    assert after_the_end(folder / DATABASE).frames == 0


def test_every_command_stops_before_it_folds_a_damaged_log(
    killed: tuple[Path, list[int]], tmp_path: Path
) -> None:
    folder, ends = killed
    data = damaged(folder, tmp_path)
    wal = data / (DATABASE + "-wal")
    flip(wal, 8 * (HEADER_BYTES + (ends[5] + 1) * FRAME_BYTES + 100))
    kept = wal.read_bytes(), (data / DATABASE).read_bytes()
    for command in (
        ("serve", "--port", "0"),
        ("user", "list"),
        ("user", "add", "carol", "--no-password"),
        ("books",),
        ("ledger", "verify"),
        ("backup", str(tmp_path / "copy")),
    ):
        done = invoke(*command, "--data", str(data))
        is_refused(done, CANNOT_START, "14 commits")
        assert (wal.read_bytes(), (data / DATABASE).read_bytes()) == kept, command
    done = invoke("doctor", "--json", "--data", str(data))
    assert done.code == PROBLEMS
    assert "14 commits" in done.out


async def test_what_is_opened_without_what_is_lost_is_of_the_new_epoch_before_anybody_comes(
    killed: tuple[Path, list[int]], tmp_path: Path
) -> None:
    """Clients whose cursor is still in the log would notice nothing; once it has its epoch, it keeps that."""
    folder, ends = killed
    path = damaged(folder, tmp_path) / DATABASE
    flip(path.with_name(path.name + "-wal"), 8 * (HEADER_BYTES + (ends[5] + 1) * FRAME_BYTES + 100))
    for epoch_after_loss in ("e_new", "e_newer"):
        store = SqliteStore(path, epoch_after_loss=epoch_after_loss)
        head = await store.open()
        await store.close()
        assert (head.epoch, head.pos) == ("e_new", 6)


async def test_going_on_without_what_is_lost_is_a_new_epoch_and_keeps_the_log_as_it_was(
    faulty: Server,
) -> None:
    alice, bob = await faulty.people("alice", "bob", credit="100.00")
    a = await faulty.connect(alice)
    for _ in range(10):
        await a.pay("@bob", "1.00")
    cursor = {"epoch": a.ready["epoch"], "pos": a.events[-1]["pos"]}
    await faulty.kill()
    wal = faulty.data / (DATABASE + "-wal")
    ends = [number for number, pages in _frames(wal) if pages]
    flip(wal, 8 * (HEADER_BYTES + (ends[-6] + 1) * FRAME_BYTES + 100))
    before = wal.read_bytes()
    done = await faulty.cli("serve", "--port", "0", "--data", str(faulty.data))
    assert (done.code, "commits behind the damage" in done.err) == (CANNOT_START, True), done
    faulty.env["TUPPENCE_DAMAGED_LOG"] = "new_epoch"
    await faulty.start()
    back = await faulty.connect(alice, cursor=cursor)
    assert (back.ready["resumed"], back.ready["why"]) == (False, "epoch")
    assert back.ready["epoch"] != cursor["epoch"]
    assert back.ready["pos"] < cursor["pos"]
    assert (faulty.data / (DATABASE + "-wal.damaged-1")).read_bytes() == before
    assert '"event": "commits_lost"' in faulty.log.read_text()
    await faulty.stop()
    del faulty.env["TUPPENCE_DAMAGED_LOG"]
    await faulty.start()
    again = await faulty.connect(bob)
    assert again.ready["epoch"] == back.ready["epoch"]
    await faulty.stop_and_verify()


async def test_a_cursor_beyond_the_log_is_counted_and_makes_one_new_epoch(
    tmp_path: Path, faulty: Server
) -> None:
    """As after an old copy of the directory was put back: nothing in it tells, but a client does."""
    alice, bob = await faulty.people("alice", "bob", credit="10.00")
    a = await faulty.connect(alice)
    await a.text("@bob", "kept")
    await faulty.stop()
    shutil.copytree(faulty.data, tmp_path / "old")
    await faulty.start()
    a, b = await faulty.connect(alice), await faulty.connect(bob)
    old = {"epoch": b.ready["epoch"], "pos": b.ready["pos"]}
    await a.text("@bob", "lost")
    await a.settle()
    cursor = {"epoch": a.ready["epoch"], "pos": a.events[-1]["pos"]}
    await faulty.stop()
    shutil.rmtree(faulty.data)
    (tmp_path / "old").rename(faulty.data)
    await faulty.start()
    back = await faulty.connect(alice, cursor=cursor)
    assert (back.ready["resumed"], back.ready["why"]) == (False, "epoch")
    fresh = back.ready["epoch"]
    assert fresh != cursor["epoch"]
    assert (await faulty.connect(bob, cursor=old)).ready["epoch"] == fresh, (
        "what he holds may be others by now"
    )
    assert await faulty.metric("cursors_ahead_total") == 1
    assert '"event": "cursor_ahead"' in faulty.log.read_text()
    lie = {"epoch": fresh, "pos": 2**40}
    told = (await faulty.connect(alice, cursor=lie)).ready
    assert (told["epoch"], told["resumed"]) == (fresh, False), (
        "a cursor can be made up: once in a faulty's life"
    )
    assert await faulty.metric("cursors_ahead_total") == 2
    await faulty.stop_and_verify()
