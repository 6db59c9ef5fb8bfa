"""Amounts as people and programs write them, and what each is worth in minor units."""

from collections.abc import Iterator
from typing import Any, Final

Row = dict[str, Any]

# amount, currency, minor units, canonical spelling
_GOOD: Final = (
    ("12.50", "EUR", 1250, "12.50"), ("12.5", "EUR", 1250, "12.50"), ("12", "EUR", 1200, "12.00"),
    ("0.01", "EUR", 1, "0.01"), ("0.1", "EUR", 10, "0.10"), ("100", "JPY", 100, "100"), ("1", "KRW", 1, "1"),
    ("1", "ISK", 1, "1"), ("0.001", "BHD", 1, "0.001"), ("1.5", "KWD", 1500, "1.500"),
    ("0.0001", "CLF", 1, "0.0001"), ("2.25", "UYW", 22500, "2.2500"), ("1.00", "HUF", 100, "1.00"),
    ("10000000000000", "EUR", 10**15, "10000000000000.00"),
    ("10000000000000.00", "EUR", 10**15, "10000000000000.00"),
    ("9999999999999.99", "EUR", 10**15 - 1, "9999999999999.99"),
    ("999999999999999", "JPY", 10**15 - 1, "999999999999999"),
    ("1000000000000", "KWD", 10**15, "1000000000000.000"),
    ("100000000000.0000", "CLF", 10**15, "100000000000.0000"),
)  # fmt: skip
_RANGE: Final = (
    ("zero", "0", "EUR"), ("zero with decimals", "0.00", "EUR"), ("less than a cent", "0.001", "EUR"),
    ("zero, but too finely divided", "0.000", "EUR"), ("a trailing zero too many", "12.500", "EUR"),
    ("yen with decimals", "1.0", "JPY"), ("four decimals of a dinar", "1.0001", "BHD"),
    ("one minor unit too many", "10000000000000.01", "EUR"),
    ("fifteen digits of euros", "999999999999999", "EUR"), ("one fils too many", "1000000000000.001", "KWD"),
)  # fmt: skip
_FORMAT: Final = (
    ("empty", ""), ("leading zero", "01"), ("leading zeros", "00.50"), ("no whole part", ".50"),
    ("no decimals after the point", "12."), ("minus", "-1.00"), ("minus zero", "-0"), ("plus", "+1.00"),
    ("space before", " 1.00"), ("space after", "1.00 "), ("newline after", "1.00\n"),
    ("no-break space", "1 000"), ("comma", "12,50"), ("thousands", "1,000.00"), ("underscore", "1_000"),
    ("apostrophe", "1'000"), ("two points", "1.2.3"), ("exponent", "1e3"), ("exponent upper", "1E3"),
    ("hex", "0x10"), ("nan", "NaN"), ("infinity", "Infinity"), ("symbol", "€12.50"),
    ("with the currency", "12.50 EUR"), ("Arabic digits", "\u0661\u0662"),
    ("full-width digits", "\uff11\uff12"), ("superscript", "1²"), ("nine decimals", "0.000000001"),
    ("sixteen digits", "1000000000000000"), ("U+0000", "1\x00"),
)  # fmt: skip
_CURRENCY: Final = ("eur", "Eur", "EU", "EURO", "", "XXX", "XAU", "BTC", "DEM", "EUR ", "\u0415UR")


def money() -> Iterator[Row]:
    """Rows with `minor` and `canonical`, or with the `code` of the refusal."""
    for amount, currency, minor, canonical in _GOOD:
        name = f"{amount} {currency}"
        row = {"name": name, "amount": amount, "currency": currency}
        yield row | {"minor": minor, "canonical": canonical}
    for name, amount, currency in _RANGE:
        yield {"name": name, "amount": amount, "currency": currency, "code": "amount_range"}
    for name, amount in _FORMAT:
        yield {"name": name, "amount": amount, "currency": "EUR", "code": "amount_format"}
    for currency in _CURRENCY:
        row = {"name": f"currency {currency!r}", "amount": "1", "currency": currency}
        yield row | {"code": "unknown_currency"}
