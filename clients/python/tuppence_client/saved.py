"""A place in the log that outlives the process: one row in a SQLite file of its own, moved after each event.

SQLite gives what such a file needs: a move is whole or not there, whenever the process or the machine dies,
and a second client on the same file is refused.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from .errors import StateFileError

APPLICATION_ID: Final = 0x54505043  # "TPPC"
_SCHEMA: Final = """
    CREATE TABLE cursor (
        one INTEGER PRIMARY KEY CHECK (one = 1), user TEXT NOT NULL, epoch TEXT NOT NULL, pos INTEGER NOT NULL
    ) STRICT
"""
_PUT: Final = "INSERT OR REPLACE INTO cursor (one, user, epoch, pos) VALUES (1, ?, ?, ?)"


class SavedCursor:
    """Whose cursor it is, in which `epoch`, and the `pos` up to which everything has been handled."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file, or make it; `StateFileError` where it is in use or is something else."""
        self._path = Path(path)
        self.user: str | None = None
        self.epoch: str | None = None
        self.pos = 0
        self._db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        except sqlite3.Error as fault:
            raise self._fault(fault) from None
        try:
            self._prepare(db)
        except sqlite3.Error as fault:
            db.close()
            raise self._fault(fault) from None
        except StateFileError:
            db.close()
            raise
        self._db = db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        (ours,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables == 0:
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(_SCHEMA)
        elif ours != APPLICATION_ID:
            raise StateFileError("state_not_ours", f"{self._path} is not the state of a Tuppence client")
        db.execute("COMMIT")
        # A move is in the log of the file once it returns, and survives the process; a machine that loses
        # power may lose the last ones, never the file: then what was handled since is given again.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        found = db.execute("SELECT user, epoch, pos FROM cursor").fetchone()
        if found is not None:
            self.user, self.epoch, self.pos = found

    def begin(self, user: str, epoch: str, pos: int) -> None:
        """Start at a place: the first one, or one in another log."""
        if self._db is not None:
            self._db.execute("PRAGMA synchronous = FULL")  # to lose this one would be to begin later
            self._write(user, epoch, pos)
            self._db.execute("PRAGMA synchronous = NORMAL")

    def move(self, epoch: str, pos: int) -> None:
        """Everything up to `pos` has been handled; forward only, and only in the log that it is of."""
        if self._db is not None and epoch == self.epoch and pos > self.pos and self.user is not None:
            self._write(self.user, epoch, pos)

    def _write(self, user: str, epoch: str, pos: int) -> None:
        if self._db is None:
            return
        try:
            self._db.execute(_PUT, (user, epoch, pos))
        except sqlite3.Error as fault:
            raise self._fault(fault) from None
        self.user, self.epoch, self.pos = user, epoch, pos

    def close(self) -> None:
        """Let another client have the file."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):  # every move was written when it was made
                db.close()

    def _fault(self, fault: sqlite3.Error) -> StateFileError:
        if "locked" in str(fault):
            return StateFileError("state_in_use", f"{self._path} is in use by another client")
        return StateFileError("state_file", f"{self._path} cannot be used: {fault}")
