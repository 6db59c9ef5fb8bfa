"""How far people have read, and what stands in a conversation."""

from typing import Final

from msgspec import UNSET, UnsetType, field

from tuppence_protocol import limits
from tuppence_protocol.events import RawEvent
from tuppence_protocol.shapes import Ask, Body, Id, Limit, Live, Place, Pos, Seq
from tuppence_protocol.views import ConversationKind, Extensible, Role, ServerFrame, UserView

from .kind import EVENT, Kind


class ReadBody(Body, frozen=True):
    seq: Seq


class LiveRead(Live, tag="live.read", kw_only=True, frozen=True):
    """Mark everything up to `seq` as read; forward only."""

    conv: Place
    body: ReadBody


class ReceiptBody(Extensible, frozen=True):
    delivered: int
    read: int


class ReceiptNotice(ServerFrame, tag="live.receipt", frozen=True):
    """How far somebody's devices have got and how far they have read; forward only."""

    conv: str
    from_: str = field(name="from")
    body: ReceiptBody


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


class HistoryBody(Body, frozen=True):
    before: Seq | UnsetType = UNSET
    after: Seq | UnsetType = UNSET
    limit: Limit = limits.PAGE_EVENTS_DEFAULT


class AskHistory(Ask, tag="ask.history", kw_only=True, frozen=True):
    """Events of a conversation: the `limit` before a seq, after a seq, or the latest."""

    conv: Place
    body: HistoryBody = HistoryBody()


class HistoryResult(Extensible, frozen=True):
    events: list[RawEvent]
    complete: bool


class PageBody(Body, frozen=True):
    before: Pos | UnsetType = UNSET
    limit: Limit = limits.PAGE_EVENTS_DEFAULT


class AskConversations(Ask, tag="ask.conversations", kw_only=True, frozen=True):
    """One's conversations, latest first; `before` is the `pos` of the last one had."""

    body: PageBody = PageBody()


class ConversationsResult(Extensible, frozen=True):
    conversations: list[ConversationView]
    complete: bool


class EventBody(Body, frozen=True):
    id: Id


class AskEvent(Ask, tag="ask.event", kw_only=True, frozen=True):
    """One event by its id."""

    body: EventBody


class EventResult(Extensible, frozen=True):
    event: RawEvent


LIVE_READ: Final = Kind("live.read", LiveRead, sent={"seq": 42})
LIVE_RECEIPT: Final = Kind("live.receipt", notice=ReceiptNotice)
ASK_HISTORY: Final = Kind(
    "ask.history", AskHistory, result=HistoryResult, sent={"before": 90, "after": 3, "limit": 20}
)
ASK_CONVERSATIONS: Final = Kind(
    "ask.conversations", AskConversations, result=ConversationsResult, sent={"before": 90210, "limit": 20}
)
ASK_EVENT: Final = Kind("ask.event", AskEvent, result=EventResult, sent={"id": EVENT})
