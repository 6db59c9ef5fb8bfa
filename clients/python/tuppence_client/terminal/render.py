"""How things look: an event, a place, a balance becomes a styled line. Pure; text by others is cleaned."""

from datetime import datetime
from zlib import crc32

from tuppence_client.cards import Card
from tuppence_client.errors import TuppenceError
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import ConversationView, TextPosted
from tuppence_protocol.views import BalanceView, PaymentBody

from .render_money import money_line
from .sanitize import clean, clean_lines
from .style import Line, Names
from .words import refused


def handle_style(handle: str) -> str:
    """The colour of a person, always the same one."""
    return f"class:who{crc32(handle.encode()) % 6}"


def event_lines(
    event: Event, me: str, name: Names, place: str | None = None, card: Card | None = None
) -> list[Line]:
    """An event as seen by the user with the id `me`; `place` where it is not the current conversation.

    `card` is how the payment that the event began stands by now.
    """
    head: Line = [("class:time", f"{datetime.fromtimestamp(event.at / 1000).astimezone():%H:%M}  ")]
    if place is not None:
        head.append(("class:place", f"[{place}] "))
    if isinstance(event.body, TextPosted):
        return _said(head, event.from_ == me, name(event.from_), event.body.text)
    if isinstance(event.body, PaymentBody):
        return [head + money_line(event, me, name, card)]
    alt = clean(getattr(event.body, "alt", "") or event.kind)
    return [[*head, ("class:soft", f"· {alt}")]]


def _said(head: Line, mine: bool, handle: str, text: str) -> list[Line]:
    who = ("class:me", "you") if mine else (handle_style(handle), f"@{handle}")
    first, *others = clean_lines(text)
    # the bar keeps a second line from passing for somebody else's message
    return [[*head, who, ("", f"  {first}")], *([("class:soft", "     │ "), ("", line)] for line in others)]


def error_line(error: TuppenceError) -> Line:
    """A refusal in one line."""
    return [("class:error", f"✗ {refused(error)}")]


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
