"""Row type <-> table and columns, once for every store.
The order of a row's fields is the order of its columns."""

from typing import Final

from msgspec import Struct

from tuppence_server.domain import rows


class Table(Struct, frozen=True, eq=False):
    """A table: its name, its row type, its key, and the columns that ever change once a row is there.

    Naming only what changes spares the indexes over the rest. Where nothing does, a row whose key is there
    already is refused, and its batch with it. With `only`, rows fill these columns.
    """

    name: str
    row: type[Struct]
    key: tuple[str, ...]
    changing: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in the order of the row's fields."""
        return self.only or self.row.__struct_fields__

    def select(self, alias: str) -> str:
        """The column list of a SELECT."""
        return ", ".join(f'{alias}."{column}"' for column in self.columns)


USER: Final = Table("user", rows.User, ("id",), ("name", "password", "disabled", "tier", "flags", "groups"))
SESSION: Final = Table("session", rows.Session, ("id",), ("revoked_at",))
CONVERSATION: Final = Table(
    "conversation", rows.Conversation, ("id",), ("title", "seq", "pos", "members", "owners")
)
MEMBER: Final = Table("member", rows.Member, ("conv", "user"), ("role", "read", "delivered"))
"""One who stays: two indexes are over where a stay ended, and a mark must not touch them."""
STAY: Final = Table(
    "member", rows.Member, ("conv", "user"), ("role", "since", "until", "read", "delivered", "gone")
)
"""A stay that began or ended."""
ACCOUNT: Final = Table(
    "account",
    rows.Account,
    ("id",),
    ("debits_posted", "credits_posted", "debits_pending", "credits_pending", "flags"),
)
NEW_ACCOUNT: Final = Table("account", rows.Account, ("id",))
"""An account that was opened; where its number is somebody's already, the batch fails."""
TRANSFER: Final = Table("transfer", rows.Transfer, ("id",))
RECEIPT: Final = Table("receipt", rows.IdempotencyRecord, ("id",))
STORED_RECEIPT: Final = Table("receipt", rows.IdempotencyRecord, ("id",), only=("id", "sender", "pos"))
REFUSED_RECEIPT: Final = Table("receipt", rows.IdempotencyRecord, ("id",), only=("id", "sender", "refusal"))
EVENT: Final = Table("event", rows.LoggedEvent, ("pos",))
PAYMENT: Final = Table(
    "payment", rows.Payment, ("id",), ("state", "refunded", "claimed", "reminded_at", "refund_transfer")
)
SHARE: Final = Table("share", rows.Share, ("payment", "n"), ("person", "state"))
SIMPLE: Final = {
    kind: Table(kind.__name__.lower(), kind, kind.KEY, kind.CHANGING) for kind in rows.SIMPLE_ROWS
}
USE: Final = Table("use", rows.Use, ("user", "currency", "slot"), ("amount", "count"))
