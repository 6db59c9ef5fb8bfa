"""Limits by tier, and a world that has them."""

from typing import Final

from msgspec.structs import replace
from tests.support.money_world import PLAIN, MoneyWorld, world_of

from tuppence_server.domain.pay.limits import SLOT_MS
from tuppence_server.domain.policy import Limits

LIMITS: Final = {
    ("basic", "EUR"): Limits(per_payment=5_000, daily=10_000),
    ("monthly", "EUR"): Limits(monthly=10_000),
    ("slow", "EUR"): Limits(hourly_count=3),
    ("small", "EUR"): Limits(balance=10_000),
    ("free", "USD"): Limits(per_payment=10**6),
    ("all", "EUR"): Limits(per_payment=5_000, daily=6_000, monthly=7_000, hourly_count=2, balance=10_000),
}
POLICY: Final = replace(PLAIN, limits=LIMITS)


async def begin(world: MoneyWorld) -> None:
    """Alice is `basic`; the clock stands at the start of a slot; Bob and Dave have no limits in euros."""
    world.now += SLOT_MS - world.now % SLOT_MS
    await world.tier("bob", "free")
    await world.tier("dave", "free")
    for who in ("alice", "bob"):
        await world.credit(who, "9000.00")


limited_world = world_of(POLICY, begin=begin)
