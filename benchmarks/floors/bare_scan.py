"""What it takes to read every row of a database once and hash its bytes,
without understanding any of them."""

import argparse
import json
import sqlite3
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

PIECE_ROWS = 1_000


def measure(database: Path) -> tuple[float, int]:
    """Return the seconds and the rows; one process, one thread."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        started = time.perf_counter()
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        rows = sum(_scan(connection, name) for (name,) in connection.execute(names).fetchall())
        return time.perf_counter() - started, rows


def _scan(connection: sqlite3.Connection, table: str) -> int:
    read = connection.execute(f'SELECT * FROM "{table}"')
    count, digest = 0, sha256()
    while piece := read.fetchmany(PIECE_ROWS):
        count += len(piece)
        for row in piece:
            for value in row:
                if type(value) is bytes:
                    digest.update(value)
    return count


def main() -> None:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path, help="an SQLite file")
    seconds, rows = measure(parser.parse_args().database)
    print(json.dumps({"floor": "scan", "rows": rows, "seconds": round(seconds, 3)}))


if __name__ == "__main__":
    main()
