"""A cursor that outlives the process: every missed event once, whatever was cut, killed or too much."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from tests.support.sdk import FAST, joined, notice_of
from tests.support.server import Server, serving
from tests.support.waiting import WAIT_S

from tuppence_client import Client, ConnectionEnded, Event, Reset, StateFileError, SyncClient, connect
from tuppence_testing import Sandbox


@asynccontextmanager
async def bot(sandbox: Sandbox, state: Path, **options: int) -> AsyncIterator[Client]:
    async with asyncio.timeout(WAIT_S), joined(sandbox, "bob", state=state, **options) as me:
        yield me


async def take(me: Client, count: int) -> list[str]:
    events = me.events()
    return [text_of(await anext(events)) for _ in range(count)]


def text_of(event: Event) -> str:
    return str(getattr(event.body, "text", event.kind))


async def test_a_new_run_begins_where_the_last_one_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    state = tmp_path / "bot.state"
    async with joined(sandbox) as alice:
        await alice.send("@bob", "before the first run")
        async with bot(sandbox, state):
            pass
        for n in range(6):
            await alice.send("@bob", f"{n}")
        async with bot(sandbox, state) as me:
            assert await take(me, 3) == ["0", "1", "2"]
        async with bot(sandbox, state) as me:
            assert await take(me, 2) == ["2", "3"]  # nobody asked for what comes after 2: it was in hand
            me.handled()
        async with bot(sandbox, state) as me:
            assert await take(me, 2) == ["4", "5"]
            me.handled()
            events = me.events()  # a second stream only listens, and has what came since connect
            await alice.send("@bob", "6")
            assert [text_of(await anext(events)) for _ in range(3)] == ["4", "5", "6"]
        async with bot(sandbox, state) as me:
            assert await take(me, 1) == ["6"]


async def test_without_ordinary_code_either(sandbox: Sandbox, tmp_path: Path) -> None:
    state = tmp_path / "bot.state"

    def work() -> list[str]:
        with SyncClient(sandbox.url, token=sandbox.token("bob"), state=state, pace=FAST) as me:
            return [text_of(event) for event in me.events(timeout=0.2)]

    assert await asyncio.to_thread(work) == []
    async with joined(sandbox) as alice:
        for n in range(3):
            await alice.send("@bob", f"{n}")
    assert await asyncio.to_thread(work) == ["0", "1", "2"]
    assert await asyncio.to_thread(work) == []


async def test_what_is_not_replayed_is_read_from_the_histories(sandbox: Sandbox, tmp_path: Path) -> None:
    """Several conversations side by side, some long, in the order of the log."""
    state, rng = tmp_path / "bot.state", random.Random(7)
    sandbox.token("carol")
    async with joined(sandbox) as alice:
        rooms = [(await alice.create_room(f"Room {n}", ["@bob"])).conv for n in range(3)]
        await asyncio.gather(*(alice.send(rooms[0], f"old {n}") for n in range(300)))
        async with bot(sandbox, state):
            pass
        places = rng.choices([rooms[0], rooms[0], rooms[0], rooms[1], "@bob", "@carol"], k=900)
        said = await asyncio.gather(*(alice.send(place, f"{n}") for n, place in enumerate(places)))
        seen = [event for event, place in zip(said, places, strict=True) if place != "@carol"]
        sent = [text_of(event) for event in sorted(seen, key=lambda event: event.pos)]
        sandbox.can_resume = False
        async with bot(sandbox, state) as me:
            assert await take(me, 100) == sent[:100]
            me.handled()
        async with bot(sandbox, state) as me:
            events = me.events()
            got = [text_of(await anext(events)) for _ in range(400)]
            await alice.send("@bob", "live, while the rest is still being read")
            got += [text_of(await anext(events)) for _ in range(len(sent) - 500)]
            assert got == sent[100:]
            assert text_of(await anext(events)) == "live, while the rest is still being read"


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_lost_or_doubled_whatever_happens(
    sandbox: Sandbox, tmp_path: Path, seed: int
) -> None:
    """Cuts, refused resumes, a queue of three, readers that give up, new runs: in any order."""
    rng, state = random.Random(seed), tmp_path / "bot.state"
    said = given = 0
    texts: list[str] = []
    async with joined(sandbox) as alice:
        room = (await alice.create_room("Room", ["@bob"])).conv
        async with bot(sandbox, state):
            pass
        for _ in range(6):
            sandbox.can_resume = rng.random() < 0.5
            async with bot(sandbox, state, queue_max=rng.choice([1, 3, 1000])) as me:
                events = me.events()
                for _ in range(rng.randrange(5, 30)):
                    match rng.choice(["say", "say", "say", "cut", "take", "take", "give up"]):
                        case "say":
                            await alice.send(rng.choice([room, "@bob"]), f"{said}")
                            said += 1
                        case "cut":
                            sandbox.can_resume = rng.random() < 0.5
                            sandbox.cut("bob")
                        case "take" if given < said:
                            texts.append(text_of(await anext(events)))
                            given += 1
                        case "give up" if given < said:
                            reading = asyncio.ensure_future(anext(events))
                            for _ in range(rng.randrange(6)):
                                await asyncio.sleep(0)
                            reading.cancel()
                            for found in await asyncio.gather(reading, return_exceptions=True):
                                if isinstance(found, Event):
                                    texts.append(text_of(found))
                                    given += 1
                me.handled()
        async with bot(sandbox, state) as me:
            texts += await take(me, said - given)
    assert texts == [f"{n}" for n in range(said)], f"seed {seed}"


async def test_another_log_is_told_and_begun_anew(tmp_path: Path) -> None:
    """That of a backup, which the operator has restored."""
    state, copy, restored = tmp_path / "bot.state", tmp_path / "copy", Server(tmp_path / "restored")
    async with serving(tmp_path) as server:
        alice, bob = await server.people("alice", "bob")
        await server.admin("backup", path=str(copy))
        async with (
            connect(server.url, token=alice.token) as me,
            connect(server.url, token=bob.token, state=state),
        ):
            await me.send("@bob", "lost with the old log")
    assert (await restored.cli("restore", str(copy), str(restored.data))).code == 0
    await restored.start()
    try:
        async with connect(restored.url, token=alice.token) as me:
            async with connect(restored.url, token=bob.token, state=state) as them:
                await me.send("@bob", "in the new one")
                assert await take(them, 1) == ["in the new one"]
                them.handled()
                assert (await notice_of(them.notices(), Reset)).why == "epoch"
            await me.send("@bob", "next")
            async with connect(restored.url, token=bob.token, state=state) as them:
                assert await take(them, 1) == ["next"]
    finally:
        await restored.close()


async def test_a_file_that_cannot_be_the_state_is_said(sandbox: Sandbox, tmp_path: Path) -> None:
    state = tmp_path / "bot.state"
    async with bot(sandbox, state):
        with pytest.raises(StateFileError, match="in use") as caught:
            async with bot(sandbox, state):
                pass
        assert caught.value.code == "state_in_use"
    before = state.read_bytes()
    with pytest.raises(StateFileError, match="another person"):
        async with joined(sandbox, state=state):
            pass
    assert state.read_bytes() == before
    (tmp_path / "junk").write_bytes(b"not a database, and longer than a header of one would be" * 40)
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE things (a)")
    for path in ("junk", "other", ".", "no/such/directory"):
        with pytest.raises(StateFileError):
            async with bot(sandbox, tmp_path / path):
                pass
    with pytest.raises(ConnectionEnded):
        async with connect("http://127.0.0.1:9", token="t", state=state, pace=FAST):
            pass
    async with bot(sandbox, state):
        pass


async def test_the_id_of_an_answer_is_the_same_in_every_run(alice: Client, bob: Client) -> None:
    asked = await alice.send("@bob", "?")
    first = await bob.send("@alice", "!", id=bob.id_for(asked))
    assert await bob.send("@alice", "!", id=bob.id_for(asked)) == first
    assert len({bob.id_for(asked), bob.id_for(asked, "tip"), bob.id_for(first), alice.id_for(asked)}) == 4


async def test_more_than_a_server_replays(tmp_path: Path) -> None:
    """A real server, which replays 2,000 events at most."""
    state = tmp_path / "bot.state"
    async with serving(tmp_path) as server:
        alice, bob = await server.people("alice", "bob")
        async with connect(server.url, token=bob.token, state=state):
            pass
        async with connect(server.url, token=alice.token) as me:
            room = (await me.create_room("Room", ["@bob"])).conv
            sending = [me.send(room if n % 3 else "@bob", f"{n}") for n in range(2_100)]
            sent = sorted(await asyncio.gather(*sending), key=lambda event: event.pos)
        async with connect(server.url, token=bob.token, state=state) as them:
            events = them.events()
            got = [await anext(events) for _ in range(2_101)]
        assert [event.id for event in got[1:]] == [event.id for event in sent]
