"""The store of a running server as it was at one commit, for the check of the ledger.

What changes is copied in one short read into temporary tables, which hide those of the file. What only grows
is hidden by views of it up to where the log stood, and read from the file in short reads. So no read keeps
the WAL from starting again, and between two reads is a pause.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiosqlite

from tuppence_server.domain.rows import IdempotencyRecord, LogHead
from tuppence_server.store import schema
from tuppence_server.store.contract import LogReader
from tuppence_server.store.sql.port import Lane
from tuppence_server.store.sql.reads import SqlReads

from .faults import store_faults
from .pool import Pool, SqliteReader

PAUSE_S_MAX: Final = 1.0
_CHANGING: Final = (
    "head", "seal", "user", "conversation", "member", "account", "payment", "share", "quote", "currency",
)  # fmt: skip
"""Tables of which rows are changed or taken away, and that the check reads."""
_FREEZE: Final = (
    "BEGIN",
    *(f'CREATE TEMP TABLE "{table}" AS SELECT * FROM main."{table}"' for table in _CHANGING),
    "CREATE TEMP TABLE refused AS SELECT * FROM receipt WHERE pos IS NULL",
    *(
        f"CREATE TEMP VIEW {table} AS SELECT * FROM main.{table} WHERE {column} <= (SELECT {upto} "
        "FROM temp.head)"
        for table, column, upto in (
            ("event", "pos", "pos"),
            ("envelope", "pos", "pos"),
            ("receipt", "pos", "pos"),
            ("transfer", "id", "transfer_id"),
        )
    ),
    "COMMIT",
    *(
        f'CREATE INDEX temp."frozen_{table}" ON "{table}" ({columns})'
        for table, columns in (
            ("payment", "id"),
            ("share", "payment, n"),
            ("quote", "id"),
            ("member", "conv, user"),
        )
    ),
)
_REFUSED: Final = f"SELECT {schema.RECEIPT.select('r')} FROM refused AS r ORDER BY r.id"


class _Copy(Pool):
    """One reader of the copy, which is lent for up to `share` of the time, and rests for the rest."""

    def __init__(self, path: Path, share: float) -> None:
        super().__init__(path, 1)
        self._pauses = 1 / share - 1
        self._resumed = time.monotonic()

    async def open(self) -> None:
        """Take the copy."""
        with store_faults():
            db = await aiosqlite.connect(
                f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
            )
            self._open.append(db)
            for sql in ("PRAGMA busy_timeout = 5000", *_FREEZE):
                await db.execute_fetchall(sql)
        self._lend("asks", [db])

    @asynccontextmanager
    async def reader(self, lane: Lane = "asks") -> AsyncIterator[SqliteReader]:
        """The reader, after a pause."""
        if self._pauses:
            await asyncio.sleep(min(PAUSE_S_MAX, (time.monotonic() - self._resumed) * self._pauses))
        self._resumed = time.monotonic()
        async with super().reader(lane) as reader:
            yield reader


class FrozenStore(SqlReads):
    """What the check reads of a file that somebody else writes to,
    in up to `share` of the time that it takes."""

    def __init__(self, path: Path, share: float = 1.0) -> None:
        self._copy = _Copy(path, share)
        super().__init__(self._copy)

    async def open(self) -> LogHead:
        """Take the copy; where the log stood.

        Raises:
            StoreFault: it cannot be read.
        """
        await self._copy.open()
        return await self.head()

    async def close(self) -> None:
        """Let go of the copy."""
        await self._copy.close()

    async def refusals(self) -> AsyncIterator[Sequence[IdempotencyRecord]]:
        """The receipts that kept a refusal."""
        yield [IdempotencyRecord(*row) for row in await self._rows(_REFUSED)]

    def reader(self) -> LogReader | None:
        """No other process: it would read without a pause."""
        return None

    async def faults(self) -> list[str]:
        """Pages and indexes are read in one long read, so only where nobody writes."""
        return []
