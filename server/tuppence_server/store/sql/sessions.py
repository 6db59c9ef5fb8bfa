"""What a session needs at its beginning: who it is, how things stand, what was missed.

Thousands may come back at once after a restart, so each takes few round trips to a reader.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from tuppence_protocol.codec import splice
from tuppence_protocol.kinds import ConversationView
from tuppence_protocol.limits import READY_CONVERSATIONS_MAX, RESUME_BYTES_MAX, RESUME_EVENTS_MAX
from tuppence_server.domain.rows import Conversation, LogHead, Member, Session, User
from tuppence_server.domain.views import conversation_view
from tuppence_server.store import schema
from tuppence_server.store.contract import Cursor, Funds, Identity, Missed, Snapshot

from .port import OnPort, Reader

_C, _M, _U = schema.CONVERSATION.select("c"), schema.MEMBER.select("m"), schema.USER.select("u")
_C_WIDTH: Final = len(schema.CONVERSATION.columns)
_M_WIDTH: Final = len(schema.MEMBER.columns)
HEAD: Final = "epoch, pos, hash, account_id, transfer_id, at, mode"
_S_WIDTH: Final = len(schema.SESSION.columns)
# Which conversations were spoken in last is settled before more than that is read of them.
VIEWS: Final = (
    f"SELECT {_C}, {_M}, {_U} FROM (SELECT c.id, c.pos FROM member AS m CROSS JOIN conversation AS c "
    "ON c.id = m.conv WHERE m.user = :user AND m.until IS NULL AND c.pos < :before "
    "ORDER BY c.pos DESC, c.id LIMIT :limit) AS k "
    "CROSS JOIN conversation AS c ON c.id = k.id CROSS JOIN member AS m ON m.conv = k.id AND m.user = :user "
    "LEFT JOIN user AS u ON c.kind = 'dm' AND u.id = replace(replace(c.pair, m.user, ''), '|', '') "
    "ORDER BY k.pos DESC, k.id"
)
FUNDS: Final = (
    "SELECT currency, credits_posted - debits_posted - debits_pending, debits_pending "
    "FROM account WHERE owner = :user AND code = 'customer' ORDER BY currency"
)
_GROUPS: Final = (
    "SELECT json_group_array(m.conv) FROM member AS m CROSS JOIN conversation AS c ON c.id = m.conv "
    "WHERE m.user = :user AND m.until IS NULL AND c.pair IS NULL"
)
_IDENTIFY: Final = (
    f"SELECT {schema.SESSION.select('s')}, {_U} "
    "FROM session AS s CROSS JOIN user AS u ON u.id = s.user WHERE s.token_hash = :token_hash"
)
_STANDING: Final = (
    f"SELECT h.epoch, h.pos, ({_GROUPS}), "
    "(SELECT json_group_array(json_array(f.currency, f.available, f.held)) FROM (SELECT currency, "
    "credits_posted - debits_posted - debits_pending AS available, debits_pending AS held "
    "FROM account WHERE owner = :user AND code = 'customer' ORDER BY currency) AS f), "
    "EXISTS (SELECT 1 FROM session AS s JOIN user AS u ON u.id = s.user "
    "WHERE s.id = :session AND u.id = :user AND s.revoked_at IS NULL AND u.disabled = 0) FROM head AS h"
)
# Stays that ended after the cursor, and conversations that went on; each missed an event at least. Who left
# and came back has no end here, since the end of the earlier stay cannot be told. What was seen last is found
# by halving.
_BEHIND: Final = (
    "WITH RECURSIVE ends (conv, low, upto) AS ("
    "SELECT m.conv, m.since - 1, m.until FROM member AS m INDEXED BY member_gone "
    "WHERE m.user = :user AND m.gone > :pos AND m.gone > 0 UNION ALL "
    "SELECT m.conv, m.since - 1, c.seq FROM member AS m INDEXED BY member_here "
    "CROSS JOIN conversation AS c ON c.id = m.conv WHERE m.user = :user AND m.until IS NULL AND c.pos > :pos "
    "LIMIT :most), "
    "seek (conv, low, high, upto) AS (SELECT conv, max(low, upto - :most), upto, upto FROM ends UNION ALL "
    "SELECT k.conv, CASE WHEN e.pos <= :pos THEN e.seq ELSE k.low END, "
    "CASE WHEN e.pos <= :pos THEN k.high ELSE e.seq - 1 END, k.upto "
    "FROM seek AS k CROSS JOIN event AS e ON e.conv = k.conv AND e.seq = (k.low + k.high + 1) / 2 "
    "WHERE k.low < k.high) "
    "SELECT conv, low + 1, upto FROM seek WHERE low = high OR upto IS NULL"
)
_IN_RANGES: Final = (
    "FROM json_each(:ranges) AS k CROSS JOIN event AS e ON e.conv = json_extract(k.value, '$[0]') "
    "AND e.seq BETWEEN CAST(json_extract(k.value, '$[1]') AS BIGINT) "
    "AND CAST(json_extract(k.value, '$[2]') AS BIGINT)"
)
# The lengths stand at the beginning of a row, so that what is too long to be sent is not read.
_WEIGHT: Final = f"SELECT coalesce(sum(length(e.head) + length(e.body)), 0) {_IN_RANGES}"
_RANGE: Final = f"SELECT e.pos, e.head, e.body {_IN_RANGES} ORDER BY e.pos"
_groups_of: Final = msgspec.json.Decoder(list[str]).decode
_funds_of: Final = msgspec.json.Decoder(list[tuple[str, int, int]]).decode


class SessionReads(OnPort):
    """Reads for hello and resume."""

    async def head(self) -> LogHead:
        """Where the log stands."""
        async with self._port.snapshot() as db:
            rows = await db.rows(f"SELECT {HEAD} FROM head")
            sealed = await db.rows("SELECT name, digest FROM seal")
        if not rows:
            return LogHead("")
        head = LogHead(*rows[0])
        head.seals = dict(sealed)
        return head

    async def identify(self, token_hash: str) -> Identity | None:
        """Who the token belongs or belonged to; None where it is unknown."""
        async with self._port.reader("tokens") as db:
            rows = await db.rows(_IDENTIFY, token_hash=token_hash)
        return Identity(User(*rows[0][_S_WIDTH:]), Session(*rows[0][:_S_WIDTH])) if rows else None

    async def groups(self, user: str) -> list[str]:
        """The groups that a person is in."""
        async with self._port.reader("hellos") as db:
            ((groups,),) = await db.rows(_GROUPS, user=user)
        return _groups_of(groups)

    async def snapshot(self, user: str, session: str, cursor: Cursor | None) -> Snapshot:
        """How things stand for a person, and what they missed since the cursor."""
        async with self._port.snapshot("hellos") as db:
            ((epoch, pos, groups, funds, alive),) = await db.rows(_STANDING, user=user, session=session)
            views = await db.rows(VIEWS, user=user, before=pos + 1, limit=READY_CONVERSATIONS_MAX)
            why = _why(cursor, epoch, pos)
            missed = None
            if why is None and cursor is not None:
                missed = await _missed(db, user, cursor.pos)
                why = "too_far" if missed is None else None
        balances = [Funds(*each) for each in _funds_of(funds)]
        shown = [view_of(row) for row in views]
        return Snapshot(epoch, pos, shown, balances, _groups_of(groups), missed, why, bool(alive))


async def _missed(db: Reader, user: str, pos: int) -> list[Missed] | None:
    behind = await db.rows(_BEHIND, user=user, pos=pos, most=RESUME_EVENTS_MAX + 1)
    if any(upto is None for _, _, upto in behind):
        return None
    if sum(upto - first + 1 for _, first, upto in behind) > RESUME_EVENTS_MAX:
        return None
    ((weight,),) = await db.rows(_WEIGHT, ranges=behind)
    if weight > RESUME_BYTES_MAX:
        return None
    return [Missed(row[0], splice(row[1], row[2])) for row in await db.rows(_RANGE, ranges=behind)]


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
