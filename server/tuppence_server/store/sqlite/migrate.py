"""Numbered SQL files, each applied once in a transaction of its own and known by its checksum ever after."""

from hashlib import sha256
from importlib.resources import files
from typing import Final

import aiosqlite
from msgspec import Struct

from tuppence_server.domain.seals import (
    ACCOUNT,
    FLAGS,
    MODE,
    MODULUS,
    PEOPLE,
    PERSON,
    REFUSAL,
    REFUSALS,
    digest,
)
from tuppence_server.store.contract import SchemaTooNew, StoreFault

LEDGER: Final = (
    "CREATE TABLE IF NOT EXISTS migration "
    "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT "
    "NULL) STRICT"
)
_PEOPLE: Final = f"SELECT {', '.join(PERSON)} FROM user"
_FLAGS: Final = f"SELECT {', '.join(ACCOUNT)} FROM account WHERE flags <> 0"
_REFUSALS: Final = f"SELECT {', '.join(REFUSAL)} FROM receipt WHERE pos IS NULL"


class Migration(Struct, frozen=True):
    """One file of `migrations/`."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text."""
        return sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All files, by number."""
    found = []
    for file in (files(__package__) / "migrations").iterdir():
        if file.name.endswith(".sql"):
            number, _, rest = file.name.partition("_")
            found.append(Migration(int(number), rest.removesuffix(".sql"), file.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.version)


async def pending(db: aiosqlite.Connection) -> list[Migration]:
    """What is still to be applied.

    Raises:
        SchemaTooNew: the data knows migrations that this program does not.
        StoreFault: an applied migration's text is not what it was.
    """
    await db.execute(LEDGER)
    rows = await db.execute_fetchall("SELECT version, checksum FROM migration")
    applied = {int(version): str(checksum) for version, checksum in rows}
    known = {migration.version: migration for migration in migrations()}
    if newer := sorted(set(applied) - set(known)):
        raise SchemaTooNew(
            f"The data directory was written by a newer version (migration {newer[-1]}); "
            "run that version, or restore a backup made by this one."
        )
    for version, checksum in applied.items():
        if known[version].checksum != checksum:
            raise StoreFault(f"Migration {version} is not the one that was applied.", fatal=True)
    return [migration for version, migration in known.items() if version not in applied]


async def migrate(db: aiosqlite.Connection, now: int) -> list[Migration]:
    """Bring the schema up to date; a crash in the middle leaves whole migrations only."""
    todo = await pending(db)
    newest = max((row[0] for row in await db.execute_fetchall("SELECT version FROM migration")), default=0)
    if todo and todo[0].version <= newest:
        raise StoreFault(
            f"the note of migration {todo[0].version} is missing; the file is damaged", fatal=True
        )
    for migration in todo:
        name = migration.name.replace("'", "''")
        note = (
            "INSERT INTO migration (version, name, checksum, applied_at) "
            f"VALUES ({migration.version}, '{name}', '{migration.checksum}', {now})"
        )
        try:
            await db.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}\n;{note}")
            if migration is todo[-1]:
                await _seal_anew(db)
            await db.commit()
        except BaseException:
            await db.rollback()
            raise
    return todo


async def _seal_anew(db: aiosqlite.Connection) -> None:
    """Sum up what is sealed as it now is: a migration may have changed it."""
    people = await db.execute_fetchall(_PEOPLE)
    flags = await db.execute_fetchall(_FLAGS)
    refusals = await db.execute_fetchall(_REFUSALS)
    mode = list(await db.execute_fetchall("SELECT mode FROM head"))
    sealed = {PEOPLE: people, FLAGS: flags, REFUSALS: refusals} | ({MODE: mode} if mode else {})
    await db.execute("DELETE FROM seal")
    for name, rows in sealed.items():
        total = sum(digest(*row) for row in rows) % MODULUS
        await db.execute("INSERT INTO seal VALUES (?, ?)", (name, total))
