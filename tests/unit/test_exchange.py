"""The house never loses by rounding, and nobody loses more than a minor unit by it."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import AMOUNT_MINOR_MAX
from tuppence_server.domain.pay.quotes import (
    RATE_DIGITS,
    TOO_LARGE,
    TOO_SMALL,
    Exchange,
    decimal_text,
    exchanged,
)
from tuppence_server.domain.policy import PPM

CODES = ("JPY", "EUR", "USD", "KWD", "CLF")
"""Exponents 0, 2, 2, 3 and 4."""
BOUNDED = settings(deadline=None)
codes = st.sampled_from(CODES)
amounts = st.one_of(
    st.integers(1, 1_000),
    st.integers(1, AMOUNT_MINOR_MAX),
    st.integers(AMOUNT_MINOR_MAX - 9, AMOUNT_MINOR_MAX),
)
rates = st.one_of(
    st.fractions(Fraction(1, 1_000), 1_000, max_denominator=10_000),
    st.builds(Fraction, st.integers(1, 10**18), st.integers(1, 10**18)),
)
spreads = st.one_of(st.just(0), st.integers(0, 20_000), st.integers(0, PPM - 1))


def minor_rate(rate: Fraction, sell: str, buy: str) -> Fraction:
    """Minor units of `buy` for one of `sell`, by the table of exponents."""
    return rate * 10 ** EXPONENTS[buy] / 10 ** EXPONENTS[sell]


def deal(minor: int, side: str, rate: Fraction, spread: int, sell: str, buy: str) -> Exchange:
    found = exchanged(minor, side, rate, spread, sell, buy)
    assume(isinstance(found, Exchange))
    assert isinstance(found, Exchange)
    return found


def test_the_exponents_that_are_tried_are_all_there_are() -> None:
    assert {EXPONENTS[code] for code in CODES} == set(EXPONENTS.values())


@pytest.mark.parametrize(
    ("minor", "side", "rate", "spread", "sell", "buy", "expected"),
    [
        (10_000, "sell", "1.0842", 5_000, "EUR", "USD", (10_000, 10_787, 50)),  # 99.50 EUR are 107.8779 USD
        (10_787, "buy", "1.0842", 5_000, "EUR", "USD", (10_000, 10_787, 50)),
        (10_788, "buy", "1.0842", 5_000, "EUR", "USD", (10_002, 10_788, 51)),
        (1_000, "sell", "1", 0, "EUR", "USD", (1_000, 1_000, 0)),
        (1, "sell", "160.5", 0, "EUR", "JPY", (1, 1, 0)),  # 1.605 JPY
        (1, "buy", "160.5", 0, "EUR", "JPY", (1, 1, 0)),
        (150, "sell", "0.00625", 0, "JPY", "EUR", (150, 93, 0)),
        (1_000, "sell", "3.25", 10_000, "KWD", "USD", (1_000, 321, 10)),  # 0.990 KWD are 3.2175 USD
        (1_000, "sell", "0.0001", 0, "USD", "CLF", (1_000, 10, 0)),
        (1, "sell", "1", 1, "EUR", "USD", TOO_SMALL),  # all of it is margin
        (1, "sell", "0.99", 0, "EUR", "USD", TOO_SMALL),
        (2, "sell", "0.99", 0, "EUR", "USD", (2, 1, 0)),
        (AMOUNT_MINOR_MAX, "sell", "1", 0, "EUR", "USD", (AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX, 0)),
        (AMOUNT_MINOR_MAX, "sell", "1.000000000000001", 0, "EUR", "USD", TOO_LARGE),
        (AMOUNT_MINOR_MAX, "buy", "0.999999999999999", 0, "EUR", "USD", TOO_LARGE),
        (AMOUNT_MINOR_MAX, "buy", "1", 1, "EUR", "USD", TOO_LARGE),
    ],
)
def test_exchanges_worked_out_by_hand(
    minor: int,
    side: str,
    rate: str,
    spread: int,
    sell: str,
    buy: str,
    expected: tuple[int, int, int] | Refusal,
) -> None:
    found = exchanged(minor, side, Fraction(rate), spread, sell, buy)
    assert found == (Exchange(*expected) if isinstance(expected, tuple) else expected)


@BOUNDED
@given(amounts, st.sampled_from(["sell", "buy"]), rates, spreads, codes, codes)
def test_what_is_fixed_stays_and_what_is_not_is_within_bounds(
    minor: int, side: str, rate: Fraction, spread: int, sell: str, buy: str
) -> None:
    found = exchanged(minor, side, rate, spread, sell, buy)
    if isinstance(found, Refusal):
        assert found in (TOO_SMALL, TOO_LARGE)
        return
    assert (found.sell if side == "sell" else found.buy) == minor
    assert 1 <= found.sell <= AMOUNT_MINOR_MAX
    assert 1 <= found.buy <= AMOUNT_MINOR_MAX
    assert 0 <= found.margin < found.sell


@BOUNDED
@given(amounts, st.sampled_from(["sell", "buy"]), rates, spreads, codes, codes)
def test_the_house_never_loses(
    minor: int, side: str, rate: Fraction, spread: int, sell: str, buy: str
) -> None:
    found = deal(minor, side, rate, spread, sell, buy)
    assert found.buy <= (found.sell - found.margin) * minor_rate(rate, sell, buy)
    assert found.margin * PPM >= found.sell * spread, "the whole spread is had"


@BOUNDED
@given(amounts, rates, spreads, codes, codes)
def test_a_fixed_sell_is_rounded_by_less_than_a_minor_unit(
    minor: int, rate: Fraction, spread: int, sell: str, buy: str
) -> None:
    found = deal(minor, "sell", rate, spread, sell, buy)
    assert found.margin - Fraction(minor * spread, PPM) < 1
    assert (minor - found.margin) * minor_rate(rate, sell, buy) - found.buy < 1


@BOUNDED
@given(amounts, rates, spreads, codes, codes)
def test_a_fixed_buy_is_rounded_by_less_than_a_minor_unit(
    minor: int, rate: Fraction, spread: int, sell: str, buy: str
) -> None:
    found = deal(minor, "buy", rate, spread, sell, buy)
    assert found.margin - Fraction(found.sell * spread, PPM) < 1
    assert (found.sell - found.margin) - minor / minor_rate(rate, sell, buy) < 1


@BOUNDED
@given(amounts, rates, spreads, codes, codes)
def test_a_fixed_buy_costs_the_least_that_buys_it(
    minor: int, rate: Fraction, spread: int, sell: str, buy: str
) -> None:
    found = deal(minor, "buy", rate, spread, sell, buy)
    enough = exchanged(found.sell, "sell", rate, spread, sell, buy)
    assert enough == TOO_LARGE or (isinstance(enough, Exchange) and enough.buy >= minor)
    if found.sell > 1:
        less = exchanged(found.sell - 1, "sell", rate, spread, sell, buy)
        assert isinstance(less, Refusal) or less.buy < minor


@BOUNDED
@given(amounts, rates, spreads, codes, codes)
def test_there_and_back_never_gains(minor: int, rate: Fraction, spread: int, sell: str, buy: str) -> None:
    there = deal(minor, "sell", rate, spread, sell, buy)
    back = exchanged(there.buy, "sell", 1 / rate, spread, buy, sell)
    assert isinstance(back, Refusal) or back.buy <= minor
    bought_back = exchanged(minor, "buy", 1 / rate, spread, buy, sell)
    assert isinstance(bought_back, Refusal) or bought_back.sell >= there.buy


@BOUNDED
@given(amounts, amounts, rates, spreads, codes, codes)
def test_parts_never_buy_more_than_the_whole(
    one: int, other: int, rate: Fraction, spread: int, sell: str, buy: str
) -> None:
    assume(one + other <= AMOUNT_MINOR_MAX)
    whole = deal(one + other, "sell", rate, spread, sell, buy)
    parts = [exchanged(part, "sell", rate, spread, sell, buy) for part in (one, other)]
    assert sum(part.buy for part in parts if isinstance(part, Exchange)) <= whole.buy


@BOUNDED
@given(rates)
def test_a_rate_for_people_is_rounded_down_at_the_last_of_its_digits(rate: Fraction) -> None:
    text = decimal_text(rate)
    assert (
        0 <= rate - Fraction(text) < max(rate / 10 ** (RATE_DIGITS - 1), Fraction(1) if rate >= 10**7 else 0)
    )


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        ("1", "1"),
        ("1.0842", "1.0842"),
        ("160.5", "160.5"),
        ("0.00625", "0.00625"),
        ("1/3", "0.33333333"),
        ("20000/3", "6666.6666"),
        ("100", "100"),
        ("9999999.9", "9999999.9"),
        ("10000000", "10000000"),
        ("16500000", "16500000"),
        ("123456789.5", "123456789"),
        ("1/1000000007", "0.00000000099999999"),
    ],
)
def test_rates_for_people(rate: str, text: str) -> None:
    assert decimal_text(Fraction(rate)) == text
