"""How fast a person, a household or a network may go: token buckets, each kept as one number (GCRA).

A person's buckets are the same at every door and outlive connections. What strangers use is kept by name in
tables of a fixed size, one for each purpose, in which nobody's bucket is ever forgotten before it is full
again.
"""

from array import array
from typing import Final

from msgspec import Struct

PENALTY_REFUSALS_MAX: Final = 20
"""Answers of rate_limited within PENALTY_WINDOW_S before the connection is closed."""
PENALTY_WINDOW_S: Final = 10.0


ROUNDING_S: Final = 1e-6
"""Sums of steps in floating point miss the burst by less than this."""


class RateLimit(Struct, frozen=True):
    """So many frames a second in the long run, so many at once."""

    per_s: float
    burst: int

    def take(self, ready_at: float, now: float) -> float:
        """Take one: the bucket's new state, or where there is none, minus the seconds to wait."""
        step = 1.0 / self.per_s
        base = max(ready_at, now)
        wait = base + step - now - self.burst * step
        return -wait if wait > ROUNDING_S else base + step


DURABLE, LIVE, ASK = range(3)
"""The lanes, as `RateLimits.lanes` and `Pace.full_at` count them."""


class Pace:
    """One person's bucket of each lane, by when it is full;
    `holders` counts the connections that use them."""

    __slots__ = ("full_at", "holders")

    def __init__(self) -> None:
        self.full_at = [0.0, 0.0, 0.0]
        self.holders = 0

    def full(self, now: float) -> bool:
        """True where nothing is lost by forgetting it."""
        return not self.holders and max(self.full_at) <= now


NO_PACE: Final = Pace()
"""Shared by all connections that are not admitted, which take nothing from it."""


class RateLimits(Struct, frozen=True):
    """The pace of each lane; None for no limit."""

    lanes: tuple[RateLimit | None, RateLimit | None, RateLimit | None]

    def wait_ms(self, lane: int, pace: Pace, now: float) -> int:
        """Take from a person's bucket: 0, or how long to wait."""
        limit = self.lanes[lane]
        if limit is None:
            return 0
        state = limit.take(pace.full_at[lane], now)
        if state < 0:
            return _ms(state)
        pace.full_at[lane] = state
        return 0


def _ms(state: float) -> int:
    return max(1, int(-state * 1000) + 1)


LIMITED: Final = RateLimits((RateLimit(10, 30), RateLimit(20, 60), RateLimit(20, 60)))
UNLIMITED: Final = RateLimits((None, None, None))

PEOPLE_BEFORE_SWEEP_MIN: Final = 1_000
TABLE_ROWS: Final = 4
TABLE_BITS: Final = 15
TABLE_COLUMNS: Final = 1 << TABLE_BITS


class Paces:
    """Everybody's buckets by user id: those that are in use or not full, which is a few seconds' people."""

    def __init__(self) -> None:
        self._people: dict[str, Pace] = {}
        self._sweep_at = PEOPLE_BEFORE_SWEEP_MIN

    def __len__(self) -> int:
        return len(self._people)

    def of(self, user: str, now: float) -> Pace:
        """A person's buckets."""
        pace = self._people.get(user)
        if pace is None:
            if len(self._people) >= self._sweep_at:
                self._sweep(now)
            pace = self._people[user] = Pace()
        return pace

    def _sweep(self, now: float) -> None:
        self._people = {user: pace for user, pace in self._people.items() if not pace.full(now)}
        self._sweep_at = max(PEOPLE_BEFORE_SWEEP_MIN, 2 * len(self._people))


class Buckets:
    """Buckets of one rate by name, in a fixed room of TABLE_ROWS x TABLE_COLUMNS numbers: a count-min sketch.

    Each name has one place in every row and is as empty as the fullest of them. Names that share a place can
    only make each other's stricter, never fill them, and four at once are seldom shared.
    """

    def __init__(self, rate: RateLimit) -> None:
        self._rate = rate
        self._full_at = array("d", bytes(8 * TABLE_ROWS * TABLE_COLUMNS))

    def wait_ms(self, name: str, now: float) -> int:
        """How long until there is one to take; 0 for none."""
        state = self._rate.take(self._state(name), now)
        return _ms(state) if state < 0 else 0

    def take(self, name: str, now: float) -> int:
        """Take one: 0, or how long to wait."""
        state = self._rate.take(self._state(name), now)
        if state < 0:
            return _ms(state)
        for place in _places(name):
            self._full_at[place] = max(self._full_at[place], state)
        return 0

    def _state(self, name: str) -> float:
        return min(self._full_at[place] for place in _places(name))


def _places(name: str) -> list[int]:
    bits = hash(name)  # 64 of them, by a key of this process that nobody else knows
    return [row << TABLE_BITS | bits >> row * TABLE_BITS & TABLE_COLUMNS - 1 for row in range(TABLE_ROWS)]
