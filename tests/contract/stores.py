"""A small world over any store: people, frames and commands that are decided in batches, as on the road."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from tests.support.memory_store.store import MemoryStore

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.commands import Command, CreateUser, Deposit, OpenSession
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.policy import Policy
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import OPERATOR, LogHead
from tuppence_server.domain.rules import decide, needs
from tuppence_server.pipeline.pipeline import LOAD_WAVES_MAX
from tuppence_server.store.contract import Store
from tuppence_server.store.sqlite.migrate import migrations
from tuppence_server.store.sqlite.store import SqliteStore

KINDS = ("memory", "sqlite")
EPOCH = "e_first"
START_MS = 1_790_000_000_000
POLICY = Policy(frozenset({"EUR", "JPY", "USD"}))
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"


def wire_id(prefix: str, number: int) -> str:
    """An id as the server makes them, but countable."""
    text = ""
    while number:
        number, digit = divmod(number, 32)
        text = _DIGITS[digit] + text
    return prefix + text.rjust(26, "a")


def event_id(number: int) -> str:
    """A UUID of version 4, countable."""
    return f"00000000-0000-4000-8000-{number:012x}"


class Counted:
    """Fresh ids and salts that are the same in every run."""

    def __init__(self) -> None:
        self.conversations = 1_000
        self.salts = 0

    def conversation_id(self) -> str:
        self.conversations += 1
        return wire_id("c_", self.conversations)

    def seed(self) -> bytes:
        self.salts += 1
        return sha256(b"seed %d" % self.salts).digest()

    def salt(self) -> bytes:
        self.salts += 1
        return sha256(b"%d" % self.salts).digest()[:16]


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[Store]:
    """A new store of that kind, its log begun."""
    if kind == "memory":
        yield MemoryStore(EPOCH)
        return
    store = SqliteStore(folder / "tuppence.db")
    head = await store.open()
    try:
        if not head.epoch:
            await store.start_epoch(EPOCH)
        yield store
    finally:
        await store.close()


def migrated(db: sqlite3.Connection, version: int) -> None:
    """Bring a new file to where that migration left it."""
    db.execute(
        "CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT, checksum TEXT, applied_at INTEGER)"
    )
    for each in migrations()[:version]:
        db.executescript(each.sql)
        db.execute("INSERT INTO migration VALUES (?, ?, ?, 0)", (each.version, each.name, each.checksum))


async def commit(store: Store, changes: Changes, head: LogHead) -> None:
    """Save one batch."""
    await store.save(store.pack(changes, head))


def frame(author: str, kind: str, conv: str | None, key: str, ref: str | None, **body: Any) -> Request:
    """A client's frame, read from its JSON text like any other."""
    members = {"kind": kind, "id": key, "conv": conv, "ref": ref, "body": body}
    given = {name: value for name, value in members.items() if value is not None}
    decoded = codec.decode_client(json.dumps(given))
    assert isinstance(decoded, codec.Decoded), decoded
    return Request(decoded.frame, author, decoded.content)


def command(order: Command) -> Request:
    """An order of the operator."""
    return Request(order, OPERATOR, msgspec.json.encode(order))


def said(outcome: Outcome) -> str:
    """What became of a request, in one word."""
    return outcome.code if isinstance(outcome, Refusal) else type(outcome).__name__.lower()


def body_of(outcome: Outcome) -> dict[str, Any]:
    """The body of the event that a request became."""
    assert isinstance(outcome, Stored), outcome
    return json.loads(outcome.event.body)


def head_of(outcome: Outcome) -> dict[str, Any]:
    """The envelope of the event that a request became."""
    assert isinstance(outcome, Stored), outcome
    return json.loads(outcome.event.head)


class World:
    """People over one store. Every batch starts from an empty book,
    so each rule gets only what it asked for."""

    def __init__(self, store: Store, policy: Policy = POLICY) -> None:
        self.store = store
        self.policy = policy
        self.fresh = Counted()
        self.now = START_MS
        self.users: dict[str, str] = {}
        self.used = 0
        self.book: Book | None = None

    async def decided(self, *requests: Request) -> tuple[Book, list[Outcome]]:
        """Load and decide these as one batch, of which nothing is saved."""
        book = Book(await self.store.head(), self.policy, self.fresh)
        book.begin(self.now)
        for _ in range(LOAD_WAVES_MAX):
            keys = Keys()
            for request in requests:
                needs(book, keys, request)
            if not keys:
                break
            await self.store.load(keys, book)
        self.book = book
        return book, [decide(book, request) for request in requests]

    async def settle(self, *requests: Request) -> list[Outcome]:
        """Load, decide and save these as one batch."""
        book, outcomes = await self.decided(*requests)
        if book.changes:
            await commit(self.store, book.changes, book.head)
        return outcomes

    def key(self) -> str:
        """An id that was not used yet."""
        self.used += 1
        return event_id(self.used)

    def frame(
        self, who: str, kind: str, conv: str | None = None, key: str = "", ref: str | None = None, **body: Any
    ) -> Request:
        """A frame from a person named by handle."""
        return frame(self.users[who], kind, conv, key or self.key(), ref, **body)

    async def do(self, who: str, kind: str, conv: str | None = None, **members: Any) -> Outcome:
        """One frame in a batch of its own."""
        return (await self.settle(self.frame(who, kind, conv, **members)))[0]

    async def say(self, who: str, conv: str, text: str = "hello", **members: Any) -> Outcome:
        """A line of text."""
        return await self.do(who, "chat.text", conv, text=text, **members)

    async def pay(self, who: str, conv: str, amount: str, currency: str = "EUR", **members: Any) -> Outcome:
        """A payment."""
        return await self.do(who, "pay.send", conv, amount=amount, currency=currency, **members)

    async def order(self, order: Command) -> Outcome:
        """One order of the operator."""
        return (await self.settle(command(order)))[0]

    async def register(self, *handles: str) -> None:
        """New people."""
        for handle in handles:
            number = len(self.users) + 1
            user = self.users[handle] = wire_id("u_", number)
            outcome = await self.order(CreateUser(user, wire_id("c_", number), handle, handle.title(), None))
            assert said(outcome) == "done", outcome

    async def credit(self, who: str, amount: str, currency: str = "EUR") -> Outcome:
        """Money from outside."""
        return await self.order(Deposit(self.key(), who, amount, currency, None))

    async def log_in(self, who: str, number: int, expires_in_ms: int = 1_000) -> str:
        """A login; the id of the session. Its token's hash is "token <number>"."""
        session, expiry = wire_id("s_", number), self.now + expires_in_ms
        order = OpenSession(session, self.users[who], f"token {number}", "phone", expiry, None)
        assert said(await self.order(order)) == "done"
        return session

    async def group(self, owner: str, *members: str) -> str:
        """A new group; its id."""
        named = [f"@{member}" for member in members]
        return str(head_of(await self.do(owner, "room.create", title="Club", members=named))["conv"])

    async def balance(self, who: str, currency: str = "EUR") -> int:
        """What a person can spend, in minor units."""
        funds, _ = await self.store.funds(self.users[who])
        return next((each.available for each in funds if each.currency == currency), 0)
