"""The simple rows that the book holds: found by their key, kept whole as a rule says,
and telling nothing else.

A new kind of them is its class in `rows.py` and a table of its name; keys,
changes and every store take all alike.
"""

from typing import Any, TypeVar, cast

from .changes import Changes
from .facts import Keep
from .keys import Keys
from .rows import SimpleKey, SimpleRow, key_of

R = TypeVar("R", bound=SimpleRow)


class HeldSimpleRows:
    """The part of the book that is about simple rows."""

    changes: Changes
    simple: dict[SimpleKey, SimpleRow | None]

    def need(self, keys: Keys, kind: type[R], key: Any) -> R | None:
        """Ask for a row; what there is of it now."""
        if (kind, key) not in self.simple:
            keys.simple.add((kind, key))
            return None
        return self.find(kind, key)

    def find(self, kind: type[R], key: Any) -> R | None:
        """A row that was asked for; a key of several columns is a tuple."""
        return cast("R | None", self.simple[kind, key])

    def cache_simple(self, row: SimpleRow) -> None:
        """Take in a loaded row."""
        self.simple[key_of(row)] = row

    def _keep(self, fact: Keep) -> None:
        key = key_of(fact.row)
        self.simple[key] = self.changes.simple[key] = fact.row
