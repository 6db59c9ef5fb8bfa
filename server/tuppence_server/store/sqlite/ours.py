"""Whether a file is a database of ours, told from its bytes and without changing any."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from tuppence_server.store.contract import Unusable

from .migrate import migrations

APPLICATION_ID: Final = 0x54757070
"""In the file's header, at SQLite's place for it: "Tupp"."""
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100


def recognise(path: Path) -> bool:
    """True for a database that carries our application id, False for one of ours from before there was one.

    Raises:
        Unusable: it is something else, or less than a whole file.
        OSError: it cannot be read.
    """
    if path.is_symlink():
        raise Unusable(f"{path} is a link. Let the whole data directory lie elsewhere, and link to that.")
    if not path.is_file():
        raise Unusable(f"{path} is not a file.")
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        raise Unusable(f"{path} is empty, so what was in it is gone. Restore a backup, or move it away.")
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise Unusable(f"{path} is not a SQLite database, or its beginning is damaged; it was left as it is.")
    named = int.from_bytes(header[68:72]) == APPLICATION_ID
    if not named and not _has_our_tables(path):
        raise Unusable(f"{path} is a database of another program; it was left as it is.")
    if _cut_short(path, header):
        raise Unusable(f"{path} is shorter than its header says: a part is gone. Restore a backup.")
    return named


def _cut_short(path: Path, header: bytes) -> bool:
    """Where there is no log beside it, the file has as many pages as its header says."""
    if _has_log(path) or header[24:28] != header[92:96]:
        return False
    page_bytes = int.from_bytes(header[16:18])
    pages = int.from_bytes(header[28:32])
    return path.stat().st_size < pages * (65_536 if page_bytes == 1 else page_bytes)


def _has_log(path: Path) -> bool:
    wal = path.with_name(path.name + "-wal")
    return wal.exists() and wal.stat().st_size > 0


def _has_our_tables(path: Path) -> bool:
    """Looked up in the file alone or, where all may still be in the log beside it, in a copy of both."""
    tables = _tables(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
    if tables or not _has_log(path):
        return _is_first(tables)
    with tempfile.TemporaryDirectory(prefix="tuppence-") as scratch:
        copy = Path(scratch) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(path.with_name(path.name + "-wal"), copy.with_name(copy.name + "-wal"))
        return _is_first(_tables(copy.as_uri()))


def _tables(uri: str) -> list[str]:
    """The names of the tables, and the checksum of the first migration behind that of its table."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as db:
            names = [str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if "migration" in names:
                names += [row[0] for row in db.execute("SELECT checksum FROM migration WHERE version = 1")]
    except sqlite3.Error:
        return ["unreadable"]
    return names


def _is_first(tables: list[str]) -> bool:
    return migrations()[0].checksum in tables
