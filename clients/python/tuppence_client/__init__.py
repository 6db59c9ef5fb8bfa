"""Tuppence for Python: chat and payments over one socket. Begin with `connect`, `login` or `SyncClient`."""

from tuppence_protocol.events import Event, UnknownBody
from tuppence_protocol.kinds import (
    BalanceNotice,
    BillSplit,
    ConversationView,
    Deposited,
    MemberLeft,
    MemberRemoved,
    MembersInvited,
    MemberView,
    PacketClaimed,
    PacketMade,
    PaymentAccepted,
    PaymentCancelled,
    PaymentDeclined,
    PaymentExpired,
    PaymentRefunded,
    PaymentReminded,
    PaymentRequested,
    PaymentReversed,
    PaymentSent,
    PaymentView,
    PresenceNotice,
    QuoteView,
    ReceiptNotice,
    RoleGiven,
    RoomCreated,
    RoomUpdated,
    ShareWaived,
    StatementLine,
    TextPosted,
    TypingNotice,
    Withdrawn,
)
from tuppence_protocol.views import BalanceView, Share, UserView

from .accounts import Session, login, register
from .backoff import Pace
from .cards import Card, Cards, Claim, fold
from .client import Client, connect
from .errors import (
    AccountError,
    ConnectionEnded,
    FundsError,
    IdError,
    LimitError,
    PlaceError,
    ServerError,
    SessionError,
    ShapeError,
    StateError,
    StateFileError,
    StreamOverflow,
    TuppenceError,
)
from .fairness import PacketCheck, check_packet
from .money import Money
from .notices import Notice, Reset, Resumed, State, StateChanged
from .payments import Preview, Statement
from .streams import Stream
from .sync import SyncClient

__all__ = [
    "AccountError", "BalanceNotice", "BalanceView", "BillSplit", "Card", "Cards", "Claim", "Client",
    "ConnectionEnded", "ConversationView", "Deposited", "Event", "FundsError", "IdError", "LimitError",
    "MemberLeft", "MemberRemoved", "MemberView", "MembersInvited", "Money", "Notice", "Pace", "PacketCheck",
    "PacketClaimed", "PacketMade", "PaymentAccepted", "PaymentCancelled", "PaymentDeclined", "PaymentExpired",
    "PaymentRefunded", "PaymentReminded", "PaymentRequested", "PaymentReversed", "PaymentSent", "PaymentView",
    "PlaceError", "PresenceNotice", "Preview", "QuoteView", "ReceiptNotice", "Reset", "Resumed", "RoleGiven",
    "RoomCreated", "RoomUpdated", "ServerError", "Session", "SessionError", "ShapeError", "Share",
    "ShareWaived", "State", "StateChanged", "StateError", "StateFileError", "Statement", "StatementLine",
    "Stream", "StreamOverflow", "SyncClient", "TextPosted", "TuppenceError", "TypingNotice", "UnknownBody",
    "UserView", "Withdrawn", "check_packet", "connect", "fold", "login", "register",
]  # fmt: skip
