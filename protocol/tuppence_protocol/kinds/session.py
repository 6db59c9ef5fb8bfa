"""Hello, heartbeat and goodbye, and the two answers that any frame may get."""

from typing import Annotated, ClassVar, Final

from msgspec import UNSET, Meta, Raw, UnsetType

from tuppence_protocol import limits
from tuppence_protocol.shapes import Body, Device, Frame, Lane, Pos, Token
from tuppence_protocol.views import BalanceView, Extensible, Mode, ServerFrame, UserView, Why

from .chat_read import ConversationView
from .kind import Kind


class HelloBody(Body, frozen=True):
    token: Token
    device: Device | UnsetType = UNSET
    epoch: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    pos: Pos | UnsetType = UNSET
    client: Annotated[str, Meta(max_length=limits.CLIENT_CHARS_MAX)] | UnsetType = UNSET
    version: Annotated[int, Meta(ge=0, le=1_000_000)] = limits.PROTOCOL_VERSION


class PingBody(Body, frozen=True):
    pos: Pos | UnsetType = UNSET


class Hello(Frame, tag="hello", frozen=True):
    """The first frame: who, and from where to resume (`epoch` and `pos` together, or neither)."""

    lane: ClassVar[Lane] = Lane.SESSION
    body: HelloBody


class Ping(Frame, tag="ping", frozen=True):
    """The heartbeat; `pos` acknowledges all delivered up to it."""

    lane: ClassVar[Lane] = Lane.SESSION
    body: PingBody = PingBody()


class RateView(Extensible, frozen=True):
    per_s: float
    burst: int


class LimitsView(Extensible, frozen=True):
    frame_bytes: int
    text_chars: int
    page_events: int
    durable: RateView | None = None
    live: RateView | None = None
    ask: RateView | None = None


class ReadyBody(Extensible, frozen=True):
    user: UserView
    session: str
    epoch: str
    pos: int
    resumed: bool
    heartbeat_ms: int
    now: int
    limits: LimitsView
    conversations: list[ConversationView]
    balances: list[BalanceView]
    mode: Mode = "live"
    why: Why | UnsetType = UNSET


class SyncedBody(Extensible, frozen=True):
    pos: int


class PongBody(Extensible, frozen=True):
    now: int


class ByeBody(Extensible, frozen=True):
    code: int
    reason: str
    retry_ms: int | None = None


class ErrorBody(Extensible, frozen=True):
    code: str
    message: str
    final: bool
    field: str | None = None
    retry_ms: int | None = None
    state: dict[str, str | int] | None = None


class Ready(ServerFrame, tag="ready", frozen=True):
    """The answer to hello. With `resumed` the missed events follow, then `synced`."""

    body: ReadyBody


class Synced(ServerFrame, tag="synced", frozen=True):
    """Everything up to `pos` has been sent; what follows is live."""

    body: SyncedBody


class Pong(ServerFrame, tag="pong", frozen=True):
    """The answer to ping; the server's clock in ms since the epoch."""

    body: PongBody


class Bye(ServerFrame, tag="bye", frozen=True):
    """Goes ahead of every close by the server, since proxies turn close codes into 1006."""

    body: ByeBody


class Error(ServerFrame, tag="error", frozen=True):
    """A refusal of the frame whose id is `ref`."""

    body: ErrorBody
    ref: str | None = None


class Result(ServerFrame, tag="result", frozen=True):
    """The answer to the ask whose id is `ref`."""

    ref: str
    body: Raw


HELLO: Final = Kind(
    "hello", Hello,
    sent={
        "token": "t0ken", "device": "Alice's laptop", "epoch": "7f3a", "pos": 90100, "client": "example/1.0",
        "version": 1,
    },
)  # fmt: skip
PING: Final = Kind("ping", Ping, sent={"pos": 90210})
READY: Final = Kind("ready", notice=Ready)
SYNCED: Final = Kind("synced", notice=Synced)
PONG: Final = Kind("pong", notice=Pong)
BYE: Final = Kind("bye", notice=Bye)
ERROR: Final = Kind("error", notice=Error)
RESULT: Final = Kind("result", notice=Result)
