"""Who gets what: in the order of the log, one write per batch, and nobody what is not theirs."""

import json

import pytest
from tests.support.node import DM, Node

from tuppence_protocol.limits import RECEIPT_MEMBERS_MAX
from tuppence_server.domain.effects import (
    Balance,
    Joined,
    Left,
    Marked,
    SessionEnded,
    UserEnded,
)
from tuppence_server.hub.broker import Whisper
from tuppence_server.hub.presence import UNACKED_CONVERSATIONS_MAX
from tuppence_server.pipeline.commits import Committed


@pytest.fixture
def node() -> Node:
    return Node()


def test_each_gets_their_own_in_the_order_of_the_log_in_one_write(node: Node) -> None:
    alice, bob, carol = node.enter("alice", "c_g"), node.enter("bob", "c_g"), node.enter("carol")
    node.commit(
        node.event(1, "c_dm", DM), node.event(2, "c_g"), node.event(3, "c_g"),
        node.event(4, "c_dm", DM), node.event(5, "c_own", ("carol",), 1),
    )  # fmt: skip
    assert [len(ear.writes) for ear in (alice, bob, carol)] == [1, 1, 1]
    assert alice.heard() == bob.heard() == [1, 2, 3, 4]
    assert carol.heard() == [5]


def test_who_wrote_into_a_group_is_told_before_the_others(node: Node) -> None:
    told: list[int] = []
    for number in range(20):
        ear = node.enter(f"u{number}", "c_g")
        ear.transmit = lambda _, number=number: told.append(number)  # type: ignore[method-assign, misc]
    node.commit(node.event(1, "c_g", members=20, author="u13"))
    assert told[0] == 13
    assert sorted(told) == list(range(20)), "everybody once"


def test_every_device_of_a_person_gets_the_same(node: Node) -> None:
    phone, laptop = node.enter("alice", "c_g"), node.enter("alice", "c_g")
    node.commit(node.event(1, "c_g"), node.event(2, "c_dm", DM))
    assert phone.heard() == laptop.heard() == [1, 2]
    node.hub.detach(phone, 0)
    node.commit(node.event(3, "c_g"), node.event(4, "c_dm", DM))
    assert phone.heard() == []
    assert laptop.heard() == [3, 4]


def test_membership_counts_from_its_place_in_the_batch(node: Node) -> None:
    bob = node.enter("bob")
    node.commit(
        node.event(1, "c_g"), Joined("c_g", "bob", 1), node.event(2, "c_g"), node.event(3, "c_g"),
        Left("c_g", "bob", 3), node.event(4, "c_g"),
    )  # fmt: skip
    assert bob.heard() == [2, 3]


def test_events_and_the_answer_that_follows_them_are_one_write(node: Node) -> None:
    alice = node.enter("alice")
    node.broker.commit(Committed(1, [node.event(1, "c_dm", DM)], []))
    assert alice.writes == [], "the road answers, and flushes then"
    alice.push_answer(b'{"kind":"error"}\n')
    node.hub.flush()
    assert len(alice.writes) == 1
    assert alice.heard() == [1, "error"]


# Joining


def test_between_arriving_and_the_snapshot_nothing_is_lost_or_doubled(node: Node) -> None:
    alice = node.arrive("alice", ["c_g"])
    node.commit(node.event(1, "c_g"), node.event(2, "c_dm", DM))
    node.commit(node.event(3, "c_g"))
    assert alice.heard() == [], "nothing before the greeting"
    node.hub.admit(alice, 2, ["c_g"], [b'{"kind":"ready"}\n'])
    assert len(alice.writes) == 1
    assert alice.heard() == ["ready", 3]
    node.commit(node.event(4, "c_g"))
    assert alice.heard() == [4]


def test_a_commit_that_the_snapshot_has_seen_is_not_told_again(node: Node) -> None:
    alice = node.arrive("alice", ["c_g"])
    node.hub.admit(alice, 2, ["c_g"], [b'{"kind":"ready"}\n'])
    assert alice.heard() == ["ready"]
    node.commit(node.event(1, "c_g"))
    node.commit(node.event(2, "c_dm", DM))
    assert alice.heard() == [], "read from the log before the hub was told"
    node.commit(node.event(3, "c_g"), node.event(4, "c_dm", DM))
    assert alice.heard() == [3, 4]


@pytest.mark.parametrize("snapshot_at", [1, 2, 3])
def test_who_joins_a_group_while_connecting_gets_all_from_then_on(node: Node, snapshot_at: int) -> None:
    alice = node.arrive("alice")
    node.commit(node.event(1, "c_g"))
    node.commit(Joined("c_g", "alice", 1), node.event(2, "c_g"))
    node.commit(node.event(3, "c_g"))
    node.hub.admit(alice, snapshot_at, ["c_g"] if snapshot_at >= 2 else [], [])
    assert alice.heard() == [pos for pos in (2, 3) if pos > snapshot_at]
    node.commit(node.event(4, "c_g"))
    assert alice.heard() == [4]


@pytest.mark.parametrize("snapshot_at", [0, 1, 2])
def test_who_leaves_a_group_while_connecting_gets_nothing_after(node: Node, snapshot_at: int) -> None:
    alice = node.arrive("alice", ["c_g"])
    node.commit(node.event(1, "c_g"))
    node.commit(node.event(2, "c_g"), Left("c_g", "alice", 2))
    node.commit(node.event(3, "c_g"))
    node.hub.admit(alice, snapshot_at, ["c_g"] if snapshot_at < 2 else [], [])
    assert alice.heard() == [pos for pos in (1, 2) if pos > snapshot_at]
    node.commit(node.event(4, "c_g"))
    assert alice.heard() == []


def test_a_group_that_was_left_before_arriving_leaks_nothing(node: Node) -> None:
    """Who they are was read before they left; the snapshot knows better."""
    alice = node.arrive("alice", ["c_left"])
    node.commit(node.event(8, "c_left"))
    node.hub.admit(alice, 7, [], [])
    node.commit(node.event(9, "c_left"))
    assert alice.heard() == []


def test_a_group_that_was_joined_before_arriving_is_not_missed(node: Node) -> None:
    alice = node.arrive("alice", [])
    node.hub.admit(alice, 7, ["c_new"], [])
    node.commit(node.event(8, "c_new"))
    assert alice.heard() == [8]


# Presence, receipts, balances, endings


def test_who_is_watched_comes_and_goes_after_a_grace(node: Node) -> None:
    hub, watcher = node.hub, node.enter("alice")
    hub.people.watch(watcher, frozenset({"bob"}))
    hub.show(watcher, ["bob"])
    hub.flush()
    assert json.loads(watcher.writes.pop())["body"] == {"user": "bob", "online": False, "last_seen": None}
    bob = node.enter("bob")
    assert watcher.heard() == ["live.presence"]
    again = node.enter("bob")
    assert hub.detach(bob, 5) is None, "another device is still there"
    person = hub.detach(again, 7)
    assert person is not None
    assert watcher.heard() == []
    back = node.enter("bob")
    hub.gone(person)
    hub.flush()
    assert watcher.heard() == [], "back within the grace: nobody noticed"
    person = hub.detach(back, 9)
    assert person is not None
    hub.gone(person)
    hub.flush()
    assert json.loads(watcher.writes[0])["body"] == {"user": "bob", "online": False, "last_seen": 9}
    watcher.writes.clear()
    assert hub.people.get("bob") is None
    hub.people.watch(watcher, frozenset())
    node.enter("bob")
    assert watcher.heard() == []


def test_typing_is_heard_by_the_others_alone(node: Node) -> None:
    alice, bob, carol = (node.enter(who, "c_g") for who in ("alice", "bob", "carol"))
    node.broker.whisper(Whisper("c_g", None, "alice", b'{"kind":"live.typing"}'))
    assert [ear.heard() for ear in (alice, bob, carol)] == [[], ["live.typing"], ["live.typing"]]
    node.broker.whisper(Whisper("c_dm", DM, "bob", b'{"kind":"live.typing"}'))
    assert [ear.heard() for ear in (alice, bob, carol)] == [["live.typing"], [], []]


@pytest.mark.parametrize(("members", "told"), [(RECEIPT_MEMBERS_MAX, 1), (RECEIPT_MEMBERS_MAX + 1, 0)])
def test_read_marks_are_broadcast_in_rooms_of_a_size(node: Node, members: int, told: int) -> None:
    alice = node.enter("alice", "c_g")
    node.commit(Marked("c_g", None, members, "bob", 3, 4))
    assert alice.heard() == ["live.receipt"] * told


def test_a_balance_is_told_to_its_owner(node: Node) -> None:
    alice, bob = node.enter("alice"), node.enter("bob")
    node.commit(balances=[Balance("alice", "EUR", 1_250, 5, 7), Balance("nobody", "EUR", 1, 0, 7)])
    body = json.loads(alice.writes[0])["body"]
    assert body == {"currency": "EUR", "available": "12.50", "held": "0.05", "pos": 7}
    assert bob.heard() == []


def test_what_a_ping_acknowledges_is_known_to_have_arrived(node: Node) -> None:
    bob = node.enter("bob", "c_g", "c_big")
    node.commit(
        node.event(1, "c_g"), node.event(2, "c_g"), node.event(3, "c_dm", DM),
        node.event(4, "c_big", members=RECEIPT_MEMBERS_MAX + 1),
    )  # fmt: skip
    assert bob.person is not None
    assert bob.person.acknowledge(1) == []
    assert bob.person.acknowledge(2) == [("c_g", 2)]
    assert bob.person.acknowledge(99) == [("c_dm", 1)], "big rooms keep no notes"
    assert bob.person.acknowledge(99) == []
    for number in range(UNACKED_CONVERSATIONS_MAX + 5):
        bob.person.note(f"c_{number}", number, 1)
    assert len(bob.person.acknowledge(10**9)) == UNACKED_CONVERSATIONS_MAX


def test_endings_reach_the_right_connections(node: Node) -> None:
    phone, laptop, bob = node.enter("alice"), node.enter("alice"), node.enter("bob")
    phone.session_id, laptop.session_id, bob.session_id = "s_1", "s_2", "s_1"
    node.commit(SessionEnded("alice", "s_1"))
    assert [each.closed for each in (phone, laptop, bob)] == [["bad_token"], [], []]
    node.commit(UserEnded("alice", disabled=True), UserEnded("bob", disabled=False))
    assert phone.closed[1:] == laptop.closed == ["account_disabled"]
    assert bob.closed == ["bad_token"]
