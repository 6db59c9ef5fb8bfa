"""People whose last connection broke: offline once the grace is over and they did not come back."""

import asyncio
from collections import deque

from tuppence_protocol.limits import PRESENCE_GRACE_MS
from tuppence_server.hub.hub import Hub
from tuppence_server.hub.people import Person


class Departures:
    """A queue of people in their grace; the wheel looks at it."""

    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self._hub = hub
        self._loop = loop
        self._waiting: deque[tuple[float, Person]] = deque()

    def add(self, person: Person) -> None:
        """Start a person's grace."""
        self._waiting.append((self._loop.time() + PRESENCE_GRACE_MS / 1000, person))

    def check(self, now: float) -> None:
        """Let those go whose grace is over."""
        while self._waiting and self._waiting[0][0] <= now:
            self._hub.gone(self._waiting.popleft()[1])
        self._hub.flush()
