"""Whatever is cut and whoever restarts: with its cursor a client gets every event once, in order, without a
gap."""

import asyncio
import contextlib
import signal

from tests.support.waiting import elapsed, seeded, until
from tests.support.wire import Client, Raw, make
from websockets.exceptions import ConnectionClosed

from tuppence_protocol.limits import RESUME_EVENTS_MAX


class Cutter:
    """A TCP relay that breaks a connection after so many bytes from the server."""

    def __init__(self, port):
        self.port = port
        self.after = 0

    async def __aenter__(self):
        self.listener = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.listener.sockets[0].getsockname()[1]}/v1/ws"
        return self

    async def __aexit__(self, *_):
        self.listener.close()

    async def _relay(self, reader, writer):
        upstream = await Raw.open(self.port)
        up = asyncio.create_task(self._up(reader, upstream))
        left = self.after
        with contextlib.suppress(ConnectionError):
            while left > 0 and (data := await upstream.reader.read(left)):
                left -= len(data)
                writer.write(data)
                await writer.drain()
        up.cancel()
        writer.transport.abort()
        await upstream.drop()

    async def _up(self, reader, upstream):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                await upstream.send(data)


class Reader:
    """A client over many connections: keeps its cursor and everything that it has seen, in order."""

    def __init__(self, account):
        self.account = account
        self.cursor = None
        self.events = []
        self.texts = {}
        self.answers = []

    async def watch(self, url, enough=lambda: False):
        """Connect, read until the connection breaks or it is enough, break it."""
        client = None
        try:
            client = await Client.open(url, open_timeout=None)
            body = {"token": self.account.token, **(self.cursor or {})}
            await client.send({"kind": "hello", "body": body})
            while not enough():
                self._take(await client.read(), client)
        except (ConnectionClosed, OSError, EOFError, asyncio.IncompleteReadError):
            pass
        except Exception as fault:
            if type(fault).__name__ not in ("InvalidMessage", "InvalidHandshake"):
                raise
        finally:
            if client is not None:
                self.texts |= client.texts
                await client.drop()

    def _take(self, frame, client):
        if frame["kind"] == "ready":
            self.answers.append(frame["body"])
            if not frame["body"]["resumed"]:
                self.cursor = {"epoch": frame["body"]["epoch"], "pos": frame["body"]["pos"]}
        elif frame["kind"] == "synced":
            self.cursor["pos"] = max(self.cursor["pos"], frame["body"]["pos"])
        elif "seq" in frame:
            assert frame["pos"] > self.cursor["pos"], "an event came again or too late"
            self.cursor["pos"] = frame["pos"]
            self.events.append(frame)

    async def catch_up(self, server):
        """Connect until synced."""
        count = len(self.answers)
        head = (await server.admin("wallet.show", handle=self.account.handle))["pos"]
        await self.watch(server.ws_url, lambda: len(self.answers) > count and self.cursor["pos"] >= head)
        assert self.cursor["pos"] >= head

    def is_exactly(self, events):
        """Compare with what there is to see."""
        assert [(e["pos"], e["id"]) for e in self.events] == [(e["pos"], e["id"]) for e in events]


async def test_cut_at_any_byte_with_groups_joined_and_left_meanwhile(server):
    rng = seeded()
    alice, bob, _ = await server.people("alice", "bob", "carol", credit="100.00")
    a, reader = await server.connect(alice), Reader(bob)
    seen = [await a.text("@bob", "before")]
    await reader.catch_up(server)
    reader.events.append(seen[0])
    async with Cutter(server.port) as cutter:
        for turn in range(24):
            cutter.after = rng.choice(
                (rng.randrange(1, 200), rng.randrange(200, 1600), rng.randrange(1600, 6000))
            )
            watching = asyncio.create_task(reader.watch(cutter.url))
            for number in range(rng.randrange(4)):
                seen.append(await a.text("@bob", f"{turn}.{number}" + "x" * rng.randrange(300)))
                seen.append(await a.pay("@bob", "0.01"))
            if turn % 4 == 0:
                group = await a.submit("room.create", title=f"group {turn}", members=["@carol"])
                await a.text(group["conv"], "not for bob")
                seen.append(await a.submit("room.invite", group["conv"], users=["@bob"]))
                seen.append(await a.text(group["conv"], "for bob too"))
            elif turn % 4 == 2:
                seen.append(await a.submit("room.remove", group["conv"], user="@bob"))
                await a.text(group["conv"], "without bob again")
            if not watching.done():
                while not watching.done():
                    seen.append(await a.text("@bob", "until it is cut"))
            await watching
    await reader.catch_up(server)
    reader.is_exactly(seen)
    texts = {event["id"]: a.texts[event["id"]] for event in seen[1:]}
    assert texts.items() == reader.texts.items()
    assert all(answer["resumed"] for answer in reader.answers[1:])
    assert len(reader.answers) > 5


async def test_restarts_in_between(server):
    alice, bob = await server.people("alice", "bob", credit="5.00")
    reader, seen = Reader(bob), []
    await reader.catch_up(server)
    for number, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)):
        a = await server.connect(alice)
        watching = asyncio.create_task(reader.watch(server.ws_url))
        seen += [await a.text("@bob", f"{number} while connected"), await a.pay("@bob", "1.00")]
        if number == 1:
            group = await a.submit("room.create", title="later", members=["@bob"])
            seen.append(group)
        code = await server.stop(how)
        assert code == (0 if how is signal.SIGTERM else -signal.SIGKILL)
        await watching
        await server.start()
        seen.append(await (await server.connect(alice)).text("@bob", f"{number} while away"))
    await reader.catch_up(server)
    reader.is_exactly(seen)
    assert [answer["resumed"] for answer in reader.answers] == [False, True, True, True, True]
    assert len({answer["epoch"] for answer in reader.answers}) == 1
    assert (await server.stop_and_verify())["totals"] == {"EUR": 1000}


async def test_no_replay_from_another_epoch_or_too_far_back(server):
    alice, bob = await server.people("alice", "bob")
    a = await server.connect(alice)
    first = await a.text("@bob", "first")
    cursor = {"epoch": a.ready["epoch"], "pos": first["pos"]}
    frames = [make("chat.text", first["conv"], text=f"{number}") for number in range(RESUME_EVENTS_MAX)]
    await asyncio.gather(*(a.send(frame) for frame in frames))
    last = await a.answer(frames[-1]["id"])
    within = await server.connect(bob, cursor=cursor)
    assert within.ready["resumed"] is True
    assert [event["id"] for event in within.events] == [frame["id"] for frame in frames]
    too_far = await server.connect(bob, cursor=cursor | {"pos": first["pos"] - 1})
    assert (too_far.ready["resumed"], too_far.ready["why"], too_far.events) == (False, "too_far", [])
    assert too_far.ready["conversations"][0]["seq"] == last["seq"]
    for wrong in (cursor | {"epoch": "x"}, cursor | {"pos": last["pos"] + 1}):
        other = await server.connect(bob, cursor=wrong)
        assert (other.ready["resumed"], other.ready["why"], other.events) == (False, "epoch", [])
    new = await server.connect(bob)
    assert (new.ready["resumed"], new.ready["why"]) == (False, "first")


async def test_resume_while_a_burst_is_being_committed(server):
    rng = seeded()
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a, reader = await server.connect(alice), Reader(bob)
    await reader.catch_up(server)
    groups = [await a.submit("room.create", title=str(number), members=["@bob"]) for number in range(3)]
    places = [*(group["conv"] for group in groups), "@bob"]
    rounds = 40
    for turn in range(rounds):
        frames = [make("chat.text", rng.choice(places), text=f"{turn}.{number}") for number in range(30)]
        burst = asyncio.gather(*(a.send(frame) for frame in frames))
        enough = len(reader.events) + rng.randrange(1, 25)
        await reader.watch(server.ws_url, lambda enough=enough: len(reader.events) >= enough)
        await burst
        await a.answer(frames[-1]["id"])
    await reader.catch_up(server)
    reader.is_exactly(a.events)
    assert len(a.events) == 3 + rounds * 30
    assert all(answer["resumed"] for answer in reader.answers[1:])


async def _flood(client, index, sent):
    with contextlib.suppress(ConnectionClosed):
        while True:
            frame = make("pay.send", "@bob" if index != 1 else "@carol", amount="0.01", currency="EUR")
            await client.send(frame)
            sent[frame["id"]] = frame
            await asyncio.sleep(0)


async def test_a_stop_answers_what_is_under_way_and_says_goodbye(server):
    people = await server.people("alice", "bob", "carol", credit="100.00")
    clients = [await server.connect(person) for person in people]
    idle = await server.connect(people[0])
    sent = [{}, {}, {}]

    floods = [asyncio.create_task(_flood(clients[index], index, sent[index])) for index in range(3)]
    ends = [asyncio.create_task(client.closed()) for client in [*clients, idle]]

    async def busy():
        return all(len(client.events) >= 20 for client in clients)

    await until(busy)
    stop = asyncio.create_task(server.stop())
    assert await elapsed(stop) < 10
    assert stop.result() == 0
    for code, bye in await asyncio.gather(*ends):
        assert (code, bye["code"], bye["reason"]) == (4000, 4000, "shutdown")
        assert 500 <= bye["retry_ms"] <= 5_000
    await asyncio.gather(*floods)
    assert not (server.data / "admin.json").exists()
    stored = {key for (key,) in server.rows("SELECT id FROM receipt WHERE pos IS NOT NULL")}
    for client, frames in zip(clients, sent, strict=True):
        acked = {event["id"] for event in client.events} & frames.keys()
        refused = {frame["ref"]: frame["body"] for frame in client.seen(kind="error")}
        assert {body["code"] for body in refused.values()} <= {"busy"}
        assert all(not body["final"] for body in refused.values())
        assert acked == stored & frames.keys(), "told is stored, and stored is told"
        assert not acked & refused.keys()
    await server.start()
    again = await server.connect(people[0])
    for frame in list(sent[0].values())[-5:]:
        await again.send(frame)
        assert "seq" in await again.answer(frame["id"])
    await server.stop_and_verify()
