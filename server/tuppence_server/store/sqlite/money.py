"""What people and the operator read of money from the SQLite store. Every read is bounded and goes by an index."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import aiosqlite

from tuppence_protocol.codec import encode_object
from tuppence_protocol.kinds import LISTED
from tuppence_server.domain.rows import LoggedEvent, Payment, Quote, Share
from tuppence_server.store import schema
from tuppence_server.store.contract import Item, Items, Kept, Mark, Movement, Span, Tally, Total

from .entries import CARRIED, moving
from .sessions import SessionReads

TRANSFERS_SCANNED_MAX: Final = 500
"""Transfers of one account that a page of payments looks through. More than one event ever makes, so that a page
always gets on."""
TOTALS_ROWS_PER_READ: Final = 8_000
"""So many of the largest amount still fit into a signed 64-bit sum."""

POSTED: Final = frozenset({"single", "post"})
"""Phases of transfers that change posted balances."""

_P, _S = schema.PAYMENT.select("p"), schema.SHARE.select("s")
_E_WIDTH: Final = len(schema.EVENT.columns)
_ACCOUNTS: Final = "SELECT id FROM account WHERE owner = ? AND code = 'customer'"
_ACCOUNT: Final = (
    "SELECT id, credits_posted - debits_posted FROM account "
    "WHERE owner = ? AND currency = ? AND code = 'customer'"
)

# Commit times, positions and transfer ids all grow along the log: what belongs to one is found by halving.
SEEK_TRANSFER: Final = (
    "WITH RECURSIVE seek (low, high) AS (SELECT 0, (SELECT transfer_id FROM head) UNION ALL "
    "SELECT iif(t.pos <= :pos, t.id, k.low), iif(t.pos <= :pos, k.high, t.id - 1) "
    "FROM seek AS k JOIN transfer AS t ON t.id = (k.low + k.high + 1) / 2 WHERE k.low < k.high) "
    "SELECT max(low) FROM seek"
)
_SEEK_POS: Final = (
    "WITH RECURSIVE seek (low, high) AS (SELECT 0, (SELECT pos FROM head) UNION ALL "
    "SELECT iif(e.at < :moment, e.pos, k.low), iif(e.at < :moment, k.high, e.pos - 1) "
    "FROM seek AS k JOIN envelope AS e ON e.pos = (k.low + k.high + 1) / 2 WHERE k.low < k.high) "
    "SELECT max(low) FROM seek"
)

_BEGUN: Final = tuple(
    f"SELECT pos FROM {table} WHERE {whose} = ? AND pos < ? ORDER BY pos DESC LIMIT ?"
    for table, whose in (("payment", "payer"), ("payment", "payee"), ("split_share", "person"))
)
_LATEST: Final = (
    "SELECT max((SELECT ifnull(max(expires_at), 0) FROM quote) - ?, "
    "(SELECT ifnull(max(created_at), 0) FROM session), 0)"
)
_MOVED: Final = (
    f"SELECT t.pos, t.code, t.phase FROM ({moving('DESC')}) AS m CROSS JOIN transfer AS t ON t.id = m.id "
    "ORDER BY m.id DESC"
)
_LISTED: Final = LISTED | {"exchange"}
"""Codes of transfers whose event is a payment of its own."""
_ITEMS: Final = (
    f"SELECT {schema.EVENT.select('e')}, {_P} FROM json_each(?) AS k CROSS JOIN event AS e ON e.pos = k.value "
    "CROSS JOIN envelope AS v ON v.pos = e.pos "
    "LEFT JOIN payment AS p ON p.id = CASE v.kind WHEN 'pay.claim' THEN v.ref ELSE v.id END ORDER BY e.pos DESC"
)
_SHARES: Final = (
    f"SELECT {_S} FROM json_each(?) AS k CROSS JOIN share AS s ON s.payment = k.value ORDER BY s.payment, s.n"
)
_MOVED_BY: Final = (
    "SELECT coalesce(sum(iif(t.credit = :account, t.amount, -t.amount)), 0) "
    f"FROM ({moving('ASC')}) AS m CROSS JOIN transfer AS t ON t.id = m.id WHERE t.phase IN ('single', 'post')"
)
# Money that goes through one of the operator's accounts comes from, or goes to, a person in the same event.
_MOVEMENTS: Final = (
    "SELECT t.id, e.head, e.body, t.code, t.amount, coalesce(u.handle, CASE WHEN t.code IN "
    "('exchange', 'pay.packet', 'pay.claim') THEN (SELECT v.handle FROM transfer AS n "
    "JOIN account AS b ON b.id IN (n.debit, n.credit) "
    "AND b.owner <> (SELECT owner FROM account WHERE id = :account) JOIN user AS v ON v.id = b.owner "
    "WHERE n.id IN (t.id - 1, t.id + 1) AND n.pos = t.pos LIMIT 1) END), t.phase "
    "FROM (SELECT t.id, t.pos, iif(t.debit = :account, t.credit, t.debit) AS other, "
    "iif(t.debit = :account, -t.amount, t.amount) AS amount, t.code, t.phase "
    f"FROM ({moving('ASC')}) AS m CROSS JOIN transfer AS t ON t.id = m.id) AS t "
    "CROSS JOIN event AS e ON e.pos = t.pos CROSS JOIN account AS a ON a.id = t.other "
    "LEFT JOIN user AS u ON u.id = a.owner ORDER BY t.id"
)
_KEPT: Final = {
    table.name: f'SELECT {table.select("t")} FROM json_each(?) AS k CROSS JOIN "{table.name}" AS t ON t."{key}" = k.value'
    for table, key in ((schema.PAYMENT, "id"), (schema.QUOTE, "id"))
}
_KEPT_EVENTS: Final = (
    f"SELECT r.id, {schema.EVENT.select('e')} FROM json_each(?) AS k CROSS JOIN receipt AS r ON r.id = k.value "
    "CROSS JOIN event AS e ON e.pos = r.pos"
)
# Sums of parts, since a sum of amounts may pass 64 bits.
_REFUNDED: Final = (
    "SELECT received_currency, sum(refunded / 1000000000), sum(refunded % 1000000000) FROM payment "
    "WHERE refunded > 0 GROUP BY received_currency"
)
_TALLY: Final = (
    "SELECT (SELECT count(*) FROM payment), (SELECT count(*) FROM share), "
    "(SELECT count(*) FROM quote WHERE used_by <> '')"
)
_TOTALS: Final = (
    "SELECT d.currency, d.code, c.currency, c.code, sum(t.amount) FROM transfer AS t "
    "CROSS JOIN account AS d ON d.id = t.debit CROSS JOIN account AS c ON c.id = t.credit "
    "WHERE t.id > :after AND t.id <= :upto AND t.phase IN ('single', 'post') GROUP BY 1, 2, 3, 4"
)


class MoneyReads(SessionReads):
    """Payments, statements and sums."""

    async def payments(self, user: str, before: int | None, limit: int) -> Items:
        """Some of a person's payments, latest first: sent, asked for, shared, claimed, received."""
        async with self._snapshot() as db:
            ((head,),) = await db.execute_fetchall("SELECT pos FROM head")
            top = head + 1 if before is None else min(before, head + 1)
            found, floor = await _candidates(db, user, top, limit + 1)
            reached = sorted((pos for pos in found if pos >= floor), reverse=True)
            listed = reached[:limit]
            items = await _items(db, listed)
        rest = listed[-1] if len(reached) > limit else floor
        return Items(items, head, rest or None)

    async def span(self, user: str, currency: str, since: int | None, until: int | None, after: int) -> Span:
        """What lies from one moment (inclusive) to another (exclusive), of which to read on behind `after`."""
        async with self._snapshot() as db:
            ((pos, made),) = await db.execute_fetchall("SELECT pos, transfer_id FROM head")
            first = 0 if since is None else (await _mark_before(db, since)).transfer
            last = made if until is None else max(first, (await _mark_before(db, until)).transfer)
            begin = min(max(first, after), last)
            rows = list(await db.execute_fetchall(_ACCOUNT, (user, currency)))
            if not rows:
                return Span(None, begin, last, 0, 0, 0, pos)
            ((account, balance),) = rows
            now = (made, balance)
            opening = await _balance_at(db, account, first, now)
            carried = opening if begin == first else await _balance_at(db, account, begin, now)
            closing = await _balance_at(db, account, last, now)
        return Span(account, begin, last, opening, carried, closing, pos)

    async def movements(self, span: Span, after: int, limit: int) -> tuple[list[Movement], int | None]:
        """Posted transfers among the next `limit` behind `after`, and behind which to read on, if any is left."""
        bounds = {"account": span.account, "after": after, "upto": span.upto, "limit": limit + 1}
        async with self._reader() as db:
            rows = list(await db.execute_fetchall(_MOVEMENTS, bounds))
        posted = [Movement(*row[:-1]) for row in rows[:limit] if row[-1] in POSTED]
        return posted, rows[limit - 1][0] if len(rows) > limit else None

    async def mark(self, pos: int | None, before: int | None) -> Mark:
        """Where the log stood at a `pos` or just `before` a moment (ms); where it stands, if neither is given."""
        async with self._snapshot() as db:
            if before is not None:
                return await _mark_before(db, before)
            ((head,),) = await db.execute_fetchall("SELECT pos FROM head")
            return await _mark_at(db, head if pos is None else min(pos, head))

    async def totals(self, after: int, upto: int) -> list[Total]:
        """What the transfers behind `after` up to `upto` posted, by currency and code of account."""
        debits: Counter[tuple[str, str]] = Counter()
        credits: Counter[tuple[str, str]] = Counter()
        for start in range(after, upto, TOTALS_ROWS_PER_READ):
            bounds = {"after": start, "upto": min(upto, start + TOTALS_ROWS_PER_READ)}
            async with self._reader() as db:
                rows = await db.execute_fetchall(_TOTALS, bounds)
            for row in rows:
                debits[row[0], row[1]] += row[4]
                credits[row[2], row[3]] += row[4]
        return [Total(*key, debits[key], credits[key]) for key in sorted(debits.keys() | credits.keys())]

    async def kept(self, payments: Sequence[str], quotes: Sequence[str], events: Sequence[str]) -> Kept:
        """Rows of money, with the shares of the payments, and events, by their ids."""
        named, rates, ids = (encode_object(list(each)).decode() for each in (payments, quotes, events))
        shares: dict[str, list[Share]] = {}
        for row in await self._rows(_SHARES, named):
            shares.setdefault(row[0], []).append(Share(*row))
        return Kept(
            {row[0]: Payment(*row) for row in await self._rows(_KEPT["payment"], named)},
            shares,
            {row[0]: Quote(*row) for row in await self._rows(_KEPT["quote"], rates)},
            {row[0]: LoggedEvent(*row[1:]) for row in await self._rows(_KEPT_EVENTS, ids)},
        )

    async def latest(self, quote_ms: int) -> int:
        """The latest commit without an event that rows tell of: a login, or a quote that holds for
        `quote_ms`."""
        ((latest,),) = await self._rows(_LATEST, quote_ms)
        return int(latest)

    async def tally(self) -> Tally:
        """How many rows of money there are, and what they say was refunded."""
        refunded = await self._rows(_REFUNDED)
        ((payments, shares, used),) = await self._rows(_TALLY)
        return Tally(
            payments, shares, used, {currency: high * 10**9 + low for currency, high, low in refunded}
        )


async def _candidates(db: aiosqlite.Connection, user: str, top: int, limit: int) -> tuple[set[int], int]:
    """Where payments of a person before `top` are, and from which pos on none is missing."""
    found: set[int] = set()
    floor = 0
    for sql in _BEGUN:
        begun = [row[0] for row in await db.execute_fetchall(sql, (user, top, limit))]
        found.update(begun)
        if len(begun) == limit:
            floor = max(floor, begun[-1])
    last = (await _mark_at(db, top - 1)).transfer
    for (account,) in await db.execute_fetchall(_ACCOUNTS, (user,)):
        bounds = {"account": account, "after": 0, "upto": last, "limit": TRANSFERS_SCANNED_MAX}
        rows = list(await db.execute_fetchall(_MOVED, bounds))
        found.update(pos for pos, code, phase in rows if phase == "single" and code in _LISTED)
        if len(rows) == TRANSFERS_SCANNED_MAX:
            floor = max(floor, rows[-1][0] + 1)  # the rest of that event was not looked at
    return found, floor


async def _items(db: aiosqlite.Connection, positions: Sequence[int]) -> list[Item]:
    rows = list(await db.execute_fetchall(_ITEMS, (encode_object(positions).decode(),)))
    payments = [None if row[_E_WIDTH] is None else Payment(*row[_E_WIDTH:]) for row in rows]
    split = [payment.id for payment in payments if payment is not None and payment.kind == "split"]
    shares: dict[str, list[Share]] = {}
    for row in await db.execute_fetchall(_SHARES, (encode_object(split).decode(),)):
        shares.setdefault(row[0], []).append(Share(*row))
    return [
        Item(LoggedEvent(*row[:_E_WIDTH]), payment, tuple(shares.get(payment.id, ())) if payment else ())
        for row, payment in zip(rows, payments, strict=True)
    ]


async def _mark_at(db: aiosqlite.Connection, pos: int) -> Mark:
    ((transfer,),) = await db.execute_fetchall(SEEK_TRANSFER, {"pos": pos})
    return Mark(pos, transfer)


async def _mark_before(db: aiosqlite.Connection, moment: int) -> Mark:
    ((pos,),) = await db.execute_fetchall(_SEEK_POS, {"moment": moment})
    return await _mark_at(db, pos)


async def _balance_at(db: aiosqlite.Connection, account: int, transfer: int, now: tuple[int, int]) -> int:
    """An account's posted balance after a transfer; `now` is the last transfer, and what it is after that."""
    made, balance = now
    if transfer >= made:
        return balance
    rows = list(await db.execute_fetchall(CARRIED, {"account": account, "transfer": transfer}))
    after, carried = rows[0] if rows else (0, 0)
    bounds = {"account": account, "after": after, "upto": transfer, "limit": -1}
    ((moved,),) = await db.execute_fetchall(_MOVED_BY, bounds)
    return int(carried + moved)
