"""No test runs for ever: one that passes its bound fails, and says where it and each of its tasks stood."""

import asyncio
import signal
from collections.abc import Generator, Iterator
from functools import partial
from traceback import StackSummary
from types import FrameType
from typing import Any, Final

import pytest

AGAIN_S: Final = 5.0
"""Seconds until a test that swallowed the alarm hears it again."""


class HangGuard:
    """A plugin that gives each test, with its fixtures, so many seconds of wall clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Set the alarm for one test."""
        former = signal.signal(signal.SIGALRM, partial(self._ring, item.nodeid))
        marker = item.get_closest_marker("seconds")
        signal.setitimer(signal.ITIMER_REAL, marker.args[0] if marker else self.seconds, AGAIN_S)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)

    def _ring(self, test: str, _: int, frame: FrameType | None) -> None:
        pytest.fail(f"{test} hangs\n{_tasks()}")


def _tasks() -> str:
    """Where each task of the running loop waits, line by line from its beginning."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop runs: the stack of the test says it all
        return ""
    return "\n".join("".join((repr(task.get_name()), "\n", *_waits(task.get_coro()))) for task in tasks)


def _waits(awaited: Any) -> Iterator[str]:
    while awaited is not None:
        found = [getattr(awaited, f"{kind}_frame", None) for kind in ("cr", "ag", "gi")]
        for frame in filter(None, found):
            yield from StackSummary.extract([(frame, frame.f_lineno)]).format()
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
