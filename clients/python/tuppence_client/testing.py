"""A small Tuppence server in this process, for tests of clients: real sockets, everything in memory.

It judges frames with the protocol's own `ServerSession`, keeps one log, answers a known id with the stored
event, and resumes by cursor; it can be told to refuse, to stay silent or to cut the socket at awkward moments.
"""

import asyncio
from collections import defaultdict
from enum import Enum
from typing import Any, Self, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tuppence_protocol import codec, kinds, shapes
from tuppence_protocol.errors import CLOSES, CloseCode, Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.session import Refused, ServerSession

from .fake.book import Book
from .fake.reads import now_ms


class Act(Enum):
    """What to do with the next frame of a kind, instead of what is right."""

    CUT_BEFORE = "cut the socket before the frame is stored"
    CUT_AFTER = "store the frame, then cut the socket before anybody is told"
    IGNORE = "say nothing"


class FakeServer:
    """`async with FakeServer() as server:` then `connect(server.url, token=server.token("alice"))`.

    Every user starts with 100.00 EUR. Of money it plays `pay.send` at once and the wallet; all else about money is
    refused (`unknown_kind`), since a second ledger would only pretend. `next("pay.send", …)` says what happens to the next such frame;
    `cut`, `bye`, `withhold` and `mute` disturb the connections there are.
    """

    def __init__(self, *, heartbeat_ms: int = 25_000, mode: str = "live") -> None:
        self.book = Book()
        self.book.mode = mode
        self.heartbeat_ms = heartbeat_ms
        self.received: list[shapes.Frame] = []
        self.hellos: list[kinds.HelloBody] = []
        self.expired: set[str] = set()
        self.can_resume = True
        self.muted = False
        self._heard = asyncio.Condition()
        self._script: dict[str, list[Act | Refusal]] = defaultdict(list)
        self._withheld: set[str] = set()
        self._open: dict[ServerConnection, str] = {}
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The base URL."""
        assert self._server is not None
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://{host}:{port}"

    def token(self, handle: str, login: str = "") -> str:
        """The token of a user, who is made if need be; another one for each `login`. Put it into `expired` to
        end it."""
        self.book.user(handle)
        return f"token-{handle}/{login}" if login else f"token-{handle}"

    def next(self, kind: str, *acts: Act | Refusal) -> None:
        """What to do with the next frames of that kind, one each."""
        self._script[kind] += acts

    async def heard(self, kind: str, count: int = 1) -> None:
        """Wait until that many frames of a kind have come."""
        async with self._heard:
            await self._heard.wait_for(lambda: sum(frame.kind == kind for frame in self.received) >= count)

    def cut(self, handle: str) -> None:
        """Abort all sockets of a user, without a close frame."""
        for socket in self._sockets(handle):
            socket.transport.abort()

    async def bye(self, handle: str, close: CloseCode, retry_ms: int | None = None) -> None:
        """Say goodbye to a user and close."""
        for socket in self._sockets(handle):
            await self._say_bye(socket, close, retry_ms)

    async def close(self, handle: str, number: int) -> None:
        """Close without a goodbye, by any code that RFC 6455 lets a server send."""
        for socket in self._sockets(handle):
            await socket.close(number)

    async def _say_bye(self, socket: ServerConnection, close: CloseCode, retry_ms: int | None = None) -> None:
        body = {"code": close.number, "reason": close.name, "retry_ms": retry_ms}
        await socket.send(codec.encode_object({"kind": "bye", "body": body}), text=True)
        await socket.close(close.number, close.name)

    def withhold(self, handle: str) -> None:
        """Do not tell a user the next event, as if it were lost on the way: a gap."""
        self._withheld.add(handle)

    async def tell(self, handle: str, **frame: Any) -> None:
        """Send a user any frame."""
        for socket in self._sockets(handle):
            await socket.send(codec.encode_object(frame), text=True)

    def connections(self, handle: str) -> int:
        """How many connections a user has."""
        return len(self._sockets(handle))

    def _sockets(self, handle: str) -> list[ServerConnection]:
        return [socket for socket, who in self._open.items() if who == handle]

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, compression=None, ping_interval=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for socket in list(self._open):
            socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    # --- one connection -----------------------------------------------------------------------------

    async def _serve(self, socket: ServerConnection) -> None:
        session = ServerSession()
        try:
            async for message in socket:
                raw = message.encode() if isinstance(message, str) else message
                decided = session.receive(raw)
                if isinstance(decided, CloseCode):
                    await socket.close(decided.number, decided.name)
                elif isinstance(decided, Refused):
                    await socket.send(codec.encode_error(decided.refusal, decided.ref), text=True)
                else:
                    self.received.append(decided.frame)
                    async with self._heard:
                        self._heard.notify_all()
                    await self._act(socket, session, decided.frame)
        except ConnectionClosed:
            pass
        finally:
            self._open.pop(socket, None)

    async def _act(self, socket: ServerConnection, session: ServerSession, frame: shapes.Frame) -> None:
        script = self._script[frame.kind]
        act = script.pop(0) if script else None
        if isinstance(act, Refusal):
            answer = codec.encode_error(act, getattr(frame, "id", None))
            await socket.send(answer, text=True)
        elif act is Act.CUT_BEFORE:
            socket.transport.abort()
        elif act is not Act.IGNORE:
            match frame:
                case kinds.Hello(body):
                    await self._hello(socket, session, body)
                case kinds.Ping() if not self.muted:
                    await socket.send(codec.encode(kinds.Pong(body=kinds.PongBody(now=now_ms()))), text=True)
                case shapes.Durable():
                    await self._durable(socket, frame, cut=act is Act.CUT_AFTER)
                case shapes.Ask():
                    answer = self.book.answer(self._open[socket], frame)
                    await socket.send(answer, text=True)
                case shapes.Live():
                    await self._live(self._open[socket], frame)

    async def _hello(self, socket: ServerConnection, session: ServerSession, hello: kinds.HelloBody) -> None:
        self.hellos.append(hello)
        if hello.token in self.expired:
            await self._say_bye(socket, CLOSES["token_expired"])
            return
        handle = hello.token.removeprefix("token-").partition("/")[0]
        if handle not in self.book.users:
            refusal = Refusal("bad_token", "The token is unknown, expired or revoked.")
            await socket.send(codec.encode_error(refusal), text=True)
            await socket.close(CLOSES["bad_token"].number, "bad_token")
            return
        session.admitted()
        self._open[socket] = handle
        resumed = hello.epoch == self.book.epoch and self.can_resume
        ready = self.book.ready(handle, self.heartbeat_ms, resumed=resumed, epoch=hello.epoch)
        await socket.send(codec.encode(ready), text=True)
        if resumed:
            end = self.book.pos
            for event in self.book.visible(handle, after=cast("int", hello.pos)):
                await socket.send(codec.encode(event), text=True)
            await socket.send(codec.encode(kinds.Synced(body=kinds.SyncedBody(pos=end))), text=True)

    async def _durable(self, socket: ServerConnection, frame: shapes.Durable, *, cut: bool) -> None:
        handle = self._open[socket]
        known = self.book.by_id.get(frame.id)
        outcome = known if known is not None else self.book.take(handle, frame)
        if cut:
            socket.transport.abort()
        if isinstance(outcome, Refusal):
            await socket.send(codec.encode_error(outcome, frame.id), text=True)
        elif known is not None:
            await socket.send(codec.encode(outcome), text=True)
        else:
            await self._broadcast(outcome)

    async def _broadcast(self, event: Event) -> None:
        for socket, who in list(self._open.items()):
            if not self.book.sees(who, event):
                continue
            if who in self._withheld:
                self._withheld.discard(who)
                continue
            try:
                await socket.send(codec.encode(event), text=True)
                for view in self.book.moved(who, event):
                    await socket.send(codec.encode(kinds.BalanceNotice(body=view)), text=True)
            except ConnectionClosed:
                continue

    async def _live(self, handle: str, frame: shapes.Live) -> None:
        me = self.book.users[handle]
        for notice, who in self.book.notices(me, frame):
            for socket in self._sockets(who):
                await socket.send(codec.encode(notice), text=True)
