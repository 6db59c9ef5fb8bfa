"""The one outcome of an id: whether a frame under it says the same again, and if not, where it differs.

What became an event is compared with that event. What the server rewrote is compared as it would be rewritten
now: handles as the people they name, amounts as their canonical spelling, a place as the conversation that it
is. A refusal left no event, so it is kept with a checksum of each member: there the spelling counts.
"""

from typing import Any, Final
from zlib import crc32

from msgspec import Struct

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import LASTS_S
from tuppence_protocol.money import format_amount, in_equal_parts, parse_amount

from .book import Book
from .chat.lookup import find_person, find_place
from .commands import Deposit, EventCommand, Reverse, Withdraw
from .effects import Outcome, Stored
from .request import Request
from .rows import Conversation, IdempotencyRecord, LoggedEvent

TAKEN: Final = Refusal("id_taken", "This id belongs to another frame.", "$.id")
_AMOUNT: Final = frozenset({"amount", "total"})
_PERSON: Final = frozenset({"payee", "payer", "user"})
_PEOPLE: Final = frozenset({"members", "users"})
_OPTIONAL: Final = ("note", "not_after", "mentions", "accept", "quote", "reason")
_SAID_BY_REF: Final = ("amount", "currency")


class KeptRefusal(Struct):
    """A refusal as its record keeps it; `parts` tell later which member of other content differs."""

    refusal: Refusal
    parts: dict[str, int]


def record_of(request: Request, id: str, refusal: Refusal) -> IdempotencyRecord:
    """A refused payment stays refused: a late retry must not pay after the person has paid anew."""
    kept = codec.encode(KeptRefusal(refusal, _parts(request.content)))
    return IdempotencyRecord(id, request.author, None, kept)


def again(book: Book, request: Request, record: IdempotencyRecord) -> Outcome:
    """What becomes of a request whose id has an outcome."""
    if record.sender != request.author:
        return TAKEN
    if record.refusal is not None:
        kept = codec.decode_as(record.refusal, KeptRefusal)
        parts = _parts(request.content)
        other = next(
            (name for name in {**parts, **kept.parts} if kept.parts.get(name) != parts.get(name)), None
        )
        return kept.refusal if other is None else reused(f"$.{other}")
    event = book.events.get(record.pos or 0)
    assert event is not None, "a record names an event that is in the log"
    other = _difference(book, event, request)
    return Stored(event, repeated=True) if other is None else reused(other)


def reused(field: str) -> Refusal:
    """The refusal of other content under a known id."""
    return Refusal("id_reused", f"This id was used before with another {field.removeprefix('$.')}.", field)


def _parts(content: bytes) -> dict[str, int]:
    fields = codec.fields_of(content) if content else {}
    return {name: crc32(codec.encode_object(value)) for name, value in fields.items() if name != "id"}


def _difference(book: Book, event: LoggedEvent, request: Request) -> str | None:
    """The JSON path of the first member that differs; None where the content is the same."""
    head: dict[str, Any] = dict(codec.decode_head(event.head))
    frame, stored = request.frame, codec.fields_of(event.body)
    sent = _of_command(book, frame) if isinstance(frame, EventCommand) else codec.fields_of(request.content)
    for name in ("kind", "ref"):
        if sent.get(name) != head.get(name):
            return f"$.{name}"
    if "conv" in sent and _conv(book, request.author, sent["conv"]) != event.conv:
        return "$.conv"
    return _body_difference(book, head, stored, sent.get("body", {}))


def _of_command(book: Book, command: EventCommand) -> dict[str, Any]:
    """A command as if it were a client's frame."""
    body: dict[str, str | None] = {}
    if isinstance(command, (Deposit, Withdraw)):
        user = book.user_by_handle(command.handle)
        whom = "payee" if isinstance(command, Deposit) else "payer"
        body = {"amount": command.amount, "currency": command.currency, whom: "" if user is None else user.id}
    if isinstance(command, (Withdraw, Reverse)):
        body["reason"] = command.reason
    if isinstance(command, (Deposit, Withdraw, Reverse)):
        body["note"] = command.note
    given = {name: value for name, value in body.items() if value is not None}
    return {"kind": command.kind, "ref": command.ref, "body": given}


def _body_difference(
    book: Book, head: dict[str, Any], stored: dict[str, Any], sent: dict[str, Any]
) -> str | None:
    for name, value in sent.items():
        if name == "expires_s":
            same = _expiry(head, value) == stored.get("expires_at")
        elif name == "shares":
            same = _same_shares(book, value, stored)
        elif name in _AMOUNT:
            same = _canonical(value, stored.get("currency", "")) == stored.get(name)
        else:
            same = _rewritten(book, name, value, head) == stored.get(name)
        if not same:
            return f"$.body.{name}"
    if (unsaid := _unsaid(head["kind"], stored, sent)) is not None:
        return unsaid
    for name in _OPTIONAL:
        if name in stored and name not in sent:
            return f"$.body.{name}"
    if head["kind"] in LASTS_S and "expires_at" in stored and "expires_s" not in sent:
        return None if stored["expires_at"] == _expiry(head, LASTS_S[head["kind"]]) else "$.body.expires_s"
    return None


def _unsaid(kind: str, stored: dict[str, Any], sent: dict[str, Any]) -> str | None:
    """What a frame leaves to its ref, where the event is not one that its ref says."""
    if kind == "pay.refund" and "amount" not in sent and stored["state"] != "refunded":
        return "$.body.amount"  # without an amount it gives back all that is left
    if kind == "pay.send" and "settles" not in stored:
        return next((f"$.body.{name}" for name in _SAID_BY_REF if name not in sent), None)
    return None


def _expiry(head: dict[str, Any], seconds: int) -> int:
    return int(head["at"]) + 1000 * seconds


def _same_shares(book: Book, sent: list[dict[str, str]], stored: dict[str, Any]) -> bool:
    """The same people, and the same amounts where they were given."""
    had = stored.get("shares", [])
    if not any("amount" in new for new in sent):
        total = parse_amount(stored["total"], stored["currency"])
        equal = [] if isinstance(total, Refusal) else in_equal_parts(total, len(sent))
        if [old["amount"] for old in had] != [format_amount(part, stored["currency"]) for part in equal]:
            return False
    return len(sent) == len(had) and all(
        _id_of(book, new["user"]) == old["user"]
        and _canonical(new.get("amount", old["amount"]), stored["currency"]) == old["amount"]
        for new, old in zip(sent, had, strict=True)
    )


def _canonical(amount: str, currency: str) -> str:
    minor = parse_amount(amount, currency)
    return amount if isinstance(minor, Refusal) else format_amount(minor, currency)


def _rewritten(book: Book, name: str, value: Any, head: dict[str, Any]) -> Any:
    if name in _PERSON:
        return _id_of(book, value)
    if name in _PEOPLE:
        named = list(dict.fromkeys(_id_of(book, person) for person in value))
        if name == "members":
            return [head["from"], *(user for user in named if user != head["from"])]
        return named
    return value


def _id_of(book: Book, person: str) -> str:
    user = find_person(book, person)
    return person if user is None else user.id


def _conv(book: Book, author: str, place: str) -> str | None:
    if place.startswith("c_"):
        return place  # one who has left since may still ask what became of a frame
    found = find_place(book, author, place)
    return found.id if isinstance(found, Conversation) else None
