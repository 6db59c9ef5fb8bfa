"""Presence is told to those who share a conversation, and to nobody else from the moment on when they share
none."""

import asyncio

from tests.support.waiting import seeded, until

ROUNDS = 12


def told(client, user):
    """What a client was told of somebody, in order."""
    notices = [frame["body"] for frame in client.seen(kind="live.presence")]
    return [notice["online"] for notice in notices if notice["user"] == user]


async def watch(client, *users):
    """Say whom one watches, and take in how they stand."""
    before = {user: len(told(client, user)) for user in users}
    await client.send({"kind": "live.watch", "body": {"users": list(users)}})

    async def answered():
        await client.settle()
        return all(len(told(client, user)) > before[user] for user in users)

    await until(answered, "how they stand")


async def test_who_was_removed_hears_no_more_and_is_heard_of_no_more(server):
    alice, bob, carol = await server.people("alice", "bob", "carol")
    a, b = await server.connect(alice), await server.connect(bob)
    room = (await a.submit("room.create", title="x", members=["@bob", "@carol"]))["conv"]
    other = (await a.submit("room.create", title="y", members=["@carol"]))["conv"]
    await watch(a, bob.id, carol.id)
    await watch(b, alice.id, carol.id)
    assert (told(a, bob.id), told(b, alice.id), told(b, carol.id)) == ([True], [True], [False])
    await a.submit("room.remove", room, user="@bob")
    c = await server.connect(carol)
    await until(lambda: heard(a, carol.id, True), "who stays hears of the others")
    await b.settle()
    await b.close()
    again = await server.connect(bob)
    await again.close()
    await c.close()
    await until(lambda: heard(a, carol.id, False), "they went")
    await a.settle()
    assert told(a, bob.id) == [True], "nothing of who was removed"
    assert told(b, carol.id) == [False], "nor to them"
    assert other


async def heard(client, user, online):
    """Whether the last that was told is so."""
    await client.settle()
    return told(client, user)[-1:] == [online]


async def test_who_shares_another_conversation_goes_on_hearing(server):
    alice, bob = await server.people("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob)
    for keep in ("dm", "group"):
        room = (await a.submit("room.create", title="x", members=["@bob"]))["conv"]
        if keep == "dm":
            await a.text("@bob", "hello")
        await watch(a, bob.id)
        await a.submit("room.remove", room, user="@bob")
        await b.close()
        await until(lambda: heard(a, bob.id, False), keep)
        b = await server.connect(bob)
        await until(lambda: heard(a, bob.id, True), keep)


async def test_a_watch_that_races_with_the_removal_is_as_the_removal_says(server):
    random = seeded()
    alice, bob = await server.people("alice", "bob")
    a = await server.connect(alice)
    for _ in range(ROUNDS):
        b = await server.connect(bob)
        room = (await a.submit("room.create", title="x", members=["@bob"]))["conv"]
        await watch(a, bob.id)
        wish = {"kind": "live.watch", "body": {"users": [bob.id]}}
        removing = asyncio.create_task(a.submit("room.remove", room, user="@bob"))
        for _ in range(random.randrange(6)):
            await a.send(wish)
            await asyncio.sleep(0)
        await removing
        await a.settle()
        a.unread.clear()
        await b.close()
        await (await server.connect(bob)).close()
        await a.settle()
        assert told(a, bob.id) == []
