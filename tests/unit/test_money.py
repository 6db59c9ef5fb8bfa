"""Minor units inside, one canonical string outside, never a float."""

import ast
import inspect

import pytest

from tuppence_protocol import currencies, money
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import AMOUNT_MINOR_MAX
from tuppence_protocol.money import format_amount, parse_amount, parse_money


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.5", "EUR", 1250),
        ("12", "JPY", 12),
        ("0.001", "BHD", 1),
        ("0.0001", "CLF", 1),
        ("1.00", "ISK", None),
    ],
)
def test_parse(text: str, currency: str, minor: int | None) -> None:
    got = parse_amount(text, currency)
    assert got == minor if minor is not None else isinstance(got, Refusal)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD", "CLF"])
def test_bounds_are_in_minor_units_whatever_the_exponent(currency: str) -> None:
    assert parse_amount(format_amount(1, currency), currency) == 1
    top = format_amount(AMOUNT_MINOR_MAX - 1, currency)
    assert parse_amount(top, currency) == AMOUNT_MINOR_MAX - 1
    assert format_amount(AMOUNT_MINOR_MAX, currency).replace(".", "") == "1" + "0" * 15
    for minor in (0, AMOUNT_MINOR_MAX + 1):
        refusal = parse_amount(format_amount(minor, currency), currency)
        assert isinstance(refusal, Refusal)


@pytest.mark.parametrize("currency", ["EUR", "KWD", "CLF"])
def test_the_largest_amount_can_be_written(currency: str) -> None:
    assert parse_amount(format_amount(AMOUNT_MINOR_MAX, currency), currency) == AMOUNT_MINOR_MAX


def test_refusal_names_the_member() -> None:
    refusal = parse_amount("1,00", "EUR", "$.body.total")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("amount_format", "$.body.total")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "EUR", "0.00"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (-1250, "EUR", "-12.50"),
        (0, "JPY", "0"),
        (-3, "JPY", "-3"),
        (1, "CLF", "0.0001"),
        (10**18, "EUR", "10000000000000000.00"),
    ],
)
def test_format(minor: int, currency: str, text: str) -> None:
    assert format_amount(minor, currency) == text


def test_format_of_an_unknown_currency_is_a_fault() -> None:
    with pytest.raises(ValueError, match="unknown currency"):
        format_amount(1, "eur")


def test_people_may_type_money() -> None:
    assert parse_money("12.5 eur") == (1250, "EUR")
    assert parse_money("  3   JPY ") == (3, "JPY")
    for text in ("12.50", "EUR 12.50", "12.50EUR", "1 2 EUR", "", "0 EUR"):
        assert isinstance(parse_money(text), Refusal)


def test_no_float_and_no_division() -> None:
    for module in (money, currencies):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            assert not isinstance(node, ast.Div)
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
            assert not (isinstance(node, ast.Name) and node.id in {"float", "Decimal", "round"})
