"""Every frame that a client may send, chat and pay side by side. The base class of a frame is its lane.

What a client may send is closed: unknown members are refused. What a server sends is open: a client ignores
members it does not know and shows `body.alt` for a kind it does not know.
"""

from typing import Annotated, ClassVar, Final, Literal

from msgspec import UNSET, Meta, UnsetType, field

from . import limits
from .payments import ASK_PAYMENT_FRAMES, PAYMENT_FRAMES
from .shapes import (
    USER_PATTERN,
    Ask,
    Body,
    Device,
    Durable,
    Frame,
    GivenRole,
    Id,
    InPlace,
    Lane,
    Limit,
    Live,
    Named,
    Nothing,
    People,
    Person,
    Place,
    Pos,
    Seq,
    Text,
    Title,
    Token,
)

# --- session -----------------------------------------------------------------------------------------


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


# --- durable: committed to the log before anybody is told -----------------------------------------------


class TextBody(Body, frozen=True):
    text: Text
    mentions: (
        Annotated[list[Annotated[str, Meta(pattern=USER_PATTERN)]], Meta(max_length=limits.MENTIONS_MAX)]
        | UnsetType
    ) = UNSET


class CreateBody(Body, frozen=True):
    title: Title
    members: People = field(default_factory=list)
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


DURABLE_FRAMES: Final[tuple[type[Durable], ...]] = (
    ChatText, *PAYMENT_FRAMES, RoomCreate, RoomUpdate, RoomInvite, RoomRemove, RoomLeave, RoomRole,
)  # fmt: skip
LIVE_FRAMES: Final = (LiveTyping, LiveRead, LiveWatch)
ASK_FRAMES: Final[tuple[type[Ask], ...]] = (
    AskHistory, AskConversations, AskEvent, AskMembers, AskUser, AskWallet, *ASK_PAYMENT_FRAMES,
)  # fmt: skip
CLIENT_FRAMES: Final[tuple[type[Frame], ...]] = (Hello, Ping, *DURABLE_FRAMES, *LIVE_FRAMES, *ASK_FRAMES)

for _frame in CLIENT_FRAMES:
    _frame.kind = str(_frame.__struct_config__.tag)
