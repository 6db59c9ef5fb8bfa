"""The pace of those who are nobody yet: registrations, logins, bad tokens and malformed requests, by
household."""

from tuppence_server.config.networks import key

from .rate_limits import HOUSEHOLD, LOGIN, REGISTRATION, STRANGER, Buckets
from .services import Services

_HANDLE_CHARS: int = 40


class Guests:
    """A table for each purpose, so that what is done to one does not touch another. Answers are ms to wait,
    or 0."""

    def __init__(self, services: Services) -> None:
        self._on = services.settings.rate_limits == "on"
        self._now = services.loop.time
        self._registrations = Buckets(REGISTRATION)
        self._logins = Buckets(LOGIN)
        self._households = Buckets(HOUSEHOLD)
        self._strangers = Buckets(STRANGER)

    def registers(self, address: str) -> int:
        """Somebody makes an account."""
        return self._registrations.take(key(address), self._now()) if self._on else 0

    def logs_in(self, address: str, handle: str) -> int:
        """Somebody tries a password: bounded over all accounts, and for this one."""
        if not self._on:
            return 0
        house, now = key(address), self._now()
        return (
            self._households.wait_ms(house, now)
            or self._logins.take(f"{house} {handle[:_HANDLE_CHARS]}", now)
            or self._households.take(house, now)
        )

    def exhausted(self, address: str) -> int:
        """Whether an address has wasted all that it may."""
        return self._strangers.wait_ms(key(address), self._now()) if self._on else 0

    def wasted(self, address: str) -> int:
        """A request was worth nothing."""
        return self._strangers.take(key(address), self._now()) if self._on else 0
