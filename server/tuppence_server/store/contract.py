"""The contract of a store, by who reads it: the road, the edge, reports, the operator,
the check of the ledger.

`pack` copies a batch's changes out of the book, so that the next batch can be decided while `save` writes
them. `save` is one transaction: all of it or nothing, durable when it returns. Reads see whole commits only.
A store never decides anything.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NewType, Protocol
from unicodedata import normalize

from msgspec import Struct

from tuppence_protocol.kinds import ConversationView, MemberView
from tuppence_protocol.limits import PAGE_BYTES_MAX
from tuppence_protocol.views import UserView
from tuppence_server.domain import rows
from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.stale import Before


class StoreFault(Exception):
    """The store cannot read or write, and nothing was written.

    `fatal`: what is on disk is in doubt, so the process must end. `refused`: what was to be written is at
    fault.
    """

    def __init__(self, message: str, *, fatal: bool, refused: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal
        self.refused = refused

    def __reduce__(self) -> tuple[Callable[[str], "StoreFault"], tuple[str]]:
        made = partial(StoreFault, fatal=self.fatal, refused=self.refused)
        return made, (str(self),)  # it also comes from other processes


class Unusable(Exception):
    """What lies where the database should be is none of ours, or not a whole one; the message says what it
    is."""


class SchemaTooNew(Exception):
    """The data was written by a newer version of this program."""


class Identity(Struct, frozen=True):
    """Who a token belongs to."""

    user: rows.User
    session: rows.Session


class Funds(Struct, frozen=True):
    """A balance in minor units."""

    currency: str
    available: int
    held: int


class Missed(Struct, frozen=True):
    """An event to be sent after a resume, as the wire has it."""

    pos: int
    wire: bytes


class Snapshot(Struct, frozen=True):
    """How things stand for one person at `pos`. `missed` is None where there can be no replay."""

    epoch: str
    pos: int
    conversations: list[ConversationView]
    funds: list[Funds]
    groups: list[str]
    missed: list[Missed] | None
    why: Literal["first", "epoch", "too_far"] | None
    alive: bool
    """False where the session was revoked or the person disabled meanwhile."""


class Cursor(Struct, frozen=True):
    """From where a client wants to resume."""

    epoch: str
    pos: int


class Wanted(Struct, frozen=True):
    """Whom the operator looks for: a part of handle or name, or an id; None for either."""

    search: str
    tier: str | None
    frozen: bool | None
    disabled: bool | None


def folded(text: str) -> str:
    """Text as it is searched: without capitals, accents composed."""
    return normalize("NFC", normalize("NFC", text).casefold())


class Listed(Struct, frozen=True):
    """A person, when they last logged in (ms, 0 where that is not known), and whether anything of theirs is
    frozen."""

    user: rows.User
    last_login: int
    frozen: bool


class Stale(Struct, frozen=True):
    """What nobody needs any more: quotes and logins by id, spending by (user, currency, slot)."""

    quotes: tuple[str, ...]
    sessions: tuple[str, ...]
    uses: tuple[tuple[str, str, int], ...]


class ConversationInfo(Struct, frozen=True):
    """A conversation that somebody is in; `people` where it is a dm or self."""

    conv: str
    people: tuple[str, ...] | None
    members: int


def info_of(conversation: rows.Conversation) -> ConversationInfo:
    """A conversation as the hub needs to know it."""
    people = None if conversation.pair is None else tuple(conversation.pair.split("|"))
    return ConversationInfo(conversation.id, people, conversation.members)


class Misplaced(Struct, frozen=True):
    """Events that do not have exactly their receipt, by `pos`, and receipts that are no event's, by id."""

    events: list[int]
    receipts: list[str]


def fitting(sizes: Iterable[int]) -> int:
    """How many events go into a page: up to the one that passes PAGE_BYTES_MAX."""
    total = count = 0
    for size in sizes:
        count, total = count + 1, total + size
        if total > PAGE_BYTES_MAX:
            break
    return count


class Page(Struct, frozen=True):
    """A range of events as the wire has them, in seq order; `complete` where it reaches the end asked for."""

    events: list[bytes]
    complete: bool


class Item(Struct, frozen=True, gc=False):
    """An event of money, with the payment that it began or took a share of as that now stands,
    if it has a row."""

    event: rows.LoggedEvent
    payment: rows.Payment | None
    shares: tuple[rows.Share, ...] = ()


class Items(Struct, frozen=True):
    """Some of a person's payments, latest first, at `pos`. What is left lies before `next`;
    None for nothing."""

    items: list[Item]
    pos: int
    next: int | None


class LogPosition(Struct, frozen=True):
    """Where the log stood: its last event, and the last transfer that was made by then."""

    pos: int
    transfer: int


class Span(Struct, frozen=True):
    """What moved an account's posted balance between two moments: transfers up to `upto`; minor units.

    Reading begins behind the transfer `after`, at the balance `carried`; `opening` and `closing` are those of
    the whole. `pos` is where the log stands. `account` is None where there is none.
    """

    account: int | None
    after: int
    upto: int
    opening: int
    carried: int
    closing: int
    pos: int


class Movement(Struct, frozen=True, gc=False):
    """One posted transfer as its account sees it: `amount` is negative where money went out.

    `other` is the handle of the person on the other side, None where that is the operator.
    """

    transfer: int
    head: bytes
    body: bytes
    code: str
    amount: int
    other: str | None


class Total(Struct, frozen=True, gc=False):
    """What was posted to all accounts of one code and currency; minor units."""

    currency: str
    code: str
    debits: int
    credits: int


class MoneyRows(Struct, frozen=True):
    """Rows of money by id, and events by theirs; what is not there is left out."""

    payments: dict[str, rows.Payment]
    shares: dict[str, list[rows.Share]]
    quotes: dict[str, rows.Quote]
    events: dict[str, rows.LoggedEvent]


class Tally(Struct, frozen=True):
    """How many rows of money there are; `refunded` are minor units by currency."""

    payments: int
    shares: int
    used_quotes: int
    refunded: dict[str, int]


EventRow = tuple[int, str, int, bytes, bytes, bytes, bytes]
"""A `LoggedEvent`, field by field."""
MoveRow = tuple[int, int, int, int, int, str | None]
"""A transfer: pos, id, debit, credit, amount, and "code phase pending" unless it is a single one for a
send."""
OutcomeRow = tuple[bytes, int]
"""A receipt that names an event: its id with its sender, and the pos."""
Piece = tuple[Sequence[EventRow], Sequence[MoveRow]]
"""Events in order, and the transfers up to the last of them."""


class LogReader(Protocol):
    """Reads the log on a connection of its own, in whatever process it is sent to.
    It can be pickled and hashed."""

    def __hash__(self) -> int: ...
    def accounts(self) -> Iterator[tuple[int, str, str, str]]: ...
    def hash_at(self, pos: int) -> bytes: ...
    def pieces(self, after: int, upto: int) -> Iterator[Piece]: ...
    def outcomes(self) -> Iterator[Sequence[OutcomeRow]]: ...


Packed = NewType("Packed", object)
"""One batch as its store wants to write it; opaque to everybody else."""


class Log(Protocol):
    """Where the log stands."""

    async def head(self) -> rows.LogHead: ...


class Journal(Log, Protocol):
    """What the road needs; it alone writes."""

    async def load(self, keys: Keys, book: Book) -> None: ...
    def pack(self, changes: Changes, head: rows.LogHead) -> Packed: ...
    async def save(self, packed: Packed) -> None: ...


class Upkeep(Protocol):
    """What is looked for again and again beside the road."""

    async def due(self, now: int, limit: int) -> list[str]: ...
    async def stale(self, before: Before, limit: int) -> Stale: ...
    def watch(self) -> None: ...


class SessionReads(Protocol):
    """What a connection needs at its beginning."""

    async def identify(self, token_hash: str) -> Identity | None: ...
    async def groups(self, user: str) -> list[str]: ...
    async def snapshot(self, user: str, session: str, cursor: Cursor | None) -> Snapshot: ...


class ChatReads(Protocol):
    """What people ask of their conversations. `place` is as on the wire: c_…, @handle or self."""

    async def conversation(self, user: str, place: str) -> ConversationInfo | None: ...
    async def acquainted(self, user: str, people: Sequence[str]) -> list[str]: ...
    async def history(
        self, user: str, place: str, before: int | None, after: int | None, limit: int
    ) -> Page | None: ...
    async def conversations(
        self, user: str, before: int | None, limit: int
    ) -> tuple[list[ConversationView], bool]: ...
    async def event(self, user: str, id: str) -> bytes | None: ...
    async def members(
        self, user: str, place: str, after: str, limit: int
    ) -> tuple[list[MemberView], bool] | None: ...


class PeopleReads(Protocol):
    """Who somebody is, and what they have."""

    async def person(self, reference: str) -> UserView | None: ...
    async def user(self, handle: str) -> rows.User | None: ...
    async def sessions(self, user: str, now: int, limit: int) -> list[rows.Session]: ...
    async def funds(self, user: str) -> tuple[list[Funds], int]: ...


class MoneyReads(PeopleReads, Log, Protocol):
    """Payments, statements and sums."""

    async def payments(self, user: str, before: int | None, limit: int) -> Items: ...
    async def span(
        self, user: str, currency: str, since: int | None, until: int | None, after: int
    ) -> Span: ...
    async def movements(self, span: Span, after: int, limit: int) -> tuple[list[Movement], int | None]: ...
    async def position(self, pos: int | None, before: int | None) -> LogPosition: ...
    async def totals(self, after: int, upto: int) -> list[Total]: ...
    def log(self, after: int, upto: int) -> AsyncIterator[Sequence[rows.LoggedEvent]]: ...
    async def load_payments(
        self, payments: Sequence[str], quotes: Sequence[str], events: Sequence[str]
    ) -> MoneyRows: ...


class AskReads(ChatReads, MoneyReads, Protocol):
    """What people ask."""


class AuditReads(Log, Protocol):
    """What the check of the whole ledger reads: every row of its kind, in order,
    and what the store finds itself."""

    def reader(self) -> LogReader | None: ...
    def log(self, after: int, upto: int) -> AsyncIterator[Sequence[rows.LoggedEvent]]: ...
    def transfers(self, after: int, upto: int) -> AsyncIterator[Sequence[rows.Transfer]]: ...
    def outcomes(self) -> AsyncIterator[Sequence[OutcomeRow]]: ...
    def refusals(self) -> AsyncIterator[Sequence[rows.IdempotencyRecord]]: ...
    def all_members(self) -> AsyncIterator[Sequence[rows.Member]]: ...
    async def all_conversations(self) -> list[rows.Conversation]: ...
    async def users(self) -> list[rows.User]: ...
    async def accounts(self) -> list[rows.Account]: ...
    async def currencies(self) -> dict[str, int]: ...
    async def load_payments(
        self, payments: Sequence[str], quotes: Sequence[str], events: Sequence[str]
    ) -> MoneyRows: ...
    async def tally(self) -> Tally: ...
    async def misplaced(self, limit: int) -> Misplaced: ...
    async def faults(self) -> list[str]: ...


class AdminReads(MoneyReads, Protocol):
    """What the operator looks up, and copies."""

    async def people(self, wanted: Wanted, after: str, limit: int) -> list[Listed]: ...
    async def listed(self, handle: str) -> Listed | None: ...
    async def password_kinds(self) -> dict[str, int]: ...
    async def backup(self, path: Path) -> rows.LogHead: ...


class Store(Journal, Upkeep, SessionReads, ChatReads, AdminReads, AuditReads, Protocol):
    """A whole one, for who opens it."""

    async def open(self) -> rows.LogHead: ...
    async def close(self) -> None: ...
    async def start_epoch(self, epoch: str, mode: rows.DataMode | None = None) -> None: ...
    async def latest(self, quote_ms: int) -> int: ...
