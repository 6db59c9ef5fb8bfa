"""The contract of a store: `load` and `save` for the road, reads for everybody else.

`pack` copies a batch's changes out of the book, so that the next batch can be decided while `save` writes them.
`save` is one transaction: all of it or nothing, durable when it returns. Reads see whole commits only. A store
never decides anything.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal, NewType, Protocol

from msgspec import Struct

from tuppence_protocol.events import ConversationView, MemberView, UserView
from tuppence_server.domain.book import Book, Changes, Keys
from tuppence_server.domain.rows import Account, Conversation, Head, LoggedEvent, Session, Transfer, User


class StoreFault(Exception):
    """The store cannot write. `fatal`: what is on disk is in doubt, so the process must end."""

    def __init__(self, message: str, *, fatal: bool) -> None:
        super().__init__(message)
        self.fatal = fatal


class SchemaTooNew(Exception):
    """The data was written by a newer version of this program."""


class Identity(Struct, frozen=True):
    """Who a token belongs to, and the groups that person is in."""

    user: User
    session: Session
    groups: list[str]


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


class Place(Struct, frozen=True):
    """A conversation that somebody is in; `people` where it is a dm or self."""

    conv: str
    people: tuple[str, ...] | None
    members: int


def place_of(conversation: Conversation) -> Place:
    """A conversation as the hub needs to know it."""
    people = None if conversation.pair is None else tuple(conversation.pair.split("|"))
    return Place(conversation.id, people, conversation.members)


class Receipts(Struct, frozen=True):
    """How many receipts name an event that is there, and how many one that is not."""

    stored: int
    dangling: int


class Page(Struct, frozen=True):
    """A range of events as the wire has them, in seq order; `complete` where it reaches the end asked for."""

    events: list[bytes]
    complete: bool


Packed = NewType("Packed", object)
"""One batch as its store wants to write it; opaque to everybody else."""


class Store(Protocol):
    """What the road and the read side need of a store. `place` is as on the wire: c_…, @handle or self."""

    async def open(self) -> Head: ...
    async def close(self) -> None: ...

    async def load(self, keys: Keys, book: Book) -> None: ...
    def pack(self, changes: Changes, head: Head) -> Packed: ...
    async def save(self, packed: Packed) -> None: ...
    async def head(self) -> Head: ...

    async def identify(self, token_hash: str) -> Identity | None: ...
    async def snapshot(self, user: str, session: str, cursor: Cursor | None) -> Snapshot: ...
    async def place(self, user: str, place: str) -> Place | None: ...
    async def acquainted(self, user: str, people: Sequence[str]) -> list[str]: ...
    async def history(
        self, user: str, place: str, before: int | None, after: int | None, limit: int
    ) -> Page | None: ...
    async def conversations(
        self, user: str, before: int | None, limit: int
    ) -> tuple[list[ConversationView], bool]: ...
    async def event(self, user: str, id: str) -> bytes | None: ...  # noqa: A002 - the wire's word
    async def members(
        self, user: str, place: str, after: str, limit: int
    ) -> tuple[list[MemberView], bool] | None: ...
    async def person(self, reference: str) -> UserView | None: ...
    async def user(self, handle: str) -> User | None: ...
    async def users(self) -> list[User]: ...
    async def funds(self, user: str) -> tuple[list[Funds], int]: ...
    async def sessions(self, user: str) -> list[Session]: ...

    def log(self, after: int, upto: int) -> AsyncIterator[Sequence[LoggedEvent]]: ...
    def transfers(self, after: int, upto: int) -> AsyncIterator[Sequence[Transfer]]: ...
    async def accounts(self) -> list[Account]: ...
    async def receipts(self) -> Receipts: ...
    async def heads(self) -> dict[str, int]: ...
    async def start_epoch(self, epoch: str) -> None: ...
    async def backup(self, path: Path) -> Head: ...
