"""Coming back: a snapshot tells how things stand, and everything that was missed, in order,
or that it cannot."""

import json

from tests.contract.stores import EPOCH, World, head_of

from tuppence_protocol.limits import RESUME_EVENTS_MAX
from tuppence_server.domain.commands import DisableUser, RevokeSession, SetPassword
from tuppence_server.store.contract import Cursor, Funds, Snapshot


async def pos(world: World) -> int:
    return (await world.store.head()).pos


async def snapshot(world: World, who: str, cursor: int | None, session: str = "s_none") -> Snapshot:
    at = None if cursor is None else Cursor(EPOCH, cursor)
    return await world.store.snapshot(world.users[who], session, at)


async def missed(world: World, who: str, cursor: int) -> list[int]:
    """The places in the log that a resume brings; each with the event that is there."""
    found = (await snapshot(world, who, cursor)).missed
    assert found is not None
    for each in found:
        assert json.loads(each.wire)["pos"] == each.pos
    return [each.pos for each in found]


async def test_a_first_visit_sees_how_things_stand(world: World) -> None:
    group = await world.group("bob", "alice")
    await world.credit("bob", "3")
    await world.pay("bob", "@alice", "3")
    found = await snapshot(world, "alice", None)
    assert (found.epoch, found.pos, found.why, found.missed) == (EPOCH, 3, "first", None)
    assert [view.kind for view in found.conversations] == ["dm", "group", "self"]
    assert found.groups == [group]
    assert found.funds == [Funds("EUR", 300, 0)]


async def test_a_cursor_of_another_log_or_from_the_future_is_of_no_use(world: World) -> None:
    await world.say("bob", "@alice")
    alice = world.users["alice"]
    other = await world.store.snapshot(alice, "s_none", Cursor("e_other", 0))
    assert (other.why, other.missed) == ("epoch", None)
    ahead = await snapshot(world, "alice", 2)
    assert (ahead.why, ahead.missed) == ("epoch", None)
    same = await snapshot(world, "alice", 1)
    assert (same.why, same.missed) == (None, [])


async def test_what_was_missed_comes_once_and_in_order(world: World) -> None:
    group = await world.group("alice", "bob")
    for who, place in (
        ("alice", "@bob"), ("bob", group), ("carol", "@alice"), ("alice", "self"), ("bob", "@carol"),
        ("bob", "self"), ("carol", "@bob"), ("alice", group), ("bob", "@alice"),
    ):  # fmt: skip
        await world.say(who, place)
    alice = [1, 2, 3, 4, 5, 9, 10]
    bob = [1, 2, 3, 6, 7, 8, 9, 10]
    for cursor in range(11):
        assert await missed(world, "alice", cursor) == [at for at in alice if at > cursor]
        assert await missed(world, "bob", cursor) == [at for at in bob if at > cursor]


async def test_many_lines_of_one_batch_are_all_missed(world: World) -> None:
    await world.settle(*[world.frame("bob", "chat.text", "@alice", text=f"{n}") for n in range(30)])
    await world.settle(*[world.frame("bob", "chat.text", "self", text=f"{n}") for n in range(30)])
    assert await missed(world, "alice", 0) == list(range(1, 31))
    assert await missed(world, "alice", 12) == list(range(13, 31))
    assert await missed(world, "alice", 45) == []


async def test_who_left_meanwhile_gets_everything_up_to_the_leaving(world: World) -> None:
    group = await world.group("alice", "bob")
    start = await pos(world)
    await world.say("alice", group, "still here")
    left = head_of(await world.do("alice", "room.remove", group, user="@bob"))["pos"]
    await world.say("alice", group, "without bob")
    await world.say("alice", group, "without bob")
    assert await missed(world, "bob", start) == [start + 1, left]
    assert await missed(world, "bob", left) == []
    assert (await snapshot(world, "bob", start)).groups == []


async def test_who_was_brought_in_meanwhile_gets_the_invitation_and_what_follows(world: World) -> None:
    group = await world.group("alice", "bob")
    await world.say("alice", group, "before carol")
    invited = head_of(await world.do("alice", "room.invite", group, users=["@carol"]))["pos"]
    await world.say("bob", group, "with carol")
    assert await missed(world, "carol", 0) == [invited, invited + 1]
    assert (await snapshot(world, "carol", 0)).groups == [group]


async def test_who_left_and_came_back_does_not_get_what_was_said_between(world: World) -> None:
    group = await world.group("alice", "bob")
    start = await pos(world)
    left = head_of(await world.do("bob", "room.leave", group))["pos"]
    await world.say("alice", group, "about bob")
    back = head_of(await world.do("alice", "room.invite", group, users=["@bob"]))["pos"]
    await world.say("alice", group, "welcome")
    for cursor in (left, left + 1):
        assert await missed(world, "bob", cursor) == [back, back + 1]
    assert (await snapshot(world, "bob", left)).groups == [group]
    before = await snapshot(world, "bob", start)
    assert (before.missed, before.why) == (None, "too_far"), "the end of the first stay cannot be replayed"


async def test_beyond_the_bound_there_is_no_replay_rather_than_half_of_one(world: World) -> None:
    half = RESUME_EVENTS_MAX // 2
    for place in ("@alice", "@carol", "self"):
        await world.say("bob", place)
    start = await pos(world)
    for place, count in (("self", 9), ("@alice", half), ("@carol", 9), ("@alice", half)):
        await world.settle(*[world.frame("bob", "chat.text", place, text="x") for _ in range(count)])
    found = await snapshot(world, "alice", start)
    assert found.why is None
    assert found.missed is not None
    assert len(found.missed) == RESUME_EVENTS_MAX
    assert [each.pos for each in found.missed] == sorted(each.pos for each in found.missed)
    await world.say("carol", "@alice")
    for cursor in (start, 0):
        too_far = await snapshot(world, "alice", cursor)
        assert (too_far.why, too_far.missed) == ("too_far", None)
        assert too_far.pos == await pos(world)
    near = await snapshot(world, "alice", start + 10)
    assert near.missed is not None
    assert len(near.missed) == RESUME_EVENTS_MAX, "one from the start was had; one came since"


async def test_a_token_leads_to_its_person_and_groups(world: World) -> None:
    group = await world.group("bob", "alice")
    gone = await world.group("bob", "alice")
    await world.do("alice", "room.leave", gone)
    await world.say("alice", "@carol")
    session = await world.log_in("alice", 7)
    found = await world.store.identify("token 7")
    assert found is not None
    assert (found.user.handle, found.session.id) == ("alice", session)
    assert await world.store.groups(found.user.id) == [group]
    assert found.session.revoked_at is None
    assert await world.store.identify("token 8") is None
    await world.order(RevokeSession(session, world.users["alice"]))
    ended = await world.store.identify("token 7")
    assert ended is not None, "a revoked token is still known, so that the close code can say so"
    assert ended.session.revoked_at == world.now


async def test_a_snapshot_knows_whether_the_login_still_holds(world: World) -> None:
    first, second = await world.log_in("alice", 1), await world.log_in("alice", 2)
    third = await world.log_in("bob", 3)
    assert (await snapshot(world, "alice", None, first)).alive
    assert not (await snapshot(world, "alice", None, "s_none")).alive
    await world.order(RevokeSession(first, world.users["alice"]))
    assert not (await snapshot(world, "alice", None, first)).alive
    assert (await snapshot(world, "alice", None, second)).alive
    await world.order(SetPassword("alice", "new hash"))
    assert not (await snapshot(world, "alice", None, second)).alive
    await world.order(DisableUser("bob", True))
    assert not (await snapshot(world, "bob", 0, third)).alive


async def test_nobody_is_alive_with_the_session_of_another(world: World) -> None:
    session = await world.log_in("alice", 1)
    assert not (await snapshot(world, "bob", None, session)).alive
