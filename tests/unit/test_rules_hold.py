"""Payments that wait to be accepted: every arrow, every refusal, and where the money is meanwhile."""

from typing import Any

import pytest
from tests.contract.stores import body_of, command, event_id, head_of, said, wire_id
from tests.support.money_world import (
    EXPONENTS,
    NO_PAYMENT,
    NOT_YOURS,
    ON_EVERY_STORE,
    MoneyWorld,
    Told,
    ended,
    id_of,
    told,
    world_of,
)

from tuppence_protocol.errors import CODES
from tuppence_protocol.limits import ACCEPT_S_DEFAULT, BALANCE_MINOR_MAX
from tuppence_server.domain.commands import DisableUser, Expire

NO_PLACE: Told = ("not_found", "$.conv", None)
DAY_MS = 1000 * ACCEPT_S_DEFAULT


world = world_of(alice="20")


# --- the offer ------------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_an_offer_holds_the_money_and_says_until_when(world: MoneyWorld) -> None:
    outcome = await world.pay("alice", "@bob", "12.5", accept=True, note="Rent", not_after=world.now)
    assert body_of(outcome) == {
        "amount": "12.50", "currency": "EUR", "payee": world.users["bob"], "state": "pending",
        "alt": "@alice offers @bob 12.50 EUR", "note": "Rent", "not_after": world.now, "accept": True,
        "expires_at": world.now + DAY_MS,
    }  # fmt: skip
    assert await world.purse("alice") == (750, 1_250)
    assert await world.purse("bob") == (0, 0)
    assert await world.moved(outcome) == [("pending", "pay.send", 1_250)]


async def test_an_offer_waits_as_long_as_its_author_says(world: MoneyWorld) -> None:
    outcome = await world.pay("alice", "@bob", "1", accept=True, expires_s=90)
    assert body_of(outcome)["expires_at"] == world.now + 90_000


async def test_what_is_held_can_be_spent_by_nobody(world: MoneyWorld) -> None:
    await world.offered("alice", "@bob", "12.50")
    refused = await world.pay("alice", "@carol", "7.51")
    assert told(refused) == (
        "insufficient_funds", "$.body.amount", {"available": "7.50", "currency": "EUR"},
    )  # fmt: skip
    assert said(await world.pay("alice", "@carol", "7.50", accept=True)) == "stored"
    assert await world.purse("alice") == (0, 2_000)
    assert told(await world.pay("bob", "@carol", "0.01"))[0] == "insufficient_funds"


async def test_an_offer_needs_the_money_now(world: MoneyWorld) -> None:
    assert told(await world.pay("alice", "@bob", "20.01", accept=True)) == (
        "insufficient_funds", "$.body.amount", {"available": "20.00", "currency": "EUR"},
    )  # fmt: skip
    assert await world.purse("alice") == (2_000, 0)


async def test_what_waits_for_an_account_counts_as_if_it_were_there(world: MoneyWorld) -> None:
    await world.credit("alice", "20", "JPY")
    await world.credit("bob", "1", "JPY")
    bob = world.users["bob"], "JPY", "customer"
    world.store._accounts[bob].credits_posted = BALANCE_MINOR_MAX - 5  # type: ignore[attr-defined]
    offer = await world.offered("alice", "@bob", "5", "JPY")
    refused = await world.pay("alice", "@bob", "1", "JPY")
    assert told(refused) == ("balance_limit", "$.body.amount", None)
    assert said(await world.do("bob", "pay.accept", "@alice", ref=offer)) == "stored"
    world.store._accounts[bob].credits_posted = 6  # type: ignore[attr-defined]


# --- the arrows -----------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_accepting_posts_what_was_held(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "12.50")
    outcome = await world.do("bob", "pay.accept", "@alice", ref=offer)
    assert body_of(outcome) == {
        "amount": "12.50", "currency": "EUR", "payee": world.users["bob"], "state": "completed",
        "alt": "@bob accepted 12.50 EUR from @alice",
    }  # fmt: skip
    head = head_of(outcome)
    assert (head["from"], head["ref"]) == (world.users["bob"], offer)
    assert await world.purse("alice") == (750, 0)
    assert await world.purse("bob") == (1_250, 0)
    assert await world.moved(outcome) == [("post", "pay.accept", 1_250)]


@ON_EVERY_STORE
@pytest.mark.parametrize(
    ("kind", "body", "expected", "phase"),
    [
        ("pay.decline", {}, {"state": "declined", "alt": "@bob declined 12.50 EUR"}, "void"),
        (
            "pay.decline",
            {"reason": "You paid already"},
            {"state": "declined", "alt": "@bob declined 12.50 EUR", "reason": "You paid already"},
            "void",
        ),
        ("pay.cancel", {}, {"state": "cancelled", "alt": "@alice cancelled 12.50 EUR"}, "void"),
    ],
)
async def test_what_is_declined_or_cancelled_is_given_back(
    world: MoneyWorld, kind: str, body: dict[str, str], expected: dict[str, str], phase: str
) -> None:
    offer = await world.offered("alice", "@bob", "12.50")
    who, peer = ("alice", "@bob") if kind == "pay.cancel" else ("bob", "@alice")
    outcome = await world.do(who, kind, peer, ref=offer, **body)
    assert body_of(outcome) == expected
    assert head_of(outcome)["ref"] == offer
    assert await world.moved(outcome) == [(phase, kind, 1_250)]
    assert await world.purse("alice") == (2_000, 0)
    assert await world.purse("bob") == (0, 0)


@ON_EVERY_STORE
async def test_an_offer_expires_by_the_server_when_its_time_is_over_and_not_before(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "12.50")
    before = await world.store.head()
    world.now += DAY_MS - 1
    assert said(await world.expire(offer)) == "done"
    assert (await world.store.head()).pos == before.pos, "nothing was said"
    assert await world.purse("alice") == (750, 1_250)
    world.now += 1
    outcome = await world.expire(offer)
    assert body_of(outcome) == {
        "state": "expired",
        "alt": "The offer of 12.50 EUR has expired",
        "returned": {"amount": "12.50", "currency": "EUR"},
    }
    head = head_of(outcome)
    assert (head["from"], head["ref"], head["kind"]) == ("server", offer, "pay.expire")
    assert await world.moved(outcome) == [("expire", "pay.expire", 1_250)]
    assert await world.purse("alice") == (2_000, 0)
    assert said(await world.expire(offer)) == "done", "it expires once"
    assert await world.purse("alice") == (2_000, 0)


async def test_nothing_expires_that_is_no_payment(world: MoneyWorld) -> None:
    text = id_of(await world.say("alice", "@bob"))
    plain = await world.paid("alice", "@bob", "1.00")
    world.now += 40 * DAY_MS
    for each in (text, plain, event_id(999)):
        assert said(await world.expire(each)) == "done"


async def test_the_end_may_be_submitted_twice_in_one_batch(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "12.50", expires_s=5)
    world.now += 5_000
    first, second = await world.settle(*(command(Expire(world.key(), offer)) for _ in range(2)))
    assert (said(first), said(second)) == ("stored", "done")
    assert await world.purse("alice") == (2_000, 0)


# --- one outcome ----------------------------------------------------------------------------------------

ANSWERS = ("pay.accept", "pay.decline", "pay.cancel")
ACTS = (*ANSWERS, "pay.refund", "pay.claim", "pay.waive", "pay.remind")
AFTER = {
    "pay.accept": ended("not_pending", "completed"),
    "pay.decline": ended("already_declined", "declined"),
    "pay.cancel": ended("already_cancelled", "cancelled"),
    "pay.expire": ended("expired", "expired"),
}


@ON_EVERY_STORE
@pytest.mark.parametrize("second", ANSWERS)
@pytest.mark.parametrize("first", ANSWERS)
async def test_in_one_batch_too_there_is_one_outcome(world: MoneyWorld, first: str, second: str) -> None:
    offer = await world.offered("alice", "@bob", "12.50")
    frames = []
    for kind in (first, second):
        who, peer = ("alice", "@bob") if kind == "pay.cancel" else ("bob", "@alice")
        frames.append(world.frame(who, kind, peer, ref=offer))
    winner, loser = await world.settle(*frames)
    assert said(winner) == "stored"
    assert told(loser) == AFTER[first]
    assert await world.purse("bob") == ((1_250, 0) if first == "pay.accept" else (0, 0))
    assert (await world.purse("alice"))[1] == 0


@pytest.mark.parametrize("kind", ANSWERS)
@ON_EVERY_STORE
async def test_in_the_last_millisecond_it_can_still_be_answered(world: MoneyWorld, kind: str) -> None:
    offer = await world.offered("alice", "@bob", "12.50", expires_s=60)
    world.now += 59_999
    assert said(await world.answer(kind, offer)) == "stored"


async def test_a_refused_answer_stays_refused_under_its_id(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "12.50")
    key = world.key()
    early = await world.do("alice", "pay.accept", "@bob", ref=offer, key=key)
    assert told(early) == NOT_YOURS
    await world.do("bob", "pay.accept", "@alice", ref=offer)
    assert told(await world.do("alice", "pay.accept", "@bob", ref=offer, key=key)) == NOT_YOURS
    other = await world.do("alice", "pay.cancel", "@bob", ref=offer, key=key)
    assert told(other) == ("id_reused", "$.kind", None)


# --- who, and where -------------------------------------------------------------------------------------


async def test_in_a_group_it_is_told_to_all_and_answered_by_the_payee(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    offer = await world.offered("alice", group, "12.50", payee="@bob")
    outcome = await world.do("bob", "pay.accept", group, ref=offer)
    assert (body_of(outcome)["state"], head_of(outcome)["conv"]) == ("completed", group)
    assert await world.purse("bob") == (1_250, 0)


@pytest.mark.parametrize("kind", ACTS)
async def test_a_payment_is_found_only_where_it_is(world: MoneyWorld, kind: str) -> None:
    """Both are in the other place too; a stranger does not even see the conversation."""
    offer = await world.offered("alice", "@bob", "12.50")
    dm = head_of(await world.say("alice", "@bob"))["conv"]
    group = await world.group("alice", "bob", "carol")
    body = {"user": "@bob"} if kind == "pay.waive" else {}
    for who, place, expected in (
        ("alice", group, NO_PAYMENT),
        ("bob", group, NO_PAYMENT),
        ("bob", "self", NO_PAYMENT),
        ("bob", "@carol", NO_PAYMENT),
        ("carol", dm, NO_PLACE),
        ("carol", wire_id("c_", 999), NO_PLACE),
        ("carol", "@nobody", NO_PLACE),
        ("carol", "@alice", NO_PAYMENT),
    ):
        assert told(await world.do(who, kind, place, ref=offer, **body)) == expected, (who, place)
    assert await world.purse("alice") == (750, 1_250)


@pytest.mark.parametrize("kind", ACTS)
async def test_what_is_no_payment_is_acted_on_by_nobody(world: MoneyWorld, kind: str) -> None:
    """Nor what came of one: an answer, a refund, a claim."""
    text = id_of(await world.say("alice", "@bob"))
    offer = await world.offered("alice", "@bob", "1.00")
    end = id_of(await world.do("bob", "pay.decline", "@alice", ref=offer))
    paid = await world.paid("alice", "@bob", "1.00")
    refund = id_of(await world.do("bob", "pay.refund", "@alice", ref=paid))
    packet = await world.made("alice", "pay.packet", "@bob", total="1", currency="EUR", count=1, mode="equal")
    claim = id_of(await world.do("bob", "pay.claim", "@alice", ref=packet))
    deposit = id_of(await world.credit("alice", "1"))
    body = {"user": "@bob"} if kind == "pay.waive" else {}
    for ref in (text, end, refund, claim, deposit, event_id(999)):
        for who, place in (("alice", "@bob"), ("bob", "@alice"), ("bob", "self")):
            assert told(await world.do(who, kind, place, ref=ref, **body)) == NO_PAYMENT, ref


async def test_who_left_a_group_cannot_answer_there_and_the_money_goes_back_in_time(
    world: MoneyWorld,
) -> None:
    group = await world.group("alice", "bob")
    offer = await world.offered("alice", group, "12.50", payee="@bob")
    await world.do("bob", "room.leave", group)
    assert told(await world.do("bob", "pay.accept", group, ref=offer)) == NO_PLACE
    world.now += DAY_MS
    assert body_of(await world.expire(offer))["state"] == "expired"
    assert await world.purse("alice") == (2_000, 0)


async def test_a_reader_may_take_what_was_offered_before(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob")
    offer = await world.offered("alice", group, "12.50", payee="@bob")
    await world.do("alice", "room.role", group, user="@bob", role="reader")
    assert said(await world.do("bob", "pay.accept", group, ref=offer)) == "stored"


async def test_what_a_disabled_person_offered_waits_and_goes_back_in_time(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "1.00")
    await world.order(DisableUser("alice", True))
    assert told(await world.do("bob", "pay.accept", "@alice", ref=offer))[0] == "payee_unavailable"
    world.now += DAY_MS
    assert body_of(await world.expire(offer))["state"] == "expired"
    assert await world.purse("alice") == (2_000, 0)


# --- form, and the order of refusals --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"expires_s": 60}, ("bad_frame", "$.body.expires_s", None)),
        ({"accept": True, "quote": event_id(900)}, ("bad_frame", "$.body.accept", None)),
        ({"accept": True, "payee": "@alice"}, ("same_account", "$.body.payee", None)),
    ],
)
async def test_form(world: MoneyWorld, members: dict[str, Any], expected: Told) -> None:
    assert told(await world.pay("alice", "@bob", "1", **members)) == expected
    assert await world.purse("alice") == (2_000, 0)


@pytest.mark.parametrize("members", [{"expires_s": 60}, {"accept": True, "quote": event_id(900)}])
@pytest.mark.parametrize(
    "place", [{"conv": wire_id("c_", 999)}, {"conv": "@nobody"}, {"conv": "@bob", "payee": "@nobody"}]
)
async def test_what_is_wrong_in_form_is_told_before_what_is_not_there(
    world: MoneyWorld, members: dict[str, Any], place: dict[str, str]
) -> None:
    """The code with the lowest number is told: `bad_frame` is 102, `not_found` 401."""
    refused = await world.do("alice", "pay.send", amount="1", currency="EUR", **members, **place)
    assert told(refused)[0] == "bad_frame"


async def test_of_several_reasons_against_an_answer_the_first_of_the_catalogue_is_told(
    world: MoneyWorld,
) -> None:
    group = await world.group("alice", "bob", "carol")
    offer = await world.offered("alice", group, "12.50", payee="@bob", expires_s=60)
    world.now += 60_000
    await world.flag("bob", 1)  # nothing may come in
    await world.flag("alice", 2)  # and nothing out
    codes = await world.told_in_turn(
        "pay.accept", {"ref": offer},
        {"who": "dave", "conv": group}, {"who": "bob", "conv": "self"}, {"who": "carol", "conv": group},
        {"who": "bob"},
        lambda: world.flag("bob", 0, clear=1), lambda: world.flag("alice", 0, clear=2),
    )  # fmt: skip
    assert codes == ["not_found", "not_found", "forbidden", "account_frozen", "payee_unavailable", "expired"]
    assert codes == sorted(codes, key=lambda code: CODES[code].number)


# --- amounts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("currency", "digits"), EXPONENTS.items())
@pytest.mark.parametrize("end", ["pay.accept", "pay.decline", "pay.cancel", "pay.expire"])
async def test_the_smallest_unit_of_every_currency_waits_and_arrives(
    world: MoneyWorld, currency: str, digits: int, end: str
) -> None:
    least = "1" if digits == 0 else f"0.{1:0{digits}}"
    await world.credit("alice", "1", currency)
    had = 10**digits + (2_000 if currency == "EUR" else 0)
    offer = await world.offered("alice", "@bob", least, currency)
    assert await world.purse("alice", currency) == (had - 1, 1)
    world.now += DAY_MS if end == "pay.expire" else 0
    assert said(await world.answer(end, offer)) == "stored"
    arrived = int(end == "pay.accept")
    assert await world.purse("bob", currency) == (arrived, 0)
    assert await world.purse("alice", currency) == (had - arrived, 0)
