"""A small pool of query-only connections. Each read is short and sees one state of the file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite


class Pool:
    """Opens, lends and closes reading connections."""

    def __init__(self, path: Path, readers: int) -> None:
        self.path = path
        self._size = readers
        self._loader: aiosqlite.Connection | None = None
        self._open: list[aiosqlite.Connection] = []
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()

    async def open_readers(self) -> None:
        """Open the pool, and the connection that the road loads through."""
        for _ in range(self._size + 1):
            reader = await aiosqlite.connect(self.path, isolation_level=None)
            for pragma in ("query_only = ON", "wal_autocheckpoint = 0", "busy_timeout = 5000"):
                await reader.execute_fetchall(f"PRAGMA {pragma}")
            self._open.append(reader)
        self._loader, *pool = self._open
        for reader in pool:
            self._idle.put_nowait(reader)

    @property
    def loader(self) -> aiosqlite.Connection:
        """The road's own reading connection."""
        assert self._loader is not None, "the store is open"
        return self._loader

    async def close_readers(self) -> None:
        """Close the pool."""
        for reader in self._open:
            await reader.close()
        self._open.clear()
        self._idle = asyncio.Queue()

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        reader = await self._idle.get()
        try:
            yield reader
        finally:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[aiosqlite.Connection]:
        """Several reads of one state. Statements queue in order, so the end always follows the rest."""
        async with self._reader() as reader:
            await reader.execute("BEGIN")
            try:
                yield reader
            finally:
                await reader.execute("COMMIT")

    async def _rows(self, sql: str, *arguments: Any) -> list[Any]:
        async with self._reader() as reader:
            return list(await reader.execute_fetchall(sql, arguments))
