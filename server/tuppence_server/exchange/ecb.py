"""Reads the European Central Bank's daily file of reference rates: strictly,
and nothing in XML that it does not use.

Envelope / Cube / Cube time= / Cube currency= rate=, in units for one euro. A DOCTYPE ends the reading where
it begins, so there is no entity to expand (docs/decisions/0019).
"""

import re
from datetime import date
from fractions import Fraction
from typing import Final
from xml.parsers import expat

from msgspec import Struct

from tuppence_server.domain.pay.limits import DAY_MS

BYTES_MAX: Final = 65_536
"""The real file has about 2,000."""
PUBLISHED_MS: Final = 15 * 3_600_000
"""16:00 CET in UTC; in summer the rates come an hour earlier than this."""
_DAY: Final = ["Envelope", "Cube", "Cube"]
_RATE: Final = [*_DAY, "Cube"]
_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII).fullmatch
_currency = re.compile(r"[A-Z]{3}", re.ASCII).fullmatch
_rate = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII).fullmatch


class NotEcb(ValueError):
    """The file is not of this format."""


class Sheet(Struct, frozen=True):
    """One day's rates, units for one euro, and when they were published, ms since the epoch."""

    day: str
    published_at: int
    rates: dict[str, Fraction]


def read_sheet(data: bytes) -> Sheet:
    """The rates in a file's bytes.

    Raises:
        NotEcb: anything that is not as the bank writes it.
    """
    if len(data) > BYTES_MAX:
        raise NotEcb(f"it is longer than {BYTES_MAX} bytes")
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as fault:
        raise NotEcb(f"it is not XML: {fault}") from fault
    if not reader.days or len(reader.rates) == 1:
        raise NotEcb("it has no day with rates")
    day = reader.days[0]
    return Sheet(day, _published_at(day), reader.rates)


class _Reader:
    """The parser, and what it has met."""

    def __init__(self) -> None:
        self.days: list[str] = []
        self.rates = {"EUR": Fraction(1)}
        self._path: list[str] = []
        self.parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _doctype(self, *_: object) -> None:
        raise NotEcb("it has a DOCTYPE")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2])
        if self._path == _DAY:
            self._take_day(attributes)
        elif self._path == _RATE:
            self._take_rate(attributes)

    def _end(self, _: str) -> None:
        self._path.pop()

    def _take_day(self, attributes: dict[str, str]) -> None:
        if self.days:
            raise NotEcb("it has more than one day")
        day = attributes.get("time", "")
        if attributes.keys() != {"time"} or not _date(day):
            raise NotEcb(f"its day is {attributes!r}")
        self.days.append(day)

    def _take_rate(self, attributes: dict[str, str]) -> None:
        if attributes.keys() != {"currency", "rate"}:
            raise NotEcb(f"a rate of it is {attributes!r}")
        currency, rate = attributes["currency"], attributes["rate"]
        if not (_currency(currency) and _rate(rate) and Fraction(rate)):
            raise NotEcb(f"a rate of it is {attributes!r}")
        if currency in self.rates:
            raise NotEcb(f"{currency} is there twice")
        self.rates[currency] = Fraction(rate)


def _published_at(day: str) -> int:
    try:
        days = date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError as fault:
        raise NotEcb(f"its day is {day!r}") from fault
    return days * DAY_MS + PUBLISHED_MS
