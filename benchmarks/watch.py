"""Progress of a whole run on stderr: one bar per part on a terminal, one line per measurement everywhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

REFRESHES_PER_S = 2
"""More would cost time on the machine that is being measured."""


class Watch:
    """Bars for somebody who watches."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            refresh_per_second=REFRESHES_PER_S,
            disable=not sys.stderr.isatty(),
        )
        self._part = ""
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

    def part(self, name: str, steps: int) -> None:
        """Begin a part of so many measurements."""
        self._part = name
        self._task = self._bars.add_task(name, total=steps)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Name what is being measured now; move the bar on when it is done."""
        assert self._task is not None, "a part begins first"
        self._bars.update(self._task, description=f"{self._part}: {what}")
        yield
        self._bars.update(self._task, advance=1, description=self._part)

    @contextmanager
    def count(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar of its own for something that counts up to `total`."""
        task = self._bars.add_task(f"{self._part}: {what}", total=total)

        def advance(count: int) -> None:
            self._bars.advance(task, count)

        yield advance
        self._bars.remove_task(task)

    def say(self, text: str) -> None:
        """Tell one figure."""
        self._console.print(f"{self._part}: {text}", markup=False)
