"""One socket at a time, for ever: connect, hello, read, heartbeat; and again after a pause when it ends.

Nothing of the user's code runs in these tasks, and what they do with a message never waits, so a slow or
blocked consumer cannot keep acks, heartbeats or reconnects from working.
"""

import asyncio
import contextlib
import logging
import ssl
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from tuppence_protocol.kinds import ByeBody, Error
from tuppence_protocol.limits import SUBPROTOCOL
from tuppence_protocol.session import ClientSession, Effect, Ended, Noticed, Opened

from .backoff import Pace
from .errors import TOKEN_EXPIRED, ConnectionEnded
from .notices import State
from .tokens import Tokens

log: Final = logging.getLogger("tuppence_client")
_socket_log: Final = logging.getLogger("tuppence_client.socket")
_socket_log.setLevel(logging.INFO)  # at DEBUG websockets would write the token into the log
MESSAGE_BYTES_MAX: Final = 32 * 2**20
"""The longest answer is a page of history: PAGE_EVENTS_MAX events of up to FRAME_BYTES_MAX, escaped."""
_FATAL_ERRORS: Final = {"bad_token": 4500, "account_disabled": 4504}
_TOKEN_ENDS: Final = frozenset({TOKEN_EXPIRED, 4500})
"""A server that has forgotten an expired login calls it unknown, so another token is worth a try after
both."""


class Sink(Protocol):
    """Where the connection puts what happens; none of these may wait."""

    def effect(self, effect: Effect) -> None: ...

    def disconnected(self) -> None: ...

    def state(self, state: State, retry_s: float | None, ended: ConnectionEnded | None) -> None: ...


class Connection:
    """The connection to the server, over many sockets; `run` until it ends for good."""

    def __init__(
        self,
        url: str,
        session: ClientSession,
        sink: Sink,
        pace: Pace,
        tokens: Tokens,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._url = url
        self._tls: dict[str, Any] = {} if tls is None or not url.startswith("wss:") else {"ssl": tls}
        self._tokens = tokens
        self._session = session
        self._sink = sink
        self._pace = pace
        self._socket: ClientConnection | None = None
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._bye: ByeBody | None = None
        self._fatal: ConnectionEnded | None = None
        self._opened = False
        self._fresh = False
        self._heartbeat_s = 0.0
        self._since_s = self._heard_s = 0.0
        self._ready = asyncio.Event()
        self._may_connect = asyncio.Event()
        self._may_connect.set()

    def post(self, raw: bytes) -> None:
        """Send a frame on the socket there is; it is lost when that socket ends."""
        self._out.put_nowait(raw)

    def drop(self) -> None:
        """Abort the socket as a broken network would; the connection comes back and resumes."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def close(self) -> None:
        """Say goodbye: what was posted goes out, then the socket is closed."""
        if self._socket is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._out.join()
            await self._socket.close()

    def hold(self) -> None:
        """Drop the socket and stay away until `release`."""
        self._may_connect.clear()
        self.drop()

    def release(self) -> None:
        """Connect again."""
        self._may_connect.set()

    async def run(self) -> ConnectionEnded:
        """Keep connecting until the server says to stop; returns why."""
        attempt = -1
        wanted = self._tokens.renewable
        while True:
            await self._may_connect.wait()
            self._sink.state(State.CONNECTING, None, None)
            ended = await self._renewed() if wanted else None
            if ended is None:
                ended = await self._one_socket()
                wanted = self._renewable(ended)
                if wanted:
                    continue
            if ended.final:
                return ended
            retry_ms = self._bye.retry_ms if self._bye else None
            attempt = 0 if self._lasted() else attempt + 1
            pause_s = self._pace.backoff(attempt, retry_ms)
            log.info("disconnected: %s; next attempt in %.1f s", ended.message, pause_s)
            self._sink.state(State.WAITING, pause_s, ended)
            await asyncio.sleep(pause_s)

    def _renewable(self, ended: ConnectionEnded) -> bool:
        """Whether another token may help; one that was just made and is refused is the end of it."""
        fresh, self._fresh = self._fresh and not self._opened, False
        return self._tokens.renewable and ended.close_code in _TOKEN_ENDS and not fresh

    async def _renewed(self) -> ConnectionEnded | None:
        self._bye, self._opened = None, False
        failed = await self._tokens.renew()
        self._session.token = self._tokens.current
        self._fresh = failed is None
        return failed

    def _lasted(self) -> bool:
        """A connection that opens and falls again at once is no reason to start over with short pauses."""
        return self._opened and asyncio.get_running_loop().time() - self._since_s > 10 * self._pace.backoff_s

    async def _one_socket(self) -> ConnectionEnded:
        self._bye = self._fatal = None
        self._opened = False
        self._out = asyncio.Queue()
        self._ready.clear()
        try:
            socket = await self._connect()
        except InvalidURI as fault:
            return ConnectionEnded(4501, f"not a WebSocket address: {fault}")
        except InvalidStatus as fault:
            return ConnectionEnded(1006, f"the server answered {fault.response.status_code} to the handshake")
        except (OSError, WebSocketException, TimeoutError) as fault:
            return ConnectionEnded(1006, f"could not connect: {str(fault) or type(fault).__name__}")
        try:
            return await self._converse(socket)
        finally:
            self._socket = None
            self._session.lost()
            self._sink.disconnected()
            socket.transport.abort()

    async def _connect(self) -> ClientConnection:
        return await connect(
            self._url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            logger=_socket_log,
            open_timeout=self._pace.open_s,
            close_timeout=1.0,
            ping_interval=None,  # the protocol has a heartbeat of its own, which acknowledges as well
            max_size=MESSAGE_BYTES_MAX,
            **self._tls,
        )

    async def _converse(self, socket: ClientConnection) -> ConnectionEnded:
        self._socket = socket
        self._since_s = self._heard_s = asyncio.get_running_loop().time()
        self.post(self._session.hello())
        helpers = [asyncio.create_task(self._write(socket)), asyncio.create_task(self._beat(socket))]
        try:
            async for message in socket:
                self._heard_s = asyncio.get_running_loop().time()
                for effect in self._session.receive(message):
                    self._take(effect)
        except ConnectionClosed:
            pass
        except ValueError as fault:
            log.warning("a message was not understood: %s", fault)
            return ConnectionEnded(1006, f"a message was not understood: {fault}")
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return self._fatal or self._ended(socket)

    def _ended(self, socket: ClientConnection) -> ConnectionEnded:
        if self._bye is not None:
            return ConnectionEnded(self._bye.code, self._bye.reason)
        if socket.protocol.close_rcvd_then_sent is False:
            return ConnectionEnded(1006, "the connection was given up: what came was not WebSocket")
        return ConnectionEnded(socket.close_code or 1006, socket.close_reason or "the connection was lost")

    def _take(self, effect: Effect) -> None:
        match effect:
            case Opened(ready):
                self._opened = True
                self._heartbeat_s = ready.heartbeat_ms / 1000
                self._ready.set()
            case Ended(bye):
                self._bye = bye
            case Noticed(Error(ref=None) as error) if error.body.code in _FATAL_ERRORS:
                self._fatal = ConnectionEnded(_FATAL_ERRORS[error.body.code], error.body.message)
        self._sink.effect(effect)

    async def _write(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(await self._out.get(), text=True)
                self._out.task_done()

    async def _beat(self, socket: ClientConnection) -> None:
        """Ping every heartbeat, the first one at a random moment; silence for too long ends the socket."""
        try:
            async with asyncio.timeout(self._pace.open_s):
                await self._ready.wait()
        except TimeoutError:
            socket.transport.abort()
            return
        loop = asyncio.get_running_loop()
        pause_s = self._heartbeat_s * self._pace.jitter()
        while True:
            await asyncio.sleep(pause_s)
            if loop.time() - self._heard_s > 1.5 * self._heartbeat_s + self._pace.silence_s:
                log.warning("nothing heard for too long; reconnecting")
                socket.transport.abort()
                return
            self.post(self._session.ping())
            pause_s = self._heartbeat_s
