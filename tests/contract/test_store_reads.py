"""What people may read: the same answers from every store, and never a line that is not theirs."""

import json
from typing import Any

import pytest
from tests.contract.stores import World, body_of, event_id, head_of, said

from tuppence_protocol.limits import PAGE_BYTES_MAX
from tuppence_protocol.views import UserView
from tuppence_server.domain.commands import DisableUser, MarkSeen, RevokeSession, SetPassword
from tuppence_server.store.contract import ConversationInfo, Funds, Page


def seqs(page: Page | None) -> list[int]:
    assert page is not None
    return [json.loads(event)["seq"] for event in page.events]


async def history(world: World, who: str, place: str, **bounds: Any) -> Page | None:
    bounds = {"before": None, "after": None, "limit": 50} | bounds
    return await world.store.history(world.users[who], place, **bounds)


async def test_history_pages_in_both_directions(world: World) -> None:
    for number in range(7):
        await world.say("alice", "@bob", f"line {number}")
    for bounds, expected, complete in (
        ({}, [1, 2, 3, 4, 5, 6, 7], True),
        ({"limit": 7}, [1, 2, 3, 4, 5, 6, 7], True),
        ({"limit": 3}, [5, 6, 7], False),
        ({"before": 5, "limit": 3}, [2, 3, 4], False),
        ({"before": 4, "limit": 3}, [1, 2, 3], True),
        ({"after": 2, "limit": 3}, [3, 4, 5], False),
        ({"after": 4, "limit": 3}, [5, 6, 7], True),
        ({"after": 0, "limit": 1}, [1], False),
        ({"after": 2, "before": 6, "limit": 2}, [4, 5], False),
        ({"after": 2, "before": 6, "limit": 3}, [3, 4, 5], True),
        ({"after": 7}, [], True),
        ({"before": 1}, [], True),
        ({"before": 99, "limit": 2}, [6, 7], False),
    ):
        page = await history(world, "bob", "@alice", **bounds)
        assert seqs(page) == expected, bounds
        assert page is not None
        assert page.complete is complete, bounds


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_a_page_of_history_is_bounded_by_bytes_and_pages_miss_nothing(world: World, limit: int) -> None:
    lengths = [8_000, 100, 7_999, 50, 4_000] * 6
    for number, length in enumerate(lengths):
        await world.say("alice", "@bob", "€" * (length - number))
    for first, bound, forward in (({}, "before", False), ({"after": 0}, "after", True)):
        bounds, found, complete = first, [], False
        while not complete:
            page = await history(world, "bob", "@alice", limit=limit, **bounds)
            assert page is not None
            sizes = [len(event) for event in page.events]
            assert 0 < len(sizes) <= limit
            assert sum(sizes) - sizes[-1 if forward else 0] <= PAGE_BYTES_MAX
            had = seqs(page)
            found = found + had if forward else had + found
            bounds, complete = {bound: had[-1 if forward else 0]}, page.complete
        assert found == list(range(1, len(lengths) + 1))


async def test_history_has_the_bytes_that_were_sent(world: World) -> None:
    sent = await world.say("alice", "@bob", 'a "quote", Ä and 𝄞')
    page = await history(world, "bob", "@alice")
    assert page is not None
    (wire,) = page.events
    assert json.loads(wire) == {**head_of(sent), "body": {"text": 'a "quote", Ä and 𝄞'}}


async def test_a_conversation_has_the_same_history_by_every_name(world: World) -> None:
    conv = head_of(await world.say("alice", "@bob"))["conv"]
    await world.say("alice", "self", "a note")
    assert await history(world, "alice", conv) == await history(world, "alice", "@bob")
    assert await history(world, "bob", "@alice") == await history(world, "alice", "@bob")
    assert await history(world, "alice", "self") == await history(world, "alice", "@alice")
    assert seqs(await history(world, "alice", "self")) == [1]


async def test_what_is_not_ones_own_has_no_history(world: World) -> None:
    conv = head_of(await world.say("alice", "@bob"))["conv"]
    group = await world.group("alice", "bob")
    for place in (conv, group, "@bob", "@nobody", "c_nothing", "@", ""):
        assert await history(world, "carol", place) is None, place
        assert await world.store.members(world.users["carol"], place, "", 9) is None, place


async def test_who_joins_later_sees_from_the_invitation_on(world: World) -> None:
    group = await world.group("alice", "bob")
    await world.say("alice", group, "before")
    invited = head_of(await world.do("alice", "room.invite", group, users=["@carol"]))["seq"]
    await world.say("bob", group, "after")
    page = await history(world, "carol", group)
    assert seqs(page) == [invited, invited + 1]
    assert page is not None
    assert page.complete
    assert seqs(await history(world, "carol", group, before=invited)) == []
    assert seqs(await history(world, "carol", group, after=0, limit=1)) == [invited]


async def test_who_left_sees_nothing_and_who_comes_back_sees_from_then_on(world: World) -> None:
    group = await world.group("alice", "bob")
    said_before = event_id(900)
    await world.say("bob", group, "before", key=said_before)
    assert await world.store.event(world.users["bob"], said_before) is not None
    await world.do("bob", "room.leave", group)
    assert await history(world, "bob", group) is None
    assert await world.store.conversation(world.users["bob"], group) is None
    assert await world.store.members(world.users["bob"], group, "", 9) is None
    assert await world.store.event(world.users["bob"], said_before) is None
    await world.say("alice", group, "meanwhile", key=event_id(901))
    back = head_of(await world.do("alice", "room.invite", group, users=["@bob"]))["seq"]
    assert seqs(await history(world, "bob", group)) == [back]
    assert await world.store.event(world.users["bob"], event_id(901)) is None


async def test_one_event_for_those_who_may_see_it(world: World) -> None:
    sent = await world.say("alice", "@bob", key=event_id(900))
    for who in ("alice", "bob"):
        wire = await world.store.event(world.users[who], event_id(900))
        assert wire is not None
        assert json.loads(wire) == {**head_of(sent), "body": body_of(sent)}
    assert await world.store.event(world.users["carol"], event_id(900)) is None
    assert await world.store.event(world.users["alice"], event_id(999)) is None


async def test_a_refused_payment_is_no_event(world: World) -> None:
    assert said(await world.pay("alice", "@bob", "5", key=event_id(900))) == "insufficient_funds"
    assert await world.store.event(world.users["alice"], event_id(900)) is None


async def test_conversations_come_latest_first_page_by_page(world: World) -> None:
    group = await world.group("alice", "bob", "carol")
    await world.say("alice", "@bob")
    await world.say("carol", "@alice")
    await world.say("bob", group)
    user = world.users["alice"]
    views, complete = await world.store.conversations(user, None, 50)
    assert complete
    assert [view.kind for view in views] == ["group", "dm", "dm", "self"]
    assert [view.peer.handle if view.peer else None for view in views] == [None, "carol", "bob", None]
    assert (views[0].title, views[0].members, views[0].role, views[0].seq) == ("Club", 3, "owner", 2)
    paged, before = [], None
    for expected in (False, True):
        page, complete = await world.store.conversations(user, before, 2)
        assert complete is expected
        paged += page
        before = page[-1].pos
    assert paged == views


async def test_conversations_do_not_list_what_one_left(world: World) -> None:
    group = await world.group("alice", "bob")
    await world.do("bob", "room.leave", group)
    views, _ = await world.store.conversations(world.users["bob"], None, 50)
    assert [view.kind for view in views] == ["self"]


async def test_members_come_by_id_page_by_page(world: World) -> None:
    group = await world.group("carol", "alice", "bob")
    await world.do("carol", "room.role", group, user="@bob", role="reader")
    await world.order(MarkSeen(group, world.users["bob"], 1, 2))
    user = world.users["alice"]
    found = await world.store.members(user, group, "", 50)
    assert found is not None
    people, complete = found
    assert complete
    assert [(m.user.handle, m.role, m.read, m.delivered) for m in people] == [
        ("alice", "member", 0, 0),
        ("bob", "reader", 1, 2),
        ("carol", "owner", 0, 0),
    ]
    assert await world.store.members(user, group, "", 2) == (people[:2], False)
    assert await world.store.members(user, group, people[1].user.id, 2) == (people[2:], True)
    await world.do("carol", "room.remove", group, user="@bob")
    assert await world.store.members(user, group, "", 50) == ([people[0], people[2]], True)


async def test_a_place_tells_the_hub_whom_it_concerns(world: World) -> None:
    group = await world.group("alice", "bob")
    conv = head_of(await world.say("bob", "@alice"))["conv"]
    alice, bob = world.users["alice"], world.users["bob"]
    assert await world.store.conversation(alice, group) == ConversationInfo(group, None, 2)
    assert await world.store.conversation(alice, "@bob") == ConversationInfo(conv, (alice, bob), 2)
    own = await world.store.conversation(alice, "self")
    assert own is not None
    assert own.people == (alice,)
    assert await world.store.conversation(alice, "@carol") is None


async def test_acquainted_are_those_who_share_a_conversation_now(world: World) -> None:
    await world.register("dave")
    group = await world.group("alice", "bob")
    await world.say("carol", "@alice")
    alice, bob = world.users["alice"], world.users["bob"]
    asked = ["@bob", world.users["carol"], "@dave", "@nobody", "bob"]
    assert sorted(await world.store.acquainted(alice, asked)) == sorted([bob, world.users["carol"]])
    await world.do("bob", "room.leave", group)
    assert await world.store.acquainted(alice, asked) == [world.users["carol"]]
    assert await world.store.acquainted(bob, [alice]) == []


async def test_people_are_found_by_handle_and_id(world: World) -> None:
    view = UserView(world.users["bob"], "bob", "Bob")
    for reference in ("bob", "@bob", view.id):
        assert await world.store.person(reference) == view, reference
    assert await world.store.person("@nobody") is None
    await world.register("u_boat")
    for reference in ("u_boat", "@u_boat"):
        found = await world.store.person(reference)
        assert found is not None, reference
        assert found.id == world.users["u_boat"]
    user = await world.store.user("bob")
    assert user is not None
    assert user.id == view.id
    assert await world.store.user("@bob") is None
    assert [each.handle for each in await world.store.users()] == ["alice", "bob", "carol", "u_boat"]


async def test_how_passwords_are_hashed_is_told_without_them(world: World) -> None:
    assert await world.store.password_kinds() == {}
    now, before = "$argon2id$v=19$m=19456,t=3,p=1", "$argon2id$v=19$m=8,t=1,p=2"
    hashed = (
        ("alice", now, f"{'c' * 22}${'/' * 43}"),
        ("bob", now, "p1$1p=3,"),
        ("carol", before, "2=p$2=p"),
    )
    for handle, kind, rest in hashed:
        await world.order(SetPassword(handle, f"{kind}${rest}"))
    assert await world.store.password_kinds() == {now: 2, before: 1}


async def test_funds_are_told_with_the_pos_they_are_from(world: World) -> None:
    assert await world.store.funds(world.users["alice"]) == ([], 0)
    await world.credit("alice", "10", "EUR")
    await world.credit("alice", "900", "JPY")
    await world.pay("alice", "@bob", "2.50")
    assert await world.store.funds(world.users["alice"]) == ([Funds("EUR", 750, 0), Funds("JPY", 900, 0)], 3)
    assert await world.store.funds(world.users["bob"]) == ([Funds("EUR", 250, 0)], 3)
    assert await world.store.funds("operator") == ([], 3)


async def test_logins_that_are_still_good_are_listed_latest_first(world: World) -> None:
    first = await world.log_in("alice", 1)
    world.now += 5
    second = await world.log_in("alice", 2)
    await world.log_in("bob", 3)
    alice = world.users["alice"]
    assert [session.id for session in await world.store.sessions(alice, world.now, 99)] == [second, first]
    await world.order(RevokeSession(second, alice))
    assert [session.id for session in await world.store.sessions(alice, world.now, 99)] == [first]
    await world.order(DisableUser("alice", True))
    assert await world.store.sessions(alice, world.now, 99) == []
