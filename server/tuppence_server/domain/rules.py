"""The one way to decide: who may be asked what rows, which rule speaks, and what an id's outcome stays for ever."""

from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

import msgspec
from tuppence_protocol import codec, frames
from tuppence_protocol.errors import CODES, Family, Refusal

from . import chat, office, pay, people, rooms
from .book import Book, Keys
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
    office.MarkSeen: (people.needs_seen, people.seen),
}
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
    try:
        decided = _decide(book, request)
    except Exception as fault:
        raise RuleFault(type(request.frame).__name__) from fault
    if not isinstance(decided, list):
        return decided
    before = book.head.pos
    for fact in decided:
        book.apply(fact)
    id: str | None = getattr(request.frame, "id", None)
    if id is None or book.head.pos == before:
        return Done()
    event = book.changes.events[-1]
    book.remember(Receipt(id, request.author, request.fingerprint, event.pos, None))
    return Stored(event.pos, event.head, event.body)


def _decide(book: Book, request: Request) -> list[Fact] | Outcome:
    frame = request.frame
    id: str | None = getattr(frame, "id", None)
    if id is not None and (receipt := book.receipts.get(id)) is not None:
        return _again(book, request, receipt)
    if isinstance(frame, frames.Durable):
        author = book.users.get(request.author)
        if author is None or author.disabled:
            return _DISABLED
    decided = RULES[type(frame)][1](book, request)
    if isinstance(decided, Refusal):
        if id is not None and isinstance(frame, _REMEMBERED_REFUSALS):
            _keep_refusal(book, request, id, decided)
    return decided


def _keep_refusal(book: Book, request: Request, id: str, refusal: Refusal) -> None:
    """A refused payment stays refused: a late retry must not pay after the person has paid anew."""
    if CODES[refusal.code].family is Family.SHAPE:
        return
    kept = KeptRefusal(refusal, _parts(request.content))
    receipt = Receipt(id, request.author, request.fingerprint, None, codec.encode(kept))
    book.remember(receipt)


def _again(book: Book, request: Request, receipt: Receipt) -> Outcome:
    if receipt.sender != request.author:
        return Refusal("id_taken", "This id belongs to another frame.", "$.id")
    if receipt.refusal is not None:
        kept = codec.decode_as(receipt.refusal, KeptRefusal)
        if receipt.fingerprint == request.fingerprint:
            return kept.refusal
        return _reused(_first_difference(kept.parts, _parts(request.content)))
    event = book.events.get(receipt.pos or 0)
    assert event is not None, "a receipt names an event that is in the log"
    if receipt.fingerprint == request.fingerprint:
        return Stored(event.pos, event.head, event.body, repeated=True)
    head: dict[str, Any] = dict(codec.decode_head(event.head))
    stored = {"kind": head["kind"], "ref": head.get("ref"), "body": codec.fields_of(event.body)}
    return _reused(_differs_from_event(stored, codec.fields_of(request.content)))


def _reused(field: str) -> Refusal:
    return Refusal("id_reused", f"This id was used before with another {field.removeprefix('$.')}.", field)


def _parts(content: bytes) -> dict[str, int]:
    fields = codec.fields_of(content) if content else {}
    return {name: crc32(codec.encode_object(value)) for name, value in fields.items() if name != "id"}


def _first_difference(kept: dict[str, int], new: dict[str, int]) -> str:
    differing = [name for name in ("kind", "conv", "ref", "body") if kept.get(name) != new.get(name)]
    return f"$.{differing[0]}" if differing else "$.body"


def _differs_from_event(stored: dict[str, Any], sent: dict[str, Any]) -> str:
    for name in ("kind", "ref"):
        if stored[name] != sent.get(name, stored["kind"] if name == "kind" else None):
            return f"$.{name}"
    for name, value in sent.get("body", {}).items():
        if name not in stored["body"] or (stored["body"][name] != value and name not in _REWRITTEN):
            return f"$.body.{name}"
    left_out = [name for name in stored["body"] if name in _OPTIONAL and name not in sent.get("body", {})]
    return f"$.body.{left_out[0]}" if left_out else "$.conv"


_REWRITTEN: Final = frozenset({"payee", "members", "users", "user"})
"""Members that the server stores under the id of whom the sender may have named by handle."""
_OPTIONAL: Final = frozenset({"note", "not_after", "mentions"})
