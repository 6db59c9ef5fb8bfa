"""The real edge over a store, without sockets: what a connection is sent is kept, and time is set by the
test."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.contract.stores import START_MS, command
from tests.support.road import IDS, PEOPLE, wire_id
from tests.support.waiting import turn_until
from tests.support.wire import TEXT, frame_bytes
from websockets.protocol import State
from websockets.server import ServerProtocol

from tuppence_server.app import App
from tuppence_server.config.settings import Settings
from tuppence_server.domain.commands import CreateUser, OpenSession
from tuppence_server.edge.connection import Socket
from tuppence_server.ids import token_hash
from tuppence_server.pipeline.clock import Clock
from tuppence_server.store.contract import Store

SESSION_MS: Final = 1_000_000


class FakeTransport:
    """A transport that keeps what is written; `waits` bytes of it are not taken."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        self.written: list[bytes] = []
        self.waits = 0
        self.aborted = False
        self._address = address

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return self._address, 50_000

    def set_write_buffer_limits(self, high: int) -> None:
        """Every byte that waits is told of."""

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self.waits

    def abort(self) -> None:
        self.aborted = True


def opened(socket: Socket) -> Socket:
    """The connection as it is after its handshake."""
    socket.engine = ServerProtocol(state=State.OPEN)
    return socket


class Edge:
    """One server's parts, three people with a login each, and a clock for all of it."""

    def __init__(self, folder: Path, store: Store, head: Any, **given: Any) -> None:
        self.at_ms = START_MS
        settings = Settings(data=folder, password_workers=1, password_memory_kib=8, **given)
        clock = Clock(lambda: self.at_ms * 10**6, lambda: 0)
        self.app = App(settings, store, head, clock, lambda: None)
        self.app.acceptor.now = lambda: self.at_ms / 1_000
        self.store = store

    async def begin(self) -> None:
        for number, who in enumerate(PEOPLE):
            made = CreateUser(IDS[who], wire_id("c_", number + 1), who, "", None)
            login = OpenSession(
                wire_id("s_", number + 1), IDS[who], token_hash(who), "", START_MS + SESSION_MS, None
            )
            for order in (made, login):
                await self.app.pipeline.ask(command(order))

    def arrive(self, address: str = "192.0.2.1") -> Socket:
        """A connection that has said nothing yet."""
        socket = opened(Socket(self.app.acceptor, self.app.lanes))
        socket.connection_made(FakeTransport(address))  # type: ignore[arg-type]
        return socket

    async def enter(self, who: str, address: str = "192.0.2.1", **body: Any) -> Socket:
        """A connection that has said hello by somebody's login, and was answered; `token` for another."""
        socket = self.arrive(address)
        say(socket, "hello", **{"token": who} | body)
        await turn_until(lambda: told(socket) != [])
        return socket


@asynccontextmanager
async def edge_on(store: Store, folder: Path, **settings: Any) -> AsyncIterator[Edge]:
    """The edge of a server that is under way."""
    edge = Edge(folder, store, await store.head(), **settings)
    async with edge.app.under_way():
        await edge.begin()
        yield edge


def say(socket: Socket, kind: str, **members: Any) -> None:
    """Send one frame; what is no member of frames stands in its body."""
    outer = {name: members.pop(name) for name in ("id", "conv", "ref") if name in members}
    socket.data_received(frame_bytes(TEXT, json.dumps({"kind": kind, **outer, "body": members}).encode()))


def told(socket: Socket) -> list[dict[str, Any]]:
    """All frames that a connection was sent so far."""
    found: list[dict[str, Any]] = []
    data = b"".join(socket.transport.written)  # type: ignore[union-attr]
    while data:
        size, start = data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        if data[0] == 0x81:
            found.append(json.loads(data[start : start + size]))
        data = data[start + size :]
    return found


def kinds(socket: Socket) -> list[str]:
    return [frame["kind"] for frame in told(socket)]


def reason(socket: Socket) -> str:
    """Why the server closed a connection."""
    return told(socket)[-1]["body"]["reason"]
