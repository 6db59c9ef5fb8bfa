"""The names of before, until their readers have gone."""

# ruff: noqa: PLC0414, I001
# fmt: off
from tuppence_protocol.kinds.chat_read import AskConversations as AskConversations
from tuppence_protocol.kinds.chat_read import AskEvent as AskEvent
from tuppence_protocol.kinds.chat_read import AskHistory as AskHistory
from tuppence_protocol.kinds.room import AskMembers as AskMembers
from tuppence_protocol.kinds.people import AskUser as AskUser
from tuppence_protocol.kinds.wallet import AskWallet as AskWallet
from tuppence_protocol.kinds import CLIENT_FRAMES as CLIENT_FRAMES
from tuppence_protocol.kinds.chat_text import ChatText as ChatText
from tuppence_protocol.kinds.room import CreateBody as CreateBody
from tuppence_protocol.kinds.chat_read import EventBody as EventBody
from tuppence_protocol.kinds.session import Hello as Hello
from tuppence_protocol.kinds.session import HelloBody as HelloBody
from tuppence_protocol.kinds.chat_read import HistoryBody as HistoryBody
from tuppence_protocol.kinds.room import InviteBody as InviteBody
from tuppence_protocol.kinds.chat_read import LiveRead as LiveRead
from tuppence_protocol.kinds.chat_text import LiveTyping as LiveTyping
from tuppence_protocol.kinds.people import LiveWatch as LiveWatch
from tuppence_protocol.kinds.room import MembersBody as MembersBody
from tuppence_protocol.kinds.chat_read import PageBody as PageBody
from tuppence_protocol.kinds.session import Ping as Ping
from tuppence_protocol.kinds.session import PingBody as PingBody
from tuppence_protocol.kinds.chat_read import ReadBody as ReadBody
from tuppence_protocol.kinds.room import RemoveBody as RemoveBody
from tuppence_protocol.kinds.room import RoleBody as RoleBody
from tuppence_protocol.kinds.room import RoomCreate as RoomCreate
from tuppence_protocol.kinds.room import RoomInvite as RoomInvite
from tuppence_protocol.kinds.room import RoomLeave as RoomLeave
from tuppence_protocol.kinds.room import RoomRemove as RoomRemove
from tuppence_protocol.kinds.room import RoomRole as RoomRole
from tuppence_protocol.kinds.room import RoomUpdate as RoomUpdate
from tuppence_protocol.kinds.chat_text import TextBody as TextBody
from tuppence_protocol.kinds.room import UpdateBody as UpdateBody
from tuppence_protocol.kinds.people import UserBody as UserBody
from tuppence_protocol.kinds.people import WatchBody as WatchBody
