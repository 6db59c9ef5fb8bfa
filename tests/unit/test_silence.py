"""A silent peer is pinged before it is given up, once for each silence, by the wheel's look and no timer."""

from types import SimpleNamespace

import pytest
from tests.support.wire import PONG, frame_bytes
from websockets.protocol import State
from websockets.server import ServerProtocol

from tuppence_protocol.limits import SILENCE_MS_MAX, SILENCE_PING_MS
from tuppence_server.config.settings import Settings
from tuppence_server.edge.connection import Socket
from tuppence_server.edge.unread import Pressure
from tuppence_server.telemetry.metrics import Metrics

PING_FRAME = b"\x89\x00"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waits = 0
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self.waits

    def abort(self) -> None:
        self.aborted = True


class House:
    """One ready socket and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pressure = Pressure(most=1_000)
        services = SimpleNamespace(
            loop=SimpleNamespace(time=lambda: self.now),
            hub=SimpleNamespace(touched=[], flush=lambda: None),
            settings=Settings(),
            metrics=Metrics(),
            pressure=self.pressure,
            clock_ms=lambda: 0,
        )
        self.socket = Socket(services)  # type: ignore[arg-type]
        self.socket.engine = ServerProtocol(state=State.OPEN)
        self.wire = self.socket.transport = Wire()  # type: ignore[assignment]
        self.socket.expires_at = 1
        self.socket.session.admitted()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 2
            self.socket.check(self.now)


@pytest.fixture
def house() -> House:
    return House()


def test_who_answers_pings_stays_however_long_the_page_sleeps(house: House) -> None:
    for turn in range(1, 20):
        house.wait(SILENCE_PING_MS / 1_000 + 2)
        assert house.wire.written == [PING_FRAME] * turn
        house.socket.data_received(frame_bytes(PONG))
    assert house.socket.closing_at is None


def test_who_does_not_is_pinged_once_and_closed(house: House) -> None:
    house.wait(SILENCE_PING_MS / 1_000 - 2)
    assert house.wire.written == []
    house.wait(SILENCE_MS_MAX / 1_000 - SILENCE_PING_MS / 1_000 + 6)
    assert house.wire.written[0] == PING_FRAME
    assert b"no_heartbeat" in house.wire.written[1]
    assert len(house.wire.written) == 2


def test_what_waits_for_a_socket_counts_among_what_waits_for_all(house: House) -> None:
    house.wire.waits = 1_001
    house.socket.pause_writing()
    house.wait(2)
    house.pressure.check(house.now)
    assert house.wire.aborted
