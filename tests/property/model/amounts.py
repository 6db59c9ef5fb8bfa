"""Amounts in minor units and as the wire has them."""

import math
from fractions import Fraction

from tests.property.model.records import AMOUNT_MAX, DIGITS, ENABLED, IDS, Part, Refused


def show(minor: int, currency: str) -> str:
    """An amount as the wire has it."""
    digits = DIGITS[currency]
    whole, rest = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"


def well_formed(text: str) -> None:
    """Hold an amount against its form, which is the same in all currencies."""
    whole, dot, rest = text.partition(".")
    fine = whole.isascii() and whole.isdigit() and len(whole) <= 15 and (whole == "0" or whole[0] != "0")
    if not fine or (dot and not (rest.isascii() and rest.isdigit() and len(rest) <= 8)):
        raise Refused("amount_format")


def read(text: str, currency: str) -> int:
    """An amount of the wire in minor units."""
    if currency not in DIGITS:
        raise Refused("unknown_currency")
    well_formed(text)
    whole, _, rest = text.partition(".")
    minor = int(whole + rest.ljust(DIGITS[currency], "0"))
    if len(rest) > DIGITS[currency] or not 1 <= minor <= AMOUNT_MAX:
        raise Refused("amount_range")
    if currency not in ENABLED:
        raise Refused("unknown_currency")
    return minor


def exchange(
    minor: int, side: str, sell: str, buy: str, rate: Fraction, spread_ppm: int
) -> tuple[int, int, int]:
    """Sold, bought and kept as the margin; what is not whole is rounded in favour of the house."""
    spread = Fraction(spread_ppm, 1_000_000)
    fine = rate * Fraction(10) ** (DIGITS[buy] - DIGITS[sell])
    if side == "sell":
        sold, margin = minor, math.ceil(minor * spread)
        bought = math.floor((sold - margin) * fine)
    else:
        bought, net = minor, math.ceil(minor / fine)
        sold = math.ceil(net / (1 - spread))
        margin = sold - net
    if min(sold, bought) < 1 or max(sold, bought) > AMOUNT_MAX:
        raise Refused("amount_range")
    return sold, bought, margin


def minor_or_text(text: str, currency: str) -> int | str:
    try:
        return read(text, currency)
    except Refused:
        return text


def told_share(part: Part, currency: str, state: str) -> dict[str, str]:
    return {"user": IDS[part.person], "amount": show(part.amount, currency), "state": state}
