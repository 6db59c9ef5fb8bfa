"""Commit time: the wall clock's, but it never goes back and never stands still.

Where the wall clock is behind what was committed already, time goes on by a clock that nobody sets.
Everything that has an end is judged by this one time: quotes, offers, packets, limits, logins, rates.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

JUMP_MS: Final = 120_000
"""What the wall clock may differ from what is expected of it before the operator is told."""
_MS_NS: Final = 1_000_000
log = structlog.get_logger("tuppence.clock")


def steady_ns() -> int:
    """Ns of a clock that nobody sets and that goes on while the machine sleeps, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if boot is None else time.clock_gettime_ns(boot)


class Clock:
    """Tells commit time, ms since the epoch, from a wall clock and a steady one."""

    __slots__ = ("_now_ns", "_steady_at_ns", "_steady_ns", "_wall_at_ns", "_wall_ns", "jumps")

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady: Callable[[], int] = steady_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady
        self._wall_at_ns = self._now_ns = wall_ns()
        self._steady_at_ns = steady()
        self.jumps = 0
        """How often the wall clock was set by more than JUMP_MS since the start."""

    def begin(self, at_ms: int) -> None:
        """Go on from what is committed: no earlier than `at_ms`.
        A clock that has come so far has nothing to tell."""
        if at_ms * _MS_NS <= self._now_ns:
            return
        self._now_ns = at_ms * _MS_NS
        behind_ms = self.behind_ms()
        if behind_ms > JUMP_MS:
            self.jumps += 1
            log.warning("clock_behind", behind_s=behind_ms // 1000, problem=BEHIND)

    def now_ms(self) -> int:
        """Commit time; never behind what was told before."""
        wall, steady = self._wall_ns(), self._steady_ns()
        passed = max(0, steady - self._steady_at_ns)
        by_ms = (wall - self._wall_at_ns - passed) // _MS_NS
        self._wall_at_ns, self._steady_at_ns = wall, steady
        self._now_ns = max(wall, self._now_ns + passed)
        if abs(by_ms) > JUMP_MS:
            self.jumps += 1
            log.warning("clock_jumped", by_s=by_ms // 1000, behind_s=self.behind_ms() // 1000)
        return self._now_ns // _MS_NS

    def behind_ms(self) -> int:
        """How far the wall clock is behind commit time; about 0 where all is well."""
        return (self._now_ns - self._wall_at_ns) // _MS_NS


BEHIND: Final = (
    "the machine's clock is behind the last commit: it is slow now, or was ahead then; "
    "time goes on from the last commit"
)
