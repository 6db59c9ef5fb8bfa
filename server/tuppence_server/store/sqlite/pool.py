"""Query-only connections in lanes: what one kind of read waits for is never another kind. Each read is short.

A lane lends its readers in the order of asking. Hellos that bring a long absence and questions about a long
history have readers of their own, and so has the look at a token, on which every door waits.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiosqlite

from tuppence_server.store.contract import StoreFault, folded

from .faults import is_damage, store_faults

HELLO_READERS: Final = 2
IDENTIFY_READERS: Final = 1


class Lane:
    """Readers that are lent to one kind of work."""

    def __init__(self, readers: int) -> None:
        self.readers = readers
        self.damage: StoreFault | None = None
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()

    def fill(self, readers: list[aiosqlite.Connection]) -> None:
        """Begin to lend these."""
        self._idle = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[aiosqlite.Connection]:
        """One reader, once it is free."""
        reader = await self._idle.get()
        try:
            with store_faults():
                yield reader
        except StoreFault as fault:
            if isinstance(fault.__cause__, sqlite3.Error) and is_damage(fault.__cause__):
                self.damage = fault
            raise
        finally:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[aiosqlite.Connection]:
        """Several reads of one state. Statements queue in order, so the end always follows the rest."""
        async with self.reader() as reader:
            await reader.execute("BEGIN")
            try:
                yield reader
            finally:
                await reader.execute("COMMIT")

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        """All rows of one statement."""
        async with self.reader() as reader:
            return list(await reader.execute_fetchall(sql, arguments))


class Pool:
    """Opens and closes reading connections: the lanes', and the road's own."""

    def __init__(self, path: Path, readers: int) -> None:
        self.path = path
        self.asks = Lane(readers)
        self.hellos = Lane(HELLO_READERS)
        self.identities = Lane(IDENTIFY_READERS)
        self._loader: aiosqlite.Connection | None = None
        self._open: list[aiosqlite.Connection] = []

    async def open_readers(self) -> None:
        """Open the lanes, and the connection that the road loads through."""
        self._loader = await self._opened()
        for lane in (self.asks, self.hellos, self.identities):
            lane.fill([await self._opened() for _ in range(lane.readers)])

    async def _opened(self) -> aiosqlite.Connection:
        with store_faults():
            reader = await aiosqlite.connect(self.path, isolation_level=None)
            self._open.append(reader)
            for pragma in ("query_only = ON", "wal_autocheckpoint = 0", "busy_timeout = 5000"):
                await reader.execute_fetchall(f"PRAGMA {pragma}")
            await reader.create_function("folded", 1, folded, deterministic=True)
        return reader

    @property
    def damage(self) -> StoreFault | None:
        """That a reader found the file broken."""
        return self.asks.damage or self.hellos.damage or self.identities.damage

    @property
    def loader(self) -> aiosqlite.Connection:
        """The road's own reading connection."""
        assert self._loader is not None, "the store is open"
        return self._loader

    async def close_readers(self) -> None:
        """Close all of them."""
        for reader in self._open:
            await reader.close()
        self._open.clear()

    def _reader(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        return self.asks.reader()

    def _snapshot(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        return self.asks.snapshot()

    async def _rows(self, sql: str, *arguments: Any) -> list[Any]:
        return await self.asks.rows(sql, *arguments)
