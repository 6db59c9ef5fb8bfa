"""TLS without a proxy: who does not shake hands is counted and cut; who does is served like in the clear."""

import asyncio
import json
import ssl
from contextlib import suppress

import pytest
from tests.support.server import serving
from tests.support.tls import make_pair
from tests.support.waiting import elapsed, until
from tests.support.wire import Client, make

from tuppence_server.config.networks import Networks
from tuppence_server.edge.acceptor import Acceptor
from tuppence_server.edge.addresses import Addresses
from tuppence_server.edge.tls import HANDSHAKE_S_MAX, Door
from tuppence_server.telemetry.metrics import Metrics

MOST = 6


@pytest.fixture
async def pair(tmp_path):
    return make_pair(tmp_path / "pair")


@pytest.fixture
async def server(tmp_path, pair):
    files = {"TLS_CERTIFICATE": str(pair.certificate), "TLS_KEY": str(pair.key)}
    async with serving(tmp_path, **files, RATE_LIMITS="on", CONNECTIONS_PER_ADDRESS=str(MOST)) as server:
        yield server


async def ask(server, pair, path="/healthz"):
    """The head of an answer over TLS; empty where the connection is turned away."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=pair.client())
    except OSError:
        return ""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    with suppress(ConnectionError):
        answer = await reader.read()
    writer.close()
    return answer.decode("latin-1").partition("\r\n")[0]


def hello_of(pair):
    """The first flight of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = pair.client().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def test_handshakes_that_do_not_begin_or_end_are_counted_and_cut(server, pair):
    assert " 200 " in await ask(server, pair)
    hello = hello_of(pair)
    starts = [b"", hello[:1], hello[: len(hello) // 2], hello, b"\x16\x03\x01\x40\x00", hello[:-1]]
    files = server.open_files()
    crowd = [await server.raw() for _ in starts]
    for raw, start in zip(crowd, starts, strict=True):
        await raw.send(start)

    async def full():
        return await ask(server, pair) == ""

    await until(full, "nobody else of this address comes in")
    ended = [asyncio.create_task(raw.rest()) for raw in crowd]
    seconds = await elapsed(asyncio.gather(*ended))
    assert seconds < HANDSHAKE_S_MAX + 5

    async def free():
        return " 200 " in await ask(server, pair)

    await until(free)

    async def nothing_left():
        return server.open_files() <= files

    await until(nothing_left)


async def test_what_is_no_handshake_ends_at_once_and_leaves_nothing(server, pair):
    files = server.open_files()
    for start in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 600,
        b"\x16\x03\x01\x00\x02hi" * 9,
        b"\xff",
    ):
        for _ in range(2 * MOST):
            raw = await server.raw()
            await raw.send(start)
            with suppress(OSError):
                raw.writer.write_eof()
            await raw.rest()
            await raw.drop()

    async def nothing_left():
        return server.open_files() <= files and " 200 " in await ask(server, pair)

    await until(nothing_left)
    assert server.log.read_text().count("\n") < 20, "not a line for each"


async def test_a_conversation_over_tls(server, pair):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=pair.client())
    body = json.dumps({"do": "user.add", "arguments": {"handle": "alice", "password": None}}).encode()
    opening = json.dumps({"do": "session.open", "arguments": {"handle": "alice"}}).encode()
    for sent in (body, opening):
        head = f"POST /v1/admin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin_token}\r\n"
        writer.write(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length"))
        found = json.loads(await reader.readexactly(int(length.split()[1])))
    writer.close()
    client = await Client.open(server.ws_url, ssl=pair.client())
    await client.hello({"token": found["result"]["token"]})
    listener = await Client.open(server.ws_url, ssl=pair.client())
    await listener.hello({"token": found["result"]["token"]})
    frames = [make("chat.text", "self", text="€" * 8_000) for _ in range(20)]
    for frame in frames:
        await client.send(json.dumps(frame, ensure_ascii=False))
    assert [(await client.answer(frame["id"]))["kind"] for frame in frames] == ["chat.text"] * 20
    assert [(await listener.read())["id"] for _ in frames] == [frame["id"] for frame in frames], (
        "without a word"
    )
    page = await client.submit("ask.history", "self", limit=200)
    assert len(page["body"]["events"]) >= 10
    await client.close()
    await listener.close()


class _Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def eof_received(self):
        self.transport.close()


async def test_bytes_that_come_with_the_end_of_the_handshake_are_kept(pair):
    addresses = Addresses(MOST, Networks(()))
    acceptor = Acceptor(addresses, Metrics())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Door(acceptor, context, _Echo), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = pair.client().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65_536))
    client.write(b"first bytes")
    writer.write(outgoing.read())  # the last flight and the first bytes, in one piece
    while True:
        try:
            assert client.read(100) == b"first bytes"
            break
        except ssl.SSLWantReadError:
            incoming.write(await reader.read(65_536))
    assert addresses._open.total() == 0
    writer.close()
    listening.close()
