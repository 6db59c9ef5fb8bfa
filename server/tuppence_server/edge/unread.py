"""Whether a peer takes what it is sent: UNREAD_BYTES_MIN, or all there is, in every UNREAD_S_MAX.

Without that a page that nobody reads would be held for ever, on as many connections as an address may have.
"""

from typing import Final

UNREAD_S_MAX: Final = 15.0
UNREAD_BYTES_MIN: Final = 64 * 1024


class Unread:
    """What waits in one transport, as it is looked at from time to time."""

    __slots__ = ("_left", "_since")

    def __init__(self) -> None:
        self._left = 0
        self._since: float | None = None

    def taken(self) -> None:
        """All of it is gone."""
        self._since = None

    def late(self, left: int, now: float) -> bool:
        """True where `left` bytes wait and too few have gone for too long."""
        if self._since is None or left <= self._left - UNREAD_BYTES_MIN:
            self._since, self._left = now, left
        return now - self._since > UNREAD_S_MAX
