"""Row type <-> table and columns, once. The order of a row's fields is the order of its columns."""

from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import astuple

from tuppence_server.domain.rows import (
    Account,
    Conversation,
    IdempotencyRecord,
    LoggedEvent,
    Member,
    Payment,
    Quote,
    Session,
    Share,
    Transfer,
    Use,
    User,
)

Values = tuple[Any, ...]


class Table(Struct, frozen=True):
    """A table: its name, its row type, its key, and the columns that ever change once a row is there.

    `values` gives a row's, in the order of the columns. Naming only what changes spares the indexes over the rest.

    Python's sqlite3 asks every value but an int, float, str or bytearray how it wants to be adapted, which costs
    more than writing it: so bytes go in as bytearrays, and what fills a statement up is 0 and not NULL.
    """

    name: str
    row: type[Struct]
    key: tuple[str, ...]
    values: Callable[[Any], Values] = astuple
    only: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in the order of the row's fields."""
        return self.only or self.row.__struct_fields__

    def select(self, alias: str = "") -> str:
        """The column list of a SELECT."""
        prefix = f"{alias}." if alias else ""
        return ", ".join(f'{prefix}"{column}"' for column in self.columns)

    def insert(self, rows: int) -> str:
        """INSERT of up to so many rows at once; a row whose first value is 0 is none."""
        names = ", ".join(f'"{column}"' for column in self.columns)
        marks = ", ".join(["(" + ", ".join("?" * len(self.columns)) + ")"] * rows)
        return f'INSERT INTO "{self.name}" ({names}) SELECT * FROM (VALUES {marks}) WHERE column1 IS NOT 0'

    def upsert(self, rows: int) -> str:
        """INSERT of up to so many rows, or UPDATE of those whose key is there."""
        changed = ", ".join(f'"{column}" = excluded."{column}"' for column in self.changing)
        key = ", ".join(f'"{column}"' for column in self.key)
        return f"{self.insert(rows)} ON CONFLICT ({key}) DO UPDATE SET {changed}"

    def padded(self, rows: Sequence[Struct], size: int) -> list[Any]:
        """The values of the rows, one after another, filled up to `size` rows."""
        flat = list(chain.from_iterable(map(self.values, rows)))
        return flat + [0] * (len(self.columns) * (size - len(rows)))


def parted(rows: dict[Any, Any], keys: set[Any]) -> tuple[Collection[Any], Collection[Any]]:
    """The rows of those keys, and the others."""
    if not keys:
        return (), rows.values()
    of_keys = [row for key, row in rows.items() if key in keys]
    return of_keys, [row for key, row in rows.items() if key not in keys]


def _event(row: LoggedEvent) -> Values:
    blobs = bytearray(row.head), bytearray(row.body), bytearray(row.salt), bytearray(row.hash)
    return (row.pos, row.conv, row.seq, *blobs)


def _payment(row: Payment) -> Values:
    *others, seed, reminded_at, counted, refund_transfer = astuple(row)
    return (*others, bytearray(seed), reminded_at, counted, refund_transfer)


def _stored(row: IdempotencyRecord) -> Values:
    return (row.id, row.sender, row.pos)


def _refused(row: IdempotencyRecord) -> Values:
    return (row.id, row.sender, row.refusal)


USER: Final = Table(
    "user",
    User,
    ("id",),
    changing=("name", "password", "disabled", "tier", "flags", "groups"),
)
SESSION: Final = Table("session", Session, ("id",), changing=("revoked_at",))
CONVERSATION: Final = Table(
    "conversation", Conversation, ("id",), changing=("title", "seq", "pos", "members", "owners")
)
MEMBER: Final = Table("member", Member, ("conv", "user"), changing=("role", "read", "delivered"))
"""One who stays: two indexes are over where a stay ended, and a mark must not touch them."""
STAY: Final = Table(
    "member",
    Member,
    ("conv", "user"),
    only=Member.__struct_fields__,
    changing=("role", "since", "until", "read", "delivered", "gone"),
)
"""A stay that began or ended."""
ACCOUNT: Final = Table(
    "account",
    Account,
    ("id",),
    changing=("debits_posted", "credits_posted", "debits_pending", "credits_pending", "flags"),
)
NEW_ACCOUNT: Final = Table("account", Account, ("id",), only=Account.__struct_fields__)
"""An account that was opened; where its number is somebody's already, the batch fails."""
TRANSFER: Final = Table("transfer", Transfer, ("id",))
RECEIPT: Final = Table("receipt", IdempotencyRecord, ("id",))
STORED_RECEIPT: Final = Table("receipt", IdempotencyRecord, ("id",), _stored, ("id", "sender", "pos"))
REFUSED_RECEIPT: Final = Table("receipt", IdempotencyRecord, ("id",), _refused, ("id", "sender", "refusal"))
EVENT: Final = Table("event", LoggedEvent, ("pos",), _event)
PAYMENT: Final = Table(
    "payment",
    Payment,
    ("id",),
    _payment,
    changing=("state", "refunded", "claimed", "reminded_at", "refund_transfer"),
)
SHARE: Final = Table("share", Share, ("payment", "n"), changing=("person", "state"))
QUOTE: Final = Table("quote", Quote, ("id",), changing=("used_by",))
USE: Final = Table("use", Use, ("user", "currency", "slot"), changing=("amount", "count"))
