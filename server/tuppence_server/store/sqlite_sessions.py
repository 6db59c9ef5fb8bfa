"""What a session needs of the SQLite store at its beginning: who it is, how things stand, what was missed.

Thousands may come back at once after a restart, so each takes few round trips to a reading connection.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import aiosqlite
import msgspec

from tuppence_protocol.codec import encode_object, splice
from tuppence_protocol.events import ConversationView
from tuppence_protocol.limits import READY_CONVERSATIONS_MAX, RESUME_EVENTS_MAX
from tuppence_server.domain.rows import Conversation, Head, Member, Session, User
from tuppence_server.domain.views import conversation_view

from . import tables
from .base import Cursor, Funds, Identity, Missed, Snapshot
from .pool import Pool

_C, _M, _U = tables.CONVERSATION.select("c"), tables.MEMBER.select("m"), tables.USER.select("u")
_C_WIDTH: Final = len(tables.CONVERSATION.columns)
_M_WIDTH: Final = len(tables.MEMBER.columns)
HEAD: Final = "epoch, pos, hash, account_id, transfer_id, at, mode"
_S_WIDTH: Final = len(tables.SESSION.columns)
_U_WIDTH: Final = len(tables.USER.columns)
VIEWS: Final = (
    f"SELECT {_C}, {_M}, {_U} FROM member AS m JOIN conversation AS c ON c.id = m.conv "
    "LEFT JOIN user AS u ON c.kind = 'dm' "
    "AND u.id = replace(replace(c.pair, m.user, ''), '|', '') "
    "WHERE m.user = ? AND m.until IS NULL AND c.pos < ? ORDER BY c.pos DESC, c.id LIMIT ?"
)
FUNDS: Final = (
    "SELECT currency, credits_posted - debits_posted - debits_pending, debits_pending "
    "FROM account WHERE owner = ? AND code = 'customer' ORDER BY currency"
)
_GROUPS: Final = (
    "(SELECT json_group_array(m.conv) FROM member AS m JOIN conversation AS c ON c.id = m.conv "
    "WHERE m.user = {user} AND m.until IS NULL AND c.pair IS NULL)"
)
_IDENTIFY: Final = (
    f"SELECT {tables.SESSION.select('s')}, {_U}, {_GROUPS.format(user='u.id')} "
    "FROM session AS s JOIN user AS u ON u.id = s.user WHERE s.token_hash = ?"
)
_STANDING: Final = (
    f"SELECT h.epoch, h.pos, {_GROUPS.format(user=':user')}, "
    "(SELECT json_group_array(json_array(f.currency, f.available, f.held)) FROM (SELECT currency, "
    "credits_posted - debits_posted - debits_pending AS available, debits_pending AS held "
    "FROM account WHERE owner = :user AND code = 'customer' ORDER BY currency) AS f), "
    "EXISTS (SELECT 1 FROM session AS s JOIN user AS u ON u.id = s.user "
    "WHERE s.id = :session AND u.id = :user AND s.revoked_at IS NULL AND NOT u.disabled) FROM head AS h"
)
# The newest event at or before the cursor is found by walking the conversation's index backwards,
# which costs as many steps as there are missed events and no more.
_BEHIND: Final = (
    "SELECT m.conv, max(m.since, 1 + coalesce((SELECT e.seq FROM event AS e WHERE e.conv = m.conv "
    "AND e.seq > coalesce(m.until, c.seq) - :most AND e.seq <= coalesce(m.until, c.seq) "
    "AND e.pos <= :pos ORDER BY e.seq DESC LIMIT 1), coalesce(m.until, c.seq) - :most)), "
    "coalesce(m.until, c.seq) FROM member AS m JOIN conversation AS c ON c.id = m.conv "
    "WHERE m.user = :user AND c.pos > :pos"
)
_RANGE: Final = (
    "SELECT pos, head, body FROM json_each(?) AS k CROSS JOIN event AS e "
    "ON e.conv = json_extract(k.value, '$[0]') AND e.seq >= json_extract(k.value, '$[1]') "
    "AND e.seq <= json_extract(k.value, '$[2]') WHERE e.pos > ? ORDER BY pos LIMIT ?"
)
# Who left a group after the cursor and came back since would miss the end of the earlier stay.
_CAME_BACK: Final = (
    "SELECT 1 FROM member AS m JOIN event AS e ON e.conv = m.conv AND e.seq = m.left "
    "WHERE m.user = ? AND m.left IS NOT NULL AND e.pos > ? LIMIT 1"
)
_groups_of: Final = msgspec.json.Decoder(list[str]).decode
_funds_of: Final = msgspec.json.Decoder(list[tuple[str, int, int]]).decode


class SessionReads(Pool):
    """Reads for hello and resume."""

    async def head(self) -> Head:
        """Where the log stands."""
        rows = await self._rows(f"SELECT {HEAD} FROM head")
        return Head(*rows[0]) if rows else Head("")

    async def identify(self, token_hash: str) -> Identity | None:
        """Who the token belongs or belonged to; None where it is unknown."""
        rows = await self._rows(_IDENTIFY, token_hash)
        if not rows:
            return None
        row = rows[0]
        person = User(*row[_S_WIDTH : _S_WIDTH + _U_WIDTH])
        return Identity(person, Session(*row[:_S_WIDTH]), _groups_of(row[-1]))

    async def snapshot(self, user: str, session: str, cursor: Cursor | None) -> Snapshot:
        """How things stand for a person, and what they missed since the cursor."""
        who = {"user": user, "session": session}
        async with self._snapshot() as db:
            ((epoch, pos, groups, funds, alive),) = await db.execute_fetchall(_STANDING, who)
            views = await db.execute_fetchall(VIEWS, (user, pos + 1, READY_CONVERSATIONS_MAX))
            why = _why(cursor, epoch, pos)
            missed = None
            if why is None and cursor is not None:
                missed = await self._missed(db, user, cursor.pos)
                why = "too_far" if missed is None else None
        balances = [Funds(*each) for each in _funds_of(funds)]
        shown = [view_of(row) for row in views]
        return Snapshot(epoch, pos, shown, balances, _groups_of(groups), missed, why, bool(alive))

    async def _missed(self, db: aiosqlite.Connection, user: str, pos: int) -> list[Missed] | None:
        if await db.execute_fetchall(_CAME_BACK, (user, pos)):
            return None
        most = RESUME_EVENTS_MAX + 1
        behind = list(await db.execute_fetchall(_BEHIND, {"user": user, "pos": pos, "most": most}))
        if sum(upto - since + 1 for _, since, upto in behind if upto >= since) > RESUME_EVENTS_MAX:
            return None
        ranges = encode_object([list(row) for row in behind if row[2] >= row[1]]).decode()
        rows = await db.execute_fetchall(_RANGE, (ranges, pos, most))
        return [Missed(row[0], splice(row[1], row[2])) for row in rows]


def view_of(row: Sequence[Any]) -> ConversationView:
    """A row of VIEWS as the wire shows it."""
    peer = row[_C_WIDTH + _M_WIDTH :]
    return conversation_view(
        Conversation(*row[:_C_WIDTH]),
        Member(*row[_C_WIDTH : _C_WIDTH + _M_WIDTH]),
        None if peer[0] is None else User(*peer),
    )


def _why(cursor: Cursor | None, epoch: str, pos: int) -> Literal["first", "epoch", "too_far"] | None:
    if cursor is None:
        return "first"
    return "epoch" if cursor.epoch != epoch or cursor.pos > pos else None
