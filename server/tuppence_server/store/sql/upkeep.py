"""What is over, and what nobody needs any more; each statement goes by an index and is bounded."""

from typing import Final

from tuppence_server.domain.stale import Before
from tuppence_server.store.contract import Stale

from .port import OnPort

_DUE: Final = (
    "SELECT id FROM payment WHERE state IN ('pending', 'open') AND expires_at <= :now "
    "ORDER BY expires_at LIMIT :limit"
)
_QUOTES: Final = (
    "SELECT id FROM quote WHERE used_by = '' AND expires_at <= :before ORDER BY expires_at LIMIT :limit"
)
_SESSIONS: Final = (
    "SELECT id FROM session WHERE coalesce(revoked_at, expires_at) <= :before "
    "ORDER BY coalesce(revoked_at, expires_at) LIMIT :limit"
)
_USES: Final = (
    'SELECT u.user, u.currency, u.slot FROM "use" AS u WHERE u.slot < :before ORDER BY u.slot LIMIT :limit'
)
_LATEST: Final = (
    "SELECT (SELECT coalesce(max(expires_at), 0) FROM quote), "
    "(SELECT coalesce(max(created_at), 0) FROM session)"
)


class UpkeepReads(OnPort):
    """What the sweep looks for, and by what commit time goes on."""

    async def due(self, now: int, limit: int) -> list[str]:
        """Payments whose time is over, the longest first."""
        return [id for (id,) in await self._rows(_DUE, now=now, limit=limit)]

    async def stale(self, before: Before, limit: int) -> Stale:
        """What nobody needs any more, so many of each, the longest first."""
        quotes = await self._rows(_QUOTES, before=before.quotes, limit=limit)
        sessions = await self._rows(_SESSIONS, before=before.sessions, limit=limit)
        uses = await self._rows(_USES, before=before.slot, limit=limit)
        return Stale(tuple(id for (id,) in quotes), tuple(id for (id,) in sessions), tuple(map(tuple, uses)))

    async def latest(self, quote_ms: int) -> int:
        """The latest commit without an event that rows tell of: a login,
        or a quote that holds for `quote_ms`."""
        ((expiry, login),) = await self._rows(_LATEST)
        return max(int(expiry) - quote_ms, int(login), 0)
