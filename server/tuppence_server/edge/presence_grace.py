"""People whose last connection broke: offline once the grace is over and they did not come back."""

from collections.abc import Callable

from tuppence_protocol.limits import PRESENCE_GRACE_MS
from tuppence_server.hub.hub import Hub
from tuppence_server.hub.presence import Person


class PresenceGrace:
    """A queue of people in their grace, by a clock of seconds; the wheel looks at it."""

    def __init__(self, hub: Hub, now: Callable[[], float]) -> None:
        self._hub = hub
        self._now = now
        self._waiting: dict[Person, float] = {}
        """When each has to be back, the first to be due first."""

    def add(self, person: Person) -> None:
        """Start a person's grace; one that was going on is over, since they were back."""
        self._waiting.pop(person, None)
        self._waiting[person] = self._now() + PRESENCE_GRACE_MS / 1000

    def check(self, now: float) -> None:
        """Let those go whose grace is over."""
        while self._waiting and (first := next(iter(self._waiting.items())))[1] <= now:
            del self._waiting[first[0]]
            self._hub.gone(first[0])
        self._hub.flush()
