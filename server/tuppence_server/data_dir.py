"""The data directory: one process holds it, by the directory itself, whatever happens to the files in it."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

DATABASE: Final = "tuppence.db"
ADMIN_ACCESS: Final = "admin.json"
SIDES: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite may keep beside a file, itself first."""
PARTIAL: Final = DATABASE + ".partial"
"""Where a restore puts a database together before it gets its name."""
NEW: Final = DATABASE + ".new"
"""Where the first start does."""
RESCUED: Final = DATABASE + ".rescued"
"""Where a server leaves what was in a database that was taken away from it."""
ROOM_BYTES: Final = 4 * 1024 * 1024
HOLD_WAIT_S: Final = 0.5
"""A look at whether somebody holds the directory takes no longer, and must not stand in a server's way."""
_HOLD_STEP_S: Final = 0.02


class DataInUse(Exception):
    """Another process has the data directory."""


class WrongData(Exception):
    """The data directory cannot be used as asked; the message says what is there and what to do."""


def make_directory(path: Path) -> None:
    """Make a directory for its owner alone, and what leads to it, so that a power cut does not take it back.

    Raises:
        OSError: it cannot be made. FileExistsError where it is there.
    """
    missing = [each for each in path.absolute().parents if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_directory(each.parent)
    path.mkdir(mode=0o700)
    sync_directory(path.absolute().parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_data(data: Path) -> None:
    """Make the data directory where there is none.

    Raises:
        WrongData: it cannot be made.
    """
    try:
        make_directory(data)
    except FileExistsError:
        return
    except OSError as fault:
        raise WrongData(f"{data} cannot be made: {fault.strerror}.") from fault


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Hold a data directory; the system lets go of it when the process ends, however it ends.

    Raises:
        DataInUse: another process has it.
        WrongData: there is no such directory, or this user may not read it.
    """
    descriptor = _opened(data)
    try:
        deadline = time.monotonic() + HOLD_WAIT_S
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise DataInUse(f"{data} is in use by another process; stop that first.")
            time.sleep(_HOLD_STEP_S)
        yield
    finally:
        os.close(descriptor)


def in_use(data: Path) -> bool:
    """True where a process holds the directory.

    Raises:
        WrongData: there is no such directory, or this user may not read it.
    """
    descriptor = _opened(data)
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _opened(data: Path) -> int:
    try:
        return os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise WrongData(f"There is no directory {data}. Begin one: tuppence serve --data {data}") from None
    except OSError as fault:
        raise WrongData(f"{data} cannot be used as a data directory: {fault.strerror}.") from fault


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def clear(beside: Path) -> None:
    """Take away what a restore or a first start that was cut short left, before anything new is written."""
    for side in SIDES:
        beside.with_name(beside.name + side).unlink(missing_ok=True)
    sync_directory(beside.parent)


def publish(done: Path) -> None:
    """Give what was put together its name, for good and never in the place of something else.

    Raises:
        WrongData: something has that name, or it is not whole: SQLite could not fold its log into it.
        OSError: the disk does not take it.
    """
    data = done.parent
    for side in SIDES[1:]:
        if done.with_name(done.name + side).exists():
            raise WrongData(f"{done}{side} was left over: the disk may be full or failing.")
    with done.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(done, data / DATABASE)
    except FileExistsError:
        raise WrongData(f"{data / DATABASE} has come to be there meanwhile.") from None
    sync_directory(data)
    done.unlink()
    sync_directory(data)
    sync_directory(data.absolute().parent)


def remnants(data: Path) -> str | None:
    """What is wrong where a restore was cut short, or a part of a database is here without the rest."""
    names = [DATABASE + side for side in SIDES if os.path.lexists(data / (DATABASE + side))]
    left = [PARTIAL + side for side in SIDES if os.path.lexists(data / (PARTIAL + side))]
    if left and not _has_its_name(data, left):
        return (
            f"{data / left[0]} was left by a restore that did not end. Restore again, or delete {PARTIAL}*."
        )
    if os.path.lexists(data / RESCUED):
        return (
            f"{data / RESCUED} is all that was in {DATABASE} when that was taken away from a server. "
            f"Move {DATABASE}* elsewhere, then this to {DATABASE}; or move this away."
        )
    for name in names:
        if (data / name).is_file() and (data / name).stat().st_nlink > 1 + _own_links(data, name):
            why = "has a second name (a hard link), and a second server could open that. Use a copy."
            return f"{data / name} {why}"
    if names and DATABASE not in names:
        return (
            f"{data / names[0]} is here without its {DATABASE}. Put that back, or move both to another place."
        )
    return None


def _has_its_name(data: Path, left: list[str]) -> bool:
    database = data / DATABASE
    return left == [PARTIAL] and database.exists() and database.samefile(data / PARTIAL)


def _own_links(data: Path, name: str) -> int:
    """The names that a restore or a first start had still to take away."""
    others = [data / other for other in (PARTIAL, NEW)]
    return sum(other.exists() and other.samefile(data / name) for other in others)


def take_room(data: Path) -> None:
    """Write as much as the largest batch takes, and let go of it.

    Raises:
        OSError: there is no room, or the disk fails.
    """
    with tempfile.TemporaryFile(dir=data) as file:
        file.write(os.urandom(ROOM_BYTES))
        file.flush()
        os.fsync(file.fileno())


def has_database(data: Path) -> bool:
    """Whether a database is here to be opened; False where one can be begun. The directory is held.

    Raises:
        WrongData: a restore was cut short, or a part of a database is here without the rest.
    """
    wrong = remnants(data)
    if wrong is not None:
        raise WrongData(wrong)
    there = os.path.lexists(data / DATABASE)
    for name in (PARTIAL, NEW) if there else ():
        if os.path.lexists(data / name):
            clear(data / name)
    return there
