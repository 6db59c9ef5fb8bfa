"""The one way to decide: who may be asked what rows, which rule speaks,
and what an id's outcome stays for ever."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeVar

from tuppence_protocol import kinds
from tuppence_protocol.errors import Refusal
from tuppence_protocol.shapes import Acting, Durable

from . import commands, stale
from .book import Book
from .chat import messages, people, rooms
from .effects import Done, Outcome, Quoted, Stored
from .facts import Decision, Keep
from .idempotency import TAKEN, again, record_of, reused
from .keys import Keys
from .pay import answers, corrections, deposits, packets, quotes, requests, send, wallets
from .pay.payments import needs_acting, needs_payment
from .pay.preview import preview
from .request import Request
from .rows import IdempotencyRecord, Quote

Needs = Callable[[Book, Keys, str, Any], object]
Rule = Callable[[Book, str, Any], Decision]
_F = TypeVar("_F", bound=Durable | commands.Command)


def _rule(
    kind: type[_F], needs: Callable[[Book, Keys, str, _F], object], rule: Callable[[Book, str, _F], Decision]
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
        _rule(commands.Expire, needs_payment, answers.expire),
        _rule(commands.OpenQuote, quotes.needs_quote, quotes.open_quote),
        _rule(commands.SetFlags, wallets.needs_flags, wallets.set_flags),
        _rule(commands.SetTier, people.needs_handle, wallets.set_tier),
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
_ACTING: Final = (kinds.PaySend, Acting, commands.Expire, commands.Reverse)
ACTS_ON: Final[dict[type, Callable[[Any], str | None]]] = {
    **{kind: attrgetter("ref") for kind in RULES if issubclass(kind, _ACTING)},
    commands.Preview: lambda preview: acted_on(preview.frame),
}
"""Frames whose decision depends on a payment, and how each names it."""
_DISABLED: Final = Refusal("account_disabled", "This user is disabled.")


def acted_on(frame: Any) -> str | None:
    """The id of the payment that a decision depends on, if any."""
    name = ACTS_ON.get(type(frame))
    return None if name is None else name(frame)


class RuleFault(Exception):
    """A rule crashed; the book is as it was before."""


class NotLoaded(Exception):
    """A rule read a row that its `needs` did not name; the book is as it was before."""


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
        NotLoaded: as above, but a row is missing that may be there once the batch is taken frame by frame:
            one is needed where a frame before it in the batch made what it names.
        Exception: a fact could not be applied; the whole batch is void.
    """
    frame, author = request.frame, request.author
    id: str | None = getattr(frame, "id", None)
    try:
        record = book.receipts[id] if id is not None else None
        if record is not None:
            return again(book, request, record)
        if type(frame) is commands.Preview:
            return _previewed(book, frame.frame, author)
        decided = _ruled(book, author, frame)
        if type(decided) is Refusal:
            if id is not None and type(frame) in _REMEMBERED_REFUSALS:
                book.remember(record_of(request, id, decided))
            return decided
    except KeyError as missing:  # not as its cause: its text is a key, which may be somebody's handle
        raise NotLoaded(type(frame).__name__).with_traceback(missing.__traceback__) from None
    except Exception as fault:
        raise RuleFault(type(frame).__name__) from fault
    for fact in decided:
        book.apply(fact)
    if id is None or not decided:
        row = decided[0].row if decided and isinstance(decided[0], Keep) else None
        return Quoted(row) if isinstance(row, Quote) else Done()
    event = book.changes.events[book.head.pos]
    book.remember(IdempotencyRecord(id, author, event.pos, None))
    return Stored(event)


def _previewed(book: Book, frame: Durable, author: str) -> Outcome:
    """The real decision; its facts are looked at and not applied."""
    record = book.receipts[frame.id]
    if record is not None:
        return TAKEN if record.sender != author else reused("$.id")
    book.previewing = True
    try:
        decided = _ruled(book, author, frame)
    finally:
        book.previewing = False
    return decided if isinstance(decided, Refusal) else preview(book, author, decided)


def _ruled(book: Book, author: str, frame: Durable | commands.Command) -> Decision:
    kind = type(frame)
    if kind in _FROM_PEOPLE:
        user = book.users[author]
        if user is None or user.disabled:
            return _DISABLED
    return RULES[kind][1](book, author, frame)
