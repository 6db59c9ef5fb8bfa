"""Asking for money: requests, bills split among several, reminders, and letting somebody off."""

from pathlib import Path
from typing import Any

import pytest
from tests.contract.stores import body_of, event_id, head_of, opened, said, wire_id
from tests.support.money_world import (
    EXPONENTS,
    HOUR_MS,
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
from tuppence_server.domain.commands import DisableUser

NOT_YOURS: Told = ("forbidden", "$.ref", None)
NO_PAYMENT: Told = ("not_found", "$.ref", None)
WEEK_MS = 1000 * REQUEST_S_DEFAULT


world = world_of(alice="50", bob="50", begin=lambda world: world.say("alice", "@bob"))


async def ask(world: MoneyWorld, who: str, conv: str, amount: str, **members: Any) -> Any:
    """A request in euros."""
    return await world.do(who, "pay.request", conv, **{"amount": amount, "currency": "EUR"} | members)


async def asked(world: MoneyWorld, who: str, conv: str, amount: str, **members: Any) -> str:
    """A request that was made; its id."""
    outcome = await ask(world, who, conv, amount, **members)
    assert said(outcome) == "stored", outcome
    return id_of(outcome)


async def answer(world: MoneyWorld, kind: str, request: str, amount: str = "5.00") -> Any:
    """Alice asked Bob; the one who may do it does it."""
    if kind == "pay.expire":
        return await world.expire(request)
    if kind == "pay.send":
        return await world.pay("bob", "@alice", amount, ref=request)
    who, peer = ("alice", "@bob") if kind == "pay.cancel" else ("bob", "@alice")
    return await world.do(who, kind, peer, ref=request)


# --- requests: asking -----------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_a_request_asks_and_moves_nothing(world: MoneyWorld) -> None:
    outcome = await ask(world, "alice", "@bob", "5", note="Cinema")
    assert body_of(outcome) == {
        "amount": "5.00", "currency": "EUR", "payer": world.users["bob"], "state": "open",
        "expires_at": world.now + WEEK_MS, "alt": "@alice asks @bob for 5.00 EUR", "note": "Cinema",
    }  # fmt: skip
    assert await world.moved(outcome) == []
    assert [await world.purse(who) for who in ("alice", "bob")] == [(5_000, 0), (5_000, 0)]


async def test_a_request_may_ask_for_more_than_anybody_has(world: MoneyWorld) -> None:
    await asked(world, "alice", "@bob", "9999999999999.99")


async def test_nobody_is_asked_by_a_strangers_first_message(world: MoneyWorld) -> None:
    """Requests out of the blue are a fraud: India switched them off in 2025."""
    refused = await ask(world, "carol", "@bob", "5")
    assert told(refused) == ("not_found", "$.conv", None)
    await world.say("carol", "@bob")
    assert said(await ask(world, "carol", "@bob", "5")) == "stored"
    assert told(await ask(world, "carol", "@alice", "5")) == ("not_found", "$.conv", None)


GROUP = "group"


@pytest.mark.parametrize(
    ("place", "payer", "expected"),
    [
        ("@bob", None, "stored"),
        ("@bob", "@bob", "stored"),
        ("@bob", "bob's id", "stored"),
        ("@bob", "@alice", ("same_account", "$.body.payer", None)),
        ("@bob", "@carol", ("not_a_member", "$.body.payer", None)),
        ("@bob", "@nobody", ("not_found", "$.body.payer", None)),
        ("@bob", wire_id("u_", 99), ("not_found", "$.body.payer", None)),
        ("self", None, ("same_account", "$.body.payer", None)),
        ("self", "@bob", ("not_a_member", "$.body.payer", None)),
        (GROUP, "@bob", "stored"),
        (GROUP, "bob's id", "stored"),
        (GROUP, None, ("bad_frame", "$.body.payer", None)),
        (GROUP, "@alice", ("same_account", "$.body.payer", None)),
        (GROUP, "@dave", ("not_a_member", "$.body.payer", None)),
        (GROUP, "@nobody", ("not_found", "$.body.payer", None)),
        (wire_id("c_", 99), "@bob", ("not_found", "$.conv", None)),
        ("@nobody", None, ("not_found", "$.conv", None)),
    ],
)
async def test_whom_one_may_ask_where(
    world: MoneyWorld, place: str, payer: str | None, expected: Any
) -> None:
    group = await world.group("alice", "bob", "carol")
    members = {} if payer is None else {"payer": world.users["bob"] if payer == "bob's id" else payer}
    outcome = await ask(world, "alice", group if place == GROUP else place, "5", **members)
    if expected == "stored":
        assert body_of(outcome)["payer"] == world.users["bob"]
    else:
        assert told(outcome) == expected


async def test_who_left_is_not_asked_readers_do_not_ask_and_the_disabled_are_left_alone(
    world: MoneyWorld,
) -> None:
    group = await world.group("alice", "bob", "carol", "dave")
    await world.do("carol", "room.leave", group)
    assert told(await ask(world, "alice", group, "5", payer="@carol"))[0] == "not_a_member"
    assert told(await ask(world, "carol", group, "5", payer="@alice")) == ("not_found", "$.conv", None)
    await world.do("alice", "room.role", group, user="@dave", role="reader")
    assert told(await ask(world, "dave", group, "5", payer="@bob")) == ("forbidden", "$.conv", None)
    assert said(await ask(world, "alice", group, "5", payer="@dave")) == "stored"
    await world.order(DisableUser("bob", True))
    assert told(await ask(world, "alice", "@bob", "5"))[0] == "payee_unavailable"
    assert told(await ask(world, "alice", group, "5", payer="@bob"))[0] == "payee_unavailable"


async def test_one_amount_is_asked_for_once_at_a_time(world: MoneyWorld) -> None:
    first = await asked(world, "alice", "@bob", "5")
    group = await world.group("alice", "bob")
    again: Told = ("already_requested", "$.body.amount", None)
    assert told(await ask(world, "alice", "@bob", "5.00")) == again
    assert told(await ask(world, "alice", group, "5.0", payer="@bob")) == again, "by any way"
    assert said(await ask(world, "alice", "@bob", "5", currency="USD")) == "stored", "another thing"
    assert said(await ask(world, "bob", "@alice", "5")) == "stored", "and another direction"
    await world.do("bob", "pay.decline", "@alice", ref=first)
    assert said(await ask(world, "alice", "@bob", "5")) == "stored"


@pytest.mark.parametrize("end", ["pay.send", "pay.decline", "pay.cancel", "pay.expire", "time"])
async def test_five_requests_between_two_may_be_open(world: MoneyWorld, end: str) -> None:
    open_ones = [await asked(world, "alice", "@bob", f"{n}") for n in range(1, 6)]
    refused = await ask(world, "alice", "@bob", "6")
    assert told(refused) == ("too_many_requests", None, {"limit": 5, "used": 5})
    assert told(await ask(world, "alice", "@bob", "3"))[0] == "already_requested"
    assert said(await ask(world, "bob", "@alice", "6")) == "stored"
    group = await world.group("alice", "bob", "carol")
    assert said(await ask(world, "alice", group, "6", payer="@carol")) == "stored"
    world.now += WEEK_MS if end in {"pay.expire", "time"} else 0
    if end != "time":
        assert said(await answer(world, end, open_ones[1], "2.00")) == "stored"
    assert said(await ask(world, "alice", "@bob", "2")) == "stored"
    if end not in {"pay.expire", "time"}:
        assert told(await ask(world, "alice", "@bob", "6"))[0] == "too_many_requests"


async def test_requests_of_one_batch_count(world: MoneyWorld) -> None:
    frames = [
        world.frame("alice", "pay.request", "@bob", amount=amount, currency="EUR")
        for amount in ("1", "2", "1", "3", "4", "5", "6")
    ]
    codes = [said(outcome) for outcome in await world.settle(*frames)]
    assert codes == [*["stored"] * 2, "already_requested", *["stored"] * 3, "too_many_requests"]


async def test_of_several_reasons_against_a_request_the_first_is_told(world: MoneyWorld) -> None:
    group = await world.group("carol", "alice", "bob")
    await world.do("carol", "room.role", group, user="@alice", role="reader")
    for n in range(1, 6):
        await asked(world, "alice", "@bob", f"{n}")
    dm = head_of(await world.say("alice", "@bob"))["conv"]
    wrong = {"who": "alice", "conv": wire_id("c_", 99), "amount": "x", "currency": "XXX"}
    codes = await world.told_in_turn(
        "pay.request", wrong,
        {"currency": "EUR"}, {"amount": "0"}, {"amount": "3", "currency": "CHF"}, {"currency": "EUR"},
        {"conv": group, "payer": "@nobody"}, {"conv": dm}, {"payer": "@carol"}, {"payer": "@bob"}, {"amount": "6"},
    )  # fmt: skip
    assert codes == [
        "amount_format", "amount_range", "unknown_currency", "not_found", "forbidden", "not_found",
        "not_a_member", "already_requested", "too_many_requests",
    ]  # fmt: skip


# --- requests: what becomes of them ---------------------------------------------------------------------


@ON_EVERY_STORE
async def test_paying_a_request_settles_it_in_the_same_commit(world: MoneyWorld) -> None:
    request = await asked(world, "alice", "@bob", "5")
    outcome = await world.pay("bob", "@alice", "5", ref=request, note="Here")
    assert body_of(outcome) == {
        "amount": "5.00", "currency": "EUR", "payee": world.users["alice"], "state": "completed",
        "alt": "@bob paid @alice 5.00 EUR", "note": "Here", "settles": {"state": "paid"},
    }  # fmt: skip
    assert head_of(outcome)["ref"] == request
    assert [await world.purse(who) for who in ("alice", "bob")] == [(5_500, 0), (4_500, 0)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pay.decline", {"state": "declined", "alt": "@bob declined 5.00 EUR"}),
        ("pay.cancel", {"state": "cancelled", "alt": "@alice cancelled 5.00 EUR"}),
        ("pay.expire", {"state": "expired", "alt": "The request of 5.00 EUR has expired"}),
    ],
)
@ON_EVERY_STORE
async def test_a_request_that_comes_to_nothing_moves_nothing(
    world: MoneyWorld, kind: str, expected: dict[str, str]
) -> None:
    request = await asked(world, "alice", "@bob", "5", expires_s=60)
    if kind == "pay.expire":
        world.now += 59_999
        assert said(await world.expire(request)) == "done"
        world.now += 1
    outcome = await answer(world, kind, request)
    assert body_of(outcome) == expected
    assert await world.moved(outcome) == []
    assert [await world.purse(who) for who in ("alice", "bob")] == [(5_000, 0), (5_000, 0)]


AFTER = {
    "pay.send": ended("already_paid", "paid"),
    "pay.decline": ended("already_declined", "declined"),
    "pay.cancel": ended("already_cancelled", "cancelled"),
    "pay.expire": ended("expired", "expired"),
}
ANSWERS = ("pay.send", "pay.decline", "pay.cancel")


@pytest.mark.parametrize("second", ANSWERS)
@pytest.mark.parametrize("first", ANSWERS)
async def test_in_one_batch_too_a_request_has_one_end(world: MoneyWorld, first: str, second: str) -> None:
    request = await asked(world, "alice", "@bob", "5")
    frames = []
    for kind in (first, second):
        who, peer = ("alice", "@bob") if kind == "pay.cancel" else ("bob", "@alice")
        body = {"amount": "5", "currency": "EUR"} if kind == "pay.send" else {}
        frames.append(world.frame(who, kind, peer, ref=request, **body))
    winner, loser = await world.settle(*frames)
    assert said(winner) == "stored"
    assert told(loser) == AFTER[first]
    assert await world.purse("bob") == ((4_500, 0) if first == "pay.send" else (5_000, 0))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"amount": "4.99"}, ("bad_frame", "$.body.amount", None)),
        ({"amount": "5.01"}, ("bad_frame", "$.body.amount", None)),
        ({"currency": "USD"}, ("bad_frame", "$.body.currency", None)),
        ({"accept": True}, ("bad_frame", "$.ref", None)),
        ({"quote": event_id(900)}, ("bad_frame", "$.ref", None)),
        ({"expires_s": 9}, ("bad_frame", "$.body.expires_s", None)),
        ({"payee": "@bob"}, ("bad_frame", "$.body.payee", None)),
    ],
)
async def test_what_was_asked_for_is_paid_and_nothing_else(
    world: MoneyWorld, members: dict[str, Any], expected: Told
) -> None:
    request = await asked(world, "alice", "@bob", "5")
    body = {"amount": "5", "currency": "EUR"} | members
    assert told(await world.do("bob", "pay.send", "@alice", ref=request, **body)) == expected
    assert said(await world.pay("bob", "@alice", "5.00", ref=request)) == "stored"


async def test_in_a_group_who_was_asked_pays_who_asked(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    await world.credit("carol", "9")
    request = await asked(world, "alice", group, "5", payer="@bob")
    assert told(await world.pay("bob", group, "5", payee="@carol", ref=request)) == (
        "bad_frame", "$.body.payee", None,
    )  # fmt: skip
    assert told(await world.pay("bob", "@alice", "5", ref=request)) == NO_PAYMENT, "not here"
    paid = await world.pay("bob", group, "5", payee=world.users["alice"], ref=request)
    assert body_of(paid)["settles"] == {"state": "paid"}


async def test_a_payment_that_refers_to_something_else_is_a_plain_reply(world: MoneyWorld) -> None:
    text = id_of(await world.say("alice", "@bob"))
    plain = await world.paid("alice", "@bob", "1")
    offer = await world.offered("alice", "@bob", "1")
    for ref in (text, plain, offer, event_id(999)):
        outcome = await world.pay("bob", "@alice", "1", ref=ref)
        assert "settles" not in body_of(outcome)
        assert head_of(outcome)["ref"] == ref


async def test_who_cannot_pay_a_request_leaves_it_open(world: MoneyWorld) -> None:
    request = await asked(world, "alice", "@bob", "50.01")
    assert told(await world.pay("bob", "@alice", "50.01", ref=request)) == (
        "insufficient_funds", "$.body.amount", {"available": "50.00", "currency": "EUR"},
    )  # fmt: skip
    await world.credit("bob", "0.01")
    assert said(await world.pay("bob", "@alice", "50.01", ref=request)) == "stored"


async def test_a_request_late_for_its_not_after_stays_open(world: MoneyWorld) -> None:
    request = await asked(world, "alice", "@bob", "5")
    late = await world.pay("bob", "@alice", "5", ref=request, not_after=world.now - 1)
    assert told(late) == ("expired", "$.body.not_after", None)
    assert said(await world.pay("bob", "@alice", "5", ref=request)) == "stored"


@pytest.mark.parametrize("currency", EXPONENTS)
async def test_requests_in_every_currency(world: MoneyWorld, currency: str) -> None:
    least = format_amount(1, currency)
    await world.credit("bob", "1", currency)
    request = await asked(world, "alice", "@bob", least, currency=currency)
    paid = await world.pay("bob", "@alice", least, currency, ref=request)
    assert (body_of(paid)["amount"], body_of(paid)["settles"]) == (least, {"state": "paid"})


# --- splits ---------------------------------------------------------------------------------------------


async def share_out(
    world: MoneyWorld, group: str, total: str, *people: str, currency: str = "EUR", **members: Any
) -> Any:
    """Alice splits a bill; people as "@bob" or "@bob 5.00"."""
    pairs = [person.split(" ") for person in people]
    shares = [{"user": pair[0]} | ({"amount": pair[1]} if len(pair) > 1 else {}) for pair in pairs]
    body = {"total": total, "currency": currency, "shares": shares}
    return await world.do("alice", "pay.split", group, **body, **members)


@pytest.fixture
async def group(world: MoneyWorld) -> str:
    for who in ("carol", "dave"):
        await world.credit(who, "50.00")
    return await world.group("alice", "bob", "carol", "dave")


@ON_EVERY_STORE
async def test_a_split_lists_what_each_one_owes(world: MoneyWorld, group: str) -> None:
    """The remainder goes to the first of the list, in the order given; the author's own share is paid."""
    outcome = await share_out(world, group, "10", "@bob", "@alice", "@carol", note="Dinner")
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
    split = id_of(await share_out(world, group, "10", "@alice", "@bob", "@carol", "@dave"))
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


@pytest.mark.parametrize("last", ["pay.send", "pay.decline", "pay.waive"])
async def test_whatever_ends_the_last_share_settles_the_split(
    world: MoneyWorld, group: str, last: str
) -> None:
    split = id_of(await share_out(world, group, "9.00", "@alice", "@bob", "@carol"))
    first = await world.pay("carol", group, "3.00", payee="@alice", ref=split)
    assert body_of(first)["settles"]["state"] == "open"
    if last == "pay.send":
        outcome = await world.pay("bob", group, "3.00", payee="@alice", ref=split)
        assert body_of(outcome)["settles"]["state"] == "settled"
    elif last == "pay.decline":
        assert body_of(await world.do("bob", last, group, ref=split))["state"] == "settled"
    else:
        outcome = await world.do("alice", last, group, ref=split, user=world.users["bob"])
        assert body_of(outcome)["state"] == "settled"


async def test_a_cancelled_split_keeps_what_was_paid_and_ends_what_is_open(
    world: MoneyWorld, group: str
) -> None:
    split = id_of(await share_out(world, group, "9.00", "@alice", "@bob", "@carol"))
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
    split = id_of(await share_out(world, group, "9.00", "@bob", "@carol", expires_s=60))
    await world.pay("bob", group, "4.50", payee="@alice", ref=split)
    world.now += 60_000
    outcome = await world.expire(split)
    assert body_of(outcome) == {"state": "expired", "alt": "The split of 9.00 EUR has expired"}
    assert await world.moved(outcome) == []
    assert told(await world.do("alice", "pay.cancel", group, ref=split)) == ended("expired", "expired")


async def test_in_one_batch_the_last_share_settles(world: MoneyWorld, group: str) -> None:
    split = id_of(await share_out(world, group, "9.00", "@bob", "@carol", "@dave"))
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
        ("alice", "pay.send", {"amount": "3", "currency": "EUR", "payee": "@bob"}, NOT_YOURS),
        ("dave", "pay.send", {"amount": "3", "currency": "EUR", "payee": "@alice"}, NOT_YOURS),
        ("bob", "pay.send", {"amount": "3", "currency": "EUR", "payee": "@carol"}, ("bad_frame", "$.body.payee", None)),
        ("bob", "pay.send", {"amount": "9", "currency": "EUR", "payee": "@alice"}, ("bad_frame", "$.body.amount", None)),
        ("bob", "pay.send", {"amount": "3", "currency": "USD", "payee": "@alice"}, ("bad_frame", "$.body.currency", None)),
        ("bob", "pay.send", {"amount": "3", "currency": "EUR", "payee": "@alice", "accept": True}, ("bad_frame", "$.ref", None)),
        ("dave", "pay.decline", {}, NOT_YOURS),
        ("dave", "pay.cancel", {}, NOT_YOURS),
        ("alice", "pay.waive", {"user": "@dave"}, ("not_found", "$.body.user", None)),
        ("alice", "pay.waive", {"user": "@nobody"}, ("not_found", "$.body.user", None)),
    ],
)  # fmt: skip
async def test_who_may_do_what_with_a_split(
    world: MoneyWorld, group: str, who: str, kind: str, body: dict[str, Any], expected: Told
) -> None:
    split = id_of(await share_out(world, group, "9.00", "@alice", "@bob", "@carol"))
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
    assert told(await share_out(world, group, total, *named)) == expected


async def test_a_split_is_among_people_who_are_here(world: MoneyWorld, group: str) -> None:
    """`not_a_member`, as for `pay.send` and `pay.request`; and each refusal names a member of this frame."""
    await world.register("erin")
    assert told(await share_out(world, group, "10", "@bob", "@erin")) == (
        "not_a_member", "$.body.shares", None,
    )  # fmt: skip
    assert told(await share_out(world, "@bob", "10", "@bob", "@carol")) == (
        "not_a_member", "$.body.shares", None,
    )  # fmt: skip


@pytest.mark.parametrize("nobody", ["@nobody", wire_id("u_", 99)])
async def test_a_split_with_somebody_unknown_names_the_shares(
    world: MoneyWorld, group: str, nobody: str
) -> None:
    assert told(await share_out(world, group, "10", "@bob", nobody)) == ("not_found", "$.body.shares", None)


async def test_where_a_bill_can_be_split(world: MoneyWorld, group: str) -> None:
    split = await share_out(world, "@bob", "10", "@alice", "@bob")
    assert [share["state"] for share in body_of(split)["shares"]] == ["paid", "open"]
    assert said(await world.pay("bob", "@alice", "5.00", ref=id_of(split))) == "stored"
    assert told(await share_out(world, "@carol", "10", "@carol")) == ("not_found", "$.conv", None)
    assert told(await share_out(world, "self", "10", "@alice"))[0] == "bad_frame"
    await world.do("alice", "room.role", group, user="@bob", role="owner")
    await world.do("bob", "room.role", group, user="@alice", role="reader")
    assert told(await share_out(world, group, "10", "@bob")) == ("forbidden", "$.conv", None)


async def test_what_each_owes_can_be_given(world: MoneyWorld, group: str) -> None:
    outcome = await share_out(world, group, "10", "@bob 0.01", "@alice 3", "@carol 6.99")
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
    outcome = await share_out(world, group, total, *people, currency=currency)
    assert [share["amount"] for share in body_of(outcome)["shares"]] == expected
    turned = await share_out(world, group, total, *reversed(people), currency=currency)
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
        outcome = await share_out(world, group, format_amount(total, currency), *chosen, currency=currency)
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
    split = id_of(await share_out(world, group, "8", "@alice", "@bob", "@carol", "@dave"))
    await world.pay("bob", group, "2", payee="@alice", ref=split)
    outcome = await world.do("alice", "pay.remind", group, ref=split)
    assert body_of(outcome) == {
        "users": [world.users["carol"], world.users["dave"]],
        "state": "open",
        "alt": "@alice reminds @carol, @dave of 8.00 EUR",
    }
    request = await asked(world, "alice", "@bob", "5")
    reminded = await world.do("alice", "pay.remind", "@bob", ref=request)
    assert body_of(reminded)["users"] == [world.users["bob"]]


@pytest.mark.parametrize("what", ["request", "split"])
@ON_EVERY_STORE
async def test_a_reminder_may_go_out_once_an_hour(world: MoneyWorld, group: str, what: str) -> None:
    if what == "split":
        payment = id_of(await share_out(world, group, "8", "@bob", "@carol"))
    else:
        payment = await asked(world, "alice", group, "5", payer="@bob")
    assert said(await world.do("alice", "pay.remind", group, ref=payment)) == "stored"
    resets_at = world.now + HOUR_MS
    world.now += HOUR_MS - 1
    too_soon: Told = ("too_soon", None, {"resets_at": resets_at})
    assert told(await world.do("alice", "pay.remind", group, ref=payment)) == too_soon
    world.now = resets_at
    assert said(await world.do("alice", "pay.remind", group, ref=payment)) == "stored"
    assert told(await world.do("alice", "pay.remind", group, ref=payment))[0] == "too_soon"


async def test_each_payment_has_a_reminder_of_its_own(world: MoneyWorld) -> None:
    first, second = await asked(world, "alice", "@bob", "1"), await asked(world, "alice", "@bob", "2")
    assert said(await world.do("alice", "pay.remind", "@bob", ref=first)) == "stored"
    assert said(await world.do("alice", "pay.remind", "@bob", ref=second)) == "stored"
    await world.do("bob", "pay.decline", "@alice", ref=second)
    late = await world.do("alice", "pay.remind", "@bob", ref=second)
    assert told(late) == ended("already_declined", "declined"), "the state is told before the pace"


async def test_a_request_finds_the_dm_that_a_frame_of_its_batch_opened(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = MoneyWorld(store)
        await world.register("alice", "bob")
        outcomes = await world.settle(
            world.frame("alice", "chat.text", "@bob", text="hello"),
            world.frame("alice", "pay.request", "@bob", amount="5", currency="EUR"),
        )
        assert [said(outcome) for outcome in outcomes] == ["stored", "stored"]
