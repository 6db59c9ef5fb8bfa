"""The one way to decide: who may be asked what rows, which rule speaks, and what an id's outcome stays for ever."""

from collections.abc import Callable
from typing import Final
from zlib import crc32

import msgspec

from tuppence_protocol import codec, frames
from tuppence_protocol.errors import Refusal

from . import chat, office, pay, people, rooms
from .book import Book, Keys
from .content import difference
from .facts import Fact
from .outflow import Done, Outcome, Stored
from .request import Request
from .rows import Receipt

Needs = Callable[[Book, Keys, Request], None]
Rule = Callable[[Book, Request], list[Fact] | Refusal]

RULES: Final[dict[type, tuple[Needs, Rule]]] = {
    frames.ChatText: (chat.needs_text, chat.text),
    frames.PaySend: (pay.needs_send, pay.send),
    frames.RoomCreate: (rooms.needs_create, rooms.create),
    frames.RoomUpdate: (rooms.needs_group, rooms.update),
    frames.RoomInvite: (rooms.needs_group, rooms.invite),
    frames.RoomRemove: (rooms.needs_group, rooms.remove),
    frames.RoomLeave: (rooms.needs_group, rooms.leave),
    frames.RoomRole: (rooms.needs_group, rooms.role),
    office.Deposit: (pay.needs_deposit, pay.deposit),
    office.CreateUser: (people.needs_create, people.create),
    office.SetPassword: (people.needs_handle, people.set_password),
    office.DisableUser: (people.needs_handle, people.disable),
    office.OpenSession: (people.needs_open, people.open_session),
    office.RevokeSession: (people.needs_revoke, people.revoke),
    office.Probe: (people.needs_nothing, people.probe),
    office.MarkSeen: (people.needs_seen, people.seen),
}
_FROM_PEOPLE: Final = frozenset(kind for kind in RULES if issubclass(kind, frames.Durable))
_REMEMBERED_REFUSALS: Final = (frames.PaySend, office.Deposit)
_DISABLED: Final = Refusal("account_disabled", "This user is disabled.")


class RuleFault(Exception):
    """A rule crashed; the book is as it was before."""


class KeptRefusal(msgspec.Struct):
    """A refusal as its receipt keeps it; `parts` tell later which member of other content differs."""

    refusal: Refusal
    parts: dict[str, int]


def needs(book: Book, keys: Keys, request: Request) -> None:
    """Ask for the rows that a request needs and the book does not hold yet."""
    frame = request.frame
    id = getattr(frame, "id", None)
    if id is not None and id not in book.receipts:
        keys.receipts.add(id)
    RULES[type(frame)][0](book, keys, request)


def settle(book: Book, request: Request) -> Outcome:
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
        shut_out = type(frame) in _FROM_PEOPLE and _shut_out(book, request.author)
        decided = _DISABLED if shut_out else RULES[type(frame)][1](book, request)
        if type(decided) is Refusal:
            if id is not None and isinstance(frame, _REMEMBERED_REFUSALS):
                _keep_refusal(book, request, id, decided)
            return decided
    except Exception as fault:
        raise RuleFault(type(frame).__name__) from fault
    for fact in decided:
        book.apply(fact)
    if id is None or not decided:
        return Done()
    event = book.changes.events[-1]
    book.remember(Receipt(id, request.author, event.pos, None))
    return Stored(event)


def _shut_out(book: Book, author: str) -> bool:
    user = book.users.get(author)
    return user is None or user.disabled


def _keep_refusal(book: Book, request: Request, id: str, refusal: Refusal) -> None:
    """A refused payment stays refused: a late retry must not pay after the person has paid anew."""
    kept = KeptRefusal(refusal, _parts(request.content))
    receipt = Receipt(id, request.author, None, codec.encode(kept))
    book.remember(receipt)


def _again(book: Book, request: Request, receipt: Receipt) -> Outcome:
    if receipt.sender != request.author:
        return Refusal("id_taken", "This id belongs to another frame.", "$.id")
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
