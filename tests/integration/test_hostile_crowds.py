"""Stalled readers, crowds that come and go, and no file descriptors left: the others are served."""

import asyncio
import resource

from tests.support.waiting import until
from tests.support.wire import new_id

MIB = 1024 * 1024


async def test_a_reader_that_never_reads_harms_nobody_and_resumes(server):
    """Bound: 24 MiB while megabytes go past a stalled reader."""
    alice, bob, sloth = await server.people("alice", "bob", "sloth")
    a, b = await server.connect(alice), await server.connect(bob)
    room = (await a.submit("room.create", title="busy", members=["@bob", "@sloth"]))["conv"]
    await a.settle()
    epoch, pos = a.ready["epoch"], a.events[-1]["pos"]
    stalled = await server.raw_socket(sloth, receive_buffer=4096)
    before = server.resident_bytes()
    slow = 'closes_total{reason="slow_consumer"}'
    sent = 0
    while not await server.metric(slow):
        for _ in range(10):
            event = await a.text(room, "€" * 4_000)
            assert await b.answer(event["id"]) == event
            sent += 1
        assert sent < 1_500, "it was never closed"
        assert server.resident_bytes() - before < 24 * MIB
    code, texts = await stalled.ending()
    assert code in (4002, None), "4002, unless it stalls for 5 s more"
    await b.settle()
    assert [event["id"] for event in a.events] == [event["id"] for event in b.events]
    kept = [frame for frame in texts if "seq" in frame]
    if code is not None:
        assert (texts[-1]["kind"], texts[-1]["body"]["code"]) == ("bye", 4002)
    cursor = {"epoch": epoch, "pos": kept[-1]["pos"] if kept else pos}
    back = await server.connect(sloth, cursor=cursor)
    assert back.ready["resumed"] is True
    assert [frame["id"] for frame in [*kept, *back.events]] == [event["id"] for event in a.events[1:]]


async def test_coming_and_going(server):
    """Bound: after 3,000 connections nothing is left open, and 32 MiB at most are kept."""
    (alice,) = await server.people("alice")
    await (await server.connect(alice)).close()
    await until(lambda: server.has_sockets(0))
    files, before = server.open_files(), server.resident_bytes()

    async def churn(number):
        for turn in range(150):
            raw = await server.raw()
            if turn % 3 and turn % 10 == number % 10:
                await raw.handshake()
                await raw.text({"kind": "hello", "body": {"token": alice.token}})
            elif turn % 3 == 1:
                await raw.send(b"GET /v1/ws HTTP/1.1\r\n")
            elif turn % 3 == 2:
                await raw.handshake()
            await raw.drop()

    await asyncio.gather(*(churn(number) for number in range(20)))

    async def nothing_left():
        return server.open_files() <= files + 1 and await server.has_sockets(0)

    await until(nothing_left)
    assert server.resident_bytes() - before < 32 * MIB
    assert (await (await server.connect(alice)).text("self", "hello"))["seq"] == 1


async def test_out_of_file_descriptors_and_back(server):
    (client,) = await server.clients("alice")
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (64, 64))
    crowd = [await server.raw() for _ in range(150)]
    for number in range(20):
        assert (await client.text("self", "still here"))["seq"] == number + 1
    for raw in crowd:
        await raw.drop()

    async def accepts():
        raw = await server.raw()
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await raw.rest()
        await raw.drop()
        return b" 200 " in answer

    await until(accepts, "new connections")
    assert limits
    frame = {"kind": "ask.wallet", "id": new_id()}
    assert (await server.http("POST", "/v1/frames", frame, client.account.token)).status == 200
    server.log.write_text("")  # running out of descriptors is a fault, and the log may say so
