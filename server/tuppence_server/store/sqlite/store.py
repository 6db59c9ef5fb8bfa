"""The embedded store: one SQLite file, one connection that writes and checkpoints, a few that read.

The road loads through a connection of its own, so that the next batch is decided while one is being written;
what is on its way to the disk is in the book.

WAL with synchronous=FULL: what `save` returned from survives a crash and a power cut, if the disk honours
fsync. Only the road's task uses the writer, and nothing cancels that task: a statement that was handed to
aiosqlite runs even where the await is cancelled, and would leave a transaction open.
"""

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import Final, cast

import aiosqlite

from tuppence_server.domain.changes import Changes
from tuppence_server.domain.rows import DataMode, LogHead
from tuppence_server.domain.seals import MODE, digest
from tuppence_server.store.contract import LogReader, Packed, StoreFault, Unusable
from tuppence_server.store.sql import entries
from tuppence_server.store.sql.reads import SqlReads
from tuppence_server.store.sql.sessions import HEAD
from tuppence_server.store.sql.writes import Sql, batch

from .batch import BATCH, BatchConnection
from .faults import store_faults, translated
from .log import SqliteLog
from .migrate import migrate
from .open_files import OpenFiles
from .ours import APPLICATION_ID, recognise
from .pool import READERS, Pool, carried
from .soundness import faults
from .wal import UNFINISHED_COMMITS_MAX, Tail, after_the_end, set_aside
from .writes import inserts

WAL_PAGES_FOLD: Final = 4_000
"""Pages in the log before it is folded into the file; SQLite's default of 1000 halves the throughput."""
WAL_BYTES_MAX: Final = 512 * 1024 * 1024
"""Beyond this the road pauses for short readers once all is folded, so that the log can begin anew."""
WAL_DRAIN_S: Final = 0.05
PAGE_BYTES: Final = 4_096
CACHE_KIB: Final = 65_536
_EPOCH: Final = (
    "INSERT INTO head (one, epoch, pos, hash, account_id, transfer_id, at, mode) "
    "VALUES (1, ?, 0, zeroblob(32), 0, 0, 0, ?) ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch"
)
_MODE: Final = "INSERT INTO seal SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM head)"


class SqliteStore(SqlReads):
    """The `Store` contract over one SQLite file."""

    def __init__(
        self, path: Path, readers: int = READERS["asks"], epoch_after_loss: str | None = None
    ) -> None:
        """With `epoch_after_loss` a log that lost commits is opened all the same, as that epoch."""
        self.path = path
        self.pool = Pool(path, readers)
        super().__init__(self.pool)
        self._epoch_after_loss = epoch_after_loss
        self.tail = Tail(0, 0)
        """What was found behind the end of the log that the last process left."""
        self._writer: aiosqlite.Connection | None = None
        self._files: OpenFiles | None = None
        self._generation = b""
        self._folded = 0
        self._doubted = False
        self._filled = 0

    async def open(self) -> LogHead:
        """Open the file, or make it where there is none, migrate it, and tell where the log stands.

        Raises:
            Unusable: what is there is no database of ours; it is left as it is.
            SchemaTooNew, StoreFault: see `migrate`.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        named = os.path.lexists(self.path) and recognise(self.path)
        self.tail = after_the_end(self.path)
        lost = self.tail.commits > UNFINISHED_COMMITS_MAX
        if lost and self._epoch_after_loss is None:
            raise Unusable(self.tail.report(self.path))
        if lost:
            set_aside(self.path)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            with store_faults():
                await self._open_writer(named)
            await self.pool.open()
            return await self.head()
        except BaseException as fault:
            self._doubted = isinstance(fault, StoreFault) and fault.fatal
            await self.close()
            raise

    async def _open_writer(self, named: bool) -> None:
        writer = self._writer = await aiosqlite.connect(
            self.path, isolation_level=None, cached_statements=512, factory=BatchConnection
        )
        if not named:
            await writer.execute_fetchall(f"PRAGMA application_id = {APPLICATION_ID}")
        for pragma in _pragmas():
            await writer.execute_fetchall(f"PRAGMA {pragma}")
        self._files = OpenFiles(self.path)
        if self.tail.commits > UNFINISHED_COMMITS_MAX:
            # In the commit that takes the place of the first that is lost.
            await writer.execute_fetchall("UPDATE head SET epoch = ?", (self._epoch_after_loss,))
        await migrate(writer, time.time_ns() // 1_000_000)
        ((self._filled,),) = await writer.execute_fetchall(entries.FILLED)
        await writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        """Close all connections; the last one folds the log into the file,
        unless what is on disk is in doubt.

        Raises:
            StoreFault: it is. The log stays, and the next start reads it;
                what has no name any more was rescued.
        """
        writer, self._writer = self._writer, None
        try:
            if writer is not None and self._files is not None and not self._doubted:
                self.watch()
                await writer.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as fault:
            if (found := self._as_fault(fault)).fatal:
                raise found from fault
        finally:
            files, self._files = self._files, None
            if files is not None and not self._doubted:
                files.release()
            await self.pool.close()
            if writer is not None:
                await writer.close()
            if files is not None:
                await asyncio.to_thread(_end, files)

    def watch(self) -> None:
        """Look whether the files are what was opened: some calls of the system, for once a second.

        Raises:
            StoreFault: fatal. They are not, or a reader found them damaged.
        """
        try:
            assert self._files is not None, "the store is open"
            self._files.watch()
            if self.pool.damage is not None:
                raise self.pool.damage
        except StoreFault:
            self._doubted = True
            raise

    def _as_fault(self, fault: Exception) -> StoreFault:
        found = translated(fault)
        self._doubted = self._doubted or found.fatal
        return found

    @property
    def _db(self) -> aiosqlite.Connection:
        assert self._writer is not None, "the store is open"
        return self._writer

    # The road's writes

    def pack(self, changes: Changes, head: LogHead) -> Packed:
        """Copy a batch out of the book as statements with their values, in the order to be written."""
        statements: list[Sql] = [
            (sql, carried(values) if isinstance(values, dict) else values)
            for sql, values in batch(changes, head, inserts)
        ]
        if head.transfer_id - self._filled >= entries.ENTRIES_BEHIND_MAX:
            statements += ((sql, ()) for sql in entries.FILL)
            self._filled = head.transfer_id
        return Packed(statements)

    async def save(self, packed: Packed) -> None:
        """Commit one batch.

        Raises:
            StoreFault: nothing of it was committed; `fatal` where the disk can no longer be trusted.
        """
        try:
            await self._fold_if_long()
            await self._db.executemany(BATCH, cast("list[Sql]", packed))
        except Exception as fault:  # of SQLite, or of a value that cannot be bound
            self._filled = 0  # whatever was filled in with it is not; the next batch sees to it
            raise self._as_fault(fault) from fault

    async def _fold_if_long(self) -> None:
        """Fold the log into the file before it grows further: a call of its own, whose errors are seen.

        It never waits for a reader. Behind a long one the log grows; what can be is folded.
        """
        assert self._files is not None, "the store is open"
        index = self._files.index
        if index.generation != self._generation:
            self._generation, self._folded = index.generation, 0
        if index.frames - self._folded < WAL_PAGES_FOLD:
            return
        self.watch()
        ((_, self._folded, done),) = await self._db.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        if done == self._folded > WAL_BYTES_MAX // PAGE_BYTES:
            await asyncio.sleep(WAL_DRAIN_S)  # who begins to read now reads the file; the others end

    # The whole file

    async def start_epoch(self, epoch: str, mode: DataMode | None = None) -> None:
        """Begin a generation of the log: at first, when `mode` is settled for good, and after a restore."""
        settled = mode or "live"
        begun: list[Sql] = [(_MODE, (MODE, digest(settled))), (_EPOCH, (epoch, settled))]
        with store_faults():
            await self._db.executemany(BATCH, begun)

    async def backup(self, path: Path) -> LogHead:
        """Write a whole, compact copy as of one moment, while the road goes on;
        where the copy's log stands."""
        self.watch()
        with store_faults():
            copier = await aiosqlite.connect(self.path, isolation_level=None)
            try:
                await copier.execute_fetchall("PRAGMA wal_autocheckpoint = 0")
                await copier.execute("VACUUM INTO ?", (str(path),))
                await copier.execute("ATTACH ? AS copy", (str(path),))
                ((*head,),) = await copier.execute_fetchall(f"SELECT {HEAD} FROM copy.head")
            finally:
                await copier.close()
        return LogHead(*head)

    def reader(self) -> LogReader | None:
        """The log as another process can read it."""
        return SqliteLog(self.path)

    async def faults(self) -> list[str]:
        """What is wrong with the file in itself; it must be at rest."""
        return await asyncio.to_thread(faults, self.path)


def _end(files: OpenFiles) -> None:
    try:
        if files.astray:
            raise StoreFault(f"{files.astray} What was in it is kept as {files.rescue()}.", fatal=True)
    except (OSError, sqlite3.Error) as fault:
        raise StoreFault(f"{files.astray} What was in it could not be kept: {fault}", fatal=True) from fault
    finally:
        files.close()


def _pragmas() -> tuple[str, ...]:
    return (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "busy_timeout = 5000",
        f"cache_size = -{CACHE_KIB}",
        "wal_autocheckpoint = 0",
        f"journal_size_limit = {WAL_BYTES_MAX}",
        "temp_store = MEMORY",
    )
