"""What people and the operator read of money. Every read is bounded and goes by an index."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tuppence_protocol.kinds import LISTED
from tuppence_server.domain.rows import LoggedEvent, Payment, Quote, Share
from tuppence_server.store import schema
from tuppence_server.store.contract import Funds, Item, Items, LogPosition, MoneyRows, Movement, Span, Total
from tuppence_server.store.loading import PAYMENTS, SIMPLE

from .entries import CARRIED, moving
from .loads import selecting
from .port import OnPort, Reader
from .sessions import FUNDS

TRANSFERS_SCANNED_MAX: Final = 500
"""Transfers of one account that a page of payments looks through. More than one event ever makes,
so that a page always gets on."""
TOTALS_ROWS_PER_READ: Final = 8_000
"""So many of the largest amount still fit into a signed 64-bit sum."""

POSTED: Final = frozenset({"single", "post"})
"""Phases of transfers that change posted balances."""

_P, _S = schema.PAYMENT.select("p"), schema.SHARE.select("s")
_E_WIDTH: Final = len(schema.EVENT.columns)
_ACCOUNTS: Final = "SELECT id FROM account WHERE owner = :user AND code = 'customer'"
_ACCOUNT: Final = (
    "SELECT id, credits_posted - debits_posted FROM account "
    "WHERE owner = :user AND currency = :currency AND code = 'customer'"
)

# Commit times, positions and transfer ids all grow along the log: what belongs to one is found by halving.
SEEK_TRANSFER: Final = (
    "WITH RECURSIVE seek (low, high) AS (SELECT CAST(0 AS BIGINT), (SELECT transfer_id FROM head) UNION ALL "
    "SELECT CASE WHEN t.pos <= :pos THEN t.id ELSE k.low END, CASE WHEN t.pos <= :pos "
    "THEN k.high ELSE t.id - 1 END "
    "FROM seek AS k JOIN transfer AS t ON t.id = (k.low + k.high + 1) / 2 WHERE k.low < k.high) "
    "SELECT max(low) FROM seek"
)
_SEEK_POS: Final = (
    "WITH RECURSIVE seek (low, high) AS (SELECT CAST(0 AS BIGINT), (SELECT pos FROM head) UNION ALL "
    "SELECT CASE WHEN e.at < :moment THEN e.pos ELSE k.low END, "
    "CASE WHEN e.at < :moment THEN k.high ELSE e.pos - 1 END "
    "FROM seek AS k JOIN envelope AS e ON e.pos = (k.low + k.high + 1) / 2 WHERE k.low < k.high) "
    "SELECT max(low) FROM seek"
)

_BEGUN: Final = tuple(
    f"SELECT pos FROM {table} WHERE {whose} = :user AND pos < :top ORDER BY pos DESC LIMIT :limit"
    for table, whose in (("payment", "payer"), ("payment", "payee"), ("split_share", "person"))
)
_MOVED: Final = (
    f"SELECT t.pos, t.code, t.phase FROM ({moving('DESC')}) AS m CROSS JOIN transfer AS t ON t.id = m.id "
    "ORDER BY m.id DESC"
)
_LISTED: Final = LISTED | {"exchange"}
"""Codes of transfers whose event is a payment of its own."""
_ITEMS: Final = (
    f"SELECT {schema.EVENT.select('e')}, {_P} FROM json_each(:positions) AS k "
    "CROSS JOIN event AS e ON e.pos = CAST(k.value AS BIGINT) "
    "CROSS JOIN envelope AS v ON v.pos = e.pos "
    "LEFT JOIN payment AS p ON p.id = CASE v.kind WHEN 'pay.claim' THEN v.ref ELSE v.id END "
    "ORDER BY e.pos DESC"
)
_SHARES: Final = (
    f"SELECT {_S} FROM json_each(:payments) AS k CROSS JOIN share AS s ON s.payment = k.value "
    "ORDER BY s.payment, s.n"
)
_MOVED_BY: Final = (
    "SELECT coalesce(sum(CASE t.credit WHEN :account THEN t.amount ELSE -t.amount END), 0) "
    f"FROM ({moving('ASC')}) AS m CROSS JOIN transfer AS t ON t.id = m.id WHERE t.phase IN ('single', 'post')"
)
# Money that goes through one of the operator's accounts comes from, or goes to, a person in the same event.
_MOVEMENTS: Final = (
    "SELECT t.id, e.head, e.body, t.code, t.amount, coalesce(u.handle, CASE WHEN t.code IN "
    "('exchange', 'pay.packet', 'pay.claim') THEN (SELECT v.handle FROM transfer AS n "
    "JOIN account AS b ON b.id IN (n.debit, n.credit) "
    "AND b.owner <> (SELECT owner FROM account WHERE id = :account) JOIN user AS v ON v.id = b.owner "
    "WHERE n.id IN (t.id - 1, t.id + 1) AND n.pos = t.pos LIMIT 1) END), t.phase "
    "FROM (SELECT t.id, t.pos, CASE t.debit WHEN :account THEN t.credit ELSE t.debit END AS other, "
    "CASE t.debit WHEN :account THEN -t.amount ELSE t.amount END AS amount, t.code, t.phase "
    f"FROM ({moving('ASC')}) AS m CROSS JOIN transfer AS t ON t.id = m.id) AS t "
    "CROSS JOIN event AS e ON e.pos = t.pos CROSS JOIN account AS a ON a.id = t.other "
    "LEFT JOIN user AS u ON u.id = a.owner ORDER BY t.id"
)
_BY_ID: Final = (
    f"SELECT r.id, {schema.EVENT.select('e')} FROM json_each(:ids) AS k "
    "CROSS JOIN receipt AS r ON r.id = k.value "
    "CROSS JOIN event AS e ON e.pos = r.pos"
)
_TOTALS: Final = (
    "SELECT d.currency, d.code, c.currency, c.code, sum(t.amount) FROM transfer AS t "
    "CROSS JOIN account AS d ON d.id = t.debit CROSS JOIN account AS c ON c.id = t.credit "
    "WHERE t.id > :after AND t.id <= :upto AND t.phase IN ('single', 'post') GROUP BY 1, 2, 3, 4"
)


class MoneyReads(OnPort):
    """Payments, statements and sums."""

    async def funds(self, user: str) -> tuple[list[Funds], int]:
        """A person's balances and the `pos` at which they are so."""
        async with self._port.snapshot() as db:
            pos, _ = await _end(db)
            return [Funds(*row) for row in await db.rows(FUNDS, user=user)], pos

    async def payments(self, user: str, before: int | None, limit: int) -> Items:
        """Some of a person's payments, latest first: sent, asked for, shared, claimed, received."""
        async with self._port.snapshot() as db:
            head, _ = await _end(db)
            top = head + 1 if before is None else min(before, head + 1)
            found, floor = await _candidates(db, user, top, limit + 1)
            reached = sorted((pos for pos in found if pos >= floor), reverse=True)
            listed = reached[:limit]
            items = await _items(db, listed)
        rest = listed[-1] if len(reached) > limit else floor
        return Items(items, head, rest or None)

    async def span(self, user: str, currency: str, since: int | None, until: int | None, after: int) -> Span:
        """What lies from one moment (inclusive) to another (exclusive),
        of which to read on behind `after`."""
        async with self._port.snapshot() as db:
            pos, made = await _end(db)
            first = 0 if since is None else (await _before(db, since)).transfer
            last = made if until is None else max(first, (await _before(db, until)).transfer)
            begin = min(max(first, after), last)
            rows = await db.rows(_ACCOUNT, user=user, currency=currency)
            if not rows:
                return Span(None, begin, last, 0, 0, 0, pos)
            ((account, balance),) = rows
            now = (made, balance)
            opening = await _balance_at(db, account, first, now)
            carried = opening if begin == first else await _balance_at(db, account, begin, now)
            closing = await _balance_at(db, account, last, now)
        return Span(account, begin, last, opening, carried, closing, pos)

    async def movements(self, span: Span, after: int, limit: int) -> tuple[list[Movement], int | None]:
        """Posted transfers among the next `limit` behind `after`, and behind which to read on,
        if any is left."""
        rows = await self._rows(
            _MOVEMENTS, account=span.account, after=after, upto=span.upto, limit=limit + 1
        )
        posted = [Movement(*row[:-1]) for row in rows[:limit] if row[-1] in POSTED]
        return posted, rows[limit - 1][0] if len(rows) > limit else None

    async def position(self, pos: int | None, before: int | None) -> LogPosition:
        """Where the log stood at a `pos` or just `before` a moment (ms); where it stands,
        if neither is given."""
        async with self._port.snapshot() as db:
            if before is not None:
                return await _before(db, before)
            head, _ = await _end(db)
            return await _at(db, head if pos is None else min(pos, head))

    async def totals(self, after: int, upto: int) -> list[Total]:
        """What the transfers behind `after` up to `upto` posted, by currency and code of account."""
        debits: Counter[tuple[str, str]] = Counter()
        credits: Counter[tuple[str, str]] = Counter()
        for start in range(after, upto, TOTALS_ROWS_PER_READ):
            end = min(upto, start + TOTALS_ROWS_PER_READ)
            for row in await self._rows(_TOTALS, after=start, upto=end):
                debits[row[0], row[1]] += row[4]
                credits[row[2], row[3]] += row[4]
        return [Total(*key, debits[key], credits[key]) for key in sorted(debits.keys() | credits.keys())]

    async def load_payments(
        self, payments: Sequence[str], quotes: Sequence[str], events: Sequence[str]
    ) -> MoneyRows:
        """Payments with their shares, quotes and events, by their ids."""
        shares = _shares(await self._rows(_SHARES, payments=payments))
        return MoneyRows(
            {row[0]: Payment(*row) for row in await self._rows(selecting(PAYMENTS), keys=payments)},
            shares,
            {row[0]: Quote(*row) for row in await self._rows(selecting(SIMPLE[Quote]), keys=quotes)},
            {row[0]: LoggedEvent(*row[1:]) for row in await self._rows(_BY_ID, ids=events)},
        )


async def _end(db: Reader) -> tuple[int, int]:
    """The last event and the last transfer."""
    ((pos, transfer),) = await db.rows("SELECT pos, transfer_id FROM head")
    return pos, transfer


async def _candidates(db: Reader, user: str, top: int, limit: int) -> tuple[set[int], int]:
    """Where payments of a person before `top` are, and from which pos on none is missing."""
    found: set[int] = set()
    floor = 0
    for sql in _BEGUN:
        begun = [row[0] for row in await db.rows(sql, user=user, top=top, limit=limit)]
        found.update(begun)
        if len(begun) == limit:
            floor = max(floor, begun[-1])
    last = (await _at(db, top - 1)).transfer
    for (account,) in await db.rows(_ACCOUNTS, user=user):
        rows = await db.rows(_MOVED, account=account, after=0, upto=last, limit=TRANSFERS_SCANNED_MAX)
        found.update(pos for pos, code, phase in rows if phase == "single" and code in _LISTED)
        if len(rows) == TRANSFERS_SCANNED_MAX:
            floor = max(floor, rows[-1][0] + 1)  # the rest of that event was not looked at
    return found, floor


async def _items(db: Reader, positions: Sequence[int]) -> list[Item]:
    rows = await db.rows(_ITEMS, positions=positions)
    payments = [None if row[_E_WIDTH] is None else Payment(*row[_E_WIDTH:]) for row in rows]
    split = [payment.id for payment in payments if payment is not None and payment.kind == "split"]
    shares = _shares(await db.rows(_SHARES, payments=split))
    return [
        Item(LoggedEvent(*row[:_E_WIDTH]), payment, tuple(shares.get(payment.id, ())) if payment else ())
        for row, payment in zip(rows, payments, strict=True)
    ]


def _shares(rows: Sequence[Any]) -> dict[str, list[Share]]:
    """By payment, in the order of the rows."""
    shares: dict[str, list[Share]] = {}
    for row in rows:
        shares.setdefault(row[0], []).append(Share(*row))
    return shares


async def _at(db: Reader, pos: int) -> LogPosition:
    ((transfer,),) = await db.rows(SEEK_TRANSFER, pos=pos)
    return LogPosition(pos, transfer)


async def _before(db: Reader, moment: int) -> LogPosition:
    ((pos,),) = await db.rows(_SEEK_POS, moment=moment)
    return await _at(db, pos)


async def _balance_at(db: Reader, account: int, transfer: int, now: tuple[int, int]) -> int:
    """An account's posted balance after a transfer; `now` is the last transfer, and what it is after that."""
    made, balance = now
    if transfer >= made:
        return balance
    rows = await db.rows(CARRIED, account=account, transfer=transfer)
    after, carried = rows[0] if rows else (0, 0)
    ((moved,),) = await db.rows(_MOVED_BY, account=account, after=after, upto=transfer, limit=2**62)
    return int(carried + moved)
