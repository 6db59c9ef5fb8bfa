"""The pages of a SQLite file by what they are, and what of the file can be read."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

KINDS = {2: "interior index", 5: "interior table", 10: "leaf index", 13: "leaf table"}
HEADER_BYTES = 100


def pages(path: Path) -> dict[str, list[int]]:
    """Offsets of the pages of each kind; "header" is that of the file,
    "freelist" and "overflow" are what they are."""
    data = path.read_bytes()
    size = int.from_bytes(data[16:18])
    found: dict[str, list[int]] = {"header": [0]}
    free = set(_free(data, size))
    for offset in range(0, len(data), size):
        number = offset // size + 1
        at = HEADER_BYTES if number == 1 else 0
        kind = KINDS.get(data[offset + at], "overflow")
        if kind != "overflow" and not _is_tree(data[offset + at : offset + at + 8], size):
            kind = "overflow"
        found.setdefault("freelist" if number in free else kind, []).append(offset)
    return found


def _is_tree(header: bytes, size: int) -> bool:
    cells, begins = int.from_bytes(header[3:5]), int.from_bytes(header[5:7])
    return header[7] <= 60 and 0 < cells < size // 4 and 8 + 2 * cells <= begins <= size


def _free(data: bytes, size: int) -> list[int]:
    trunk, found = int.from_bytes(data[32:36]), []
    while trunk:
        page = data[(trunk - 1) * size : trunk * size]
        leaves = int.from_bytes(page[4:8])
        found += [trunk, *(int.from_bytes(page[8 + 4 * n : 12 + 4 * n]) for n in range(leaves))]
        trunk = int.from_bytes(page[:4])
    return found


def readable(path: Path, left_out: set[str]) -> dict[str, Any]:
    """Every row of every table, without these columns ("table.column"), and the schema."""
    with closing(sqlite3.connect(path)) as db:
        told: dict[str, Any] = {"": db.execute("SELECT name, sql FROM sqlite_schema").fetchall()}
        for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            names = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
            kept = [f'"{name}"' for name in names if f"{table}.{name}" not in left_out]
            told[table] = db.execute(f'SELECT {", ".join(kept) or "0"} FROM "{table}"').fetchall()
    return told
