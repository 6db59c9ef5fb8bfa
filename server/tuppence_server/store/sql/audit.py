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

from .port import OnPort

ROWS_PER_READ: Final = 2_000

_LOG: Final = (
    f"SELECT {schema.EVENT.select('e')} FROM event AS e "
    "WHERE e.pos > :after0 AND e.pos <= :upto ORDER BY e.pos LIMIT :limit"
)
_TRANSFERS: Final = (
    f"SELECT {schema.TRANSFER.select('t')} FROM transfer AS t "
    "WHERE t.id > :after0 AND t.id <= :upto ORDER BY t.id LIMIT :limit"
)
_OUTCOMES: Final = (
    "SELECT id, sender, pos FROM receipt WHERE id > :after0 AND pos IS NOT NULL ORDER BY id LIMIT :limit"
)
_REFUSALS: Final = (
    f"SELECT {schema.RECEIPT.select('r')} FROM receipt AS r "
    "WHERE r.id > :after0 AND r.pos IS NULL ORDER BY r.id LIMIT :limit"
)
_MEMBERS: Final = (
    f"SELECT {schema.MEMBER.select('m')} FROM member AS m "
    "WHERE (m.conv, m.user) > (:after0, :after1) ORDER BY m.conv, m.user LIMIT :limit"
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

    async def log(self, after: int, upto: int) -> AsyncIterator[Sequence[LoggedEvent]]:
        """The log in order, in pieces."""
        async for rows in self._pieces(_LOG, (after,), (0,), upto=upto):
            yield [LoggedEvent(*row) for row in rows]

    async def transfers(self, after: int, upto: int) -> AsyncIterator[Sequence[Transfer]]:
        """All transfers in order, in pieces."""
        async for rows in self._pieces(_TRANSFERS, (after,), (0,), upto=upto):
            yield [Transfer(*row) for row in rows]

    async def outcomes(self) -> AsyncIterator[Sequence[OutcomeRow]]:
        """The receipts that name an event, in pieces."""
        async for rows in self._pieces(_OUTCOMES, ("",), (0,)):
            yield [((id + sender).encode(), pos) for id, sender, pos in rows]

    async def refusals(self) -> AsyncIterator[Sequence[IdempotencyRecord]]:
        """The receipts that keep a refusal, in pieces."""
        async for rows in self._pieces(_REFUSALS, ("",), (0,)):
            yield [IdempotencyRecord(*row) for row in rows]

    async def all_members(self) -> AsyncIterator[Sequence[Member]]:
        """Every membership, also ended ones, in pieces."""
        async for rows in self._pieces(_MEMBERS, ("", ""), (0, 1)):
            yield [Member(*row) for row in rows]

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
