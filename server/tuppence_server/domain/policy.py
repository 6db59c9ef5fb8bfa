"""What the operator decided: currencies, fees, limits, exchange. Plain values, read from the settings."""

from typing import Final, Literal

from msgspec import Struct

from tuppence_protocol.limits import QUOTE_MS

from .rows import DataMode

FeeKind = Literal["send", "packet", "exchange"]
FIRST_TIER: Final = "basic"
PPM: Final = 1_000_000


class FeeRule(Struct, frozen=True):
    """A fee in minor units: `fixed` plus `ppm` millionths of the amount, rounded up, within the bounds.

    `kind`, `currency` and `tier` are "*" where they do not matter. The first rule that fits counts.
    """

    kind: FeeKind | Literal["*"]
    currency: str
    tier: str
    fixed: int
    ppm: int
    minimum: int
    maximum: int | None
    on: Literal["payer", "payee"]

    def of(self, minor: int) -> int:
        """The fee on an amount, minor units."""
        fee = max(self.minimum, self.fixed - (-minor * self.ppm // PPM))
        return fee if self.maximum is None else min(fee, self.maximum)


class Limits(Struct, frozen=True):
    """What a person of a tier may do in a currency; minor units, None where there is no limit."""

    per_payment: int | None = None
    daily: int | None = None
    monthly: int | None = None
    hourly_count: int | None = None
    balance: int | None = None


NO_LIMITS: Final = Limits()


class Policy(Struct, frozen=True):
    """All that the rules of money ask the operator."""

    currencies: frozenset[str]
    mode: DataMode = "live"
    fees: tuple[FeeRule, ...] = ()
    limits: dict[tuple[str, str], Limits] = {}
    spread_ppm: int = 0
    quote_ms: int = QUOTE_MS

    def tiers(self) -> frozenset[str]:
        """The tiers that fees and limits know, and that everybody begins with."""
        named = {rule.tier for rule in self.fees if rule.tier != "*"} | {tier for tier, _ in self.limits}
        return frozenset(named | {FIRST_TIER})

    def fee(self, kind: FeeKind, currency: str, tier: str, minor: int) -> tuple[int, str]:
        """The fee on a payment, and who bears it."""
        for rule in self.fees:
            if rule.kind in (kind, "*") and rule.currency in (currency, "*") and rule.tier in (tier, "*"):
                return rule.of(minor), rule.on
        return 0, "payer"
