"""Row type <-> table and columns, once. The order of a row's fields is the order of its columns."""

from collections.abc import Callable, Sequence
from itertools import chain
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

    def insert(self, rows: int, condition: str) -> str:
        """INSERT of up to so many rows at once, if the condition holds; a row whose first value is NULL is none."""
        names = ", ".join(f'"{column}"' for column in self.columns)
        marks = ", ".join(["(" + ", ".join("?" * len(self.columns)) + ")"] * rows)
        source = f"SELECT * FROM (VALUES {marks}) WHERE column1 IS NOT NULL AND {condition}"
        return f'INSERT INTO "{self.name}" ({names}) {source}'

    def upsert(self, rows: int, condition: str) -> str:
        """INSERT of up to so many rows, or UPDATE of those whose key is there, if the condition holds."""
        changed = ", ".join(f'"{c}" = excluded."{c}"' for c in self.columns if c not in self.key)
        key = ", ".join(f'"{column}"' for column in self.key)
        return f"{self.insert(rows, condition)} ON CONFLICT ({key}) DO UPDATE SET {changed}"

    def padded(self, rows: Sequence[Struct], size: int) -> list[Any]:
        """The values of the rows, one after another, filled up to `size` rows."""
        flat = list(chain.from_iterable(map(values, rows)))
        return flat + [None] * (len(self.columns) * (size - len(rows)))


USER: Final = Table("user", User, ("id",))
SESSION: Final = Table("session", Session, ("id",))
CONVERSATION: Final = Table("conversation", Conversation, ("id",))
MEMBER: Final = Table("member", Member, ("conv", "user"))
ACCOUNT: Final = Table("account", Account, ("id",))
TRANSFER: Final = Table("transfer", Transfer, ("id",))
RECEIPT: Final = Table("receipt", Receipt, ("id",))
EVENT: Final = Table("event", LoggedEvent, ("pos",))
