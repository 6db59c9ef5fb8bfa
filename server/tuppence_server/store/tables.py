"""Row type <-> table and columns, once. The order of a row's fields is the order of its columns."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import astuple

from tuppence_server.domain.rows import (
    Account,
    Conversation,
    LoggedEvent,
    Member,
    Receipt,
    Session,
    Transfer,
    User,
)

values: Final[Callable[[Any], tuple[Any, ...]]] = astuple


class Table(Struct, frozen=True):
    """A table: its name, its row type and the columns of its key."""

    name: str
    row: type[Struct]
    key: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in the order of the row's fields."""
        return self.row.__struct_fields__

    def select(self, alias: str = "") -> str:
        """The column list of a SELECT."""
        prefix = f"{alias}." if alias else ""
        return ", ".join(f'{prefix}"{column}"' for column in self.columns)

    def insert(self) -> str:
        """INSERT of one row that must be new."""
        marks = ", ".join("?" * len(self.columns))
        return f'INSERT INTO "{self.name}" ({self.select()}) VALUES ({marks})'

    def upsert(self) -> str:
        """INSERT of one row, or UPDATE of the one with that key."""
        changed = ", ".join(f'"{c}" = excluded."{c}"' for c in self.columns if c not in self.key)
        key = ", ".join(f'"{column}"' for column in self.key)
        return f"{self.insert()} ON CONFLICT ({key}) DO UPDATE SET {changed}"


USER: Final = Table("user", User, ("id",))
SESSION: Final = Table("session", Session, ("id",))
CONVERSATION: Final = Table("conversation", Conversation, ("id",))
MEMBER: Final = Table("member", Member, ("conv", "user"))
ACCOUNT: Final = Table("account", Account, ("id",))
TRANSFER: Final = Table("transfer", Transfer, ("id",))
RECEIPT: Final = Table("receipt", Receipt, ("id",))
EVENT: Final = Table("event", LoggedEvent, ("pos",))
