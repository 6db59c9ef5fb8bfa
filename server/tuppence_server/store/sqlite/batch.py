"""One batch as one call on the writer's thread: BEGIN, its statements, COMMIT; or nothing of it.

aiosqlite carries out each call on its thread as a whole. A call for every statement would let the event loop
come between them, cost a wait for the interpreter's lock each time, and leave it to many awaits to be one
transaction.

Python's `execute` gives that lock up three times for a statement, `executemany` with one row twice, and
`commit` once. Beside a busy event loop each of them is a wait.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

BATCH: Final = "-- a batch"
"""What `executemany` is called with to commit a batch."""


class BatchConnection(sqlite3.Connection):
    """A connection whose `executemany(BATCH, statements)` commits all of the statements or none."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Commit a batch of `Sql`; with any other SQL, what it always did.

        Raises:
            sqlite3.Error: nothing was committed. Some faults make SQLite roll back by itself.
        """
        if sql != BATCH:
            return super().executemany(sql, parameters)
        self.execute("BEGIN IMMEDIATE")
        try:
            cursor = self.cursor()
            for statement, values in parameters:
                cursor.executemany(statement, (values,))
            self.commit()
        except BaseException:
            if self.in_transaction:
                self.rollback()
            raise
        return cursor
