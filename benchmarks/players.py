"""The connections of the load generator: one that opens, one that counts, one that sends.

They never parse. What is looked for are short marks in whatever TCP delivered, however
many frames that is; only the end of a piece that may hold half a mark is carried over.
No mark contains a closing brace, so a piece that ends with one needs no carrying.
"""

import asyncio
from typing import cast

from benchmarks.tally import Tally
from benchmarks.wire import (
    BYE_MARK,
    CLOSE,
    ERROR_MARK,
    EVENT_MARK,
    ID_BYTES,
    PING,
    STAMP,
    SYNCED_MARK,
    TAG,
    FrameMaker,
    monotonic_us,
)

_BRACE = ord("}")
_CARRY = max(len(EVENT_MARK), len(ERROR_MARK), len(BYE_MARK)) - 1


class Receiver(asyncio.Protocol):
    """Counts events; the cheapest that Python can do per read of a socket."""

    __slots__ = ("_closing", "_rest", "_tally", "_transport")
    _transport: asyncio.Transport

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._rest = b""
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over an open and logged-in connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Count the events that begin in `data`."""
        tally = self._tally
        tally.received_bytes += len(data)
        if self._rest:
            data = self._rest + data
            self._rest = b""
        tally.deliveries += data.count(EVENT_MARK)
        if data[-1] != _BRACE:
            self._rest = data[1 - len(EVENT_MARK) :]
            if BYE_MARK in data:
                tally.note(data, BYE_MARK)

    def connection_lost(self, _: Exception | None) -> None:
        """Count a loss, unless it was wanted."""
        if not self._closing:
            self._tally.lost += 1

    def ping(self) -> None:
        """Send the heartbeat that the protocol asks of a silent client."""
        if not self._transport.is_closing():
            self._transport.write(PING)

    def close(self) -> None:
        """Say goodbye and leave."""
        self._closing = True
        if not self._transport.is_closing():
            self._transport.write(CLOSE)
            self._transport.close()


class Sender(Receiver):
    """Keeps a number of frames in flight and takes the age of every event that it sees.

    With a window of 0 it sends nothing by itself: it is a witness of how late others learn of
    an event, or somebody else sets its pace.
    """

    __slots__ = ("_in_flight", "_maker", "_window")

    def __init__(self, tally: Tally, maker: FrameMaker, window: int) -> None:
        super().__init__(tally)
        self._maker = maker
        self._window = window
        self._in_flight: set[bytes] = set()

    @property
    def unanswered(self) -> int:
        """How many frames still wait for their event."""
        return len(self._in_flight)

    def start(self) -> None:
        """Send the first window of frames."""
        self.send(self._window, monotonic_us())

    def send(self, count: int, stamp_us: int) -> None:
        """Send so many frames, whose ages count from `stamp_us` on."""
        if count:
            ids, frames = self._maker.make(count, stamp_us)
            self._in_flight.update(ids)
            self._transport.write(frames)

    def data_received(self, data: bytes) -> None:
        """Take acks and ages; send one new frame for each answer."""
        tally = self._tally
        tally.received_bytes += len(data)
        if self._rest:
            data = self._rest + data
        pieces = data.split(EVENT_MARK)
        self._rest = self._carried(data, pieces)
        answers = self._take(pieces)
        if ERROR_MARK in data:
            refused = data.count(ERROR_MARK)
            tally.refusals += refused
            answers += refused
            tally.note(data, ERROR_MARK)
        if answers and self._window and tally.running:
            self.send(answers, monotonic_us())

    @staticmethod
    def _carried(data: bytes, pieces: list[bytes]) -> bytes:
        last = pieces[-1]
        if len(pieces) > 1 and len(last) < ID_BYTES:
            pieces.pop()
            return EVENT_MARK + last
        return b"" if data[-1] == _BRACE else last[-_CARRY:]

    def _take(self, pieces: list[bytes]) -> int:
        tally, tag = self._tally, self._maker.tag
        own, other = tally.own_us, tally.other_us
        now = monotonic_us()
        acks = 0
        for piece in pieces[1:]:
            age = now - int(piece[STAMP], 16)
            if piece[TAG] != tag:
                other.append(age)
            elif (identity := piece[:ID_BYTES]) in self._in_flight:
                self._in_flight.remove(identity)
                own.append(age)
                acks += 1
            else:
                tally.unexpected += 1
        tally.acks += acks
        tally.deliveries += len(pieces) - 1
        return acks


class Opening(asyncio.Protocol):
    """Opens a WebSocket, logs in if there is a hello, and hands over to a `Receiver`."""

    def __init__(self, request: bytes, hello: bytes | None, successor: Receiver) -> None:
        self._request = request
        self._hello = hello
        self._successor = successor
        self._data = b""
        self._upgraded = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Wait for the upgrade, then for `synced`."""
        self._data += data
        if not self._upgraded:
            self._upgrade()
        if self._upgraded and not self.opened.done():
            self._log_in()

    def connection_lost(self, _: Exception | None) -> None:
        """Fail: the successor has the connection by now if all went well."""
        self._fail("connection closed while opening")

    def _upgrade(self) -> None:
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            self._fail("no upgrade")
            return
        self._upgraded, self._data = True, rest
        if self._hello is None:
            self._hand_over(rest)
        else:
            self._transport.write(self._hello)

    def _log_in(self) -> None:
        _, synced, rest = self._data.partition(SYNCED_MARK)
        if synced:
            self._hand_over(rest)
        elif ERROR_MARK in self._data or BYE_MARK in self._data:
            self._fail("login refused")

    def _hand_over(self, rest: bytes) -> None:
        self._transport.set_protocol(self._successor)
        self._successor.connection_made(self._transport)
        if rest:
            self._successor.data_received(rest)
        self.opened.set_result(None)

    def _fail(self, why: str) -> None:
        if not self.opened.done():
            said = self._data[:300].decode(errors="replace")
            self.opened.set_exception(ConnectionError(f"{why}: {said}"))
            self._transport.abort()
