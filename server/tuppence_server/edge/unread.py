"""Whether a peer takes what it is sent: UNREAD_BYTES_MIN, or all there is, in every UNREAD_S_MAX.

Without that a page that nobody reads would be held for ever, on as many connections as an address may have.
And however many they are, all together hold no more than UNREAD_TOTAL_BYTES_MAX for longer than a turn of the
wheel.
"""

from typing import Final, Protocol

UNREAD_S_MAX: Final = 15.0
UNREAD_BYTES_MIN: Final = 64 * 1024
UNREAD_TOTAL_BYTES_MAX: Final = 256 * 1024 * 1024


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


class Reader(Protocol):
    """A connection that something waits for."""

    def cut(self) -> None: ...


class Pressure:
    """What waits for all readers, as each is looked at; those with the most are cut where it is too much."""

    def __init__(self, most: int = UNREAD_TOTAL_BYTES_MAX) -> None:
        self._most = most
        self._seen: list[tuple[int, Reader]] = []

    def note(self, size: int, reader: Reader) -> None:
        """So many bytes wait for a reader."""
        self._seen.append((size, reader))

    def check(self, now: float) -> None:  # noqa: ARG002
        """Once a turn: cut the largest until a quarter of the room is free again."""
        seen, self._seen = self._seen, []
        total = sum(size for size, _ in seen)
        if total <= self._most:
            return
        for size, reader in sorted(seen, key=lambda each: -each[0]):
            reader.cut()
            total -= size
            if total <= self._most * 3 // 4:
                return
