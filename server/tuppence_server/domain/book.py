"""The book: the rows that a batch needs, and `apply`, the only thing that changes them.

Rules read the book and return facts. Rows stay in the book between batches, since one road alone writes them;
`forget` drops them when a commit failed. A key that was asked for and is absent is held as None.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from msgspec import Struct

from tuppence_protocol import codec

from . import chain, facts, outflow
from .rows import (
    Account,
    AccountKey,
    Conversation,
    Head,
    LoggedEvent,
    Member,
    MemberKey,
    Receipt,
    Session,
    Transfer,
    User,
)

Key = TypeVar("Key")
Row = TypeVar("Row")


class Fresh(Protocol):
    """Where new ids and salts come from; the only randomness that the domain sees, passed in."""

    def conversation_id(self) -> str: ...
    def salt(self) -> bytes: ...


class Policy(Struct, frozen=True):
    """What the operator decided."""

    currencies: frozenset[str]


class Keys:
    """The rows still to be loaded, by table."""

    __slots__ = (
        "accounts", "conversations", "handles", "members", "pairs",
        "receipts", "sessions", "skeletons", "users",
    )  # fmt: skip

    def __init__(self) -> None:
        self.receipts: set[str] = set()
        self.users: set[str] = set()
        self.handles: set[str] = set()
        self.skeletons: set[str] = set()
        self.sessions: set[str] = set()
        self.conversations: set[str] = set()
        self.pairs: set[str] = set()
        self.members: set[MemberKey] = set()
        self.accounts: set[AccountKey] = set()

    def __bool__(self) -> bool:
        return bool(self.receipts) or not self.only_receipts()

    def only_receipts(self) -> bool:
        """True where nothing else is asked for, so that no further wave can follow."""
        return not any(getattr(self, table) for table in self.__slots__ if table != "receipts")


class Changes:
    """What one batch has to save, each row once."""

    __slots__ = (
        "accounts", "conversations", "ended_users", "events", "members",
        "receipts", "sessions", "touched", "transfers", "users",
    )  # fmt: skip

    def __init__(self) -> None:
        self.touched = False
        self.events: list[LoggedEvent] = []
        self.receipts: list[Receipt] = []
        self.transfers: list[Transfer] = []
        self.users: dict[str, User] = {}
        self.sessions: dict[str, Session] = {}
        self.ended_users: dict[str, int] = {}
        self.conversations: dict[str, Conversation] = {}
        self.members: dict[MemberKey, Member] = {}
        self.accounts: dict[AccountKey, Account] = {}

    def __bool__(self) -> bool:
        return any(getattr(self, table) for table in self.__slots__)


class Book:
    """All rows that the road knows, the head of the log, and what the present batch changed."""

    def __init__(self, head: Head, policy: Policy, fresh: Fresh) -> None:
        self.policy = policy
        self.fresh = fresh
        self.head = head
        self.now = 0
        self.forget(head)

    def forget(self, head: Head) -> None:
        """Drop every row; the next batch loads afresh."""
        self.head = head
        self.receipts: dict[str, Receipt | None] = {}
        self.events: dict[int, LoggedEvent | None] = {}
        self.users: dict[str, User | None] = {}
        self.handles: dict[str, str | None] = {}
        self.skeletons: dict[str, str | None] = {}
        self.sessions: dict[str, Session | None] = {}
        self.conversations: dict[str, Conversation | None] = {}
        self.pairs: dict[str, str | None] = {}
        self.people: dict[str, tuple[str, ...]] = {}
        self.members: dict[MemberKey, Member | None] = {}
        self.accounts: dict[AccountKey, Account | None] = {}
        self.begin(0)

    def begin(self, now: int, on_the_way: "Changes | None" = None) -> None:
        """Start a batch at this time, while the one before may still be on its way to the store.

        Receipts and events are looked up anew in each batch, but for those that the store does not have yet.
        """
        self.now = now
        self.receipts.clear()
        self.events.clear()
        if on_the_way is not None:
            for receipt in on_the_way.receipts:
                self.receipts[receipt.id] = receipt
            for event in on_the_way.events:
                self.events[event.pos] = event
        self.changes = Changes()
        self.outflow: list[outflow.Outflow] = []

    def rows(self) -> int:
        """How many rows are held."""
        tables = (
            self.users, self.handles, self.skeletons, self.sessions,
            self.conversations, self.pairs, self.members, self.accounts,
        )  # fmt: skip
        return sum(len(table) for table in tables)

    # Reading

    def user_by_handle(self, handle: str) -> User | None:
        """The person with that handle."""
        found = self.handles.get(handle)
        return None if found is None else self.users.get(found)

    def conversation_by_pair(self, pair: str) -> Conversation | None:
        """The dm or self of these people."""
        found = self.pairs.get(pair)
        return None if found is None else self.conversations.get(found)

    # Filling: the store's side

    def hold_user(self, user: User) -> None:
        """Take in a loaded person."""
        self.users[user.id] = user
        self.handles[user.handle] = user.id
        self.skeletons[user.skeleton] = user.id

    def hold_conversation(self, conversation: Conversation) -> None:
        """Take in a loaded conversation."""
        self.conversations[conversation.id] = conversation
        if conversation.pair is not None:
            self.pairs[conversation.pair] = conversation.id
            self.people[conversation.id] = tuple(conversation.pair.split("|"))

    def settle_absent(self, keys: Keys) -> None:
        """Note that keys which the store did not have are absent."""
        _absent(self.receipts, keys.receipts)
        _absent(self.users, keys.users)
        _absent(self.handles, keys.handles)
        _absent(self.skeletons, keys.skeletons)
        _absent(self.sessions, keys.sessions)
        _absent(self.conversations, keys.conversations)
        _absent(self.pairs, keys.pairs)
        _absent(self.members, keys.members)
        _absent(self.accounts, keys.accounts)

    # Changing

    def apply(self, fact: facts.Fact) -> None:
        """Let a fact be so."""
        _APPLY[type(fact)](self, fact)

    def remember(self, receipt: Receipt) -> None:
        """Keep the one outcome of an id."""
        self.receipts[receipt.id] = receipt
        self.changes.receipts.append(receipt)

    def _append(self, fact: facts.Append) -> None:
        conv, head, changes = fact.conv, self.head, self.changes
        conversation = self.conversations[conv]
        assert conversation is not None, "a rule appends to conversations that it found or opened"
        pos, seq = head.pos + 1, conversation.seq + 1
        conversation.seq, conversation.pos = seq, pos
        changes.conversations[conv] = conversation
        transfers = b""
        for move in fact.moves:
            transfers += self._move(move, pos)
        body, salt = fact.body, self.fresh.salt()
        top = codec.encode_head(fact.kind, fact.id, conv, seq, pos, fact.author, self.now, fact.ref)
        digest = chain.link(head.hash, top, chain.commit(salt, body), transfers)
        head.pos, head.hash = pos, digest
        self.events[pos] = event = LoggedEvent(pos, conv, seq, top, body, salt, digest)
        changes.events.append(event)
        self.outflow.append(outflow.Publish(event, self.people.get(conv), conversation.members))

    def _move(self, move: facts.Move, pos: int) -> bytes:
        """Move money; the transfer as the chain hashes it."""
        head, amount, accounts, dirty = self.head, move.amount, self.accounts, self.changes.accounts
        debit = accounts.get(move.debit) or self._open_account(move.debit)
        credit = accounts.get(move.credit) or self._open_account(move.credit)
        debit.debits_posted += amount
        credit.credits_posted += amount
        dirty[move.debit], dirty[move.credit] = debit, credit
        head.transfer_id = number = head.transfer_id + 1
        transfer = Transfer(number, pos, debit.id, credit.id, amount, move.code)
        self.changes.transfers.append(transfer)
        return chain.encode_transfer(transfer)

    def _open_account(self, key: AccountKey) -> Account:
        self.head.account_id += 1
        owner, currency, code = key
        account = Account(self.head.account_id, owner, currency, code)  # type: ignore[arg-type]
        self.accounts[key] = account
        return account

    def _open_conversation(self, fact: facts.OpenConversation) -> None:
        conversation = fact.conversation
        self.hold_conversation(conversation)
        self.changes.conversations[conversation.id] = conversation
        for member in fact.members:
            self._join(facts.Join(member))

    def _join(self, fact: facts.Join) -> None:
        member = fact.member
        conversation = self._conversation(member.conv)
        conversation.members += 1
        conversation.owners += member.role == "owner"
        self.members[member.conv, member.user] = member
        self.changes.members[member.conv, member.user] = member
        if conversation.pair is None:
            self.outflow.append(outflow.Joined(member.conv, member.user, self.head.pos))

    def _leave(self, fact: facts.Leave) -> None:
        conversation, member = self._conversation(fact.conv), self._member(fact.conv, fact.user)
        conversation.members -= 1
        conversation.owners -= member.role == "owner"
        member.until = conversation.seq
        self.outflow.append(outflow.Left(fact.conv, fact.user, self.head.pos))

    def _give_role(self, fact: facts.GiveRole) -> None:
        conversation, member = self._conversation(fact.conv), self._member(fact.conv, fact.user)
        conversation.owners += (fact.role == "owner") - (member.role == "owner")
        member.role = fact.role

    def _retitle(self, fact: facts.Retitle) -> None:
        self._conversation(fact.conv).title = fact.title

    def _mark(self, fact: facts.Mark) -> None:
        conversation = self.conversations[fact.conv]
        assert conversation is not None, "a rule marks conversations that it found"
        member = self._member(fact.conv, fact.user)
        member.read = max(member.read, fact.read)
        member.delivered = max(member.delivered, fact.delivered, member.read)
        people = self.people.get(fact.conv)
        self.outflow.append(
            outflow.Marked(fact.conv, people, conversation.members, fact.user, member.read, member.delivered)
        )

    def _add_user(self, fact: facts.AddUser | facts.ChangeUser) -> None:
        self.hold_user(fact.user)
        self.changes.users[fact.user.id] = fact.user
        if fact.user.disabled:
            self.outflow.append(outflow.UserEnded(fact.user.id, disabled=True))

    def _add_session(self, fact: facts.AddSession) -> None:
        self.sessions[fact.session.id] = fact.session
        self.changes.sessions[fact.session.id] = fact.session

    def _end_session(self, fact: facts.EndSession) -> None:
        session = self.sessions[fact.session]
        assert session is not None, "a rule ends sessions that it found"
        session.revoked_at = fact.at
        self.changes.sessions[session.id] = session
        self.outflow.append(outflow.SessionEnded(session.user, session.id))

    def _end_sessions(self, fact: facts.EndSessions) -> None:
        self.changes.ended_users[fact.user] = fact.at
        for session in self.sessions.values():  # the store ends those that are not held here
            if session is not None and session.user == fact.user and session.revoked_at is None:
                session.revoked_at = fact.at
        self.outflow.append(outflow.UserEnded(fact.user, disabled=False))

    def _touch(self, _fact: facts.Touch) -> None:
        self.changes.touched = True

    def _conversation(self, conv: str) -> Conversation:
        conversation = self.conversations[conv]
        assert conversation is not None, "a rule changes conversations that it found"
        self.changes.conversations[conv] = conversation
        return conversation

    def _member(self, conv: str, user: str) -> Member:
        member = self.members[conv, user]
        assert member is not None, "a rule changes members that it found"
        self.changes.members[conv, user] = member
        return member


def _absent(table: dict[Key, Row | None], keys: set[Key]) -> None:
    for key in keys:
        table.setdefault(key, None)


_APPLY: dict[type, Callable[[Book, facts.Fact], None]] = {
    facts.Append: Book._append,  # type: ignore[dict-item]
    facts.OpenConversation: Book._open_conversation,  # type: ignore[dict-item]
    facts.Join: Book._join,  # type: ignore[dict-item]
    facts.Leave: Book._leave,  # type: ignore[dict-item]
    facts.GiveRole: Book._give_role,  # type: ignore[dict-item]
    facts.Retitle: Book._retitle,  # type: ignore[dict-item]
    facts.Mark: Book._mark,  # type: ignore[dict-item]
    facts.AddUser: Book._add_user,  # type: ignore[dict-item]
    facts.ChangeUser: Book._add_user,  # type: ignore[dict-item]
    facts.AddSession: Book._add_session,  # type: ignore[dict-item]
    facts.EndSession: Book._end_session,  # type: ignore[dict-item]
    facts.Touch: Book._touch,  # type: ignore[dict-item]
    facts.EndSessions: Book._end_sessions,  # type: ignore[dict-item]
}
