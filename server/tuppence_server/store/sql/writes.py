"""A batch as statements with their values, in the order to be written."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from tuppence_server.domain.changes import Changes
from tuppence_server.domain.rows import LogHead
from tuppence_server.store.loading import dropped, written
from tuppence_server.store.schema import Table

from .loads import deleting

Sql = tuple[str, Any]
"""A statement with its values, by name or in order."""
_END_USER: Final = "UPDATE session SET revoked_at = :at WHERE user = :user AND revoked_at IS NULL"
_CURRENCY: Final = "INSERT INTO currency VALUES (:code, :exponent) ON CONFLICT (code) DO NOTHING"
_SEAL: Final = (
    "INSERT INTO seal VALUES (:name, :digest) ON CONFLICT (name) DO UPDATE SET digest = excluded.digest"
)
_HEAD: Final = (
    "UPDATE head SET epoch = :epoch, pos = :pos, hash = :hash, account_id = :account_id, "
    "transfer_id = :transfer_id, at = :at WHERE one = 1"
)


def batch(
    changes: Changes, head: LogHead, rows: Callable[[Table, Collection[Any]], Iterable[Sql]]
) -> Iterator[Sql]:
    """All of a batch; `rows` says how many rows of a table are written,
    which each database has its own way for."""
    for user, at in changes.ended_users.items():
        yield _END_USER, {"user": user, "at": at}
    for lookup, keys in dropped(changes):
        yield deleting(lookup), {"keys": list(keys)}
    for table, some in written(changes):
        yield from rows(table, some)
    for code, exponent in changes.currencies.items():
        yield _CURRENCY, {"code": code, "exponent": exponent}
    for name, digest in changes.seals.items():
        yield _SEAL, {"name": name, "digest": digest}
    yield (
        _HEAD,
        {name: getattr(head, name) for name in ("epoch", "pos", "hash", "account_id", "transfer_id", "at")},
    )
