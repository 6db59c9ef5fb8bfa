"""What came to nothing is given back to its limits; and no history ever passes one."""

from typing import Any

import pytest
from tests.contract.stores import said
from tests.support.limited_world import limited_world
from tests.support.money_world import DAY_MS, HOUR_MS, ON_EVERY_STORE, MoneyWorld, told
from tests.support.waiting import seeded

from tuppence_protocol.money import format_amount
from tuppence_server.domain.pay.limits import MONTH_MS, SLOT_MS

world = limited_world


async def spend_and_undo(world: MoneyWorld, end: str, *, who: str = "alice", amount: str = "50.00") -> None:
    """An offer to Bob that comes to nothing."""
    offer = await world.offered(who, "@bob", amount, expires_s=60)
    world.now += 60_000 if end == "pay.expire" else 0
    assert said(await world.answer(end, offer, who)) == "stored"


@pytest.mark.parametrize("end", ["pay.decline", "pay.cancel", "pay.expire"])
@ON_EVERY_STORE
async def test_what_came_to_nothing_gives_its_limit_back(world: MoneyWorld, end: str) -> None:
    await world.pay("alice", "@bob", "50.00")
    await spend_and_undo(world, end)
    assert said(await world.pay("alice", "@bob", "50.00")) == "stored"
    assert told(await world.pay("alice", "@bob", "0.01"))[2]["used"] == "100.00"  # type: ignore[index]


@pytest.mark.parametrize("end", ["pay.decline", "pay.cancel", "pay.expire"])
async def test_what_came_to_nothing_gives_its_count_back(world: MoneyWorld, end: str) -> None:
    await world.tier("alice", "slow")
    await world.paid_each("alice", "@bob", *["1.00"] * 2)
    await spend_and_undo(world, end)
    assert said(await world.pay("alice", "@bob", "1.00")) == "stored"
    assert told(await world.pay("alice", "@bob", "1.00"))[0] == "velocity"


async def test_what_is_accepted_stays_used(world: MoneyWorld) -> None:
    for _ in range(2):
        offer = await world.offered("alice", "@bob", "50.00")
        assert told(await world.pay("alice", "@bob", "50.01"))[0] == "limit_per_payment"
        assert said(await world.do("bob", "pay.accept", "@alice", ref=offer)) == "stored"
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "limit_daily"
    paid = await world.paid("bob", "@alice", "5.00")
    await world.do("alice", "pay.refund", "@bob", ref=paid)
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "limit_daily", "a refund gives nothing back"


@pytest.mark.parametrize("claims", [0, 1, 2])
@ON_EVERY_STORE
async def test_a_packet_gives_back_what_nobody_claimed(world: MoneyWorld, claims: int) -> None:
    group = await world.group("alice", "bob", "carol")
    body = {"total": "50.00", "currency": "EUR", "count": 2, "mode": "equal", "expires_s": 60}
    packet = await world.made("alice", "pay.packet", group, **body)
    for who in ("bob", "carol")[:claims]:
        assert said(await world.do(who, "pay.claim", group, ref=packet)) == "stored"
    world.now += 60_000
    await world.expire(packet)
    used = format_amount(2_500 * claims + 5_000, "EUR")
    await world.pay("alice", "@bob", "50.00")
    refused = await world.pay("alice", "@bob", "50.00")
    if claims == 0:
        assert said(refused) == "stored"
    else:
        assert told(refused)[2]["used"] == used  # type: ignore[index]


@pytest.mark.parametrize(("claims", "stored"), [(0, 3), (1, 2)])
async def test_a_packet_counts_where_somebody_claimed(world: MoneyWorld, claims: int, stored: int) -> None:
    await world.tier("alice", "slow")
    group = await world.group("alice", "bob", "carol")
    body = {"total": "50.00", "currency": "EUR", "count": 2, "mode": "equal", "expires_s": 60}
    packet = await world.made("alice", "pay.packet", group, **body)
    for who in ("bob", "carol")[:claims]:
        await world.do(who, "pay.claim", group, ref=packet)
    world.now += 60_000
    await world.expire(packet)
    codes = [said(await world.pay("alice", "@bob", "1.00")) for _ in range(4)]
    assert codes == ["stored"] * stored + ["velocity"] * (4 - stored)


async def test_what_is_given_back_late_is_given_back_to_the_day_that_it_was_used(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "50.00", expires_s=2 * 86_400)
    world.now += DAY_MS + 2 * SLOT_MS
    await world.paid_each("alice", "@bob", *["50.00"] * 2)
    assert said(await world.do("bob", "pay.decline", "@alice", ref=offer)) == "stored"
    assert told(await world.pay("alice", "@bob", "0.01"))[2]["used"] == "100.00"  # type: ignore[index]


async def test_what_is_given_back_after_the_longest_window_changes_nothing(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "50.00", expires_s=30 * 86_400)
    world.now += MONTH_MS + SLOT_MS
    assert said(await world.expire(offer)) == "stored"
    await world.paid_each("alice", "@bob", *["50.00"] * 2)
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "limit_daily"


@pytest.mark.parametrize("end", ["pay.decline", "pay.cancel", "pay.expire"])
async def test_what_came_to_nothing_is_given_back_whatever_the_tier_is_meanwhile(
    world: MoneyWorld, end: str
) -> None:
    offer = await world.offered("alice", "@bob", "50.00", expires_s=60)
    await world.tier("alice", "free")
    world.now += 60_000 if end == "pay.expire" else 0
    await world.answer(end, offer)
    await world.tier("alice", "basic")
    await world.paid_each("alice", "@bob", *["50.00"] * 2)


# --- any history ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["basic", "monthly"])
async def test_no_window_ever_passes_its_limit(world: MoneyWorld, tier: str) -> None:
    """Random payments and undoings at random times, checked against every true window to the millisecond."""
    rng = seeded()
    await world.tier("alice", tier)
    window = DAY_MS if tier == "basic" else MONTH_MS
    spent: list[tuple[int, int]] = []
    waiting: list[tuple[str, tuple[int, int]]] = []
    refused = 0
    for _ in range(150):
        world.now += rng.choice((0, 1_000, HOUR_MS, rng.randrange(window // 10)))
        if waiting and rng.random() < 0.3:
            offer, use = waiting.pop(rng.randrange(len(waiting)))
            assert said(await world.do("bob", "pay.decline", "@alice", ref=offer)) == "stored"
            spent.remove(use)
            continue
        minor = rng.randrange(1, 5_001)
        members: dict[str, Any] = {"accept": True, "expires_s": 30 * 86_400} if rng.random() < 0.4 else {}
        key = world.key()
        outcome = await world.pay("alice", "@bob", format_amount(minor, "EUR"), key=key, **members)
        if said(outcome) == "stored":
            use = (world.now, minor)
            spent.append(use)
            if members:
                waiting.append((key, use))
        else:
            refused += 1
            assert told(outcome)[0] in {"limit_daily", "limit_monthly"}
            near = sum(amount for at, amount in spent if at > world.now - window - SLOT_MS)
            assert near + minor > 10_000, "and none is refused that fits with a slot to spare"
    assert refused > 5
    for end, _ in spent:
        assert sum(amount for at, amount in spent if end - window < at <= end) <= 10_000
