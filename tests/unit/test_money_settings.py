"""Fees, limits and rates are read exactly, or a mistake is told with its place and what is expected."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence_protocol.currencies import EXPONENTS
from tuppence_server.config.loading import load
from tuppence_server.config.money import policy
from tuppence_server.config.money_tables import (
    Fee,
    Mistake,
    TierLimits,
    check_round_trips,
    pairs,
    ppm,
    read_fees,
    read_limits,
    read_rates,
    read_spread,
)
from tuppence_server.config.settings import Settings, SettingsError
from tuppence_server.domain.policy import FeeRule, Limits, Policy
from tuppence_server.exchange.sources import TableRates

DECIMAL = 'expected a decimal in quotes such as "1.50", without sign or exponent.'


def test_the_defaults_ask_for_no_fee_and_set_no_limit() -> None:
    assert policy(Settings(), "sandbox") == Policy(
        frozenset({"CHF", "CNY", "EUR", "GBP", "JPY", "USD"}), "sandbox", (), {}, 5_000, 60_000
    )


def test_settings_become_minor_units_millionths_and_milliseconds() -> None:
    settings = Settings(
        currencies=("EUR", "JPY", "KWD"),
        fees=(
            Fee(kind="send", currency="EUR", fixed="0.10", percent="1.5", minimum="0.5", maximum="5"),
            Fee(kind="send", currency="KWD", tier="gold", fixed="0.001", paid_by="payee"),
            Fee(percent="0.0001"),
        ),
        limits={
            "basic": {
                "EUR": TierLimits(
                    per_payment="500", daily="1000.5", monthly="9", hourly_count=20, balance="0"
                ),
                "JPY": TierLimits(daily="100"),
            },
            "gold": {"KWD": TierLimits()},
        },
        exchange_spread_percent="0.25",
        exchange_quote_s=30,
    )
    assert policy(settings, "live") == Policy(
        currencies=frozenset({"EUR", "JPY", "KWD"}),
        mode="live",
        fees=(
            FeeRule("send", "EUR", "*", 10, 15_000, 50, 500, "payer"),
            FeeRule("send", "KWD", "gold", 1, 0, 0, None, "payee"),
            FeeRule("*", "*", "*", 0, 1, 0, None, "payer"),
        ),
        limits={
            ("basic", "EUR"): Limits(50_000, 100_050, 900, 20, 0),
            ("basic", "JPY"): Limits(daily=100),
            ("gold", "KWD"): Limits(),
        },
        spread_ppm=2_500,
        quote_ms=30_000,
    )


@given(st.integers(0, 999_999))
def test_every_percentage_is_exact(millionths: int) -> None:
    text = f"{millionths // 10_000}.{millionths % 10_000:04}"
    assert ppm(text, "x") == millionths
    assert ppm(text.rstrip("0").rstrip("."), "x") == millionths


@given(st.sampled_from(["JPY", "EUR", "KWD", "CLF"]), st.integers(0, 10**15))
def test_every_amount_is_exact(currency: str, minor: int) -> None:
    digits = EXPONENTS[currency]
    whole, fraction = divmod(minor, 10**digits)
    text = f"{whole}.{fraction:0{digits}}" if digits else str(whole)
    assert Fee(currency=currency, fixed=text).rule().fixed == minor
    assert TierLimits(balance=text).limits(currency).balance == minor


def test_members_that_are_left_out_have_plain_defaults_and_whole_numbers_need_no_quotes() -> None:
    (fee,) = read_fees([{}])
    assert fee == Fee(
        kind="*", currency="*", tier="*", fixed="0", percent="0", minimum="0", maximum=None, paid_by="payer"
    )
    assert read_fees([{"currency": "EUR", "fixed": 1, "percent": 2}]) == (
        Fee(currency="EUR", fixed="1", percent="2"),
    )
    assert read_limits({}) == read_rates({}) == {}
    assert read_limits({"basic": {"EUR": {}}}) == {"basic": {"EUR": TierLimits()}}
    assert read_spread(0) == "0"


@pytest.mark.parametrize(
    ("fee", "told"),
    [
        ({"percnt": "1"}, "fees, table 1: there is no 'percnt'; did you mean 'percent'."),
        ({"zzz": "1"},
         "there is no 'zzz'; expected a table with some of kind, currency, tier, fixed, percent, minimum"),
        ("send", "fees, table 1 is 'send'; expected a table with some of kind, currency"),
        ({"kind": "sent"},
         "table 1: kind is 'sent'; expected one of *, send, packet, exchange; did you mean 'send'."),
        ({"kind": []}, "table 1: kind is []; expected one of *, send, packet, exchange."),
        ({"kind": "send", "paid_by": "payees"},
         "paid_by is 'payees'; expected one of payer, payee; did you mean 'payee'."),
        ({"paid_by": "payee"}, "paid_by is 'payee'; only a fee of kind \"send\" can be paid by the payee."),
        ({"kind": "exchange", "paid_by": "payee"}, 'only a fee of kind "send" can be paid by the payee.'),
        ({"currency": "EURO"},
         "table 1: currency: 'EURO' is not an ISO 4217 code such as EUR; did you mean 'EUR'."),
        ({"currency": "eur"}, "currency: 'eur' is not an ISO 4217 code such as EUR; did you mean 'EUR'."),
        ({"currency": []}, "currency: [] is not an ISO 4217 code such as EUR."),
        ({"tier": "Gold"}, "tier is 'Gold'; expected a name of small letters such as basic, or *."),
        ({"tier": 1}, "tier is 1; expected a name of small letters such as basic, or *."),
        ({"percent": 1.5},
         'table 1: percent is 1.5, a float, which cannot hold every decimal; quote the number: "1.5".'),
        ({"percent": float("nan")}, "percent is nan, a float"),
        ({"percent": "1,5"}, f"percent is '1,5'; {DECIMAL}"),
        ({"percent": "-1"}, f"percent is '-1'; {DECIMAL}"),
        ({"percent": -1}, f"percent is -1; {DECIMAL}"),
        ({"percent": "1e1"}, f"percent is '1e1'; {DECIMAL}"),
        ({"percent": ""}, f"percent is ''; {DECIMAL}"),
        ({"percent": " 1"}, f"percent is ' 1'; {DECIMAL}"),
        ({"percent": "01"}, f"percent is '01'; {DECIMAL}"),
        ({"percent": "\u0661"}, f"{DECIMAL}"),
        ({"percent": True}, f"percent is True; {DECIMAL}"),
        ({"percent": None}, f"percent is None; {DECIMAL}"),
        ({"percent": "100"}, "percent is '100'; expected at least 0 and less than 100."),
        ({"percent": "0.00001"}, "percent is '0.00001'; expected 4 decimals at most."),
        ({"currency": "EUR", "fixed": "0.001"}, "fixed is '0.001'; expected 2 decimals at most, as EUR has."),
        ({"currency": "JPY", "minimum": "0.5"}, "minimum is '0.5'; expected 0 decimals at most, as JPY has."),
        ({"currency": "EUR", "maximum": "10000000000000000.01"},
         "maximum is '10000000000000000.01'; expected 10000000000000000.00 EUR at most."),
        ({"fixed": "1"}, "table 1: fixed is an amount; expected a currency with it, or percent alone."),
        ({"currency": "*", "maximum": "0"}, "maximum is an amount; expected a currency with it"),
        ({"currency": "EUR", "minimum": "2", "maximum": "1.50"},
         "minimum is '2'; expected no more than the maximum, '1.50'."),
    ],
)  # fmt: skip
def test_mistakes_in_a_fee(fee: Any, told: str) -> None:
    with pytest.raises(Mistake) as fault:
        read_fees([fee])
    assert told in str(fault.value)


def test_the_table_that_is_wrong_is_named() -> None:
    with pytest.raises(Mistake, match="fees, table 2: percent is 'x'"):
        read_fees([{"kind": "send"}, {"percent": "x"}])
    with pytest.raises(Mistake, match="fees is 5; expected a list of tables"):
        read_fees(5)


def test_a_fee_that_can_never_count_is_told() -> None:
    general, special = {"percent": "1"}, {"kind": "send", "tier": "gold"}
    read_fees([special, general])
    read_fees([{"kind": "send"}, {"tier": "gold"}])
    with pytest.raises(Mistake, match="fees, table 3 never counts: table 2 comes before it"):
        read_fees([{"kind": "packet"}, general, special])
    with pytest.raises(Mistake, match="fees, table 2 never counts: table 1 comes before it"):
        read_fees([special, special])


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ([], "limits is []; expected tables such as [limits.basic.EUR]."),
        ({"basic": "5"}, "limits.basic is '5'; expected tables such as [limits.basic.EUR]."),
        ({"basic": {"EUR": "5"}},
         "limits.basic.EUR is '5'; expected a table with some of per_payment, daily"),
        ({"*": {}}, "limits: '*' is no tier; expected a name of small letters such as basic."),
        ({"Basic": {}}, "limits: 'Basic' is no tier"),
        ({"EUR": {"basic": {}}}, "limits: 'EUR' is no tier"),
        ({"basic": {"EUX": {}}}, "limits.basic: 'EUX' is not an ISO 4217 code such as EUR."),
        ({"basic": {"*": {}}}, "limits.basic: '*' is not an ISO 4217 code such as EUR."),
        ({"basic": {"EUR": {"weekly": "5"}}},
         "limits.basic.EUR: there is no 'weekly'; expected a table with some of per_payment, daily, monthly"),
        ({"basic": {"EUR": {"dayly": "5"}}}, "limits.basic.EUR: there is no 'dayly'; did you mean 'daily'."),
        ({"basic": {"EUR": {"daily": 0.5}}}, "limits.basic.EUR: daily is 0.5, a float"),
        ({"basic": {"EUR": {"daily": "0.555"}}},
         "daily is '0.555'; expected 2 decimals at most, as EUR has."),
        ({"basic": {"EUR": {"monthly": "-1"}}}, f"monthly is '-1'; {DECIMAL}"),
        ({"basic": {"JPY": {"balance": "1000000000000000001"}}},
         f"balance is '1000000000000000001'; {DECIMAL}"),
        ({"basic": {"EUR": {"hourly_count": 0}}},
         "limits.basic.EUR: hourly_count is 0; expected a whole number of at least 1."),
        ({"basic": {"EUR": {"hourly_count": "9"}}}, "hourly_count is '9'; expected a whole number"),
        ({"basic": {"EUR": {"hourly_count": 1.0}}}, "hourly_count is 1.0; expected a whole number"),
        ({"basic": {"EUR": {"hourly_count": True}}}, "hourly_count is True; expected a whole number"),
    ],
)  # fmt: skip
def test_mistakes_in_limits(limits: Any, told: str) -> None:
    with pytest.raises(Mistake) as fault:
        read_limits(limits)
    assert told in str(fault.value)


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ([], 'exchange_rates is []; expected a table of pairs such as {"EUR/USD" = "1.0842"}'),
        ({"EURUSD": "1"}, "exchange_rates: 'EURUSD' is no pair of currencies; expected one such as EUR/USD."),
        ({"eur/usd": "1"}, "exchange_rates: 'eur/usd' is no pair of currencies"),
        ({"EUR/USX": "1"}, "exchange_rates, EUR/USX: 'USX' is not an ISO 4217 code such as EUR."),
        ({"EUR/EUR": "1"}, "exchange_rates: EUR/EUR is a currency and itself; expected two."),
        ({"EUR/USD": "1", "USD/EUR": "1"},
         "exchange_rates: USD/EUR is there as EUR/USD too; expected one of them."),
        ({"EUR/USD": 1.0842},
         'EUR/USD is 1.0842, a float, which cannot hold every decimal; quote the number: "1.0842".'),
        ({"EUR/USD": "0.00"}, "exchange_rates: EUR/USD is '0.00'; expected more than zero."),
        ({"EUR/USD": "-1"}, f"exchange_rates: EUR/USD is '-1'; {DECIMAL}"),
        ({"EUR/USD": "1/2"}, f"exchange_rates: EUR/USD is '1/2'; {DECIMAL}"),
        ({"EUR/USD": None}, f"exchange_rates: EUR/USD is None; {DECIMAL}"),
    ],
)  # fmt: skip
def test_mistakes_in_rates(rates: Any, told: str) -> None:
    with pytest.raises(Mistake) as fault:
        read_rates(rates)
    assert told in str(fault.value)


@pytest.mark.parametrize("spread", ["100", "-0.1", 0.5, "0.00001", "half", "1000"])
def test_a_spread_out_of_range_is_told(spread: Any) -> None:
    with pytest.raises(Mistake, match=r"^exchange_spread_percent is "):
        read_spread(spread)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("[[fees]]\npercent = 1.5", "tuppence.toml: fees, table 1: percent is 1.5, a float"),
        ("[fees]\npercent = '1'", "tuppence.toml: fees is {'percent': '1'}; expected a list of tables"),
        ("[limits.basic.EUR]\ndaily = 1.5", "tuppence.toml: limits.basic.EUR: daily is 1.5, a float"),
        ("exchange_rates = {'EUR/USD' = 1.1}", "tuppence.toml: exchange_rates: EUR/USD is 1.1, a float"),
        ("exchange_spread_percent = 0.5", "tuppence.toml: exchange_spread_percent is 0.5, a float"),
        (
            "exchange_rates = {'EUR/USD' = '1.1', 'USD/JPY' = '15', 'EUR/JPY' = '165'}",
            "exchange_rates: ",
        ),
    ],
)
def test_every_mistake_stops_the_settings(
    file: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tuppence.toml").write_text(file)
    with pytest.raises(SettingsError) as fault:
        load({}, {})
    assert told in str(fault.value)


FITTING = {"EUR/USD": "1.1", "USD/JPY": "150", "EUR/JPY": "165"}


@pytest.mark.parametrize(
    ("changed", "spread_ppm", "fits"),
    [
        ({}, 0, True),
        ({"EUR/JPY": "165.01"}, 0, False),
        ({"EUR/JPY": "164.99"}, 0, False),
        ({"EUR/JPY": "165.4"}, 5_000, True),
        ({"EUR/JPY": "165.5"}, 5_000, False),
        ({"EUR/JPY": "164.6"}, 5_000, True),
        ({"EUR/JPY": "164.5"}, 5_000, False),
        ({"EUR/JPY": "16.5"}, 900_000, False),
        ({"GBP/CHF": "1.1"}, 0, True),
        ({"JPY/CHF": "0.006", "CHF/GBP": "0.9", "GBP/EUR": "1.1223"}, 5_000, True),
        ({"JPY/CHF": "0.006", "CHF/GBP": "0.9", "GBP/EUR": "1.2"}, 5_000, False),
    ],
)
def test_rates_by_which_people_would_gain_are_told(
    changed: dict[str, str], spread_ppm: int, fits: bool
) -> None:
    rates = FITTING | changed
    if fits:
        check_round_trips(rates, spread_ppm)
    else:
        with pytest.raises(Mistake, match="people would gain by going round"):
            check_round_trips(rates, spread_ppm)


CODES = ("EUR", "USD", "JPY", "GBP", "CHF")
PAIRS = [f"{one}/{other}" for one in CODES for other in CODES if one < other]
WORTH = {"EUR": 100, "USD": 92, "JPY": Fraction(2, 3), "GBP": 119, "CHF": 104}


@given(
    st.dictionaries(st.sampled_from(PAIRS), st.integers(-30, 30), min_size=1),
    st.lists(st.sampled_from(CODES), min_size=2, max_size=6),
)
def test_no_round_trip_over_rates_that_were_let_through_gains(off: dict[str, int], way: list[str]) -> None:
    """Rates that differ from what fits by up to 0.3 per cent each, at a spread of 0.5 per cent."""
    exact = {name: WORTH[name[:3]] / Fraction(WORTH[name[4:]]) for name in off}
    rates = {name: f"{round(exact[name] * (10_000 + off[name]) * 10**5)}" for name in off}
    rates = {name: f"{int(text) // 10**9}.{int(text) % 10**9:09}" for name, text in rates.items()}
    try:
        check_round_trips(rates, 5_000)
    except Mistake:
        return
    table, money = TableRates(pairs(rates)), Fraction(1)
    for sell, buy in zip(way, [*way[1:], way[0]], strict=True):
        rate = table.rate(sell, buy, 0)
        if rate is None:
            return
        money *= rate * (1 if sell == buy else Fraction(995, 1_000))
    assert money <= 1
