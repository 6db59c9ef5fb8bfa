"""A slow reader costs itself: first its live frames, then its connection, never our memory."""

import pytest
from tests.unit.test_hub import DM, House

from tuppence_server.domain.outflow import Balance
from tuppence_server.hub.broker import Whisper
from tuppence_server.hub.outbox import OUTBOX_BYTES_MAX


@pytest.fixture
def house() -> House:
    return House()


def test_a_slow_reader_loses_live_frames_and_keeps_events(house: House) -> None:
    alice = house.enter("alice")
    alice.pause_writing()
    house.broker.whisper(Whisper("c_dm", DM, "bob", b'{"kind":"live.typing"}'))
    house.commit(house.event(1, "c_dm", DM), balances=[Balance("alice", "EUR", 1, 0, 1)])
    house.commit(house.event(2, "c_dm", DM))
    assert alice.writes == []
    alice.resume_writing()
    assert alice.heard() == [1, 2]
    assert alice.backlog_bytes == 0
    house.commit(house.event(3, "c_dm", DM), balances=[Balance("alice", "EUR", 1, 0, 3)])
    assert alice.heard() == [3, "live.balance"]


def test_a_reader_that_stops_again_keeps_the_rest_in_order(house: House) -> None:
    alice = house.enter("alice")
    alice.pause_writing()
    for pos in (1, 2, 3):
        house.commit(house.event(pos, "c_dm", DM))
    write = alice.transmit

    def one_and_stop(data: bytes) -> None:
        write(data)
        alice.pause_writing()

    alice.transmit = one_and_stop  # type: ignore[method-assign]
    for pos in (1, 2, 3):
        alice.resume_writing()
        assert alice.heard() == [pos]


def test_a_reader_that_does_not_come_back_ends_once_with_bounded_memory(house: House) -> None:
    alice = house.enter("alice")
    alice.pause_writing()
    line = b'{"kind":"x"}'.ljust(4_095) + b"\n"
    for _ in range(OUTBOX_BYTES_MAX // len(line)):
        alice.push("c_dm", 1, line)
        house.hub.flush()
    assert (alice.overflows, alice.backlog_bytes) == (0, OUTBOX_BYTES_MAX)
    alice.push("c_dm", 1, line)
    house.hub.flush()
    assert (alice.overflows, alice.backlog_bytes, alice.backlog) == (1, 0, None)
    assert alice.writes == []
