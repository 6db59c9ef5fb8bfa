"""Bills split among several, reminders, and letting somebody off."""

from typing import Any

import pytest
from tests.contract.stores import body_of, said, wire_id
from tests.support.money_world import (
    EXPONENTS,
    HOUR_MS,
    NOT_YOURS,
    ON_EVERY_STORE,
    MoneyWorld,
    Told,
    ended,
    id_of,
    told,
    world_of,
)
from tests.support.waiting import seeded

from tuppence_protocol.limits import REQUEST_S_DEFAULT
from tuppence_protocol.money import format_amount, parse_amount

WEEK_MS = 1000 * REQUEST_S_DEFAULT
THREE = {"amount": "3", "currency": "EUR", "payee": "@alice"}
world = world_of(alice="50", bob="50", begin=lambda world: world.say("alice", "@bob"))


@pytest.fixture
async def group(world: MoneyWorld) -> str:
    for who in ("carol", "dave"):
        await world.credit(who, "50.00")
    return await world.group("alice", "bob", "carol", "dave")


@ON_EVERY_STORE
async def test_a_split_lists_what_each_one_owes(world: MoneyWorld, group: str) -> None:
    """The remainder goes to the first of the list, in the order given; the author's own share is paid."""
    outcome = await world.share_out(group, "10", "@bob", "@alice", "@carol", note="Dinner")
    bob, alice, carol = (world.users[who] for who in ("bob", "alice", "carol"))
    assert body_of(outcome) == {
        "total": "10.00",
        "currency": "EUR",
        "shares": [
            {"user": bob, "amount": "3.34", "state": "open"},
            {"user": alice, "amount": "3.33", "state": "paid"},
            {"user": carol, "amount": "3.33", "state": "open"},
        ],
        "state": "open",
        "expires_at": world.now + WEEK_MS,
        "alt": "@alice splits 10.00 EUR among 3",
        "note": "Dinner",
    }
    assert await world.moved(outcome) == []


@ON_EVERY_STORE
async def test_a_split_is_settled_when_nothing_is_open(world: MoneyWorld, group: str) -> None:
    split = id_of(await world.share_out(group, "10", "@alice", "@bob", "@carol", "@dave"))
    paid = await world.pay("bob", group, "2.50", payee="@alice", ref=split)
    bob, carol, dave = (world.users[who] for who in ("bob", "carol", "dave"))
    assert body_of(paid)["settles"] == {
        "state": "open", "share": {"user": bob, "amount": "2.50", "state": "paid"},
    }  # fmt: skip
    declined = await world.do("carol", "pay.decline", group, ref=split, reason="I was not there")
    assert body_of(declined) == {
        "state": "open",
        "alt": "@carol declined 2.50 EUR",
        "reason": "I was not there",
        "share": {"user": carol, "amount": "2.50", "state": "declined"},
    }
    waived = await world.do("alice", "pay.waive", group, ref=split, user="@dave")
    assert body_of(waived) == {
        "user": dave,
        "state": "settled",
        "share": {"user": dave, "amount": "2.50", "state": "waived"},
        "alt": "@alice lets @dave off 2.50 EUR",
    }
    assert await world.purse("alice") == (5_250, 0)
    for who, kind in (("alice", "pay.cancel"), ("alice", "pay.remind")):
        assert told(await world.do(who, kind, group, ref=split)) == ended("not_pending", "settled")
    assert said(await world.expire(split)) == "done"


async def test_a_cancelled_split_keeps_what_was_paid_and_ends_what_is_open(
    world: MoneyWorld, group: str
) -> None:
    split = id_of(await world.share_out(group, "9.00", "@alice", "@bob", "@carol"))
    paid = id_of(await world.pay("bob", group, "3.00", payee="@alice", ref=split))
    cancelled = await world.do("alice", "pay.cancel", group, ref=split)
    assert body_of(cancelled) == {"state": "cancelled", "alt": "@alice cancelled 9.00 EUR"}
    again = await world.pay("bob", group, "3.00", payee="@alice", ref=split)
    assert told(again) == ended("already_paid", "paid")
    late = await world.pay("carol", group, "3.00", payee="@alice", ref=split)
    assert told(late) == ended("already_cancelled", "cancelled")
    assert await world.purse("alice") == (5_300, 0)
    assert said(await world.do("alice", "pay.refund", group, ref=paid)) == "stored"


async def test_an_expired_split_says_so(world: MoneyWorld, group: str) -> None:
    split = id_of(await world.share_out(group, "9.00", "@bob", "@carol", expires_s=60))
    await world.pay("bob", group, "4.50", payee="@alice", ref=split)
    world.now += 60_000
    outcome = await world.expire(split)
    assert body_of(outcome) == {"state": "expired", "alt": "The split of 9.00 EUR has expired"}
    assert await world.moved(outcome) == []
    assert told(await world.do("alice", "pay.cancel", group, ref=split)) == ended("expired", "expired")


async def test_in_one_batch_the_last_share_settles(world: MoneyWorld, group: str) -> None:
    split = id_of(await world.share_out(group, "9.00", "@bob", "@carol", "@dave"))
    frames = [
        world.frame(who, "pay.send", group, ref=split, amount="3", currency="EUR", payee="@alice")
        for who in ("bob", "carol", "carol", "dave")
    ]
    first, second, again, last = await world.settle(*frames)
    assert [body_of(each)["settles"]["state"] for each in (first, second, last)] == [
        "open",
        "open",
        "settled",
    ]
    assert told(again) == ended("already_paid", "paid")


@pytest.mark.parametrize(
    ("who", "kind", "body", "expected"),
    [
        ("alice", "pay.send", THREE | {"payee": "@bob"}, NOT_YOURS),
        ("dave", "pay.send", THREE, NOT_YOURS),
        ("bob", "pay.send", THREE | {"payee": "@carol"}, ("bad_frame", "$.body.payee", None)),
        ("bob", "pay.send", THREE | {"amount": "9"}, ("bad_frame", "$.body.amount", None)),
        ("bob", "pay.send", THREE | {"currency": "USD"}, ("bad_frame", "$.body.currency", None)),
        ("bob", "pay.send", THREE | {"accept": True}, ("bad_frame", "$.ref", None)),
        ("dave", "pay.decline", {}, NOT_YOURS),
        ("dave", "pay.cancel", {}, NOT_YOURS),
        ("alice", "pay.waive", {"user": "@dave"}, ("not_found", "$.body.user", None)),
        ("alice", "pay.waive", {"user": "@nobody"}, ("not_found", "$.body.user", None)),
    ],
)  # fmt: skip
async def test_who_may_do_what_with_a_split(
    world: MoneyWorld, group: str, who: str, kind: str, body: dict[str, Any], expected: Told
) -> None:
    split = id_of(await world.share_out(group, "9.00", "@alice", "@bob", "@carol"))
    assert told(await world.do(who, kind, group, ref=split, **body)) == expected


@pytest.mark.parametrize(
    ("total", "people", "expected"),
    [
        ("10", ["@bob 5", "@carol"], ("split_sum", "$.body.shares", None)),
        ("10", ["@bob 5", "@carol 4.99"], ("split_sum", "$.body.shares", {"sum": "9.99"})),
        ("10", ["@bob 5", "@carol 5.01"], ("split_sum", "$.body.shares", {"sum": "10.01"})),
        ("0.02", ["@bob", "@carol", "@dave"], ("split_sum", "$.body.total", None)),
        ("10", ["@bob 0", "@carol 10"], ("amount_range", "$.body.shares[0].amount", None)),
        ("10", ["@bob 5", "@carol x"], ("amount_format", "$.body.shares[1].amount", None)),
        ("10", ["@bob 5.001", "@carol 4.999"], ("amount_range", "$.body.shares[0].amount", None)),
        ("0", ["@bob"], ("amount_range", "$.body.total", None)),
        ("x", ["@bob"], ("amount_format", "$.body.total", None)),
        ("10", ["@bob", "@bob"], ("bad_frame", "$.body.shares", None)),
        ("10", ["@bob 5", "bob's id 5"], ("bad_frame", "$.body.shares", None)),
        ("10", ["@alice"], ("bad_frame", "$.body.shares", None)),
    ],
)
async def test_a_split_that_does_not_add_up_is_not_made(
    world: MoneyWorld, group: str, total: str, people: list[str], expected: Told
) -> None:
    named = [person.replace("bob's id", world.users["bob"]) for person in people]
    assert told(await world.share_out(group, total, *named)) == expected


async def test_a_split_is_among_people_who_are_here(world: MoneyWorld, group: str) -> None:
    """`not_a_member`, as for `pay.send` and `pay.request`; and each refusal names a member of this frame."""
    await world.register("erin")
    assert told(await world.share_out(group, "10", "@bob", "@erin")) == (
        "not_a_member", "$.body.shares", None,
    )  # fmt: skip
    assert told(await world.share_out("@bob", "10", "@bob", "@carol")) == (
        "not_a_member", "$.body.shares", None,
    )  # fmt: skip


@pytest.mark.parametrize("nobody", ["@nobody", wire_id("u_", 99)])
async def test_a_split_with_somebody_unknown_names_the_shares(
    world: MoneyWorld, group: str, nobody: str
) -> None:
    assert told(await world.share_out(group, "10", "@bob", nobody)) == ("not_found", "$.body.shares", None)


async def test_where_a_bill_can_be_split(world: MoneyWorld, group: str) -> None:
    split = await world.share_out("@bob", "10", "@alice", "@bob")
    assert [share["state"] for share in body_of(split)["shares"]] == ["paid", "open"]
    assert said(await world.pay("bob", "@alice", "5.00", ref=id_of(split))) == "stored"
    assert told(await world.share_out("@carol", "10", "@carol")) == ("not_found", "$.conv", None)
    assert told(await world.share_out("self", "10", "@alice"))[0] == "bad_frame"
    await world.do("alice", "room.role", group, user="@bob", role="owner")
    await world.do("bob", "room.role", group, user="@alice", role="reader")
    assert told(await world.share_out(group, "10", "@bob")) == ("forbidden", "$.conv", None)


async def test_what_each_owes_can_be_given(world: MoneyWorld, group: str) -> None:
    outcome = await world.share_out(group, "10", "@bob 0.01", "@alice 3", "@carol 6.99")
    amounts = [share["amount"] for share in body_of(outcome)["shares"]]
    assert amounts == ["0.01", "3.00", "6.99"]
    assert said(await world.pay("bob", group, "0.01", payee="@alice", ref=id_of(outcome))) == "stored"


@pytest.mark.parametrize(
    ("total", "currency", "count", "expected"),
    [
        ("10.00", "EUR", 3, ["3.34", "3.33", "3.33"]),
        ("6.50", "EUR", 3, ["2.17", "2.17", "2.16"]),
        ("0.03", "EUR", 3, ["0.01", "0.01", "0.01"]),
        ("100", "JPY", 3, ["34", "33", "33"]),
        ("101", "JPY", 3, ["34", "34", "33"]),
        ("3", "JPY", 3, ["1", "1", "1"]),
        ("1", "KWD", 3, ["0.334", "0.333", "0.333"]),
        ("0.0004", "CLF", 3, ["0.0002", "0.0001", "0.0001"]),
        ("9999999999999.99", "EUR", 3, ["3333333333333.33"] * 3),
    ],
)
async def test_the_remainder_goes_to_the_first(
    world: MoneyWorld, group: str, total: str, currency: str, count: int, expected: list[str]
) -> None:
    people = ("@bob", "@carol", "@dave")[:count]
    outcome = await world.share_out(group, total, *people, currency=currency)
    assert [share["amount"] for share in body_of(outcome)["shares"]] == expected
    turned = await world.share_out(group, total, *reversed(people), currency=currency)
    assert [share["amount"] for share in body_of(turned)["shares"]] == expected, "by order, not by person"


async def test_any_total_among_any_number_adds_up(world: MoneyWorld) -> None:
    """Shares sum to the total, differ by one minor unit at most, and the larger come first."""
    rng = seeded()
    people = [f"p{number:02}" for number in range(30)]
    await world.register(*people)
    group = await world.group("alice", *people)
    for _ in range(60):
        currency = rng.choice(list(EXPONENTS))
        count = rng.randrange(1, len(people) + 1)
        total = rng.randrange(count, rng.choice((count + 1, 1_000, 10**6, 10**15)) + 1)
        chosen = [f"@{who}" for who in rng.sample(people, count)]
        outcome = await world.share_out(group, format_amount(total, currency), *chosen, currency=currency)
        amounts = [parse_amount(share["amount"], currency) for share in body_of(outcome)["shares"]]
        whole = [amount for amount in amounts if isinstance(amount, int)]
        assert (len(whole), sum(whole)) == (count, total)
        assert max(whole) - min(whole) <= 1
        assert whole == sorted(whole, reverse=True)
        users = [share["user"] for share in body_of(outcome)["shares"]]
        assert users == [world.users[who[1:]] for who in chosen]


# --- reminders ------------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_a_reminder_names_those_who_have_not_answered(world: MoneyWorld, group: str) -> None:
    split = id_of(await world.share_out(group, "8", "@alice", "@bob", "@carol", "@dave"))
    await world.pay("bob", group, "2", payee="@alice", ref=split)
    outcome = await world.do("alice", "pay.remind", group, ref=split)
    assert body_of(outcome) == {
        "users": [world.users["carol"], world.users["dave"]],
        "state": "open",
        "alt": "@alice reminds @carol, @dave of 8.00 EUR",
    }
    request = await world.asked("alice", "@bob", "5")
    reminded = await world.do("alice", "pay.remind", "@bob", ref=request)
    assert body_of(reminded)["users"] == [world.users["bob"]]


@pytest.mark.parametrize("what", ["request", "split"])
@ON_EVERY_STORE
async def test_a_reminder_may_go_out_once_an_hour(world: MoneyWorld, group: str, what: str) -> None:
    if what == "split":
        payment = id_of(await world.share_out(group, "8", "@bob", "@carol"))
    else:
        payment = await world.asked("alice", group, "5", payer="@bob")
    assert said(await world.do("alice", "pay.remind", group, ref=payment)) == "stored"
    resets_at = world.now + HOUR_MS
    world.now += HOUR_MS - 1
    too_soon: Told = ("too_soon", None, {"resets_at": resets_at})
    assert told(await world.do("alice", "pay.remind", group, ref=payment)) == too_soon
    world.now = resets_at
    assert said(await world.do("alice", "pay.remind", group, ref=payment)) == "stored"
    assert told(await world.do("alice", "pay.remind", group, ref=payment))[0] == "too_soon"


async def test_each_payment_has_a_reminder_of_its_own(world: MoneyWorld) -> None:
    first, second = await world.asked("alice", "@bob", "1"), await world.asked("alice", "@bob", "2")
    assert said(await world.do("alice", "pay.remind", "@bob", ref=first)) == "stored"
    assert said(await world.do("alice", "pay.remind", "@bob", ref=second)) == "stored"
    await world.do("bob", "pay.decline", "@alice", ref=second)
    late = await world.do("alice", "pay.remind", "@bob", ref=second)
    assert told(late) == ended("already_declined", "declined"), "the state is told before the pace"
