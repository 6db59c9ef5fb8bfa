"""The names of before, until their readers have gone."""

# ruff: noqa: PLC0414, I001
# fmt: off
from tuppence_protocol.kinds.wallet import BalanceNotice as BalanceNotice
from tuppence_protocol.kinds.session import Bye as Bye
from tuppence_protocol.kinds.session import ByeBody as ByeBody
from tuppence_protocol.kinds.chat_read import ConversationView as ConversationView
from tuppence_protocol.kinds.chat_read import ConversationsResult as ConversationsResult
from tuppence_protocol.kinds import EVENT_BODIES as EVENT_BODIES
from tuppence_protocol.kinds.session import Error as Error
from tuppence_protocol.kinds.session import ErrorBody as ErrorBody
from tuppence_protocol.event import Event as Event
from .views import Extensible as Extensible
from tuppence_protocol.kinds.chat_read import EventResult as EventResult
from tuppence_protocol.kinds.chat_read import HistoryResult as HistoryResult
from tuppence_protocol.kinds.session import LimitsView as LimitsView
from tuppence_protocol.kinds.room import MemberLeft as MemberLeft
from tuppence_protocol.kinds.room import MemberRemoved as MemberRemoved
from tuppence_protocol.kinds.room import MemberView as MemberView
from tuppence_protocol.kinds.room import MembersInvited as MembersInvited
from tuppence_protocol.kinds.room import MembersResult as MembersResult
from tuppence_protocol.kinds.session import Pong as Pong
from tuppence_protocol.kinds.session import PongBody as PongBody
from tuppence_protocol.kinds.people import PresenceBody as PresenceBody
from tuppence_protocol.kinds.people import PresenceNotice as PresenceNotice
from tuppence_protocol.kinds import RESULTS as RESULTS
from tuppence_protocol.kinds.session import RateView as RateView
from tuppence_protocol.event import RawEvent as RawEvent
from tuppence_protocol.kinds.session import Ready as Ready
from tuppence_protocol.kinds.session import ReadyBody as ReadyBody
from tuppence_protocol.kinds.chat_read import ReceiptBody as ReceiptBody
from tuppence_protocol.kinds.chat_read import ReceiptNotice as ReceiptNotice
from tuppence_protocol.kinds.session import Result as Result
from tuppence_protocol.kinds.room import RoleGiven as RoleGiven
from tuppence_protocol.kinds.room import RoomCreated as RoomCreated
from tuppence_protocol.kinds.room import RoomUpdated as RoomUpdated
from tuppence_protocol.kinds import SERVER_FRAMES as SERVER_FRAMES
from tuppence_protocol.views import ServerFrame as ServerFrame
from tuppence_protocol.kinds.session import Synced as Synced
from tuppence_protocol.kinds.session import SyncedBody as SyncedBody
from tuppence_protocol.kinds.chat_text import TextPosted as TextPosted
from tuppence_protocol.kinds.chat_text import TypingBody as TypingBody
from tuppence_protocol.kinds.chat_text import TypingNotice as TypingNotice
from tuppence_protocol.event import UnknownBody as UnknownBody
from tuppence_protocol.kinds.people import UserResult as UserResult
from tuppence_protocol.views import UserView as UserView
from tuppence_protocol.kinds.wallet import WalletResult as WalletResult
EventBody = Extensible
