"""Every frame of the wire, chat and pay side by side. The base class of a frame is its lane.

What a client may send is closed: unknown members are refused. What a server sends is open: a client ignores
members it does not know and shows `body.alt` for a kind it does not know.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from . import limits
from .money import AMOUNT_PATTERN, CURRENCY_PATTERN

USER_PATTERN: Final = r"^u_[a-z2-7]{26}$"
CONV_PATTERN: Final = r"^(c_[a-z2-7]{26}|@[a-z0-9_]{2,32}|self)$"
PERSON_PATTERN: Final = r"^(u_[a-z2-7]{26}|@[a-z0-9_]{2,32})$"
NAMED_PATTERN: Final = r"^(u_[a-z2-7]{26}|@?[a-z0-9_]{2,32})$"
HANDLE_PATTERN: Final = r"^[a-z0-9_]{2,32}$"
ID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class Lane(StrEnum):
    """How a frame travels: the road, the hub alone, the read side, or the session itself."""

    DURABLE = "durable"
    LIVE = "live"
    ASK = "ask"
    SESSION = "session"


def _pattern(pattern: str) -> dict[str, object]:
    return {"pattern": pattern}


# Ids, places and amounts have codes of their own when they are wrong, so the rules check the patterns;
# the types bound the length and tell the schema.
Id = Annotated[str, Meta(max_length=36, extra_json_schema=_pattern(ID_PATTERN))]
Place = Annotated[str, Meta(max_length=34, extra_json_schema=_pattern(CONV_PATTERN))]
Person = Annotated[str, Meta(max_length=34, extra_json_schema=_pattern(PERSON_PATTERN))]
Named = Annotated[str, Meta(max_length=34, extra_json_schema=_pattern(NAMED_PATTERN))]
Amount = Annotated[str, Meta(max_length=limits.AMOUNT_CHARS_MAX, extra_json_schema=_pattern(AMOUNT_PATTERN))]
Currency = Annotated[str, Meta(max_length=3, extra_json_schema=_pattern(CURRENCY_PATTERN))]
Text = Annotated[str, Meta(min_length=1, max_length=limits.TEXT_CHARS_MAX)]
Note = Annotated[str, Meta(min_length=1, max_length=limits.NOTE_CHARS_MAX)]
Title = Annotated[str, Meta(min_length=1, max_length=limits.TITLE_CHARS_MAX)]
Token = Annotated[str, Meta(min_length=1, max_length=limits.TOKEN_CHARS_MAX)]
Seq = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
Pos = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
People = Annotated[list[Person], Meta(max_length=limits.ROOM_INVITES_PER_FRAME_MAX)]
GivenRole = Literal["admin", "member", "reader", "owner"]


class Body(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The content of a frame that a client sends; closed."""


class Nothing(Body, frozen=True):
    """A body without members."""


class Frame(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What a client may send."""

    kind: ClassVar[str]
    lane: ClassVar[Lane]


# --- session -----------------------------------------------------------------------------------------


class HelloBody(Body, frozen=True):
    token: Token
    device: Annotated[str, Meta(min_length=1, max_length=limits.DEVICE_CHARS_MAX)] | UnsetType = UNSET
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


# --- durable: committed to the log before anybody is told -----------------------------------------------


class Durable(Frame, frozen=True):
    """A frame that becomes an event; `id` is its idempotency key for ever."""

    lane: ClassVar[Lane] = Lane.DURABLE
    id: Id


class InPlace(Durable, frozen=True):
    """A durable frame in a conversation; `ref` names the event that it is about."""

    conv: Place
    ref: Id | UnsetType = UNSET


class TextBody(Body, frozen=True):
    text: Text
    mentions: (
        Annotated[list[Annotated[str, Meta(pattern=USER_PATTERN)]], Meta(max_length=limits.MENTIONS_MAX)]
        | UnsetType
    ) = UNSET


class SendBody(Body, frozen=True):
    amount: Amount
    currency: Currency
    payee: Person | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    not_after: Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)] | UnsetType = UNSET


class CreateBody(Body, frozen=True):
    title: Title
    members: People = []
    kind: Literal["group"] = "group"


class UpdateBody(Body, frozen=True):
    title: Title


class InviteBody(Body, frozen=True):
    users: Annotated[list[Person], Meta(min_length=1, max_length=limits.ROOM_INVITES_PER_FRAME_MAX)]


class RemoveBody(Body, frozen=True):
    user: Person


class RoleBody(Body, frozen=True):
    user: Person
    role: GivenRole


class ChatText(InPlace, tag="chat.text", kw_only=True, frozen=True):
    """Say something."""

    body: TextBody


class PaySend(InPlace, tag="pay.send", kw_only=True, frozen=True):
    """Pay at once; `payee` may be left out in a DM; refused after `not_after` (ms since the epoch)."""

    body: SendBody


class RoomCreate(Durable, tag="room.create", kw_only=True, frozen=True):
    """Open a group with oneself as owner; the event names its `conv`."""

    body: CreateBody


class RoomUpdate(InPlace, tag="room.update", kw_only=True, frozen=True):
    """Change what a group is called (owner, admin)."""

    body: UpdateBody


class RoomInvite(InPlace, tag="room.invite", kw_only=True, frozen=True):
    """Bring people into a group (owner, admin); they see it from this event on."""

    body: InviteBody


class RoomRemove(InPlace, tag="room.remove", kw_only=True, frozen=True):
    """Take a person out of a group (owner; admin for members and readers)."""

    body: RemoveBody


class RoomLeave(InPlace, tag="room.leave", kw_only=True, frozen=True):
    """Leave a group."""

    body: Nothing = Nothing()


class RoomRole(InPlace, tag="room.role", kw_only=True, frozen=True):
    """Give a person in a group another role (owner)."""

    body: RoleBody


# --- live: never stored as events; dropped first under pressure ----------------------------------------


class Live(Frame, frozen=True):
    """A fleeting frame."""

    lane: ClassVar[Lane] = Lane.LIVE


class ReadBody(Body, frozen=True):
    seq: Seq


class WatchBody(Body, frozen=True):
    users: Annotated[list[Person], Meta(max_length=limits.WATCHED_USERS_MAX)]


class LiveTyping(Live, tag="live.typing", kw_only=True, frozen=True):
    """Tell the others that one is writing; holds for TYPING_MS."""

    conv: Place
    body: Nothing = Nothing()


class LiveRead(Live, tag="live.read", kw_only=True, frozen=True):
    """Mark everything up to `seq` as read; forward only."""

    conv: Place
    body: ReadBody


class LiveWatch(Live, tag="live.watch", kw_only=True, frozen=True):
    """Ask for the presence of these people; the whole set replaces the one before."""

    body: WatchBody


# --- ask: one result or one error comes back -----------------------------------------------------------


class Ask(Frame, frozen=True):
    """A question to the read side; `id` comes back as `ref`."""

    lane: ClassVar[Lane] = Lane.ASK
    id: Id


Limit = Annotated[int, Meta(ge=1, le=limits.PAGE_EVENTS_MAX)]


class HistoryBody(Body, frozen=True):
    before: Seq | UnsetType = UNSET
    after: Seq | UnsetType = UNSET
    limit: Limit = limits.PAGE_EVENTS_DEFAULT


class PageBody(Body, frozen=True):
    before: Pos | UnsetType = UNSET
    limit: Limit = limits.PAGE_EVENTS_DEFAULT


class EventBody(Body, frozen=True):
    id: Id


class MembersBody(Body, frozen=True):
    after: Annotated[str, Meta(max_length=28)] | UnsetType = UNSET
    limit: Limit = limits.PAGE_ROWS_MAX


class UserBody(Body, frozen=True):
    handle: Named


class AskHistory(Ask, tag="ask.history", kw_only=True, frozen=True):
    """Events of a conversation: the `limit` before a seq, after a seq, or the latest."""

    conv: Place
    body: HistoryBody = HistoryBody()


class AskConversations(Ask, tag="ask.conversations", kw_only=True, frozen=True):
    """One's conversations, latest first; `before` is the `pos` of the last one had."""

    body: PageBody = PageBody()


class AskEvent(Ask, tag="ask.event", kw_only=True, frozen=True):
    """One event by its id."""

    body: EventBody


class AskMembers(Ask, tag="ask.members", kw_only=True, frozen=True):
    """Who is in a conversation, by user id; `after` is the last one had."""

    conv: Place
    body: MembersBody = MembersBody()


class AskUser(Ask, tag="ask.user", kw_only=True, frozen=True):
    """A person by handle (with or without @) or by id."""

    body: UserBody


class AskWallet(Ask, tag="ask.wallet", kw_only=True, frozen=True):
    """One's balances."""

    body: Nothing = Nothing()


DURABLE_FRAMES: Final = (
    ChatText, PaySend, RoomCreate, RoomUpdate, RoomInvite, RoomRemove, RoomLeave, RoomRole,
)  # fmt: skip
LIVE_FRAMES: Final = (LiveTyping, LiveRead, LiveWatch)
ASK_FRAMES: Final = (AskHistory, AskConversations, AskEvent, AskMembers, AskUser, AskWallet)
CLIENT_FRAMES: Final = (Hello, Ping, *DURABLE_FRAMES, *LIVE_FRAMES, *ASK_FRAMES)

for _frame in CLIENT_FRAMES:
    _frame.kind = str(_frame.__struct_config__.tag)
