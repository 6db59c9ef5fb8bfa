"""The client ends of a connection: a thin WebSocket client, and a raw one for bytes that no client should
send."""

import asyncio
import base64
import json
import os
import socket
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from tests.support.waiting import WAIT_S
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]
TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


class Client:
    """A WebSocket client that keeps what it has not been asked for yet.

    `unread` holds frames that came and were not expected; `events` all events in the order they came; `texts`
    the exact text of each event by id; `account` whose it is, where it was opened as somebody's.
    """

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.account: Any = None
        self.ready: Frame = {}
        self.unread: list[Frame] = []
        self.events: list[Frame] = []
        self.texts: dict[str, str] = {}

    @classmethod
    async def open(cls, url: str, **options: Any) -> Self:
        """Connect without saying hello."""
        settings = {"compression": None, "ping_interval": None, "proxy": None, "max_size": None} | options
        return cls(await connect(url, **settings))

    async def hello(self, body: Frame) -> Frame:
        """Say hello, and read until synced; what is replayed goes to `unread`."""
        await self.send({"kind": "hello", "body": body})
        self.ready = (await self.expect(kind="ready"))["body"]
        await self.expect(kind="synced")
        return self.ready

    async def send(self, frame: Frame | str | bytes) -> None:
        """Send one message as it is; bytes go as text."""
        text = json.dumps(frame) if isinstance(frame, dict) else frame
        await self.ws.send(text, text=True)

    async def read(self) -> Frame:
        """The next message."""
        text = await self.ws.recv()
        assert isinstance(text, str)
        frame: Frame = json.loads(text)
        if "seq" in frame:
            self.events.append(frame)
            self.texts[frame["id"]] = text
        return frame

    async def expect(self, within: float = WAIT_S, **members: Any) -> Frame:
        """The first message with these members, of those that came or will come; `from_` stands for
        `from`."""
        wanted = {name.rstrip("_"): value for name, value in members.items()}
        return await self._first(lambda frame: wanted.items() <= frame.items(), str(wanted), within)

    async def answer(self, frame_id: str, within: float = WAIT_S) -> Frame:
        """The event, result or error that answers a frame."""

        def fits(frame: Frame) -> bool:
            return frame.get("ref") == frame_id if "seq" not in frame else frame["id"] == frame_id

        return await self._first(fits, f"the answer to {frame_id}", within)

    async def _first(self, fits: Any, what: str, within: float) -> Frame:
        for index, frame in enumerate(self.unread):
            if fits(frame):
                return self.unread.pop(index)
        try:
            async with asyncio.timeout(within):
                while not fits(frame := await self.read()):
                    self.unread.append(frame)
        except TimeoutError:
            raise AssertionError(f"{what} did not come in {within} s, but {self.unread[-5:]}") from None
        return frame

    async def submit(
        self,
        kind: str,
        conv: str | None = None,
        *,
        id: str | None = None,  # noqa: A002
        ref: str | None = None,
        **body: Any,
    ) -> Frame:
        """Send a frame with an id and wait for its answer."""
        frame = make(kind, conv, id=id, ref=ref, **body)
        await self.send(frame)
        return await self.answer(frame["id"])

    async def text(self, conv: str, text: str) -> Frame:
        """Say something."""
        return await self.submit("chat.text", conv, text=text)

    async def pay(self, conv: str, amount: str, **body: Any) -> Frame:
        """Pay euros."""
        return await self.submit("pay.send", conv, amount=amount, **{"currency": "EUR"} | body)

    async def wallet(self, currency: str = "EUR") -> tuple[str, str] | None:
        """What the person can spend and what is held, as they are told; None without an account."""
        balances = (await self.submit("ask.wallet"))["body"]["balances"]
        return next(((b["available"], b["held"]) for b in balances if b["currency"] == currency), None)

    async def pages(
        self, kind: str, conv: str | None = None, *, by: str, **body: Any
    ) -> AsyncIterator[Frame]:
        """Every page of a list; `by` names what the `next` of one page is in the question for the
        following."""
        while True:
            page = (await self.submit(kind, conv, **body))["body"]
            yield page
            if page["next"] is None:
                return
            body[by] = page["next"]

    async def settle(self, pos: int | None = None) -> None:
        """Wait until everything that the server had for this client has come."""
        await self.send({"kind": "ping", "body": {} if pos is None else {"pos": pos}})
        await self.expect(kind="pong")

    def seen(self, **members: Any) -> list[Frame]:
        """Unexpected messages with these members."""
        wanted = {name.rstrip("_"): value for name, value in members.items()}
        return [frame for frame in self.unread if wanted.items() <= frame.items()]

    async def closed(self, within: float = WAIT_S) -> tuple[int, Frame | None]:
        """Read to the end: the close code and the body of `bye`; 1006 where there was no closing
        handshake."""
        try:
            async with asyncio.timeout(within):
                while True:
                    self.unread.append(await self.read())
        except ConnectionClosed as end:
            code = end.rcvd.code if end.rcvd is not None else 1006
        byes = self.seen(kind="bye")
        return code, byes[-1]["body"] if byes else None

    async def close(self) -> None:
        """Close in good order."""
        await self.ws.close()

    async def drop(self) -> None:
        """Break the connection without a word."""
        self.ws.transport.abort()
        await self.ws.wait_closed()


def make(
    kind: str,
    conv: str | None = None,
    *,
    id: str | None = None,  # noqa: A002
    ref: str | None = None,
    **body: Any,
) -> Frame:
    """A frame with an id."""
    frame: Frame = {"kind": kind, "id": id or new_id()}
    if conv is not None:
        frame["conv"] = conv
    if ref is not None:
        frame["ref"] = ref
    return frame | {"body": body}


def new_id() -> str:
    """An id for a frame."""
    return str(uuid.uuid4())


def frame_bytes(
    opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """One WebSocket frame of a client, well formed or not; the mask is zero, so the payload shows."""
    length, mask = len(payload), 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if length < 126:
        head += bytes([mask | length])
    elif length < 65_536:
        head += struct.pack("!BH", mask | 126, length)
    else:
        head += struct.pack("!BQ", mask | 127, length)
    return head + (b"\0\0\0\0" if masked else b"") + payload


class Raw:
    """A TCP connection that sends what it is told, and reads WebSocket frames if asked to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, receive_buffer: int | None = None) -> Self:
        """Connect to the server on this machine."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        limit = 4096 if receive_buffer is not None else 2**20
        return cls(*await asyncio.open_connection(sock=sock, limit=limit))

    async def send(self, data: bytes) -> None:
        """Send bytes; a peer that is gone is not an error here."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def frame(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        """Send one WebSocket frame."""
        await self.send(frame_bytes(opcode, payload, **options))

    async def text(self, frame: Frame) -> None:
        """Send a frame of the protocol."""
        await self.frame(TEXT, json.dumps(frame).encode())

    async def handshake(self, *lines: str, path: str = "/v1/ws", host: str = "127.0.0.1") -> str:
        """Ask for the WebSocket with these further headers; the head of the response."""
        key = base64.b64encode(os.urandom(16)).decode()
        head = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket"]
        head += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *lines, "", ""]
        await self.send("\r\n".join(head).encode("utf-8"))
        async with asyncio.timeout(WAIT_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")

    async def message(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode and payload."""
        async with asyncio.timeout(WAIT_S):
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
            return first & 0x0F, await self.reader.readexactly(length)

    async def json(self) -> Frame:
        """The next text of the server; pongs are passed over."""
        while (message := await self.message())[0] != TEXT:
            assert message[0] == PONG, message
        found: Frame = json.loads(message[1])
        return found

    async def ending(self) -> tuple[int | None, list[Frame]]:
        """Read to the end: the close code, None where the connection was cut, and the texts before it."""
        texts: list[Frame] = []
        try:
            while True:
                opcode, payload = await self.message()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big"), texts
                if opcode == TEXT:
                    texts.append(json.loads(payload))
        except (ConnectionError, asyncio.IncompleteReadError):
            return None, texts

    async def rest(self, within: float = WAIT_S) -> bytes:
        """All bytes up to the end of the connection, however it ends."""
        parts = []
        async with asyncio.timeout(within):
            try:
                while part := await self.reader.read(65_536):
                    parts.append(part)
            except ConnectionError:
                pass
        return b"".join(parts)

    async def drop(self) -> None:
        """Break the connection."""
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def parse_answer(data: bytes) -> Answer:
    """Read one response that ends with its connection."""
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Answer(int(status.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body)
