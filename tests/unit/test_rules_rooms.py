"""Groups: who may do what to whom, and what each person then sees."""

from pathlib import Path
from typing import Any

import pytest
from tests.contract.stores import KINDS, POLICY, World, body_of, head_of, opened, said, wire_id
from tests.support.money_world import refusal, world_of

from tuppence_protocol.limits import GROUPS_PER_PERSON_MAX, ROOM_MEMBERS_MAX
from tuppence_server.domain.chat import rooms
from tuppence_server.domain.commands import DisableUser, MarkSeen

ROLES = ("owner", "admin", "member", "reader")


world = world_of(POLICY, "root", "alice", "bob", "carol")


async def staffed(world: World, alice: str, bob: str) -> str:
    """A group of root's with these roles in it."""
    group = await world.group("root", "alice", "bob")
    for who, role in (("@alice", alice), ("@bob", bob)):
        if role != "member":
            assert said(await world.do("root", "room.role", group, user=who, role=role)) == "stored"
    return group


async def roles(world: World, group: str, who: str = "root") -> dict[str, str]:
    found = await world.store.members(world.users[who], group, "", 99)
    assert found is not None
    return {member.user.handle: member.role for member in found[0]}


async def test_a_group_opens_with_its_maker_as_owner(world: World) -> None:
    named = ["@bob", world.users["bob"], "@alice", "@carol"]
    outcome = await world.do("alice", "room.create", title="Club", members=named)
    conv = str(head_of(outcome)["conv"])
    users = world.users
    assert body_of(outcome) == {
        "kind": "group",
        "title": "Club",
        "members": [users["alice"], users["bob"], users["carol"]],
        "alt": "@alice opened the group Club",
    }
    assert (head_of(outcome)["seq"], head_of(outcome)["pos"]) == (1, 1)
    assert await roles(world, conv, "bob") == {"alice": "owner", "bob": "member", "carol": "member"}


async def test_a_group_of_one(world: World) -> None:
    group = await world.group("alice")
    assert await roles(world, group, "alice") == {"alice": "owner"}
    assert said(await world.do("alice", "room.leave", group)) == "stored"
    assert refusal(await world.say("alice", group)) == ("not_found", "$.conv")


@pytest.mark.parametrize(
    ("members", "at"), [(["@bob", "@nobody"], 1), ([wire_id("u_", 99)], 0), (["bob"], 0)]
)
async def test_a_group_opens_with_people_who_are_there(world: World, members: list[str], at: int) -> None:
    outcome = await world.do("alice", "room.create", title="Club", members=members)
    assert refusal(outcome) == ("not_found", f"$.body.members[{at}]")
    assert (await world.store.head()).pos == 0


@pytest.mark.parametrize(
    ("kind", "body", "allowed"),
    [
        ("room.update", {"title": "Gang"}, {"owner", "admin"}),
        ("room.invite", {"users": ["@carol"]}, {"owner", "admin"}),
        ("room.remove", {"user": "@bob"}, {"owner", "admin"}),
        ("room.role", {"user": "@bob", "role": "reader"}, {"owner"}),
        ("room.leave", {}, set(ROLES)),
    ],
)
@pytest.mark.parametrize("role", ROLES)
async def test_what_a_role_may_do(
    world: World, role: str, kind: str, body: dict[str, Any], allowed: set[str]
) -> None:
    group = await staffed(world, role, "member")
    before = await roles(world, group)
    outcome = await world.do("alice", kind, group, **body)
    if role in allowed:
        assert said(outcome) == "stored"
    else:
        assert refusal(outcome) == ("forbidden", "$.conv")
        assert await roles(world, group) == before


@pytest.mark.parametrize("kind", ["room.update", "room.invite", "room.remove", "room.role", "room.leave"])
async def test_outsiders_find_no_group_and_other_places_are_none(world: World, kind: str) -> None:
    body: dict[str, Any] = {
        "room.update": {"title": "x"}, "room.invite": {"users": ["@bob"]}, "room.remove": {"user": "@bob"},
        "room.role": {"user": "@bob", "role": "owner"}, "room.leave": {},
    }[kind]  # fmt: skip
    group = await staffed(world, "owner", "member")
    dm = head_of(await world.say("carol", "@bob"))["conv"]
    assert refusal(await world.do("carol", kind, group, **body)) == ("not_found", "$.conv")
    for place in (dm, "@bob", "@alice", "self"):
        assert refusal(await world.do("carol", kind, place, **body)) == ("forbidden", "$.conv"), place


@pytest.mark.parametrize("target", ROLES)
@pytest.mark.parametrize("actor", ["owner", "admin"])
async def test_who_may_remove_whom(world: World, actor: str, target: str) -> None:
    group = await staffed(world, actor, target)
    outcome = await world.do("alice", "room.remove", group, user="@bob")
    if actor == "owner" or target in ("member", "reader"):
        assert body_of(outcome) == {"user": world.users["bob"], "alt": "@alice removed @bob"}
        assert "bob" not in await roles(world, group)
    else:
        assert refusal(outcome) == ("forbidden", "$.body.user")


@pytest.mark.parametrize(("kind", "body"), [("room.remove", {}), ("room.role", {"role": "admin"})])
async def test_only_members_are_removed_or_given_roles(world: World, kind: str, body: dict[str, Any]) -> None:
    group = await staffed(world, "owner", "member")
    assert refusal(await world.do("alice", kind, group, user="@carol", **body)) == (
        "not_a_member",
        "$.body.user",
    )
    assert refusal(await world.do("alice", kind, group, user="@nobody", **body)) == (
        "not_found",
        "$.body.user",
    )


async def test_nobody_removes_themselves(world: World) -> None:
    group = await staffed(world, "owner", "member")
    assert refusal(await world.do("alice", "room.remove", group, user="@alice")) == (
        "forbidden",
        "$.body.user",
    )


async def test_a_title_is_changed_for_all(world: World) -> None:
    group = await staffed(world, "admin", "member")
    outcome = await world.do("alice", "room.update", group, title="Gang")
    assert body_of(outcome) == {"title": "Gang", "alt": "@alice renamed the group to Gang"}
    views, _ = await world.store.conversations(world.users["bob"], None, 9)
    assert views[0].title == "Gang"


async def test_an_invitation_brings_in_all_or_none(world: World) -> None:
    group = await world.group("root", "alice")
    outcome = await world.do("root", "room.invite", group, users=["@bob", "@carol", "@bob"])
    assert body_of(outcome) == {
        "users": [world.users["bob"], world.users["carol"]],
        "alt": "@root invited @bob, @carol",
    }
    other = await world.group("root", "bob")
    refused = await world.do("root", "room.invite", other, users=["@carol", "@bob"])
    assert refusal(refused) == ("already_member", "$.body.users[1]")
    refused = await world.do("root", "room.invite", other, users=["@carol", "@nobody"])
    assert refusal(refused) == ("not_found", "$.body.users[1]")
    assert set(await roles(world, other)) == {"root", "bob"}
    assert refusal(await world.do("root", "room.invite", other, users=["@root"]))[0] == "already_member"


async def test_the_disabled_are_not_brought_in_but_can_be_taken_out(world: World) -> None:
    group = await world.group("root", "alice")
    await world.order(DisableUser("bob", True))
    await world.order(DisableUser("alice", True))
    assert refusal(await world.do("root", "room.invite", group, users=["@bob"]))[0] == "not_found"
    assert refusal(await world.do("root", "room.create", title="x", members=["@bob"]))[0] == "not_found"
    assert said(await world.do("root", "room.remove", group, user="@alice")) == "stored"


async def test_a_full_group_takes_nobody_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ROOM_MEMBERS_MAX >= 1_000
    monkeypatch.setattr(rooms, "ROOM_MEMBERS_MAX", 3)
    group = await world.group("root", "alice")
    assert refusal(await world.do("root", "room.invite", group, users=["@bob", "@carol"])) == (
        "room_full",
        "$.body",
    )
    assert said(await world.do("root", "room.invite", group, users=["@bob"])) == "stored"
    assert refusal(await world.do("root", "room.invite", group, users=["@carol"]))[0] == "room_full"
    await world.do("bob", "room.leave", group)
    assert said(await world.do("root", "room.invite", group, users=["@carol"])) == "stored"
    everybody = ["@alice", "@bob", "@carol"]
    assert refusal(await world.do("root", "room.create", title="x", members=everybody))[0] == "room_full"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_person_is_in_so_many_groups_at_most(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever brings them in, over batches and within one, and those that were left count no longer."""
    assert GROUPS_PER_PERSON_MAX == 1_000
    monkeypatch.setattr(rooms, "GROUPS_PER_PERSON_MAX", 3)
    async with opened(kind, tmp_path) as store:
        world = World(store)
        await world.register("root", "alice", "bob", "carol")
        for who in ("root", "bob", "carol"):
            group = await world.group(who, "alice")
        full = ("too_many_groups", "$.body.members[1]")
        refused = await world.do("root", "room.create", title="x", members=["@bob", "@alice"])
        assert refusal(refused) == full
        own = await world.do("alice", "room.create", title="x", members=[])
        assert refusal(own) == ("too_many_groups", "$.body")
        quiet = await world.group("bob")
        invited = await world.do("bob", "room.invite", quiet, users=["@carol", "@alice"])
        assert refusal(invited) == ("too_many_groups", "$.body.users[1]")
        assert said(await world.say("bob", "@alice")) == "stored", "a conversation of two is no group"
        left = world.frame("alice", "room.leave", group)
        create = [world.frame("alice", "room.create", title=f"{n}", members=[]) for n in range(2)]
        outcomes = await world.settle(left, *create)
        assert [said(each) for each in outcomes] == ["stored", "stored", "too_many_groups"]
        removed = await world.do(
            "root", "room.remove", (await world.store.groups(world.users["root"]))[0], user="@alice"
        )
        assert said(removed) == "stored"
        assert said(await world.do("bob", "room.invite", quiet, users=["@carol", "@alice"])) == "stored"
        for who in world.users:
            found = await world.store.user(who)
            assert found is not None
            assert found.groups == len(await world.store.groups(found.id)), who


async def test_a_group_keeps_an_owner(world: World) -> None:
    group = await world.group("root", "alice", "bob")
    assert refusal(await world.do("root", "room.leave", group)) == ("last_owner", "$.body")
    for role in ("admin", "member", "reader"):
        refused = await world.do("root", "room.role", group, user="@root", role=role)
        assert refusal(refused) == ("last_owner", "$.body")
    assert said(await world.do("root", "room.role", group, user="@root", role="owner")) == "stored"
    outcome = await world.do("root", "room.role", group, user="@alice", role="owner")
    assert body_of(outcome) == {
        "user": world.users["alice"],
        "role": "owner",
        "alt": "@root made @alice owner",
    }
    assert said(await world.do("root", "room.leave", group)) == "stored"
    assert refusal(await world.do("alice", "room.leave", group))[0] == "last_owner"
    assert await roles(world, group, "alice") == {"alice": "owner", "bob": "member"}


async def test_owners_may_go_in_any_order_until_one_is_left(world: World) -> None:
    group = await staffed(world, "owner", "owner")
    first = world.frame("root", "room.leave", group)
    second = world.frame("alice", "room.role", group, user="@alice", role="member")
    third = world.frame("bob", "room.leave", group)
    assert [said(each) for each in await world.settle(first, second, third)] == [
        "stored",
        "stored",
        "last_owner",
    ]
    assert said(await world.do("bob", "room.remove", group, user="@alice")) == "stored"
    assert said(await world.do("bob", "room.leave", group)) == "stored", "alone, one may go"


async def test_a_role_ends_with_the_membership(world: World) -> None:
    group = await staffed(world, "owner", "admin")
    await world.do("bob", "room.leave", group)
    await world.do("alice", "room.leave", group)
    await world.do("root", "room.invite", group, users=["@alice", "@bob"])
    assert await roles(world, group) == {"root": "owner", "alice": "member", "bob": "member"}
    assert refusal(await world.do("root", "room.leave", group))[0] == "last_owner"


async def test_who_comes_back_sees_from_the_invitation_on_and_keeps_the_read_mark(world: World) -> None:
    group = await world.group("root", "alice")
    await world.say("root", group)
    await world.order(MarkSeen(group, world.users["alice"], 2, 2))
    await world.do("root", "room.remove", group, user="@alice")
    await world.say("root", group, "not for alice")
    back = head_of(await world.do("root", "room.invite", group, users=["@alice"]))["seq"]
    views, _ = await world.store.conversations(world.users["alice"], None, 9)
    assert (views[0].since, views[0].seq, views[0].read) == (back, back, 2)
    page = await world.store.history(world.users["alice"], group, None, None, 50)
    assert page is not None
    assert len(page.events) == 1


async def test_what_each_does_in_one_batch_counts_for_the_next(world: World) -> None:
    group = await world.group("root", "alice")
    outcomes = await world.settle(
        world.frame("alice", "room.invite", group, users=["@bob"]),
        world.frame("root", "room.role", group, user="@alice", role="admin"),
        world.frame("alice", "room.invite", group, users=["@bob"]),
        world.frame("bob", "chat.text", group, text="hi"),
        world.frame("alice", "room.remove", group, user="@bob"),
        world.frame("bob", "chat.text", group, text="hi"),
        world.frame("bob", "room.leave", group),
    )
    expected = ["forbidden", "stored", "stored", "stored", "stored", "not_found", "not_found"]
    assert [said(each) for each in outcomes] == expected
