"""What the operator takes back: out of a balance, or from who was paid, and never below zero."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.stores import body_of, event_id, head_of, said
from tests.support.money_world import ON_EVERY_STORE, MoneyWorld, id_of, money_world, told

from tuppence_protocol.errors import Refusal
from tuppence_server.audit.verify import verify
from tuppence_server.domain.commands import Reverse, Withdraw
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.rows import CLOSED, FROZEN_IN, FROZEN_OUT
from tuppence_server.reports.books import books

REASON = "By mistake"


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MoneyWorld]:
    async with money_world(getattr(request, "param", "memory"), tmp_path) as world:
        await world.credit("alice", "20.00")
        yield world
        assert (await verify(world.store)).problems == []


async def debit(world: MoneyWorld, amount: str, **terms: Any) -> Outcome:
    """The operator takes from Alice."""
    given = {"note": None, "force": False, "id": world.key(), "currency": "EUR", "reason": REASON} | terms
    return await world.order(Withdraw(handle="alice", amount=amount, **given))


async def reverse(world: MoneyWorld, payment: str, **terms: Any) -> Outcome:
    """The operator gives a payment back."""
    given = {"note": None, "force": False, "id": world.key(), "reason": REASON} | terms
    return await world.order(Reverse(payment=payment, **given))


# --- withdrawals ------------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_a_debit_is_an_event_in_the_person_s_own_conversation(world: MoneyWorld) -> None:
    outcome = await debit(world, "5", note="Receipt 17")
    assert body_of(outcome) == {
        "amount": "5.00", "currency": "EUR", "payer": world.users["alice"], "state": "completed",
        "alt": "5.00 EUR were taken out of the balance of @alice", "reason": REASON, "note": "Receipt 17",
    }  # fmt: skip
    assert head_of(outcome)["from"] == "server"
    assert await world.purse("alice") == (1500, 0)
    assert await world.moved(outcome) == [("single", "pay.withdraw", 500)]


async def test_more_than_is_available_is_refused_and_what_is_held_is_not_available(world: MoneyWorld) -> None:
    await world.offered("alice", "@bob", "15")
    outcome = await debit(world, "5.01")
    assert told(outcome)[0] == "insufficient_funds"
    assert isinstance(outcome, Refusal)
    assert "5.00 EUR" in outcome.message
    assert await world.purse("alice") == (500, 1500)


@ON_EVERY_STORE
@pytest.mark.parametrize(("has", "shortfall"), [("20", "10.00"), ("0", "30.00")])
async def test_by_force_the_operator_bears_what_is_missing(
    world: MoneyWorld, has: str, shortfall: str
) -> None:
    if has == "0":
        await world.paid("alice", "@bob", "20")
    outcome = await debit(world, "30", force=True)
    assert body_of(outcome)["shortfall"] == shortfall
    assert await world.purse("alice") == (0, 0)
    (euro,) = (await books(world.store)).currencies
    assert euro.balanced
    assert {line.name: line.amount for line in euro.income}["losses borne"] == f"-{shortfall}"
    listed = (await world.store.payments(world.users["alice"], None, 9)).items
    kinds = [head_of(Stored(item.event))["kind"] for item in listed]
    assert ("pay.withdraw" in kinds) == (has != "0"), "a debit that took nothing of theirs is not theirs"


async def test_force_alone_costs_nothing(world: MoneyWorld) -> None:
    outcome = await debit(world, "20", force=True)
    assert "shortfall" not in body_of(outcome)
    (euro,) = (await books(world.store)).currencies
    assert "losses borne" not in {line.name for line in euro.income}


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"amount": "0"}, "amount_range"),
        ({"amount": "1.001"}, "amount_range"),
        ({"currency": "XXX"}, "unknown_currency"),
        ({"currency": "GBP"}, "unknown_currency"),
    ],
)
async def test_what_cannot_be_taken(world: MoneyWorld, terms: dict[str, str], code: str) -> None:
    assert told(await debit(world, **{"amount": "1"} | terms))[0] == code
    assert await world.purse("alice") == (2000, 0)


# --- reversals ----------------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_a_payment_is_given_back_where_both_see_it(world: MoneyWorld) -> None:
    paid = await world.do("alice", "pay.send", "@bob", amount="12.50", currency="EUR")
    outcome = await reverse(world, id_of(paid), note="Case 5")
    head, body = head_of(outcome), body_of(outcome)
    assert (head["conv"], head["ref"], head["from"]) == (head_of(paid)["conv"], id_of(paid), "server")
    assert (body["amount"], body["refunded"], body["state"]) == ("12.50", "12.50", "refunded")
    assert (body["payer"], body["payee"]) == (world.users["bob"], world.users["alice"])
    assert (body["reason"], body["note"]) == (REASON, "Case 5")
    assert (await world.purse("alice"), await world.purse("bob")) == ((2000, 0), (0, 0))


@ON_EVERY_STORE
async def test_only_what_was_not_refunded_is_given_back_and_nothing_twice(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "12.50")
    await world.made("bob", "pay.refund", "@alice", ref=paid, amount="2.50")
    assert body_of(await reverse(world, paid))["amount"] == "10.00"
    assert told(await reverse(world, paid)) == (
        "already_refunded", "$.payment", {"state": "refunded"},
    )  # fmt: skip
    refund = await world.do("bob", "pay.refund", "@alice", ref=paid)
    assert told(refund)[0] == "already_refunded"
    assert await world.purse("alice") == (2000, 0)


@ON_EVERY_STORE
async def test_who_has_spent_it_is_never_below_zero(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "12.50")
    await world.paid("bob", "@carol", "10")
    assert told(await reverse(world, paid))[0] == "insufficient_funds"
    assert body_of(await reverse(world, paid, force=True))["shortfall"] == "10.00"
    assert (await world.purse("alice"), await world.purse("bob")) == ((2000, 0), (0, 0))


@ON_EVERY_STORE
async def test_an_offer_that_was_accepted_is_a_payment(world: MoneyWorld) -> None:
    offered = await world.offered("alice", "@bob", "3")
    assert told(await reverse(world, offered))[0] == "not_pending"
    await world.made("bob", "pay.accept", "@alice", ref=offered)
    assert said(await reverse(world, offered)) == "stored"


async def test_frozen_money_can_be_given_back_and_closed_accounts_take_none(world: MoneyWorld) -> None:
    first, second = [await world.paid("alice", "@bob", "3") for _ in range(2)]
    await world.flag("bob", FROZEN_IN | FROZEN_OUT)
    await world.flag("alice", FROZEN_IN)
    assert said(await reverse(world, first)) == "stored"
    await debit(world, "17")
    await world.flag("alice", CLOSED)
    assert told(await reverse(world, second))[0] == "account_closed"


async def test_what_is_no_payment_to_another(world: MoneyWorld) -> None:
    text = await world.made("alice", "chat.text", "@bob", text="Hello")
    asked = await world.made("bob", "pay.request", "@alice", amount="1", currency="EUR")
    for payment in (text, asked, event_id(999_999)):
        assert told(await reverse(world, payment))[:2] == ("not_found", "$.payment")


# --- once ---------------------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_the_same_again_changes_nothing_and_another_is_told(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "3")
    taken, back = world.key(), world.key()
    for number in range(2):
        for outcome in (await debit(world, "1", id=taken), await reverse(world, paid, id=back)):
            assert isinstance(outcome, Stored)
            assert outcome.repeated == bool(number)
    assert told(await debit(world, "2", id=taken))[:2] == ("id_reused", "$.body.amount")
    assert told(await reverse(world, paid, id=back, reason="Else"))[:2] == ("id_reused", "$.body.reason")
    assert told(await reverse(world, event_id(7), id=back))[:2] == ("id_reused", "$.ref")
    assert await world.purse("alice") == (1900, 0)
