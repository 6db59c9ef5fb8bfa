"""Copies of the whole, and bringing one back. A copy is one moment; a restored log is a new epoch."""

import asyncio
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from . import ids
from .directory import DATABASE
from .store.base import Store
from .verify import Progress, Report, verify

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1


class BackupError(Exception):
    """A backup that cannot be made or used; the message says why and what to do."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds, to be checked before it is trusted."""

    format: int
    made_at: int
    pos: int
    hash: str
    epoch: str
    sha256: str


async def make_backup(store: Store, directory: Path, now: int) -> dict[str, Any]:
    """Write a copy into a new directory while the road goes on; the manifest comes last.

    Raises:
        BackupError: the directory exists.
    """
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise BackupError(f"{directory} exists already; name a new directory.") from None
    except (OSError, ValueError) as fault:
        raise BackupError(f"The directory cannot be made: {fault}.") from fault
    try:
        return await _copy(store, directory, now)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


async def _copy(store: Store, directory: Path, now: int) -> dict[str, Any]:
    target = directory / DATABASE
    target.touch(mode=0o600)
    head = await store.backup(target)
    digest = await asyncio.to_thread(_digest_and_sync, target)
    manifest = Manifest(FORMAT, now, head.pos, head.hash.hex(), head.epoch, digest)
    await asyncio.to_thread(_write_synced, directory / MANIFEST, msgspec.json.encode(manifest))
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

    Raises:
        BackupError: it is not a backup, it is damaged, or `data` holds a database already.
    """
    manifest = _read_manifest(backup)
    if not (backup / DATABASE).is_file():
        raise BackupError(f"{backup} holds no {DATABASE}; it is not a whole backup.")
    target = data / DATABASE
    if target.exists():
        raise BackupError(f"{target} exists already; restore into a new directory.")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = data / (DATABASE + ".partial")
    await asyncio.to_thread(shutil.copyfile, backup / DATABASE, partial)
    partial.chmod(0o600)
    if await asyncio.to_thread(_digest_and_sync, partial) != manifest.sha256:
        partial.unlink()
        raise BackupError(f"{backup / DATABASE} is damaged: its SHA-256 is not the manifest's.")
    store = make_store(partial)
    await store.open()
    try:
        report = await verify(store, progress) if check else None
        if report is not None and (report.pos != manifest.pos or report.hash != manifest.hash):
            report.problems.append("the head of the log is not the manifest's")
        await store.start_epoch(ids.epoch())
    finally:
        await store.close()
    partial.rename(target)
    return manifest, report


def _read_manifest(backup: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BackupError(f"{backup} holds no {MANIFEST}; it is not a whole backup.") from None
    except msgspec.MsgspecError as fault:
        raise BackupError(f"{backup / MANIFEST} cannot be read: {fault}.") from fault
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
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
