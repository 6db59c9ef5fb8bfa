"""The pace of those who are nobody yet: hellos, registrations, logins, bad tokens and malformed requests.

A table for each purpose, so that what is done to one does not touch another. A server that starts anew may
have all connections of an address back at once.
"""

from typing import Final

from tuppence_server.config.networks import key

from .acceptor import Acceptor
from .rate_limits import Buckets, RateLimit

HELLO: Final = RateLimit(10, 200)
"""Hellos of one household, before their token is looked at."""
ADMISSION: Final = RateLimit(0.5, 20)
"""Hellos of one person, before anything is read for them: twenty at once, then one in 2 s."""
REGISTRATION: Final = RateLimit(0.05, 30)
"""Per household: thirty at once, then one in 20 s."""
LOGIN: Final = RateLimit(1 / 60, 10)
"""Per account and household: ten tries at once, then one a minute."""
HOUSEHOLD: Final = RateLimit(0.5, 30)
"""Logins of one household to all accounts: thirty at once, then one in 2 s."""
STRANGER: Final = RateLimit(2, 60)
"""Bad tokens and malformed requests of one household."""
_HANDLE_CHARS: Final = 40


class Guests:
    """Answers are ms to wait, or 0. Nobody waits where it is not `on`."""

    def __init__(self, acceptor: Acceptor, *, on: bool) -> None:
        self._acceptor = acceptor
        self._on = on
        self._hellos = Buckets(HELLO)
        self._admissions = Buckets(ADMISSION)
        self._registrations = Buckets(REGISTRATION)
        self._logins = Buckets(LOGIN)
        self._households = Buckets(HOUSEHOLD)
        self._strangers = Buckets(STRANGER)

    def says_hello(self, address: str) -> int:
        """A connection wants to be somebody's."""
        counts = self._acceptor.addresses.counts(address)
        return self._take(self._hellos, key(address)) if counts else 0

    def is_admitted(self, user: str) -> int:
        """A connection is somebody's."""
        return self._take(self._admissions, user)

    def registers(self, address: str) -> int:
        """Somebody makes an account."""
        return self._take(self._registrations, key(address))

    def logs_in(self, address: str, handle: str) -> int:
        """Somebody tries a password: bounded over all accounts, and for this one."""
        house = key(address)
        return (
            self._wait(self._households, house)
            or self._take(self._logins, f"{house} {handle[:_HANDLE_CHARS]}")
            or self._take(self._households, house)
        )

    def exhausted(self, address: str) -> int:
        """Whether an address has wasted all that it may."""
        return self._wait(self._strangers, key(address))

    def wasted(self, address: str) -> int:
        """A request was worth nothing."""
        return self._take(self._strangers, key(address))

    def _take(self, buckets: Buckets, name: str) -> int:
        return buckets.take(name, self._acceptor.now()) if self._on else 0

    def _wait(self, buckets: Buckets, name: str) -> int:
        return buckets.wait_ms(name, self._acceptor.now()) if self._on else 0
