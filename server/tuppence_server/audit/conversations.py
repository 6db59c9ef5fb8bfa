"""Who is in which conversation, folded from the log and held against the rows.

A dm and `self` tell it by themselves: who is in them never changes. A group's is told by its events. How far
somebody has read and got is no event; it has bounds.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import DecodeError, Struct, json

from tuppence_protocol.kinds import (
    EVENT_BODIES,
    MemberRemoved,
    MembersInvited,
    RoleGiven,
    RoomCreated,
    RoomUpdated,
)
from tuppence_protocol.views import Extensible
from tuppence_server.domain.rows import Conversation, Member, User

from .legs import Envelope, Mismatch, decode_envelope, must_be
from .range import RawEvent

_bodies: Final[dict[str, Callable[[bytes], Extensible]]] = {
    kind: json.Decoder(body).decode for kind, body in EVENT_BODIES.items() if kind.startswith("room.")
}


class Stay(Struct):
    """Somebody in a group: as their row, but for how far they have read."""

    role: str
    since: int
    until: int | None = None
    gone: int = 0


class Group(Struct):
    """A group as the log has made it."""

    title: str
    stays: dict[str, Stay]


class Rooms:
    """All groups, and where each conversation began and stands."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._groups: dict[str, Group] = {}
        self._known: dict[str, Conversation] = {}

    def take(self, raw: Sequence[RawEvent]) -> None:
        """The next events that change who is in a group."""
        for each in raw:
            try:
                envelope = decode_envelope(each.envelope)
                self._fold(envelope, _bodies[envelope.kind](each.body))
            except KeyError:
                self._report(f"pos {each.pos}: there is no such event of a group")
            except DecodeError as odd:
                self._report(f"pos {each.pos}: the body is not that of its kind: {odd}")
            except Mismatch as odd:
                self._report(f"pos {each.pos}: {odd}")

    def _fold(self, envelope: Envelope, body: Extensible) -> None:
        if isinstance(body, RoomCreated):
            must_be((body.kind, envelope.seq, envelope.conv in self._groups), ("group", 1, False))
            stays = {user: Stay("member", 1) for user in (envelope.from_, *body.members)}
            stays[envelope.from_].role = "owner"
            self._groups[envelope.conv] = Group(body.title, stays)
            return
        group = self._groups.get(envelope.conv)
        if group is None:
            raise Mismatch("changes a group that was not opened")
        author = self._present(group, envelope.from_)
        if isinstance(body, RoomUpdated):
            group.title = body.title
        elif isinstance(body, MembersInvited):
            for user in body.users:
                self._join(group, user, envelope.seq)
        elif isinstance(body, RoleGiven):
            self._present(group, body.user).role = body.role
        elif isinstance(body, MemberRemoved):
            self._end(self._present(group, body.user), envelope)
        else:
            self._end(author, envelope)

    def _present(self, group: Group, user: str) -> Stay:
        stay = group.stays.get(user)
        if stay is None or stay.until is not None:
            raise Mismatch(f"is about {user}, who is not in the group")
        return stay

    def _end(self, stay: Stay, envelope: Envelope) -> None:
        stay.until, stay.gone = envelope.seq, envelope.pos

    def _join(self, group: Group, user: str, seq: int) -> None:
        before = group.stays.get(user)
        if before is not None and before.until is None:
            raise Mismatch(f"brings in {user}, who is in the group already")
        group.stays[user] = Stay("member", seq, None, 0 if before is None else before.gone)

    # Against the rows

    def conversations(
        self,
        rows: Iterable[Conversation],
        users: Mapping[str, User],
        begun: Mapping[str, int],
        lasts: Mapping[str, tuple[int, int]],
    ) -> None:
        """Every conversation as it is stored; `begun` is when the log has them begin, `lasts` where it has
        them stand."""
        own: set[str | None] = set()
        self._count_groups(users.values())
        for row in rows:
            self._known[row.id] = row
            seq, pos = lasts.get(row.id, (0, 0))
            if row.seq != seq:
                self._report(f"{row.id}: stands at {row.seq}, its last event is {seq}")
            elif row.pos != pos:
                self._report(f"{row.id}: says that its last event is at pos {row.pos}, it is at {pos}")
            group = self._groups.get(row.id)
            if (group is not None) != (row.kind == "group") or (row.pair is None) != (group is not None):
                self._report(f"{row.id}: is stored as a {row.kind}, and is none")
                continue
            first = begun.get(row.id, row.created_at)
            if group is None:
                first = self._pair(row, users, first)
                own.add(row.pair if row.kind == "self" else "")
            else:
                here = [stay for stay in group.stays.values() if stay.until is None]
                owners = sum(stay.role == "owner" for stay in here)
                expected = (group.title, len(here), owners)
                if (row.title, row.members, row.owners) != expected:
                    self._report(f"{row.id}: title and people are not what its events make of them")
            if row.created_at != first:
                self._report(f"{row.id}: began at {first}, its row says {row.created_at}")
        for conv in lasts.keys() - self._known.keys():
            self._report(f"{conv}: has events and no row")
        for user in users.keys() - own:
            self._report(f"user {user}: has no conversation with themselves")

    def _count_groups(self, users: Iterable[User]) -> None:
        found = Counter(
            user
            for group in self._groups.values()
            for user, stay in group.stays.items()
            if stay.until is None
        )
        for user in users:
            if user.groups != found[user.id]:
                self._report(f"user {user.id}: is in {found[user.id]} groups, their row says {user.groups}")

    def _pair(self, row: Conversation, users: Mapping[str, User], begun: int) -> int:
        """Whose dm or `self` it is; when it began."""
        people = (row.pair or "").split("|")
        alone = row.kind == "self"
        if (
            len(people) != (1 if alone else 2)
            or people != sorted(set(people))
            or not users.keys() >= set(people)
        ):
            self._report(f"{row.id}: is between {row.pair}, which are no people")
        elif (row.title, row.members, row.owners) != ("", len(people), int(alone)):
            self._report(f"{row.id}: title and people are not those of its kind")
        elif alone:
            return users[people[0]].created_at
        return begun

    def members(self, rows: Sequence[Member]) -> int:
        """Some of the memberships as they are stored; how many."""
        for row in rows:
            conversation = self._known.get(row.conv)
            if conversation is None:
                self._report(f"{row.conv}: {row.user} is in it, and it is not there")
                continue
            if Stay(row.role, row.since, row.until, row.gone) != self._stay(conversation, row.user):
                self._report(f"{row.conv}: how {row.user} is in it is not what the log makes of it")
            if not 0 <= row.read <= row.delivered <= conversation.seq:
                self._report(
                    f"{row.conv}: {row.user} has read {row.read} and got {row.delivered}, which cannot be"
                )
        return len(rows)

    def _stay(self, conversation: Conversation, user: str) -> Stay | None:
        if conversation.pair is None:
            group = self._groups.get(conversation.id)
            return None if group is None else group.stays.get(user)
        if user not in conversation.pair.split("|"):
            return None
        return Stay("owner" if conversation.kind == "self" else "member", 1)

    def expected(self) -> int:
        """How many memberships there must be."""
        groups = sum(len(group.stays) for group in self._groups.values())
        return groups + sum(row.pair.count("|") + 1 for row in self._known.values() if row.pair is not None)
