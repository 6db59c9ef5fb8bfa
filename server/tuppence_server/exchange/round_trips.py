"""Whether somebody could gain by going round through several currencies, where rates come from a table and a
sheet.

Exact, and over ways of any length: what a currency is worth at best is raised as long as a quote raises it,
as by Bellman and Ford; where it comes by itself again, there is a way round that gains.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Final

from tuppence_server.domain.policy import PPM

Table = Mapping[str, Mapping[str, Fraction]]
"""Units of the second currency for one of the first, both ways."""
Quoted = Callable[[str, str], Fraction | None]
"""What the table quotes for a pair, directly or by way of a third; None where it does not."""
_ONE: Final = Fraction(1)


def contradicted(
    table: Table,
    quoted: Quoted,
    sheet: Mapping[str, Fraction],
    enabled: Iterable[str],
    spread_ppm: int,
) -> tuple[frozenset[str], tuple[str, ...]]:
    """The currencies of the table whose rates with others must not come from the sheet, and a way round that
    shows why.

    `sheet` has units for one of a currency of its own. Without those rates nobody gains, however they go
    round, if nobody does within the table. Where the two agree within the spread, nothing is refused.
    """
    refused: set[str] = set()
    shown: tuple[str, ...] = ()
    nodes = _nodes(table, sheet, frozenset(enabled))
    worth = _worth(table, sheet)
    while way := _gaining(nodes, _kept(quoted, sheet, worth, refused, spread_ppm)):
        more = set().union(*(_connected(table, each) for each in way if each in table)) - refused
        if not more:
            break
        refused |= more
        shown = shown or way
    return frozenset(refused), shown


def _nodes(table: Table, sheet: Mapping[str, Fraction], enabled: frozenset[str]) -> list[str]:
    """The table's currencies, and one of the sheet alone: all of those fit each other and differ in nothing
    else."""
    alone = sorted(enabled & sheet.keys() - table.keys())
    return [*sorted(enabled & table.keys()), *alone[:1]]


def _worth(table: Table, sheet: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """What each is worth by the sheet or, where that does not know it, by the table; to measure gains
    against."""
    worth = {currency: 1 / units for currency, units in sheet.items()}
    ahead = deque(worth)
    while ahead:
        currency = ahead.popleft()
        for other, units in table.get(currency, {}).items():
            if other not in worth:
                worth[other] = worth[currency] / units
                ahead.append(other)
    return worth


def _connected(table: Table, start: str) -> set[str]:
    found, ahead = {start}, [start]
    while ahead:
        for other in table[ahead.pop()]:
            if other not in found:
                found.add(other)
                ahead.append(other)
    return found


def _kept(
    quoted: Quoted,
    sheet: Mapping[str, Fraction],
    worth: Mapping[str, Fraction],
    refused: set[str],
    spread_ppm: int,
) -> Callable[[str, str], Fraction | None]:
    """What is left of one's money after a quote, the spread paid; None where there is no quote."""
    spread = Fraction(PPM - spread_ppm, PPM)

    def kept(sell: str, buy: str) -> Fraction | None:
        rate = quoted(sell, buy)
        if rate is not None:
            known = sell in worth and buy in worth
            return rate * worth[buy] / worth[sell] * spread if known else None
        by_sheet = sell in sheet and buy in sheet and not refused & {sell, buy}
        return spread if by_sheet else None

    return kept


def _gaining(nodes: list[str], kept: Callable[[str, str], Fraction | None]) -> tuple[str, ...]:
    """A way round after which one has more than before, first and last the same; empty where there is
    none."""
    pairs = [(sell, buy, kept(sell, buy)) for sell in nodes for buy in nodes if sell != buy]
    quotes = [(sell, buy, left) for sell, buy, left in pairs if left is not None]
    best = dict.fromkeys(nodes, _ONE)
    before: dict[str, str] = {}
    raised = True
    while raised:
        raised = False
        for sell, buy, left in quotes:
            if best[sell] * left <= best[buy]:
                continue
            way = _way_back(before, sell, buy)
            if way:
                return (*way, buy)
            best[buy], before[buy], raised = best[sell] * left, sell, True
    return ()


def _way_back(before: Mapping[str, str], start: str, goal: str) -> tuple[str, ...]:
    """How one came from `goal` to `start`; empty where one did not."""
    way = [start]
    while way[-1] != goal:
        if way[-1] not in before:
            return ()
        way.append(before[way[-1]])
    return tuple(reversed(way))
