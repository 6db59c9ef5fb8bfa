"""Every kind that there is. What else is said of kinds, anywhere, is read from `KINDS`.

What a client may send is closed: unknown members are refused. What a server sends is open: a client ignores
members it does not know and shows `body.alt` for a kind it does not know.
"""

from typing import Final

from tuppence_protocol.shapes import Frame
from tuppence_protocol.views import Extensible, PaymentBody, ServerFrame

from . import (
    chat_read,
    chat_text,
    pay_answer,
    pay_deposit,
    pay_packet,
    pay_quote,
    pay_refund,
    pay_request,
    pay_send,
    pay_split,
    people,
    room,
    session,
    wallet,
)  # fmt: skip
from .kind import Kind

KINDS: Final[tuple[Kind, ...]] = (
    session.HELLO, session.PING, session.READY, session.SYNCED, session.PONG, session.BYE, session.ERROR,
    session.RESULT,
    chat_text.CHAT_TEXT,
    pay_send.PAY_SEND, pay_request.PAY_REQUEST, pay_split.PAY_SPLIT, pay_packet.PAY_PACKET, pay_packet.PAY_CLAIM,
    pay_answer.PAY_ACCEPT, pay_answer.PAY_DECLINE, pay_answer.PAY_CANCEL, pay_refund.PAY_REFUND, pay_split.PAY_WAIVE,
    pay_request.PAY_REMIND, pay_deposit.PAY_FAUCET, pay_deposit.PAY_DEPOSIT, pay_deposit.PAY_WITHDRAW,
    pay_refund.PAY_REVERSE, pay_answer.PAY_EXPIRE,
    room.ROOM_CREATE, room.ROOM_UPDATE, room.ROOM_INVITE, room.ROOM_REMOVE, room.ROOM_LEAVE, room.ROOM_ROLE,
    chat_text.LIVE_TYPING, chat_read.LIVE_READ, people.LIVE_WATCH, chat_read.LIVE_RECEIPT, people.LIVE_PRESENCE,
    wallet.LIVE_BALANCE,
    chat_read.ASK_HISTORY, chat_read.ASK_CONVERSATIONS, chat_read.ASK_EVENT, room.ASK_MEMBERS, people.ASK_USER,
    wallet.ASK_WALLET, wallet.ASK_PAYMENTS, wallet.ASK_STATEMENT, pay_quote.ASK_QUOTE, pay_quote.ASK_PREVIEW,
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
