"""How fast one person may go, over all their devices: a token bucket per lane, kept as one number (GCRA)."""

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from tuppence_protocol.events import RateView
from tuppence_server.hub.people import Person

PENALTY_REFUSALS_MAX: Final = 20
"""Answers of rate_limited within PENALTY_WINDOW_S before the connection is closed."""
PENALTY_WINDOW_S: Final = 10.0


ROUNDING_S: Final = 1e-6
"""Sums of steps in floating point miss the burst by less than this."""


class Rate(Struct, frozen=True):
    """So many frames a second in the long run, so many at once."""

    per_s: float
    burst: int

    def take(self, ready_at: float, now: float) -> float:
        """Take one: the bucket's new state, or where there is none, minus the seconds to wait."""
        step = 1.0 / self.per_s
        base = max(ready_at, now)
        wait = base + step - now - self.burst * step
        return -wait if wait > ROUNDING_S else base + step

    def view(self) -> RateView:
        """As `ready.limits` announces it."""
        return RateView(self.per_s, self.burst)


class Rates(Struct, frozen=True):
    """The pace of each lane; None for no limit."""

    durable: Rate | None
    live: Rate | None
    ask: Rate | None

    def durable_wait_ms(self, person: Person, now: float) -> int:
        """Take from the person's durable bucket: 0, or how long to wait."""
        if self.durable is None:
            return 0
        state = self.durable.take(person.durable_at, now)
        if state < 0:
            return _ms(state)
        person.durable_at = state
        return 0

    def live_wait_ms(self, person: Person, now: float) -> int:
        """Take from the person's live bucket."""
        if self.live is None:
            return 0
        state = self.live.take(person.live_at, now)
        if state < 0:
            return _ms(state)
        person.live_at = state
        return 0

    def ask_wait_ms(self, person: Person, now: float) -> int:
        """Take from the person's ask bucket."""
        if self.ask is None:
            return 0
        state = self.ask.take(person.ask_at, now)
        if state < 0:
            return _ms(state)
        person.ask_at = state
        return 0


def _ms(state: float) -> int:
    return max(1, int(-state * 1000) + 1)


LIMITED: Final = Rates(durable=Rate(10, 30), live=Rate(20, 60), ask=Rate(20, 60))
UNLIMITED: Final = Rates(durable=None, live=None, ask=None)

PACED_PEOPLE_MAX: Final = 10_000
REGISTRATION: Final = Rate(0.05, 30)
LOGIN: Final = Rate(1 / 60, 10)
"""Per account and address: ten tries at once, then one a minute."""


class Paces:
    """Buckets of those who have no connection here: by user for HTTP, by address for logins. Bounded."""

    def __init__(self) -> None:
        self._people: OrderedDict[str, Person] = OrderedDict()
        self._others: OrderedDict[str, float] = OrderedDict()

    def person(self, user: str, handle: str) -> Person:
        """The buckets of a person who uses HTTP."""
        person = self._people.pop(user, None) or Person(user, handle)
        self._people[user] = person
        if len(self._people) > PACED_PEOPLE_MAX:
            self._people.popitem(last=False)
        return person

    def wait_ms(self, rate: Rate, key: str, now: float) -> int:
        """Take from a bucket by name: 0, or how long to wait."""
        before = self._others.pop(key, 0.0)
        state = rate.take(before, now)
        self._others[key] = state if state >= 0 else before
        if len(self._others) > PACED_PEOPLE_MAX:
            self._others.popitem(last=False)
        return 0 if state >= 0 else _ms(state)
