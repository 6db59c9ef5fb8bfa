"""Keeping the data well, for the command line: verify, restore, and look for what could go wrong."""

import asyncio
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tuppence_protocol.errors import Refusal
from tuppence_server.admin.backup import restore
from tuppence_server.admin.refusals import Refused
from tuppence_server.app import AdminAccess
from tuppence_server.audit.verify import Progress as Report
from tuppence_server.audit.verify import verify
from tuppence_server.config.settings import Settings, unwise
from tuppence_server.data_dir import DATABASE, remnants
from tuppence_server.exchange.sources import make_rates
from tuppence_server.opening import make_store, opened_store
from tuppence_server.pipeline.clock import BEHIND, JUMP_MS
from tuppence_server.store.contract import StoreFault, Unusable
from tuppence_server.store.sqlite.migrate import migrations
from tuppence_server.store.sqlite.ours import recognise
from tuppence_server.store.sqlite.wal import UNFINISHED_COMMITS_MAX, after_the_end

from .admin_client import Unreachable, do, look, running

ASK_S: Final = 0.3
"""How often a running server is asked how far it is."""
FREE_BYTES_WARNING: Final = 1 << 30
WAL_BYTES_WARNING: Final = 600 << 20
WAL_RESET_FIXED: Final = (3, 51, 3)
"""sqlite.org/wal.html#walresetbug: two connections that write and checkpoint at once could corrupt the
file."""


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Iterator[Report | None]:
    """A bar on stderr, where there is somebody to look at it."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def verify_data(settings: Settings, *, quiet: bool) -> dict[str, Any]:
    """Check the ledger of a data directory: through the running server, or all of the file while there is
    none."""
    if running(settings.data) is not None:
        return _verify_running(settings, quiet=quiet)
    return asyncio.run(_verify_at_rest(settings.data, quiet=quiet))


async def _verify_at_rest(data: Path, *, quiet: bool) -> dict[str, Any]:
    async with opened_store(data) as store:
        with progress_bar("verifying", quiet=quiet) as progress:
            report: dict[str, Any] = msgspec.to_builtins(await verify(store, progress))
    return report


def _verify_running(settings: Settings, *, quiet: bool) -> dict[str, Any]:
    """Have the server check its ledger as it now is, or join a check that is going on."""
    with progress_bar("verifying", quiet=quiet) as progress:
        state = do(settings, "ledger.verify")
        while state["running"]:
            time.sleep(ASK_S)
            state = do(settings, "ledger.progress")
            if progress is not None and state["total"]:
                progress(state["done"], state["total"])
    if state["failed"] or state["report"] is None:
        raise Refused(Refusal("internal", "The check could not be carried out; see the server's log."))
    report: dict[str, Any] = state["report"]
    return report


async def restore_data(source: Path, target: Path, *, verify: bool, quiet: bool) -> dict[str, Any]:
    """Restore a backup, and check it if asked to."""
    with progress_bar("verifying", quiet=quiet) as progress:
        manifest, report = await restore(source, target, make_store, check=verify, progress=progress)
    found: dict[str, Any] = msgspec.to_builtins(manifest if report is None else report)
    return found


def examine(settings: Settings) -> list[dict[str, str]]:
    """What could go wrong, each with what to do."""
    findings: list[dict[str, str]] = []

    def note(check: str, state: str, detail: str) -> None:
        findings.append({"check": check, "state": state, "detail": detail})

    note("python", "ok", sys.version.split()[0])
    fixed = sqlite3.sqlite_version_info >= WAL_RESET_FIXED
    reason = (
        "" if fixed else "; older than 3.51.3: safe here, since one connection alone writes and checkpoints"
    )
    note("sqlite", "ok", sqlite3.sqlite_version + reason)
    _examine_disk(settings, note)
    access = running(settings.data)
    _examine_server(access, note)
    _examine_database(settings.data / DATABASE, note, running=access is not None)
    if settings.exchange_rates_file is not None and settings.exchange_rates:
        refused = ", ".join(sorted(make_rates(settings).refused()))
        detail = f"the file's rates of {refused} are not used: "
        detail += "with exchange_rates people would gain by going round"
        note(
            "exchange", "warning" if refused else "ok", detail if refused else "table and file fit each other"
        )
    for check, detail in unwise(settings):
        note(check, "warning", detail)
    return findings


def _examine_server(access: AdminAccess | None, note: Any) -> None:
    if access is None:
        note("server", "ok", "not running")
        return
    try:
        look(access)
    except Unreachable as fault:
        note("server", "problem", str(fault))
    else:
        note("server", "ok", f"running at {access.url}")


def _examine_disk(settings: Settings, note: Any) -> None:
    data = settings.data
    if os.path.lexists(data) and not data.is_dir():
        note("data", "problem", f"{data} is no directory")
        return
    place = data if data.exists() else data.absolute().parent
    if not os.access(place, os.W_OK):
        note("data", "problem", f"{place} cannot be written to")
        return
    free = shutil.disk_usage(place).free
    state = "ok" if free > FREE_BYTES_WARNING else "warning"
    note("disk", state, f"{free / 2**30:.1f} GiB free at {place.absolute()}")
    if data.exists() and data.stat().st_mode & 0o077:
        note("data", "warning", f"others can look into {data}; chmod 700 {data}")


def _examine_clock(at_ms: int, note: Any) -> None:
    """Commit time goes on from the last commit, so that a clock which was ahead once is noticed for long."""
    behind_ms = at_ms - time.time_ns() // 1_000_000
    if behind_ms > JUMP_MS:
        note("clock", "warning", f"{behind_ms // 1000} s behind the last commit: {BEHIND}")
    else:
        note("clock", "ok", "not behind the last commit")


def _examine_log(path: Path, note: Any) -> None:
    try:
        tail = after_the_end(path)
    except (StoreFault, OSError) as fault:
        note("log", "problem", f"cannot be read: {fault}")
        return
    if tail.commits > UNFINISHED_COMMITS_MAX:
        note("log", "problem", tail.report(path))
    elif tail.frames:
        note(
            "log", "warning", "a commit was under way when the last process ended, or the last one is damaged"
        )
    if kept := list(path.parent.glob(f"{path.name}-wal.damaged-*")):
        note("log", "warning", f"commits were lost; the log as it was is kept as {kept[-1]}")


def _examine_database(path: Path, note: Any, *, running: bool) -> None:
    wrong = remnants(path.parent)
    if wrong is not None:
        note("database", "problem", wrong)
        return
    if not os.path.lexists(path):
        note("database", "ok", "none yet; the first `tuppence serve` makes it")
        return
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size > WAL_BYTES_WARNING:
        note("wal", "warning", f"{wal.stat().st_size >> 20} MiB; a long reader keeps it from shrinking")
    try:
        recognise(path)
    except (Unusable, OSError) as fault:
        note("database", "problem", str(fault))
        return
    if not running:
        _examine_log(path, note)
    alone = "" if wal.exists() else "&immutable=1"  # a look leaves nothing behind
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True)
    try:
        applied = connection.execute("SELECT max(version) FROM migration").fetchone()[0]
        pos, at = connection.execute("SELECT pos, at FROM head").fetchone()
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as fault:
        note("database", "problem", f"cannot be read: {fault}")
        return
    finally:
        connection.close()
    _examine_clock(at, note)
    newest = migrations()[-1].version
    state = "ok" if applied <= newest and problem == "ok" else "problem"
    note("database", state, f"schema {applied} of {newest}, log position {pos}, quick check: {problem}")
