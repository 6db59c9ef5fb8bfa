"""Sources of exchange rates: what the operator fixed, and a file of the European Central Bank.

A pair comes from one source whole; rates of two are never multiplied. A sheet beside a table is judged when
it is read: where people could gain by going round through both, its rates for the table's currencies are
refused.
"""

import stat
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from tuppence_protocol.errors import Refusal
from tuppence_server.config.money_tables import pairs, ppm
from tuppence_server.config.settings import Settings
from tuppence_server.domain.pay.limits import DAY_MS

from .ecb import BYTES_MAX, NotEcb, Sheet, read_sheet
from .quotes import RateSource
from .round_trips import contradicted

LOOK_MS: Final = 1_000
"""How long what was seen of a file holds."""
AHEAD_MS_MAX: Final = DAY_MS
"""How far in the future rates may have been published, by this machine's clock."""
NO_RATES: Final = Refusal("rate_unavailable", "Exchange rates cannot be had now; try again later.")
OLD_RATES: Final = Refusal(
    "rate_unavailable", "The exchange rates are too old to be used; try again when there are new ones."
)
log = structlog.get_logger("tuppence.exchange_rates")


def make_rates(settings: Settings) -> RateSource:
    """The sources that the operator set: the table before the file, which is read and judged at once."""
    table = TableRates(pairs(settings.exchange_rates)) if settings.exchange_rates else None
    if settings.exchange_rates_file is None:
        return table or NoRateSource()
    spread_ppm = ppm(settings.exchange_spread_percent, "exchange_spread_percent")
    beside = None if table is None else Beside(table, frozenset(settings.currencies), spread_ppm)
    file = EcbRates(settings.exchange_rates_file, settings.exchange_stale_hours, beside)
    file.look()
    return file if table is None else FirstOf((table, file))


class Beside(Struct, frozen=True):
    """What a sheet is judged against: the table, the currencies that are enabled, the spread in
    millionths."""

    table: "TableRates"
    currencies: frozenset[str]
    spread_ppm: int


class NoRateSource:
    """No pair has a rate."""

    def rate(self, sell: str, buy: str, now: int) -> None:
        """Nothing is known."""

    def refused(self) -> frozenset[str]:
        """Nothing is refused."""
        return frozenset()


class TableRates:
    """Rates that do not change: as given, inverted,
    or by way of one currency that both sides have a rate with.

    Where more than one would do, the one whose pair was given first.
    """

    def __init__(self, rates: Mapping[tuple[str, str], Fraction]) -> None:
        """`rates` by (base, other): units of the other for one of the base."""
        self.ways: dict[str, dict[str, Fraction]] = {}
        for (base, other), rate in rates.items():
            self.ways.setdefault(base, {})[other] = rate
            self.ways.setdefault(other, {})[base] = 1 / rate

    def rate(self, sell: str, buy: str, now: int) -> Fraction | None:  # noqa: ARG002 - these never age
        """Exactly what the pairs say."""
        return self.quoted(sell, buy)

    def quoted(self, sell: str, buy: str) -> Fraction | None:
        """The rate, at any time."""
        steps = self.ways.get(sell, {})
        if buy in steps:
            return steps[buy]
        crossed = (first * self.ways[via][buy] for via, first in steps.items() if buy in self.ways[via])
        return next(crossed, None)

    def refused(self) -> frozenset[str]:
        """Nothing: a table at which people would gain stops the server."""
        return frozenset()


class EcbRates:
    """Rates from a file in the bank's format, crossed through the euro; read again when the file changes.

    A file that is missing, broken or old refuses; why is logged once, until it changes.
    """

    def __init__(self, path: Path, stale_hours: int, beside: Beside | None = None) -> None:
        self._path = path
        self._beside = beside
        self._refused: frozenset[str] = frozenset()
        self._stale_ms = stale_hours * 3_600_000
        self._looked_at: int | None = None
        self._seen: tuple[int, int, int] | None = None
        self._sheet: Sheet | None = None
        self._reported = ""

    def rate(self, sell: str, buy: str, now: int) -> Fraction | Refusal | None:
        """What the file says at `now`; looks whether it has changed once in LOOK_MS."""
        if self._looked_at is None or not 0 <= now - self._looked_at < LOOK_MS:
            self._looked_at = now
            self.look()
        sheet = self._sheet
        if sheet is None:
            return NO_RATES
        if sell not in sheet.rates or buy not in sheet.rates:
            return None
        if sell in self._refused or buy in self._refused:
            return NO_RATES
        age = now - sheet.published_at
        if age >= self._stale_ms:
            self._report(f"the rates of {sheet.day} are too old")
            return OLD_RATES
        if age < -AHEAD_MS_MAX:
            self._report(f"the rates are of {sheet.day}, which is yet to come")
            return NO_RATES
        return sheet.rates[buy] / sheet.rates[sell]

    def refused(self) -> frozenset[str]:
        """Currencies whose rates in the file are not used, since people would gain by going round."""
        return self._refused

    def look(self) -> None:
        """Read the file if it has changed, and judge what it says."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return
            self._sheet, self._seen = None, seen
            if not stat.S_ISREG(status.st_mode):
                raise NotEcb("it is not a regular file")
            with self._path.open("rb") as file:
                self._sheet = read_sheet(file.read(BYTES_MAX + 1))
        except OSError as fault:
            self._sheet, self._seen = None, None
            self._report(f"it cannot be read: {fault.strerror}")
        except NotEcb as fault:
            self._report(str(fault))
        else:
            self._reported = ""
            self._judge(self._sheet)
            log.info(
                "rates_read", path=str(self._path), day=self._sheet.day, currencies=len(self._sheet.rates)
            )

    def _judge(self, sheet: Sheet) -> None:
        if self._beside is None:
            return
        table, currencies, spread_ppm = self._beside.table, self._beside.currencies, self._beside.spread_ppm
        found = contradicted(table.ways, table.quoted, sheet.rates, currencies, spread_ppm)
        self._refused, way = found
        if way:
            shown = " > ".join(way)
            self._report(
                f"with exchange_rates people would gain by {shown}; not used: {_named(self._refused)}"
            )

    def _report(self, problem: str) -> None:
        if problem != self._reported:
            self._reported = problem
            log.error("rates_fault", path=str(self._path), problem=problem)


class FirstOf:
    """Several sources: the first that has a rate; where none has, the first refusal."""

    def __init__(self, sources: Iterable[RateSource]) -> None:
        self._sources = tuple(sources)

    def rate(self, sell: str, buy: str, now: int) -> Fraction | Refusal | None:
        """The rate of the first source that knows one."""
        refusal = None
        for source in self._sources:
            found = source.rate(sell, buy, now)
            if isinstance(found, Fraction):
                return found
            refusal = refusal or found
        return refusal

    def refused(self) -> frozenset[str]:
        """What any of them refuses."""
        return frozenset().union(*(source.refused() for source in self._sources))


def _named(currencies: Iterable[str]) -> str:
    return ", ".join(sorted(currencies))
