"""SQLite's errors as the store's own, so that nobody above needs to know which library it is."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tuppence_server.store.contract import StoreFault

_OF_THE_ROWS: Final = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeError)
"""Faults of what was to be written: a constraint, a value that is too large."""
_FATAL_CODES: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def translated(fault: Exception) -> StoreFault:
    """After a failed fsync SQLite itself would go on acknowledging, so an I/O error ends the process."""
    if isinstance(fault, StoreFault):
        return fault
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    refused = isinstance(fault, _OF_THE_ROWS)
    return StoreFault(f"{type(fault).__name__}: {fault}", fatal=code in _FATAL_CODES, refused=refused)


def is_damage(fault: sqlite3.Error) -> bool:
    """Whether the file itself is broken, whoever reads it."""
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def store_faults() -> Iterator[None]:
    """What goes wrong in SQLite within, as a `StoreFault`."""
    try:
        yield
    except sqlite3.Error as fault:
        raise translated(fault) from fault
