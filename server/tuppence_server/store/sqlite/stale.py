"""Finding and dropping what nobody needs any more, for SQLite; each statement goes by an index and is
bounded."""

from collections.abc import Collection, Iterator
from typing import Final

from tuppence_protocol.codec import encode_object
from tuppence_server.domain.changes import Changes

from .batch import Statement

QUOTES: Final = "SELECT id FROM quote WHERE used_by = '' AND expires_at <= ? ORDER BY expires_at LIMIT ?"
SESSIONS: Final = (
    "SELECT id FROM session WHERE coalesce(revoked_at, expires_at) <= ? "
    "ORDER BY coalesce(revoked_at, expires_at) LIMIT ?"
)
USES: Final = 'SELECT user, currency, slot FROM "use" WHERE slot < ? ORDER BY slot LIMIT ?'
_ONE_OF: Final = "id IN (SELECT value FROM json_each(?))"
_DROP_QUOTES: Final = f"DELETE FROM quote WHERE used_by = '' AND {_ONE_OF}"
_DROP_SESSIONS: Final = f"DELETE FROM session WHERE {_ONE_OF}"
_DROP_USES: Final = (
    "DELETE FROM \"use\" WHERE (user, currency, slot) IN (SELECT json_extract(value, '$[0]'), "
    "json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?))"
)
DROPS: Final = (_DROP_QUOTES, _DROP_SESSIONS, _DROP_USES)


def drops(changes: Changes) -> Iterator[Statement]:
    """The statements that drop what a batch has done with."""
    dropped: tuple[Collection[object], ...] = (
        changes.dropped_quotes,
        changes.dropped_sessions,
        changes.dropped_uses,
    )
    for sql, keys in zip(DROPS, dropped, strict=True):
        if keys:
            yield sql, (encode_object(list(keys)).decode(),)
