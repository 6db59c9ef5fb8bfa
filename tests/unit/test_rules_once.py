"""One outcome per id, for ever; and what a rule that crashes leaves behind: nothing."""

from typing import Any

import pytest
from tests.contract.stores import POLICY, World, event_id, head_of, said
from tests.support.money_world import refusal, world_of

from tuppence_protocol.kinds import ChatText
from tuppence_server.audit.verify import verify
from tuppence_server.domain import rules
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat import messages
from tuppence_server.domain.commands import Deposit, DisableUser
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.facts import Decision

KEY = event_id(500)


world = world_of(POLICY, "alice", "bob", "carol")


def repeated(outcome: Outcome) -> bool:
    assert isinstance(outcome, Stored), outcome
    return outcome.repeated


async def test_the_same_again_is_the_same_event(world: World) -> None:
    await world.credit("alice", "10")
    first = await world.pay("alice", "@bob", "4", key=KEY, note="Lunch")
    world.now += 1_000_000
    await world.say("alice", "@bob")
    again = await world.pay("alice", "@bob", "4", key=KEY, note="Lunch")
    assert isinstance(first, Stored)
    assert isinstance(again, Stored)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.event == first.event, "byte for byte, with the time of then"
    assert await world.balance("alice") == 600


async def test_it_stays_once_wherever_the_sender_stands_meanwhile(world: World) -> None:
    """The outcome is told even to one who could not do it any more."""
    await world.credit("alice", "4")
    group = await world.group("bob", "alice")
    paid = {"amount": "4", "currency": "EUR", "payee": "@bob"}
    await world.do("alice", "pay.send", group, key=KEY, **paid)
    await world.do("alice", "room.leave", group, key=event_id(501))
    assert repeated(await world.do("alice", "pay.send", group, key=KEY, **paid))
    assert repeated(await world.do("alice", "room.leave", group, key=event_id(501)))
    await world.order(DisableUser("alice", True))
    assert repeated(await world.do("alice", "pay.send", group, key=KEY, **paid))


@pytest.mark.parametrize("place", ["@bob", "conv"])
async def test_a_dm_is_the_same_place_by_either_name(world: World, place: str) -> None:
    conv = head_of(await world.say("alice", "@bob", key=KEY))["conv"]
    assert repeated(await world.say("alice", conv if place == "conv" else place, key=KEY))


PAID: dict[str, Any] = {"kind": "pay.send", "conv": "@bob", "amount": "4", "currency": "EUR", "note": "Lunch"}


async def test_a_reference_left_out_is_other_content(world: World) -> None:
    await world.say("alice", "@bob", key=KEY, ref=event_id(9))
    refused = await world.say("alice", "@bob", key=KEY)
    assert refusal(refused) == ("id_reused", "$.ref")


async def test_other_words_under_an_id(world: World) -> None:
    await world.say("alice", "@bob", "yes", key=KEY)
    for members, field in (
        ({"text": "no"}, "$.body.text"),
        ({"text": "yes", "mentions": [world.users["bob"]]}, "$.body.mentions"),
    ):
        refused = await world.do("alice", "chat.text", "@bob", key=KEY, **members)
        assert refusal(refused) == ("id_reused", field)


@pytest.mark.parametrize("kind", ["chat.text", "pay.send", "room.create"])
async def test_the_id_of_somebody_else_is_taken(world: World, kind: str) -> None:
    await world.say("alice", "@bob", key=KEY)
    body: dict[str, Any] = {
        "chat.text": {"text": "hello"},
        "pay.send": {"amount": "1", "currency": "EUR"},
        "room.create": {"title": "Club"},
    }[kind]
    conv = None if kind == "room.create" else "@alice"
    refused = await world.do("bob", kind, conv, key=KEY, **body)
    assert refusal(refused) == ("id_taken", "$.id")


async def test_an_id_of_the_operator_is_taken_too(world: World) -> None:
    await world.order(Deposit(KEY, "alice", "5", "EUR", None))
    assert said(await world.say("alice", "@bob", key=KEY)) == "id_taken"


async def test_every_refusal_of_a_payment_is_for_ever(world: World) -> None:
    group = await world.group("carol", "alice")
    await world.do("carol", "room.role", group, user="@alice", role="reader")
    for number, (conv, code, members) in enumerate(
        (
            ("@dave", "not_found", {}),
            (group, "forbidden", {"payee": "@carol"}),
            ("@bob", "not_a_member", {"payee": "@carol"}),
            ("self", "same_account", {}),
            ("@bob", "expired", {"not_after": 1}),
            ("@bob", "insufficient_funds", {}),
            ("@bob", "unknown_currency", {"currency": "SEK"}),
        )
    ):
        key = event_id(600 + number)
        refused = await world.pay("alice", conv, "1", key=key, **members)
        assert said(refused) == code
        assert await world.pay("alice", conv, "1", key=key, **members) == refused
        assert said(await world.pay("alice", conv, "2", key=key, **members)) == "id_reused"
        assert said(await world.say("alice", "@bob", key=key)) == "id_reused"
        assert said(await world.say("bob", "@alice", key=key)) == "id_taken"


async def test_a_payment_of_the_disabled_stays_refused(world: World) -> None:
    await world.credit("alice", "10")
    await world.order(DisableUser("alice", True))
    assert said(await world.pay("alice", "@bob", "4", key=KEY)) == "account_disabled"
    await world.order(DisableUser("alice", False))
    assert said(await world.pay("alice", "@bob", "4", key=KEY)) == "account_disabled"
    assert await world.balance("bob") == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "5"}, "$.body"),
        ({"conv": "@carol"}, "$.conv"),
        ({"ref": event_id(9)}, "$.ref"),
        ({"kind": "chat.text"}, "$.kind"),
    ],
)
async def test_other_content_under_a_refused_id(world: World, change: dict[str, Any], field: str) -> None:
    assert said(await world.do("alice", key=KEY, **PAID)) == "insufficient_funds"
    members = PAID | change
    if members["kind"] == "chat.text":
        members = {"kind": "chat.text", "conv": "@bob", "text": "Lunch"}
    refused = await world.do("alice", key=KEY, **members)
    code, where = refusal(refused)
    assert (code, (where or "").startswith(field)) == ("id_reused", True)


async def test_a_deposit_is_once_as_well(world: World) -> None:
    order = Deposit(KEY, "alice", "5", "EUR", "cash desk")
    assert not repeated(await world.order(order))
    assert repeated(await world.order(order))
    for other in (
        Deposit(KEY, "alice", "6", "EUR", "cash desk"),
        Deposit(KEY, "alice", "5", "USD", "cash desk"),
        Deposit(KEY, "bob", "5", "EUR", "cash desk"),
        Deposit(KEY, "alice", "5", "EUR", None),
    ):
        assert said(await world.order(other)) == "id_reused", other
    refused = Deposit(event_id(501), "nobody", "5", "EUR", None)
    assert said(await world.order(refused)) == "not_found"
    await world.register("nobody")
    assert said(await world.order(refused)) == "not_found"
    assert said(await world.order(Deposit(event_id(501), "alice", "5", "EUR", None))) == "id_reused"
    assert await world.balance("alice") == 500


async def test_a_rule_that_crashes_leaves_no_trace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.credit("alice", "10")
    head, accounts = await world.store.head(), await world.store.accounts()

    def crash(book: Book, author: str, frame: ChatText) -> Decision:
        messages.text(book, author, frame)
        raise ZeroDivisionError

    whole = dict(rules.RULES)
    monkeypatch.setattr(rules, "RULES", whole)
    frame = world.frame("alice", "chat.text", "@bob", KEY, text="hi")
    whole[type(frame.frame)] = (messages.needs_text, crash)
    with pytest.raises(rules.RuleFault, match="ChatText"):
        await world.settle(frame)
    assert await world.store.head() == head
    assert await world.store.accounts() == accounts
    monkeypatch.undo()
    assert said((await world.settle(frame))[0]) == "stored", "the id is free"
    assert (await verify(world.store)).problems == []
