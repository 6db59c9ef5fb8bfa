"""What the check of the whole ledger reads: every row of its kind, in order and in pieces."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.rows import (
    OPERATOR,
    Account,
    Conversation,
    IdempotencyRecord,
    LoggedEvent,
    Member,
    Transfer,
)
from tuppence_server.store import schema
from tuppence_server.store.contract import Misplaced, OutcomeRow, StoreFault, Tally
from tuppence_server.store.schema import Table

from .port import OnPort

ROWS_PER_READ: Final = 2_000

_OUTCOMES: Final = (
    "SELECT id, sender, pos FROM receipt WHERE id > :after0 AND pos IS NOT NULL ORDER BY id LIMIT :limit"
)
_ITS_OWN: Final = (
    "r.pos = e.pos AND r.id = e.id "
    f"AND r.sender = CASE e.author WHEN '{SERVER_AUTHOR}' THEN '{OPERATOR}' ELSE e.author END"
)
_WITHOUT_RECEIPT: Final = (
    "SELECT e.pos FROM envelope AS e "
    f"WHERE NOT EXISTS (SELECT 1 FROM receipt AS r WHERE {_ITS_OWN}) LIMIT :limit"
)
_WITHOUT_EVENT: Final = (
    "SELECT r.id FROM receipt AS r WHERE r.pos IS NOT NULL "
    f"AND NOT EXISTS (SELECT 1 FROM envelope AS e WHERE e.pos = r.pos AND {_ITS_OWN}) LIMIT :limit"
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


class AuditReads(OnPort):
    """Every row of its kind."""

    def log(self, after: int, upto: int) -> AsyncIterator[Sequence[LoggedEvent]]:
        """The log in order, in pieces."""
        return self._table(schema.EVENT, (after,), "t.pos <= :upto", upto=upto)

    def transfers(self, after: int, upto: int) -> AsyncIterator[Sequence[Transfer]]:
        """All transfers in order, in pieces."""
        return self._table(schema.TRANSFER, (after,), "t.id <= :upto", upto=upto)

    def refusals(self) -> AsyncIterator[Sequence[IdempotencyRecord]]:
        """The receipts that keep a refusal, in pieces."""
        return self._table(schema.RECEIPT, ("",), "t.pos IS NULL")

    def all_members(self) -> AsyncIterator[Sequence[Member]]:
        """Every membership, also ended ones, in pieces."""
        return self._table(schema.MEMBER, ("", ""))

    async def outcomes(self) -> AsyncIterator[Sequence[OutcomeRow]]:
        """The receipts that name an event, in pieces."""
        async for rows in self._pieces(_OUTCOMES, ("",), (0,)):
            yield [((id + sender).encode(), pos) for id, sender, pos in rows]

    async def all_conversations(self) -> list[Conversation]:
        """Every conversation."""
        rows = await self._rows(f"SELECT {schema.CONVERSATION.select('c')} FROM conversation AS c")
        return [Conversation(*row) for row in rows]

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""
        rows = await self._rows(f"SELECT {schema.ACCOUNT.select('a')} FROM account AS a ORDER BY a.id")
        return [Account(*row) for row in rows]

    async def currencies(self) -> dict[str, int]:
        """The exponent by which each currency's amounts were written."""
        return dict(await self._rows("SELECT code, exponent FROM currency"))

    async def misplaced(self, limit: int) -> Misplaced:
        """Events that have not exactly their receipt, and receipts that are no event's; so many of each."""
        events = await self._rows(_WITHOUT_RECEIPT, limit=limit)
        receipts = await self._rows(_WITHOUT_EVENT, limit=limit)
        return Misplaced([pos for (pos,) in events], [id for (id,) in receipts])

    async def tally(self) -> Tally:
        """How many rows of money there are, and what they say was refunded."""
        refunded = {currency: high * 10**9 + low for currency, high, low in await self._rows(_REFUNDED)}
        ((payments, shares, used),) = await self._rows(_TALLY)
        return Tally(payments, shares, used, refunded)

    async def _table(
        self, table: Table, after: tuple[Any, ...], where: str = "TRUE", **given: Any
    ) -> AsyncIterator[list[Any]]:
        """The rows of a table behind a key, in the order of keys."""
        key = ", ".join(f"t.{column}" for column in table.key)
        behind = ", ".join(f":after{n}" for n in range(len(after)))
        sql = (
            f"SELECT {table.select('t')} FROM {table.name} AS t "
            f"WHERE ({key}) > ({behind}) AND {where} ORDER BY {key} LIMIT :limit"
        )
        async for rows in self._pieces(sql, after, tuple(map(table.columns.index, table.key)), **given):
            yield [table.row(*row) for row in rows]

    async def _pieces(
        self, sql: str, after: tuple[Any, ...], key: tuple[int, ...], **given: Any
    ) -> AsyncIterator[list[Any]]:
        """All rows of a statement that goes on behind a key, which is these of its columns."""
        while True:
            last = {f"after{n}": part for n, part in enumerate(after)}
            rows = await self._rows(sql, **last, **given, limit=ROWS_PER_READ)
            if not rows:
                return
            yield rows
            after = _onward(tuple(rows[-1][column] for column in key), after)


def _onward(last: tuple[Any, ...], before: tuple[Any, ...]) -> tuple[Any, ...]:
    """Behind which row to read on; the pages of a damaged file may lead round in a circle."""
    try:
        further = last > before
    except TypeError:
        further = False
    if not further:
        raise StoreFault("the rows of a table do not follow each other; the file is damaged", fatal=True)
    return last
