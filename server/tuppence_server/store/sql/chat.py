"""What people ask of their conversations: each read short, bounded and by an index."""

from collections.abc import Sequence
from typing import Final

from tuppence_protocol.codec import splice
from tuppence_protocol.kinds import ConversationView, MemberView
from tuppence_server.domain.rows import Conversation, Member, User, pair_of
from tuppence_server.domain.views import member_view
from tuppence_server.store import schema
from tuppence_server.store.contract import ConversationInfo, Page, fitting, info_of

from .port import OnPort, Reader
from .sessions import VIEWS, view_of

_C, _M, _U = schema.CONVERSATION.select("c"), schema.MEMBER.select("m"), schema.USER.select("u")
_C_WIDTH: Final = len(schema.CONVERSATION.columns)
_M_WIDTH: Final = len(schema.MEMBER.columns)
# Whoever asks is in a bounded number of groups; whom they ask about may be in conversations with everybody.
_ACQUAINTED: Final = (
    "WITH own (conv) AS MATERIALIZED (SELECT m.conv FROM member AS m INDEXED BY member_here "
    "CROSS JOIN conversation AS c ON c.id = m.conv "
    "WHERE m.user = :user AND m.until IS NULL AND c.pair IS NULL) "
    "SELECT DISTINCT u.id FROM json_each(:people) AS k "
    "CROSS JOIN user AS u ON u.id = k.value OR u.handle = k.value "
    "WHERE u.id = :user OR EXISTS (SELECT 1 FROM conversation AS c "
    "WHERE c.pair = min(u.id, :user) || '|' || max(u.id, :user)) "
    "OR EXISTS (SELECT 1 FROM own AS o CROSS JOIN member AS a ON a.conv = o.conv AND a.user = u.id "
    "WHERE a.until IS NULL)"
)
_CONVERSATION: Final = {
    column: f"SELECT {_C}, {_M} FROM conversation AS c JOIN member AS m ON m.conv = c.id AND m.user = :user "
    f"WHERE c.{column} = :key AND m.until IS NULL"
    for column in ("id", "pair")
}
_OF_PAGE: Final = "FROM event AS e WHERE e.conv = :conv AND e.seq BETWEEN :low AND :high ORDER BY e.seq"
_EVENT: Final = (
    "SELECT e.head, e.body FROM receipt AS r JOIN event AS e ON e.pos = r.pos "
    "JOIN member AS m ON m.conv = e.conv AND m.user = :user "
    "WHERE r.id = :id AND e.seq >= m.since AND m.until IS NULL"
)
_MEMBERS: Final = (
    f"SELECT {_M}, {_U} FROM member AS m JOIN user AS u ON u.id = m.user "
    "WHERE m.conv = :conv AND m.until IS NULL AND m.user > :after ORDER BY m.user LIMIT :limit"
)


class ChatReads(OnPort):
    """Reads of conversations."""

    async def conversation(self, user: str, place: str) -> ConversationInfo | None:
        """The conversation that a place names, if this person is in it."""
        async with self._port.snapshot() as db:
            found = await _found(db, user, place)
        return None if found is None else info_of(found[0])

    async def acquainted(self, user: str, people: Sequence[str]) -> list[str]:
        """Those of the people ("@handle" or id) who share a conversation with this person, by id."""
        named = [person.removeprefix("@") for person in people]
        return [id for (id,) in await self._rows(_ACQUAINTED, people=named, user=user)]

    async def history(
        self, user: str, place: str, before: int | None, after: int | None, limit: int
    ) -> Page | None:
        """A page of events that this person may see; None where there is no such conversation for them."""
        async with self._port.snapshot() as db:
            found = await _found(db, user, place)
            if found is None:
                return None
            conversation, member = found
            forward = after is not None and before is None
            low = max(member.since, 1 if after is None else after + 1)
            high = conversation.seq if before is None else min(conversation.seq, before - 1)
            of_page = f"{_OF_PAGE} {'ASC' if forward else 'DESC'} LIMIT :limit"
            span = {"conv": conversation.id, "low": low, "high": high}
            sizes = await db.rows(f"SELECT length(e.head) + length(e.body) {of_page}", **span, limit=limit)
            count = fitting(size for (size,) in sizes)
            rows = await db.rows(f"SELECT e.head, e.body {of_page}", **span, limit=count)
        events = [splice(*row) for row in (rows if forward else reversed(rows))]
        return Page(events, len(rows) >= high - low + 1)

    async def conversations(
        self, user: str, before: int | None, limit: int
    ) -> tuple[list[ConversationView], bool]:
        """A person's conversations, latest first, and whether these are the last."""
        top = before if before is not None else 2**62
        rows = await self._rows(VIEWS, user=user, before=top, limit=limit + 1)
        return [view_of(row) for row in rows[:limit]], len(rows) <= limit

    async def event(self, user: str, id: str) -> bytes | None:
        """One event, if this person may see it."""
        rows = await self._rows(_EVENT, user=user, id=id)
        return splice(*rows[0]) if rows else None

    async def members(
        self, user: str, place: str, after: str, limit: int
    ) -> tuple[list[MemberView], bool] | None:
        """Who is in a conversation, by user id."""
        async with self._port.snapshot() as db:
            found = await _found(db, user, place)
            if found is None:
                return None
            rows = await db.rows(_MEMBERS, conv=found[0].id, after=after, limit=limit + 1)
        people = [member_view(Member(*row[:_M_WIDTH]), User(*row[_M_WIDTH:])) for row in rows[:limit]]
        return people, len(rows) <= limit


async def _found(db: Reader, user: str, place: str) -> tuple[Conversation, Member] | None:
    """The conversation that a place names, and this person's part in it."""
    by, key = "id", place
    if place == "self":
        by, key = "pair", user
    elif place.startswith("@"):
        peers = await db.rows("SELECT u.id FROM user AS u WHERE u.handle = :handle", handle=place[1:])
        if not peers:
            return None
        by, key = "pair", pair_of(user, peers[0][0])
    rows = await db.rows(_CONVERSATION[by], user=user, key=key)
    return (Conversation(*rows[0][:_C_WIDTH]), Member(*rows[0][_C_WIDTH:])) if rows else None
