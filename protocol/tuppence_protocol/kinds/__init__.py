"""Every kind that there is. What else is said of kinds, anywhere, is read from `KINDS`.

What a client may send is closed: unknown members are refused. What a server sends is open: a client ignores
members it does not know and shows `body.alt` for a kind it does not know.
"""

from typing import Final, get_args

from tuppence_protocol.shapes import Frame
from tuppence_protocol.views import Extensible, PaymentBody, ServerFrame

from .chat_read import *
from .chat_text import *
from .kind import Kind
from .pay_answer import *
from .pay_deposit import *
from .pay_packet import *
from .pay_quote import *
from .pay_refund import *
from .pay_request import *
from .pay_send import *
from .pay_split import *
from .people import *
from .room import *
from .session import *
from .wallet import *

KINDS: Final[tuple[Kind, ...]] = (
    HELLO, PING, READY, SYNCED, PONG, BYE, ERROR, RESULT,
    CHAT_TEXT,
    PAY_SEND, PAY_REQUEST, PAY_SPLIT, PAY_PACKET, PAY_CLAIM, PAY_ACCEPT, PAY_DECLINE, PAY_CANCEL, PAY_REFUND,
    PAY_WAIVE, PAY_REMIND, PAY_FAUCET, PAY_DEPOSIT, PAY_WITHDRAW, PAY_REVERSE, PAY_EXPIRE,
    ROOM_CREATE, ROOM_UPDATE, ROOM_INVITE, ROOM_REMOVE, ROOM_LEAVE, ROOM_ROLE,
    LIVE_TYPING, LIVE_READ, LIVE_WATCH, LIVE_RECEIPT, LIVE_PRESENCE, LIVE_BALANCE,
    ASK_HISTORY, ASK_CONVERSATIONS, ASK_EVENT, ASK_MEMBERS, ASK_USER, ASK_WALLET, ASK_PAYMENTS, ASK_STATEMENT,
    ASK_QUOTE, ASK_PREVIEW,
)  # fmt: skip
"""In the order of the schema and of the spec's tables."""

CLIENT_FRAMES: Final[tuple[type[Frame], ...]] = tuple(kind.frame for kind in KINDS if kind.frame)
SERVER_FRAMES: Final[tuple[type[ServerFrame], ...]] = tuple(kind.notice for kind in KINDS if kind.notice)
EVENT_BODIES: Final[dict[str, type[Extensible]]] = {kind.name: kind.event for kind in KINDS if kind.event}
PAYMENT_BODIES: Final[dict[str, type[PaymentBody]]] = {
    name: body for name, body in EVENT_BODIES.items() if issubclass(body, PaymentBody)
}
RESULTS: Final[dict[str, type[Extensible]]] = {kind.name: kind.result for kind in KINDS if kind.result}
LISTED: Final = frozenset(kind.name for kind in KINDS if kind.listed)
"""Kinds whose events are payments of their own."""
REFUSAL_STAYS: Final = frozenset(kind.name for kind in KINDS if kind.refusal_stays)
"""Kinds of which a refusal is the outcome of its id for ever."""
LASTS_S: Final = {kind.name: kind.lasts_s for kind in KINDS if kind.lasts_s}
"""How long what waits does so where nobody says, seconds."""

for _kind in KINDS:
    if _kind.frame is not None:
        _kind.frame.kind = _kind.name
PREVIEWED: Final[tuple[str, ...]] = tuple(frame.kind for frame in get_args(Previewed))
"""Kinds of the frames that can be previewed."""
