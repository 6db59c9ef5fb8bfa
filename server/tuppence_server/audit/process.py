"""The check of the ledger beside a running server: a process of its own, at the lowest priority and with
pauses.

    python -m tuppence_server.audit.process DATABASE

It tells how far it is, and last the report, in lines of JSON. Whoever reads them ends it by going away:
standard input is a pipe that nothing is written to, and that ends with whoever holds it.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from tuppence_server.store.sqlite.frozen import FrozenStore

from .verify import Report, verify

SHARE: Final = 0.25
"""Of one processor; the rest of the time it sleeps."""
RANGE_EVENTS: Final = 10_000
REPORT_S: Final = 0.3
NICE: Final = 19


class CheckProgress(msgspec.Struct):
    """One line: how many of how many events are checked, or how it ended."""

    done: int = 0
    total: int = 0
    report: Report | None = None


async def check(path: Path) -> None:
    """Check a database that somebody writes to as it is now."""
    store = FrozenStore(path, SHARE)
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_S:
            last = time.monotonic()
            _report(CheckProgress(done, total))

    try:
        head = await store.open()
        _report(CheckProgress(0, head.pos))
        report = await verify(store, progress, workers=0, range_events=RANGE_EVENTS)
    finally:
        await store.close()
    _report(CheckProgress(report.events, report.pos, report))


def _report(progress: CheckProgress) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(progress) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Check the database that the command line names."""
    os.nice(NICE)
    asyncio.run(check(Path(sys.argv[1])))


def _end_with_the_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal, which tells the server as well
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        main()
    except BrokenPipeError:
        os._exit(0)
