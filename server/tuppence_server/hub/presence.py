"""The people who are connected to this node, and who watches whom."""

from typing import Final

from .outbox import Outbox

UNACKED_CONVERSATIONS_MAX: Final = 256


class Person:
    """One person's connections here, and what they have not acknowledged."""

    __slots__ = ("handle", "id", "outboxes", "seen_at", "unacked")

    def __init__(self, id: str, handle: str) -> None:
        self.id = id
        self.handle = handle
        self.outboxes: tuple[Outbox, ...] = ()
        self.seen_at: int | None = None
        self.unacked: dict[str, tuple[int, int]] | None = None

    def note(self, conv: str, pos: int, seq: int) -> None:
        """Remember the newest event of a conversation until a ping acknowledges it."""
        if self.unacked is None:
            self.unacked = {}
        elif len(self.unacked) >= UNACKED_CONVERSATIONS_MAX and conv not in self.unacked:
            del self.unacked[next(iter(self.unacked))]
        self.unacked[conv] = (pos, seq)

    def acknowledge(self, pos: int) -> list[tuple[str, int]]:
        """The conversations whose newest event is now known to have arrived, with its seq."""
        if not self.unacked:
            return []
        arrived = [(conv, seq) for conv, (at, seq) in self.unacked.items() if at <= pos]
        for conv, _ in arrived:
            del self.unacked[conv]
        if not self.unacked:
            self.unacked = None
        return arrived


class People:
    """Everybody connected here, by user id. A person without connections is dropped after a grace."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}
        self._watchers: dict[str, set[Outbox]] = {}

    def __len__(self) -> int:
        return len(self._people)

    def get(self, user: str) -> Person | None:
        """The person, if connected here or not long gone."""
        return self._people.get(user)

    def attach(self, user: str, handle: str, outbox: Outbox) -> bool:
        """Give a person one more connection; True where it is the first."""
        person = self._people.get(user)
        if person is None:
            person = self._people[user] = Person(user, handle)
        first = not person.outboxes and person.seen_at is None
        person.seen_at = None
        person.outboxes = (*person.outboxes, outbox)
        outbox.person = person
        return first

    def detach(self, outbox: Outbox) -> Person | None:
        """Take a connection away; the person where it was the last."""
        person = outbox.person
        if person is None:
            return None
        person.outboxes = tuple(other for other in person.outboxes if other is not outbox)
        self.watch(outbox, frozenset())
        return person if not person.outboxes else None

    def drop(self, user: str) -> None:
        """Forget a person who has no connections."""
        person = self._people.get(user)
        if person is not None and not person.outboxes:
            del self._people[user]

    def watch(self, outbox: Outbox, users: frozenset[str]) -> None:
        """Let a connection watch exactly these people."""
        for user in outbox.watched - users:
            outbox.forget(user)
            watchers = self._watchers[user]
            watchers.discard(outbox)
            if not watchers:
                del self._watchers[user]
        for user in users - outbox.watched:
            self._watchers.setdefault(user, set()).add(outbox)
        outbox.watched = users

    def watchers(self, user: str) -> set[Outbox]:
        """The connections that watch a person."""
        return self._watchers.get(user, set())
