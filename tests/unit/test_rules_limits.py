"""Limits by tier: at the edges of their windows, and given back with what came to nothing."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.contract.stores import command, opened, said
from tests.support.limited_world import POLICY, limited_world
from tests.support.money_world import DAY_MS, HOUR_MS, ON_EVERY_STORE, MoneyWorld, Told, told

from tuppence_protocol.errors import CODES
from tuppence_server.domain.commands import SetTier
from tuppence_server.domain.pay.limits import MONTH_MS, SLOT_MS
from tuppence_server.domain.policy import FeeRule, Limits, Policy

world = limited_world


def passed(code: str, limit: str, used: str, resets_at: int | None) -> Told:
    """A limit in euros that would be passed."""
    state: dict[str, str | int] = {"limit": limit, "used": used, "currency": "EUR"}
    return code, "$.body.amount", state if resets_at is None else {**state, "resets_at": resets_at}


# --- each limit -----------------------------------------------------------------------------------------


async def test_one_payment_may_be_so_much(world: MoneyWorld) -> None:
    code, field, state = told(await world.pay("alice", "@bob", "50.01"))
    assert (code, field) == ("limit_per_payment", "$.body.amount")
    assert state is not None
    assert (state["limit"], state["currency"]) == ("50.00", "EUR")
    assert said(await world.pay("alice", "@bob", "50.00")) == "stored"


@ON_EVERY_STORE
async def test_a_day_may_bring_so_much(world: MoneyWorld) -> None:
    start = world.now
    await world.paid_each("alice", "@bob", *("50.00", "49.99"))
    resets_at = start + SLOT_MS + DAY_MS
    refused = passed("limit_daily", "100.00", "99.99", resets_at)
    assert told(await world.pay("alice", "@bob", "0.02")) == refused
    assert said(await world.pay("alice", "@bob", "0.01")) == "stored"
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "limit_daily"
    world.now = resets_at - 1
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "limit_daily"
    world.now = resets_at
    assert said(await world.pay("alice", "@bob", "50.00")) == "stored"


@ON_EVERY_STORE
async def test_thirty_days_may_bring_so_much(world: MoneyWorld) -> None:
    await world.tier("alice", "monthly")
    start = world.now
    assert said(await world.pay("alice", "@bob", "60.00")) == "stored"
    world.now += 20 * DAY_MS
    assert said(await world.pay("alice", "@bob", "40.00")) == "stored"
    resets_at = start + SLOT_MS + MONTH_MS
    refused = passed("limit_monthly", "100.00", "100.00", resets_at)
    assert told(await world.pay("alice", "@bob", "60.00")) == refused
    world.now = resets_at - 1
    assert told(await world.pay("alice", "@bob", "60.00"))[0] == "limit_monthly"
    world.now = resets_at
    assert said(await world.pay("alice", "@bob", "60.00")) == "stored"
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "limit_monthly"


@ON_EVERY_STORE
async def test_an_hour_may_bring_so_many(world: MoneyWorld) -> None:
    await world.tier("alice", "slow")
    start = world.now
    await world.paid_each("alice", "@bob", *["1.00"] * 3)
    code, _, state = told(await world.pay("alice", "@bob", "0.01"))
    resets_at = start + SLOT_MS + HOUR_MS
    assert code == "velocity"
    assert state is not None
    assert (state["limit"], state["used"], state["resets_at"]) == (3, 3, resets_at)
    world.now = resets_at - 1
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "velocity"
    world.now = resets_at
    assert said(await world.pay("alice", "@bob", "0.01")) == "stored"


async def test_payments_are_counted_for_each_currency(world: MoneyWorld) -> None:
    await world.tier("alice", "slow")
    await world.paid_each("alice", "@bob", *["1.00"] * 3)
    assert told(await world.pay("alice", "@bob", "1.00"))[0] == "velocity"
    await world.credit("alice", "5", "JPY")
    assert said(await world.pay("alice", "@bob", "1", "JPY")) == "stored"


async def test_a_balance_may_grow_to_so_much(world: MoneyWorld) -> None:
    await world.tier("carol", "small")
    await world.credit("carol", "60.00")
    full: Told = ("balance_limit", "$.body.amount", None)
    assert told(await world.pay("bob", "@carol", "40.01")) == full
    assert told(await world.credit("carol", "40.01"))[0] == "balance_limit"
    assert told(await world.do("carol", "pay.faucet", "self", amount="40.01", currency="EUR")) == full
    assert said(await world.pay("bob", "@carol", "40.00")) == "stored"
    assert told(await world.pay("bob", "@carol", "0.01")) == full
    await world.pay("carol", "@bob", "100.00")
    assert said(await world.pay("bob", "@carol", "100.00")) == "stored"


async def test_what_is_offered_counts_towards_a_balance_once_it_is_accepted(world: MoneyWorld) -> None:
    await world.tier("carol", "small")
    offer = await world.offered("bob", "@carol", "60.00")
    assert said(await world.pay("bob", "@carol", "40.01")) == "stored"
    assert told(await world.do("carol", "pay.accept", "@bob", ref=offer))[0] == "balance_limit"


async def test_what_comes_back_is_not_capped(world: MoneyWorld) -> None:
    """A refund is one's own money: it may fill a balance beyond what others may."""
    await world.tier("carol", "small")
    await world.credit("carol", "100.00")
    paid = await world.paid("carol", "@bob", "50.00")
    await world.credit("carol", "50.00")
    assert said(await world.do("bob", "pay.refund", "@carol", ref=paid)) == "stored"
    assert await world.purse("carol") == (15_000, 0)


async def test_a_packet_is_claimed_within_the_balance_of_its_claimer(world: MoneyWorld) -> None:
    group = await world.group("bob", "carol", "dave")
    await world.tier("carol", "small")
    await world.credit("carol", "99.00")
    body = {"total": "4.00", "currency": "EUR", "count": 2, "mode": "equal"}
    packet = await world.made("bob", "pay.packet", group, **body)
    assert told(await world.do("carol", "pay.claim", group, ref=packet))[0] == "balance_limit"
    assert said(await world.do("dave", "pay.claim", group, ref=packet)) == "stored"


# --- what counts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["plain", "offer", "request", "split", "quote", "packet"])
@ON_EVERY_STORE
async def test_every_sort_of_payment_counts(world: MoneyWorld, sort: str) -> None:
    group = await world.group("bob", "alice", "carol")
    members: dict[str, Any] = {}
    place: dict[str, Any] = {"conv": "@bob"}
    match sort:
        case "offer":
            members = {"accept": True}
        case "request":
            await world.say("alice", "@bob")
            place["ref"] = await world.made("bob", "pay.request", "@alice", amount="50", currency="EUR")
        case "split":
            shares = [{"user": "@alice"}, {"user": "@carol"}]
            split = {"total": "100", "currency": "EUR", "shares": shares}
            place = {"conv": group, "ref": await world.made("bob", "pay.split", group, **split)}
            members = {"payee": "@bob"}
        case "quote":
            members = {"quote": (await world.quote("alice", "50.00")).id}
    for _ in range(2):
        if sort == "packet":
            body = {"total": "50.00", "currency": "EUR", "count": 2, "mode": "lucky"}
            outcome = await world.do("alice", "pay.packet", group, **body)
        else:
            outcome = await world.do("alice", "pay.send", amount="50.00", currency="EUR", **place, **members)
        assert said(outcome) == "stored", outcome
        if sort != "packet":
            members, place = {}, {"conv": "@bob"}
    assert told(await world.pay("alice", "@bob", "0.01"))[:2] == ("limit_daily", "$.body.amount")


@pytest.mark.parametrize(
    ("tier", "code"), [("basic", "limit_per_payment"), ("monthly", "limit_monthly"), ("slow", "velocity")]
)
async def test_a_packet_is_refused_by_its_total(world: MoneyWorld, tier: str, code: str) -> None:
    """The field that a refusal names is one of the frame: `pay.packet` has a total and no amount."""
    group = await world.group("alice", "bob", "carol")
    await world.tier("alice", tier)
    await world.paid_each("alice", "@bob", *["30.00"] * 3)
    refused = await world.do(
        "alice", "pay.packet", group, total="50.01", currency="EUR", count=2, mode="equal"
    )
    expected = None if code == "velocity" else "$.body.total"
    assert told(refused)[:2] == (code, expected)


async def test_what_one_gets_asks_gives_back_and_claims_does_not_count(world: MoneyWorld) -> None:
    await world.tier("alice", "all")
    await world.tier("carol", "all")
    paid = await world.paid("bob", "@carol", "99.00")
    for _ in range(3):
        assert said(await world.do("carol", "pay.refund", "@bob", ref=paid, amount="33.00")) == "stored"
    await world.say("carol", "@bob")
    for n in range(1, 4):
        body = {"amount": f"{n}", "currency": "EUR"}
        assert said(await world.do("carol", "pay.request", "@bob", **body)) == "stored"
    for _ in range(3):
        offer = await world.offered("bob", "@carol", "1.00")
        assert said(await world.do("carol", "pay.accept", "@bob", ref=offer)) == "stored"
    assert said(await world.pay("carol", "@bob", "3.00")) == "stored", "nothing was used"


async def test_the_fee_does_not_count(world: MoneyWorld) -> None:
    world.policy = replace(POLICY, fees=(FeeRule("*", "*", "*", 100, 0, 0, None, "payer"),))
    await world.paid_each("alice", "@bob", *["50.00"] * 2)
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "limit_daily"


async def test_a_refused_payment_does_not_count(world: MoneyWorld) -> None:
    await world.tier("carol", "basic")
    for _ in range(3):
        assert told(await world.pay("carol", "@bob", "50.00"))[0] == "insufficient_funds"
    await world.credit("carol", "100.00")
    await world.paid_each("carol", "@bob", *["50.00"] * 2)


async def test_a_retry_does_not_count_twice(world: MoneyWorld) -> None:
    key = world.key()
    for _ in range(4):
        assert said(await world.pay("alice", "@bob", "50.00", key=key)) == "stored"
    assert said(await world.pay("alice", "@bob", "50.00")) == "stored"


@ON_EVERY_STORE
async def test_payments_of_one_batch_count(world: MoneyWorld) -> None:
    frames = [world.frame("alice", "pay.send", "@bob", amount="30.00", currency="EUR") for _ in range(5)]
    codes = [said(each) for each in await world.settle(*frames)]
    assert codes == ["stored"] * 3 + ["limit_daily"] * 2


async def test_each_currency_has_a_limit_of_its_own(world: MoneyWorld) -> None:
    await world.credit("alice", "9000", "USD")
    assert said(await world.pay("alice", "@bob", "9000", "USD")) == "stored"
    await world.paid_each("alice", "@bob", *["50.00"] * 2)


# --- tiers ----------------------------------------------------------------------------------------------


async def test_a_tier_without_limits_has_none(world: MoneyWorld) -> None:
    await world.paid_each("bob", "@alice", *["500.00"] * 5)


async def test_what_was_used_stays_used_in_another_tier(world: MoneyWorld) -> None:
    await world.paid_each("alice", "@bob", *["40.00"] * 2)
    await world.tier("alice", "monthly")
    resets_at = world.now + SLOT_MS + MONTH_MS
    refused = passed("limit_monthly", "100.00", "80.00", resets_at)
    assert told(await world.pay("alice", "@bob", "20.01")) == refused
    assert said(await world.pay("alice", "@bob", "20.00")) == "stored"
    await world.tier("alice", "free")
    assert said(await world.pay("alice", "@bob", "999.00")) == "stored"


async def test_when_a_count_fits_again_is_told_right_after_a_change_of_tier(world: MoneyWorld) -> None:
    """At `resets_at` the payment fits, if nothing else were paid till then."""
    assert said(await world.pay("alice", "@bob", "1.00")) == "stored"
    world.now += SLOT_MS
    await world.paid_each("alice", "@bob", *["1.00"] * 4)
    await world.tier("alice", "slow")
    code, _, state = told(await world.pay("alice", "@bob", "1.00"))
    assert code == "velocity"
    assert state is not None
    world.now = int(state["resets_at"])
    assert said(await world.pay("alice", "@bob", "1.00")) == "stored"


async def test_of_several_limits_the_first_of_the_catalogue_is_told(world: MoneyWorld) -> None:
    """703 one payment, 704 a day, 705 a month, 706 the count."""
    await world.tier("alice", "all")
    await world.paid_each("alice", "@bob", *["30.00"] * 2)
    codes = [told(await world.pay("alice", "@bob", amount))[0] for amount in ("50.01", "0.01")]
    world.now += DAY_MS + 2 * SLOT_MS
    await world.paid_each("alice", "@bob", *("9.00", "0.50"))
    codes += [told(await world.pay("alice", "@bob", amount))[0] for amount in ("0.51", "0.01")]
    assert codes == ["limit_per_payment", "limit_daily", "limit_monthly", "velocity"]
    assert codes == sorted(codes, key=lambda code: CODES[code].number)


async def test_nobody_finds_out_what_somebody_has_by_payments_that_they_cannot_make(
    world: MoneyWorld,
) -> None:
    """A cap on balances would tell by when it is passed; so what one lacks oneself is told first."""
    await world.tier("carol", "small")
    await world.credit("carol", "60.00")
    for amount in ("1.00", "40.00", "40.01", "99.00"):
        assert told(await world.pay("dave", "@carol", amount))[0] == "insufficient_funds"
    for amount in ("40.00", "40.01", "99.00"):
        seen = await world.preview("bob", "pay.send", "@carol", amount=amount, currency="EUR")
        assert said(seen) == "previewed"


async def test_a_limit_is_told_before_the_funds_and_after_the_state(world: MoneyWorld) -> None:
    await world.tier("carol", "basic")
    assert told(await world.pay("carol", "@bob", "50.01"))[0] == "limit_per_payment"
    late = await world.pay("carol", "@bob", "50.01", not_after=world.now - 1)
    assert told(late)[0] == "expired"
    await world.flag("carol", 2)
    assert told(await world.pay("carol", "@bob", "50.01"))[0] == "account_frozen"


async def test_a_tier_that_changes_within_the_batch_is_the_one_that_counts(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        limits = {("tight", "EUR"): Limits(daily=1_000)}
        world = MoneyWorld(store, Policy(frozenset({"EUR"}), limits=limits))
        await world.register("alice", "bob")
        await world.credit("alice", "100")
        outcomes = await world.settle(
            command(SetTier("alice", "tight")),
            world.frame("alice", "pay.send", "@bob", amount="11", currency="EUR"),
            world.frame("alice", "pay.send", "@bob", amount="10", currency="EUR"),
        )
        assert [said(outcome) for outcome in outcomes] == ["done", "limit_daily", "stored"]
