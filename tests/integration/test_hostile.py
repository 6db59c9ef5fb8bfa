"""WebSocket peers that break the rules cost themselves their connection, and the server bounded memory."""

import asyncio
import json

import pytest
from tests.support.waiting import elapsed, until
from tests.support.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame_bytes, make

from tuppence_protocol.limits import FRAME_BYTES_MAX, FRAME_FRAGMENTS_MAX

MIB = 1024 * 1024
RULE_BREAKERS = {
    "binary": (1003, frame_bytes(BINARY, b"{}")),
    "binary in fragments": (1003, frame_bytes(BINARY, b"{", fin=False) + frame_bytes(CONT, b"}")),
    "unmasked text": (1002, frame_bytes(TEXT, b"{}", masked=False)),
    "unmasked ping": (1002, frame_bytes(PING, masked=False)),
    "reserved bit 1": (1002, frame_bytes(TEXT, b"{}", reserved=4)),
    "reserved bit 3": (1002, frame_bytes(TEXT, b"{}", reserved=1)),
    "reserved data opcode": (1002, frame_bytes(3, b"{}")),
    "reserved control opcode": (1002, frame_bytes(11)),
    "ping in fragments": (1002, frame_bytes(PING, b"x", fin=False)),
    "long ping": (1002, frame_bytes(PING, b"x" * 126)),
    "close with one byte": (1002, frame_bytes(CLOSE, b"\x03")),
    "close with a reserved code": (1002, frame_bytes(CLOSE, (1005).to_bytes(2, "big"))),
    "close with a reason that is not UTF-8": (1007, frame_bytes(CLOSE, (1000).to_bytes(2, "big") + b"\xff")),
    "continuation of nothing": (1002, frame_bytes(CONT, b"x")),
    "text inside a message": (1002, frame_bytes(TEXT, b"{", fin=False) + frame_bytes(TEXT, b"}")),
    "oversize by one": (1009, frame_bytes(TEXT, b" " * (FRAME_BYTES_MAX + 1))),
    "oversize by one in fragments": (
        1009,
        frame_bytes(TEXT, b" " * FRAME_BYTES_MAX, fin=False)
        + frame_bytes(CONT, b" "),
    ),
    "length of 2^62": (1009, b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(64)),
    "length of 2^63": (1009, b"\x81\xff" + (2**63).to_bytes(8, "big") + bytes(64)),
    "not UTF-8": (1007, frame_bytes(TEXT, b'{"kind":"\xff"}')),
    "not UTF-8 over fragments": (
        1007,
        frame_bytes(TEXT, b'{"kind":"\xe2\x82', fin=False)
        + frame_bytes(CONT, b'"}'),
    ),
    "too many fragments": (
        1008,
        frame_bytes(TEXT, b"{", fin=False)
        + frame_bytes(CONT, b" ", fin=False) * FRAME_FRAGMENTS_MAX,
    ),
    "pings beyond the budget": (1008, frame_bytes(PING) * 40),
    "pongs beyond the budget": (1008, frame_bytes(PONG) * 40),
}  # fmt: skip


async def test_each_broken_rule_has_its_close_code(server):
    (witness,) = await server.clients("alice")
    before = server.resident_bytes()
    for ready in (True, False):
        for name, (code, data) in RULE_BREAKERS.items():
            raw = await server.raw_socket(witness.account if ready else None)
            await raw.send(data)
            closed, texts = await raw.ending()
            assert closed == code, name
            byes = [frame for frame in texts if frame["kind"] == "bye"]
            assert [bye["body"]["code"] for bye in byes] == [code], name
            assert texts[-1] is byes[0], name
            await raw.drop()
    assert (await witness.text("self", "unharmed"))["seq"] == 1
    assert server.resident_bytes() - before < 16 * MIB


def said(text):
    """The bytes of a line of text."""
    return json.dumps(make("chat.text", "self", text=text), ensure_ascii=False).encode()


async def comes(raw, *texts):
    """What was said comes back."""
    for text in texts:
        assert (await raw.json())["body"] == {"text": text}


async def test_messages_in_pieces_and_as_long_as_may_be_work(server):
    raw = await server.raw_socket(*await server.people("alice"))
    data = said("in bytes € 👋")
    pieces = [data[at : at + 3] for at in range(0, len(data), 3)][: FRAME_FRAGMENTS_MAX - 1]
    pieces.append(data[3 * len(pieces) :])
    for index, piece in enumerate(pieces):
        await raw.frame(CONT if index else TEXT, piece, fin=index == len(pieces) - 1)
        if index in (3, 9):
            await raw.frame(PING, b"between")
            await raw.frame(PONG, b"nobody asked")
    await comes(raw, "in bytes € 👋")
    await raw.frame(TEXT, said("as long as may be").ljust(FRAME_BYTES_MAX))
    await comes(raw, "as long as may be")
    whole = frame_bytes(TEXT, said("as long and in pieces").ljust(FRAME_BYTES_MAX))
    await in_pieces(raw, whole + frame_bytes(TEXT, said("after it")), 9_001)
    await comes(raw, "as long and in pieces", "after it")


async def test_unusual_but_legal_frames_work(server):
    raw = await server.raw_socket(*await server.people("alice"))
    for mark, size in ((0xFF, 8), (0xFE, 2)):
        payload = said("with a longer length than needed")
        head = bytes([0x81, mark]) + len(payload).to_bytes(size, "big")
        await raw.send(head + bytes(4) + payload + frame_bytes(TEXT, said("next")))
        await comes(raw, "with a longer length than needed", "next")
    await in_pieces(raw, frame_bytes(TEXT, said("byte by byte")), 1)
    await comes(raw, "byte by byte")
    mask = b"\x5a\xc3\x3c\xa5"
    payload = said("masked in earnest")
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    await raw.send(b"\x81\xfe" + len(payload).to_bytes(2, "big") + mask + masked)
    await comes(raw, "masked in earnest")


async def in_pieces(raw, data, size):
    for at in range(0, len(data), size):
        await raw.send(data[at : at + size])
        await asyncio.sleep(0)


POST = b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"
BEFORE_HELLO = (
    frame_bytes(PING), frame_bytes(TEXT, b"{}"), frame_bytes(TEXT, b"{", fin=False) + frame_bytes(CONT, b"}"),
)  # fmt: skip
HALF_REQUESTS = (
    (b"", b""),
    (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b""),
    (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: ", b"b"),
    (b"GET /", b"x"),
    (POST, b""),
    (POST, b"{"),
    (b"GET /v1/ws HTTP/1.1\r\nUpgrade: websocket\r\n", b"A: b\r\n"),
)
"""How it begins, and what comes again and again."""
HALF_MESSAGES = (
    (frame_bytes(TEXT, b"x" * 100)[:50], b""),
    (frame_bytes(TEXT, b"x" * 100)[:5], b"x"),
    (frame_bytes(TEXT, b"x" * FRAME_BYTES_MAX)[:12], b"x"),
    (frame_bytes(TEXT, b"{", fin=False), b""),
    (frame_bytes(TEXT, b"{", fin=False), frame_bytes(CONT, b" ", fin=False)),
)


async def test_slow_peers_are_cut(server):
    """Bounds: no hello 8 s; headers, bodies and messages that do not come to an end 13 s."""
    (alice,) = await server.people("alice")

    async def silent():
        raw = await server.raw_socket()
        started = asyncio.get_running_loop().time()
        code, texts = await raw.ending()
        assert (code, texts[-1]["body"]["reason"]) == (4006, "auth_timeout")
        assert 4.5 < asyncio.get_running_loop().time() - started < 8

    async def busy_without_hello(data):
        """What comes before hello does not put the deadline off."""
        raw = await server.raw_socket()
        await trickled(raw, raw.ending(), (data[:1], data[1:]), 0.7, within=8)

    async def half_a_request(start, drip):
        raw = await server.raw()
        await raw.send(start)
        assert b" 200 " not in await trickled(raw, raw.rest(), (drip,), 1, within=13)

    async def half_a_message(data, drip):
        raw = await server.raw_socket(alice)
        await raw.send(data)
        code, _ = await trickled(raw, raw.ending(), (drip,), 1, within=13)
        assert code == 1008

    await asyncio.gather(
        silent(),
        *(busy_without_hello(data) for data in BEFORE_HELLO),
        *(half_a_request(start, drip) for start, drip in HALF_REQUESTS),
        *(half_a_message(data, drip) for data, drip in HALF_MESSAGES),
    )


async def trickled(raw, reading, parts, pause_s, within):
    """What is read to the end while parts are sent again and again; that has to come in time."""
    end = asyncio.create_task(reading)

    async def trickle():
        while any(parts) and not end.done():
            for part in parts:
                await raw.send(part)
                await asyncio.sleep(pause_s)

    trickling = asyncio.create_task(trickle())
    assert await elapsed(end) < within
    await trickling
    return end.result()


FLOODS = {
    "pings of a peer that does not read": frame_bytes(PING, b"x" * 125),
    "empty pings": frame_bytes(PING),
    "empty continuations": frame_bytes(CONT, fin=False),
    "continuations of a byte": frame_bytes(CONT, b"x", fin=False),
    "malformed texts": frame_bytes(TEXT, b"[" * 1000),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_floods_cost_bounded_memory(server, name):
    """Bound: 24 MiB for eight peers that send 4 MiB each and never read."""
    (witness,) = await server.clients("alice")
    before = server.resident_bytes()
    peers = [await server.raw_socket(witness.account, receive_buffer=4096) for _ in range(8)]
    piece = FLOODS[name] * (65_536 // len(FLOODS[name]))
    start = frame_bytes(TEXT, b"{", fin=False) if "continuation" in name else b""

    async def flood(raw):
        await raw.send(start)
        for _ in range(64):
            await asyncio.wait([asyncio.create_task(raw.send(piece))], timeout=1)
            if raw.writer.transport.is_closing():
                return

    floods = [asyncio.create_task(flood(raw)) for raw in peers]
    for number in range(10):
        assert (await witness.text("self", "still served"))["seq"] == number + 1
    await asyncio.gather(*floods)
    assert server.resident_bytes() - before < 24 * MIB
    if name != "malformed texts":
        await until(lambda: server.has_sockets(1), "the peers are cut", within=15)
    assert (await witness.text("self", "and after"))["seq"] == 11
