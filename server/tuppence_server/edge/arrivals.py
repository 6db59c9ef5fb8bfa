"""The pace of hellos: by address before the token is looked at, by person before anything is read for them.

Beyond it a connection is closed, and told when to come back. A server that starts anew may have all
connections of an address back at once.
"""

from typing import Final

from .rate_limits import Buckets, Rate

OF_ADDRESS: Final = Rate(10, 200)
OF_PERSON: Final = Rate(0.5, 20)


class Arrivals:
    """When each address and each person may say hello again; seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._addresses = Buckets(OF_ADDRESS)
        self._people = Buckets(OF_PERSON)

    def of_address(self, address: str, now: float) -> int:
        """Take a hello of an address: 0, or how many ms to wait."""
        return self._addresses.take(address, now)

    def of_person(self, user: str, now: float) -> int:
        """Take a hello of a person: 0, or how many ms to wait."""
        return self._people.take(user, now)
