"""Progress on stderr for somebody who watches; silence for a script,
and under a parent with bars of its own."""

import os
import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

QUIET = "BENCHMARKS_QUIET"
"""Environment variable; set where the parent process draws."""


class Progress:
    """One bar per stage, drawn only on a terminal."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        self._bars = Bars(*columns, console=console, disable=QUIET in os.environ or not sys.stderr.isatty())
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def stage(self, name: str, total: float) -> None:
        """Begin a new bar that is full at `total`."""
        self._task = self._bars.add_task(name, total=total)

    def advance(self, step: float) -> None:
        """Move the newest bar on."""
        if self._task is not None:
            self._bars.advance(self._task, step)
