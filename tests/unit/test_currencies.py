"""The frozen table says what ISO 4217 says, also where CLDR says otherwise."""

import pytest

from tuppence_protocol.currencies import EXPONENTS, exponent


@pytest.mark.parametrize(
    ("code", "decimals"),
    [
        ("BHD", 3),
        ("CLF", 4),
        ("CLP", 0),
        ("EUR", 2),
        ("GBP", 2),
        ("HUF", 2),
        ("IQD", 3),
        ("ISK", 0),
        ("JPY", 0),
        ("KRW", 0),
        ("KWD", 3),
        ("MGA", 2),
        ("MRU", 2),
        ("TND", 3),
        ("TWD", 2),
        ("USD", 2),
        ("UYI", 0),
        ("UYW", 4),
        ("VND", 0),
        ("XAF", 0),
        ("XCG", 2),
    ],
)
def test_exponent_is_the_one_of_iso(code: str, decimals: int) -> None:
    assert exponent(code) == decimals


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "XDR", "DEM", "ANG", "BGN", "eur", "EU", "", "EURO"])
def test_withdrawn_unitless_and_misspelt_codes_are_unknown(code: str) -> None:
    assert exponent(code) is None


def test_table_is_whole_and_well_formed() -> None:
    assert len(EXPONENTS) == 165
    assert list(EXPONENTS) == sorted(EXPONENTS)
    assert all(len(c) == 3 and c.isascii() and c.isupper() for c in EXPONENTS)
    assert set(EXPONENTS.values()) == {0, 2, 3, 4}
    assert [c for c, n in EXPONENTS.items() if n == 4] == ["CLF", "UYW"]


def test_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        EXPONENTS["EUR"] = 3  # type: ignore[index]
