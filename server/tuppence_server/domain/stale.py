"""What nobody needs any more: quotes that were not taken up, logins that are over, spending that no limit
looks at.

Whatever may still be asked about stays for a while: a quote, so that who pays by it is told that it has
expired; a login, so that its device is told whether its time was over. A quote that was used stays for ever,
as the ledger is checked by it.
"""

from typing import Final

from msgspec import Struct

from .book import Book
from .commands import Forget
from .facts import Decision, Drop
from .keys import Keys
from .pay.limits import DAY_MS, HOUR_MS, MONTH_MS, SLOT_MS
from .rows import Quote

QUOTE_KEPT_MS: Final = HOUR_MS
SESSION_KEPT_MS: Final = 30 * DAY_MS
USE_KEPT_MS: Final = 2 * MONTH_MS
"""Twice what the longest limit looks at: a clock that once ran ahead lets nobody spend again."""


class Before(Struct, frozen=True):
    """Quotes and logins that were over by these times, ms, and spending in slots before this one, are
    stale."""

    quotes: int
    sessions: int
    slot: int


def before(now: int) -> Before:
    """What is stale now."""
    return Before(now - QUOTE_KEPT_MS, now - SESSION_KEPT_MS, (now - USE_KEPT_MS) // SLOT_MS)


def needs_forget(book: Book, keys: Keys, _author: str, command: Forget) -> None:
    """The quotes and the logins; how old spending is, its key tells."""
    for id in command.quotes:
        book.need(keys, Quote, id)
    keys.sessions.update(id for id in command.sessions if id not in book.sessions)


def forget(book: Book, _author: str, command: Forget) -> Decision:
    """Drop of these what is stale, and nothing else."""
    limit = before(book.now)
    quotes = [
        id
        for id in command.quotes
        if (quote := book.find(Quote, id)) is not None
        and not quote.used_by
        and quote.expires_at <= limit.quotes
    ]
    sessions = [
        id
        for id in command.sessions
        if (login := book.sessions[id]) is not None and login.over_at <= limit.sessions
    ]
    uses = [use for use in command.uses if use[2] < limit.slot]
    return [Drop(tuple(quotes), tuple(sessions), tuple(uses))] if quotes or sessions or uses else []
