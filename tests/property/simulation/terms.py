"""The operator's terms that simulations are run under."""

from typing import Any, Final

from tests.property.model.records import (
    ENABLED,
    Terms,
)

from tuppence_server.domain.policy import FeeRule, Limits, Policy


def _fee(
    kind: str, currency: str, tier: str, on: str, fixed: int, ppm: int, minimum: int, maximum: int | None
) -> dict[str, Any]:
    return {
        "kind": kind, "currency": currency, "tier": tier, "on": on, "fixed": fixed, "ppm": ppm,
        "minimum": minimum, "maximum": maximum,
    }  # fmt: skip


_TIGHT: Final = {
    ("tight", "EUR"): {
        "per_payment": 9_000, "daily": 12_000, "monthly": 20_000, "hourly_count": 2, "balance": 40_000,
    },
    ("tight", "JPY"): {"daily": 6_000, "hourly_count": 2},
    ("loose", "EUR"): {"hourly_count": 2, "monthly": 12_000, "balance": 15_000},
}  # fmt: skip
TERMS: Final = (
    Terms(),
    Terms(
        fees=(
            _fee("send", "EUR", "vip", "payer", 0, 0, 0, None),
            _fee("send", "EUR", "*", "payer", 10, 12_345, 0, None),
            _fee("send", "KWD", "*", "payee", 3, 20_000, 0, None),
            _fee("packet", "*", "*", "payer", 1, 1_000, 2, 9),
            _fee("exchange", "*", "*", "payer", 0, 5_000, 1, None),
        ),
        limits=_TIGHT,
        spread_ppm=7_500,
    ),
    Terms(
        mode="live",
        fees=(
            _fee("send", "*", "tight", "payee", 1, 33_333, 2, 40),
            _fee("*", "JPY", "*", "payer", 1, 0, 0, None),
        ),
        limits={
            **_TIGHT,
            ("basic", "EUR"): {"daily": 60_000, "monthly": 100_000, "hourly_count": 6},
            ("basic", "KWD"): {"per_payment": 20_000, "balance": 20_000},
        },
    ),
    Terms(mode="live", limits=_TIGHT, spread_ppm=1),
)


def policy_of(terms: Terms) -> Policy:
    """The terms as the server has them."""
    fees = tuple(FeeRule(**rule) for rule in terms.fees)
    limits = {key: Limits(**limit) for key, limit in terms.limits.items()}
    return Policy(frozenset(ENABLED), terms.mode, fees, limits, terms.spread_ppm)
