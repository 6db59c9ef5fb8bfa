"""The embedded store: one SQLite file, one connection that writes and checkpoints, a few that read.

The road loads through a connection of its own, so that the next batch is decided while one is being written; what
is on its way to the disk is in the book.

WAL with synchronous=FULL: what `save` returned from survives a crash and a power cut, if the disk honours
fsync. Only the road's task uses the writer, and nothing cancels that task: a statement that was handed to
aiosqlite runs even where the await is cancelled, and would leave a transaction open.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import aiosqlite

from tuppence_protocol.codec import encode_object
from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.pay.limits import oldest_slot
from tuppence_server.domain.rows import (
    Account,
    Conversation,
    DataMode,
    IdempotencyRecord,
    LoggedEvent,
    LogHead,
    Member,
    PairKey,
    Payment,
    Quote,
    Session,
    Share,
    Use,
    User,
)
from tuppence_server.domain.seals import MODE, digest
from tuppence_server.store import schema
from tuppence_server.store.contract import Packed, StoreFault, Unusable

from . import entries, stale
from .batch import BATCH, BatchConnection, Statement
from .faults import store_faults, translated
from .kept import KeptFiles
from .migrate import migrate
from .ours import APPLICATION_ID, recognise
from .reads import SqliteReads
from .wal import UNFINISHED_COMMITS_MAX, Tail, behind_the_end, set_aside

WAL_PAGES_FOLD: Final = 4_000
"""Pages in the log before it is folded into the file; SQLite's default of 1000 halves the throughput."""
WAL_BYTES_MAX: Final = 512 * 1024 * 1024
"""Beyond this the road pauses for short readers once all is folded, so that the log can begin anew."""
WAL_DRAIN_S: Final = 0.05
PAGE_BYTES: Final = 4_096
CACHE_KIB: Final = 65_536

_SIZES: Final = (1, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024)
"""Rows that one statement writes. One step for many rows matters: SQLite gives up the interpreter's lock in
each step, and where the event loop is busy it waits to get it back every time."""
_APPENDED: Final = (
    schema.EVENT,
    schema.STORED_RECEIPT,
    schema.REFUSED_RECEIPT,
    schema.TRANSFER,
    schema.NEW_ACCOUNT,
)
_REPLACED: Final = (
    schema.USER, schema.SESSION, schema.CONVERSATION, schema.MEMBER, schema.STAY, schema.ACCOUNT,
    schema.PAYMENT, schema.SHARE, schema.QUOTE, schema.USE,
)  # fmt: skip
_WRITES: Final = {
    (table.name, table.only, size): table.insert(size) if table in _APPENDED else table.upsert(size)
    for table in (*_APPENDED, *_REPLACED)
    for size in _SIZES
}
_END_USER: Final = 'UPDATE "session" SET revoked_at = ? WHERE "user" = ? AND revoked_at IS NULL'
_HEAD: Final = (
    "UPDATE head SET epoch = ?, pos = ?, hash = ?, account_id = ?, transfer_id = ?, at = ? WHERE one = 1"
)
_EPOCH: Final = (
    "INSERT INTO head (one, epoch, pos, hash, account_id, transfer_id, at, mode) "
    "VALUES (1, ?, 0, zeroblob(32), 0, 0, 0, ?) ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch"
)
_MODE: Final = "INSERT INTO seal SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM head)"
_SEAL: Final = "INSERT INTO seal VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET digest = excluded.digest"
_CURRENCY: Final = "INSERT INTO currency VALUES (?, ?) ON CONFLICT (code) DO NOTHING"


@cache
def _by(table: schema.Table, column: str) -> str:
    return (
        f'SELECT {table.select("t")} FROM json_each(?) AS k CROSS JOIN "{table.name}" AS t '
        f'ON t."{column}" = k.value'
    )


_MEMBERS: Final = (
    f"SELECT {schema.MEMBER.select('m')} FROM json_each(?) AS k CROSS JOIN member AS m "
    "ON m.conv = json_extract(k.value, '$[0]') AND m.user = json_extract(k.value, '$[1]')"
)
_ACCOUNTS: Final = (
    f"SELECT {schema.ACCOUNT.select('a')} FROM json_each(?) AS k CROSS JOIN account AS a "
    "ON a.owner = json_extract(k.value, '$[0]') AND a.currency = json_extract(k.value, '$[1]') "
    "AND a.code = json_extract(k.value, '$[2]')"
)
_USES: Final = (
    f'SELECT {schema.USE.select("u")} FROM json_each(?) AS k CROSS JOIN "use" AS u '
    "ON u.user = json_extract(k.value, '$[0]') AND u.currency = json_extract(k.value, '$[1]') "
    "AND u.slot >= json_extract(k.value, '$[2]')"
)
_ASKED: Final = (
    f"SELECT {schema.PAYMENT.select('p')} FROM json_each(?) AS k CROSS JOIN payment AS p "
    "ON p.payee = json_extract(k.value, '$[0]') AND p.payer = json_extract(k.value, '$[1]') "
    "AND p.kind = 'request' AND p.state = 'open'"
)


class SqliteStore(SqliteReads):
    """The `Store` contract over one SQLite file."""

    def __init__(self, path: Path, readers: int = 2, epoch_after_loss: str | None = None) -> None:
        """With `epoch_after_loss` a log that lost commits is opened all the same, as that epoch."""
        super().__init__(path, readers)
        self._epoch_after_loss = epoch_after_loss
        self.tail = Tail(0, 0)
        """What was found behind the end of the log that the last process left."""
        self._writer: aiosqlite.Connection | None = None
        self._kept: KeptFiles | None = None
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
        self.tail = behind_the_end(self.path)
        lost = self.tail.commits > UNFINISHED_COMMITS_MAX
        if lost and self._epoch_after_loss is None:
            raise Unusable(self.tail.told(self.path))
        if lost:
            set_aside(self.path)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            with store_faults():
                await self._open_writer(named)
            await self.open_readers()
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
        self._kept = KeptFiles(self.path)
        if self.tail.commits > UNFINISHED_COMMITS_MAX:
            # In the commit that takes the place of the first that is lost.
            await writer.execute_fetchall("UPDATE head SET epoch = ?", (self._epoch_after_loss,))
        await migrate(writer, time.time_ns() // 1_000_000)
        ((self._filled,),) = await writer.execute_fetchall(entries.FILLED)
        await writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        """Close all connections; the last one folds the log into the file, unless what is on disk is in doubt.

        Raises:
            StoreFault: it is. The log stays, and the next start reads it; what has no name any more was rescued.
        """
        writer, self._writer = self._writer, None
        try:
            if writer is not None and self._kept is not None and not self._doubted:
                self.watch()
                await writer.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as fault:
            if (told := self._told(fault)).fatal:
                raise told from fault
        finally:
            kept, self._kept = self._kept, None
            if kept is not None and not self._doubted:
                kept.release()
            await self.close_readers()
            if writer is not None:
                await writer.close()
            if kept is not None:
                await asyncio.to_thread(_end, kept)

    def watch(self) -> None:
        """Look whether the files are what was opened: some calls of the system, for once a second.

        Raises:
            StoreFault: fatal. They are not, or a reader found them damaged.
        """
        try:
            assert self._kept is not None, "the store is open"
            self._kept.watch()
            if self.damage is not None:
                raise self.damage
        except StoreFault:
            self._doubted = True
            raise

    def _told(self, fault: Exception) -> StoreFault:
        told = translated(fault)
        self._doubted = self._doubted or told.fatal
        return told

    async def start_epoch(self, epoch: str, mode: DataMode | None = None) -> None:
        """Begin a generation of the log: at first, when `mode` is settled for good, and after a restore."""
        settled = mode or "live"
        begun: list[Statement] = [(_MODE, (MODE, digest(settled))), (_EPOCH, (epoch, settled))]
        with store_faults():
            await self._db.executemany(BATCH, begun)

    @property
    def _db(self) -> aiosqlite.Connection:
        assert self._writer is not None, "the store is open"
        return self._writer

    # The road's reads

    async def load(self, keys: Keys, book: Book) -> None:
        """Bring the rows into the book: one SELECT per table."""
        if keys.receipts:
            await self._load_receipts(keys.receipts, book)
        if keys.conversations or keys.pairs:
            for column, wanted in (("id", keys.conversations), ("pair", keys.pairs)):
                for row in await self._select(_by(schema.CONVERSATION, column), wanted):
                    book.cache_conversation(Conversation(*row))
        for column, names in (("id", keys.users), ("handle", keys.handles), ("skeleton", keys.skeletons)):
            for row in await self._select(_by(schema.USER, column), names):
                book.cache_user(User(*row))
        for row in await self._select(_by(schema.SESSION, "id"), keys.sessions):
            book.cache_session(Session(*row))
        for row in await self._select(_MEMBERS, keys.members):
            book.members[row[0], row[1]] = Member(*row)
        for row in await self._select(_ACCOUNTS, keys.accounts):
            book.accounts[row[1], row[2], row[3]] = Account(*row)
        if keys.payments or keys.asked or keys.quotes or keys.uses:
            await self._load_money(keys, book)
        book.mark_absent(keys)

    async def _load_money(self, keys: Keys, book: Book) -> None:
        found = {
            row[0]: Payment(*row) for row in await self._select(_by(schema.PAYMENT, "id"), keys.payments)
        }
        shares: dict[str, list[Share]] = {id: [] for id in found}
        for row in await self._select(_by(schema.SHARE, "payment"), found):
            shares[row[0]].append(Share(*row))
        for id, payment in found.items():
            book.cache_payment(payment, shares[id])
        await self._load_receipts(keys.payments - found.keys(), book)
        asked: dict[PairKey, list[Payment]] = {pair: [] for pair in keys.asked}
        for row in await self._select(_ASKED, keys.asked):
            payment = Payment(*row)
            asked[payment.payee, payment.payer].append(payment)
        for pair, payments in asked.items():
            book.cache_asked(pair, payments)
        for row in await self._select(_by(schema.QUOTE, "id"), keys.quotes):
            book.quotes[row[0]] = Quote(*row)
        since = oldest_slot(book.now)
        for row in await self._select(_USES, {(*key, since) for key in keys.uses}):
            book.cache_use(Use(*row))

    async def _load_receipts(self, ids: set[str], book: Book) -> None:
        found = [IdempotencyRecord(*row) for row in await self._select(_by(schema.RECEIPT, "id"), ids)]
        for receipt in found:
            book.receipts[receipt.id] = receipt
        stored = [receipt.pos for receipt in found if receipt.pos is not None]
        for row in await self._select(_by(schema.EVENT, "pos"), stored):
            book.events[row[0]] = LoggedEvent(*row)

    async def _select(self, sql: str, wanted: Iterable[Any]) -> Iterable[Any]:
        values = list(wanted)
        if not values:
            return ()
        with store_faults():
            return await self.loader.execute_fetchall(sql, (encode_object(values).decode(),))

    # The road's writes

    def pack(self, changes: Changes, head: LogHead) -> Packed:
        """Copy a batch out of the book as statements with their values, in the order to be written."""
        statements: list[Statement] = [(_END_USER, (at, user)) for user, at in changes.ended_users.items()]
        statements += stale.drops(changes)
        stays, members = schema.parted(changes.members, changes.stays)
        new_accounts, accounts = schema.parted(changes.accounts, changes.opened)
        for table, rows in (
            (schema.USER, changes.users.values()),
            (schema.SESSION, changes.sessions.values()),
            (schema.CONVERSATION, changes.conversations.values()),
            (schema.STAY, stays),
            (schema.MEMBER, members),
            (schema.EVENT, changes.events.values()),
            (schema.STORED_RECEIPT, [row for row in changes.receipts.values() if row.pos is not None]),
            (schema.REFUSED_RECEIPT, [row for row in changes.receipts.values() if row.pos is None]),
            (schema.NEW_ACCOUNT, new_accounts),
            (schema.ACCOUNT, accounts),
            (schema.TRANSFER, changes.transfers),
            (schema.PAYMENT, [*changes.partly_refunded, *changes.payments.values()]),
            (schema.SHARE, changes.shares.values()),
            (schema.QUOTE, changes.quotes.values()),
            (schema.USE, changes.uses.values()),
        ):
            if rows:
                statements += _statements(table, list(rows))
        for code, exponent in changes.currencies.items():
            statements.append((_CURRENCY, (code, exponent)))
        statements += ((_SEAL, sealed) for sealed in changes.seals.items())
        statements.append(
            (_HEAD, (head.epoch, head.pos, head.hash, head.account_id, head.transfer_id, head.at))
        )
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
            await self._db.executemany(BATCH, cast("list[Statement]", packed))
        except Exception as fault:  # of SQLite, or of a value that cannot be bound
            self._filled = 0  # whatever was filled in with it is not; the next batch sees to it
            raise self._told(fault) from fault

    async def backup(self, path: Path) -> LogHead:
        """As of those that only read, of the file that is open here."""
        self.watch()
        return await super().backup(path)

    async def _fold_if_long(self) -> None:
        """Fold the log into the file before it grows further: a call of its own, whose errors are seen.

        It never waits for a reader. Behind a long one the log grows; what can be is folded.
        """
        assert self._kept is not None, "the store is open"
        index = self._kept.index
        if index.generation != self._generation:
            self._generation, self._folded = index.generation, 0
        if index.frames - self._folded < WAL_PAGES_FOLD:
            return
        self.watch()
        ((_, self._folded, done),) = await self._db.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        if done == self._folded > WAL_BYTES_MAX // PAGE_BYTES:
            await asyncio.sleep(WAL_DRAIN_S)  # who begins to read now reads the file; the others end


def _end(kept: KeptFiles) -> None:
    try:
        if kept.astray:
            raise StoreFault(f"{kept.astray} What was in it is kept as {kept.rescue()}.", fatal=True)
    except (OSError, sqlite3.Error) as fault:
        raise StoreFault(f"{kept.astray} What was in it could not be kept: {fault}", fatal=True) from fault
    finally:
        kept.close()


def _statements(table: schema.Table, rows: list[Any]) -> Iterator[Statement]:
    while rows:
        size = next((size for size in _SIZES if size >= len(rows)), _SIZES[-1])
        yield _WRITES[table.name, table.only, size], table.padded(rows[:size], size)
        rows = rows[size:]


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
