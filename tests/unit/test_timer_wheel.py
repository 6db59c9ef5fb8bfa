"""One timer for everything that has deadlines: each is looked at once a turn, until it is taken away."""

import asyncio
from typing import cast

from tuppence_server.edge.timer_wheel import WHEEL_SLOTS, TimerWheel


class FakeLoop:
    """A loop whose only timer goes off when the test says so; it is a handle of its own."""

    now = 0.0
    set = False

    def time(self) -> float:
        return self.now

    def call_later(self, _: float, tick: object) -> "FakeLoop":
        assert not self.set, "one timer"
        self.set, self.tick = True, tick
        return self

    def cancel(self) -> None:
        self.set = False

    def turn(self, slots: int = WHEEL_SLOTS) -> None:
        for _ in range(slots):
            self.set, self.now = False, self.now + 1
            self.tick()  # type: ignore[operator]


class Looked:
    def __init__(self) -> None:
        self.at: list[float] = []

    def check(self, now: float) -> None:
        self.at.append(now)


def begun() -> tuple[FakeLoop, TimerWheel]:
    loop = FakeLoop()
    wheel = TimerWheel(cast("asyncio.AbstractEventLoop", loop))
    wheel.start()
    return loop, wheel


def test_each_is_looked_at_once_a_turn_whenever_it_came() -> None:
    loop, wheel = begun()
    several = [Looked() for _ in range(WHEEL_SLOTS)]
    for each in several:
        wheel.add(each)
        loop.turn(1)
    for each in several:
        each.at.clear()
    loop.turn(3 * WHEEL_SLOTS)
    assert [len(each.at) for each in several] == [3] * WHEEL_SLOTS
    assert len({each.at[0] for each in several}) == WHEEL_SLOTS, "not all at once"
    assert set(wheel.watched()) == set(several)


def test_what_is_taken_away_is_not_looked_at_and_a_wheel_that_stops_has_no_timer() -> None:
    loop, wheel = begun()
    gone, stays = Looked(), Looked()
    slot = wheel.add(gone)
    wheel.add(stays)
    wheel.remove(gone, slot)
    wheel.remove(gone, slot)
    loop.turn()
    assert (gone.at, len(stays.at)) == ([], 1)
    wheel.stop()
    assert not loop.set
