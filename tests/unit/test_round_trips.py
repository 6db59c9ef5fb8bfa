"""Nobody gains by going round through several currencies, whatever the table,
the sheet and the spread are."""

import itertools
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tuppence_protocol.errors import Refusal
from tuppence_server.cli.maintenance import examine
from tuppence_server.config.money_tables import Mistake, check_round_trips, ppm
from tuppence_server.config.settings import Settings
from tuppence_server.domain.pay.quotes import Exchange, exchanged
from tuppence_server.domain.policy import PPM
from tuppence_server.exchange.quotes import RateSource
from tuppence_server.exchange.sources import NO_RATES, make_rates

CURRENCIES: Final = ("EUR", "USD", "JPY", "GBP", "CHF", "KWD")
WORTH: Final = {"EUR": "1", "USD": "1.05", "JPY": "160", "GBP": "0.85", "CHF": "0.95", "KWD": "0.32"}
"""About so many of each for one euro."""
PUBLISHED: Final = 1_769_785_200_000
DAY: Final = "2026-01-30"


def sheet(path: Path, rates: dict[str, str], mtime_s: int = 1) -> Path:
    """A file of the bank's with these rates."""
    cubes = "".join(f"<Cube currency='{name}' rate='{rate}'/>" for name, rate in rates.items())
    path.write_text(
        f'<Envelope xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube><Cube time="{DAY}">'
        f"{cubes}</Cube></Cube></Envelope>"
    )
    os.utime(path, (mtime_s, mtime_s))
    return path


def gains(rates: RateSource, currencies: tuple[str, ...], spread: str) -> list[tuple[str, ...]]:
    """All ways round that gain, each currency once: by trying them all."""
    left = Fraction(PPM - ppm(spread, "spread"), PPM)
    found = []
    for length in range(2, len(currencies) + 1):
        for way in itertools.permutations(currencies, length):
            if way[0] != min(way):
                continue
            product = Fraction(1)
            for sell, buy in zip(way, (*way[1:], way[0]), strict=True):
                rate = rates.rate(sell, buy, PUBLISHED)
                product *= rate * left if isinstance(rate, Fraction) else 0
            if product > 1:
                found.append(way)
    return found


def skewed(base: str, other: str, per_mille: int) -> str:
    """A rate that is off by so much."""
    rate = Fraction(WORTH[other]) / Fraction(WORTH[base]) * (1000 + per_mille) / 1000
    return f"{float(rate):.6f}"


SKEWS: Final = st.integers(-30, 30) | st.integers(-4, 4) | st.just(0)
PAIRS: Final = st.lists(
    st.tuples(st.sampled_from(list(itertools.combinations(CURRENCIES, 2))), SKEWS),
    min_size=1, max_size=5, unique_by=lambda each: each[0],
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(
    pairs=PAIRS,
    file=st.dictionaries(st.sampled_from(CURRENCIES[1:]), SKEWS, min_size=1),
    enabled=st.sets(st.sampled_from(CURRENCIES), min_size=2),
    spread=st.sampled_from(["0", "0.1", "0.5", "2"]),
)
def test_no_way_round_gains_whatever_table_and_sheet_say(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[tuple[str, str], int]],
    file: dict[str, int],
    enabled: set[str],
    spread: str,
) -> None:
    table = {f"{base}/{other}": skewed(base, other, skew) for (base, other), skew in pairs}
    try:
        check_round_trips(table, ppm(spread, "spread"))
    except Mistake:
        return  # such a table stops the server
    used = {each for name in table for each in name.split("/")}
    currencies = tuple(sorted(enabled | used))
    path = sheet(
        tmp_path_factory.mktemp("sheet") / "ecb.xml",
        {name: skewed("EUR", name, skew) for name, skew in file.items()},
    )
    said = Settings(
        currencies=currencies, exchange_rates=table, exchange_rates_file=path, exchange_spread_percent=spread
    )
    rates = make_rates(said)
    assert gains(rates, currencies, spread) == []
    for base, other in ((name[:3], name[4:]) for name in table):
        assert isinstance(rates.rate(base, other, PUBLISHED), Fraction), "the table stands"
    if rates.refused():
        apart = _Both(
            make_rates(Settings(exchange_rates=table)), make_rates(Settings(exchange_rates_file=path))
        )
        assert gains(apart, currencies, spread), "nothing is refused for nothing"


class _Both:
    """Table and file side by side, and nobody judges."""

    def __init__(self, table: RateSource, file: RateSource) -> None:
        self._table, self._file = table, file

    def rate(self, sell: str, buy: str, now: int) -> Fraction | Refusal | None:
        found = self._table.rate(sell, buy, now)
        return found if isinstance(found, Fraction) else self._file.rate(sell, buy, now)

    def refused(self) -> frozenset[str]:
        return frozenset()


# --- the pump, and what the operator is told ----------------------------------------------------------------


def pump(path: Path, fixed: str) -> Settings:
    """Euro and dollar fixed beside a file that says 1.05."""
    return Settings(
        data=path.parent, currencies=("EUR", "USD", "JPY", "GBP"), exchange_rates={"EUR/USD": fixed},
        exchange_rates_file=path,
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return sheet(tmp_path / "ecb.xml", {"USD": "1.05", "JPY": "160", "GBP": "0.85"})


def test_a_fixed_rate_beside_the_file_is_no_pump(path: Path) -> None:
    with capture_logs() as logs:
        rates = make_rates(pump(path, "1.10"))
    (told,) = (line for line in logs if line["log_level"] == "error")
    assert "EUR > USD > GBP > EUR" in told["problem"]
    money, spread = 1_000_000, ppm("0.5", "spread")
    for sell, buy in (("EUR", "USD"), ("USD", "JPY"), ("JPY", "EUR")):
        rate = rates.rate(sell, buy, PUBLISHED)
        if not isinstance(rate, Fraction):
            assert (sell, buy, rate) == ("USD", "JPY", NO_RATES)
            break
        deal = exchanged(money, "sell", rate, spread, sell, buy)
        assert isinstance(deal, Exchange)
        money = deal.buy
    else:
        pytest.fail(f"1,000,000 became {money}")
    assert rates.rate("JPY", "GBP", PUBLISHED) == Fraction("0.85") / 160, "what fits is quoted"
    assert rates.rate("USD", "EUR", PUBLISHED) == 1 / Fraction("1.10")
    assert rates.refused() == {"EUR", "USD"}


def test_a_rate_within_the_spread_refuses_nothing(path: Path) -> None:
    rates = make_rates(pump(path, "1.0551"))
    assert rates.refused() == frozenset()
    assert rates.rate("USD", "JPY", PUBLISHED) == 160 / Fraction("1.05")


def test_every_sheet_is_judged_when_it_is_read(path: Path) -> None:
    rates = make_rates(pump(path, "1.10"))
    sheet(path, {"USD": "1.10", "JPY": "160"}, 2)
    assert rates.rate("USD", "JPY", PUBLISHED) == 160 / Fraction("1.10")
    assert rates.refused() == frozenset()
    sheet(path, {"USD": "1.21", "JPY": "160"}, 3)
    with capture_logs() as logs:
        assert rates.rate("USD", "JPY", PUBLISHED + 1_000) == NO_RATES
        assert rates.rate("USD", "JPY", PUBLISHED + 2_000) == NO_RATES
    assert [line["log_level"] for line in logs].count("error") == 1, "told once"


def test_two_fixed_pairs_that_gain_only_together_are_found(tmp_path: Path) -> None:
    """Neither gains alone, since three quotes cost three spreads; both together cost four and gain twice."""
    path = sheet(tmp_path / "ecb.xml", {"USD": "1", "GBP": "1", "JPY": "1", "CHF": "1"})
    said = Settings(
        currencies=("EUR", "USD", "JPY", "GBP", "CHF"), exchange_rates_file=path,
        exchange_rates={"EUR/USD": "1.022", "GBP/JPY": "1.022"}, exchange_spread_percent="1",
    )  # fmt: skip
    for alone in ("EUR/USD", "GBP/JPY"):
        one = Settings(
            currencies=said.currencies, exchange_rates_file=path, exchange_rates={alone: "1.022"},
            exchange_spread_percent="1",
        )  # fmt: skip
        assert make_rates(one).refused() == frozenset()
    assert make_rates(said).refused() == {"EUR", "USD", "GBP", "JPY"}


def test_the_dearest_table_is_judged_exactly(tmp_path: Path) -> None:
    """A long way round of many small gains, exact where floats would not be."""
    names = ["AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK"]
    path = sheet(tmp_path / "ecb.xml", dict.fromkeys(["USD", *names], "1"))
    table = {f"{one}/{other}": "1.0000001" for one, other in itertools.pairwise(names)}
    said = Settings(
        currencies=("EUR", "USD", *names), exchange_rates=table, exchange_rates_file=path,
        exchange_spread_percent="0",
    )  # fmt: skip
    assert make_rates(said).refused() == set(names)


@pytest.mark.parametrize(("fixed", "state"), [("1.05", "ok"), ("1.10", "warning")])
def test_doctor_tells_of_rates_that_are_refused(path: Path, fixed: str, state: str) -> None:
    (found,) = (each for each in examine(pump(path, fixed)) if each["check"] == "exchange")
    assert found["state"] == state
    assert ("EUR, USD" in found["detail"]) == (state == "warning")
    assert json.dumps(found)
