"""Fees: what they come to, who bears them, that they never drive a purse below zero, and that they stay."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.contract.stores import body_of, said
from tests.support.money_world import EXPONENTS, ON_EVERY_STORE, PLAIN, MoneyWorld, id_of, told, world_of
from tests.support.waiting import seeded

from tuppence_protocol.money import format_amount
from tuppence_server.domain.policy import PPM, FeeRule
from tuppence_server.domain.rows import OPERATOR

PAYER = FeeRule("send", "EUR", "basic", 10, 10_000, 0, None, "payer")
"""10 cents and one per cent, on top."""
PAYEE = FeeRule("send", "EUR", "shop", 0, 20_000, 0, None, "payee")
"""Two per cent of what arrives."""
FREE = FeeRule("send", "EUR", "free", 0, 0, 0, None, "payer")
PACKET = FeeRule("packet", "EUR", "*", 25, 0, 0, None, "payer")
POLICY = replace(PLAIN, fees=(PAYER, PAYEE, FREE, PACKET))


world = world_of(POLICY, alice="20", carol="20", begin=lambda world: world.tier("carol", "shop"))
"""Alice pays fees on top; where Carol, who is of another tier, pays, her payees bear them."""


async def earned(world: MoneyWorld, currency: str = "EUR") -> tuple[int, int]:
    """What the operator's fees came to: posted, and still held."""
    for account in await world.store.accounts():
        if (account.owner, account.code, account.currency) == (OPERATOR, "fees", currency):
            return account.credits_posted, account.credits_pending
    return 0, 0


# --- what a fee is --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "minor", "fee"),
    [
        (FeeRule("*", "*", "*", 0, 0, 0, None, "payer"), 1_000, 0),
        (FeeRule("*", "*", "*", 5, 0, 0, None, "payer"), 1, 5),
        (FeeRule("*", "*", "*", 0, 10_000, 0, None, "payer"), 1_000, 10),
        (FeeRule("*", "*", "*", 0, 10_000, 0, None, "payer"), 1_001, 11),
        (FeeRule("*", "*", "*", 0, 1, 0, None, "payer"), 1, 1),
        (FeeRule("*", "*", "*", 0, PPM, 0, None, "payer"), 7, 7),
        (FeeRule("*", "*", "*", 0, 10_000, 30, None, "payer"), 1_000, 30),
        (FeeRule("*", "*", "*", 0, 10_000, 0, 5, "payer"), 1_000, 5),
        (FeeRule("*", "*", "*", 3, 10_000, 0, 12, "payer"), 1_000, 12),
        (FeeRule("*", "*", "*", 0, 10_000, 0, None, "payer"), 10**15, 10**13),
    ],
)
def test_a_fee_is_rounded_up_and_bounded(rule: FeeRule, minor: int, fee: int) -> None:
    assert rule.of(minor) == fee


def test_the_first_rule_that_fits_counts() -> None:
    rules = (
        FeeRule("send", "JPY", "vip", 1, 0, 0, None, "payer"),
        FeeRule("send", "*", "vip", 2, 0, 0, None, "payee"),
        FeeRule("send", "JPY", "*", 3, 0, 0, None, "payer"),
        FeeRule("*", "*", "*", 4, 0, 0, None, "payer"),
    )
    policy = replace(PLAIN, fees=rules)
    assert policy.fee("send", "JPY", "vip", 100) == (1, "payer")
    assert policy.fee("send", "EUR", "vip", 100) == (2, "payee")
    assert policy.fee("send", "JPY", "basic", 100) == (3, "payer")
    assert policy.fee("packet", "JPY", "vip", 100) == (4, "payer")
    assert PLAIN.fee("send", "EUR", "basic", 100) == (0, "payer")


# --- plain payments -------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_what_the_payer_bears_comes_on_top(world: MoneyWorld) -> None:
    outcome = await world.pay("alice", "@bob", "10.00")
    body = body_of(outcome)
    assert (body["amount"], body["fee"], body["fee_on"]) == ("10.00", "0.20", "payer")
    assert await world.moved(outcome) == [("single", "pay.send", 1_000), ("single", "fee", 20)]
    assert [await world.purse(who) for who in ("alice", "bob")] == [(980, 0), (1_000, 0)]
    assert await earned(world) == (20, 0)


@ON_EVERY_STORE
async def test_what_the_payee_bears_is_taken_from_what_arrives(world: MoneyWorld) -> None:
    outcome = await world.pay("carol", "@bob", "10.00")
    body = body_of(outcome)
    assert (body["amount"], body["fee"], body["fee_on"]) == ("10.00", "0.20", "payee")
    assert sorted(await world.moved(outcome)) == [("single", "fee", 20), ("single", "pay.send", 980)]
    assert [await world.purse(who) for who in ("carol", "bob")] == [(1_000, 0), (980, 0)]
    assert await earned(world) == (20, 0)


async def test_the_tier_of_the_payer_decides(world: MoneyWorld) -> None:
    await world.credit("bob", "5.00")
    await world.tier("bob", "free")
    body = body_of(await world.pay("bob", "@carol", "5.00"))
    assert "fee" not in body
    assert "fee_on" not in body
    assert await earned(world) == (0, 0)


async def test_the_fee_must_be_covered_too(world: MoneyWorld) -> None:
    """lnbits#277: a fee drove wallets below zero."""
    state = {"available": "20.00", "currency": "EUR"}
    for amount in ("20.00", "19.71"):
        refused = await world.pay("alice", "@bob", amount)
        assert told(refused) == ("insufficient_funds", "$.body.amount", state)
    assert said(await world.pay("alice", "@bob", "19.70")) == "stored"
    assert await world.purse("alice") == (0, 0)
    assert told(await world.pay("alice", "@bob", "0.01"))[0] == "insufficient_funds"


async def test_who_pays_nothing_on_top_can_pay_all(world: MoneyWorld) -> None:
    assert said(await world.pay("carol", "@bob", "20.00")) == "stored"
    assert await world.purse("carol") == (0, 0)


@pytest.mark.parametrize(
    ("amount", "fee"), [("0.01", None), ("0.02", "0.01"), ("0.50", "0.01"), ("0.51", "0.02")]
)
async def test_the_payee_gets_at_least_one_minor_unit(
    world: MoneyWorld, amount: str, fee: str | None
) -> None:
    body = body_of(await world.pay("carol", "@bob", amount))
    assert body.get("fee") == fee
    assert (await world.purse("bob"))[0] >= 1


async def test_a_fee_larger_than_the_payment_leaves_the_payee_one_unit(world: MoneyWorld) -> None:
    world.policy = replace(PLAIN, fees=(FeeRule("send", "EUR", "*", 500, 0, 0, None, "payee"),))
    body = body_of(await world.pay("carol", "@bob", "3.00"))
    assert (body["fee"], await world.purse("bob")) == ("2.99", (1, 0))


async def test_a_fee_of_the_payer_may_be_larger_than_the_payment(world: MoneyWorld) -> None:
    world.policy = replace(PLAIN, fees=(FeeRule("send", "EUR", "*", 500, 0, 0, None, "payer"),))
    body = body_of(await world.pay("carol", "@bob", "0.01"))
    assert (body["fee"], await world.purse("carol")) == ("5.00", (1_499, 0))


async def test_paying_what_was_asked_for_costs_a_fee_too(world: MoneyWorld) -> None:
    await world.say("alice", "@bob")
    request = await world.made("bob", "pay.request", "@alice", amount="10", currency="EUR")
    body = body_of(await world.pay("alice", "@bob", "10.00", ref=request))
    assert (body["fee"], body["settles"]) == ("0.20", {"state": "paid"})


# --- payments that wait ---------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "carol"])
@pytest.mark.parametrize("end", ["pay.accept", "pay.decline", "pay.cancel", "pay.expire"])
@ON_EVERY_STORE
async def test_the_fee_is_held_with_the_money_and_goes_where_it_goes(
    world: MoneyWorld, who: str, end: str
) -> None:
    """On top (Alice) 10.20 are held and 10.00 arrive; from what arrives (Carol) 10.00 and 9.80."""
    on_top = who == "alice"
    offer = await world.pay(who, "@bob", "10.00", accept=True, expires_s=60)
    body = body_of(offer)
    assert (body["state"], body["fee"], body["fee_on"]) == ("pending", "0.20", "payer" if on_top else "payee")
    held = 1_020 if on_top else 1_000
    assert await world.purse(who) == (2_000 - held, held)
    assert (await earned(world))[0] == 0
    world.now += 60_000 if end == "pay.expire" else 0
    outcome = await world.answer(end, id_of(offer), who)
    if end == "pay.expire":
        returned = {"amount": format_amount(held, "EUR"), "currency": "EUR"}
        assert body_of(outcome)["returned"] == returned, "the fee too"
    if end != "pay.accept":
        assert await world.purse(who) == (2_000, 0)
        assert await world.purse("bob") == (0, 0)
        assert await earned(world) == (0, 0)
        return
    ended = body_of(outcome)
    assert (ended["amount"], ended["fee"], ended["fee_on"]) == (
        "10.00",
        "0.20",
        "payer" if on_top else "payee",
    )
    assert await world.purse(who) == (2_000 - held, 0)
    assert await world.purse("bob") == (1_000 if on_top else 980, 0)
    assert await earned(world) == (20, 0)


async def test_an_offer_needs_its_fee_at_once(world: MoneyWorld) -> None:
    assert told(await world.pay("alice", "@bob", "19.71", accept=True))[0] == "insufficient_funds"
    assert said(await world.pay("alice", "@bob", "19.70", accept=True)) == "stored"
    assert await world.purse("alice") == (0, 2_000)


async def test_the_fee_is_that_of_the_day_of_the_offer(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "10.00")
    world.policy = replace(PLAIN, fees=(FeeRule("*", "*", "vip", 700, 0, 0, None, "payer"),))
    await world.tier("alice", "vip")
    assert body_of(await world.do("bob", "pay.accept", "@alice", ref=offer))["fee"] == "0.20"
    assert await world.purse("alice") == (980, 0)


# --- refunds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("who", ["alice", "carol"])
@ON_EVERY_STORE
async def test_a_refund_gives_back_what_arrived_and_the_fee_stays(
    world: MoneyWorld, who: str, accept: bool
) -> None:
    members: dict[str, Any] = {"accept": True} if accept else {}
    paid = await world.paid(who, "@bob", "10.00", **members)
    if accept:
        await world.do("bob", "pay.accept", f"@{who}", ref=paid)
    arrived = 1_000 if who == "alice" else 980
    over = await world.do("bob", "pay.refund", f"@{who}", ref=paid, amount=format_amount(arrived + 1, "EUR"))
    code, field, state = told(over)
    assert (code, field) == ("exceeds_refundable", "$.body.amount")
    assert state == {
        "state": "completed", "refundable": format_amount(arrived, "EUR"), "currency": "EUR",
    }  # fmt: skip
    first = body_of(await world.do("bob", "pay.refund", f"@{who}", ref=paid, amount="1.00"))
    assert (first["state"], "fee" in first) == ("partly_refunded", False)
    last = body_of(await world.do("bob", "pay.refund", f"@{who}", ref=paid))
    assert (last["state"], last["refunded"]) == ("refunded", format_amount(arrived, "EUR"))
    assert await world.purse(who) == (1_980, 0), "whoever bore the fee, it is gone"
    assert await world.purse("bob") == (0, 0)
    assert await earned(world) == (20, 0)


# --- packets --------------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_the_fee_of_a_packet_is_taken_when_it_is_made_and_stays(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    made = await world.do("alice", "pay.packet", group, total="10", currency="EUR", count=2, mode="equal")
    assert body_of(made)["fee"] == "0.25"
    assert ("single", "fee", 25) in await world.moved(made)
    assert await world.purse("alice") == (975, 1_000)
    claim = body_of(await world.do("bob", "pay.claim", group, ref=id_of(made)))
    assert (claim["amount"], "fee" in claim) == ("5.00", False)
    world.now += 86_400_000
    end = body_of(await world.expire(id_of(made)))
    assert end["returned"] == {"amount": "5.00", "currency": "EUR"}
    assert await world.purse("alice") == (1_475, 0)
    assert await earned(world) == (25, 0)


async def test_the_fee_of_a_packet_must_be_covered(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    body = {"currency": "EUR", "count": 2, "mode": "lucky"}
    refused = await world.do("alice", "pay.packet", group, total="19.76", **body)
    assert told(refused) == (
        "insufficient_funds", "$.body.total", {"available": "20.00", "currency": "EUR"},
    )  # fmt: skip
    assert said(await world.do("alice", "pay.packet", group, total="19.75", **body)) == "stored"


# --- every currency -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("currency", "digits"), EXPONENTS.items())
@pytest.mark.parametrize("on", ["payer", "payee"])
async def test_a_fee_in_every_currency(world: MoneyWorld, currency: str, digits: int, on: Any) -> None:
    world.policy = replace(PLAIN, fees=(FeeRule("send", currency, "*", 0, 15_000, 0, None, on),))
    await world.credit("dave", "20", currency)
    body = body_of(await world.pay("dave", "@bob", "10", currency))
    fee = -(-10 * 10**digits * 15_000 // PPM)
    assert (body["fee"], body["fee_on"]) == (format_amount(fee, currency), on)
    arrived = 10 * 10**digits - (fee if on == "payee" else 0)
    assert (await world.purse("bob", currency))[0] == arrived
    assert await earned(world, currency) == (fee, 0)


async def test_any_fee_on_any_payment(world: MoneyWorld) -> None:
    """Random rules and amounts, some that cannot be paid: nobody owes, and no unit is lost."""
    rng = seeded()
    people = ("alice", "bob", "carol", "dave")
    for _ in range(120):
        bound = rng.choice((None, rng.randrange(0, 200)))
        rule = FeeRule(
            "*", "*", "*", rng.randrange(0, 50), rng.randrange(0, PPM), 0, bound,
            rng.choice(("payer", "payee")),
        )  # fmt: skip
        world.policy = replace(PLAIN, fees=(rule,))
        payer, payee = rng.sample(people, 2)
        before = await world.purse(payer)
        members: dict[str, Any] = {"accept": True} if rng.random() < 0.4 else {}
        minor = rng.randrange(1, 1_500)
        outcome = await world.pay(payer, f"@{payee}", format_amount(minor, "EUR"), **members)
        spent = minor + (rule.of(minor) if rule.on == "payer" else 0)
        assert said(outcome) == ("stored" if spent <= before[0] else "insufficient_funds")
        if said(outcome) == "stored" and members:
            assert await world.purse(payer) == (before[0] - spent, before[1] + spent)
            who, kind = rng.choice(((payee, "pay.accept"), (payee, "pay.decline"), (payer, "pay.cancel")))
            peer = payer if who == payee else payee
            assert said(await world.do(who, kind, f"@{peer}", ref=id_of(outcome))) == "stored"
        if said(outcome) == "stored" and rng.random() < 0.5:
            await world.do(payee, "pay.refund", f"@{payer}", ref=id_of(outcome))
    total = sum([sum(await world.purse(who)) for who in people]) + (await earned(world))[0]
    assert total == 4_000
