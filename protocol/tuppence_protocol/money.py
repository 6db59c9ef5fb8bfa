"""Money: integer minor units inside, a decimal string in major units on the wire, never a float.

The currency's exponent comes from the frozen ISO 4217 table; formatting is canonical, so that one amount has
one spelling.
"""

import re
from functools import lru_cache
from typing import Final

from .currencies import exponent
from .errors import Refusal
from .limits import AMOUNT_MINOR_MAX

AMOUNT_PATTERN: Final = r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,8})?$"
CURRENCY_PATTERN: Final = r"^[A-Z]{3}$"
AMOUNTS_REMEMBERED_MAX: Final = 4_096
"""People pay round amounts again and again; reading one anew costs ten times as much as remembering it."""
_amount = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,8}))?", re.ASCII).fullmatch


@lru_cache(maxsize=AMOUNTS_REMEMBERED_MAX)
def parse_amount(text: str, currency: str, field: str = "$.body.amount") -> int | Refusal:
    """Read a positive amount as minor units of `currency`.

    Errors: `unknown_currency`, `amount_format` (not the pattern), `amount_range` (zero, more than
    AMOUNT_MINOR_MAX, or more decimals than the currency has).
    """
    digits = exponent(currency)
    if digits is None:
        return Refusal("unknown_currency", f"{currency!r} is not an ISO 4217 currency.", "$.body.currency")
    match = _amount(text)
    if match is None:
        return _formless(field)
    whole, fraction = match.groups(default="")
    if len(fraction) > digits:
        return Refusal("amount_range", f"{currency} has {digits} decimals at most.", field)
    minor = int(whole + fraction.ljust(digits, "0"))
    if not 1 <= minor <= AMOUNT_MINOR_MAX:
        top = format_amount(min(AMOUNT_MINOR_MAX, 10 ** (15 + digits) - 1), currency)
        return Refusal("amount_range", f"An amount is more than zero and at most {top} {currency}.", field)
    return minor


@lru_cache(maxsize=AMOUNTS_REMEMBERED_MAX)
def format_amount(minor: int, currency: str) -> str:
    """Write minor units as the canonical decimal string; a negative sum keeps its sign (statements)."""
    digits = exponent(currency)
    if digits is None:
        raise ValueError(f"unknown currency {currency!r}")
    if digits == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    text = str(abs(minor)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


def amount_form(text: str, field: str = "$.body.amount") -> Refusal | None:
    """`amount_format` where a text is no amount in any currency."""
    return None if _amount(text) is not None else _formless(field)


def _formless(field: str) -> Refusal:
    expected = 'expected a decimal string such as "12.50", without sign, exponent or spaces'
    return Refusal("amount_format", f"Amount not understood: {expected}.", field)


def in_equal_parts(minor: int, parts: int) -> list[int]:
    """Minor units in parts that differ by one at most; what is left over goes to the first."""
    each, more = divmod(minor, parts)
    return [each + (n < more) for n in range(parts)]


def parse_money(text: str, field: str = "$.body.amount") -> tuple[int, str] | Refusal:
    """Read what a person types, "12.50 EUR", as (minor units, currency)."""
    parts = text.split()
    if len(parts) != 2:
        return Refusal("amount_format", 'Write an amount and a currency, such as "12.50 EUR".', field)
    minor = parse_amount(parts[0], parts[1].upper(), field)
    return minor if isinstance(minor, Refusal) else (minor, parts[1].upper())
