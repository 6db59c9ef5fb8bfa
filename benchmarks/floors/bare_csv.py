"""What the lines of a statement cost SQLite and Python's `csv`, with nothing around them.

The lines lie ready-made in a table; they are read in pieces, written as CSV and thrown away.
"""

import argparse
import csv
import io
import json
import sqlite3
import tempfile
import time
from pathlib import Path

PIECE_LINES = 1_000
LINE = ("2026-11-22T10:00:00.123Z", 12_345, "0197a1c2-7d3e-7b1a-9c55-0123456789ab", "c_" + "x" * 22,
        "pay.send", "pay.send", "u_" + "x" * 22, "-0.01", "999999.99")  # fmt: skip


def measure(lines: int = 100_000, *, directory: Path | None = None) -> float:
    """Return lines per second."""
    with tempfile.TemporaryDirectory(prefix="csvfloor-", dir=directory) as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        try:
            connection.execute("CREATE TABLE line (at, pos, id, conv, kind, code, payee, amount, balance)")
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [LINE] * lines)
            connection.execute("COMMIT")
            return lines / _render(connection)
        finally:
            connection.close()


def _render(connection: sqlite3.Connection) -> float:
    started = time.perf_counter()
    rows = connection.execute("SELECT * FROM line")
    while piece := rows.fetchmany(PIECE_LINES):
        text = io.StringIO(newline="")
        csv.writer(text).writerows(piece)
        text.getvalue().encode()
    return time.perf_counter() - started


def main() -> None:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="where the file lives (a real disk)")
    options = parser.parse_args()
    rate = measure(options.lines, directory=options.directory)
    print(json.dumps({"floor": "csv", "lines": options.lines, "lines_per_s": round(rate)}))


if __name__ == "__main__":
    main()
