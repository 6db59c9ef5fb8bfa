"""How things look: an event, a place, a balance becomes a styled line. Pure; all text by others is cleaned here."""

from collections.abc import Callable
from datetime import datetime
from zlib import crc32

from tuppence_client.errors import TuppenceError
from tuppence_protocol.events import (
    SERVER_AUTHOR,
    BalanceView,
    ConversationView,
    Deposited,
    Event,
    PaymentSent,
    TextPosted,
)

from .clean import clean, clean_lines

Line = list[tuple[str, str]]
Names = Callable[[str], str]
"""From a user id to a handle without the @."""

STYLES = {
    "time": "ansibrightblack",
    "place": "ansibrightblack",
    "soft": "ansibrightblack",
    "me": "bold",
    "in": "ansigreen bold",
    "out": "ansiyellow bold",
    "between": "ansicyan",
    "note": "italic",
    "error": "ansired bold",
    "good": "ansigreen",
    "who0": "ansicyan bold",
    "who1": "ansimagenta bold",
    "who2": "ansiblue bold",
    "who3": "ansibrightcyan bold",
    "who4": "ansibrightmagenta bold",
    "who5": "ansibrightblue bold",
    "bottom-toolbar": "noreverse bg:#222222 #cccccc",
    "bottom-toolbar.good": "bg:#222222 ansigreen",
    "bottom-toolbar.bad": "bg:#222222 ansired",
    "bottom-toolbar.unread": "bg:#222222 ansiyellow bold",
    "bottom-toolbar.money": "bg:#222222 ansibrightgreen",
    "bottom-toolbar.soft": "bg:#222222 ansibrightblack",
}


def handle_style(handle: str) -> str:
    """The colour of a person, always the same one."""
    return f"class:who{crc32(handle.encode()) % 6}"


def event_lines(event: Event, me: str, name: Names, place: str | None = None) -> list[Line]:
    """An event as seen by the user with the id `me`; `place` where it is not the current conversation."""
    head: Line = [("class:time", f"{datetime.fromtimestamp(event.at / 1000).astimezone():%H:%M}  ")]
    if place is not None:
        head.append(("class:place", f"[{place}] "))
    match event.body:
        case TextPosted(text=text):
            return _said(head, event.from_ == me, name(event.from_), text)
        case PaymentSent():
            return [head + _payment(event.from_, event.body, me, name)]
        case Deposited(amount=amount, currency=currency, note=note):
            who = "you" if event.body.payee == me else f"@{name(event.body.payee)}"
            return [[*head, ("class:in", f"▼ {who} received {amount} {currency}"), *_note(note)]]
    alt = clean(getattr(event.body, "alt", "") or event.kind)
    return [[*head, ("class:soft", f"· {alt}")]]


def _said(head: Line, mine: bool, handle: str, text: str) -> list[Line]:
    who = ("class:me", "you") if mine else (handle_style(handle), f"@{handle}")
    first, *others = clean_lines(text)
    # the bar keeps a second line from passing for somebody else's message
    return [[*head, who, ("", f"  {first}")], *([("class:soft", "     │ "), ("", line)] for line in others)]


def _payment(author: str, body: PaymentSent, me: str, name: Names) -> Line:
    money = f"{clean(body.amount)} {clean(body.currency)}"
    if author == me:
        return [("class:out", f"▲ you paid @{name(body.payee)} {money}"), *_note(body.note)]
    payer = "the server" if author == SERVER_AUTHOR else f"@{name(author)}"
    if body.payee == me:
        return [("class:in", f"▼ {payer} paid you {money}"), *_note(body.note)]
    return [("class:between", f"◆ {payer} paid @{name(body.payee)} {money}"), *_note(body.note)]


def _note(note: object) -> Line:
    return [("class:note", f" · {clean(note)}")] if isinstance(note, str) else []


def error_line(error: TuppenceError) -> Line:
    """A refusal in one line, with its code."""
    text = f"✗ {clean(error.message)} ({clean(error.code)}"
    if error.state:
        text += ", " + ", ".join(f"{clean(key)} {clean(str(value))}" for key, value in error.state.items())
    return [("class:error", text + ")")]


def place_title(view: ConversationView) -> str:
    """What a conversation is called on screen."""
    if view.kind == "self":
        return "self"
    if view.peer is not None:
        return f"@{clean(view.peer.handle)}"
    return clean(view.title) or view.conv


def place_line(number: int, view: ConversationView, *, current: bool) -> Line:
    """One line of /list."""
    unread = max(0, view.seq - view.read)
    people = f"{view.members} people" if view.kind == "group" else ""
    return [
        ("class:good", "▸ " if current else "  "),
        ("class:soft", f"{number:>2} "),
        ("class:me", f"{place_title(view):<24}"),
        ("class:out", f"{f'● {unread} unread' if unread else '':<14}"),
        ("class:soft", people),
    ]


def balance_line(view: BalanceView) -> Line:
    """One line of /wallet."""
    line: Line = [("class:in", f"{view.available:>16} {view.currency}")]
    if view.held.strip("0."):
        line.append(("class:soft", f"   {view.held} held"))
    return line


def plain(line: Line) -> str:
    """The line without its styles."""
    return "".join(text for _, text in line)
