"""A cursor that outlives the process: every missed event once, whatever was cut, killed or too much for the queue."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from tests.support.server import serving
from tests.support.waiting import WAIT_S

from tuppence_client import Client, ConnectionEnded, Event, Pace, Reset, StateFileError, SyncClient, connect
from tuppence_client.testing import FakeServer

FAST = Pace(retry_s=5, backoff_s=0.004, backoff_max_s=0.02, silence_s=0.05, gap_s=0.01, jitter=lambda: 0.5)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as fake:
        for handle in ("alice", "bob", "carol"):
            fake.token(handle)
        yield fake


@asynccontextmanager
async def bot(server: FakeServer, state: Path, **options: int) -> AsyncIterator[Client]:
    async with (
        asyncio.timeout(WAIT_S),
        connect(server.url, token=server.token("bob"), state=state, pace=FAST, **options) as me,
    ):
        yield me


async def take(me: Client, count: int) -> list[str]:
    events = me.events()
    return [text_of(await anext(events)) for _ in range(count)]


def text_of(event: Event) -> str:
    return str(getattr(event.body, "text", event.kind))


async def test_a_new_run_begins_where_the_last_one_stopped(server: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "bot.state"
    async with connect(server.url, token=server.token("alice"), pace=FAST) as alice:
        await alice.send("@bob", "before the first run")
        async with bot(server, state):
            pass
        for n in range(6):
            await alice.send("@bob", f"{n}")
        async with bot(server, state) as me:
            assert await take(me, 3) == ["0", "1", "2"]
        async with bot(server, state) as me:
            assert await take(me, 2) == ["2", "3"]  # nobody asked for what comes after 2: it was in hand
            me.handled()
        async with bot(server, state) as me:
            assert await take(me, 2) == ["4", "5"]
            me.handled()
            events = me.events()  # a second stream only listens, and has what came since connect
            await alice.send("@bob", "6")
            assert [text_of(await anext(events)) for _ in range(3)] == ["4", "5", "6"]
        async with bot(server, state) as me:
            assert await take(me, 1) == ["6"]


async def test_without_ordinary_code_either(server: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "bot.state"

    def work() -> list[str]:
        with SyncClient(server.url, token=server.token("bob"), state=state, pace=FAST) as me:
            return [text_of(event) for event in me.events(timeout=0.2)]

    assert await asyncio.to_thread(work) == []
    async with connect(server.url, token=server.token("alice"), pace=FAST) as alice:
        for n in range(3):
            await alice.send("@bob", f"{n}")
    assert await asyncio.to_thread(work) == ["0", "1", "2"]
    assert await asyncio.to_thread(work) == []


async def test_what_is_not_replayed_is_read_from_the_histories(server: FakeServer, tmp_path: Path) -> None:
    """Several conversations side by side, some long, in the order of the log."""
    state, rng = tmp_path / "bot.state", random.Random(7)
    async with connect(server.url, token=server.token("alice"), pace=FAST) as alice:
        rooms = [(await alice.create_room(f"Room {n}", ["@bob"])).conv for n in range(3)]
        for n in range(300):
            await alice.send(rooms[0], f"old {n}")
        async with bot(server, state):
            pass
        sent = []
        for n in range(900):
            place = rng.choice([rooms[0], rooms[0], rooms[0], rooms[1], "@bob", "@carol"])
            await alice.send(place, f"{n}")
            sent += [f"{n}"] if place != "@carol" else []
        server.can_resume = False
        async with bot(server, state) as me:
            assert await take(me, 100) == sent[:100]
            me.handled()
        async with bot(server, state) as me:
            events = me.events()
            got = [text_of(await anext(events)) for _ in range(400)]
            await alice.send("@bob", "live, while the rest is still being read")
            got += [text_of(await anext(events)) for _ in range(len(sent) - 500)]
            assert got == sent[100:]
            assert text_of(await anext(events)) == "live, while the rest is still being read"


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_lost_or_doubled_whatever_happens(
    server: FakeServer, tmp_path: Path, seed: int
) -> None:
    """Cuts, refused resumes, a queue of three, readers that give up, new runs: in any order."""
    rng, state = random.Random(seed), tmp_path / "bot.state"
    said = given = 0
    texts: list[str] = []
    async with connect(server.url, token=server.token("alice"), pace=FAST) as alice:
        room = (await alice.create_room("Room", ["@bob"])).conv
        async with bot(server, state):
            pass
        for _ in range(6):
            server.can_resume = rng.random() < 0.5
            async with bot(server, state, queue_max=rng.choice([1, 3, 1000])) as me:
                events = me.events()
                for _ in range(rng.randrange(5, 30)):
                    match rng.choice(["say", "say", "say", "cut", "take", "take", "give up"]):
                        case "say":
                            await alice.send(rng.choice([room, "@bob"]), f"{said}")
                            said += 1
                        case "cut":
                            server.can_resume = rng.random() < 0.5
                            server.cut("bob")
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
        async with bot(server, state) as me:
            texts += await take(me, said - given)
    assert texts == [f"{n}" for n in range(said)], f"seed {seed}"


async def test_another_log_is_told_and_begun_anew(server: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "bot.state"
    async with connect(server.url, token=server.token("alice"), pace=FAST) as alice:
        async with bot(server, state):
            pass
        await alice.send("@bob", "lost with the old log")
        server.book.epoch, server.can_resume = "other", False
        server.next("hello")
        async with bot(server, state) as me:
            notices = me.notices()
            await alice.send("@bob", "in the new one")
            assert await take(me, 1) == ["in the new one"]
            me.handled()
            assert [n.why for n in [await anext(notices) for _ in range(3)] if isinstance(n, Reset)] == [
                "epoch"
            ]
        server.can_resume = True
        await alice.send("@bob", "next")
        async with bot(server, state) as me:
            assert await take(me, 1) == ["next"]


async def test_a_file_that_cannot_be_the_state_is_said(server: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "bot.state"
    async with bot(server, state):
        with pytest.raises(StateFileError, match="in use") as caught:
            async with bot(server, state):
                pass
        assert caught.value.code == "state_in_use"
    before = state.read_bytes()
    with pytest.raises(StateFileError, match="another person"):
        async with connect(server.url, token=server.token("alice"), state=state, pace=FAST):
            pass
    assert state.read_bytes() == before
    (tmp_path / "junk").write_bytes(b"not a database, and longer than a header of one would be" * 40)
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE things (a)")
    for path in ("junk", "other", ".", "no/such/directory"):
        with pytest.raises(StateFileError):
            async with bot(server, tmp_path / path):
                pass
    with pytest.raises(ConnectionEnded):
        async with connect("http://127.0.0.1:9", token="t", state=state, pace=FAST):
            pass
    async with bot(server, state):
        pass


async def test_the_id_of_an_answer_is_the_same_in_every_run(server: FakeServer) -> None:
    async with (
        connect(server.url, token=server.token("alice"), pace=FAST) as alice,
        connect(server.url, token=server.token("bob"), pace=FAST) as bob,
    ):
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
