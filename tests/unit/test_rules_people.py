"""Handles, passwords, logins and read marks."""

import itertools
import json

import pytest
from tests.contract.stores import POLICY, World, command, said, wire_id
from tests.support.money_world import refusal, world_of

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import NAME_CHARS_MAX
from tuppence_server.domain.chat.people import RESERVED_HANDLES, skeleton
from tuppence_server.domain.commands import (
    CreateUser,
    DisableUser,
    MarkSeen,
    OpenSession,
    RevokeSession,
    SetPassword,
)
from tuppence_server.domain.effects import Marked, SessionEnded, UserEnded

world = world_of(POLICY, "alice", "bob")


def newcomer(handle: str, number: int = 90, name: str = "") -> CreateUser:
    return CreateUser(wire_id("u_", number), wire_id("c_", number), handle, name, None)


def opening(world: World, who: str, number: int, proof: str | None = None) -> OpenSession:
    return OpenSession(
        wire_id("s_", number), world.users[who], f"token {number}", "phone", world.now + 9, proof
    )


async def open_logins(world: World, who: str) -> list[str]:
    return [session.id for session in await world.store.sessions(world.users[who], world.now, 99)]


async def test_a_newcomer_has_a_place_of_their_own(world: World) -> None:
    assert said(await world.order(newcomer("carol", name="Carol"))) == "done"
    user = await world.store.user("carol")
    assert user is not None
    assert (user.name, user.password, user.disabled, user.created_at) == ("Carol", None, False, world.now)
    (own,), complete = await world.store.conversations(user.id, None, 9)
    assert complete
    assert (own.conv, own.kind, own.members, own.seq, own.role) == (wire_id("c_", 90), "self", 1, 0, "owner")


@pytest.mark.parametrize(
    "handle", ["a", "a" * 33, "Alice", "al ice", "älice", "al-ice", "", "@alice", "alice\n", "٣٣"]
)
async def test_a_handle_that_is_none(world: World, handle: str) -> None:
    assert refusal(await world.order(newcomer(handle))) == ("bad_frame", "$.handle")


@pytest.mark.parametrize(
    "handle", [*sorted(RESERVED_HANDLES), "adm1n", "admln", "se1f", "seif", "a11", "0perator"]
)
async def test_handles_that_would_speak_for_the_house_or_look_so(world: World, handle: str) -> None:
    assert refusal(await world.order(newcomer(handle))) == ("handle_taken", "$.handle")


@pytest.mark.parametrize("handle", ["al", "a" * 32, "__", "007"])
async def test_a_handle_that_is_one(world: World, handle: str) -> None:
    assert said(await world.order(newcomer(handle))) == "done"


@pytest.mark.parametrize(
    ("taken", "handle"),
    [
        ("alice", "alice"), ("alice", "a1ice"), ("alice", "aiice"), ("alice", "al1ce"), ("modern", "modem"),
        ("modem", "modern"), ("bob", "b0b"), ("vvilma", "wilma"), ("wilma", "vvi1ma"), ("corn", "com"),
        ("vwx", "vvvx"), ("wvx", "vwx"), ("vvvv", "ww"), ("wvw", "vvvvv"), ("vvvvv", "vww"),
        ("rnn", "mn"), ("rrn", "rm"),
    ],
)  # fmt: skip
async def test_handles_that_look_alike(world: World, taken: str, handle: str) -> None:
    if taken not in world.users:
        await world.order(newcomer(taken, 80))
    assert refusal(await world.order(newcomer(handle, 90))) == ("handle_taken", "$.handle")


def test_what_is_drawn_with_the_same_strokes_looks_alike_and_nothing_else_does() -> None:
    """Every handle of so many letters: as many looks as there are rows of strokes."""
    drawn = {
        "v": "v", "w": "vv", "r": "r", "n": "n", "m": "rn", "0": "o", "o": "o", "i": "|", "l": "|", "1": "|",
    }  # fmt: skip
    looks: dict[str, set[str]] = {}
    for letters in ("vw", "rnm", "0o1li", "vwmrn"):
        for length in range(2, 6):
            for handle in map("".join, itertools.product(letters, repeat=length)):
                looks.setdefault("".join(drawn[letter] for letter in handle), set()).add(skeleton(handle))
    assert all(len(found) == 1 for found in looks.values())
    assert len(set.union(*looks.values())) == len(looks)


@pytest.mark.parametrize(
    "name",
    [f"a{chr(point)}b" for point in (
        0, 1, 7, 9, 10, 13, 27, 31, 127, 128, 155, 159, 0x61C, 0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202E,
        0x2066, 0x2069,
    )] + ["Alice\n", "\x00", "\u202eecilA"],
)  # fmt: skip
async def test_a_name_that_would_act_on_a_list_is_refused_at_every_door(world: World, name: str) -> None:
    assert refusal(await world.order(newcomer("carol", name=name))) == ("bad_frame", "$.name")
    login = OpenSession(wire_id("s_", 1), world.users["alice"], "hash", name, world.now + 1, None)
    assert refusal(await world.order(login)) == ("bad_frame", "$.device")
    room = {"kind": "room.create", "id": world.key(), "body": {"title": name}}
    update = {"kind": "room.update", "id": world.key(), "conv": wire_id("c_", 1), "body": {"title": name}}
    hello = {"kind": "hello", "body": {"token": "t", "device": name}}
    for frame, field in ((room, "title"), (update, "title"), (hello, "device")):
        found = codec.decode_client(json.dumps(frame))
        assert isinstance(found, Refusal), found
        assert (found.code, found.field) in {("bad_frame", f"$.body.{field}"), ("bad_frame", "$.body")}


@pytest.mark.parametrize(
    "name",
    [
        "Zoë",
        "王小明",
        "\u0639\u0644\u064a",
        "Ana 👩\u200d🔬",
        "\u0645\u06cc\u200c\u062e\u0648",
        "O'Neil-Smith 2",
        "",
    ],
)
async def test_names_of_all_scripts_are_names(world: World, name: str) -> None:
    assert said(await world.order(newcomer("carol", name=name))) == "done"


async def test_a_handle_is_given_once_in_a_batch_as_well(world: World) -> None:
    outcomes = await world.settle(command(newcomer("carol", 80)), command(newcomer("caro1", 90)))
    assert [said(each) for each in outcomes] == ["done", "handle_taken"]


async def test_a_name_has_a_bound(world: World) -> None:
    assert refusal(await world.order(newcomer("carol", name="x" * (NAME_CHARS_MAX + 1)))) == (
        "too_big",
        "$.name",
    )
    assert said(await world.order(newcomer("carol", name="x" * NAME_CHARS_MAX))) == "done"


async def test_a_new_password_ends_every_login_of_that_person(world: World) -> None:
    await world.log_in("alice", 1)
    await world.log_in("alice", 2)
    bob = await world.log_in("bob", 3)
    assert said(await world.order(SetPassword("alice", "hash"))) == "done"
    assert world.book is not None
    assert world.book.outflow == [UserEnded(world.users["alice"], disabled=False)]
    assert await open_logins(world, "alice") == []
    assert await open_logins(world, "bob") == [bob]
    assert refusal(await world.order(SetPassword("nobody", "hash"))) == ("not_found", "$.handle")


async def test_a_login_opens_only_on_the_password_that_was_checked(world: World) -> None:
    await world.order(SetPassword("alice", "new"))
    assert refusal(await world.order(opening(world, "alice", 1, "old")))[0] == "bad_credentials"
    assert refusal(await world.order(opening(world, "alice", 1, None)))[0] == "bad_credentials"
    assert said(await world.order(opening(world, "alice", 1, "new"))) == "done"
    stranger = OpenSession("s_x", wire_id("u_", 99), "token", "phone", 9, None)
    assert refusal(await world.order(stranger))[0] == "bad_credentials"


async def test_password_and_login_in_one_batch_keep_their_order(world: World) -> None:
    outcomes = await world.settle(
        command(opening(world, "alice", 1, None)),
        command(SetPassword("alice", "new")),
        command(opening(world, "alice", 2, None)),
        command(opening(world, "alice", 3, "new")),
    )
    assert [said(each) for each in outcomes] == ["done", "done", "bad_credentials", "done"]
    assert await open_logins(world, "alice") == [wire_id("s_", 3)]


async def test_the_disabled_are_out_until_let_in_again(world: World) -> None:
    await world.log_in("alice", 1)
    assert said(await world.order(DisableUser("alice", True))) == "done"
    assert world.book is not None
    assert UserEnded(world.users["alice"], disabled=True) in world.book.outflow
    assert await open_logins(world, "alice") == []
    assert refusal(await world.order(opening(world, "alice", 2)))[0] == "account_disabled"
    assert refusal(await world.order(opening(world, "alice", 2, "wrong")))[0] == "bad_credentials"
    assert said(await world.order(DisableUser("alice", False))) == "done"
    assert said(await world.order(opening(world, "alice", 2))) == "done"
    assert refusal(await world.order(DisableUser("nobody", True))) == ("not_found", "$.handle")


async def test_a_login_is_revoked_by_its_owner(world: World) -> None:
    session = await world.log_in("alice", 1)
    alice, bob = world.users["alice"], world.users["bob"]
    assert refusal(await world.order(RevokeSession(session, bob))) == ("not_found", "$.session")
    assert refusal(await world.order(RevokeSession("s_none", alice))) == ("not_found", "$.session")
    assert said(await world.order(RevokeSession(session, alice))) == "done"
    assert world.book is not None
    assert world.book.outflow == [SessionEnded(alice, session)]
    assert said(await world.order(RevokeSession(session, alice))) == "done", "again is no error"
    assert world.book.outflow == []


async def test_logging_out_is_not_lost_beside_somebody_elses_new_password(world: World) -> None:
    alice, bob = await world.log_in("alice", 1), await world.log_in("bob", 2)
    outcomes = await world.settle(
        command(SetPassword("alice", "new")),
        command(RevokeSession(bob, world.users["bob"])),
        command(RevokeSession(alice, world.users["alice"])),
    )
    assert [said(each) for each in outcomes] == ["done", "done", "done"]
    assert await open_logins(world, "bob") == []
    assert await open_logins(world, "alice") == []


async def test_marks_move_forward_only_and_not_beyond_the_end(world: World) -> None:
    group = await world.group("alice", "bob")
    await world.say("alice", group)
    await world.say("alice", group)
    bob = world.users["bob"]

    async def seen(read: int, delivered: int) -> tuple[int, int, bool]:
        assert said(await world.order(MarkSeen(group, bob, read, delivered))) == "done"
        assert world.book is not None
        told = [item for item in world.book.outflow if isinstance(item, Marked)]
        found = await world.store.members(bob, group, "", 9)
        assert found is not None
        member = next(each for each in found[0] if each.user.id == bob)
        if told:
            assert (told[0].read, told[0].delivered, told[0].user) == (member.read, member.delivered, bob)
        return member.read, member.delivered, bool(told)

    assert await seen(0, 1) == (0, 1, True)
    assert await seen(0, 1) == (0, 1, False)
    assert await seen(2, 0) == (2, 2, True), "what is read was delivered"
    assert await seen(1, 1) == (2, 2, False)
    assert await seen(1, 3) == (2, 3, True)
    assert await seen(99, 99) == (3, 3, True)
    assert await seen(10**15, 0) == (3, 3, False)


@pytest.mark.parametrize("place", ["a dm of others", "a group that one left", wire_id("c_", 99)])
async def test_marks_are_for_those_who_are_there(world: World, place: str) -> None:
    await world.register("carol")
    group = await world.group("alice", "carol")
    await world.do("carol", "room.leave", group)
    await world.say("alice", "@bob")
    dm = (await world.store.conversations(world.users["bob"], None, 9))[0][0].conv
    conv = {"a dm of others": dm, "a group that one left": group}.get(place, place)
    assert refusal(await world.order(MarkSeen(conv, world.users["carol"], 1, 1)))[0] == "not_found"


async def test_unread_counts_follow_the_mark_in_a_dm(world: World) -> None:
    await world.say("alice", "@bob")
    await world.say("alice", "@bob")
    bob = world.users["bob"]
    (dm, _), _ = await world.store.conversations(bob, None, 9)
    assert (dm.seq, dm.read) == (2, 0)
    await world.order(MarkSeen(dm.conv, bob, 1, 0))
    (dm, _), _ = await world.store.conversations(bob, None, 9)
    assert (dm.seq, dm.read) == (2, 1)
