"""The book: the rows that a batch needs, and `apply`, the only thing that changes them.

Rules read the book and return facts. Rows stay in the book between batches, since one road alone writes them;
`forget` drops them when a commit failed. A key that was asked for and is absent is held as None. What neither
this batch nor the one on its way made or changed is as its row says, and nothing older ever stands for it.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from tuppence_protocol import codec
from tuppence_protocol.currencies import exponent

from . import chain, effects, facts, seals
from .changes import Changes
from .keys import Keys
from .payment_cache import PaymentCache
from .policy import Policy
from .rows import (
    Account,
    AccountKey,
    Conversation,
    IdempotencyRecord,
    LoggedEvent,
    LogHead,
    Member,
    MemberKey,
    Quote,
    Session,
    Transfer,
    Use,
    UseKey,
    User,
)
from .simple_rows import HeldSimpleRows

_ABSENT_CACHED: Final = (
    "receipts", "users", "handles", "skeletons", "sessions", "conversations", "pairs", "members",
    "accounts", "simple",
)  # fmt: skip
"""Tables in which a key that is absent is held as None; in both `Keys` and `Book`."""


class Fresh(Protocol):
    """Where new ids and salts come from; the only randomness that the domain sees, passed in."""

    def conversation_id(self) -> str: ...
    def salt(self) -> bytes: ...
    def seed(self) -> bytes: ...


class Book(PaymentCache, HeldSimpleRows):
    """All rows that the road knows, the head of the log, and what the present batch changed."""

    def __init__(self, head: LogHead, policy: Policy, fresh: Fresh) -> None:
        self.policy = policy
        """What the operator has set; it changes between batches only, since rows are asked for by it."""
        self.previewing = False
        """While a decision is only looked at."""
        self.fresh = fresh
        self.head = head
        self.now = 0
        self.forget(head)

    def forget(self, head: LogHead) -> None:
        """Drop every row; the next batch loads afresh."""
        self.head = head
        self.receipts = {}
        self.events = {}
        self.users: dict[str, User | None] = {}
        self.handles: dict[str, str | None] = {}
        self.skeletons: dict[str, str | None] = {}
        self.sessions: dict[str, Session | None] = {}
        self.conversations: dict[str, Conversation | None] = {}
        self.pairs: dict[str, str | None] = {}
        self.people: dict[str, tuple[str, ...]] = {}
        self.members: dict[MemberKey, Member | None] = {}
        self.accounts: dict[AccountKey, Account | None] = {}
        self.payments = {}
        self.shares = {}
        self.open_requests = {}
        self.simple = {}
        self.uses: dict[UseKey, dict[int, Use]] = {}
        self.no_payments = set()
        self.begin(0)

    def begin(self, now: int, on_the_way: Changes | None = None) -> None:
        """Start a batch at this time, while the one before may still be on its way to the store.

        Receipts and events are looked up anew in each batch, but for those that the store does not have yet;
        and so are ids that were no payment's, since they may become one.
        """
        self.go_on(now)
        self.stored_pos = self.head.pos
        self.receipts.clear()
        self.events.clear()
        self._ended_users = {} if on_the_way is None else dict(on_the_way.ended_users)
        if on_the_way is not None:
            self.receipts.update(on_the_way.receipts)
            self.events.update(on_the_way.events)
            self.stored_pos -= len(on_the_way.events)
        self.changes = Changes()
        self.outflow: list[effects.Outflow] = []

    def go_on(self, now: int) -> None:
        """Take more frames into the batch, at this time; an id that was no payment's may have become one."""
        self.now = now
        self.no_payments.clear()

    def rows(self) -> int:
        """How many rows are held."""
        tables = (
            self.users, self.handles, self.skeletons, self.sessions, self.conversations, self.pairs,
            self.members, self.accounts, self.payments, self.shares, self.open_requests, self.simple,
            self.uses,
        )  # fmt: skip
        return sum(len(table) for table in tables)

    # Reading what was asked for; a row that no `needs` named raises KeyError, one that is absent is None

    def person(self, id: str) -> User:
        """Somebody of whom the rule knows that they exist."""
        user = self.users[id]
        assert user is not None, "the parties of what is there are users"
        return user

    def user_by_handle(self, handle: str) -> User | None:
        """The person with that handle."""
        found = self.handles[handle]
        return None if found is None else self.users[found]

    def conversation_by_pair(self, pair: str) -> Conversation | None:
        """The dm or self of these people."""
        found = self.pairs[pair]
        return None if found is None else self.conversations[found]

    # Filling: the store's side

    def cache_user(self, user: User) -> None:
        """Take in a loaded person."""
        self.users[user.id] = user
        self.handles[user.handle] = user.id
        self.skeletons[user.skeleton] = user.id

    def cache_conversation(self, conversation: Conversation) -> None:
        """Take in a loaded conversation."""
        self.conversations[conversation.id] = conversation
        if conversation.pair is not None:
            self.pairs[conversation.pair] = conversation.id
            self.people[conversation.id] = tuple(conversation.pair.split("|"))

    def cache_session(self, session: Session) -> None:
        """Take in a loaded login; where its person's logins have ended since, as ended."""
        if session.revoked_at is None:
            session.revoked_at = self._ended_users.get(session.user)
        self.sessions[session.id] = session

    def mark_absent(self, keys: Keys) -> None:
        """Note that keys which the store did not have are absent."""
        for table in _ABSENT_CACHED:
            held = getattr(self, table)
            for key in getattr(keys, table):
                held.setdefault(key, None)
        for use in keys.uses:
            self.uses.setdefault(use, {})
        for pair in keys.open_requests:
            self.open_requests.setdefault(pair, set())
        self.mark_absent_payments(keys.payments)

    def cache_use(self, use: Use) -> None:
        """Take in what somebody spent in one slot."""
        self.uses.setdefault((use.user, use.currency), {})[use.slot] = use

    # Changing

    def apply(self, fact: facts.Fact) -> None:
        """Let a fact be so."""
        _APPLY[type(fact)](self, fact)

    def remember(self, receipt: IdempotencyRecord) -> None:
        """Keep the one outcome of an id."""
        self.receipts[receipt.id] = self.changes.receipts[receipt.id] = receipt
        if receipt.pos is None:
            self._seal(seals.REFUSALS, seals.of_refusal(receipt))

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
        head.pos, head.hash, head.at = pos, digest, self.now
        event = LoggedEvent(pos, conv, seq, top, body, salt, digest)
        self.events[pos] = changes.events[pos] = event
        self.outflow.append(effects.Publish(event, self.people.get(conv), conversation.members, fact.author))

    def _move(self, move: facts.Move, pos: int) -> bytes:
        """Move or hold money, in accounts that the rule asked for; the transfer as the chain hashes it."""
        head, amount, accounts, dirty = self.head, move.amount, self.accounts, self.changes.accounts
        debit = accounts[move.debit] or self._open_account(move.debit)
        credit = accounts[move.credit] or self._open_account(move.credit)
        phase = move.phase
        if phase == "single":
            debit.debits_posted += amount
            credit.credits_posted += amount
        else:
            held = amount if phase == "pending" else -move.held
            debit.debits_pending += held
            credit.credits_pending += held
            if phase == "post":
                debit.debits_posted += amount
                credit.credits_posted += amount
        dirty[move.debit], dirty[move.credit] = debit, credit
        head.transfer_id = number = head.transfer_id + 1
        transfer = Transfer(number, pos, debit.id, credit.id, amount, move.code, phase, move.pending)
        self.changes.transfers.append(transfer)
        return chain.encode_transfer(transfer)

    def _open_account(self, key: AccountKey) -> Account:
        self.head.account_id += 1
        owner, currency, code = key
        account = Account(self.head.account_id, owner, currency, code)  # type: ignore[arg-type]
        self.accounts[key] = account
        self.changes.opened.add(key)
        digits = exponent(currency)
        assert digits is not None, "a rule moves currencies that there are"
        self.changes.currencies[currency] = digits
        return account

    def _open_conversation(self, fact: facts.OpenConversation) -> None:
        conversation = fact.conversation
        self.cache_conversation(conversation)
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
        self.changes.stays.add((member.conv, member.user))
        if conversation.pair is None:
            self._user(member.user).groups += 1
            self.outflow.append(effects.Joined(member.conv, member.user, self.head.pos))

    def _leave(self, fact: facts.Leave) -> None:
        conversation, member = self._conversation(fact.conv), self._member(fact.conv, fact.user)
        conversation.members -= 1
        conversation.owners -= member.role == "owner"
        member.until, member.gone = conversation.seq, conversation.pos
        self.changes.stays.add((fact.conv, fact.user))
        self._user(fact.user).groups -= 1
        self.outflow.append(effects.Left(fact.conv, fact.user, self.head.pos))

    def _give_role(self, fact: facts.GiveRole) -> None:
        conversation, member = self._conversation(fact.conv), self._member(fact.conv, fact.user)
        conversation.owners += (fact.role == "owner") - (member.role == "owner")
        member.role = fact.role

    def _retitle(self, fact: facts.Retitle) -> None:
        self._conversation(fact.conv).title = fact.title

    def _read_mark(self, fact: facts.ReadMark) -> None:
        conversation = self.conversations[fact.conv]
        assert conversation is not None, "a rule marks conversations that it found"
        member = self._member(fact.conv, fact.user)
        member.read = max(member.read, fact.read)
        member.delivered = max(member.delivered, fact.delivered, member.read)
        people = self.people.get(fact.conv)
        read, delivered = member.read, member.delivered
        self.outflow.append(
            effects.Marked(fact.conv, people, conversation.members, fact.user, read, delivered)
        )

    def _keep_user(self, fact: facts.KeepUser) -> None:
        before = self.users.get(fact.user.id)
        had = 0 if before is None else seals.of_person(before)
        self._seal(seals.PEOPLE, seals.of_person(fact.user) - had)
        self.cache_user(fact.user)
        self.changes.users[fact.user.id] = fact.user
        if fact.user.disabled:
            self.outflow.append(effects.UserEnded(fact.user.id, disabled=True))

    def _add_session(self, fact: facts.AddSession) -> None:
        self.sessions[fact.session.id] = self.changes.sessions[fact.session.id] = fact.session

    def _end_session(self, fact: facts.EndSession) -> None:
        session = self.sessions[fact.session]
        assert session is not None, "a rule ends sessions that it found"
        session.revoked_at = fact.at
        self.changes.sessions[session.id] = session
        self.outflow.append(effects.SessionEnded(session.user, session.id))

    def _end_sessions(self, fact: facts.EndSessions) -> None:
        self.changes.ended_users[fact.user] = self._ended_users[fact.user] = fact.at
        for session in self.sessions.values():  # the store ends those that are not held here
            if session is not None and session.user == fact.user and session.revoked_at is None:
                session.revoked_at = fact.at
        self.outflow.append(effects.UserEnded(fact.user, disabled=False))

    def _keep_payment(self, fact: facts.KeepPayment) -> None:
        payment = fact.payment
        had = self.changes.payments.get(payment.id)
        if had is not None and had.refund_transfer:
            self.changes.partly_refunded.append(had)
        self.payments[payment.id] = self.changes.payments[payment.id] = payment
        self._index_request(payment)

    def _keep_share(self, fact: facts.KeepShare) -> None:
        share = fact.share
        shares = self.shares.setdefault(share.payment, [])
        if share.n == len(shares) + 1:
            shares.append(share)
        else:
            shares[share.n - 1] = share
        self.changes.shares[share.payment, share.n] = share

    def _spend(self, fact: facts.Spend) -> None:
        uses = self.uses[fact.user, fact.currency]
        had = uses.get(fact.slot)
        amount, count = (0, 0) if had is None else (had.amount, had.count)
        use = Use(fact.user, fact.currency, fact.slot, amount + fact.amount, count + fact.count)
        uses[fact.slot] = self.changes.uses[fact.user, fact.currency, fact.slot] = use

    def _flag(self, fact: facts.Flag) -> None:
        account = self.accounts[fact.account] or self._open_account(fact.account)
        had = seals.of_flags(account)
        account.flags = fact.flags
        self._seal(seals.FLAGS, seals.of_flags(account) - had)
        self.changes.accounts[fact.account] = account

    def _drop(self, fact: facts.Drop) -> None:
        # held as absent: the store may have them for a moment yet
        self.simple |= dict.fromkeys((Quote, id) for id in fact.quotes)
        self.sessions |= dict.fromkeys(fact.sessions)
        for user, currency, slot in fact.uses:
            self.uses.get((user, currency), {}).pop(slot, None)
        self.changes.dropped_quotes.update(fact.quotes)
        self.changes.dropped_sessions.update(fact.sessions)
        self.changes.dropped_uses.update(fact.uses)

    def _seal(self, name: str, more: int) -> None:
        sealed = (self.head.seals.get(name, 0) + more) % seals.MODULUS
        self.head.seals[name] = self.changes.seals[name] = sealed

    def _touch(self, _fact: facts.Touch) -> None:
        self.changes.touched = True

    def _begin_epoch(self, fact: facts.BeginEpoch) -> None:
        self.head.epoch = fact.epoch
        self.changes.touched = True

    def _conversation(self, conv: str) -> Conversation:
        conversation = self.conversations[conv]
        assert conversation is not None, "a rule changes conversations that it found"
        self.changes.conversations[conv] = conversation
        return conversation

    def _user(self, user: str) -> User:
        found = self.changes.users[user] = self.person(user)
        return found

    def _member(self, conv: str, user: str) -> Member:
        member = self.members[conv, user]
        assert member is not None, "a rule changes members that it found"
        self.changes.members[conv, user] = member
        return member


_APPLY: Final[dict[type, Callable[[Book, Any], None]]] = {
    facts.Append: Book._append,
    facts.OpenConversation: Book._open_conversation,
    facts.Join: Book._join,
    facts.Leave: Book._leave,
    facts.GiveRole: Book._give_role,
    facts.Retitle: Book._retitle,
    facts.ReadMark: Book._read_mark,
    facts.KeepUser: Book._keep_user,
    facts.AddSession: Book._add_session,
    facts.EndSession: Book._end_session,
    facts.KeepPayment: Book._keep_payment,
    facts.KeepShare: Book._keep_share,
    facts.Keep: Book._keep,
    facts.Spend: Book._spend,
    facts.Flag: Book._flag,
    facts.Drop: Book._drop,
    facts.Touch: Book._touch,
    facts.BeginEpoch: Book._begin_epoch,
    facts.EndSessions: Book._end_sessions,
}
