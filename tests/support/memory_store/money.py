"""What people and the operator read of money from the store in memory."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from tuppence_protocol import codec
from tuppence_protocol.kinds import LISTED
from tuppence_protocol.lifecycle import WAITING
from tuppence_server.domain.rows import (
    Account,
    AccountKey,
    LoggedEvent,
    LogHead,
    Payment,
    Transfer,
)
from tuppence_server.domain.stale import Before
from tuppence_server.store.contract import (
    Item,
    Items,
    LogPosition,
    LogReader,
    MoneyRows,
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


def _rows(table: str) -> Any:
    """The rows of a table by key, as an attribute."""
    return property(lambda self: self._tables[table])


class MemoryMoney:
    """Payments, statements and sums, over the rows of `MemoryStore`."""

    _head: LogHead
    _tables: dict[str, dict[Any, Any]]
    _users = _rows("user")
    _sessions = _rows("session")
    _conversations = _rows("conversation")
    _members = _rows("member")
    _receipts = _rows("receipt")
    _payments = _rows("payment")
    _shares = _rows("share")
    _quotes = _rows("quote")
    _uses = _rows("use")

    @property
    def _events(self) -> list[LoggedEvent]:
        return list(self._tables["event"].values())

    @property
    def _transfers(self) -> list[Transfer]:
        return list(self._tables["transfer"].values())

    def _event_at(self, pos: int) -> LoggedEvent:
        return self._tables["event"][pos]

    @property
    def _accounts(self) -> dict[AccountKey, Account]:
        return {(a.owner, a.currency, a.code): a for a in self._tables["account"].values()}

    def watch(self) -> None:
        """Memory has no files that could be taken away."""

    async def latest(self, quote_ms: int) -> int:
        promised = (quote.expires_at - quote_ms for quote in self._quotes.values())
        begun = (session.created_at for session in self._sessions.values())
        return max([0, *promised, *begun])

    async def payments(self, user: str, before: int | None, limit: int) -> Items:
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
        first = 0 if since is None else (await self.position(None, since)).transfer
        last = (
            self._head.transfer_id
            if until is None
            else max(first, (await self.position(None, until)).transfer)
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
        event = self._event_at(moved.pos)
        return Movement(moved.id, event.head, event.body, moved.code, _signed(moved, account), other)

    async def position(self, pos: int | None, before: int | None) -> LogPosition:
        if before is not None:
            pos = sum(int(codec.decode_head(event.head)["at"]) < before for event in self._events)
        pos = self._head.pos if pos is None else min(pos, self._head.pos)
        return LogPosition(pos, sum(moved.pos <= pos for moved in self._transfers))

    async def totals(self, after: int, upto: int) -> list[Total]:
        accounts = {account.id: account for account in self._accounts.values()}
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for moved in self._transfers[after:upto]:
            for side, debit, credit in ((moved.debit, moved.amount, 0), (moved.credit, 0, moved.amount)):
                key = (accounts[side].currency, str(accounts[side].code))
                had = sums.get(key, (0, 0))
                if moved.phase in POSTED:
                    sums[key] = (had[0] + debit, had[1] + credit)
        return [Total(*key, *both) for key, both in sorted(sums.items())]

    async def load_payments(
        self, payments: Sequence[str], quotes: Sequence[str], events: Sequence[str]
    ) -> MoneyRows:
        named = {id: self._payments[id] for id in payments if id in self._payments}
        shares = {
            id: sorted((s for s in self._shares.values() if s.payment == id), key=lambda s: s.n)
            for id in named
        }
        found = {id: self._receipts[id].pos for id in events if id in self._receipts}
        return MoneyRows(
            named,
            {id: each for id, each in shares.items() if each},
            {id: self._quotes[id] for id in quotes if id in self._quotes},
            {id: self._event_at(pos) for id, pos in found.items() if pos is not None},
        )

    async def stale(self, before: Before, limit: int) -> Stale:
        quotes = [q for q in self._quotes.values() if not q.used_by and q.expires_at <= before.quotes]
        sessions = [s for s in self._sessions.values() if s.over_at <= before.sessions]
        return Stale(
            tuple(q.id for q in sorted(quotes, key=lambda q: q.expires_at)[:limit]),
            tuple(s.id for s in sorted(sessions, key=lambda s: s.over_at)[:limit]),
            tuple(
                sorted((key for key in self._uses if key[2] < before.slot), key=lambda key: key[2])[:limit]
            ),
        )

    async def tally(self) -> Tally:
        refunded: dict[str, int] = {}
        for payment in self._payments.values():
            if payment.refunded:
                had = refunded.get(payment.received_currency, 0)
                refunded[payment.received_currency] = had + payment.refunded
        used = sum(bool(quote.used_by) for quote in self._quotes.values())
        return Tally(len(self._payments), len(self._shares), used, refunded)

    def reader(self) -> LogReader | None:
        """Nobody else can read what is in this process's memory."""
        return None


def _signed(moved: Transfer, account: int) -> int:
    """What a transfer makes of an account's posted balance."""
    if moved.phase not in POSTED:
        return 0
    return moved.amount * ((moved.credit == account) - (moved.debit == account))


def hold_refund(row: Payment, tables: dict[str, dict[Any, Any]]) -> None:
    """What was given back of a payment is what was moved for it, and what has ended stays.

    Raises:
        StoreFault: it is not so.
    """
    had, upto = tables["payment"].get(row.id, _NEW), row.refund_transfer
    last = [
        each for id in (upto - 1, upto) if (each := tables["transfer"].get(id)) and each.code in _GIVING_BACK
    ]
    moved = [each for each in last if each.pos == last[-1].pos]
    same = (row.refunded, upto) == (had.refunded, had.refund_transfer)
    more = (
        moved
        and upto > had.refund_transfer
        and row.refunded - had.refunded == sum(each.amount for each in moved)
        and codec.decode_head(tables["event"][moved[-1].pos].head).get("ref") == row.id
    )
    if had.state not in _CHANGING or not (same or more) or row.refunded > row.received:
        raise StoreFault(f"refunded is what was moved: {row.id}", fatal=False, refused=True)
