"""Giving back what one received: all or some, once, and never more than there was."""

from typing import Any

import pytest
from tests.contract.stores import body_of, event_id, head_of, said, wire_id
from tests.support.money_world import (
    EXPONENTS,
    NO_PAYMENT,
    ON_EVERY_STORE,
    MoneyWorld,
    Told,
    ended,
    told,
    world_of,
)
from tests.support.waiting import seeded

from tuppence_protocol.errors import CODES
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_server.domain.commands import DisableUser

world = world_of(alice="20")


async def give_back(world: MoneyWorld, payment: str, amount: str | None = None, **members: Any) -> Any:
    """Bob gives back what Alice paid him."""
    body = {} if amount is None else {"amount": amount}
    return await world.do("bob", "pay.refund", "@alice", ref=payment, **body, **members)


def left(amount: str, state: str = "partly_refunded", currency: str = "EUR") -> Told:
    """What is told where more is asked than is left."""
    told_state: dict[str, str | int] = {"state": state, "refundable": amount, "currency": currency}
    return "exceeds_refundable", "$.body.amount", told_state


# --- all and some ---------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_all_is_given_back_where_nothing_is_said(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "12.50")
    outcome = await give_back(world, paid)
    assert body_of(outcome) == {
        "amount": "12.50", "currency": "EUR", "payee": world.users["alice"], "state": "refunded",
        "refunded": "12.50", "alt": "@bob refunded 12.50 EUR to @alice",
    }  # fmt: skip
    head = head_of(outcome)
    assert (head["from"], head["ref"]) == (world.users["bob"], paid)
    assert await world.moved(outcome) == [("single", "pay.refund", 1_250)]
    assert [await world.purse(who) for who in ("alice", "bob")] == [(2_000, 0), (0, 0)]


@ON_EVERY_STORE
async def test_some_and_some_more_and_the_rest(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "10.00")
    first = body_of(await give_back(world, paid, "4"))
    assert (first["amount"], first["state"], first["refunded"]) == ("4.00", "partly_refunded", "4.00")
    assert told(await give_back(world, paid, "6.01")) == left("6.00")
    second = body_of(await give_back(world, paid, "5.99"))
    assert (second["state"], second["refunded"]) == ("partly_refunded", "9.99")
    assert told(await give_back(world, paid, "0.02")) == left("0.01")
    last = body_of(await give_back(world, paid))
    assert (last["amount"], last["state"], last["refunded"]) == ("0.01", "refunded", "10.00")
    for amount in (None, "0.01", "10.00"):
        assert told(await give_back(world, paid, amount)) == ended("already_refunded", "refunded")
    assert [await world.purse(who) for who in ("alice", "bob")] == [(2_000, 0), (0, 0)]


async def test_more_than_was_paid_is_never_given_back(world: MoneyWorld) -> None:
    await world.credit("bob", "50.00")
    paid = await world.paid("alice", "@bob", "10.00")
    assert told(await give_back(world, paid, "10.01")) == left("10.00", "completed")
    assert said(await give_back(world, paid, "10.00")) == "stored"


@ON_EVERY_STORE
async def test_what_was_accepted_is_given_back_like_what_was_paid(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "10.00")
    assert told(await give_back(world, offer)) == ended("not_pending", "pending")
    await world.do("bob", "pay.accept", "@alice", ref=offer)
    assert body_of(await give_back(world, offer, "3"))["state"] == "partly_refunded"
    assert body_of(await give_back(world, offer))["state"] == "refunded"
    assert await world.purse("alice") == (2_000, 0)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("pay.decline", ended("already_declined", "declined")),
        ("pay.cancel", ended("already_cancelled", "cancelled")),
        ("pay.expire", ended("expired", "expired")),
    ],
)
@ON_EVERY_STORE
async def test_what_was_never_paid_is_never_refunded(world: MoneyWorld, end: str, expected: Told) -> None:
    """Revolut, 2022: a declined payment was refunded all the same, from the house's own money."""
    await world.credit("bob", "50.00")
    offer = await world.offered("alice", "@bob", "10.00", expires_s=60)
    world.now += 60_000 if end == "pay.expire" else 0
    assert said(await world.answer(end, offer)) == "stored"
    for amount in (None, "0.01", "10.00", "10.01"):
        assert told(await give_back(world, offer, amount)) == expected
    assert [await world.purse(who) for who in ("alice", "bob")] == [(2_000, 0), (5_000, 0)]


async def test_the_payee_must_still_have_it(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "10.00")
    await world.paid("bob", "@carol", "4.00")
    short: Told = ("insufficient_funds", "$.body.amount", {"available": "6.00", "currency": "EUR"})
    code, _, state = told(await give_back(world, paid))
    assert (code, state) == (short[0], short[2])
    assert told(await give_back(world, paid, "6.01")) == short
    assert body_of(await give_back(world, paid, "6.00"))["state"] == "partly_refunded"
    assert told(await give_back(world, paid, "10.00")) == left("4.00"), "the state is told before the funds"


async def test_what_is_held_is_not_there_to_be_given_back(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "10.00")
    await world.offered("bob", "@carol", "9.00")
    assert told(await give_back(world, paid))[0] == "insufficient_funds"
    assert said(await give_back(world, paid, "1.00")) == "stored"


@ON_EVERY_STORE
async def test_in_one_batch_it_is_given_back_once(world: MoneyWorld) -> None:
    await world.credit("bob", "50.00")
    paid = await world.paid("alice", "@bob", "10.00")
    frames = [world.frame("bob", "pay.refund", "@alice", ref=paid) for _ in range(8)]
    first, *others = await world.settle(*frames)
    assert body_of(first)["refunded"] == "10.00"
    assert [told(each) for each in others] == [ended("already_refunded", "refunded")] * 7
    assert await world.purse("bob") == (5_000, 0)


async def test_in_one_batch_parts_never_sum_to_more(world: MoneyWorld) -> None:
    await world.credit("bob", "50.00")
    paid = await world.paid("alice", "@bob", "10.00")
    frames = [world.frame("bob", "pay.refund", "@alice", ref=paid, amount="3.00") for _ in range(8)]
    outcomes = await world.settle(*frames)
    assert [said(each) for each in outcomes] == ["stored"] * 3 + ["exceeds_refundable"] * 5
    assert {told(each)[2]["refundable"] for each in outcomes[3:]} == {"1.00"}  # type: ignore[index]
    assert await world.purse("bob") == (5_100, 0)


async def test_any_parts_of_any_payment(world: MoneyWorld) -> None:
    """Random parts: what was given back is never more than what was paid, and is what the events say."""
    rng = seeded()
    for _ in range(25):
        currency = rng.choice(list(EXPONENTS))
        total = rng.choice((1, 2, rng.randrange(1, 100), rng.randrange(1, 10**12)))
        await world.credit("alice", format_amount(total, currency), currency)
        paid = await world.paid("alice", "@bob", format_amount(total, currency), currency)
        back = 0
        for _ in range(12):
            part = rng.randrange(1, total + 2)
            outcome = await give_back(world, paid, format_amount(part, currency))
            if part <= total - back:
                back += part
                body = body_of(outcome)
                assert parse_amount(body["refunded"], currency) == back
                assert body["state"] == ("refunded" if back == total else "partly_refunded")
            elif back == total:
                assert told(outcome) == ended("already_refunded", "refunded")
            else:
                state = "partly_refunded" if back else "completed"
                assert told(outcome) == left(format_amount(total - back, currency), state, currency)


# --- who, where and what --------------------------------------------------------------------------------


async def test_in_a_group_who_was_paid_gives_back_and_there(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    paid = await world.paid("alice", group, "10.00", payee="@bob")
    assert told(await world.do("dave", "pay.refund", group, ref=paid)) == ("not_found", "$.conv", None)
    assert told(await give_back(world, paid)) == NO_PAYMENT, "not here"
    assert body_of(await world.do("bob", "pay.refund", group, ref=paid))["payee"] == world.users["alice"]


async def test_a_refund_needs_a_payer_who_can_be_paid(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "10.00")
    await world.order(DisableUser("alice", True))
    assert told(await give_back(world, paid))[0] == "payee_unavailable"
    await world.order(DisableUser("alice", False))
    await world.flag("alice", 1)
    assert told(await give_back(world, paid))[0] == "payee_unavailable"
    await world.flag("alice", 0, clear=1)
    await world.flag("bob", 2)
    assert told(await give_back(world, paid))[0] == "account_frozen"
    await world.flag("bob", 0, clear=2)
    assert said(await give_back(world, paid)) == "stored"


async def test_a_refunded_request_stays_paid(world: MoneyWorld) -> None:
    await world.say("alice", "@bob")
    request = await world.made("bob", "pay.request", "@alice", amount="5", currency="EUR")
    paid = await world.paid("alice", "@bob", "5.00", ref=request)
    assert body_of(await give_back(world, paid))["state"] == "refunded"
    again = await world.pay("alice", "@bob", "5.00", ref=request)
    assert told(again) == ended("already_paid", "paid")


@pytest.mark.parametrize(
    ("amount", "code"),
    [("0", "amount_range"), ("0.001", "amount_range"), ("-1", "amount_format"), ("x", "amount_format")],
)
async def test_form(world: MoneyWorld, amount: str, code: str) -> None:
    paid = await world.paid("alice", "@bob", "10.00")
    assert told(await give_back(world, paid, amount)) == (code, "$.body.amount", None)


async def test_what_is_no_amount_in_any_currency_is_told_before_what_is_not_there(world: MoneyWorld) -> None:
    """`amount_format` is 106 and `not_found` 401; no currency is needed to see that "x" is no amount."""
    assert told(await give_back(world, event_id(999), "x"))[0] == "amount_format"


async def test_of_several_reasons_against_a_refund_the_first_is_told(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    paid = await world.paid("alice", group, "10.00", payee="@bob")
    await world.paid("bob", "@carol", "10.00")
    await world.flag("bob", 2)
    await world.flag("alice", 1)
    codes = await world.told_in_turn(
        "pay.refund", {"who": "carol", "conv": wire_id("c_", 99), "ref": paid, "amount": "11"},
        {}, {"conv": group}, {"who": "bob"},
        lambda: world.flag("bob", 0, clear=2), lambda: world.flag("alice", 0, clear=1), {"amount": "10"},
    )  # fmt: skip
    assert codes == [
        "not_found", "forbidden", "account_frozen", "payee_unavailable", "exceeds_refundable",
        "insufficient_funds",
    ]  # fmt: skip
    assert codes == sorted(codes, key=lambda code: CODES[code].number)


async def test_who_left_the_group_gives_nothing_back_there(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob")
    paid = await world.paid("alice", group, "10.00", payee="@bob")
    await world.do("alice", "room.role", group, user="@bob", role="reader")
    assert (
        body_of(await world.do("bob", "pay.refund", group, ref=paid, amount="1"))["state"]
        == "partly_refunded"
    )
    await world.do("bob", "room.leave", group)
    assert told(await world.do("bob", "pay.refund", group, ref=paid)) == ("not_found", "$.conv", None)


@pytest.mark.parametrize("currency", EXPONENTS)
async def test_the_smallest_unit_of_every_currency_comes_back(world: MoneyWorld, currency: str) -> None:
    least, two = format_amount(1, currency), format_amount(2, currency)
    await world.credit("alice", two, currency)
    paid = await world.paid("alice", "@bob", two, currency)
    assert told(await give_back(world, paid, format_amount(3, currency))) == left(two, "completed", currency)
    assert body_of(await give_back(world, paid, least))["refunded"] == least
    assert body_of(await give_back(world, paid))["refunded"] == two
