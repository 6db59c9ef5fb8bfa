"""What one payment costs SQLite itself: the same sort of rows, no server around them.

WAL, `synchronous=FULL`, one transaction per batch, one `executemany` per table. Only
the time inside SQLite counts; making up the rows happens outside the clock.
"""

import argparse
import json
import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

EVENT_BYTES = 350
PEOPLE = 2_000
# The default of 1,000 pages makes every few batches pay for a checkpoint; the server
# tunes it as well, so the floor must not be handicapped by it.
CHECKPOINT_PAGES = 16_384

SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE event (
    pos INTEGER PRIMARY KEY, conv INTEGER NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL,
    UNIQUE (conv, seq)) STRICT;
CREATE TABLE receipt (
    id TEXT PRIMARY KEY, pos INTEGER NOT NULL, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE transfer (
    pos INTEGER PRIMARY KEY, payer INTEGER NOT NULL, payee INTEGER NOT NULL,
    currency TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0)) STRICT;
CREATE TABLE account (
    id INTEGER PRIMARY KEY, available INTEGER NOT NULL, held INTEGER NOT NULL) STRICT;
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, pos INTEGER NOT NULL) STRICT;
"""

INSERT_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?)"
INSERT_RECEIPT = "INSERT INTO receipt VALUES (?, ?, ?)"
INSERT_TRANSFER = "INSERT INTO transfer VALUES (?, ?, ?, 'EUR', ?)"
UPSERT_ACCOUNT = (
    "INSERT INTO account VALUES (?, ?, 0)"
    " ON CONFLICT (id) DO UPDATE SET available = available + excluded.available"
)
UPSERT_CONVERSATION = (
    "INSERT INTO conversation VALUES (?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, pos = excluded.pos"
)

Row = tuple[object, ...]


@dataclass(slots=True)
class Batch:
    """The rows of some payments, one list per table."""

    events: list[Row] = field(default_factory=list)
    receipts: list[Row] = field(default_factory=list)
    transfers: list[Row] = field(default_factory=list)
    accounts: list[Row] = field(default_factory=list)
    conversations: list[Row] = field(default_factory=list)

    def statements(self) -> Sequence[tuple[str, list[Row]]]:
        """Return each statement with its rows."""
        return (
            (INSERT_EVENT, self.events),
            (INSERT_RECEIPT, self.receipts),
            (INSERT_TRANSFER, self.transfers),
            (UPSERT_ACCOUNT, self.accounts),
            (UPSERT_CONVERSATION, self.conversations),
        )


def measure(seconds: float = 5.0, *, batch: int = 256, directory: Path | None = None) -> float:
    """Return payments per second that SQLite makes durable, over `seconds` in SQLite."""
    with tempfile.TemporaryDirectory(prefix="sqlitefloor-", dir=directory) as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        try:
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            return _pay(connection, seconds, batch)
        finally:
            connection.close()


def _pay(connection: sqlite3.Connection, seconds: float, size: int) -> float:
    spent_s, paid = 0.0, 0
    while spent_s < seconds:
        rows = _rows(paid + 1, size)
        started = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for statement, parameters in rows.statements():
            connection.executemany(statement, parameters)
        connection.execute("COMMIT")
        spent_s += time.perf_counter() - started
        paid += size
    return paid / spent_s


def _rows(first_pos: int, size: int) -> Batch:
    batch = Batch()
    stamp_ms = time.time_ns() // 1_000_000
    for pos in range(first_pos, first_pos + size):
        # A stride that shares no factor with the population spreads payments over it.
        conv = pos * 7 % (PEOPLE // 2)
        seq = pos // (PEOPLE // 2) + 1
        payer, payee = conv * 2, conv * 2 + 1
        batch.events.append((pos, conv, seq, os.urandom(EVENT_BYTES)))
        batch.receipts.append((_uuid7(stamp_ms), pos, os.urandom(16)))
        batch.transfers.append((pos, payer, payee, 1250))
        batch.accounts += ((payer, -1250), (payee, 1250))
        batch.conversations.append((conv, seq, pos))
    return batch


def _uuid7(stamp_ms: int) -> str:
    tail = int.from_bytes(os.urandom(10)) & ((1 << 76) - 1)
    value = (stamp_ms << 80) | (0x7 << 76) | tail
    return str(uuid.UUID(int=value & ~(0xC << 60) | (0x8 << 60)))


def main() -> None:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--directory", type=Path, help="where the file lives (a real disk)")
    options = parser.parse_args()
    rate = measure(options.seconds, batch=options.batch, directory=options.directory)
    print(json.dumps({"floor": "sqlite", "batch": options.batch, "payments_per_s": round(rate)}))


if __name__ == "__main__":
    main()
