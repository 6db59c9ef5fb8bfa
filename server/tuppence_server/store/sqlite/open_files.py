"""The files that a store has open: whether they still are what has their names,
and how to keep what is in them.

What is committed to a file without a name, or to one that was cut, is lost in silence:
SQLite itself never looks.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tuppence_server.store.contract import StoreFault

from .wal import WalIndex

RESCUED: Final = ".rescued"
"""Behind the database's name: a whole copy of what was open when its files were no longer there."""
_SIDES: Final = ("", "-wal", "-shm")


class OpenFiles:
    """The database, its log and the log's index, held open from the store's first statements to its end.

    The connection in it cannot write. Closed last, it leaves the log as it is: SQLite would fold, and drop,
    it in closing the last one that can.
    """

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(path.name + side) for side in _SIDES]
        self._reader = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        self._reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        self.index = WalIndex(path)
        self._identities = [_identity(_found(each)) for each in self._paths]
        self._bytes = 0
        self.astray = ""
        """What became of the files that are not where they were."""

    def watch(self) -> None:
        """Look at the names: three calls of the system, and nothing is read.

        Raises:
            StoreFault: fatal. A file was taken away, replaced or cut while it was open.
        """
        generation, log_bytes = self.index.generation, self.index.log_bytes
        found = [_found(each) for each in self._paths]
        for path, now, then in zip(self._paths, found, self._identities, strict=True):
            if _identity(now) != then:
                self.astray = f"{path} was replaced or taken away while it was open."
                raise StoreFault(self.astray, fatal=True)
        sizes = [0 if each is None else each.st_size for each in found]
        expected = (self._bytes, log_bytes if self.index.generation == generation else 0, 0)
        for path, size, least in zip(self._paths, sizes, expected, strict=True):
            if size < least:
                raise StoreFault(f"{path} was cut while it was open: a part is gone.", fatal=True)
        self._bytes = sizes[0]

    def rescue(self) -> Path:
        """Write what is open to a file of its own beside where it was, as of the last commit.

        Raises:
            OSError, sqlite3.Error: it cannot be written; what was begun is not called rescued.
        """
        path = self._paths[0].with_name(self._paths[0].name + RESCUED)
        begun = path.with_name(path.name + ".partial")
        begun.unlink(missing_ok=True)
        os.close(os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(begun)) as copy:
            self._reader.backup(copy)
        os.link(begun, path)
        begun.unlink()
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return path

    def release(self) -> None:
        """Let the store's last connection fold the log in closing."""
        self._reader.close()

    def close(self) -> None:
        """Close all, after every other connection."""
        self._reader.close()
        self.index.close()


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # gone, or out of reach: as good as gone
        return None


def _identity(found: os.stat_result | None) -> tuple[int, int] | None:
    return None if found is None else (found.st_dev, found.st_ino)
