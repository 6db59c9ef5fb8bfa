"""Peers that ask and never read: what is held for them is bounded in bytes and in time, at every door."""

import asyncio
import json
import os
import signal
import socket
from itertools import count
from pathlib import Path

import pytest
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import PING, TEXT, frame_bytes, make, new_id

from tuppence_protocol.limits import FRAME_BYTES_MAX, PAGE_BYTES_MAX
from tuppence_server.edge.http_protocol import PIPELINED_REQUESTS_MAX
from tuppence_server.hub.outbox import OUTBOX_BYTES_MAX

MIB = 1024 * 1024
CROWD = 10


@pytest.fixture
async def server(tmp_path):
    server = Server(tmp_path / "data")
    server.program = (str(Path(__file__).with_name("hurried.py")),)
    await server.start()
    yield server
    await server.close()
    assert server.faults() == []


@pytest.fixture
async def alice(server):
    """Somebody with ten megabytes of history."""
    (client,) = await server.clients("alice")
    frames = [make("chat.text", "self", text="\U0001f600" * 8_000) for _ in range(200)]
    for frame in frames:
        await client.send(json.dumps(frame, ensure_ascii=False))
    for frame in frames:
        await client.answer(frame["id"])
    await client.close()
    return client.account


def ask():
    return {"kind": "ask.history", "id": new_id(), "conv": "self", "body": {"limit": 200}}


async def test_a_page_is_bounded_by_bytes_over_both_doors_and_all_comes_in_pages(server, alice):
    client = await server.connect(alice)
    found, body = [], {"complete": False}
    while not body["complete"]:
        bounds = {"before": found[0]} if found else {}
        answer = await client.submit("ask.history", "self", limit=200, **bounds)
        body = answer["body"]
        assert len(json.dumps(answer, ensure_ascii=False).encode()) < PAGE_BYTES_MAX + FRAME_BYTES_MAX
        found = [event["seq"] for event in body["events"]] + found
    assert found == list(range(1, 201))
    over_http = await server.http("POST", "/v1/frames", ask(), alice.token)
    assert len(over_http.body) < PAGE_BYTES_MAX + FRAME_BYTES_MAX
    many = [ask() for _ in range(8)]
    for frame in many:
        await client.send(frame)
    answers = [(await client.read())["ref"] for _ in many]
    assert answers == [frame["id"] for frame in many], "questions are answered in their order"


async def test_peers_that_ask_and_never_read_cost_bounded_memory_for_a_bounded_time(server, alice):
    """Bounds: for each what one write and the outbox hold; closed or cut in UNREAD_S_MAX, a turn and
    CLOSE_WAIT_S."""
    witness = await server.connect(alice)
    before = server.resident_bytes()
    request = json.dumps(ask()).encode()
    post = (
        f"POST /v1/frames HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\n"
        f"Content-Length: {len(request)}\r\n\r\n"
    ).encode() + request
    sockets = [await server.raw_socket(alice, receive_buffer=4096) for _ in range(CROWD)]
    posters = [await server.raw(receive_buffer=4096) for _ in range(CROWD)]
    for raw in sockets + posters:
        raw.writer.transport.pause_reading()

    async def held():
        """What the system takes over is not ours; ask until it takes no more."""
        for raw in sockets:
            raw.writer.write(frame_bytes(TEXT, json.dumps(ask()).encode()) * 4)
        for raw in posters:
            raw.writer.write(post)
        waiting = await server.metric("outbox_bytes")
        assert waiting <= CROWD * (PAGE_BYTES_MAX + FRAME_BYTES_MAX + OUTBOX_BYTES_MAX)
        return waiting > CROWD * PAGE_BYTES_MAX / 2

    await until(held, "answers wait")
    os.kill(server.pid, signal.SIGUSR1)
    most = 2 * CROWD * (PAGE_BYTES_MAX + FRAME_BYTES_MAX + OUTBOX_BYTES_MAX) + 16 * MIB
    files, looks = server.open_files(), count()

    async def all_gone():
        assert server.resident_bytes() - before < most
        if next(looks) % 50 == 0:
            for raw in sockets[::2]:
                raw.writer.write(frame_bytes(PING))  # a sign of life is not a sign of reading
        return server.open_files() <= files - 2 * CROWD + 2

    await until(all_gone, "those who read nothing are cut", within=40)
    assert await server.metric('closes_total{reason="slow_consumer"}') == CROWD
    assert (await witness.text("self", "unharmed"))["seq"] == 201


async def test_questions_behind_an_answer_that_waits_are_answered_once_it_is_read(server, alice):
    raw = await server.raw_socket(alice, receive_buffer=4096)
    raw.writer.transport.pause_reading()
    asked = []

    async def put():
        asked.append(ask())
        await raw.text(asked[-1])

        async def heard():
            return await server.metric('frames_total{kind="ask.history"}') == len(asked)

        await until(heard, "the question has come")

    while await server.metric("outbox_bytes") < PAGE_BYTES_MAX / 2:
        await put()  # until the system takes over no more
    await put()
    raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
    raw.writer.transport.resume_reading()
    answers = [await raw.json() for _ in asked]
    assert {answer["ref"] for answer in answers} == {frame["id"] for frame in asked}, (
        "or refused: too many wait"
    )


@pytest.mark.parametrize(
    "request_line", [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_requests_sent_ahead_of_their_answers_are_few(server, request_line):
    raw = await server.raw()
    await raw.send(request_line * PIPELINED_REQUESTS_MAX)
    answered = await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), 10)
    assert b"HTTP/1.1 " in answered
    flood = await server.raw()
    await flood.send(request_line * 5_000)
    assert (await flood.rest()).count(b"HTTP/1.1 ") <= PIPELINED_REQUESTS_MAX + 2
