"""Who takes nothing, or a trickle, is late; who takes all or enough is not, however often one looks."""

import pytest

from tuppence_server.edge.unread import UNREAD_BYTES_MIN, UNREAD_S_MAX, Pressure, Unread

TURN_S = 2.0


def seconds_until_late(left: int, per_s: float, most: float = 3_600.0) -> float | None:
    unread, now = Unread(), 100.0
    while now < 100.0 + most:
        if left <= 0:
            unread.taken()
            return None
        if unread.late(int(left), now):
            return now - 100.0
        left -= per_s * TURN_S
        now += TURN_S
    raise AssertionError("held for ever")


@pytest.mark.parametrize("left", [1, 1_000, 300_000, 4 * 1024 * 1024])
def test_nothing_taken_is_late_soon(left: int) -> None:
    assert UNREAD_S_MAX < (seconds_until_late(left, 0) or 0) <= UNREAD_S_MAX + 2 * TURN_S


@pytest.mark.parametrize("left", [300_000, 4 * 1024 * 1024])
def test_a_trickle_is_late_and_a_slow_line_is_not(left: int) -> None:
    trickle = UNREAD_BYTES_MIN / UNREAD_S_MAX / 2
    assert seconds_until_late(left, trickle) is not None
    assert seconds_until_late(left, UNREAD_BYTES_MIN / UNREAD_S_MAX * 1.5) is None


def test_what_is_added_meanwhile_puts_nothing_off() -> None:
    unread = Unread()
    late = [unread.late(10_000 + 10 * turn, turn * TURN_S) for turn in range(10)]
    assert late == [turn * TURN_S > UNREAD_S_MAX for turn in range(10)]


def test_who_took_all_begins_anew() -> None:
    unread = Unread()
    assert not unread.late(500, 0.0)
    unread.taken()
    assert not unread.late(500, UNREAD_S_MAX + 1)
    assert unread.late(500, 2 * UNREAD_S_MAX + 2)


class Reader:
    def __init__(self) -> None:
        self.open = True

    def cut(self) -> None:
        self.open = False


@pytest.mark.parametrize("sizes", [[10] * 200, [500, 400, 300, 200], [1] * 2_000, [1_000, *[1] * 900]])
def test_all_readers_together_hold_no_more_than_there_is_room_for(sizes: list[int]) -> None:
    pressure, readers = Pressure(most=1_000), [(size, Reader()) for size in sizes]
    for size, reader in readers:
        pressure.note(size, reader)
    pressure.check(0.0)
    left = [size for size, reader in readers if reader.open]
    assert sum(left) <= 750
    assert sum(left) + max(sizes) > 750, "no more are cut than must be"
    assert max(left, default=0) <= min(size for size, reader in readers if not reader.open)
    pressure.check(2.0)
    assert [size for size, reader in readers if reader.open] == left, "what was seen before counts once"


def test_nobody_is_cut_while_there_is_room() -> None:
    pressure, reader = Pressure(most=1_000), Reader()
    pressure.note(1_000, reader)
    pressure.check(0.0)
    assert reader.open
