"""A restore that is killed at each of its steps on the disk, and begun again from another backup.

    python -m tests.integration.restore_kills DIRECTORY [EVERY]

A step is a call of Python into the system, or every so many-th (8, unless told) into SQLite. A process that
has everything at hand is forked for each, which spares its start; the child kills itself with SIGKILL before
the step. Prints how many steps there were.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

from tests.contract.stores import START_MS, World, opened

from tuppence_server.admin.backup import BackupError, make_backup, restore
from tuppence_server.audit.verify import verify
from tuppence_server.data_dir import DATABASE, PARTIAL, WrongData
from tuppence_server.opening import opened_store
from tuppence_server.store.sqlite.store import SqliteStore

WATCHED = frozenset({"posix", "fcntl", "_io"})
SQLITE = frozenset({"sqlite3", "_sqlite3"})
HARMLESS = frozenset(
    {"stat", "lstat", "fspath", "getpid", "getcwd", "scandir", "listdir", "urandom", "read", "readinto"}
)


class Steps:
    """Counts the calls that may touch the disk; at the one before `upto` the process is gone."""

    def __init__(self, upto: int, every: int) -> None:
        self.left = upto
        self.every = every
        self.asked = 0

    def __call__(self, _frame: object, event: str, called: object) -> None:
        if event != "c_call" or getattr(called, "__name__", "") in HARMLESS:
            return
        module = getattr(called, "__module__", None) or type(getattr(called, "__self__", None)).__module__
        if module in SQLITE:
            self.asked += 1
        if module in WATCHED or (module in SQLITE and self.asked % self.every == 0):
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def restore_killed(backup: Path, data: Path, upto: int, every: int) -> bool:
    """Fork a restore that dies before its step `upto`; True where it came to its end."""
    child = os.fork()
    if child == 0:
        steps = Steps(upto, every)
        threading.setprofile(steps)
        sys.setprofile(steps)
        asyncio.run(restore(backup, data, SqliteStore, check=True))
        sys.setprofile(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == 0


async def make_backups(directory: Path) -> dict[str, int]:
    """Two backups of different worlds; where the log of each stands."""
    told = {}
    for name, payments in (("one", 1), ("two", 5)):
        folder = directory / f"{name}-live"
        folder.mkdir(parents=True)
        async with opened("sqlite", folder) as store:
            world = World(store)
            await world.register("alice", "bob")
            await world.credit("alice", "100")
            for _ in range(payments):
                await world.pay("alice", "@bob", "1")
            told[name] = (await make_backup(store, directory / name, START_MS))["pos"]
    return told


async def position(data: Path) -> int | None:
    """Where the log of a good directory stands; None where it is refused as unfinished."""
    try:
        async with opened_store(data) as store:
            report = await verify(store)
            assert report.problems == [], report.problems
            return report.pos
    except WrongData:
        return None


def check_after(directory: Path, data: Path, told: dict[str, int], step: int) -> None:
    """What is there is whole or refused, and another backup can be restored unless it is whole."""
    left = data.exists() and (data / PARTIAL).exists() and not (data / DATABASE).exists()
    found = asyncio.run(position(data))
    assert found in (None, told["one"]), step
    assert not left or found is None, step
    try:
        asyncio.run(restore(directory / "two", data, SqliteStore, check=True))
        restored = told["two"]
    except BackupError:
        restored = None
    assert (found is None) == (restored is not None), step
    found = found or restored
    assert asyncio.run(position(data)) == found, step
    assert {path.name for path in data.iterdir()} == {DATABASE}, step
    with closing(sqlite3.connect(data / DATABASE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def main(directory: Path, every: int) -> None:
    """Kill at each step."""
    told = asyncio.run(make_backups(directory))
    step, done = 0, False
    while not done:
        data = directory / "data"
        done = restore_killed(directory / "one", data, step, every)
        check_after(directory, data, told, step)
        shutil.rmtree(data, ignore_errors=True)
        step += 1
    sys.stdout.write(f"{step}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
