"""So much at once, so much in the long run, and never more than both together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence_server.edge.rate_limits import (
    ASK,
    DURABLE,
    LIMITED,
    LIVE,
    PEOPLE_BEFORE_SWEEP_MIN,
    UNLIMITED,
    Buckets,
    Pace,
    Paces,
    RateLimit,
    RateLimits,
)


def test_a_burst_then_the_rate() -> None:
    limits, alice = RateLimits((RateLimit(10, 30), None, None)), Pace()
    assert [limits.wait_ms(DURABLE, alice, 1_000.0) for _ in range(30)] == [0] * 30
    wait = limits.wait_ms(DURABLE, alice, 1_000.0)
    assert 100 <= wait <= 102, "one more in a tenth of a second"
    assert limits.wait_ms(DURABLE, alice, 1_000.0) == wait, "asking in vain costs nothing"
    assert limits.wait_ms(DURABLE, alice, 1_000.0 + wait / 1_000) == 0
    assert limits.wait_ms(DURABLE, alice, 1_000.0 + wait / 1_000) > 0
    assert [limits.wait_ms(DURABLE, alice, 2_000.0) for _ in range(31)].count(0) == 30, (
        "a rest gives the burst back"
    )


def test_each_lane_has_its_own_bucket() -> None:
    limits, alice = RateLimits((RateLimit(1, 1),) * 3), Pace()
    lanes = (DURABLE, LIVE, ASK)
    assert [limits.wait_ms(lane, alice, 5.0) for lane in lanes] == [0, 0, 0]
    assert all(limits.wait_ms(lane, alice, 5.0) > 0 for lane in lanes)
    assert [limits.wait_ms(lane, Pace(), 5.0) for lane in lanes] == [0, 0, 0], "somebody else's is full"


def test_no_limit_is_none() -> None:
    alice = Pace()
    assert not any(UNLIMITED.wait_ms(lane, alice, 0.0) for lane in (DURABLE, LIVE, ASK) for _ in range(1_000))


@given(
    st.integers(1, 50).map(lambda tenths: tenths / 10),
    st.integers(1, 20),
    st.lists(st.floats(0, 3, allow_nan=False), max_size=80),
)
def test_never_more_than_burst_and_rate_over_any_stretch(per_s: float, burst: int, gaps: list[float]) -> None:
    rate, state, now = RateLimit(per_s, burst), 0.0, 100.0
    taken: list[float] = []
    for gap in gaps:
        now += gap
        result = rate.take(state, now)
        if result >= 0:
            state = result
            taken.append(now)
        else:
            later = rate.take(state, now - result + 1e-6)
            assert later >= 0, "after the wait that was told there is one to take"
    for start, first in enumerate(taken):
        for end in range(start, len(taken)):
            assert end - start + 1 <= burst + per_s * (taken[end] - first) + 1e-6


@pytest.mark.parametrize("now", [0.0, 1.0, 1e9])
def test_addresses_have_buckets_by_name(now: float) -> None:
    buckets = Buckets(RateLimit(1 / 60, 3))
    assert [buckets.take("here", now) for _ in range(3)] == [0, 0, 0]
    assert 59_000 < buckets.wait_ms("here", now) <= buckets.take("here", now) <= 60_001
    assert buckets.take("there", now) == 0
    assert buckets.wait_ms("here", now + 60.001) == 0, "asking takes nothing"
    assert buckets.take("here", now + 60.001) == 0


@pytest.mark.parametrize("others", [10_000, 100_000])
def test_what_others_do_never_fills_a_bucket(others: int) -> None:
    buckets = Buckets(RateLimit(1 / 60, 10))
    for _ in range(10):
        assert buckets.take("alice at home", 5.0) == 0
    for number in range(others):
        buckets.take(f"nobody {number}", 5.0 + number / others)
    assert buckets.take("alice at home", 6.0) > 0


def test_a_thousand_that_are_empty_seldom_empty_anybody_elses() -> None:
    buckets = Buckets(RateLimit(1, 2))
    for number in range(4_000):
        buckets.take(f"greedy {number}", 0.0)
        buckets.take(f"greedy {number}", 0.0)
    strangers = [buckets.take(f"stranger {number}", 0.0) for number in range(1_000)]
    assert sum(map(bool, strangers)) < 20, "about 1,000 x (4,000 / 32,768)^4, which is less than one"


def test_a_persons_buckets_are_kept_until_they_are_full() -> None:
    paces, limits = Paces(), LIMITED
    spent, connected = paces.of("u_spent", 0.0), paces.of("u_connected", 0.0)
    for _ in range(30):
        assert limits.wait_ms(DURABLE, spent, 0.0) == 0
    connected.holders += 1
    for number in range(20 * PEOPLE_BEFORE_SWEEP_MIN):
        other = paces.of(f"u_{number}", number / 10_000)
        limits.wait_ms(ASK, other, number / 10_000)
        if not number % 100:
            limits.wait_ms(DURABLE, spent, number / 10_000)
        assert len(paces) <= 2 * PEOPLE_BEFORE_SWEEP_MIN, "people of a tenth of a second"
    assert paces.of("u_spent", 2.0) is spent
    assert paces.of("u_connected", 2.0) is connected
    connected.holders -= 1
    for number in range(3 * PEOPLE_BEFORE_SWEEP_MIN):
        paces.of(f"v_{number}", 1_000.0)
    assert paces.of("u_spent", 1_000.0) is not spent, "full, and so forgotten"
