"""What people and the operator read of money from the store in memory."""

from collections.abc import Iterator, Sequence
from itertools import islice

from tuppence_protocol import codec
from tuppence_protocol.kinds import LISTED
from tuppence_protocol.lifecycle import WAITING
from tuppence_server.domain.rows import (
    Account,
    AccountKey,
    IdempotencyRecord,
    LoggedEvent,
    LogHead,
    Payment,
    Quote,
    Session,
    Share,
    ShareKey,
    Transfer,
    Use,
    User,
)
from tuppence_server.domain.stale import Before
from tuppence_server.store.contract import (
    Item,
    Items,
    Kept,
    LogReader,
    Mark,
    Movement,
    Span,
    Stale,
    StoreFault,
    Tally,
    Total,
)

_THROUGH = frozenset({"exchange", "pay.packet", "pay.claim"})
"""Codes of transfers in which money goes through an account of the operator, from or to a person."""
_GIVING_BACK = frozenset({"pay.refund", "pay.reverse"})
_CHANGING = frozenset({*WAITING, "completed", "partly_refunded"})
_NEW = Payment("", 0, 0, "send", "", "", "", "", 0, "open")
POSTED = frozenset({"single", "post"})


class MemoryMoney:
    """Payments, statements and sums, over the rows of `MemoryStore`."""

    _head: LogHead
    _users: dict[str, User]
    _accounts: dict[AccountKey, Account]
    _events: list[LoggedEvent]
    _transfers: list[Transfer]
    _payments: dict[str, Payment]
    _shares: dict[ShareKey, Share]
    _quotes: dict[str, Quote]
    _sessions: dict[str, Session]
    _receipts: dict[str, IdempotencyRecord]
    _uses: dict[tuple[str, str, int], Use]

    def watch(self) -> None:
        """Memory has no files that could be taken away."""

    async def latest(self, quote_ms: int) -> int:
        """The latest commit without an event that rows tell of: a login, or a quote that holds for
        `quote_ms`."""
        promised = (quote.expires_at - quote_ms for quote in self._quotes.values())
        begun = (session.created_at for session in self._sessions.values())
        return max([0, *promised, *begun])

    async def payments(self, user: str, before: int | None, limit: int) -> Items:
        """Some of a person's payments, latest first: sent, asked for, shared, claimed, received."""
        log = self._events if before is None else self._events[: max(0, before - 1)]
        found = list(islice((item for event in reversed(log) for item in self._item(user, event)), limit + 1))
        return Items(
            found[:limit], self._head.pos, found[limit - 1].event.pos if len(found) > limit else None
        )

    def _item(self, user: str, event: LoggedEvent) -> Iterator[Item]:
        head, body = codec.decode_head(event.head), codec.fields_of(event.body)
        if head["kind"] not in LISTED or body.get("shortfall") == body.get("amount", 0):
            return  # the operator alone bore it
        payment = self._payments.get(str(head["ref" if head["kind"] == "pay.claim" else "id"]))
        split = payment is not None and payment.kind == "split"
        shares = tuple(s for s in self._shares.values() if split and payment and s.payment == payment.id)
        parties = {body.get("payee"), body.get("payer"), *(share.person for share in shares)}
        if head["kind"] not in {"pay.deposit", "pay.withdraw"}:
            parties.add(head["from"])
        if user in parties:
            yield Item(event, payment, shares)

    async def span(self, user: str, currency: str, since: int | None, until: int | None, after: int) -> Span:
        """What lies from one moment (inclusive) to another (exclusive), of which to read on behind `after`."""
        first = 0 if since is None else (await self.mark(None, since)).transfer
        last = (
            self._head.transfer_id if until is None else max(first, (await self.mark(None, until)).transfer)
        )
        begin = min(max(first, after), last)
        account = self._accounts.get((user, currency, "customer"))
        if account is None:
            return Span(None, begin, last, 0, 0, 0, self._head.pos)
        opening, carried, closing = (self._balance(account.id, upto) for upto in (first, begin, last))
        return Span(account.id, begin, last, opening, carried, closing, self._head.pos)

    def _balance(self, account: int, upto: int) -> int:
        return sum(_signed(moved, account) for moved in self._transfers[:upto])

    async def movements(self, span: Span, after: int, limit: int) -> tuple[list[Movement], int | None]:
        """Posted transfers among the next `limit` behind `after`, and behind which to read on, if any is left."""
        account = span.account or 0
        own = [t for t in self._transfers[after : span.upto] if account in (t.debit, t.credit)]
        lines = [self._movement(t, account) for t in own[:limit] if t.phase in POSTED]
        return lines, own[limit - 1].id if len(own) > limit else None

    def _movement(self, moved: Transfer, account: int) -> Movement:
        owners = {account.id: account.owner for account in self._accounts.values()}
        near = [moved.debit, moved.credit]
        if moved.code in _THROUGH:
            near += [
                side
                for other in self._transfers[max(0, moved.id - 2) : moved.id + 1]
                if other.pos == moved.pos
                for side in (other.debit, other.credit)
            ]
        others = (self._users[owners[side]].handle for side in near if owners[side] in self._users)
        own = self._users[owners[account]].handle
        other = next((handle for handle in others if handle != own), None)
        event = self._events[moved.pos - 1]
        return Movement(moved.id, event.head, event.body, moved.code, _signed(moved, account), other)

    async def mark(self, pos: int | None, before: int | None) -> Mark:
        """Where the log stood at a `pos` or just `before` a moment (ms); where it stands, if neither is given."""
        if before is not None:
            pos = sum(int(codec.decode_head(event.head)["at"]) < before for event in self._events)
        pos = self._head.pos if pos is None else min(pos, self._head.pos)
        return Mark(pos, sum(moved.pos <= pos for moved in self._transfers))

    async def totals(self, after: int, upto: int) -> list[Total]:
        """What the transfers behind `after` up to `upto` posted, by currency and code of account."""
        accounts = {account.id: account for account in self._accounts.values()}
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for moved in self._transfers[after:upto]:
            for side, debit, credit in ((moved.debit, moved.amount, 0), (moved.credit, 0, moved.amount)):
                key = (accounts[side].currency, str(accounts[side].code))
                had = sums.get(key, (0, 0))
                if moved.phase in POSTED:
                    sums[key] = (had[0] + debit, had[1] + credit)
        return [Total(*key, *both) for key, both in sorted(sums.items())]

    async def kept(self, payments: Sequence[str], quotes: Sequence[str], events: Sequence[str]) -> Kept:
        """Rows of money, with the shares of the payments, and events, by their ids."""
        named = {id: self._payments[id] for id in payments if id in self._payments}
        shares = {
            id: sorted((s for s in self._shares.values() if s.payment == id), key=lambda s: s.n)
            for id in named
        }
        found = {id: self._receipts[id].pos for id in events if id in self._receipts}
        return Kept(
            named,
            {id: each for id, each in shares.items() if each},
            {id: self._quotes[id] for id in quotes if id in self._quotes},
            {id: self._events[pos - 1] for id, pos in found.items() if pos is not None},
        )

    async def stale(self, before: Before, limit: int) -> Stale:
        """What nobody needs any more, so many of each, the longest first."""
        quotes = [q for q in self._quotes.values() if not q.used_by and q.expires_at <= before.quotes]
        sessions = [s for s in self._sessions.values() if s.over_at <= before.sessions]
        return Stale(
            tuple(q.id for q in sorted(quotes, key=lambda q: q.expires_at)[:limit]),
            tuple(s.id for s in sorted(sessions, key=lambda s: s.over_at)[:limit]),
            tuple(
                sorted((key for key in self._uses if key[2] < before.slot), key=lambda key: key[2])[:limit]
            ),
        )

    def _drop(self, quotes: set[str], sessions: set[str], uses: set[tuple[str, str, int]]) -> None:
        for id in quotes:
            self._quotes.pop(id, None)
        for id in sessions:
            self._sessions.pop(id, None)
        for key in uses:
            self._uses.pop(key, None)

    async def tally(self) -> Tally:
        """How many rows of money there are, and what they say was refunded."""
        refunded: dict[str, int] = {}
        for payment in self._payments.values():
            if payment.refunded:
                had = refunded.get(payment.received_currency, 0)
                refunded[payment.received_currency] = had + payment.refunded
        used = sum(bool(quote.used_by) for quote in self._quotes.values())
        return Tally(len(self._payments), len(self._shares), used, refunded)

    def _hold_refunds(
        self, rows: Sequence[Payment], events: Sequence[LoggedEvent], transfers: Sequence[Transfer]
    ) -> None:
        """Every row as it comes to stand: what was given back is what was moved for it, and what has ended
        stays.

        Raises:
            StoreFault: where it is not so.
        """
        stand = dict(self._payments)
        for row in rows:
            had, upto = stand.get(row.id, _NEW), row.refund_transfer
            last = [each for each in transfers[max(0, upto - 2) : upto] if each.code in _GIVING_BACK]
            moved = [each for each in last if each.pos == last[-1].pos]
            same = (row.refunded, upto) == (had.refunded, had.refund_transfer)
            more = (
                moved
                and upto > had.refund_transfer
                and row.refunded - had.refunded == sum(each.amount for each in moved)
                and codec.decode_head(events[moved[-1].pos - 1].head).get("ref") == row.id
            )
            if had.state not in _CHANGING or not (same or more) or row.refunded > row.received:
                raise StoreFault(f"refunded is what was moved: {row.id}", fatal=False, refused=True)
            stand[row.id] = row

    def reader(self) -> LogReader | None:
        """Nobody else can read what is in this process's memory."""
        return None


def _signed(moved: Transfer, account: int) -> int:
    """What a transfer makes of an account's posted balance."""
    if moved.phase not in POSTED:
        return 0
    return moved.amount * ((moved.credit == account) - (moved.debit == account))
