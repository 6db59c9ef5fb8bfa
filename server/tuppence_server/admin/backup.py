"""Copies of the whole, and bringing one back. A copy is one moment; a restored log is a new epoch."""

import asyncio
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from tuppence_server import ids
from tuppence_server.audit.verify import Progress, Report, verify
from tuppence_server.data_dir import (
    DATABASE,
    PARTIAL,
    SIDES,
    clear,
    held,
    make_data,
    make_directory,
    publish,
    sync_directory,
)
from tuppence_server.store.contract import AdminReads, Store, StoreFault

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
COPY_BYTES: Final = 1 << 20


class BackupError(Exception):
    """A backup that cannot be made or used; the message says why and what to do."""


class BackupDamaged(BackupError):
    """A backup that is no longer what was written."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds, to be checked before it is trusted."""

    format: int
    made_at: int
    pos: int
    hash: str
    epoch: str
    sha256: str


async def make_backup(store: AdminReads, directory: Path, now: int) -> dict[str, Any]:
    """Write a copy into a new directory while the road goes on; the manifest comes last.

    Raises:
        BackupError: the directory exists, or there is no room for the copy, or the database cannot be read.
    """
    try:
        make_directory(directory)
    except FileExistsError:
        raise BackupError(f"{directory} exists already; name a new directory.") from None
    except OSError as fault:
        raise BackupError(f"{directory} cannot be made: {fault.strerror}.") from fault
    except ValueError as fault:
        raise BackupError(f"The directory cannot be made: {fault}.") from fault
    try:
        return await _copy(store, directory, now)
    except BaseException as fault:
        shutil.rmtree(directory, ignore_errors=True)
        if isinstance(fault, StoreFault | OSError):
            raise BackupError(f"The copy in {directory} cannot be written: {_why(fault)}.") from fault
        raise


def _why(fault: Exception) -> str:
    return (isinstance(fault, OSError) and fault.strerror) or str(fault)


async def _copy(store: AdminReads, directory: Path, now: int) -> dict[str, Any]:
    target = directory / DATABASE
    target.touch(mode=0o600)
    head = await store.backup(target)
    digest = await asyncio.to_thread(_digest_and_sync, target)
    manifest = Manifest(FORMAT, now, head.pos, head.hash.hex(), head.epoch, digest)
    await asyncio.to_thread(_write_synced, directory / MANIFEST, msgspec.json.encode(manifest))
    sync_directory(directory)
    return {"path": str(directory), **msgspec.to_builtins(manifest)}


async def restore(
    backup: Path,
    data: Path,
    make_store: Callable[[Path], Store],
    *,
    check: bool,
    progress: Progress | None = None,
) -> tuple[Manifest, Report | None]:
    """Bring a backup back into a new data directory, under a new epoch.

    What is put together there gets its name last, once it was checked. Where the report has problems it gets
    none.

    Raises:
        BackupDamaged: the copy has another SHA-256 than its manifest, or that cannot be read.
        BackupError: it is not a backup, or `data` holds a database or a part of one already.
        DataInUse, WrongData, SchemaTooNew, Unusable, StoreFault: see there.
    """
    manifest = _read_manifest(backup)
    if not (backup / DATABASE).is_file():
        raise BackupError(f"{backup} holds no {DATABASE}; it is not a whole backup.")
    make_data(data)
    with held(data):
        partial = data / PARTIAL
        clear(partial)
        for side in SIDES:
            if os.path.lexists(data / (DATABASE + side)):
                raise BackupError(f"{data / (DATABASE + side)} exists already; restore into a new directory.")
        try:
            await asyncio.to_thread(_copy_whole, backup / DATABASE, partial, manifest.sha256)
            report = await _begin_anew(make_store(partial), manifest, progress, check=check)
            if report is None or not report.problems:
                publish(partial)
        except OSError as fault:
            raise BackupError(f"{backup} cannot be restored to {data}: {_why(fault)}.") from fault
        finally:
            clear(partial)
    return manifest, report


def _copy_whole(source: Path, target: Path, sha256: str) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as write:
        shutil.copyfileobj(read, write, COPY_BYTES)
    if _digest_and_sync(target) != sha256:
        raise BackupDamaged(f"{source} is damaged: its SHA-256 is not the manifest's.")


async def _begin_anew(
    store: Store, manifest: Manifest, progress: Progress | None, *, check: bool
) -> Report | None:
    await store.open()
    try:
        report = await verify(store, progress) if check else None
        if report is not None and (report.pos != manifest.pos or report.hash != manifest.hash):
            report.problems.append("the head of the log is not the manifest's")
        await store.start_epoch(ids.epoch())
    finally:
        await store.close()
    return report


def _read_manifest(backup: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BackupError(f"{backup} holds no {MANIFEST}; it is not a whole backup.") from None
    except msgspec.MsgspecError as fault:
        raise BackupDamaged(f"{backup / MANIFEST} cannot be read: {fault}.") from fault
    if manifest.format != FORMAT:
        raise BackupError(f"{backup} has format {manifest.format}; this version reads {FORMAT}.")
    return manifest


def _digest_and_sync(path: Path) -> str:
    digest = sha256()
    with path.open("rb+") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest()


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
