"""Who gets what: in the order of the log, one write per batch, and nobody what is not theirs."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tuppence_protocol.errors import CLOSES, CloseCode, Refusal
from tuppence_protocol.frames import ChatText, TextBody
from tuppence_protocol.limits import RECEIPT_MEMBERS_MAX
from tuppence_server.domain.effects import (
    Balance,
    Joined,
    Left,
    Marked,
    Outflow,
    Publish,
    SessionEnded,
    Stored,
    UserEnded,
)
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import LoggedEvent
from tuppence_server.hub.broker import LocalBroker, Whisper
from tuppence_server.hub.hub import Hub
from tuppence_server.hub.outbox import Outbox
from tuppence_server.hub.presence import UNACKED_CONVERSATIONS_MAX
from tuppence_server.pipeline.commits import Committed
from tuppence_server.telemetry.metrics import Metrics

DM = ("alice", "bob")


class Ear(Outbox):
    """A connection that remembers every write."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.touched)
        self.writes: list[bytes] = []
        self.overflows = 0

    def transmit(self, data: bytes) -> None:
        self.writes.append(data)

    def overflow(self) -> None:
        self.overflows += 1

    def heard(self) -> list[Any]:
        """All that was written, read again; live frames by their kind."""
        lines = [json.loads(line) for data in self.writes for line in data.splitlines()]
        self.writes.clear()
        return [line.get("pos", line["kind"]) for line in lines]


class House:
    """A hub with its doors."""

    def __init__(self) -> None:
        self.ended: list[tuple[Outbox, str]] = []
        self.hub = Hub(lambda text: text + b"\n", self._end, Metrics())
        self.broker = LocalBroker()
        self.broker.listen(self.hub)
        self.seqs: dict[str, int] = {}

    def _end(self, outbox: Outbox, code: CloseCode) -> None:
        self.ended.append((outbox, code.name))

    def arrive(self, user: str, groups: Sequence[str] = ()) -> Ear:
        """A connection that is not yet told anything."""
        ear = Ear(self.hub)
        self.hub.attach(ear, user, user, groups)
        return ear

    def enter(self, user: str, *groups: str, pos: int = 0) -> Ear:
        """A connection that has had its snapshot."""
        ear = self.arrive(user, groups)
        self.hub.admit(ear, pos, groups, [])
        ear.writes.clear()
        return ear

    def event(self, pos: int, conv: str, people: tuple[str, ...] | None = None, members: int = 3) -> Publish:
        seq = self.seqs[conv] = self.seqs.get(conv, 0) + 1
        head = json.dumps({"kind": "chat.text", "conv": conv, "seq": seq, "pos": pos}).encode()
        return Publish(LoggedEvent(pos, conv, seq, head, b"{}", b"", b""), people, members)

    def commit(self, *flow: Outflow, balances: Sequence[Balance] = ()) -> None:
        self.broker.commit(Committed(0, list(flow), list(balances), []))


@pytest.fixture
def house() -> House:
    return House()


def test_each_gets_their_own_in_the_order_of_the_log_in_one_write(house: House) -> None:
    alice, bob, carol = house.enter("alice", "c_g"), house.enter("bob", "c_g"), house.enter("carol")
    house.commit(
        house.event(1, "c_dm", DM), house.event(2, "c_g"), house.event(3, "c_g"),
        house.event(4, "c_dm", DM), house.event(5, "c_own", ("carol",), 1),
    )  # fmt: skip
    assert [len(ear.writes) for ear in (alice, bob, carol)] == [1, 1, 1]
    assert alice.heard() == bob.heard() == [1, 2, 3, 4]
    assert carol.heard() == [5]


def test_who_wrote_into_a_group_is_told_before_the_others(house: House) -> None:
    told: list[int] = []
    for number in range(20):
        ear = house.enter(f"u{number}", "c_g")
        ear.transmit = lambda _, number=number: told.append(number)  # type: ignore[method-assign, misc]
    author = Request(ChatText(id="", conv="c_g", body=TextBody(text="me first")), "u13")
    event = house.event(1, "c_g", members=20)
    house.hub.committed(Committed(1, [event], [], [(author, lambda *_: None, Stored(event.event))]))
    assert told[0] == 13
    assert sorted(told) == list(range(20)), "everybody once"


def test_every_device_of_a_person_gets_the_same(house: House) -> None:
    phone, laptop = house.enter("alice", "c_g"), house.enter("alice", "c_g")
    house.commit(house.event(1, "c_g"), house.event(2, "c_dm", DM))
    assert phone.heard() == laptop.heard() == [1, 2]
    house.hub.detach(phone, 0)
    house.commit(house.event(3, "c_g"), house.event(4, "c_dm", DM))
    assert phone.heard() == []
    assert laptop.heard() == [3, 4]


def test_membership_counts_from_its_place_in_the_batch(house: House) -> None:
    bob = house.enter("bob")
    house.commit(
        house.event(1, "c_g"), Joined("c_g", "bob", 1), house.event(2, "c_g"), house.event(3, "c_g"),
        Left("c_g", "bob", 3), house.event(4, "c_g"),
    )  # fmt: skip
    assert bob.heard() == [2, 3]


def test_outcomes_are_told_after_the_events(house: House) -> None:
    alice = house.enter("alice")
    refusal = Refusal("expired", "Too late.")
    seen: list[Any] = []

    def sink(_request: Any, outcome: Any) -> None:
        seen.append(outcome)
        alice.push_answer(b'{"kind":"error"}\n')

    request: Any = None
    flow: list[Outflow] = [house.event(1, "c_dm", DM)]
    house.hub.committed(Committed(1, flow, [], [(request, sink, refusal)]))
    assert seen == [refusal]
    assert len(alice.writes) == 1
    assert alice.heard() == [1, "error"]


# Joining


def test_between_arriving_and_the_snapshot_nothing_is_lost_or_doubled(house: House) -> None:
    alice = house.arrive("alice", ["c_g"])
    house.commit(house.event(1, "c_g"), house.event(2, "c_dm", DM))
    house.commit(house.event(3, "c_g"))
    assert alice.heard() == [], "nothing before the greeting"
    house.hub.admit(alice, 2, ["c_g"], [b'{"kind":"ready"}\n'])
    assert len(alice.writes) == 1
    assert alice.heard() == ["ready", 3]
    house.commit(house.event(4, "c_g"))
    assert alice.heard() == [4]


def test_a_commit_that_the_snapshot_has_seen_is_not_told_again(house: House) -> None:
    alice = house.arrive("alice", ["c_g"])
    house.hub.admit(alice, 2, ["c_g"], [b'{"kind":"ready"}\n'])
    assert alice.heard() == ["ready"]
    house.commit(house.event(1, "c_g"))
    house.commit(house.event(2, "c_dm", DM))
    assert alice.heard() == [], "read from the log before the hub was told"
    house.commit(house.event(3, "c_g"), house.event(4, "c_dm", DM))
    assert alice.heard() == [3, 4]


@pytest.mark.parametrize("snapshot_at", [1, 2, 3])
def test_who_joins_a_group_while_connecting_gets_all_from_then_on(house: House, snapshot_at: int) -> None:
    alice = house.arrive("alice")
    house.commit(house.event(1, "c_g"))
    house.commit(Joined("c_g", "alice", 1), house.event(2, "c_g"))
    house.commit(house.event(3, "c_g"))
    house.hub.admit(alice, snapshot_at, ["c_g"] if snapshot_at >= 2 else [], [])
    assert alice.heard() == [pos for pos in (2, 3) if pos > snapshot_at]
    house.commit(house.event(4, "c_g"))
    assert alice.heard() == [4]


@pytest.mark.parametrize("snapshot_at", [0, 1, 2])
def test_who_leaves_a_group_while_connecting_gets_nothing_after(house: House, snapshot_at: int) -> None:
    alice = house.arrive("alice", ["c_g"])
    house.commit(house.event(1, "c_g"))
    house.commit(house.event(2, "c_g"), Left("c_g", "alice", 2))
    house.commit(house.event(3, "c_g"))
    house.hub.admit(alice, snapshot_at, ["c_g"] if snapshot_at < 2 else [], [])
    assert alice.heard() == [pos for pos in (1, 2) if pos > snapshot_at]
    house.commit(house.event(4, "c_g"))
    assert alice.heard() == []


def test_a_group_that_was_left_before_arriving_leaks_nothing(house: House) -> None:
    """Who they are was read before they left; the snapshot knows better."""
    alice = house.arrive("alice", ["c_left"])
    house.commit(house.event(8, "c_left"))
    house.hub.admit(alice, 7, [], [])
    house.commit(house.event(9, "c_left"))
    assert alice.heard() == []


def test_a_group_that_was_joined_before_arriving_is_not_missed(house: House) -> None:
    alice = house.arrive("alice", [])
    house.hub.admit(alice, 7, ["c_new"], [])
    house.commit(house.event(8, "c_new"))
    assert alice.heard() == [8]


# Presence, receipts, balances, endings


def test_who_is_watched_comes_and_goes_after_a_grace(house: House) -> None:
    hub, watcher = house.hub, house.enter("alice")
    hub.people.watch(watcher, frozenset({"bob"}))
    hub.show(watcher, ["bob"])
    hub.flush()
    assert json.loads(watcher.writes.pop())["body"] == {"user": "bob", "online": False, "last_seen": None}
    bob = house.enter("bob")
    assert watcher.heard() == ["live.presence"]
    again = house.enter("bob")
    assert hub.detach(bob, 5) is None, "another device is still there"
    person = hub.detach(again, 7)
    assert person is not None
    assert watcher.heard() == []
    back = house.enter("bob")
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
    house.enter("bob")
    assert watcher.heard() == []


def test_typing_is_heard_by_the_others_alone(house: House) -> None:
    alice, bob, carol = (house.enter(who, "c_g") for who in ("alice", "bob", "carol"))
    house.broker.whisper(Whisper("c_g", None, "alice", b'{"kind":"live.typing"}'))
    assert [ear.heard() for ear in (alice, bob, carol)] == [[], ["live.typing"], ["live.typing"]]
    house.broker.whisper(Whisper("c_dm", DM, "bob", b'{"kind":"live.typing"}'))
    assert [ear.heard() for ear in (alice, bob, carol)] == [["live.typing"], [], []]


@pytest.mark.parametrize(("members", "told"), [(RECEIPT_MEMBERS_MAX, 1), (RECEIPT_MEMBERS_MAX + 1, 0)])
def test_read_marks_are_broadcast_in_rooms_of_a_size(house: House, members: int, told: int) -> None:
    alice = house.enter("alice", "c_g")
    house.commit(Marked("c_g", None, members, "bob", 3, 4))
    assert alice.heard() == ["live.receipt"] * told


def test_a_balance_is_told_to_its_owner(house: House) -> None:
    alice, bob = house.enter("alice"), house.enter("bob")
    house.commit(balances=[Balance("alice", "EUR", 1_250, 5, 7), Balance("nobody", "EUR", 1, 0, 7)])
    body = json.loads(alice.writes[0])["body"]
    assert body == {"currency": "EUR", "available": "12.50", "held": "0.05", "pos": 7}
    assert bob.heard() == []


def test_what_a_ping_acknowledges_is_known_to_have_arrived(house: House) -> None:
    bob = house.enter("bob", "c_g", "c_big")
    house.commit(
        house.event(1, "c_g"), house.event(2, "c_g"), house.event(3, "c_dm", DM),
        house.event(4, "c_big", members=RECEIPT_MEMBERS_MAX + 1),
    )  # fmt: skip
    assert bob.person is not None
    assert bob.person.acknowledge(1) == []
    assert bob.person.acknowledge(2) == [("c_g", 2)]
    assert bob.person.acknowledge(99) == [("c_dm", 1)], "big rooms keep no notes"
    assert bob.person.acknowledge(99) == []
    for number in range(UNACKED_CONVERSATIONS_MAX + 5):
        bob.person.note(f"c_{number}", number, 1)
    assert len(bob.person.acknowledge(10**9)) == UNACKED_CONVERSATIONS_MAX


def test_endings_reach_the_right_connections(house: House) -> None:
    phone, laptop, bob = house.enter("alice"), house.enter("alice"), house.enter("bob")
    phone.session_id, laptop.session_id, bob.session_id = "s_1", "s_2", "s_1"
    house.commit(SessionEnded("alice", "s_1"))
    assert house.ended == [(phone, "bad_token")]
    house.commit(UserEnded("alice", disabled=True), UserEnded("bob", disabled=False))
    assert house.ended[1:] == [(phone, "account_disabled"), (laptop, "account_disabled"), (bob, "bad_token")]
    assert {name for _, name in house.ended} <= set(CLOSES)
