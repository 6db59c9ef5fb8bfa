"""The WebSocket handshake: which request becomes a connection, and from which address it counts."""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from websockets.exceptions import InvalidMessage
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from tuppence_protocol.limits import FRAME_BYTES_MAX, SUBPROTOCOL
from tuppence_server.config.settings import Settings

from .acceptor import Acceptor

PATH: Final = "/v1/ws"
VERSION: Final = "13"
"""RFC 6455's; others were drafts."""
_NO_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 28\r\n\r\nThis is no upgrade request.\n"
)
_quiet = logging.getLogger("tuppence.websockets")
_quiet.setLevel(logging.CRITICAL)


def make_engine(origins: Sequence[Origin | None]) -> ServerProtocol:
    """The RFC 6455 engine of one connection. No compression: one encoding serves every receiver."""
    return ServerProtocol(
        origins=origins,
        extensions=None,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        select_subprotocol=_offered,
        max_size=FRAME_BYTES_MAX,
        logger=_quiet,
    )


def judge(acceptor: Acceptor, engine: ServerProtocol, request: Request, address: str) -> Response:
    """Accept the handshake or say why not."""
    path, _, _query = request.path.partition("?")
    if path != PATH:
        return engine.reject(HTTPStatus.NOT_FOUND, f"The WebSocket is at {PATH}.\n")
    versions = request.headers.get_all("Sec-WebSocket-Version")
    if versions and versions != [VERSION]:
        response = engine.reject(
            HTTPStatus.UPGRADE_REQUIRED, f"WebSocket version {VERSION} is spoken here.\n"
        )
        response.headers["Upgrade"] = "websocket"
        response.headers["Sec-WebSocket-Version"] = VERSION
        return response
    if len(request.headers.get_all("Host")) != 1:
        return engine.reject(HTTPStatus.BAD_REQUEST, "A request has one Host header.\n")
    if acceptor.draining:
        return engine.reject(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping.\n")
    if acceptor.addresses.crowded(address):
        return engine.reject(HTTPStatus.TOO_MANY_REQUESTS, "Too many connections from this address.\n")
    return engine.accept(request)


def word_on_no_request(acceptor: Acceptor, engine: ServerProtocol) -> bytes:
    """The answer to a head that the engine could not read, as it closes without a word; else nothing."""
    if not isinstance(engine.handshake_exc, InvalidMessage):
        return b""
    acceptor.metrics.malformed_requests += 1
    return _NO_REQUEST


def client_address(transport: asyncio.BaseTransport) -> str:
    """The peer's network address."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def _offered(_: ServerProtocol, offered: object) -> Subprotocol | None:
    """Echo the subprotocol where it was offered; do without it where it was not."""
    return Subprotocol(SUBPROTOCOL) if isinstance(offered, (list, tuple)) and SUBPROTOCOL in offered else None


def origins_of(settings: Settings) -> list[Origin | None]:
    """Exactly these; no Origin at all is fine, since a page cannot leave it out."""
    own = {settings.base_url}
    if settings.host in ("127.0.0.1", "localhost", "::1"):
        own |= {f"http://{name}:{settings.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    return [
        None,
        *(Origin(origin) for origin in sorted(own | {*settings.origins, *settings.program_origins})),
    ]
