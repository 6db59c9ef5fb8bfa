"""The store in memory: the contract at its plainest, for tests and for models of the other stores.

Rows are copied in and out, so nobody holds what is stored; `save` swaps nothing half-way.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace
from tests.support.memory_store.audit import MemoryAudit

from tuppence_protocol.codec import splice
from tuppence_protocol.kinds import ConversationView, MemberView
from tuppence_protocol.lifecycle import WAITING
from tuppence_protocol.limits import READY_CONVERSATIONS_MAX, RESUME_BYTES_MAX, RESUME_EVENTS_MAX
from tuppence_protocol.views import UserView
from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.pay.limits import oldest_slot
from tuppence_server.domain.rows import (
    Account,
    AccountKey,
    Conversation,
    DataMode,
    IdempotencyRecord,
    LoggedEvent,
    LogHead,
    Member,
    MemberKey,
    Payment,
    Quote,
    Session,
    Share,
    ShareKey,
    Transfer,
    Use,
    User,
    pair_of,
)
from tuppence_server.domain.seals import MODE, SEALS, digest
from tuppence_server.domain.views import conversation_view, member_view, user_view
from tuppence_server.store.contract import (
    Cursor,
    Funds,
    Identity,
    Missed,
    Packed,
    Page,
    Place,
    Snapshot,
    StoreFault,
    fitting,
    place_of,
)

RowT = TypeVar("RowT", bound=Struct)


class MemoryStore(MemoryAudit):
    """The `Store` contract over dictionaries; `fail` makes the next save fail like a disk would."""

    def __init__(self, epoch: str = "e_memory") -> None:
        self._head = LogHead(epoch, seals=dict.fromkeys(SEALS, 0) | {MODE: digest("live")})
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._conversations: dict[str, Conversation] = {}
        self._members: dict[MemberKey, Member] = {}
        self._accounts: dict[AccountKey, Account] = {}
        self._events: list[LoggedEvent] = []
        self._receipts: dict[str, IdempotencyRecord] = {}
        self._transfers: list[Transfer] = []
        self._payments: dict[str, Payment] = {}
        self._shares: dict[ShareKey, Share] = {}
        self._quotes: dict[str, Quote] = {}
        self._uses: dict[tuple[str, str, int], Use] = {}
        self._currencies: dict[str, int] = {}
        self.fail: StoreFault | None = None

    async def open(self) -> LogHead:
        """Tell where the log stands."""
        return await self.head()

    async def close(self) -> None:
        """Nothing to close; the rows stay."""

    async def head(self) -> LogHead:
        """Where the log stands."""
        return self._head.copy()

    # The road

    async def load(self, keys: Keys, book: Book) -> None:
        """Bring the rows into the book."""
        for id in keys.receipts & self._receipts.keys():
            receipt = book.receipts[id] = self._receipts[id]
            if receipt.pos is not None:
                book.events[receipt.pos] = self._events[receipt.pos - 1]
        for user in self._users.values():
            if user.id in keys.users or user.handle in keys.handles or user.skeleton in keys.skeletons:
                book.cache_user(replace(user))
        for conversation in self._conversations.values():
            if conversation.id in keys.conversations or conversation.pair in keys.pairs:
                book.cache_conversation(replace(conversation))
        for id in keys.sessions & self._sessions.keys():
            book.cache_session(replace(self._sessions[id]))
        _copy(self._members, keys.members, book.members.__setitem__)
        _copy(self._accounts, keys.accounts, book.accounts.__setitem__)
        self._load_money(keys, book)
        book.mark_absent(keys)

    def _load_money(self, keys: Keys, book: Book) -> None:
        for id in keys.payments:
            payment, receipt = self._payments.get(id), self._receipts.get(id)
            if payment is not None:
                book.cache_payment(payment, [s for s in self._shares.values() if s.payment == id])
            elif receipt is not None:
                book.receipts[id] = receipt
                if receipt.pos is not None:
                    book.events[receipt.pos] = self._events[receipt.pos - 1]
        for pair in keys.asked:
            requests = [p for p in self._payments.values() if p.kind == "request" and p.state == "open"]
            book.cache_asked(pair, [p for p in requests if (p.payee, p.payer) == pair])
        for id in keys.quotes & self._quotes.keys():
            book.quotes[id] = self._quotes[id]
        for use in self._uses.values():
            if (use.user, use.currency) in keys.uses and use.slot >= oldest_slot(book.now):
                book.cache_use(use)

    def pack(self, changes: Changes, head: LogHead) -> Packed:
        """Copy a batch out of the book."""
        tables = (changes.users, changes.sessions, changes.conversations, changes.members, changes.accounts)
        copies = [{key: replace(row) for key, row in table.items()} for table in tables]
        lists = (list(changes.events.values()), list(changes.transfers), list(changes.receipts.values()))
        money = (changes.payments, changes.shares, changes.quotes, changes.uses, changes.currencies)
        gone = [set(changes.dropped_quotes), set(changes.dropped_sessions), set(changes.dropped_uses)]
        kept = [list(changes.partly_refunded), *[dict(rows) for rows in money]]
        opened = {changes.accounts[key].id for key in changes.opened}
        return Packed((copies, lists, dict(changes.ended_users), kept, gone, opened, head.copy()))

    async def save(self, packed: Packed) -> None:
        """Take in one batch.

        Raises:
            StoreFault: where `fail` says so, an id has a receipt, or a new account's number is taken; then
                nothing was taken in.
        """
        if self.fail is not None:
            fault, self.fail = self.fail, None
            raise fault
        copies, (events, transfers, receipts), ended, money, gone, opened, head = cast("Any", packed)
        if any(receipt.id in self._receipts for receipt in receipts):
            raise StoreFault("one outcome per id", fatal=False, refused=True)
        if opened and any(account.id in opened for account in self._accounts.values()):
            raise StoreFault("one account per number", fatal=False, refused=True)
        refunds, *money = money
        self._hold_refunds([*refunds, *money[0].values()], self._events + events, self._transfers + transfers)
        for user, at in ended.items():
            for session in self._sessions.values():
                if session.user == user and session.revoked_at is None:
                    session.revoked_at = at
        self._drop(*gone)
        users, sessions, conversations, members, accounts = copies
        self._users |= users
        self._sessions |= sessions
        self._conversations |= conversations
        self._members |= members
        self._accounts |= accounts
        self._events += events
        self._transfers += transfers
        self._receipts |= {receipt.id: receipt for receipt in receipts}
        payments, shares, quotes, uses, currencies = money
        self._payments |= payments
        self._shares |= shares
        self._quotes |= quotes
        self._uses |= uses
        self._currencies |= currencies
        self._head = head

    # Sessions

    async def identify(self, token_hash: str) -> Identity | None:
        """Who the token belongs or belonged to; None where it is unknown."""
        for session in self._sessions.values():
            if session.token_hash == token_hash:
                user = self._users[session.user]
                return Identity(replace(user), replace(session))
        return None

    async def groups(self, user: str) -> list[str]:
        """The groups that a person is in."""
        return [
            member.conv
            for member in self._members.values()
            if member.user == user and member.until is None and self._conversations[member.conv].pair is None
        ]

    async def snapshot(self, user: str, session: str, cursor: Cursor | None) -> Snapshot:
        """How things stand for a person, and what they missed since the cursor."""
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

    async def place(self, user: str, place: str) -> Place | None:
        """The conversation that a place names, if this person is in it."""
        found = self._place(user, place)
        return None if found is None else place_of(found[0])

    async def acquainted(self, user: str, people: Sequence[str]) -> list[str]:
        """Those of the people ("@handle" or id) who share a conversation with this person, by id."""
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
        """A page of events that this person may see; None where there is no such conversation for them."""
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
        """A person's conversations, latest first, and whether these are the last."""
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
        """One event, if this person may see it."""
        receipt = self._receipts.get(id)
        if receipt is None or receipt.pos is None:
            return None
        event = self._events[receipt.pos - 1]
        member = self._members.get((event.conv, user))
        if member is None or member.until is not None or event.seq < member.since:
            return None
        return splice(event.head, event.body)

    async def members(
        self, user: str, place: str, after: str, limit: int
    ) -> tuple[list[MemberView], bool] | None:
        """Who is in a conversation, by user id."""
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
        """A person by "@handle", "handle" or id, as others see them."""
        name = reference.removeprefix("@")
        for user in self._users.values():
            if reference == user.id or name == user.handle:
                return user_view(user)
        return None

    async def user(self, handle: str) -> User | None:
        """A person by handle, whole."""
        return next((replace(user) for user in self._users.values() if user.handle == handle), None)

    async def users(self) -> list[User]:
        """Everybody, by handle."""
        return sorted((replace(user) for user in self._users.values()), key=lambda user: user.handle)

    async def funds(self, user: str) -> tuple[list[Funds], int]:
        """A person's balances and the `pos` at which they are so."""
        own = [a for a in self._accounts.values() if a.owner == user and a.code == "customer"]
        own.sort(key=lambda account: account.currency)
        return [Funds(a.currency, a.available, a.held) for a in own], self._head.pos

    async def sessions(self, user: str, now: int, limit: int) -> list[Session]:
        """A person's logins that are still good, latest first."""
        own = [s for s in self._sessions.values() if s.user == user and s.revoked_at is None]
        good = sorted((s for s in own if s.expires_at > now), key=lambda s: (-s.created_at, s.id))
        return [replace(s) for s in good[:limit]]

    # Checking and copying

    async def log(self, after: int, upto: int) -> AsyncIterator[Sequence[LoggedEvent]]:
        """The log in order."""
        if events := self._events[after:upto]:
            yield events

    async def transfers(self, after: int, upto: int) -> AsyncIterator[Sequence[Transfer]]:
        """All transfers in order."""
        if transfers := self._transfers[after:upto]:
            yield transfers

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""
        return [replace(account) for account in sorted(self._accounts.values(), key=lambda a: a.id)]

    async def start_epoch(self, epoch: str, mode: DataMode | None = None) -> None:
        """Begin a generation of the log."""
        self._head.epoch = epoch
        self._head.mode = mode or self._head.mode
        self._head.seals[MODE] = digest(self._head.mode)

    async def currencies(self) -> dict[str, int]:
        """The exponent by which each currency's amounts were written."""
        return dict(self._currencies)

    async def due(self, now: int, limit: int) -> list[str]:
        """Payments whose time is over, the longest first."""
        waiting = [p for p in self._payments.values() if p.state in WAITING and p.expires_at <= now]
        return [p.id for p in sorted(waiting, key=lambda p: (p.expires_at, p.id))[:limit]]

    async def backup(self, path: Path) -> LogHead:
        """Memory has nothing to copy to a file."""
        raise StoreFault(f"a memory store cannot be backed up to {path}", fatal=False)


def _copy(
    table: dict[str, RowT] | dict[MemberKey, RowT] | dict[AccountKey, RowT],
    keys: set[str] | set[MemberKey] | set[AccountKey],
    hold: Callable[..., None],
) -> None:
    for key in keys:
        row = table.get(key)  # type: ignore[arg-type]
        if row is not None:
            hold(key, replace(row))
