"""Reading the log of a SQLite file from any process,
in order and in pieces that stay in the processor's cache."""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Final

from msgspec import Struct

from tuppence_server.store import schema
from tuppence_server.store.contract import EventRow, MoveRow, OutcomeRow, Piece
from tuppence_server.store.sql.money import SEEK_TRANSFER

from .faults import store_faults

PIECE_EVENTS: Final = 128
MMAP_BYTES: Final = 1 << 40
_EVENTS: Final = (
    f"SELECT {schema.EVENT.select('e')} FROM event AS e WHERE e.pos > ? AND e.pos <= ? ORDER BY e.pos"
)
_MOVES: Final = (
    "SELECT pos, id, debit, credit, amount, iif(code = 'pay.send' AND phase = 'single', NULL, "
    "code || ' ' || phase || ' ' || pending) FROM transfer WHERE id > ? ORDER BY id"
)
_OUTCOMES: Final = "SELECT CAST(id || sender AS BLOB), pos FROM receipt WHERE pos IS NOT NULL"
_pos: Final = itemgetter(0)


class SqliteLog(Struct, frozen=True):
    """The `LogReader` of a SQLite file."""

    path: Path

    def accounts(self) -> Iterator[tuple[int, str, str, str]]:
        """Every account's id, owner, currency and code."""
        with store_faults(), closing(self._open()) as db:
            yield from db.execute("SELECT id, owner, currency, code FROM account")

    def hash_at(self, pos: int) -> bytes:
        """The stored hash of an event; empty where there is none."""
        with store_faults(), closing(self._open()) as db:
            row = db.execute("SELECT hash FROM event WHERE pos = ?", (pos,)).fetchone()
        return b"" if row is None else bytes(row[0])

    def pieces(self, after: int, upto: int) -> Iterator[Piece]:
        """The events behind `after` up to `upto` with their transfers,
        and last those that belong to none of them."""
        with store_faults(), closing(self._open()) as db:
            ((first,),) = db.execute(SEEK_TRANSFER, {"pos": after}).fetchall()
            moves = _Moves(db.execute(_MOVES, (first,)))
            events = db.execute(_EVENTS, (after, upto))
            piece: list[EventRow]
            while piece := events.fetchmany(PIECE_EVENTS):
                yield piece, moves.upto(piece[-1][0])
            if left := moves.upto(upto):
                yield [], left

    def outcomes(self) -> Iterator[Sequence[OutcomeRow]]:
        """The receipts that name an event, in pieces."""
        with store_faults(), closing(self._open()) as db:
            rows = db.execute(_OUTCOMES)
            piece: list[OutcomeRow]
            while piece := rows.fetchmany(PIECE_EVENTS):
                yield piece

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        db.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
        return db


class _Moves:
    """Transfers in order, handed out up to a pos."""

    def __init__(self, rows: sqlite3.Cursor) -> None:
        self._rows = rows
        self._ready: list[MoveRow] = []

    def upto(self, pos: int) -> list[MoveRow]:
        ready = self._ready
        while not ready or ready[-1][0] <= pos:
            more = self._rows.fetchmany(PIECE_EVENTS)
            if not more:
                break
            ready += more
        cut = bisect_right(ready, pos, key=_pos)
        self._ready = ready[cut:]
        return ready[:cut]
