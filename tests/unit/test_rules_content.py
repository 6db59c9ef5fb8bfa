"""What is the same under one id, for every kind of money, and what is not: `id_reused`, by field."""

from typing import Any, Final

import pytest
from tests.contract.stores import said, wire_id
from tests.support.money_scenes import GIVEN, HALVES, SCENES, Members, Scene, filled, stage
from tests.support.money_world import MoneyWorld, refusal, told, world_of

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import ACCEPT_S_DEFAULT, REQUEST_S_DEFAULT
from tuppence_server.domain.effects import Stored

world = world_of(alice="90", bob="90")


async def send(world: MoneyWorld, names: dict[str, str], scene: Scene, key: str, change: Members) -> Any:
    """Send a scene under the id, with some members changed or (None) left out."""
    envelope = {"kind": scene.kind, "conv": scene.conv, "ref": scene.ref}
    envelope |= {name: value for name, value in change.items() if name in envelope}
    body = scene.body | {name: value for name, value in change.items() if name not in envelope}
    members = {name: value for name, value in {**envelope, **body}.items() if value is not None}
    return await world.do(scene.who, key=key, **filled(members, names))


DAY, WEEK = ACCEPT_S_DEFAULT, REQUEST_S_DEFAULT
SAME: Final[list[tuple[str, Members]]] = [
    *((name, {}) for name in SCENES),
    ("plain", {"amount": "5.00"}),
    ("plain", {"amount": "5.0", "payee": "@bob"}),
    ("plain", {"payee": "{bob's id}", "conv": "{dm}"}),
    ("offer", {"payee": "{bob's id}"}),
    ("offer", {"payee": None, "conv": "{dm}"}),
    ("offer", {"expires_s": DAY}),
    ("timed", {"amount": "5.00"}),
    ("exchange", {"amount": "10.00"}),
    ("settling", {"amount": "3.00", "conv": "{dm}"}),
    ("settling", {"amount": None, "currency": None}),
    ("share", {"amount": None, "currency": None, "payee": None}),
    ("share", {"payee": "{alice's id}", "amount": "3.00"}),
    ("request", {"payer": "{bob's id}", "amount": "5.00"}),
    ("request", {"payer": None, "conv": "{dm}"}),
    ("request", {"expires_s": WEEK}),
    ("halves", {"total": "10.00", "expires_s": WEEK}),
    ("halves", {"shares": [{"user": "{bob's id}"}, {"user": "{carol's id}"}]}),
    ("halves", {"shares": [{"user": "@bob", "amount": "5"}, {"user": "@carol", "amount": "5.00"}]}),
    ("given", {"shares": [{"user": "{bob's id}", "amount": "4.00"}, {"user": "@carol", "amount": "6.0"}]}),
    ("packet", {"total": "10.00", "expires_s": DAY}),
    ("accept", {"conv": "{dm}"}),
    ("decline", {"conv": "{dm}"}),
    ("cancel", {"conv": "{dm}"}),
    ("part", {"amount": "2.00"}),
    ("whole", {"amount": "8.00"}),
    ("waive", {"user": "{bob's id}"}),
    ("faucet", {"amount": "7.00"}),
    ("faucet", {"conv": "@alice"}),
    ("faucet", {"conv": "{self}"}),
]
OTHER: Final[list[tuple[str, Members, str]]] = [
    ("plain", {"amount": "6"}, "$.body.amount"),
    ("plain", {"note": "Dinner"}, "$.body.note"),
    ("plain", {"currency": "USD"}, "$.body.currency"),
    ("plain", {"payee": "@alice"}, "$.body.payee"),
    ("plain", {"not_after": 5}, "$.body.not_after"),
    ("plain", {"conv": "self"}, "$.conv"),
    ("plain", {"conv": "@carol"}, "$.conv"),
    ("plain", {"conv": wire_id("c_", 999)}, "$.conv"),
    (
        "plain",
        {"kind": "chat.text", "text": "Lunch", "amount": None, "currency": None, "note": None},
        "$.kind",
    ),
    ("plain", {"accept": True}, "$.body.accept"),
    ("plain", {"quote": "{quote}"}, "$.body.quote"),
    ("plain", {"note": None}, "$.body.note"),
    ("plain", {"ref": "{text}"}, "$.ref"),
    ("plain", {"kind": "pay.request", "note": None}, "$.kind"),
    ("offer", {"accept": None}, "$.body.accept"),
    ("offer", {"amount": "6"}, "$.body.amount"),
    ("offer", {"currency": "USD"}, "$.body.currency"),
    ("offer", {"payee": "@alice"}, "$.body.payee"),
    ("offer", {"note": "More"}, "$.body.note"),
    ("offer", {"not_after": 1_900_000_000_000}, "$.body.not_after"),
    ("offer", {"expires_s": DAY - 1}, "$.body.expires_s"),
    ("offer", {"conv": "@carol", "payee": None}, "$.conv"),
    ("timed", {"expires_s": 61}, "$.body.expires_s"),
    ("timed", {"expires_s": None}, "$.body.expires_s"),
    ("exchange", {"quote": "{other_quote}"}, "$.body.quote"),
    ("exchange", {"quote": None}, "$.body.quote"),
    ("settling", {"ref": None}, "$.ref"),
    ("settling", {"ref": "{split}"}, "$.ref"),
    ("settling", {"amount": "4"}, "$.body.amount"),
    ("share", {"payee": "@carol"}, "$.body.payee"),
    ("request", {"payer": "@carol"}, "$.body.payer"),
    ("request", {"amount": "6"}, "$.body.amount"),
    ("request", {"note": None}, "$.body.note"),
    ("request", {"expires_s": 60}, "$.body.expires_s"),
    ("request", {"kind": "pay.faucet", "payer": None, "note": None}, "$.kind"),
    ("soon", {"expires_s": None}, "$.body.expires_s"),
    ("soon", {"expires_s": WEEK}, "$.body.expires_s"),
    ("halves", {"total": "11"}, "$.body.total"),
    ("halves", {"note": "Other"}, "$.body.note"),
    ("halves", {"expires_s": 60}, "$.body.expires_s"),
    ("halves", {"shares": [{"user": "@carol"}, {"user": "@bob"}]}, "$.body.shares"),
    ("halves", {"shares": [{"user": "@bob"}]}, "$.body.shares"),
    ("halves", {"shares": [*HALVES, {"user": "@alice"}]}, "$.body.shares"),
    ("halves", {"shares": GIVEN}, "$.body.shares"),
    ("given", {"shares": HALVES}, "$.body.shares"),
    (
        "given",
        {"shares": [{"user": "@bob", "amount": "6"}, {"user": "@carol", "amount": "4"}]},
        "$.body.shares",
    ),
    ("packet", {"total": "11"}, "$.body.total"),
    ("packet", {"count": 2}, "$.body.count"),
    ("packet", {"mode": "lucky"}, "$.body.mode"),
    ("packet", {"note": None}, "$.body.note"),
    ("packet", {"expires_s": DAY + 1}, "$.body.expires_s"),
    ("packet", {"conv": "@bob"}, "$.conv"),
    ("claim", {"ref": "{other_packet}"}, "$.ref"),
    ("claim", {"kind": "pay.remind"}, "$.kind"),
    ("accept", {"ref": "{second}"}, "$.ref"),
    ("accept", {"kind": "pay.decline"}, "$.kind"),
    ("accept", {"conv": "{group}"}, "$.conv"),
    ("decline", {"reason": None}, "$.body.reason"),
    ("decline", {"reason": "Yes"}, "$.body.reason"),
    ("silent", {"reason": "No"}, "$.body.reason"),
    ("cancel", {"ref": "{second}"}, "$.ref"),
    ("part", {"amount": "2.01"}, "$.body.amount"),
    ("part", {"amount": None}, "$.body.amount"),
    ("whole", {"amount": "7.99"}, "$.body.amount"),
    ("whole", {"ref": "{other_paid}"}, "$.ref"),
    ("waive", {"user": "@carol"}, "$.body.user"),
    ("remind", {"ref": "{asked}"}, "$.ref"),
    ("faucet", {"amount": "8"}, "$.body.amount"),
    ("faucet", {"currency": "USD"}, "$.body.currency"),
    ("faucet", {"conv": "{dm}"}, "$.conv"),
]


def _name(value: object) -> str:
    return "-".join(value) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("name", "change"), SAME, ids=_name)
async def test_the_same_again_is_the_same_event(world: MoneyWorld, name: str, change: Members) -> None:
    """Later, when everything stands differently, and byte for byte."""
    names, scene, key = await stage(world), SCENES[name], world.key()
    first = await send(world, names, scene, key, {})
    assert isinstance(first, Stored), first
    world.now += 1_000 * (WEEK + 1)
    before = await world.store.head()
    again = await send(world, names, scene, key, change)
    assert isinstance(again, Stored), again
    assert (again.repeated, again.event) == (True, first.event)
    assert await world.store.head() == before


@pytest.mark.parametrize(("name", "change", "field"), OTHER, ids=_name)
async def test_other_content_is_refused_and_told_apart(
    world: MoneyWorld, name: str, change: Members, field: str
) -> None:
    names, scene, key = await stage(world), SCENES[name], world.key()
    first = await send(world, names, scene, key, {})
    assert said(first) == "stored", first
    before = await world.store.head()
    refused = await send(world, names, scene, key, change)
    assert refusal(refused) == ("id_reused", field), "it was taken for the same"
    assert await world.store.head() == before
    again = await send(world, names, scene, key, {})
    assert isinstance(again, Stored)
    assert again.repeated, "the first outcome stays"


@pytest.mark.parametrize("name", SCENES)
async def test_the_same_twice_in_one_batch_is_one_event(world: MoneyWorld, name: str) -> None:
    names, scene = await stage(world), SCENES[name]
    members = filled({"ref": scene.ref, **scene.body}, names)
    frame = world.frame(scene.who, scene.kind, filled(scene.conv, names), world.key(), **members)
    outcomes = await world.settle(frame, frame, frame)
    assert [isinstance(each, Stored) and each.repeated for each in outcomes] == [False, True, True]


@pytest.mark.parametrize("name", SCENES)
async def test_the_id_of_somebody_else_is_taken(world: MoneyWorld, name: str) -> None:
    names, scene = await stage(world), SCENES[name]
    refused = await send(world, names, scene, names["asked" if scene.who == "alice" else "split"], {})
    assert told(refused) == ("id_taken", "$.id", None)


REFUSED: Final[list[tuple[str, Members]]] = [
    ("plain", {"amount": "99.00"}),
    ("offer", {"amount": "99.00"}),
    ("exchange", {"amount": "11"}),
    ("settling", {"amount": "4"}),
    ("request", {"payer": "@dave"}),
    ("halves", {"shares": [{"user": "@alice"}]}),
    ("given", {"total": "11"}),
    ("packet", {"total": "99.00"}),
    ("claim", {"ref": "{text}"}),
    ("accept", {"ref": "{text}"}),
    ("decline", {"ref": "{text}"}),
    ("cancel", {"ref": "{text}"}),
    ("part", {"amount": "9"}),
    ("waive", {"user": "@dave"}),
    ("remind", {"ref": "{text}"}),
    ("faucet", {"amount": "1001"}),
]


@pytest.mark.parametrize(("name", "wrong"), REFUSED, ids=_name)
async def test_what_was_refused_stays_refused_and_its_id_is_spent(
    world: MoneyWorld, name: str, wrong: Members
) -> None:
    """The same is refused again, however things stand by then; put right under its id it is other content.

    A late retry must not pay after the person has already paid anew.
    """
    names, scene, key = await stage(world), SCENES[name], world.key()
    refused = await send(world, names, scene, key, wrong)
    assert isinstance(refused, Refusal), refused
    await world.credit("alice", "500.00")
    assert await send(world, names, scene, key, wrong) == refused
    other = await send(world, names, scene, key, {})
    (member,) = wrong
    field = f"$.{member}" if member in {"ref", "conv"} else "$.body"
    code, where = refusal(other)
    assert (code, (where or "").startswith(field)) == ("id_reused", True)
    assert said(await send(world, names, scene, world.key(), {})) == "stored", (
        "under a new id it is judged afresh"
    )
