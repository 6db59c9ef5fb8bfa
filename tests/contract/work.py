"""What the SQLite store does for a read, counted: steps of SQLite's own machine,
and bytes that come out of it.

Both are the same on every machine, however busy it is.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite

from tuppence_server.store.contract import Store
from tuppence_server.store.sqlite.store import SqliteStore

STEPS_PER_CALL = 10


class Work:
    """Counted so far."""

    def __init__(self) -> None:
        self.steps = 0
        self.bytes = 0

    def step(self) -> int:
        """So many steps more; nothing is interrupted."""
        self.steps += STEPS_PER_CALL
        return 0

    def row(self, _cursor: Any, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """One row came out."""
        self.bytes += sum(len(value) for value in row if isinstance(value, (bytes, str)))
        return row


@asynccontextmanager
async def counting(store: Store) -> AsyncIterator[Work]:
    """Count what all reading connections do meanwhile; memory has none."""
    work = Work()
    readers: list[aiosqlite.Connection] = store.pool._open if isinstance(store, SqliteStore) else []
    for reader in readers:
        await reader.set_progress_handler(work.step, STEPS_PER_CALL)
        reader.row_factory = work.row  # type: ignore[assignment]
    try:
        yield work
    finally:
        for reader in readers:
            await reader.set_progress_handler(None, STEPS_PER_CALL)  # type: ignore[arg-type]
            reader.row_factory = None
