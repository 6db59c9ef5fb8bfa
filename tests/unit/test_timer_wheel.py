"""One timer for everything that has deadlines: each is looked at once a turn, until it is taken away."""

import asyncio

from tuppence_server.edge.timer_wheel import WHEEL_SLOTS, TimerWheel


class Loop(asyncio.AbstractEventLoop):
    """A loop that runs a timer when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[object] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay, callback, *args):  # type: ignore[no-untyped-def]
        timer = asyncio.TimerHandle(self.now + delay, callback, args, self)
        self.timers.append(timer)
        return timer

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, timer: object) -> None:
        self.timers.remove(timer)

    def turn(self, slots: int = WHEEL_SLOTS) -> None:
        for _ in range(slots):
            (timer,) = self.timers
            self.timers.clear()
            self.now = timer.when()  # type: ignore[attr-defined]
            timer._run()  # type: ignore[attr-defined]


class Looked:
    def __init__(self) -> None:
        self.at: list[float] = []

    def check(self, now: float) -> None:
        self.at.append(now)


def test_each_is_looked_at_once_a_turn_whenever_it_came() -> None:
    loop = Loop()
    wheel = TimerWheel(loop)
    wheel.start()
    several = []
    for slot in range(WHEEL_SLOTS):
        several.append(Looked())
        wheel.add(several[slot])
        loop.turn(1)
    loop.turn()
    assert {len(each.at) for each in several} <= {1, 2}
    for each in several:
        each.at.clear()
    loop.turn(3 * WHEEL_SLOTS)
    assert [len(each.at) for each in several] == [3] * WHEEL_SLOTS
    assert len({each.at[0] for each in several}) == WHEEL_SLOTS, "not all at once"
    assert set(wheel.watched()) == set(several)
    assert len(loop.timers) == 1


def test_what_is_taken_away_is_not_looked_at_even_in_the_turn_that_takes_it() -> None:
    loop = Loop()
    wheel = TimerWheel(loop)
    gone, stays = Looked(), Looked()
    slot = wheel.add(gone)
    wheel.add(stays)
    wheel.remove(gone, slot)
    wheel.remove(gone, slot)
    wheel.start()
    loop.turn()
    assert (gone.at, len(stays.at)) == ([], 1)
    wheel.stop()
    assert loop.timers == []
