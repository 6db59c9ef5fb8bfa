"""The network between clients and a real server: it passes on what is sent, or fails as a test asks it to."""

import asyncio
import json
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from enum import Enum
from typing import Any, Final, Self

from msgspec import UNSET
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tuppence_protocol import codec, shapes
from tuppence_protocol.errors import CloseCode, Refusal
from tuppence_protocol.kinds import Hello
from tuppence_protocol.limits import SUBPROTOCOL

from .server import Server


class Act(Enum):
    """What becomes of a frame."""

    CUT_BEFORE = "cut the socket; the server never sees the frame"
    CUT_AFTER = "pass the frame on, and cut the socket instead of telling its author what came of it"
    IGNORE = "lose the frame, and say nothing"


Planned = Act | Refusal | CloseCode | float
"""That; or a refusal or a goodbye instead of the server's answer; or so many seconds on the way."""


class Sandbox:
    """`async with Sandbox() as server:` then `connect(server.url, token=server.token("alice"))`.

    A real server, in a process and a directory of its own, behind a network that is told what to do:
    `next("pay.send", …)` says what becomes of the next such frame; `cut`, `bye`, `close`, `withhold` and
    `tell` disturb the connections there are. `settings` are those of `tuppence serve`, as its environment has
    them: `Sandbox(exchange_rates='{"EUR/JPY": "160"}')`. `heartbeat_ms` is told instead of its own.
    """

    def __init__(self, *, heartbeat_ms: int | None = None, **settings: str) -> None:
        self.server = Server(**settings)
        self.url = ""
        self.heartbeat_ms = heartbeat_ms
        self.received: list[shapes.Frame] = []
        """What clients sent, whatever became of it."""
        self.planned: defaultdict[str, list[Planned]] = defaultdict(list)
        self.can_resume = True
        """Where False, the server is not told from where a client would resume."""
        self._heard = asyncio.Condition()
        self._withheld: set[str] = set()
        self._handles: dict[str, str] = {}
        self._open: set[_Way] = set()
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._running.enter_async_context(self.server)
        network = await self._running.enter_async_context(serve(self._serve, "127.0.0.1", 0, **_AS_IT_IS))
        host, port = next(iter(network.sockets)).getsockname()[:2]
        self.url = f"ws://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()

    def token(self, handle: str) -> str:
        """Another token of a person, who is made with 100.00 EUR if need be."""
        admin = self.server.admin
        if handle not in self._handles.values():
            admin("user.add", handle=handle, name=handle.title(), password=None)
            admin("wallet.credit", handle=handle, amount="100.00", currency="EUR")
        token: str = admin("session.open", handle=handle)["token"]
        self._handles[token] = handle
        return token

    async def heard(self, kind: str, count: int = 1) -> None:
        """Wait until that many frames of a kind have come."""
        async with self._heard:
            await self._heard.wait_for(lambda: sum(frame.kind == kind for frame in self.received) >= count)

    def next(self, kind: str, *acts: Planned) -> None:
        """What becomes of the next frames of that kind, one each."""
        self.planned[kind] += acts

    def cut(self, handle: str) -> None:
        """Abort all sockets of a person, without a close frame."""
        for way in self._of(handle):
            way.client.transport.abort()

    async def bye(self, handle: str, close: CloseCode, retry_ms: int | None = None) -> None:
        """Say goodbye to a person and close."""
        for way in self._of(handle):
            await way.bye(close, retry_ms)

    async def close(self, handle: str, number: int) -> None:
        """Close without a goodbye, by any code that RFC 6455 lets a server send."""
        for way in self._of(handle):
            await way.client.close(number)

    def withhold(self, handle: str) -> None:
        """Lose the next event on its way to a person: a gap."""
        self._withheld.add(handle)

    async def tell(self, handle: str, **frame: Any) -> None:
        """Send a person any frame, as if the server had."""
        for way in self._of(handle):
            await way.tell(codec.encode_object(frame))

    def _of(self, handle: str) -> "set[_Way]":
        return {way for way in self._open if way.handle == handle}

    # --- one connection ---------------------------------------------------------------------------

    async def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        url = self.server.url.replace("http", "ws", 1) + client.request.path
        async with connect(url, **_AS_IT_IS) as server:
            way = _Way(client, server)
            self._open.add(way)
            down = asyncio.create_task(self._down(way))
            try:
                await self._up(way)
            finally:
                self._open.discard(way)
                server.transport.abort()
                await down

    async def _up(self, way: "_Way") -> None:
        """From the client to the server."""
        with suppress(ConnectionClosed):
            async for message in way.client:
                decoded = codec.decode_client(message)
                if isinstance(decoded, Refusal):
                    await way.server.send(message)  # which says what is wrong with it
                else:
                    await self._take(way, decoded.frame)

    async def _take(self, way: "_Way", frame: shapes.Frame) -> None:
        self.received.append(frame)
        async with self._heard:
            self._heard.notify_all()
        if isinstance(frame, Hello):
            way.handle = self._handles.get(frame.body.token, "")
            if not self.can_resume:
                frame = replace(frame, body=replace(frame.body, epoch=UNSET, pos=UNSET))
        name = getattr(frame, "id", None)
        match self.planned[frame.kind].pop(0) if self.planned[frame.kind] else None:
            case Refusal() as refusal:
                await way.tell(codec.encode_error(refusal, name))
            case CloseCode() as close:
                await way.bye(close, None)
            case Act.CUT_BEFORE:
                way.client.transport.abort()
            case Act.IGNORE:
                pass
            case act:
                await asyncio.sleep(act if isinstance(act, float) else 0)
                way.cut_at = (name or "ready") if act is Act.CUT_AFTER else way.cut_at
                await way.server.send(codec.encode(frame), text=True)

    async def _down(self, way: "_Way") -> None:
        """From the server to the client, and how it ended."""
        try:
            async for message in way.server:
                told = json.loads(message)
                if way.cut_at is not None and way.cut_at in (told["kind"], told.get("id"), told.get("ref")):
                    way.client.transport.abort()
                elif "seq" in told and way.handle in self._withheld:
                    self._withheld.discard(way.handle)
                elif told["kind"] == "ready" and self.heartbeat_ms is not None:
                    told["body"]["heartbeat_ms"] = self.heartbeat_ms
                    await way.tell(codec.encode_object(told))
                else:
                    await way.client.send(message)
        except ConnectionClosed as end:
            if end.rcvd is not None:
                await way.client.close(end.rcvd.code, end.rcvd.reason)
        finally:
            way.client.transport.abort()


class _Way:
    """The two sockets of one connection, whose it is, and the id whose outcome is cut off."""

    def __init__(self, client: ServerConnection, server: ClientConnection) -> None:
        self.client = client
        self.server = server
        self.handle = ""
        self.cut_at: str | None = None

    async def tell(self, frame: bytes) -> None:
        await self.client.send(frame, text=True)

    async def bye(self, close: CloseCode, retry_ms: int | None) -> None:
        body = {"code": close.number, "reason": close.name, "retry_ms": retry_ms}
        await self.tell(codec.encode_object({"kind": "bye", "body": body}))
        await self.client.close(close.number, close.name)


_AS_IT_IS: Final[dict[str, Any]] = {
    "subprotocols": [Subprotocol(SUBPROTOCOL)], "compression": None, "ping_interval": None,
}  # fmt: skip
