"""Asking for money: requests, and what becomes of them."""

from pathlib import Path
from typing import Any

import pytest
from tests.contract.stores import body_of, event_id, head_of, opened, said, wire_id
from tests.support.money_world import (
    EXPONENTS,
    NO_PAYMENT,
    ON_EVERY_STORE,
    MoneyWorld,
    Told,
    ended,
    id_of,
    told,
    world_of,
)

from tuppence_protocol.limits import REQUEST_S_DEFAULT
from tuppence_protocol.money import format_amount
from tuppence_server.domain.commands import DisableUser

WEEK_MS = 1000 * REQUEST_S_DEFAULT


world = world_of(alice="50", bob="50", begin=lambda world: world.say("alice", "@bob"))


async def answer(world: MoneyWorld, kind: str, request: str, amount: str = "5.00") -> Any:
    """Alice asked Bob; the one who may do it does it."""
    if kind == "pay.send":
        return await world.pay("bob", "@alice", amount, ref=request)
    return await world.answer(kind, request)


# --- requests: asking -----------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_a_request_asks_and_moves_nothing(world: MoneyWorld) -> None:
    outcome = await world.ask("alice", "@bob", "5", note="Cinema")
    assert body_of(outcome) == {
        "amount": "5.00", "currency": "EUR", "payer": world.users["bob"], "state": "open",
        "expires_at": world.now + WEEK_MS, "alt": "@alice asks @bob for 5.00 EUR", "note": "Cinema",
    }  # fmt: skip
    assert await world.moved(outcome) == []
    assert [await world.purse(who) for who in ("alice", "bob")] == [(5_000, 0), (5_000, 0)]


async def test_a_request_may_ask_for_more_than_anybody_has(world: MoneyWorld) -> None:
    await world.asked("alice", "@bob", "9999999999999.99")


async def test_nobody_is_asked_by_a_strangers_first_message(world: MoneyWorld) -> None:
    """Requests out of the blue are a fraud: India switched them off in 2025."""
    refused = await world.ask("carol", "@bob", "5")
    assert told(refused) == ("not_found", "$.conv", None)
    await world.say("carol", "@bob")
    assert said(await world.ask("carol", "@bob", "5")) == "stored"
    assert told(await world.ask("carol", "@alice", "5")) == ("not_found", "$.conv", None)


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
    outcome = await world.ask("alice", group if place == GROUP else place, "5", **members)
    if expected == "stored":
        assert body_of(outcome)["payer"] == world.users["bob"]
    else:
        assert told(outcome) == expected


async def test_who_left_is_not_asked_readers_do_not_ask_and_the_disabled_are_left_alone(
    world: MoneyWorld,
) -> None:
    group = await world.group("alice", "bob", "carol", "dave")
    await world.do("carol", "room.leave", group)
    assert told(await world.ask("alice", group, "5", payer="@carol"))[0] == "not_a_member"
    assert told(await world.ask("carol", group, "5", payer="@alice")) == ("not_found", "$.conv", None)
    await world.do("alice", "room.role", group, user="@dave", role="reader")
    assert told(await world.ask("dave", group, "5", payer="@bob")) == ("forbidden", "$.conv", None)
    assert said(await world.ask("alice", group, "5", payer="@dave")) == "stored"
    await world.order(DisableUser("bob", True))
    assert told(await world.ask("alice", "@bob", "5"))[0] == "payee_unavailable"
    assert told(await world.ask("alice", group, "5", payer="@bob"))[0] == "payee_unavailable"


async def test_one_amount_is_asked_for_once_at_a_time(world: MoneyWorld) -> None:
    first = await world.asked("alice", "@bob", "5")
    group = await world.group("alice", "bob")
    again: Told = ("already_requested", "$.body.amount", None)
    assert told(await world.ask("alice", "@bob", "5.00")) == again
    assert told(await world.ask("alice", group, "5.0", payer="@bob")) == again, "by any way"
    assert said(await world.ask("alice", "@bob", "5", currency="USD")) == "stored", "another thing"
    assert said(await world.ask("bob", "@alice", "5")) == "stored", "and another direction"
    await world.do("bob", "pay.decline", "@alice", ref=first)
    assert said(await world.ask("alice", "@bob", "5")) == "stored"


@pytest.mark.parametrize("end", ["pay.send", "pay.decline", "pay.cancel", "pay.expire", "time"])
async def test_five_requests_between_two_may_be_open(world: MoneyWorld, end: str) -> None:
    open_ones = [await world.asked("alice", "@bob", f"{n}") for n in range(1, 6)]
    refused = await world.ask("alice", "@bob", "6")
    assert told(refused) == ("too_many_requests", None, {"limit": 5, "used": 5})
    assert told(await world.ask("alice", "@bob", "3"))[0] == "already_requested"
    assert said(await world.ask("bob", "@alice", "6")) == "stored"
    group = await world.group("alice", "bob", "carol")
    assert said(await world.ask("alice", group, "6", payer="@carol")) == "stored"
    world.now += WEEK_MS if end in {"pay.expire", "time"} else 0
    if end != "time":
        assert said(await answer(world, end, open_ones[1], "2.00")) == "stored"
    assert said(await world.ask("alice", "@bob", "2")) == "stored"
    if end not in {"pay.expire", "time"}:
        assert told(await world.ask("alice", "@bob", "6"))[0] == "too_many_requests"


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
        await world.asked("alice", "@bob", f"{n}")
    dm = head_of(await world.say("alice", "@bob"))["conv"]
    wrong = {"who": "alice", "conv": wire_id("c_", 99), "amount": "x", "currency": "XXX"}
    codes = await world.told_in_turn(
        "pay.request", wrong,
        {"currency": "EUR"}, {"amount": "0"}, {"amount": "3", "currency": "CHF"}, {"currency": "EUR"},
        {"conv": group, "payer": "@nobody"}, {"conv": dm}, {"payer": "@carol"}, {"payer": "@bob"},
        {"amount": "6"},
    )  # fmt: skip
    assert codes == [
        "amount_format", "amount_range", "unknown_currency", "not_found", "forbidden", "not_found",
        "not_a_member", "already_requested", "too_many_requests",
    ]  # fmt: skip


# --- requests: what becomes of them ---------------------------------------------------------------------


@ON_EVERY_STORE
async def test_paying_a_request_settles_it_in_the_same_commit(world: MoneyWorld) -> None:
    request = await world.asked("alice", "@bob", "5")
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
    request = await world.asked("alice", "@bob", "5", expires_s=60)
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
    request = await world.asked("alice", "@bob", "5")
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
    request = await world.asked("alice", "@bob", "5")
    body = {"amount": "5", "currency": "EUR"} | members
    assert told(await world.do("bob", "pay.send", "@alice", ref=request, **body)) == expected
    assert said(await world.pay("bob", "@alice", "5.00", ref=request)) == "stored"


async def test_in_a_group_who_was_asked_pays_who_asked(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    await world.credit("carol", "9")
    request = await world.asked("alice", group, "5", payer="@bob")
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
    request = await world.asked("alice", "@bob", "50.01")
    assert told(await world.pay("bob", "@alice", "50.01", ref=request)) == (
        "insufficient_funds", "$.body.amount", {"available": "50.00", "currency": "EUR"},
    )  # fmt: skip
    await world.credit("bob", "0.01")
    assert said(await world.pay("bob", "@alice", "50.01", ref=request)) == "stored"


async def test_a_request_late_for_its_not_after_stays_open(world: MoneyWorld) -> None:
    request = await world.asked("alice", "@bob", "5")
    late = await world.pay("bob", "@alice", "5", ref=request, not_after=world.now - 1)
    assert told(late) == ("expired", "$.body.not_after", None)
    assert said(await world.pay("bob", "@alice", "5", ref=request)) == "stored"


@pytest.mark.parametrize("currency", EXPONENTS)
async def test_requests_in_every_currency(world: MoneyWorld, currency: str) -> None:
    least = format_amount(1, currency)
    await world.credit("bob", "1", currency)
    request = await world.asked("alice", "@bob", least, currency=currency)
    paid = await world.pay("bob", "@alice", least, currency, ref=request)
    assert (body_of(paid)["amount"], body_of(paid)["settles"]) == (least, {"state": "paid"})


async def test_a_request_finds_the_dm_that_a_frame_of_its_batch_opened(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = MoneyWorld(store)
        await world.register("alice", "bob")
        outcomes = await world.settle(
            world.frame("alice", "chat.text", "@bob", text="hello"),
            world.frame("alice", "pay.request", "@bob", amount="5", currency="EUR"),
        )
        assert [said(outcome) for outcome in outcomes] == ["stored", "stored"]
