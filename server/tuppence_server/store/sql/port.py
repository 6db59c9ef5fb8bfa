"""What a database brings so that the statements of this folder run on it.

They are written as SQLite takes them. Another port spells a text anew, once, where its database differs:
`:name` for a value; `json_each(:keys) AS k` with `k.value` and `json_extract(k.value, '$[0]')`, by which many
keys come as one value; `GLOB`; `user` as a table; `CROSS JOIN … ON` and `INDEXED BY`, which hold SQLite to an
order. What is left are functions that its schema can define: `folded`, `instr`, `json_group_array`, and `max`
and `min` of two values.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

Lane = Literal["road", "asks", "hellos", "tokens"]
"""What one kind of read waits for is never another kind."""


class Reader(Protocol):
    """A connection that only reads, for a short while."""

    async def rows(self, sql: str, **given: Any) -> list[Any]:
        """All rows of a statement; a collection among the values comes as `json_each` reads it."""


class Port(Protocol):
    """Lends readers."""

    def reader(self, lane: Lane = "asks") -> AbstractAsyncContextManager[Reader]:
        """One reader, once it is free."""

    def snapshot(self, lane: Lane = "asks") -> AbstractAsyncContextManager[Reader]:
        """One whose reads are all of one commit."""


class OnPort:
    """Reads through a port."""

    def __init__(self, port: Port) -> None:
        self._port = port

    async def _rows(self, sql: str, **given: Any) -> list[Any]:
        async with self._port.reader() as db:
            return await db.rows(sql, **given)
