"""The routes beside the WebSocket. Errors have the same body as the `error` frame,
with the natural status."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tuppence_protocol import codec, schema
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import DEVICE_CHARS_MAX, FRAME_BYTES_MAX
from tuppence_protocol.shapes import Ask, Durable
from tuppence_server import __version__
from tuppence_server.admin.arguments import NewUser
from tuppence_server.admin.backup import BackupError
from tuppence_server.admin.credentials import handle_meant
from tuppence_server.admin.refusals import NOBODY, Refused
from tuppence_server.admin.service import AdminService
from tuppence_server.config.networks import neighbourhood
from tuppence_server.config.settings import Settings
from tuppence_server.domain.effects import Stored
from tuppence_server.domain.request import Request as Submission
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import Identity, Store

from .acceptor import Acceptor
from .asks import AskLane
from .auth import Auth
from .guests import Guests
from .rate_limits import ASK, DURABLE, Paces, RateLimits
from .readiness import Readiness
from .statements import Statements

T = TypeVar("T")
log = structlog.get_logger("tuppence.http")
BAD_TOKEN: Final = Refusal("bad_token", "The token is unknown, expired or revoked.")
CLOSED: Final = Refusal("forbidden", "Registration is closed; ask the operator for an account.")
ONLY_DURABLE_OR_ASK: Final = Refusal(
    "unknown_kind", "HTTP takes durable and ask frames; the rest needs the WebSocket.", "$.kind"
)
CROWDED: Final = Refusal("rate_limited", "Too many connections from this address.", retry_ms=10_000)
A_SOCKET: Final = Refusal(
    "bad_frame",
    "This is the address of the WebSocket: open it with one (ws:// or wss://). "
    "Single frames: POST /v1/frames.",
)
JSON: Final = "application/json"
SESSIONS_LISTED_MAX: Final = 200
_COMMON_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Register(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/users."""

    handle: str
    password: str
    name: str = ""


class LogIn(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/sessions."""

    handle: str
    password: str
    device: str = ""


class Action(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/admin."""

    do: str
    arguments: dict[str, Any] = {}


class Api(msgspec.Struct):
    """The HTTP side of one server."""

    settings: Settings
    acceptor: Acceptor
    auth: Auth
    guests: Guests
    paces: Paces
    limits: RateLimits
    asks: AskLane
    store: Store
    pipeline: Pipeline
    admin: AdminService
    readiness: Readiness
    statements: Statements

    def app(self) -> Starlette:
        """The routes, as a contents page."""
        app = Starlette(
            routes=[
                Route("/v1/ws", self._wrap(self.socket_address), methods=["GET"]),
                Route("/v1/users", self._wrap(self.register), methods=["POST"]),
                Route("/v1/sessions", self._wrap(self.log_in), methods=["POST"]),
                Route("/v1/sessions", self._wrap(self.sessions), methods=["GET"]),
                Route("/v1/sessions/{session}", self._wrap(self.log_out), methods=["DELETE"]),
                Route("/v1/frames", self._wrap(self.frame), methods=["POST"]),
                Route("/v1/statement", self._wrap(self.statement), methods=["GET"]),
                Route("/v1/admin/statement", self._wrap(self.admin_statement), methods=["GET"]),
                Route("/v1/admin", self._wrap(self.administer), methods=["POST"]),
                Route("/v1/schema.json", _document(schema.json_schema()), methods=["GET"]),
                Route("/v1/asyncapi.json", _document(schema.asyncapi()), methods=["GET"]),
                Route("/healthz", self._wrap(self.health), methods=["GET"]),
                Route("/readyz", self._wrap(self.ready), methods=["GET"]),
                Route("/metrics", self._wrap(self.metrics), methods=["GET"]),
            ],
            exception_handlers={HTTPException: _http_error},
        )
        app.router.redirect_slashes = False  # a redirect goes where the Host header says, with the password
        return app

    def _wrap(
        self, work: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                return await work(request)
            except Refused as refused:
                self.acceptor.metrics.refusals[refused.refusal.code] += 1
                return refusal_response(refused.refusal)
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception:
                log.exception(
                    "http_fault", path=request.scope["route"].path if "route" in request.scope else ""
                )
                return refusal_response(Refusal("internal", "The server failed.", retry_ms=2_000))

        return handle

    # People and logins

    async def register(self, request: Request) -> Response:
        """Make an account."""
        body: Register = await self._read_from_anybody(request, Register)
        if self.settings.registration == "closed":
            raise Refused(CLOSED)
        _hurry(self.guests.registers(_address(request)))
        person = NewUser(body.handle, body.name, body.password)
        made = await self.admin.add_user(person, neighbourhood(_address(request)))
        return _json({"user": made}, 201)

    async def log_in(self, request: Request) -> Response:
        """Trade handle and password for a token."""
        body: LogIn = await self._read_from_anybody(request, LogIn)
        if len(body.device) > DEVICE_CHARS_MAX:
            raise Refused(Refusal("too_big", f"At most {DEVICE_CHARS_MAX} characters.", "$.device"))
        address, handle = _address(request), handle_meant(body.handle)
        _hurry(self.guests.logs_in(address, handle))
        network = neighbourhood(address)
        try:
            return _json(await self.admin.log_in(handle, body.password, body.device, network), 201)
        except Refused as refused:
            self._tell_failed_login(request, refused.refusal)
            raise

    def _tell_failed_login(self, request: Request, refusal: Refusal) -> None:
        """One line for each wrong password; what watches for break-ins goes by the address."""
        if refusal.code == "bad_credentials":
            shown = self.settings.log_addresses == "on"
            log.warning("login_failed", **({"address": _address(request)} if shown else {}))

    async def sessions(self, request: Request) -> Response:
        """One's logins."""
        identity = await self._paced(request)
        now, current = self.pipeline.now_ms(), identity.session.id
        found = await self.store.sessions(identity.user.id, now, SESSIONS_LISTED_MAX)
        told = ("device", "created_at", "expires_at")
        views = [
            {
                "session": each.id,
                **{name: getattr(each, name) for name in told},
                "current": each.id == current,
            }
            for each in found
        ]
        return _json({"sessions": views})

    async def log_out(self, request: Request) -> Response:
        """End a login; its sockets close."""
        identity = await self._who(request)
        self._pay(DURABLE, identity)
        session = request.path_params["session"]
        await self.admin.close_session(
            identity.user.id, identity.session.id if session == "current" else session
        )
        return Response(status_code=204, headers=_COMMON_HEADERS)

    # Frames

    async def frame(self, request: Request) -> Response:
        """One durable or ask frame; answers with the event or the result."""
        identity = await self._who(request)
        user = identity.user.id
        try:
            decoded = _good(codec.decode_client(await _body(request)))
        except Refused:
            self._pay(DURABLE, identity)
            raise
        frame = decoded.frame
        self.acceptor.metrics.frames[frame.kind] += 1
        self._pay(ASK if isinstance(frame, Ask) else DURABLE, identity)
        if isinstance(frame, Ask):
            return _raw(_good(await self.asks.result_of(user, frame)))
        if not isinstance(frame, Durable):
            raise Refused(ONLY_DURABLE_OR_ASK)
        outcome = _good(await self.pipeline.ask(Submission(frame, user, decoded.content)))
        assert isinstance(outcome, Stored), "a durable frame becomes an event"
        return _raw(codec.splice(outcome.event.head, outcome.event.body))

    async def statement(self, request: Request) -> Response:
        """One's own statement."""
        identity = await self._paced(request)
        return await self.statements.of(identity.user.id, dict(request.query_params))

    # The operator

    async def administer(self, request: Request) -> Response:
        """An action of the administration, for whoever can read the token file in the data directory."""
        self._only_operator(request)
        action: Action = await self._read(request, Action)
        try:
            return _json({"result": await self.admin.do(action.do, action.arguments)})
        except BackupError as fault:
            raise Refused(Refusal("bad_frame", str(fault), "$.arguments.path")) from fault

    async def admin_statement(self, request: Request) -> Response:
        """Anybody's statement, by `handle`."""
        self._only_operator(request)
        asked = dict(request.query_params)
        user = await self.store.user(handle_meant(asked.pop("handle", "")))
        if user is None:
            raise Refused(NOBODY)
        return await self.statements.of(user.id, asked)

    def _only_operator(self, request: Request) -> None:
        self._welcome(request)
        if not self.auth.is_operator(_bearer(request)):
            self._turn_away(request, BAD_TOKEN)

    async def socket_address(self, request: Request) -> Response:  # noqa: ARG002
        """A plain GET where the WebSocket is: say so."""
        body = codec.encode_object(A_SOCKET.body())
        upgrade = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}
        return Response(body, 426, _COMMON_HEADERS | upgrade, JSON)

    async def health(self, request: Request) -> Response:  # noqa: ARG002
        """The process lives."""
        return _json({"status": "ok", "version": __version__})

    async def ready(self, request: Request) -> Response:  # noqa: ARG002
        """The store takes writes and nobody asked the server to stop."""
        good = not self.acceptor.draining and await self.readiness.ready()
        return _json({"status": "ready" if good else "unavailable"}, 200 if good else 503)

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002
        """Prometheus."""
        return Response(self.acceptor.metrics.text(), media_type="text/plain; version=0.0.4")

    # Helpers

    async def _who(self, request: Request) -> Identity:
        self._welcome(request)
        identity = await self.auth.judge(_bearer(request))
        if identity == "account_disabled":
            raise Refused(Refusal("account_disabled", "This user is disabled."))
        if isinstance(identity, str):
            self._turn_away(request, BAD_TOKEN)
        return identity

    async def _paced(self, request: Request) -> Identity:
        """Who asks, at the pace of the ask lane."""
        identity = await self._who(request)
        self._pay(ASK, identity)
        return identity

    def _pay(self, lane: int, identity: Identity) -> None:
        now = self.acceptor.now()
        _hurry(self.limits.wait_ms(lane, self.paces.of(identity.user.id, now), now))

    def _welcome(self, request: Request) -> None:
        """Turn away, before any work, an address that has sent too much that was worth nothing."""
        _hurry(self.guests.exhausted(_address(request)))

    def _turn_away(self, request: Request, refusal: Refusal) -> NoReturn:
        _hurry(self.guests.wasted(_address(request)))
        raise Refused(refusal)

    async def _read_from_anybody(self, request: Request, cls: type[Any]) -> Any:
        """A body of somebody who need not be known here; a malformed one costs their address."""
        self._welcome(request)
        try:
            return await self._read(request, cls)
        except Refused as refused:
            self._turn_away(request, refused.refusal)

    async def _read(self, request: Request, cls: type[Any]) -> Any:
        return _good(codec.decode_strict(await _body(request), cls))


def _good(found: T | Refusal) -> T:
    if isinstance(found, Refusal):
        raise Refused(found)
    return found


def refusal_response(refusal: Refusal) -> Response:
    """A refusal as HTTP."""
    headers = dict(_COMMON_HEADERS)
    if refusal.retry_ms is not None:
        headers["retry-after"] = str(-(-refusal.retry_ms // 1000))
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(codec.encode_object(refusal.body()), refusal.status, headers, JSON)


async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Turn a request away."""
    await refusal_response(CROWDED)(scope, receive, send)


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > FRAME_BYTES_MAX:
            raise Refused(Refusal("too_big", f"A body has at most {FRAME_BYTES_MAX} bytes.", "$"))
        parts.append(part)
    return b"".join(parts)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused(BAD_TOKEN)
    return token.strip()


def _hurry(wait_ms: int) -> None:
    if wait_ms:
        raise Refused(Refusal("rate_limited", "Too fast; wait retry_ms.", retry_ms=wait_ms))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _json(value: Any, status: int = 200) -> Response:
    return Response(codec.encode_object(value), status, _COMMON_HEADERS, JSON)


def _raw(data: bytes) -> Response:
    return Response(data, 200, _COMMON_HEADERS, JSON)


def _document(content: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    """A route to what is always the same."""
    data = codec.encode_object(content)

    async def send(_: Request) -> Response:
        return _raw(data)

    return send


async def _http_error(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException), "it is called for nothing else"
    refusal = Refusal("not_found", "There is nothing at this address.")
    if fault.status_code == 405:
        refusal = Refusal("bad_frame", "This address takes another method.")
    headers = {**_COMMON_HEADERS, **(fault.headers or {})}
    return Response(codec.encode_object(refusal.body()), fault.status_code, headers, JSON)
