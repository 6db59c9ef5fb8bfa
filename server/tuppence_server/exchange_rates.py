"""Sources of exchange rates: what the operator fixed, and a file of the European Central Bank.

A pair comes from one source whole; rates of two are never multiplied.
"""

import stat
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import structlog

from tuppence_protocol.errors import Refusal

from .ecb import BYTES_MAX, DAY_MS, NotEcb, Sheet, read_sheet
from .exchange import Rates
from .money_tables import pairs
from .settings import Settings

LOOK_MS: Final = 1_000
"""How long what was seen of a file holds."""
AHEAD_MS_MAX: Final = DAY_MS
"""How far in the future rates may have been published, by this machine's clock."""
NO_RATES: Final = Refusal("rate_unavailable", "Exchange rates cannot be had now; try again later.")
OLD_RATES: Final = Refusal(
    "rate_unavailable", "The exchange rates are too old to be used; try again when there are new ones."
)
log = structlog.get_logger("tuppence.exchange_rates")


def make_rates(settings: Settings) -> Rates:
    """The sources that the operator set: the table before the file."""
    sources: list[Rates] = []
    if settings.exchange_rates:
        sources.append(TableRates(pairs(settings.exchange_rates)))
    if settings.exchange_rates_file is not None:
        sources.append(EcbRates(settings.exchange_rates_file, settings.exchange_stale_hours))
    match sources:
        case []:
            return NoRates()
        case [source]:
            return source
    return FirstOf(sources)


class NoRates:
    """No pair has a rate."""

    def rate(self, sell: str, buy: str, now: int) -> None:
        """Nothing is known."""


class TableRates:
    """Rates that do not change: as given, inverted, or by way of one currency that both sides have a rate with.

    Where more than one would do, the one whose pair was given first.
    """

    def __init__(self, rates: Mapping[tuple[str, str], Fraction]) -> None:
        """`rates` by (base, other): units of the other for one of the base."""
        self._rates: dict[str, dict[str, Fraction]] = {}
        for (base, other), rate in rates.items():
            self._rates.setdefault(base, {})[other] = rate
            self._rates.setdefault(other, {})[base] = 1 / rate

    def rate(self, sell: str, buy: str, now: int) -> Fraction | None:  # noqa: ARG002 - these never age
        """Exactly what the pairs say."""
        steps = self._rates.get(sell, {})
        if buy in steps:
            return steps[buy]
        crossed = (first * self._rates[via][buy] for via, first in steps.items() if buy in self._rates[via])
        return next(crossed, None)


class EcbRates:
    """Rates from a file in the bank's format, crossed through the euro; read again when the file changes.

    A file that is missing, broken or old refuses; why is logged once, until it changes.
    """

    def __init__(self, path: Path, stale_hours: int) -> None:
        self._path = path
        self._stale_ms = stale_hours * 3_600_000
        self._looked_at: int | None = None
        self._seen: tuple[int, int, int] | None = None
        self._sheet: Sheet | None = None
        self._told = ""

    def rate(self, sell: str, buy: str, now: int) -> Fraction | Refusal | None:
        """What the file says at `now`; looks whether it has changed once in LOOK_MS."""
        if self._looked_at is None or not 0 <= now - self._looked_at < LOOK_MS:
            self._looked_at = now
            self._look()
        sheet = self._sheet
        if sheet is None:
            return NO_RATES
        if sell not in sheet.rates or buy not in sheet.rates:
            return None
        age = now - sheet.published_at
        if age >= self._stale_ms:
            self._tell(f"the rates of {sheet.day} are too old")
            return OLD_RATES
        if age < -AHEAD_MS_MAX:
            self._tell(f"the rates are of {sheet.day}, which is yet to come")
            return NO_RATES
        return sheet.rates[buy] / sheet.rates[sell]

    def _look(self) -> None:
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
            self._tell(f"it cannot be read: {fault.strerror}")
        except NotEcb as fault:
            self._tell(str(fault))
        else:
            self._told = ""
            log.info(
                "rates_read", path=str(self._path), day=self._sheet.day, currencies=len(self._sheet.rates)
            )

    def _tell(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            log.error("rates_fault", path=str(self._path), problem=problem)


class FirstOf:
    """Several sources: the first that has a rate; where none has, the first refusal."""

    def __init__(self, sources: Iterable[Rates]) -> None:
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
