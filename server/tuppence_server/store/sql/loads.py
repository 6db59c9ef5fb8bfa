"""The road's loads: each look-up is one statement, which all its keys come with as one value."""

from collections.abc import Collection
from functools import cache, partial
from typing import Any

from tuppence_server.domain.book import Book
from tuppence_server.domain.keys import Keys
from tuppence_server.store import loading
from tuppence_server.store.loading import Lookup

from .port import OnPort, Reader


@cache
def selecting(lookup: Lookup) -> str:
    """The statement that finds the rows of `:keys`."""
    where = [f't."{column}" = {part}' for column, part in zip(lookup.by, _parts(lookup), strict=False)]
    where += [f"t.\"{column}\" = '{value}'" for column, value in lookup.fixed]
    if lookup.since:
        where.append(f't."{lookup.since}" >= {_parts(lookup)[-1]}')
    table = lookup.table
    return (
        f'SELECT {table.select("t")} FROM json_each(:keys) AS k CROSS JOIN "{table.name}" AS t '
        f"ON {' AND '.join(where)}"
    )


@cache
def deleting(lookup: Lookup) -> str:
    """The statement that drops the rows of `:keys`."""
    columns = ", ".join(f'"{column}"' for column in lookup.by)
    fixed = "".join(f" AND \"{column}\" = '{value}'" for column, value in lookup.fixed)
    return (
        f'DELETE FROM "{lookup.table.name}" WHERE ({columns}) IN '
        f"(SELECT {', '.join(_parts(lookup))} FROM json_each(:keys) AS k){fixed}"
    )


def _parts(lookup: Lookup) -> list[str]:
    """What a key says, part by part."""
    columns = (*lookup.by, lookup.since) if lookup.since else lookup.by
    parts = [f"json_extract(k.value, '$[{n}]')" for n in range(len(columns))] if columns[1:] else ["k.value"]
    types = lookup.table.row.__annotations__
    return [
        f"CAST({part} AS BIGINT)" if types[column] is int else part
        for column, part in zip(columns, parts, strict=True)
    ]


async def find(db: Reader, lookup: Lookup, keys: Collection[Any]) -> list[Any]:
    """The rows that the keys name."""
    made = lookup.table.row
    return [made(*row) for row in await db.rows(selecting(lookup), keys=keys)]


class RoadLoads(OnPort):
    """Loads through the road's own reader, so that they wait neither for a save nor for anybody's
    question."""

    async def load(self, keys: Keys, book: Book) -> None:
        """Bring the rows into the book."""
        async with self._port.reader("road") as db:
            await loading.load(partial(find, db), keys, book)
