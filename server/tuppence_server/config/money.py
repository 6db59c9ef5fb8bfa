"""What the operator set about money, as the domain works with it: minor units, millionths, milliseconds."""

from tuppence_server.domain.policy import Policy
from tuppence_server.domain.rows import DataMode

from .money_tables import ppm
from .settings import Settings


def policy(settings: Settings, mode: DataMode) -> Policy:
    """The settings of a server whose data directory is of this mode."""
    return Policy(
        currencies=frozenset(settings.currencies),
        mode=mode,
        fees=tuple(fee.rule() for fee in settings.fees),
        limits={
            (tier, currency): limits.limits(currency)
            for tier, currencies in settings.limits.items()
            for currency, limits in currencies.items()
        },
        spread_ppm=ppm(settings.exchange_spread_percent, "exchange_spread_percent"),
        quote_ms=settings.exchange_quote_s * 1_000,
    )
