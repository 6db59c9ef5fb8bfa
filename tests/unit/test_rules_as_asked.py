"""A payment of what was asked for need not say what its ref says: it is the same event and money."""

from itertools import combinations
from typing import Any

import pytest
from tests.contract.stores import body_of, event_id, said
from tests.support.money_world import (
    NO_PAYMENT,
    NOT_YOURS,
    ON_EVERY_STORE,
    MoneyWorld,
    id_of,
    told,
    world_of,
)

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal

MEMBERS = ("amount", "currency", "payee")
LEFT_OUT = [names for count in range(4) for names in combinations(MEMBERS, count)]
ASKING = ("in a dm", "in a group", "a split")


world = world_of(alice="90", bob="90", carol="90", begin=lambda world: world.say("alice", "@bob"))


async def ask(world: MoneyWorld, asking: str) -> tuple[str, str]:
    """Alice asks Bob for 3.10 and Carol for more; where, and the id."""
    group = await world.group("alice", "bob", "carol", "dave")
    if asking == "a split":
        shares = [{"user": "@carol", "amount": "6.90"}, {"user": "@bob", "amount": "3.10"}]
        body = {"total": "10", "currency": "EUR", "shares": shares}
        return group, await world.made("alice", "pay.split", group, **body)
    place = group if asking == "in a group" else "@alice"
    return place, await world.made(
        "alice", "pay.request", "@bob" if place == "@alice" else group,
        amount="3.1", currency="EUR", payer="@bob",
    )  # fmt: skip


@pytest.mark.parametrize("asking", ASKING)
@ON_EVERY_STORE
async def test_whatever_is_left_out_it_is_the_same_payment(world: MoneyWorld, asking: str) -> None:
    for number, names in enumerate(LEFT_OUT, 500):
        place, ref = await ask(world, asking)
        said_all = {"amount": "3.10", "currency": "EUR", "payee": "@alice"}
        before = [await world.purse(who) for who in ("alice", "bob")]
        key = event_id(number)
        some = {name: value for name, value in said_all.items() if name not in names}
        outcome = await world.do("bob", "pay.send", place, ref=ref, key=key, **some)
        body = body_of(outcome)
        assert (body["amount"], body["currency"], body["payee"]) == ("3.10", "EUR", world.users["alice"])
        assert body["settles"]["state"] in {"paid", "open"}
        moved = [await world.purse(who) for who in ("alice", "bob")]
        assert [now[0] - was[0] for now, was in zip(moved, before, strict=True)] == [310, -310]
        for others in LEFT_OUT:  # sent again, it may say more or less: it is the same content
            again = {name: value for name, value in said_all.items() if name not in others}
            same = await world.do("bob", "pay.send", place, ref=ref, key=key, **again)
            assert id_of(same) == id_of(outcome)
        assert told(await world.do("bob", "pay.send", place, ref=ref)) == (
            "already_paid", "$.ref", {"state": "paid"},
        )  # fmt: skip


@pytest.mark.parametrize("asking", ASKING)
async def test_who_is_not_asked_does_not_pay_by_saying_less(world: MoneyWorld, asking: str) -> None:
    place, ref = await ask(world, asking)
    await world.credit("dave", "50")
    expected = NO_PAYMENT if place == "@alice" else NOT_YOURS
    assert told(await world.do("dave", "pay.send", place, ref=ref)) in (
        expected,
        ("not_found", "$.conv", None),
    )
    assert told(await world.do("alice", "pay.send", place.replace("@alice", "@bob"), ref=ref)) == NOT_YOURS
    assert told(await world.do("bob", "pay.send", "@carol", ref=ref)) == NO_PAYMENT
    wrong: dict[str, Any]
    for wrong, field in (
        ({"amount": "3.11"}, "$.body.amount"),
        ({"currency": "USD"}, "$.body.currency"),
        ({"currency": "JPY"}, "$.body.currency"),
        ({"payee": "@bob"}, "$.body.payee"),
    ):
        assert told(await world.do("bob", "pay.send", place, ref=ref, **wrong)) == ("bad_frame", field, None)
    assert said(await world.do("bob", "pay.send", place, ref=ref)) == "stored"


async def test_a_reply_to_anything_else_says_it_all(world: MoneyWorld) -> None:
    text = id_of(await world.say("alice", "@bob"))
    paid = await world.paid("alice", "@bob", "1")
    offer = await world.offered("alice", "@bob", "1")
    for ref in (text, paid, offer, event_id(999)):
        for body, field in (
            ({}, "$.body.amount"),
            ({"currency": "EUR"}, "$.body.amount"),
            ({"amount": "1"}, "$.body.currency"),
        ):
            outcome = await world.do("bob", "pay.send", "@alice", ref=ref, **body)
            assert told(outcome) == ("bad_frame", field, None)


async def test_a_plain_reply_that_is_sent_again_with_less_is_another(world: MoneyWorld) -> None:
    text = id_of(await world.say("alice", "@bob"))
    body = {"amount": "1", "currency": "EUR", "payee": "@alice"}
    await world.do("bob", "pay.send", "@alice", ref=text, key=event_id(500), **body)
    for name in ("amount", "currency"):
        less = {other: value for other, value in body.items() if other != name}
        outcome = await world.do("bob", "pay.send", "@alice", ref=text, key=event_id(500), **less)
        assert told(outcome)[:2] == ("id_reused", f"$.body.{name}")


@pytest.mark.parametrize(
    "more", ['"accept":true', '"expires_s":60', f'"quote":"{event_id(900)}"', None], ids=str
)
@pytest.mark.parametrize("less", ['"amount":"1"', '"currency":"EUR"', '"note":"x"'])
def test_what_answers_no_request_says_how_much(more: str | None, less: str) -> None:
    """Such a frame is malformed: nothing is kept under its id."""
    ref = "" if more is None else f'"ref":"{event_id(2)}",'
    body = less if more is None else f"{less},{more}"
    raw = f'{{"kind":"pay.send","id":"{event_id(1)}","conv":"@bob",{ref}"body":{{{body}}}}}'
    refusal = codec.decode_client(raw)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("bad_frame", "$.body")
    asked = f'{{"kind":"ask.preview","id":"{event_id(3)}","body":{{"frame":{raw}}}}}'
    refusal = codec.decode_client(asked)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("bad_frame", "$.body.frame.body")
