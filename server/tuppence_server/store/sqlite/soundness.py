"""Whether a SQLite file is in itself as it must be: its pages, its schema, and the indexes that are kept by
hand.

What the log tells is not looked at here. The pages are read in one long read, for a file that nobody writes
to.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from .log import MMAP_BYTES
from .migrate import LEDGER, migrations

PROBLEMS_MAX: Final = 20
_HEADER: Final = ("encoding", "user_version", "auto_vacuum", "page_size")
"""What the header says for good; the rest of it counts pages and changes."""
_OBJECTS: Final = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'"
# Sums that differ where any one row does, and where two have changed places.
_ENTRIES: Final = (
    "SELECT count(*), coalesce(sum(account * transfer % 2147483647), 0) FROM entry WHERE transfer <= ?1"
)
_MOVED: Final = (
    "SELECT 2 * count(*), coalesce(sum(debit * id % 2147483647 + credit * id % 2147483647), 0) FROM transfer "
    "WHERE id <= ?1"
)
_ASKED: Final = (
    "SELECT s.person, p.pos FROM share AS s JOIN payment AS p ON p.id = s.payment WHERE p.kind = 'split'"
)
_SPLIT: Final = "SELECT person, pos FROM split_share"
_BEFORE: Final = "FROM carried AS p WHERE p.account = c.account AND p.transfer < c.transfer"
# Each carried balance is the one before it and what was posted between the two.
_CARRIED: Final = (
    "SELECT c.account, c.transfer FROM carried AS c WHERE c.transfer > ?1 OR c.balance <> "
    f"coalesce((SELECT p.balance {_BEFORE} ORDER BY p.transfer DESC LIMIT 1), 0) "
    "+ (SELECT coalesce(sum(iif(t.phase IN ('single', 'post'), "
    "iif(t.credit = c.account, t.amount, -t.amount), 0)), 0) "
    "FROM entry AS e CROSS JOIN transfer AS t ON t.id = e.transfer "
    "WHERE e.account = c.account AND e.transfer <= c.transfer "
    f"AND e.transfer > coalesce((SELECT max(p.transfer) {_BEFORE}), 0))"
)


def faults(path: Path) -> list[str]:
    """What is wrong with a file that nobody writes to."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as db:
        # A file that is opened read-only is not held against its CHECKs, which SQLite does not tell.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
        return [*_pages(db), *_schema(db), *_indexes(db)]


def _pages(db: sqlite3.Connection) -> Iterator[str]:
    """Every page, every index against its table, every constraint."""
    for (found,) in db.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})"):
        if found != "ok":
            yield f"database: {found}"
    for _ in db.execute("PRAGMA foreign_key_check(session)").fetchmany(PROBLEMS_MAX):
        yield "database: a session is nobody's"


def _schema(db: sqlite3.Connection) -> Iterator[str]:
    """Tables, indexes and triggers as the migrations make them, and the migrations as they were applied."""
    with closing(_made_anew()) as anew:
        expected, found = (set(each.execute(_OBJECTS).fetchall()) for each in (anew, db))
        for name in _HEADER:
            if anew.execute(f"PRAGMA {name}").fetchone() != db.execute(f"PRAGMA {name}").fetchone():
                yield f"database: its header says another {name}"
    for kind, name, *_ in sorted(expected ^ found):
        yield f"database: the {kind} {name} is not as this version makes it"
    applied = db.execute("SELECT version, name, checksum FROM migration ORDER BY version").fetchall()
    if applied != [(each.version, each.name, each.checksum) for each in migrations()]:
        yield "database: the migrations that were applied are not those of this version"


def _made_anew() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(LEDGER)
    for migration in migrations():
        db.executescript(migration.sql)
    return db


def _indexes(db: sqlite3.Connection) -> Iterator[str]:
    """Entries against the transfers that they are of, and whom splits ask."""
    filled, made = db.execute(
        "SELECT coalesce(max(entries), 0), coalesce(max(transfer_id), 0) FROM head"
    ).fetchone()
    sums = [db.execute(sql, (filled,)).fetchone() for sql in (_ENTRIES, _MOVED)]
    beyond = db.execute("SELECT max(transfer) FROM entry").fetchone()[0] or 0
    if filled > made or sums[0] != sums[1] or beyond > filled:
        yield f"entries: those up to transfer {filled} are not what the transfers make of them"
    for account, transfer in db.execute(_CARRIED, (filled,)).fetchmany(PROBLEMS_MAX):
        yield f"carried: the balance of account {account} at transfer {transfer} is not what moved it"
    for one, other in ((_ASKED, _SPLIT), (_SPLIT, _ASKED)):
        for person, at in db.execute(f"{one} EXCEPT {other}").fetchmany(PROBLEMS_MAX):
            yield f"split_share: {person} and pos {at} do not fit the shares"
