"""What somebody with the file and some SQL can do, leaving the schema as it was."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

_GUARDS = "SELECT type, name, sql FROM sqlite_schema WHERE type = 'trigger' OR name = 'transfer_outcome'"


@contextmanager
def unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """The file without the triggers and checks that would refuse; they are back afterwards,
    where they still fit."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        guards = db.execute(_GUARDS).fetchall()
        for kind, name, _ in guards:
            db.execute(f"DROP {kind} {name}")
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("PRAGMA ignore_check_constraints = ON")
        yield db
        for _, _, sql in guards:
            with suppress(sqlite3.IntegrityError):  # what was done may be just what the index forbids
                db.execute(sql)
