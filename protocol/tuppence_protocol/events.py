"""What a server sends: events as stored, and the frames around them. Open: unknown members are ignored."""

from typing import Final

from msgspec import UNSET, Raw, Struct, UnsetType, field

from .payment_events import PAYMENT_BODIES, PAYMENT_RESULTS, BalanceView, PaymentBody
from .views import ConversationKind, Extensible, Mode, Role, Why

# --- events: the body of each durable kind after the server decided -----------------------------------


class TextPosted(Extensible, frozen=True):
    text: str
    mentions: list[str] | UnsetType = UNSET


class RoomCreated(Extensible, frozen=True):
    title: str
    members: list[str]
    kind: str
    alt: str


class RoomUpdated(Extensible, frozen=True):
    title: str
    alt: str


class MembersInvited(Extensible, frozen=True):
    users: list[str]
    alt: str


class MemberRemoved(Extensible, frozen=True):
    user: str
    alt: str


class MemberLeft(Extensible, frozen=True):
    alt: str


class RoleGiven(Extensible, frozen=True):
    user: str
    role: Role
    alt: str


class UnknownBody(Extensible, frozen=True):
    """The body of a kind that this client does not know: show `alt`."""

    alt: str = ""


EventBody = (
    TextPosted
    | PaymentBody
    | RoomCreated
    | RoomUpdated
    | MembersInvited
    | MemberRemoved
    | MemberLeft
    | RoleGiven
    | UnknownBody
)

EVENT_BODIES: Final[dict[str, type[EventBody]]] = {
    "chat.text": TextPosted,
    **PAYMENT_BODIES,
    "room.create": RoomCreated,
    "room.update": RoomUpdated,
    "room.invite": MembersInvited,
    "room.remove": MemberRemoved,
    "room.leave": MemberLeft,
    "room.role": RoleGiven,
}


class Event(Extensible, frozen=True):
    """One line of the log, the same bytes for every member; `at` is ms since the epoch."""

    kind: str
    id: str
    conv: str
    seq: int
    pos: int
    from_: str = field(name="from")
    at: int
    body: EventBody
    ref: str | UnsetType = UNSET


class RawEvent(Extensible, frozen=True):
    """An event whose body has not been read yet."""

    kind: str
    id: str
    conv: str
    seq: int
    pos: int
    from_: str = field(name="from")
    at: int
    body: Raw
    ref: str | UnsetType = UNSET


# --- objects inside frames --------------------------------------------------------------------------


class UserView(Extensible, frozen=True):
    id: str
    handle: str
    name: str = ""


class MemberView(Extensible, frozen=True):
    user: UserView
    role: Role
    read: int
    delivered: int


class ConversationView(Extensible, frozen=True):
    """Where one conversation stands for one person; unread = `seq` - `read`."""

    conv: str
    kind: ConversationKind
    seq: int
    pos: int
    role: Role
    since: int
    read: int
    members: int
    title: str = ""
    peer: UserView | None = None


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


# --- session, live and answers -------------------------------------------------------------------------


class ServerFrame(Struct, frozen=True, tag_field="kind"):
    """What a server sends beside events."""


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


class TypingBody(Extensible, frozen=True):
    pass


class ReceiptBody(Extensible, frozen=True):
    delivered: int
    read: int


class PresenceBody(Extensible, frozen=True):
    user: str
    online: bool
    last_seen: int | None = None


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


class TypingNotice(ServerFrame, tag="live.typing", frozen=True):
    """Somebody writes."""

    conv: str
    from_: str = field(name="from")
    body: TypingBody = TypingBody()


class ReceiptNotice(ServerFrame, tag="live.receipt", frozen=True):
    """How far somebody's devices have got and how far they have read; forward only."""

    conv: str
    from_: str = field(name="from")
    body: ReceiptBody


class PresenceNotice(ServerFrame, tag="live.presence", frozen=True):
    """Somebody whom one watches came or went."""

    body: PresenceBody


class BalanceNotice(ServerFrame, tag="live.balance", frozen=True):
    """One's balance after a commit that moved it."""

    body: BalanceView


SERVER_FRAMES: Final = (
    Ready, Synced, Pong, Bye, Error, Result,
    TypingNotice, ReceiptNotice, PresenceNotice, BalanceNotice,
)  # fmt: skip


# --- results, by the kind of the ask ----------------------------------------------------------------


class HistoryResult(Extensible, frozen=True):
    events: list[RawEvent]
    complete: bool


class ConversationsResult(Extensible, frozen=True):
    conversations: list[ConversationView]
    complete: bool


class EventResult(Extensible, frozen=True):
    event: RawEvent


class MembersResult(Extensible, frozen=True):
    members: list[MemberView]
    complete: bool


class UserResult(Extensible, frozen=True):
    user: UserView


class WalletResult(Extensible, frozen=True):
    balances: list[BalanceView]


RESULTS: Final[dict[str, type[Extensible]]] = {
    "ask.history": HistoryResult,
    "ask.conversations": ConversationsResult,
    "ask.event": EventResult,
    "ask.members": MembersResult,
    "ask.user": UserResult,
    "ask.wallet": WalletResult,
    **PAYMENT_RESULTS,
}
