"""The little of WebSocket and of the protocol that a load generator needs, as plain bytes.

Client frames carry the mask 0: it is as valid as any other, costs the server the same
work, and leaves the payload as it was written. Every id is a UUIDv7 whose random bits
say which connection made it and when, in microseconds of this machine's monotonic
clock: whoever sees an event knows how old it is without a table of what was sent.
"""

import json
import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

EVENT_MARK: Final = b'"id":"'  # stands once in every event, and in no other frame
ERROR_MARK: Final = b'"kind":"error"'
BYE_MARK: Final = b'"kind":"bye"'
SYNCED_MARK: Final = b'"kind":"synced"'
ID_BYTES: Final = 36
TAG: Final = slice(14, 23)
STAMP: Final = slice(24, 36)

_TEXT, _CLOSE = 0x81, 0x88
_NO_MASK = b"\0\0\0\0"


def client_frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """Return a whole masked frame around `payload` (below 64 KiB)."""
    return _head(len(payload), opcode) + payload


def _head(size: int, opcode: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", opcode, 0x80 | size) + _NO_MASK
    return struct.pack("!BBH", opcode, 0x80 | 126, size) + _NO_MASK


CLOSE: Final = client_frame(struct.pack("!H", 1000), _CLOSE)
PING: Final = client_frame(b'{"kind":"ping","body":{}}')


def upgrade_request(port: int, path: str = "/v1/ws") -> bytes:
    """Return the HTTP request that opens a WebSocket."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dHVwcGVuY2UtYmVuY2htMQ==",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def hello(token: str, **cursor: str | int) -> bytes:
    """Return the frame that logs a connection in; with `epoch` and `pos` it resumes."""
    body = {"token": token, "device": "load", "client": "tuppence-load/1", **cursor}
    return client_frame(_json({"kind": "hello", "body": body}))


def payloads(received: bytes) -> Iterator[bytes]:
    """The payloads of whole unmasked frames, as a server sends them."""
    at = 0
    while at < len(received):
        size, head = received[at + 1], 2
        if size == 126:
            (size,), head = struct.unpack_from("!H", received, at + 2), 4
        elif size == 127:
            (size,), head = struct.unpack_from("!Q", received, at + 2), 10
        yield received[at + head : at + head + size]
        at += head + size


def monotonic_us() -> int:
    """Return the clock that ids are stamped with; processes of one machine share it."""
    return time.perf_counter_ns() // 1000


class FrameMaker:
    """Makes the durable frames of one connection; they differ in their ids alone."""

    __slots__ = ("_after", "_before", "_last_us", "tag")

    def __init__(self, number: int, before: bytes, after: bytes) -> None:
        self.tag = b"7%03x-8%03x" % (number >> 12, number & 0xFFF)
        size = len(before) + ID_BYTES + len(after)
        self._before = _head(size, _TEXT) + before
        self._after = after
        self._last_us = 0

    def make(self, count: int, now_us: int) -> tuple[list[bytes], bytes]:
        """Return `count` new ids and the bytes of their frames, to be written at once."""
        milliseconds = time.time_ns() // 1_000_000
        prefix = b"%08x-%04x-%b-" % (milliseconds >> 16, milliseconds & 0xFFFF, self.tag)
        first = max(now_us, self._last_us + 1)
        self._last_us = first + count - 1
        ids = [b"%b%012x" % (prefix, stamp) for stamp in range(first, first + count)]
        joint = self._after + self._before
        return ids, self._before + joint.join(ids) + self._after


def command_maker(number: int, kind: str, conv: str, body: Mapping[str, Any], **more: str) -> FrameMaker:
    """Return the maker of frames for the real server; `more` is what the frame has besides, such as `ref`."""
    rest = _json({"conv": conv, **more, "body": body})
    return FrameMaker(number, b'{"kind":"%b",' % kind.encode() + EVENT_MARK, b'",' + rest[1:])


def event_maker(number: int, kind: str, body: Mapping[str, Any]) -> FrameMaker:
    """Return the maker of frames for a bare server: what the real one would deliver."""
    server = {"conv": "c_" + "x" * 22, "seq": 12345, "pos": 1234567, "from": "u_" + "x" * 22}
    rest = _json({**server, "at": 1_790_000_000_123, "body": body})
    return FrameMaker(number, b'{"kind":"%b",' % kind.encode() + EVENT_MARK, b'",' + rest[1:])


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
