"""The read side of the SQLite store: a small pool of query-only connections, each read short and in one snapshot."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import aiosqlite

from tuppence_protocol.codec import encode_object, splice
from tuppence_protocol.kinds import ConversationView, MemberView
from tuppence_protocol.views import SERVER_AUTHOR, UserView
from tuppence_server.domain.rows import (
    OPERATOR,
    Account,
    Conversation,
    IdempotencyRecord,
    LoggedEvent,
    LogHead,
    Member,
    Session,
    Transfer,
    User,
    pair_of,
)
from tuppence_server.domain.stale import Before
from tuppence_server.domain.views import member_view, user_view
from tuppence_server.store import schema
from tuppence_server.store.contract import (
    Funds,
    LogReader,
    Misplaced,
    OutcomeRow,
    Page,
    Place,
    Stale,
    StoreFault,
    fitting,
    place_of,
)

from . import stale
from .faults import store_faults
from .log import SqliteLog
from .people import PeopleReads
from .sessions import FUNDS, HEAD, VIEWS, view_of
from .soundness import faults

LOG_ROWS_PER_READ: Final = 2_000

_C, _M, _U = schema.CONVERSATION.select("c"), schema.MEMBER.select("m"), schema.USER.select("u")
_C_WIDTH: Final = len(schema.CONVERSATION.columns)
_M_WIDTH: Final = len(schema.MEMBER.columns)
# Whoever asks is in a bounded number of groups; whom they ask about may be in conversations with everybody.
_ACQUAINTED: Final = (
    "WITH own (conv) AS MATERIALIZED (SELECT m.conv FROM member AS m INDEXED BY member_here "
    "CROSS JOIN conversation AS c ON c.id = m.conv WHERE m.user = ?2 AND m.until IS NULL AND c.pair IS NULL) "
    "SELECT DISTINCT u.id FROM json_each(?1) AS k "
    "CROSS JOIN user AS u ON u.id = k.value OR u.handle = k.value "
    "WHERE u.id = ?2 OR EXISTS (SELECT 1 FROM conversation AS c "
    "WHERE c.pair = min(u.id, ?2) || '|' || max(u.id, ?2)) "
    "OR EXISTS (SELECT 1 FROM own AS o CROSS JOIN member AS a ON a.conv = o.conv AND a.user = u.id "
    "WHERE a.until IS NULL)"
)
_PLACE: Final = {
    "id": f"SELECT {_C}, {_M} FROM conversation AS c JOIN member AS m ON m.conv = c.id AND m.user = ? WHERE c.id = ?",
    "pair": f"SELECT {_C}, {_M} FROM conversation AS c JOIN member AS m ON m.conv = c.id AND m.user = ? WHERE c.pair = ?",
}

_OUTCOMES: Final = (
    "SELECT CAST(id || sender AS BLOB), pos, id FROM receipt "
    "WHERE id > ? AND pos IS NOT NULL ORDER BY id LIMIT ?"
)
_REFUSALS: Final = (
    f"SELECT {schema.RECEIPT.select()} FROM receipt WHERE id > ? AND pos IS NULL ORDER BY id LIMIT ?"
)
_ITS_OWN: Final = (
    "r.pos = e.pos AND r.id = e.id "
    f"AND r.sender = CASE e.author WHEN '{SERVER_AUTHOR}' THEN '{OPERATOR}' ELSE e.author END"
)
_WITHOUT_RECEIPT: Final = (
    f"SELECT e.pos FROM envelope AS e WHERE NOT EXISTS (SELECT 1 FROM receipt AS r WHERE {_ITS_OWN}) LIMIT ?"
)
_WITHOUT_EVENT: Final = (
    "SELECT r.id FROM receipt AS r WHERE r.pos IS NOT NULL "
    f"AND NOT EXISTS (SELECT 1 FROM envelope AS e WHERE e.pos = r.pos AND {_ITS_OWN}) LIMIT ?"
)


_SESSIONS: Final = (
    f"SELECT {schema.SESSION.select()} FROM session WHERE user = ? AND revoked_at IS NULL AND expires_at > ? "
    "ORDER BY created_at DESC, id LIMIT ?"
)

Key = TypeVar("Key", bound=Any)


def _onward(last: Key, before: Key) -> Key:
    """Behind which row to read on; the pages of a damaged file may lead round in a circle."""
    try:
        further = last > before
    except TypeError:
        further = False
    if not further:
        raise StoreFault("the rows of a table do not follow each other; the file is damaged", fatal=True)
    return last


class SqliteReads(PeopleReads):
    """Everything that only reads."""

    # Conversations

    async def place(self, user: str, place: str) -> Place | None:
        """The conversation that a place names, if this person is in it."""
        async with self._snapshot() as db:
            found = await self._place(db, user, place)
        return None if found is None else place_of(found[0])

    async def acquainted(self, user: str, people: Sequence[str]) -> list[str]:
        """Those of the people ("@handle" or id) who share a conversation with this person, by id."""
        rows = await self._rows(
            _ACQUAINTED, encode_object([p.removeprefix("@") for p in people]).decode(), user
        )
        return [row[0] for row in rows]

    async def history(
        self, user: str, place: str, before: int | None, after: int | None, limit: int
    ) -> Page | None:
        """A page of events that this person may see; None where there is no such conversation for them."""
        async with self._snapshot() as db:
            found = await self._place(db, user, place)
            if found is None:
                return None
            conversation, member = found
            forward = after is not None and before is None
            low = max(member.since, 1 if after is None else after + 1)
            high = conversation.seq if before is None else min(conversation.seq, before - 1)
            of_page = (
                "FROM event WHERE conv = ? AND seq BETWEEN ? AND ? "
                f"ORDER BY seq {'ASC' if forward else 'DESC'} LIMIT ?"
            )
            span = (conversation.id, low, high)
            sizes = await db.execute_fetchall(f"SELECT length(head) + length(body) {of_page}", (*span, limit))
            count = fitting(size for (size,) in sizes)
            rows = list(await db.execute_fetchall(f"SELECT head, body {of_page}", (*span, count)))
        events = [splice(row[0], row[1]) for row in (rows if forward else reversed(rows))]
        return Page(events, len(rows) >= high - low + 1)

    async def _place(
        self, db: aiosqlite.Connection, user: str, place: str
    ) -> tuple[Conversation, Member] | None:
        by, key = "id", place
        if place == "self":
            by, key = "pair", user
        elif place.startswith("@"):
            rows = list(await db.execute_fetchall("SELECT id FROM user WHERE handle = ?", (place[1:],)))
            if not rows:
                return None
            by, key = "pair", pair_of(user, rows[0][0])
        rows = list(await db.execute_fetchall(_PLACE[by], (user, key)))
        if not rows:
            return None
        member = Member(*rows[0][_C_WIDTH:])
        return None if member.until is not None else (Conversation(*rows[0][:_C_WIDTH]), member)

    async def conversations(
        self, user: str, before: int | None, limit: int
    ) -> tuple[list[ConversationView], bool]:
        """A person's conversations, latest first, and whether these are the last."""
        top = before if before is not None else 2**62
        rows = await self._rows(VIEWS, user, top, limit + 1)
        return [view_of(row) for row in rows[:limit]], len(rows) <= limit

    async def event(self, user: str, id: str) -> bytes | None:
        """One event, if this person may see it."""
        rows = await self._rows(
            "SELECT e.head, e.body FROM receipt AS r JOIN event AS e ON e.pos = r.pos "
            "JOIN member AS m ON m.conv = e.conv AND m.user = ? "
            "WHERE r.id = ? AND e.seq >= m.since AND m.until IS NULL",
            user,
            id,
        )
        return splice(rows[0][0], rows[0][1]) if rows else None

    async def members(
        self, user: str, place: str, after: str, limit: int
    ) -> tuple[list[MemberView], bool] | None:
        """Who is in a conversation, by user id."""
        async with self._snapshot() as db:
            found = await self._place(db, user, place)
            if found is None:
                return None
            rows = list(
                await db.execute_fetchall(
                    f"SELECT {_M}, {_U} FROM member AS m JOIN user AS u ON u.id = m.user "
                    "WHERE m.conv = ? AND m.until IS NULL AND m.user > ? ORDER BY m.user LIMIT ?",
                    (found[0].id, after, limit + 1),
                )
            )
        people = [member_view(Member(*row[:_M_WIDTH]), User(*row[_M_WIDTH:])) for row in rows[:limit]]
        return people, len(rows) <= limit

    # People and money

    async def person(self, reference: str) -> UserView | None:
        """A person by "@handle", "handle" or id, as others see them."""
        rows = await self._rows(
            f"SELECT {schema.USER.select()} FROM user WHERE id = ?1 OR handle = ?2 ORDER BY id <> ?1 LIMIT 1",
            reference,
            reference.removeprefix("@"),
        )
        return user_view(User(*rows[0])) if rows else None

    async def user(self, handle: str) -> User | None:
        """A person by handle, whole."""
        rows = await self._rows(f"SELECT {schema.USER.select()} FROM user WHERE handle = ?", handle)
        return User(*rows[0]) if rows else None

    async def users(self) -> list[User]:
        """Everybody, by handle."""
        return [
            User(*row) for row in await self._rows(f"SELECT {schema.USER.select()} FROM user ORDER BY handle")
        ]

    async def funds(self, user: str) -> tuple[list[Funds], int]:
        """A person's balances and the `pos` at which they are so."""
        async with self._snapshot() as db:
            ((pos,),) = await db.execute_fetchall("SELECT pos FROM head")
            rows = await db.execute_fetchall(FUNDS, (user,))
        return [Funds(*row) for row in rows], pos

    async def sessions(self, user: str, now: int, limit: int) -> list[Session]:
        """A person's logins that are still good, latest first."""
        return [Session(*row) for row in await self._rows(_SESSIONS, user, now, limit)]

    # Checking and copying

    async def log(self, after: int, upto: int) -> AsyncIterator[Sequence[LoggedEvent]]:
        """The log in order, in pieces."""
        sql = f"SELECT {schema.EVENT.select()} FROM event WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?"
        while rows := await self._rows(sql, after, upto, LOG_ROWS_PER_READ):
            yield [LoggedEvent(*row) for row in rows]
            after = _onward(rows[-1][0], after)

    async def transfers(self, after: int, upto: int) -> AsyncIterator[Sequence[Transfer]]:
        """All transfers in order, in pieces."""
        sql = f"SELECT {schema.TRANSFER.select()} FROM transfer WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        while rows := await self._rows(sql, after, upto, LOG_ROWS_PER_READ):
            yield [Transfer(*row) for row in rows]
            after = _onward(rows[-1][0], after)

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""
        return [
            Account(*row)
            for row in await self._rows(f"SELECT {schema.ACCOUNT.select()} FROM account ORDER BY id")
        ]

    def reader(self) -> LogReader | None:
        """The log as another process can read it."""
        return SqliteLog(self.path)

    async def outcomes(self) -> AsyncIterator[Sequence[OutcomeRow]]:
        """The receipts that name an event, in pieces."""
        after = ""
        while rows := await self._rows(_OUTCOMES, after, LOG_ROWS_PER_READ):
            yield [row[:2] for row in rows]
            after = _onward(rows[-1][2], after)

    async def refusals(self) -> AsyncIterator[Sequence[IdempotencyRecord]]:
        """The receipts that keep a refusal, in pieces."""
        after = ""
        while rows := await self._rows(_REFUSALS, after, LOG_ROWS_PER_READ):
            yield [IdempotencyRecord(*row) for row in rows]
            after = _onward(rows[-1][0], after)

    async def misplaced(self, limit: int) -> Misplaced:
        """Events that have not exactly their receipt, and receipts that are no event's; so many of each."""
        events, receipts = await self._rows(_WITHOUT_RECEIPT, limit), await self._rows(_WITHOUT_EVENT, limit)
        return Misplaced([row[0] for row in events], [row[0] for row in receipts])

    async def all_conversations(self) -> list[Conversation]:
        """Every conversation."""
        return [
            Conversation(*row)
            for row in await self._rows(f"SELECT {schema.CONVERSATION.select()} FROM conversation")
        ]

    async def all_members(self) -> AsyncIterator[Sequence[Member]]:
        """Every membership, also ended ones, in pieces."""
        sql = (
            f"SELECT {schema.MEMBER.select()} FROM member "
            "WHERE (conv, user) > (?, ?) ORDER BY conv, user LIMIT ?"
        )
        after = ("", "")
        while rows := await self._rows(sql, *after, LOG_ROWS_PER_READ):
            yield [Member(*row) for row in rows]
            after = _onward((rows[-1][0], rows[-1][1]), after)

    async def faults(self) -> list[str]:
        """What is wrong with the file in itself; it must be at rest."""
        return await asyncio.to_thread(faults, self.path)

    async def currencies(self) -> dict[str, int]:
        """The exponent by which each currency's amounts were written."""
        return dict(await self._rows("SELECT code, exponent FROM currency"))

    async def due(self, now: int, limit: int) -> list[str]:
        """Payments whose time is over, the longest first."""
        rows = await self._rows(
            "SELECT id FROM payment WHERE state IN ('pending', 'open') AND expires_at <= ? "
            "ORDER BY expires_at LIMIT ?",
            now,
            limit,
        )
        return [row[0] for row in rows]

    async def stale(self, before: Before, limit: int) -> Stale:
        """What nobody needs any more, so many of each, the longest first."""
        quotes = await self._rows(stale.QUOTES, before.quotes, limit)
        sessions = await self._rows(stale.SESSIONS, before.sessions, limit)
        uses = await self._rows(stale.USES, before.slot, limit)
        return Stale(
            tuple(row[0] for row in quotes),
            tuple(row[0] for row in sessions),
            tuple(tuple(row) for row in uses),
        )

    async def backup(self, path: Path) -> LogHead:
        """Write a whole, compact copy as of one moment, while the road goes on; where the copy's log stands."""
        with store_faults():
            return await self._copy(path)

    async def _copy(self, path: Path) -> LogHead:
        copier = await aiosqlite.connect(self.path, isolation_level=None)
        try:
            await copier.execute_fetchall("PRAGMA wal_autocheckpoint = 0")
            await copier.execute("VACUUM INTO ?", (str(path),))
            await copier.execute("ATTACH ? AS copy", (str(path),))
            rows = list(await copier.execute_fetchall(f"SELECT {HEAD} FROM copy.head"))
        finally:
            await copier.close()
        return LogHead(*rows[0])
