"""A slow reader costs itself: first its live frames, then its connection, never our memory."""

import json

import pytest
from tests.support.node import DM, FakeConnection, Node
from tests.support.waiting import seeded

from tuppence_protocol.money import parse_amount
from tuppence_server.domain.effects import Balance
from tuppence_server.hub.broker import Whisper
from tuppence_server.hub.outbox import OUTBOX_BYTES_MAX


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_slow_reader_loses_live_frames_and_keeps_events(node: Node) -> None:
    alice = node.enter("alice")
    alice.pause_writing()
    node.broker.whisper(Whisper("c_dm", DM, "bob", b'{"kind":"live.typing"}'))
    node.commit(node.event(1, "c_dm", DM), balances=[Balance("alice", "EUR", 1, 0, 1)])
    node.commit(node.event(2, "c_dm", DM))
    assert alice.writes == []
    alice.resume_writing()
    assert alice.heard() == [1, 2, "live.balance"], "but the balance, which would stay wrong"
    assert alice.backlog_bytes == 0
    node.commit(node.event(3, "c_dm", DM), balances=[Balance("alice", "EUR", 1, 0, 3)])
    assert alice.heard() == [3, "live.balance"]


def test_a_reader_that_stops_again_keeps_the_rest_in_order(node: Node) -> None:
    alice = node.enter("alice")
    alice.pause_writing()
    for pos in (1, 2, 3):
        node.commit(node.event(pos, "c_dm", DM))
    write = alice.transmit

    def one_and_stop(data: bytes) -> None:
        write(data)
        alice.pause_writing()

    alice.transmit = one_and_stop  # type: ignore[method-assign]
    for pos in (1, 2, 3):
        alice.resume_writing()
        assert alice.heard() == [pos]


def test_a_reader_that_does_not_come_back_ends_once_with_bounded_memory(node: Node) -> None:
    alice = node.enter("alice")
    alice.pause_writing()
    line = b'{"kind":"x"}'.ljust(4_095) + b"\n"
    for _ in range(OUTBOX_BYTES_MAX // len(line)):
        alice.push("c_dm", 1, line)
        node.hub.flush()
    assert (alice.closed, alice.backlog_bytes) == ([], OUTBOX_BYTES_MAX)
    alice.push("c_dm", 1, line)
    node.hub.flush()
    assert (alice.closed, alice.backlog_bytes, alice.backlog) == (["slow_consumer"], 0, None)
    assert alice.writes == []


def test_whoever_joins_or_falls_behind_hears_the_last_of_everything_that_has_only_a_present() -> None:
    """Random comings, stops and commits: once nothing moves, the last that was heard is how things stand."""
    random = seeded()
    for _ in range(200):
        node, pos = Node(), 0
        alice = node.enter("alice")
        balances: dict[str, tuple[int, int]] = {}
        heard: dict[str, tuple[int, int]] = {}
        online: dict[str, bool] = {}
        node.hub.people.watch(alice, frozenset({"bob", "carol"}))
        node.hub.show(alice, ["bob", "carol"])
        node.hub.flush()
        others: dict[str, FakeConnection] = {}
        snapshot: tuple[int, dict[str, tuple[int, int]]] | None = None
        for _ in range(random.randrange(2, 30)):
            act = random.randrange(6)
            if act == 0:
                alice.pause_writing()
            elif act == 1:
                alice.resume_writing()
            elif act == 2:
                currency, pos = random.choice(["EUR", "JPY", "KWD"]), pos + 1
                balances[currency] = (random.randrange(10**6), pos)
                told = Balance("alice", currency, balances[currency][0], 0, pos)
                node.commit(node.event(pos, "c_dm", DM), balances=[told])
            elif act == 3:
                who = random.choice(["bob", "carol"])
                ear = others.pop(who, None)
                if ear is None:
                    others[who] = node.enter(who)
                elif (person := node.hub.detach(ear, 1)) is not None:
                    node.hub.gone(person)
                    node.hub.flush()
            elif act == 4 and snapshot is None and not alice.paused:
                _listen(alice, heard, online)
                node.hub.detach(alice, 1)
                alice = node.arrive("alice")
                snapshot = (pos, dict(balances))
            elif act == 5 and snapshot is not None:
                heard = dict(snapshot[1])
                node.hub.admit(alice, snapshot[0], [], [])
                node.hub.people.watch(alice, frozenset({"bob", "carol"}))
                node.hub.show(alice, ["bob", "carol"])
                node.hub.flush()
                snapshot = None
        if snapshot is not None:
            heard = dict(snapshot[1])
            node.hub.admit(alice, snapshot[0], [], [])
            node.hub.people.watch(alice, frozenset({"bob", "carol"}))
            node.hub.show(alice, ["bob", "carol"])
            node.hub.flush()
        alice.resume_writing()
        _listen(alice, heard, online)
        assert heard == balances
        assert {who for who, there in online.items() if there} == set(others)


def _listen(ear: FakeConnection, heard: dict[str, tuple[int, int]], online: dict[str, bool]) -> None:
    """Take in all that was written, as a client does."""
    for line in (json.loads(line) for data in ear.writes for line in data.splitlines()):
        body = line["body"]
        if line["kind"] == "live.balance":
            minor = parse_amount(body["available"], body["currency"])
            assert isinstance(minor, int)
            assert body["pos"] >= heard.get(body["currency"], (0, 0))[1], "a balance never goes back"
            heard[body["currency"]] = (minor, body["pos"])
        elif line["kind"] == "live.presence":
            online[body["user"]] = body["online"]
    ear.writes.clear()
