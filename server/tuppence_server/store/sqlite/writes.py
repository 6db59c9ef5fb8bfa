"""The rows of one table as INSERTs of a few sizes, filled up with rows that are none.

One step for many rows matters: SQLite gives up the interpreter's lock in each step, and where the event loop
is busy it waits to get it back every time. Python's sqlite3 asks every value but an int, float, str or
bytearray how it wants to be adapted, which costs more than writing it: so bytes go in as bytearrays, and what
fills a statement up is 0 and not NULL.
"""

from collections.abc import Callable, Collection, Iterator
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from msgspec.structs import astuple

from tuppence_server.domain.rows import LoggedEvent, Payment
from tuppence_server.store import schema
from tuppence_server.store.schema import Table
from tuppence_server.store.sql.writes import Sql

_SIZES: Final = (1, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024)
"""Rows that one statement writes."""


@cache
def insert(table: Table, rows: int) -> str:
    """INSERT of up to so many rows, a row whose first value is 0 being none;
    UPDATE of those whose key is there."""
    names = ", ".join(f'"{column}"' for column in table.columns)
    marks = ", ".join(["(" + ", ".join("?" * len(table.columns)) + ")"] * rows)
    sql = f'INSERT INTO "{table.name}" ({names}) SELECT * FROM (VALUES {marks}) WHERE column1 IS NOT 0'
    if not table.changing:
        return sql
    changed = ", ".join(f'"{column}" = excluded."{column}"' for column in table.changing)
    key = ", ".join(f'"{column}"' for column in table.key)
    return f"{sql} ON CONFLICT ({key}) DO UPDATE SET {changed}"


def _event(row: LoggedEvent) -> tuple[Any, ...]:
    blobs = bytearray(row.head), bytearray(row.body), bytearray(row.salt), bytearray(row.hash)
    return (row.pos, row.conv, row.seq, *blobs)


def _payment(row: Payment) -> tuple[Any, ...]:
    *others, seed, reminded_at, counted, refund_transfer = astuple(row)
    return (*others, bytearray(seed), reminded_at, counted, refund_transfer)


_OF_BYTES: Final[dict[Table, Callable[[Any], tuple[Any, ...]]]] = {
    schema.EVENT: _event,
    schema.PAYMENT: _payment,
}


def inserts(table: Table, rows: Collection[Any]) -> Iterator[Sql]:
    """The statements that write these rows."""
    values = _OF_BYTES.get(table) or (attrgetter(*table.only) if table.only else astuple)
    width, left = len(table.columns), list(rows)
    while left:
        size = next((size for size in _SIZES if size >= len(left)), _SIZES[-1])
        flat = list(chain.from_iterable(map(values, left[:size])))
        yield insert(table, size), flat + [0] * (width * size - len(flat))
        left = left[size:]
