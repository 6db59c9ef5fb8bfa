"""TLS handshakes: counted per address from the first byte on, and over in HANDSHAKE_S_MAX or cut.

The loop's own TLS server tells nobody of a connection before its handshake is done, so that those which never
begin one would be neither counted nor bounded. Here a connection is taken in the clear, counted, and only
then shakes hands. That task and its deadline end with the handshake. Whoever is counted is taken off again
exactly once, however the end of the handshake, bytes and the loss of the connection follow on each other.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from .acceptor import Acceptor
from .handshake import client_address

HANDSHAKE_S_MAX: Final = 10.0
SHUTDOWN_S_MAX: Final = 5.0
"""How long a peer may take to say goodbye in TLS."""


class Door(asyncio.Protocol):
    """A connection before and during its handshake; `inner` makes the protocol that it is for,
    of what is `given`."""

    def __init__(
        self,
        acceptor: Acceptor,
        context: ssl.SSLContext,
        inner: Callable[..., asyncio.Protocol],
        **given: Any,
    ) -> None:
        self._acceptor = acceptor
        self._context = context
        self._inner = partial(inner, **given)
        self._early: list[bytes] = []
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or turn it away before anything is computed for it."""
        stream = cast("asyncio.Transport", transport)
        addresses, address = self._acceptor.addresses, client_address(transport)
        addresses.enter(address)
        if addresses.crowded(address):
            addresses.leave(address)
            stream.abort()
            return
        self._acceptor.spawn(self._shake(stream, address))

    def data_received(self, data: bytes) -> None:
        """The handshake's first bytes, where they are here before it begins."""
        self._early.append(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """It is gone before the handshake began, which would never be told so, and wait for ever."""
        self._lost = True

    async def _shake(self, transport: asyncio.Transport, address: str) -> None:
        threshold, loop = _Threshold(), self._acceptor.loop
        handshake = loop.start_tls(
            transport,
            threshold,
            self._context,
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_S_MAX,
            ssl_shutdown_timeout=SHUTDOWN_S_MAX,
        )
        try:
            async with asyncio.timeout(HANDSHAKE_S_MAX + SHUTDOWN_S_MAX):  # whatever the loop's TLS forgets
                shaking = loop.create_task(handshake)
                await asyncio.sleep(0)  # it has put its own protocol in place, and not yet read
                if self._lost:
                    shaking.cancel()
                    return
                if (taken := transport.get_protocol()) is not self:
                    _feed(taken, self._early)
                secure = await shaking
        except (
            OSError,
            RuntimeError,
        ):  # no handshake, or not in time, or gone; the latter is uvloop's word for that
            self._acceptor.metrics.closes["tls_handshake"] += 1
            transport.abort()
            return
        finally:
            self._acceptor.addresses.leave(address)
        if secure is not None:
            threshold.cross(secure, self._inner())


def _feed(protocol: Any, early: list[bytes]) -> None:
    """Hand bytes to a TLS protocol, which lends its buffer as to a transport (`asyncio.BufferedProtocol`)."""
    rest = memoryview(b"".join(early))
    while rest:
        buffer = protocol.get_buffer(len(rest))
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]


class _Threshold(asyncio.Protocol):
    """Keeps what comes between the end of the handshake and the protocol's turn; passes on what is later.

    The loop binds a call when it asks for it: one asked for before `cross` still comes here after it.
    """

    def __init__(self) -> None:
        self._early: list[bytes] = []
        self._ended = False
        self._lost = False
        self._crossed: asyncio.Transport | None = None

    def data_received(self, data: bytes) -> None:
        """The first bytes may come together with the handshake's last."""
        if self._crossed is None:
            self._early.append(data)
        else:
            _protocol_of(self._crossed).data_received(data)

    def eof_received(self) -> bool | None:
        """The peer has said all."""
        if self._crossed is not None:
            return _protocol_of(self._crossed).eof_received()
        self._ended = True
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone: before it came in, or while it did."""
        self._lost = True
        if self._crossed is not None:
            _protocol_of(self._crossed).connection_lost(exc)

    def cross(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Hand the connection over, with what has come; one that is gone or going is not handed over."""
        if self._lost or transport.is_closing():
            transport.abort()
            return
        transport.set_protocol(protocol)
        self._crossed = transport
        protocol.connection_made(transport)
        for data in self._early:
            _protocol_of(transport).data_received(data)
        if self._ended:
            _protocol_of(transport).eof_received()


def _protocol_of(transport: asyncio.Transport) -> asyncio.Protocol:
    """Whose turn it is: an upgrade, even by the first bytes, passes the connection on."""
    return cast("asyncio.Protocol", transport.get_protocol())
