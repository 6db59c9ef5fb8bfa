"""SQLite's write-ahead log, as its documented format has it: how long it is by now, and what one that was
left holds.

The format: sqlite.org/walformat.html and sqlite.org/fileformat2.html#walformat. Each frame carries two salts
of its generation, and a checksum over all before it. Recovery ends at the first frame that is broken, and
drops what is behind it without a word.
"""

import mmap
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec import Struct

from .faults import store_faults

UNFINISHED_COMMITS_MAX: Final = 1
"""A commit is synced before the next one is written, so a power cut leaves at most one that nobody was told
of."""
_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_PAGE_BYTES: Final = 4_096
_MAGICS: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""What a log begins with, by the byte order of its checksums."""
_FRAMES: Final = struct.Struct("=I")
_FRAMES_AT: Final = 16
_SALTS: Final = slice(32, 40)
_HEADER_BYTES: Final = 48


class WalIndex:
    """The head of the index that the connections of one file share, as it is in memory.

    To be closed after every connection to the file: closing any descriptor of it lets go of the process's
    locks.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path.with_name(path.name + "-shm"), os.O_RDONLY)
        self._shared = mmap.mmap(self._descriptor, _HEADER_BYTES, access=mmap.ACCESS_READ)

    @property
    def frames(self) -> int:
        """Pages in the log, up to the last commit."""
        return int(_FRAMES.unpack_from(self._shared, _FRAMES_AT)[0])

    @property
    def log_bytes(self) -> int:
        """The least that the log's file has of them."""
        return _HEADER.size + self.frames * (_FRAME.size + _PAGE_BYTES) if self.frames else 0

    @property
    def generation(self) -> bytes:
        """Another one whenever the log begins anew."""
        return self._shared[_SALTS]

    def close(self) -> None:
        """Let go of it."""
        self._shared.close()
        os.close(self._descriptor)


class Tail(Struct, frozen=True):
    """What was written of a log's last generation behind the end of what can be read: frames, and ends of
    commits."""

    frames: int
    commits: int

    def report(self, path: Path) -> str:
        """What it means, and what to do."""
        return (
            f"{path}-wal is damaged: {self.commits} commits behind the damage cannot be read. "
            "Copy the directory first. "
            'Then restore a backup, or go on without them: damaged_log = "new_epoch".'
        )


def after_the_end(path: Path) -> Tail:
    """Look behind the end of the log that was left beside a file that nobody has open; nothing is changed in
    them.

    Raises:
        StoreFault: the file cannot be read.
        OSError: the log cannot.
    """
    wal = path.with_name(path.name + "-wal")
    if not wal.exists() or wal.stat().st_size < _HEADER.size + _FRAME.size:
        return Tail(0, 0)
    with wal.open("rb") as file:
        written = list(_written(file.fileno(), wal.stat().st_size))
    if not written:
        return Tail(0, 0)
    end = _recovered(path)
    behind = [ends for number, ends in written if number > end]
    return Tail(len(behind), sum(behind))


def set_aside(path: Path) -> None:
    """Keep a copy of the log as it was left, for whoever wants to look into it."""
    wal = path.with_name(path.name + "-wal")
    number = 1
    while (kept := wal.with_name(f"{wal.name}.damaged-{number}")).exists():
        number += 1
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with wal.open("rb") as read, os.fdopen(descriptor, "wb") as write:
        shutil.copyfileobj(read, write)
        write.flush()
        os.fsync(write.fileno())


def _written(descriptor: int, size: int) -> Iterator[tuple[int, bool]]:
    """The frames of the generation that the log is of, from 1 on, and whether each ends a commit."""
    header = os.pread(descriptor, _HEADER.size, 0)
    _, _, page_bytes, _, *salts, _, _ = _HEADER.unpack(header)
    if not _is_sound(header):  # then its first frame tells which generation it is
        page_bytes = _PAGE_BYTES
        _, _, *salts, _, _ = _FRAME.unpack(os.pread(descriptor, _FRAME.size, _HEADER.size))
    step = _FRAME.size + page_bytes
    for number, at in enumerate(range(_HEADER.size, size - _FRAME.size + 1, step), 1):
        _, pages, first, second, _, _ = _FRAME.unpack(os.pread(descriptor, _FRAME.size, at))
        if any(salts) and (first == salts[0] or second == salts[1]):  # one of them may be what is damaged
            yield number, pages > 0


def _is_sound(header: bytes) -> bool:
    order = _MAGICS.get(_HEADER.unpack(header)[0])
    if order is None:
        return False
    first = second = 0
    words = struct.unpack(f"{order}6I", header[:24])
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return (first, second) == _HEADER.unpack(header)[6:]


def _recovered(path: Path) -> int:
    """The frames that SQLite itself finds to be whole: it makes the index anew, and a reader leaves that
    there."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with store_faults(), closing(sqlite3.connect(uri, uri=True)) as db:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    index = path.with_name(path.name + "-shm").read_bytes()
    return int(_FRAMES.unpack_from(index, _FRAMES_AT)[0])
