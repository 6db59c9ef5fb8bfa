"""The pace of hellos: by address before the token is looked at, by person before anything is read for them.

Beyond it a connection is closed, and told when to come back. A server that starts anew may have all connections of
an address back at once.
"""

from collections import OrderedDict
from typing import Final

from .rates import Rate

OF_ADDRESS: Final = Rate(10, 200)
OF_PERSON: Final = Rate(0.5, 20)
ARRIVALS_KEPT_MAX: Final = 10_000
"""Addresses, and people, whose pace is known; the one that was heard of longest ago is forgotten first."""


class Arrivals:
    """When each address and each person may say hello again; seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, float] = OrderedDict()
        self._people: OrderedDict[str, float] = OrderedDict()

    def of_address(self, address: str, now: float) -> int:
        """Take a hello of an address: 0, or how many ms to wait."""
        return _take(self._addresses, OF_ADDRESS, address, now)

    def of_person(self, user: str, now: float) -> int:
        """Take a hello of a person: 0, or how many ms to wait."""
        return _take(self._people, OF_PERSON, user, now)


def _take(known: OrderedDict[str, float], rate: Rate, key: str, now: float) -> int:
    before = known.pop(key, 0.0)
    state = rate.take(before, now)
    known[key] = before if state < 0 else state
    if len(known) > ARRIVALS_KEPT_MAX:
        known.popitem(last=False)
    return 0 if state >= 0 else int(-state * 1000) + 1
