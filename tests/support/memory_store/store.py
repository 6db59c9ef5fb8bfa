"""The store in memory: the contract at its plainest, for tests and as a model of the other stores.

Rows are copied in and out, so nobody holds what is stored; `save` takes in all of a batch or nothing. What
each method tells stands in the reads of the SQL stores.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, cast

from msgspec.structs import replace
from tests.support.memory_store.audit import MemoryAudit
from tests.support.memory_store.money import hold_refund

from tuppence_protocol.codec import splice
from tuppence_protocol.kinds import ConversationView, MemberView
from tuppence_protocol.lifecycle import WAITING
from tuppence_protocol.limits import READY_CONVERSATIONS_MAX, RESUME_BYTES_MAX, RESUME_EVENTS_MAX
from tuppence_protocol.views import UserView
from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import (
    Account,
    Conversation,
    DataMode,
    LoggedEvent,
    LogHead,
    Member,
    Session,
    Transfer,
    User,
    pair_of,
)
from tuppence_server.domain.seals import MODE, SEALS, digest
from tuppence_server.domain.views import conversation_view, member_view, user_view
from tuppence_server.store import loading
from tuppence_server.store.contract import (
    ConversationInfo,
    Cursor,
    Funds,
    Identity,
    Missed,
    Packed,
    Page,
    Snapshot,
    StoreFault,
    fitting,
    info_of,
)
from tuppence_server.store.loading import Lookup
from tuppence_server.store.schema import SIMPLE

TABLES = (
    "user", "session", "conversation", "member", "account", "event", "receipt", "transfer", "payment",
    "share",
    *(table.name for table in SIMPLE.values()), "use",
)  # fmt: skip


class MemoryStore(MemoryAudit):
    """The `Store` contract over dictionaries; `fail` makes the next save fail like a disk would."""

    def __init__(self, epoch: str = "e_memory") -> None:
        self._head = LogHead(epoch, seals=dict.fromkeys(SEALS, 0) | {MODE: digest("live")})
        self._tables: dict[str, dict[Any, Any]] = {name: {} for name in TABLES}
        self._currencies: dict[str, int] = {}
        self.fail: StoreFault | None = None

    async def open(self) -> LogHead:
        return await self.head()

    async def close(self) -> None:
        """Nothing to close; the rows stay."""

    async def head(self) -> LogHead:
        return self._head.copy()

    # The road

    async def load(self, keys: Keys, book: Book) -> None:
        await loading.load(self._find, keys, book)

    async def _find(self, lookup: Lookup, keys: Collection[Any]) -> list[Any]:
        rows = self._tables[lookup.table.name]
        if lookup.by == lookup.table.key and not lookup.fixed:
            return [replace(rows[key]) for key in keys if key in rows]
        return [replace(row) for row in rows.values() if _is_named(row, lookup, keys)]

    def pack(self, changes: Changes, head: LogHead) -> Packed:
        rows = [(table, [replace(row) for row in some]) for table, some in loading.written(changes)]
        gone = [(lookup, set(keys)) for lookup, keys in loading.dropped(changes)]
        return Packed((rows, gone, dict(changes.ended_users), dict(changes.currencies), head.copy()))

    async def save(self, packed: Packed) -> None:
        """Take in one batch.

        Raises:
            StoreFault: where `fail` says so, a row that is never changed is there already, or more or less
                was given back than was moved for it; then nothing was taken in.
        """
        if self.fail is not None:
            fault, self.fail = self.fail, None
            raise fault
        written, gone, ended, currencies, head = cast("Any", packed)
        tables = {name: dict(rows) for name, rows in self._tables.items()}
        for key, session in tables["session"].items():
            if session.user in ended and session.revoked_at is None:
                tables["session"][key] = replace(session, revoked_at=ended[session.user])
        for lookup, keys in gone:
            table = tables[lookup.table.name]
            for key in [key for key, row in table.items() if _is_named(row, lookup, keys)]:
                del table[key]
        for table, rows in written:
            for row in rows:
                key = attrgetter(*table.key)(row)
                if not table.changing and key in tables[table.name]:
                    raise StoreFault(f"one {table.name} for each {key}", fatal=False, refused=True)
                if table.name == "payment":
                    hold_refund(row, tables)
                tables[table.name][key] = row
        self._tables = tables
        self._currencies |= currencies
        self._head = head

    # Sessions

    async def identify(self, token_hash: str) -> Identity | None:
        for session in self._sessions.values():
            if session.token_hash == token_hash:
                user = self._users[session.user]
                return Identity(replace(user), replace(session))
        return None

    async def groups(self, user: str) -> list[str]:
        return [
            member.conv
            for member in self._members.values()
            if member.user == user and member.until is None and self._conversations[member.conv].pair is None
        ]

    async def snapshot(self, user: str, session: str, cursor: Cursor | None) -> Snapshot:
        head = self._head
        login, person = self._sessions.get(session), self._users.get(user)
        alive = login is not None and login.user == user and login.revoked_at is None
        alive = alive and person is not None and not person.disabled
        views, _ = await self.conversations(user, None, READY_CONVERSATIONS_MAX)
        funds, _ = await self.funds(user)
        groups = await self.groups(user)
        if cursor is None:
            return Snapshot(head.epoch, head.pos, views, funds, groups, None, "first", alive)
        if cursor.epoch != head.epoch or cursor.pos > head.pos:
            return Snapshot(head.epoch, head.pos, views, funds, groups, None, "epoch", alive)
        missed = self._missed(user, cursor.pos)
        why: Literal["too_far"] | None = "too_far" if missed is None else None
        return Snapshot(head.epoch, head.pos, views, funds, groups, missed, why, alive)

    def _missed(self, user: str, pos: int) -> list[Missed] | None:
        own = [member for member in self._members.values() if member.user == user]
        if any(member.gone > pos and member.until is None for member in own):
            return None
        seen = [event for event in self._events[pos:] if self._saw(event, user)]
        if len(seen) > RESUME_EVENTS_MAX:
            return None
        if sum(len(event.head) + len(event.body) for event in seen) > RESUME_BYTES_MAX:
            return None
        return [Missed(event.pos, splice(event.head, event.body)) for event in seen]

    def _saw(self, event: LoggedEvent, user: str) -> bool:
        member = self._members.get((event.conv, user))
        if member is None or event.seq < member.since:
            return False
        return member.until is None or event.seq <= member.until

    # Conversations

    async def conversation(self, user: str, place: str) -> ConversationInfo | None:
        found = self._place(user, place)
        return None if found is None else info_of(found[0])

    async def acquainted(self, user: str, people: Sequence[str]) -> list[str]:
        named = {person.removeprefix("@") for person in people}
        near = {
            other.user
            for own in self._members.values()
            if own.user == user and own.until is None
            for other in self._members.values()
            if other.conv == own.conv and other.until is None
        }
        return [u.id for u in self._users.values() if u.id in near and named & {u.id, u.handle}]

    async def history(
        self, user: str, place: str, before: int | None, after: int | None, limit: int
    ) -> Page | None:
        if (found := self._place(user, place)) is None:
            return None
        conv, member = found
        low = max(member.since, 1 if after is None else after + 1)
        high = conv.seq if before is None else min(conv.seq, before - 1)
        seen = [splice(e.head, e.body) for e in self._events if e.conv == conv.id and low <= e.seq <= high]
        forward = after is not None and before is None
        page = seen[:limit] if forward else seen[: -limit - 1 : -1]
        page = page[: fitting(map(len, page))]
        return Page(page if forward else page[::-1], len(seen) == len(page))

    def _place(self, user: str, place: str) -> tuple[Conversation, Member] | None:
        pair = user if place == "self" else None
        if place.startswith("@"):
            peer = next((u for u in self._users.values() if u.handle == place[1:]), None)
            pair = "" if peer is None else pair_of(user, peer.id)
        for conversation in self._conversations.values():
            if conversation.id == place or (pair is not None and conversation.pair == pair):
                member = self._members.get((conversation.id, user))
                if member is not None and member.until is None:
                    return conversation, member
        return None

    async def conversations(
        self, user: str, before: int | None, limit: int
    ) -> tuple[list[ConversationView], bool]:
        mine = [
            (self._conversations[member.conv], member)
            for member in self._members.values()
            if member.user == user and member.until is None
        ]
        mine = [pair for pair in mine if before is None or pair[0].pos < before]
        mine.sort(key=lambda pair: (-pair[0].pos, pair[0].id))
        views = [conversation_view(c, member, self._peer(c, user)) for c, member in mine[:limit]]
        return views, len(mine) <= limit

    def _peer(self, conversation: Conversation, user: str) -> User | None:
        if conversation.kind != "dm" or conversation.pair is None:
            return None
        return self._users[conversation.pair.replace(user, "").replace("|", "")]

    async def event(self, user: str, id: str) -> bytes | None:
        receipt = self._receipts.get(id)
        if receipt is None or receipt.pos is None:
            return None
        event = self._event_at(receipt.pos)
        member = self._members.get((event.conv, user))
        if member is None or member.until is not None or event.seq < member.since:
            return None
        return splice(event.head, event.body)

    async def members(
        self, user: str, place: str, after: str, limit: int
    ) -> tuple[list[MemberView], bool] | None:
        found = self._place(user, place)
        if found is None:
            return None
        here = [
            member
            for member in self._members.values()
            if member.conv == found[0].id and member.until is None and member.user > after
        ]
        here.sort(key=lambda member: member.user)
        views = [member_view(member, self._users[member.user]) for member in here[:limit]]
        return views, len(here) <= limit

    # People and money

    async def person(self, reference: str) -> UserView | None:
        name = reference.removeprefix("@")
        for user in self._users.values():
            if reference == user.id or name == user.handle:
                return user_view(user)
        return None

    async def user(self, handle: str) -> User | None:
        return next((replace(user) for user in self._users.values() if user.handle == handle), None)

    async def users(self) -> list[User]:
        return sorted((replace(user) for user in self._users.values()), key=lambda user: user.handle)

    async def funds(self, user: str) -> tuple[list[Funds], int]:
        own = [a for a in self._accounts.values() if a.owner == user and a.code == "customer"]
        own.sort(key=lambda account: account.currency)
        return [Funds(a.currency, a.available, a.held) for a in own], self._head.pos

    async def sessions(self, user: str, now: int, limit: int) -> list[Session]:
        own = [s for s in self._sessions.values() if s.user == user and s.revoked_at is None]
        good = sorted((s for s in own if s.expires_at > now), key=lambda s: (-s.created_at, s.id))
        return [replace(s) for s in good[:limit]]

    # Checking and copying

    async def log(self, after: int, upto: int) -> AsyncIterator[Sequence[LoggedEvent]]:
        if events := self._events[after:upto]:
            yield events

    async def transfers(self, after: int, upto: int) -> AsyncIterator[Sequence[Transfer]]:
        if transfers := self._transfers[after:upto]:
            yield transfers

    async def accounts(self) -> list[Account]:
        return [replace(account) for account in sorted(self._accounts.values(), key=lambda a: a.id)]

    async def start_epoch(self, epoch: str, mode: DataMode | None = None) -> None:
        self._head.epoch = epoch
        self._head.mode = mode or self._head.mode
        self._head.seals[MODE] = digest(self._head.mode)

    async def currencies(self) -> dict[str, int]:
        return dict(self._currencies)

    async def due(self, now: int, limit: int) -> list[str]:
        waiting = [p for p in self._payments.values() if p.state in WAITING and p.expires_at <= now]
        return [p.id for p in sorted(waiting, key=lambda p: (p.expires_at, p.id))[:limit]]

    async def backup(self, path: Path) -> LogHead:
        raise StoreFault(f"a memory store cannot be backed up to {path}", fatal=False)


def _is_named(row: Any, lookup: Lookup, keys: Collection[Any]) -> bool:
    """Whether a row is one of those that the keys name."""
    if any(getattr(row, column) != value for column, value in lookup.fixed):
        return False
    parts = attrgetter(*lookup.by)(row)
    if lookup.since:
        return any(key[:-1] == parts and getattr(row, lookup.since) >= key[-1] for key in keys)
    return parts in keys
