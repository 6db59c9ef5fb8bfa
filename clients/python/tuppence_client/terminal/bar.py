"""The bar at the bottom: the most important first, as much of it as the screen is wide."""

import time
from typing import Final

from prompt_toolkit.utils import get_cwidth

from tuppence_client.client import Client
from tuppence_client.notices import Notice, State
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import ConversationView, PresenceNotice, ReceiptNotice, TypingNotice
from tuppence_protocol.limits import TYPING_MS
from tuppence_protocol.views import UserView

from .render import place_title
from .sanitize import clean
from .style import Line, Names

_STATES: Final = {
    State.CONNECTING: "connecting", State.CATCHING_UP: "catching up", State.ONLINE: "online",
    State.WAITING: "offline", State.ENDED: "ended",
}  # fmt: skip
_CONVERSATIONS_MAX: Final = 1_000


class Bar:
    """What is fleeting: who writes, who is there, how far the others have read."""

    def __init__(self, me: Client, name: Names) -> None:
        self._me = me
        self._name = name
        self._typing: dict[str, tuple[str, float]] = {}
        self._online: dict[str, bool] = {}
        self._marks: dict[str, tuple[int, int]] = {}

    def notice(self, notice: Notice) -> None:
        """Take in what was told."""
        match notice:
            case TypingNotice():
                until = time.monotonic() + TYPING_MS / 1000
                self._typing[notice.conv] = (self._name(notice.from_), until)
            case PresenceNotice(body=body):
                self._online[body.user] = body.online
            case ReceiptNotice() if notice.from_ != self._me.user.id:
                had = self._marks.pop(notice.conv, (0, 0))
                marks = (notice.body.delivered, notice.body.read)
                self._marks[notice.conv] = (max(had[0], marks[0]), max(had[1], marks[1]))
        for kept in (self._typing, self._online, self._marks):
            while len(kept) > _CONVERSATIONS_MAX:
                del kept[next(iter(kept))]

    def said(self, event: Event) -> None:
        """Who has said what they wrote writes no more."""
        self._typing.pop(event.conv, None)

    def parts(self, here: ConversationView | None, peer: UserView | None, columns: int) -> Line:
        """The bar over `columns` cells."""
        online = self._me.state is State.ONLINE
        style = "class:bottom-toolbar.good" if online else "class:bottom-toolbar.bad"
        wanted: Line = [(style, f" ● {_STATES[self._me.state]} ")]
        about = self._about(here, peer)
        wanted += [("class:bottom-toolbar.soft", f" {text} ") for text in about]
        for money in self._me.balances.values():
            wanted.append(("class:bottom-toolbar.money", f" {money.available} {money.currency} "))
        for view in self._me.conversations.values():
            unread = view.seq - view.read
            if unread > 0 and view is not here:
                wanted.append(("class:bottom-toolbar.unread", f" {place_title(view)} {unread} new "))
        wanted.append(("", f" you are @{self._me.user.handle} "))
        return _fitting(wanted, columns)

    def _about(self, here: ConversationView | None, peer: UserView | None) -> list[str]:
        """The other side of the current conversation, the liveliest first."""
        found = []
        if peer is not None and peer.id in self._online:
            found.append(f"@{clean(peer.handle)} is {'here' if self._online[peer.id] else 'away'}")
        if here is None:
            return found
        who, until = self._typing.get(here.conv, ("", 0.0))
        if until > time.monotonic():
            found.insert(0, f"@{who} is writing…")
        delivered, read = self._marks.get(here.conv, (0, 0))
        if here.seq and read >= here.seq:
            found.append("all read")
        elif here.seq and delivered >= here.seq:
            found.append("all arrived")
        return found


def _fitting(wanted: Line, columns: int) -> Line:
    shown: Line = []
    room = columns
    for style, text in wanted:
        width = sum(map(get_cwidth, text))
        if width <= room:
            shown.append((style, text))
            room -= width
    return shown
