"""Where words may go: every name of a place, and who is let in."""

import pytest
from tests.contract.stores import POLICY, World, body_of, event_id, head_of, said, wire_id
from tests.support.money_world import refusal, world_of

from tuppence_server.domain.commands import DisableUser
from tuppence_server.domain.effects import Joined, Left, Publish

world = world_of(POLICY, "alice", "bob", "carol")


async def test_a_line_becomes_an_event(world: World) -> None:
    outcome = await world.say("alice", "@bob", "Lunch?", key=event_id(50))
    head = head_of(outcome)
    conv = head.pop("conv")
    assert head == {
        "kind": "chat.text", "id": event_id(50), "seq": 1, "pos": 1,
        "from": world.users["alice"], "at": world.now,
    }  # fmt: skip
    assert conv.startswith("c_")
    assert body_of(outcome) == {"text": "Lunch?"}


async def test_what_a_line_refers_to_and_whom_it_mentions_goes_along(world: World) -> None:
    outcome = await world.say(
        "alice", "@bob", "hi", key=event_id(51), ref=event_id(50), mentions=[world.users["bob"]]
    )
    assert head_of(outcome)["ref"] == event_id(50)
    assert body_of(outcome) == {"text": "hi", "mentions": [world.users["bob"]]}


async def test_a_dm_is_opened_once_from_whichever_side(world: World) -> None:
    first = head_of(await world.say("alice", "@bob"))
    second = head_of(await world.say("bob", "@alice"))
    third = head_of(await world.say("alice", first["conv"]))
    assert first["conv"] == second["conv"] == third["conv"]
    assert [each["seq"] for each in (first, second, third)] == [1, 2, 3]
    views, _ = await world.store.conversations(world.users["bob"], None, 9)
    assert [(view.kind, view.members) for view in views] == [("dm", 2), ("self", 1)]


async def test_a_dm_opened_twice_in_one_batch_is_one_dm(world: World) -> None:
    outcomes = await world.settle(
        world.frame("alice", "chat.text", "@bob", text="hi"),
        world.frame("bob", "chat.text", "@alice", text="hello"),
    )
    assert [said(each) for each in outcomes] == ["stored", "stored"]
    assert head_of(outcomes[0])["conv"] == head_of(outcomes[1])["conv"]
    assert [head_of(each)["seq"] for each in outcomes] == [1, 2]


async def test_self_is_ones_own_place_by_every_name(world: World) -> None:
    heads = [head_of(await world.say("alice", place)) for place in ("self", "@alice")]
    assert heads[0]["conv"] == heads[1]["conv"]
    assert head_of(await world.say("bob", "self"))["conv"] != heads[0]["conv"]
    assert head_of(await world.say("alice", heads[0]["conv"]))["seq"] == 3


@pytest.mark.parametrize(
    "place", ["@nobody", wire_id("c_", 999), "c_", "@", "", "bob", "SELF", "self ", "@Bob"]
)
async def test_a_place_that_is_not_there(world: World, place: str) -> None:
    outcome = await world.say("alice", place)
    assert refusal(outcome) == ("not_found", "$.conv")


async def test_what_is_not_ones_own_looks_as_if_it_were_not_there(world: World) -> None:
    """One answer for "no such thing" and "not yours", or a stranger could tell which ids exist."""
    absent = await world.say("carol", wire_id("c_", 999))
    dm = head_of(await world.say("alice", "@bob"))["conv"]
    own = head_of(await world.say("alice", "self"))["conv"]
    group = await world.group("alice", "bob")
    left = await world.group("alice", "carol")
    await world.do("carol", "room.leave", left)
    for place in (dm, own, group, left):
        assert await world.say("carol", place) == absent, place


@pytest.mark.parametrize(
    ("role", "expected"),
    [("reader", "forbidden"), ("member", "stored"), ("admin", "stored"), ("owner", "stored")],
)
async def test_readers_watch(world: World, role: str, expected: str) -> None:
    group = await world.group("alice", "bob")
    await world.do("alice", "room.role", group, user="@bob", role=role)
    outcome = await world.say("bob", group)
    assert said(outcome) == expected
    assert said(await world.pay("bob", group, "1", payee="@alice")) == (
        "forbidden" if role == "reader" else "insufficient_funds"
    )


async def test_the_disabled_neither_speak_nor_are_first_spoken_to(world: World) -> None:
    await world.say("alice", "@bob")
    await world.order(DisableUser("bob", True))
    assert said(await world.say("bob", "@alice")) == "account_disabled"
    assert said(await world.say("bob", "@nobody")) == "account_disabled"
    assert said(await world.say("alice", "@bob")) == "stored", "an old conversation stays open to write to"
    assert said(await world.say("carol", "@bob")) == "not_found", "a new one is not opened"
    await world.order(DisableUser("bob", False))
    assert said(await world.say("bob", "@alice")) == "stored"
    assert said(await world.say("carol", "@bob")) == "stored"


async def test_a_refused_line_may_be_said_later_under_its_id(world: World) -> None:
    assert said(await world.say("alice", "@dave", key=event_id(50))) == "not_found"
    await world.register("dave")
    assert said(await world.say("alice", "@dave", key=event_id(50))) == "stored"


async def test_numbers_are_gapless_in_each_conversation_and_rise_in_the_log(world: World) -> None:
    group = await world.group("alice", "bob", "carol")
    places = ["@bob", group, "@carol", group, "@bob", "self", group]
    requests = [world.frame("alice", "chat.text", place, text="x") for place in places]
    heads = [head_of(each) for each in await world.settle(*requests)]
    assert [head["pos"] for head in heads] == [2, 3, 4, 5, 6, 7, 8]
    assert [head["seq"] for head in heads] == [1, 2, 1, 3, 2, 1, 4]


async def test_what_leaves_the_road_is_in_order(world: World) -> None:
    group = await world.group("alice", "bob")
    await world.settle(
        world.frame("alice", "room.invite", group, users=["@carol"]),
        world.frame("carol", "chat.text", group, text="hi"),
        world.frame("alice", "room.remove", group, user="@carol"),
        world.frame("bob", "chat.text", group, text="gone"),
    )
    assert world.book is not None
    flow = [
        (type(item).__name__, item.event.pos if isinstance(item, Publish) else getattr(item, "pos", 0))
        for item in world.book.outflow
    ]
    assert flow == [
        ("Joined", 1), ("Publish", 2), ("Publish", 3), ("Publish", 4), ("Left", 4), ("Publish", 5),
    ]  # fmt: skip
    publishes = [item for item in world.book.outflow if isinstance(item, Publish)]
    assert [item.members for item in publishes] == [3, 3, 3, 2]
    assert {item.people for item in publishes} == {None}
    assert {item.user for item in world.book.outflow if isinstance(item, (Joined, Left))} == {
        world.users["carol"]
    }


async def test_a_dm_names_its_people_to_the_hub(world: World) -> None:
    await world.say("bob", "@alice")
    assert world.book is not None
    (item,) = world.book.outflow
    assert isinstance(item, Publish)
    assert item.people is not None
    assert set(item.people) == {world.users["alice"], world.users["bob"]}
