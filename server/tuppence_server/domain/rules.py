"""The one way to decide: who may be asked what rows, which rule speaks, and what an id's outcome stays for ever."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeVar
from zlib import crc32

import msgspec

from tuppence_protocol import codec, kinds
from tuppence_protocol.errors import Refusal
from tuppence_protocol.shapes import Acting, Durable

from . import commands, stale
from .book import Book
from .chat import messages, people, rooms
from .effects import Done, Outcome, Quoted, Stored
from .facts import Decision, KeepQuote
from .idempotency import difference
from .keys import Keys
from .pay import answers, corrections, deposits, packets, quotes, requests, send, wallets
from .pay.payments import needs_acting
from .pay.preview import preview
from .request import Request
from .rows import IdempotencyRecord

Needs = Callable[[Book, Keys, str, Any], None]
Rule = Callable[[Book, str, Any], Decision]
_F = TypeVar("_F", bound=Durable | commands.Command)


def _rule(
    kind: type[_F], needs: Callable[[Book, Keys, str, _F], None], rule: Callable[[Book, str, _F], Decision]
) -> tuple[type, tuple[Needs, Rule]]:
    """What a frame needs and what decides it, both of which take such a frame."""
    return kind, (needs, rule)


RULES: Final[dict[type, tuple[Needs, Rule]]] = dict(
    (
        _rule(kinds.ChatText, messages.needs_text, messages.text),
        _rule(kinds.PaySend, send.needs_send, send.send),
        _rule(kinds.PayRequest, requests.needs_request, requests.request_money),
        _rule(kinds.PaySplit, requests.needs_split, requests.split),
        _rule(kinds.PayPacket, packets.needs_packet, packets.packet),
        _rule(kinds.PayClaim, needs_acting, packets.claim),
        _rule(kinds.PayAccept, needs_acting, answers.accept),
        _rule(kinds.PayDecline, needs_acting, answers.decline),
        _rule(kinds.PayCancel, needs_acting, answers.cancel),
        _rule(kinds.PayRefund, needs_acting, answers.refund),
        _rule(kinds.PayWaive, requests.needs_waive, requests.waive),
        _rule(kinds.PayRemind, needs_acting, requests.remind),
        _rule(kinds.PayFaucet, deposits.needs_faucet, deposits.faucet),
        _rule(kinds.RoomCreate, rooms.needs_create, rooms.create),
        _rule(kinds.RoomUpdate, rooms.needs_group, rooms.update),
        _rule(kinds.RoomInvite, rooms.needs_group, rooms.invite),
        _rule(kinds.RoomRemove, rooms.needs_group, rooms.remove),
        _rule(kinds.RoomLeave, rooms.needs_group, rooms.leave),
        _rule(kinds.RoomRole, rooms.needs_group, rooms.role),
        _rule(commands.Deposit, deposits.needs_deposit, deposits.deposit),
        _rule(commands.Withdraw, corrections.needs_withdraw, corrections.withdraw),
        _rule(commands.Reverse, corrections.needs_reverse, corrections.reverse),
        _rule(commands.Expire, answers.needs_expire, answers.expire),
        _rule(commands.OpenQuote, quotes.needs_quote, quotes.open_quote),
        _rule(commands.SetFlags, wallets.needs_flags, wallets.set_flags),
        _rule(commands.SetTier, wallets.needs_tier, wallets.set_tier),
        _rule(commands.CreateUser, people.needs_create, people.create),
        _rule(commands.SetPassword, people.needs_handle, people.set_password),
        _rule(commands.DisableUser, people.needs_handle, people.disable),
        _rule(commands.OpenSession, people.needs_open, people.open_session),
        _rule(commands.RevokeSession, people.needs_revoke, people.revoke),
        _rule(commands.Forget, stale.needs_forget, stale.forget),
        _rule(commands.Probe, people.needs_nothing, people.probe),
        _rule(commands.StartEpoch, people.needs_nothing, people.start_epoch),
        _rule(commands.MarkSeen, people.needs_seen, people.seen),
    )
)
_FROM_PEOPLE: Final = frozenset(kind for kind in RULES if issubclass(kind, Durable))
_REMEMBERED_REFUSALS: Final = frozenset(
    kind for kind in RULES if attrgetter("__struct_config__.tag")(kind) in kinds.REFUSAL_STAYS
)
ACTS_ON: Final[dict[type, Callable[[Any], str | None]]] = {
    **{kind: attrgetter("ref") for kind in RULES if issubclass(kind, (kinds.PaySend, Acting))},
    commands.Expire: attrgetter("payment"),
    commands.Reverse: attrgetter("payment"),
    commands.Preview: lambda preview: acted_on(preview.frame),
}
"""Frames whose decision depends on a payment, and how each names it."""
_TAKEN: Final = Refusal("id_taken", "This id belongs to another frame.", "$.id")
_DISABLED: Final = Refusal("account_disabled", "This user is disabled.")


def acted_on(frame: Any) -> str | None:
    """The id of the payment that a decision depends on, if any."""
    name = ACTS_ON.get(type(frame))
    return None if name is None else name(frame)


class RuleFault(Exception):
    """A rule crashed; the book is as it was before."""


class KeptRefusal(msgspec.Struct):
    """A refusal as its receipt keeps it; `parts` tell later which member of other content differs."""

    refusal: Refusal
    parts: dict[str, int]


def needs(book: Book, keys: Keys, request: Request) -> None:
    """Ask for the rows that a request needs and the book does not hold yet."""
    frame = request.frame
    if type(frame) is commands.Preview:
        needs(book, keys, Request(frame.frame, request.author))
        return
    id = getattr(frame, "id", None)
    if id is not None and id not in book.receipts:
        keys.receipts.add(id)
    RULES[type(frame)][0](book, keys, request.author, frame)


def decide(book: Book, request: Request) -> Outcome:
    """Decide one request and apply what was decided; everything after it sees the effect.

    Raises:
        RuleFault: the rule crashed and left no trace; only this request is lost.
        Exception: a fact could not be applied; the whole batch is void.
    """
    frame = request.frame
    id: str | None = getattr(frame, "id", None)
    try:
        receipt = book.receipts.get(id) if id is not None else None
        if receipt is not None:
            return _again(book, request, receipt)
        if type(frame) is commands.Preview:
            return _previewed(book, Request(frame.frame, request.author))
        shut_out = type(frame) in _FROM_PEOPLE and _shut_out(book, request.author)
        decided = _DISABLED if shut_out else RULES[type(frame)][1](book, request.author, frame)
        if type(decided) is Refusal:
            if id is not None and type(frame) in _REMEMBERED_REFUSALS:
                _keep_refusal(book, request, id, decided)
            return decided
    except Exception as fault:
        raise RuleFault(type(frame).__name__) from fault
    for fact in decided:
        book.apply(fact)
    if id is None or not decided:
        quote = decided[0].quote if decided and isinstance(decided[0], KeepQuote) else None
        return Done() if quote is None else Quoted(quote)
    event = book.changes.events[book.head.pos]
    book.remember(IdempotencyRecord(id, request.author, event.pos, None))
    return Stored(event)


def _previewed(book: Book, request: Request) -> Outcome:
    """The real decision; its facts are looked at and not applied."""
    receipt = book.receipts.get(request.frame.id) if isinstance(request.frame, Durable) else None
    if receipt is not None:
        return _TAKEN if receipt.sender != request.author else _reused("$.id")
    if _shut_out(book, request.author):
        return _DISABLED
    book.previewing = True
    try:
        decided = RULES[type(request.frame)][1](book, request.author, request.frame)
    finally:
        book.previewing = False
    return decided if isinstance(decided, Refusal) else preview(book, request.author, decided)


def _shut_out(book: Book, author: str) -> bool:
    user = book.users.get(author)
    return user is None or user.disabled


def _keep_refusal(book: Book, request: Request, id: str, refusal: Refusal) -> None:
    """A refused payment stays refused: a late retry must not pay after the person has paid anew."""
    kept = KeptRefusal(refusal, _parts(request.content))
    receipt = IdempotencyRecord(id, request.author, None, codec.encode(kept))
    book.remember(receipt)


def _again(book: Book, request: Request, receipt: IdempotencyRecord) -> Outcome:
    if receipt.sender != request.author:
        return _TAKEN
    if receipt.refusal is not None:
        kept = codec.decode_as(receipt.refusal, KeptRefusal)
        other = _first_difference(kept.parts, _parts(request.content))
        return kept.refusal if other is None else _reused(other)
    event = book.events.get(receipt.pos or 0)
    assert event is not None, "a receipt names an event that is in the log"
    other = difference(book, event, request)
    return Stored(event, repeated=True) if other is None else _reused(other)


def _reused(field: str) -> Refusal:
    return Refusal("id_reused", f"This id was used before with another {field.removeprefix('$.')}.", field)


def _parts(content: bytes) -> dict[str, int]:
    fields = codec.fields_of(content) if content else {}
    return {name: crc32(codec.encode_object(value)) for name, value in fields.items() if name != "id"}


def _first_difference(kept: dict[str, int], new: dict[str, int]) -> str | None:
    differing = [name for name in {**new, **kept} if kept.get(name) != new.get(name)]
    return f"$.{differing[0]}" if differing else None
