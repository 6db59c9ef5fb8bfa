"""A commit is plain data: what stands behind a network tells people the same as what stands in the
process."""

import msgspec
from tests.contract.stores import Counted, command, event_id, frame, head_of, wire_id
from tests.support.memory_store.store import MemoryStore
from tests.support.node import FakeConnection, Node
from tests.support.road import IDS, PEOPLE, deposit, pay, refund, road_on, texts, word

from tuppence_server.domain.commands import DisableUser, MarkSeen, OpenSession, RevokeSession
from tuppence_server.domain.effects import Joined, Left, Marked, Publish, SessionEnded, UserEnded
from tuppence_server.domain.request import Request
from tuppence_server.hub.broker import Listener
from tuppence_server.pipeline.commits import Committed

ALICE, BOB, CAROL = (IDS[who] for who in PEOPLE)
SESSION = wire_id("s_", 1)


class ByteBroker:
    """Carries each commit as bytes, as one between machines does."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Committed)
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def commit(self, commit: Committed) -> None:
        data = self._encoder.encode(commit)
        for listener in self._listeners:
            listener.committed(self._decoder.decode(data))


async def busy() -> list[Committed]:
    """All that is told of a run in which everything comes about that a commit can tell."""
    fresh = Counted()
    async with road_on(MemoryStore("e_first"), fresh) as road:

        async def done(*requests: Request) -> None:
            assert {word(each) for each in await road.at_once(requests)} <= {"stored", "done"}

        login = OpenSession(SESSION, ALICE, "token", "phone", road.at_ms + 10**6, None)
        await done(deposit(1, "alice", "9"), command(login), *texts(20))
        body = {"title": "Club", "members": ["@bob"]}
        conv = head_of(await road.ask(frame(ALICE, "room.create", None, event_id(2), None, **body)))["conv"]
        await done(pay(3, "alice", "bob", "2"), frame(BOB, "chat.text", conv, event_id(4), None, text="Hi"))
        await done(
            frame(ALICE, "room.invite", conv, event_id(5), None, users=["@carol"]),
            frame(CAROL, "chat.text", conv, event_id(6), None, text="Thanks"),
            Request(MarkSeen(conv, BOB, 2, 3), BOB),
            refund(7, "bob", "alice", 3, amount="1"),
            frame(ALICE, "room.remove", conv, event_id(8), None, user="@carol"),
        )
        await done(command(RevokeSession(SESSION, ALICE)), command(DisableUser("bob", disabled=True)))
        return road.commits


def connected(node: Node) -> list[FakeConnection]:
    connections = [node.enter(IDS[who]) for who in PEOPLE for _ in range(2)]
    connections[0].session_id = SESSION
    return connections


async def test_a_broker_that_carries_bytes_tells_everybody_the_same() -> None:
    commits = await busy()
    kinds = {type(item) for commit in commits for item in commit.outflow}
    assert kinds == {Publish, Joined, Left, Marked, SessionEnded, UserEnded}
    assert any(commit.balances for commit in commits)
    here, there = Node(), Node()
    wire = ByteBroker()
    wire.listen(there.hub)
    near, far = connected(here), connected(there)
    for commit in commits:
        here.commit(*commit.outflow, balances=commit.balances)
        wire.commit(commit)
        there.hub.flush()
    assert [each.writes for each in near] == [each.writes for each in far]
    assert all(each.writes for each in near), "and everybody was told something"
    assert [each.closed for each in near] == [each.closed for each in far]
    assert near[0].closed == ["bad_token"]
    assert near[2].closed == near[3].closed == ["account_disabled", "bad_token"]
