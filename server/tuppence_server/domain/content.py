"""Whether a frame says the same as the event that its id already is, and if not, where it differs.

What the server rewrote is compared as it would be rewritten now: handles as the people they name, amounts as
their canonical spelling, a place as the conversation that it is.
"""

from typing import Any, Final

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.money import format_amount, parse_amount

from .book import Book
from .office import Deposit
from .places import find_person, find_place
from .request import Request
from .rows import Conversation, LoggedEvent

_PERSON: Final = frozenset({"payee", "user"})
_PEOPLE: Final = frozenset({"members", "users"})
_OPTIONAL: Final = ("note", "not_after", "mentions")


def difference(book: Book, event: LoggedEvent, request: Request) -> str | None:
    """The JSON path of the first member that differs; None where the content is the same."""
    frame = request.frame
    head: dict[str, Any] = dict(codec.decode_head(event.head))
    stored = codec.fields_of(event.body)
    sent: dict[str, Any]
    if isinstance(frame, Deposit):
        sent = {"kind": "pay.deposit", "body": _deposited(book, frame)}
    else:
        sent = codec.fields_of(request.content)
    for name in ("kind", "ref"):
        if sent.get(name) != head.get(name):
            return f"$.{name}"
    if "conv" in sent and _conv(book, request.author, sent["conv"]) != event.conv:
        return "$.conv"
    return _body_difference(book, head, stored, sent.get("body", {}))


def _deposited(book: Book, frame: Deposit) -> dict[str, Any]:
    user = book.user_by_handle(frame.handle)
    body = {"amount": frame.amount, "currency": frame.currency, "payee": "" if user is None else user.id}
    return body if frame.note is None else {**body, "note": frame.note}


def _body_difference(
    book: Book, head: dict[str, Any], stored: dict[str, Any], sent: dict[str, Any]
) -> str | None:
    for name, value in sent.items():
        if _rewritten(book, name, value, sent, head) != stored.get(name):
            return f"$.body.{name}"
    for name in _OPTIONAL:
        if name in stored and name not in sent:
            return f"$.body.{name}"
    return None


def _rewritten(book: Book, name: str, value: Any, sent: dict[str, Any], head: dict[str, Any]) -> Any:
    if name == "amount":
        minor = parse_amount(value, sent["currency"])
        return value if isinstance(minor, Refusal) else format_amount(minor, sent["currency"])
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
