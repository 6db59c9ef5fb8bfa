"""One timer for all connections: each is looked at every WHEEL_TURN_S and judges its own deadlines."""

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

WHEEL_SLOTS: Final = 8
WHEEL_TURN_S: Final = 2.0


class Watched(Protocol):
    """Something with deadlines."""

    def check(self, now: float) -> None: ...


class TimerWheel:
    """Spreads the connections over its slots and visits one slot per tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: tuple[set[Watched], ...] = tuple(set() for _ in range(WHEEL_SLOTS))
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to turn."""
        self._timer = self._loop.call_later(WHEEL_TURN_S / WHEEL_SLOTS, self._tick)

    def stop(self) -> None:
        """Stop turning."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, watched: Watched) -> int:
        """Watch from now on; the number is needed to stop watching."""
        slot = self._next - 1
        self._slots[slot].add(watched)
        return slot

    def remove(self, watched: Watched, slot: int) -> None:
        """Stop watching."""
        self._slots[slot].discard(watched)

    def watched(self) -> Iterator[Watched]:
        """Everything that is watched."""
        for slot in self._slots:
            yield from tuple(slot)

    def _tick(self) -> None:
        now = self._loop.time()
        for watched in tuple(self._slots[self._next]):
            watched.check(now)
        self._next = (self._next + 1) % WHEEL_SLOTS
        self.start()
