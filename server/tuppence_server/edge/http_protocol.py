"""HTTP connections under the same rules as WebSockets: counted per address,
and a request must come in time."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tuppence_server.hub.outbox import OUTBOX_WRITE_BYTES_MAX

from .acceptor import Acceptor
from .handshake import client_address
from .unread import Unread

REQUEST_S_MAX: Final = 10.0
"""From the connection, or the first byte of a further request, to the end of its headers and body."""
HEADER_BYTES_MAX: Final = 16 * 1024
PIPELINED_REQUESTS_MAX: Final = 16
"""Requests that one connection may send ahead of their answers."""
_CROWDED: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 10\r\n\r\n"
)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a deadline for slow senders and a bound on headers."""

    acceptor: Acceptor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._slot: int | None = None
        self._address = ""
        self._started: float | None = None
        self._head_bytes = 0
        self._unread = Unread()
        self._cycles: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or turn it away."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=OUTBOX_WRITE_BYTES_MAX)
        acceptor = self.acceptor
        self._address = client_address(transport)
        self._started = acceptor.now()
        self._slot = acceptor.wheel.add(self)
        acceptor.addresses.enter(self._address)
        if acceptor.addresses.crowded(self._address):
            transport.write(_CROWDED)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._unwatch()
        self.acceptor.addresses.leave(self._address)
        for cycle in self._cycles:  # uvicorn tells only the one that was read last
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self.transport.is_closing():
            return
        if self._started is None:
            self._started = self.acceptor.now()
        super().data_received(data)

    def _get_upgrade(self) -> bytes | None:
        """What the request asks for instead of HTTP; HTTP/1.0 has no such thing (RFC 9110 section 7.8)."""
        if self.parser.get_http_version() != "1.1":
            return None
        asked = b",".join(value for name, value in self.headers if name == b"connection").lower()
        if b"upgrade" not in {token.strip() for token in asked.split(b",")}:
            return None
        return b", ".join(value for name, value in self.headers if name == b"upgrade").lower()

    def send_400_response(self, msg: str) -> None:
        """Answer and count what is no HTTP: a line in the log for each would let a stranger fill the disk."""
        self.acceptor.metrics.malformed_requests += 1
        super().send_400_response(msg)

    def _unsupported_upgrade_warning(self) -> None:
        """The request is answered as the HTTP that it is; there is nothing to tell."""

    def handle_websocket_upgrade(self) -> None:
        """From here on the socket watches and counts itself."""
        if self.transport.is_closing():  # its body was refused
            return
        self._unwatch()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """A new request."""
        self._head_bytes = 0
        if len(self.pipeline) >= PIPELINED_REQUESTS_MAX:
            raise ValueError(HTTPStatus.TOO_MANY_REQUESTS.phrase)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._measure(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is here as a whole; the answer is worked on from now on. An upgrade has no body."""
        if self.parser.should_upgrade() and self._should_upgrade() and _has_body(self.headers):
            self.send_400_response("An upgrade has no body.\n")
            return
        super().on_headers_complete()
        if self.cycle is not None:
            self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
            self._cycles.append(self.cycle)

    def on_message_complete(self) -> None:
        """The request is here as a whole."""
        self._started = None
        super().on_message_complete()

    def check(self, now: float) -> None:
        """Cut a connection whose request does not come to an end, or whose answer is not taken."""
        late = self._started is not None and now - self._started > REQUEST_S_MAX
        if late or self._left_unread(now):
            self.transport.abort()

    def resume_writing(self) -> None:
        """The peer took what there was."""
        self._unread.taken()
        super().resume_writing()

    def _left_unread(self, now: float) -> bool:
        if not self.flow.write_paused:
            return False
        waits = self.transport.get_write_buffer_size()
        self.acceptor.pressure.note(waits, self)
        return self._unread.late(waits, now)

    def cut(self) -> None:
        """End it at once, with what waits for it."""
        self.transport.abort()

    def _measure(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEADER_BYTES_MAX:
            raise ValueError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE.phrase)

    def _unwatch(self) -> None:
        if self._slot is not None:
            self.acceptor.wheel.remove(self, self._slot)
            self._slot = None


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t"))
        for name, value in headers
    )


def http_protocol(acceptor: Acceptor) -> type[HttpProtocol]:
    """The class that uvicorn makes connections of, bound to one server."""
    return type("BoundHttpProtocol", (HttpProtocol,), {"acceptor": acceptor})
