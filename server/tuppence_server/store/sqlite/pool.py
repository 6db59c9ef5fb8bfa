"""Query-only connections in lanes: what one kind of read waits for is never another kind. Each read is short.

A lane lends its readers in the order of asking. Hellos that bring a long absence and questions about a long
history have readers of their own; so have the look at a token, on which every door waits, and the road's
loads.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import aiosqlite
from msgspec import Struct

from tuppence_protocol.codec import encode_object
from tuppence_server.store.contract import StoreFault, folded
from tuppence_server.store.sql.port import Lane

from .faults import is_damage, store_faults

READERS: Final[dict[Lane, int]] = {"road": 1, "asks": 2, "hellos": 2, "tokens": 1}


def carried(given: dict[str, Any]) -> dict[str, Any]:
    """Values as statements take them: a collection as the JSON that `json_each` reads."""
    return {
        name: encode_object(list(value)).decode() if isinstance(value, (list, tuple, set, dict)) else value
        for name, value in given.items()
    }


class SqliteReader(Struct):
    """One connection that reads."""

    db: aiosqlite.Connection

    async def rows(self, sql: str, **given: Any) -> list[Any]:
        """All rows of a statement; a collection among the values comes as JSON."""
        return cast("list[Any]", await self.db.execute_fetchall(sql, carried(given)))


class Pool:
    """The port of a SQLite file."""

    def __init__(self, path: Path, readers: int = READERS["asks"]) -> None:
        self.path = path
        self.damage: StoreFault | None = None
        """That a reader found the file broken."""
        self._readers = READERS | {"asks": readers}
        self._idle: dict[Lane, asyncio.Queue[SqliteReader]] = {}
        self._open: list[aiosqlite.Connection] = []

    async def open(self) -> None:
        """Open every lane's readers."""
        for lane, readers in self._readers.items():
            self._lend(lane, [await self._opened() for _ in range(readers)])

    def _lend(self, lane: Lane, readers: list[aiosqlite.Connection]) -> None:
        self._idle[lane] = asyncio.Queue()
        for reader in readers:
            self._idle[lane].put_nowait(SqliteReader(reader))

    async def _opened(self) -> aiosqlite.Connection:
        with store_faults():
            db = await aiosqlite.connect(self.path, isolation_level=None)
            self._open.append(db)
            for pragma in ("query_only = ON", "wal_autocheckpoint = 0", "busy_timeout = 5000"):
                await db.execute_fetchall(f"PRAGMA {pragma}")
            await db.create_function("folded", 1, folded, deterministic=True)
        return db

    async def close(self) -> None:
        """Close all of them."""
        for db in self._open:
            await db.close()
        self._open.clear()

    @asynccontextmanager
    async def reader(self, lane: Lane = "asks") -> AsyncIterator[SqliteReader]:
        """One reader, once it is free."""
        reader = await self._idle[lane].get()
        try:
            with store_faults():
                yield reader
        except StoreFault as fault:
            if isinstance(fault.__cause__, sqlite3.Error) and is_damage(fault.__cause__):
                self.damage = fault
            raise
        finally:
            self._idle[lane].put_nowait(reader)

    @asynccontextmanager
    async def snapshot(self, lane: Lane = "asks") -> AsyncIterator[SqliteReader]:
        """Several reads of one state. Statements queue in order, so the end always follows the rest."""
        async with self.reader(lane) as reader:
            await reader.db.execute("BEGIN")
            try:
                yield reader
            finally:
                await reader.db.execute("COMMIT")
