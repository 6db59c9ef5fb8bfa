"""A slow reader costs itself: first its live frames, then its connection, never our memory."""

import json
from functools import partial

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


class Follower:
    """Alice at random: coming, stopping, reading; what she was told last, and what is so."""

    def __init__(self) -> None:
        self.node, self.pos = Node(), 0
        self.balances: dict[str, tuple[int, int]] = {}
        self.told: dict[str, tuple[int, int]] = {}
        self.online: dict[str, bool] = {}
        self.others: dict[str, FakeConnection] = {}
        self.snapshot: tuple[int, dict[str, tuple[int, int]]] | None = None
        self.alice = self.node.enter("alice")
        self._watch()

    def _watch(self) -> None:
        self.node.hub.people.watch(self.alice, frozenset({"bob", "carol"}))
        self.node.hub.show(self.alice, ["bob", "carol"])
        self.node.hub.flush()

    def pay(self, currency: str, minor: int) -> None:
        self.pos += 1
        self.balances[currency] = (minor, self.pos)
        told = Balance("alice", currency, minor, 0, self.pos)
        self.node.commit(self.node.event(self.pos, "c_dm", DM), balances=[told])

    def come_or_go(self, who: str) -> None:
        there = self.others.pop(who, None)
        if there is None:
            self.others[who] = self.node.enter(who)
        elif (person := self.node.hub.detach(there, 1)) is not None:
            self.node.hub.gone(person)
            self.node.hub.flush()

    def connect_anew(self) -> None:
        if self.snapshot is None and not self.alice.paused:
            self.listen()
            self.node.hub.detach(self.alice, 1)
            self.alice = self.node.arrive("alice")
            self.snapshot = (self.pos, dict(self.balances))

    def be_admitted(self) -> None:
        if self.snapshot is not None:
            pos, self.told = self.snapshot
            self.snapshot = None
            self.node.hub.admit(self.alice, pos, [], [])
            self._watch()

    def listen(self) -> None:
        """Take in all that was written, as a client does."""
        for line in (json.loads(line) for data in self.alice.writes for line in data.splitlines()):
            body = line["body"]
            if line["kind"] == "live.balance":
                minor = parse_amount(body["available"], body["currency"])
                assert isinstance(minor, int)
                assert body["pos"] >= self.told.get(body["currency"], (0, 0))[1], "a balance never goes back"
                self.told[body["currency"]] = (minor, body["pos"])
            elif line["kind"] == "live.presence":
                self.online[body["user"]] = body["online"]
        self.alice.writes.clear()


def test_whoever_joins_or_falls_behind_hears_the_last_of_all_that_has_only_a_present() -> None:
    """Random comings, stops and commits: once nothing moves, the last that was heard is how things stand."""
    random = seeded()
    for _ in range(200):
        at = Follower()
        for _ in range(random.randrange(2, 30)):
            currency, who = random.choice(["EUR", "JPY", "KWD"]), random.choice(["bob", "carol"])
            acts = (
                at.alice.pause_writing,
                at.alice.resume_writing,
                partial(at.pay, currency, random.randrange(10**6)),
                partial(at.come_or_go, who),
                at.connect_anew,
                at.be_admitted,
            )
            random.choice(acts)()
        at.be_admitted()
        at.alice.resume_writing()
        at.listen()
        assert at.told == at.balances
        assert {who for who, there in at.online.items() if there} == set(at.others)
