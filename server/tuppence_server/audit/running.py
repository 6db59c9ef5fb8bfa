"""Checks of the ledger while the server runs: one at a time, asked for or by the clock, in a process of its
own."""

import asyncio
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from tuppence_server.telemetry.metrics import Metrics

from .process import CheckProgress
from .verify import Report

HOUR_S: Final = 3_600.0
LINE_BYTES_MAX: Final = 1 << 20
log = structlog.get_logger("tuppence.verify")
_decode: Final = msgspec.json.Decoder(CheckProgress).decode


class Audits:
    """The present check, and what the last one found."""

    def __init__(self, database: Path, metrics: Metrics) -> None:
        self._database = database
        self._now = CheckProgress()
        self._last = CheckProgress()
        self._ended_at = 0.0
        self._failed = self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._process: Process | None = None
        for name, meaning, read in (
            (
                "verified_pos",
                "Where the log stood when the ledger was last checked.",
                lambda: self._last.total,
            ),
            ("verified_problems", "Problems that the last check of the ledger found.", self._problems),
            ("verified_timestamp_seconds", "When the last check ended.", lambda: self._ended_at),
            ("verify_failed", "1 where the last check could not be carried out.", lambda: int(self._failed)),
        ):
            metrics.gauge(name, meaning, read)

    def _problems(self) -> int:
        return 0 if self._last.report is None else len(self._last.report.problems)

    def start(self) -> None:
        """Begin a check, unless one is going on."""
        if not self._stopping and (self._task is None or self._task.done()):
            self._now = CheckProgress()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="verify")

    def progress(self) -> dict[str, Any]:
        """How far the present check is; the report once there is none, or that it could not be carried
        out."""
        going = self._task is not None and not self._task.done()
        found: dict[str, Any] = msgspec.to_builtins(self._now if going else self._last)
        return {**found, "running": going, "failed": self._failed and not going}

    async def finished(self) -> None:
        """Until the present check has ended."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def keep(self, every_hours: int) -> None:
        """Check every so many hours until cancelled, the first time after one; 0 for never."""
        if every_hours:
            await asyncio.sleep(HOUR_S)
        while every_hours:
            self.start()
            await self.finished()
            await asyncio.sleep(every_hours * HOUR_S)

    async def stop(self) -> None:
        """End the present check."""
        self._stopping = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        started = time.monotonic()
        try:
            report = await self._check()
        except Exception:
            log.exception("verify_fault")
            report = None
        self._failed = report is None and not self._stopping
        if report is None:
            log.log(logging.ERROR if self._failed else logging.INFO, "verify_ended")
            return
        self._last, self._ended_at = self._now, time.time()
        level = logging.ERROR if report.problems else logging.INFO
        seconds = round(time.monotonic() - started, 1)
        log.log(level, "verified", pos=report.pos, problems=len(report.problems), seconds=seconds)

    async def _check(self) -> Report | None:
        command = (sys.executable, "-m", f"{__package__}.process", str(self._database))
        # SQLite asks for this as soon as it is loaded, so it is too late to say within that process.
        within = os.environ | {"SQLITE_TMPDIR": str(self._database.parent.absolute())}
        process = self._process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env=within, limit=LINE_BYTES_MAX
        )
        assert process.stdout is not None, "stdout is a pipe"
        try:
            if self._stopping:
                return None
            async for line in process.stdout:
                self._now = _decode(line)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._process = None
        return self._now.report
