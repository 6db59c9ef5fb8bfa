"""A silent peer is pinged before it is given up, once for each silence, by the wheel's look and no timer."""

from types import SimpleNamespace

import pytest
from tests.support.edge import FakeTransport, opened
from tests.support.wire import PONG, frame_bytes

from tuppence_protocol.limits import SILENCE_MS_MAX, SILENCE_PING_MS
from tuppence_server.edge.connection import Socket
from tuppence_server.edge.unread import Pressure
from tuppence_server.telemetry.metrics import Metrics

PING_FRAME = b"\x89\x00"


class Silence:
    """One ready socket and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pressure = Pressure(most=1_000)
        acceptor = SimpleNamespace(now=lambda: self.now, metrics=Metrics(), pressure=self.pressure)
        hub = SimpleNamespace(touched=[], flush=lambda: None)
        lanes = SimpleNamespace(hub=hub, origins=(), clock_ms=lambda: 0)
        self.socket = opened(Socket(acceptor, lanes))  # type: ignore[arg-type]
        self.wire = self.socket.transport = FakeTransport()  # type: ignore[assignment]
        self.socket.expires_at = 1
        self.socket.session.admitted()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 2
            self.socket.check(self.now)


@pytest.fixture
def silence() -> Silence:
    return Silence()


def test_who_answers_pings_stays_however_long_the_page_sleeps(silence: Silence) -> None:
    for turn in range(1, 20):
        silence.wait(SILENCE_PING_MS / 1_000 + 2)
        assert silence.wire.written == [PING_FRAME] * turn
        silence.socket.data_received(frame_bytes(PONG))
    assert silence.socket.closing_at is None


def test_who_does_not_is_pinged_once_and_closed(silence: Silence) -> None:
    silence.wait(SILENCE_PING_MS / 1_000 - 2)
    assert silence.wire.written == []
    silence.wait(SILENCE_MS_MAX / 1_000 - SILENCE_PING_MS / 1_000 + 6)
    assert silence.wire.written[0] == PING_FRAME
    assert b"no_heartbeat" in silence.wire.written[1]
    assert len(silence.wire.written) == 2


def test_what_waits_for_a_socket_counts_among_what_waits_for_all(silence: Silence) -> None:
    silence.wire.waits = 1_001
    silence.socket.pause_writing()
    silence.wait(2)
    silence.pressure.check(silence.now)
    assert silence.wire.aborted
