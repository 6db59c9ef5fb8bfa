"""Opening the data directory's store, for a server or a command: held alone, whole, ours, and what it is said
to be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from tuppence_protocol.currencies import exponent

from . import ids
from .config.settings import Settings
from .data_dir import DATABASE, NEW, WrongData, clear, has_database, held, make_data, publish
from .store.contract import Store
from .store.sqlite.store import SqliteStore
from .store.sqlite.wal import UNFINISHED_COMMITS_MAX, Tail

log = structlog.get_logger("tuppence.app")


def make_store(path: Path) -> Store:
    """The store that data directories and backups are kept in."""
    return SqliteStore(path)


@asynccontextmanager
async def opened_store(
    data: Path, mode: str = "auto", *, make: bool = False, damaged_log: str = "stop"
) -> AsyncIterator[Store]:
    """The data directory's store, held by this process alone; with `make` it is begun where there is none.

    With `damaged_log` "new_epoch" it goes on without commits that are lost in a damaged log.

    Raises:
        DataInUse: a server or another command has it.
        WrongData: there is none, or it is not of that mode, or its amounts are not what this program takes
            them for.
        Unusable, SchemaTooNew, StoreFault: see `Store.open`.
    """
    if make:
        make_data(data)
    with held(data):
        if not has_database(data):
            if not make:
                raise WrongData(f"{data} holds no database. Begin one: tuppence serve --data {data}")
            await _begin(data, mode)
        store = SqliteStore(
            data / DATABASE, epoch_after_loss=ids.epoch() if damaged_log == "new_epoch" else None
        )
        head = await store.open()
        _tell(store.tail)
        try:
            if mode not in ("auto", head.mode):
                raise WrongData(f"{data} is {head.mode}; it stays so. Use another directory for mode {mode}.")
            for currency, digits in (await store.currencies()).items():
                if exponent(currency) != digits:
                    raise WrongData(f"{data} keeps {currency} with {digits} decimals; this program does not.")
            yield store
        finally:
            await store.close()


def _tell(tail: Tail) -> None:
    """What the last process left behind the end of the log: a commit that was under way, or what is lost."""
    if tail.commits > UNFINISHED_COMMITS_MAX:
        log.error("commits_lost", commits=tail.commits, frames=tail.frames)
    elif tail.frames:
        log.warning("commit_unfinished", commits=tail.commits, frames=tail.frames)


async def begin(settings: Settings) -> None:
    """Make the data directory and its database where there is none."""
    async with opened_store(settings.data, settings.mode, make=True):
        pass


async def _begin(data: Path, mode: str) -> None:
    """Put a new database together beside its place, so that one that is there is always a whole one."""
    new = data / NEW
    clear(new)
    store = make_store(new)
    await store.open()
    try:
        await store.start_epoch(ids.epoch(), "live" if mode == "live" else "sandbox")
    finally:
        await store.close()
    publish(new)
