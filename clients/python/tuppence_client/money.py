"""Money enters exactly or not at all: text, whole minor units or Decimal with a currency; never a float."""

from decimal import Decimal

from tuppence_protocol.errors import Refusal
from tuppence_protocol.money import format_amount, parse_amount, parse_money
from tuppence_protocol.views import Money as ToldMoney

from .errors import error_of

Money = str | tuple[int | Decimal, str] | ToldMoney
"""`"12.50 EUR"`, `(1250, "EUR")` in minor units, `(Decimal("12.50"), "EUR")` in major ones, or as told."""
Amount = str | int | Decimal
"""The same where the currency is known already: `"12.50"`, `1250` in minor units, or `Decimal("12.50")`."""


def amount_of(money: Money) -> tuple[str, str]:
    """The canonical amount and the currency, as they go on the wire.

    Raises:
        TypeError: for floats and whatever else is not money.
        ShapeError: `amount_format`, `amount_range` or `unknown_currency`.
    """
    if isinstance(money, ToldMoney):
        money = f"{money.amount} {money.currency}"
    if isinstance(money, str):
        found = parse_money(money)
        if isinstance(found, Refusal):
            raise error_of(found)
        return format_amount(*found), found[1]
    if not isinstance(money, tuple) or len(money) != 2 or not isinstance(money[1], str):
        raise TypeError(_advice(money))
    value, currency = money[0], money[1].upper()
    if isinstance(value, Decimal):
        text = f"{value:f}" if value.is_finite() else str(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        text = _minor_text(value, currency)
    else:
        raise TypeError(_advice(value))
    minor = parse_amount(text, currency)
    if isinstance(minor, Refusal):
        raise error_of(minor)
    return format_amount(minor, currency), currency


def amount_in(currency: str, amount: Amount) -> tuple[str, str]:
    """The same for an amount whose currency is known; raises the same."""
    return amount_of(f"{amount} {currency}" if isinstance(amount, str) else (amount, currency))


def _minor_text(minor: int, currency: str) -> str:
    try:
        return format_amount(minor, currency)
    except ValueError:
        return str(minor)  # parse_amount refuses the currency with its own code


def _advice(value: object) -> str:
    what = (
        f"{value!r} is a float, which cannot hold money exactly" if isinstance(value, float) else repr(value)
    )
    ways = 'as "12.50 EUR", as (1250, "EUR") in minor units, or as (Decimal("12.50"), "EUR")'
    return f"{what}: write money {ways}"
