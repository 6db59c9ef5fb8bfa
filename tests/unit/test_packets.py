"""Red packets: every draw is whole, no place in it is the better one, and no draw can be exchanged unseen."""

import itertools
import math
import random
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuppence_protocol.limits import AMOUNT_MINOR_MAX, PACKET_SHARES_MAX
from tuppence_protocol.packets import SEED_BYTES, Mode, draw, is_fair, proof

ID = "0197a1c2-7d3e-7b1a-9c55-0123456789ab"
OTHER_ID = "3f2b8c1e-94d7-4a06-8e21-fedcba987654"
SEED = bytes(range(32))
SEEDS = st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES)
MODES = st.sampled_from(["equal", "lucky"])
COUNTS = st.integers(1, PACKET_SHARES_MAX)
PACKETS = COUNTS.flatmap(
    lambda count: st.tuples(
        st.integers(count, count + 300) | st.integers(count, AMOUNT_MINOR_MAX), st.just(count)
    )
)

DRAWS = 20_000
ALARM_ODDS = 1e-9
"""How likely a whole test fails although the draw is fair."""


def too_far(tests: int) -> float:
    """How far a frequency in DRAWS draws may be from what is expected (Hoeffding),
    for so many frequencies."""
    return math.sqrt(math.log(2 * tests / ALARM_ODDS) / (2 * DRAWS))


def seeds() -> tuple[str, list[bytes]]:
    """Other seeds in each run, and where they came from, to be printed by what fails."""
    number = secrets.randbits(64)
    source = random.Random(number)
    return f"seeds of random.Random({number})", [source.randbytes(SEED_BYTES) for _ in range(DRAWS)]


# --- every draw --------------------------------------------------------------------------------------


@given(SEEDS, PACKETS, MODES)
@example(SEED, (1, 1), "lucky")
@example(SEED, (100, 100), "lucky")
@example(SEED, (101, 100), "lucky")
@example(SEED, (AMOUNT_MINOR_MAX, 100), "lucky")
@example(SEED, (AMOUNT_MINOR_MAX, 1), "equal")
def test_all_is_given_out_and_everybody_gets_something(
    seed: bytes, packet: tuple[int, int], mode: Mode
) -> None:
    total, count = packet
    shares = draw(seed, total, count, mode)
    assert sum(shares) == total
    assert len(shares) == count
    assert all(type(share) is int for share in shares)
    assert min(shares) >= 1
    assert max(shares) <= total - count + 1
    assert draw(seed, total, count, mode) == shares


@given(SEEDS, SEEDS, PACKETS)
def test_equal_shares_differ_by_one_at_most_and_the_larger_come_first(
    seed: bytes, other: bytes, packet: tuple[int, int]
) -> None:
    shares = draw(seed, *packet, "equal")
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)
    assert shares == draw(other, *packet, "equal")


@given(SEEDS, st.integers(2, 300), st.integers(2, 10))
def test_lucky_shares_could_have_been_cut_within_twice_the_mean(seed: bytes, more: int, count: int) -> None:
    """In some order, each but the last is at most twice the mean of what was left when it was cut."""
    total = count + more
    shares = draw(seed, total, count, "lucky")

    def cut(rest: int, left: list[int]) -> bool:
        if len(left) == 1:
            return left[0] == rest
        return any(
            share <= 2 * rest // len(left) and cut(rest - share, left[:n] + left[n + 1 :])
            for n, share in enumerate(left)
        )

    assert cut(total, shares)


@pytest.mark.parametrize(("total", "count"), [(0, 1), (1, 2), (99, 100), (5, 0), (0, 0), (-5, 1), (5, -1)])
@pytest.mark.parametrize("mode", ["equal", "lucky"])
def test_what_cannot_be_drawn(total: int, count: int, mode: Mode) -> None:
    with pytest.raises(ValueError, match="cannot make"):
        draw(SEED, total, count, mode)
    assert not is_fair(ID, total, count, mode, proof(SEED, ID, [total]), SEED)


# --- many draws --------------------------------------------------------------------------------------


def furthest(seen: Counter[Any], expected: dict[Any, float]) -> float:
    """How far the frequency that is furthest off is from what is expected."""
    assert seen.keys() <= expected.keys()
    whole = seen.total()
    return max([abs(seen[what] / whole - odds) for what, odds in expected.items()])


def unshuffled(seed: bytes, total: int, count: int) -> list[int]:
    """The same without the shuffle, to show that the tests would see an advantage."""
    source = random.Random(seed)
    shares: list[int] = []
    for left in range(count, 1, -1):
        rest = total - sum(shares)
        shares.append(1 + source.randrange(min(2 * rest // left, rest - left + 1)))
    return [*shares, total - sum(shares)]


def lucky(seed: bytes, total: int, count: int) -> list[int]:
    return draw(seed, total, count, "lucky")


@pytest.mark.parametrize("pick", [max, min])
def test_no_place_has_the_best_or_the_worst_share_more_often(pick: Callable[[list[int]], int]) -> None:
    again, all_seeds = seeds()
    found: Counter[int] = Counter()
    for seed in all_seeds:
        shares = lucky(seed, 200_000, 5)
        if shares.count(pick(shares)) == 1:
            found[shares.index(pick(shares))] += 1
    # Ties leave fewer draws than were made, so that the bound is a little wider.
    assert found.total() > 0.95 * DRAWS
    assert furthest(found, dict.fromkeys(range(5), 1 / 5)) < too_far(5) / math.sqrt(0.95), again


def test_no_place_has_more_on_average() -> None:
    again, all_seeds = seeds()
    total, count = 2_000, 5
    sums = [0] * count
    for seed in all_seeds:
        for place, share in enumerate(lucky(seed, total, count)):
            sums[place] += share
    for place in range(count):
        assert abs(sums[place] / DRAWS - total / count) < too_far(count) * (total - count), (again, place)


def test_every_order_is_as_likely() -> None:
    again, all_seeds = seeds()
    orders: Counter[tuple[int, ...]] = Counter()
    for seed in all_seeds:
        shares = lucky(seed, 100_000, 3)
        if len(set(shares)) == 3:
            orders[tuple(sorted(range(3), key=lambda place: shares[place]))] += 1
    assert orders.total() > 0.95 * DRAWS
    expected: dict[Any, float] = dict.fromkeys(itertools.permutations(range(3)), 1 / 6)
    assert furthest(orders, expected) < too_far(6) / math.sqrt(0.95), again


def test_of_two_shares_each_size_is_as_likely() -> None:
    """10 in 2: the first cut is uniform between 1 and 9, and so is either share."""
    again, all_seeds = seeds()
    for place in range(2):
        sizes = Counter(lucky(seed, 10, 2)[place] for seed in all_seeds)
        assert furthest(sizes, dict.fromkeys(range(1, 10), 1 / 9)) < too_far(18), (again, place)


def test_who_has_the_one_that_is_over_is_as_likely() -> None:
    """6 in 5: one share is 2. Without the shuffle it would be the first in half of the packets."""
    again, all_seeds = seeds()
    fair = dict.fromkeys(range(5), 1 / 5)
    assert furthest(Counter(lucky(seed, 6, 5).index(2) for seed in all_seeds), fair) < too_far(5), again
    assert furthest(Counter(unshuffled(seed, 6, 5).index(2) for seed in all_seeds), fair) > 10 * too_far(5)


# --- the promise ---------------------------------------------------------------------------------------


@given(SEEDS, PACKETS, MODES)
def test_what_was_promised_is_fair(seed: bytes, packet: tuple[int, int], mode: Mode) -> None:
    promised = proof(seed, ID, draw(seed, *packet, mode))
    assert len(promised) == 64
    assert is_fair(ID, *packet, mode, promised, seed)


@given(SEEDS, SEEDS, st.lists(st.integers(1, 100), min_size=1), st.lists(st.integers(1, 100), min_size=1))
def test_proof_changes_with_all_that_it_is_over(
    seed: bytes, other: bytes, shares: list[int], others: list[int]
) -> None:
    promised = proof(seed, ID, shares)
    assert (proof(other, ID, shares) == promised) == (other == seed)
    assert (proof(seed, ID, others) == promised) == (others == shares)
    assert proof(seed, OTHER_ID, shares) != promised


def test_shares_cannot_be_read_in_two_ways() -> None:
    assert proof(SEED, ID, [1, 23]) != proof(SEED, ID, [12, 3])
    assert proof(SEED, ID, [1, 23]) != proof(SEED, ID, [123])


@pytest.mark.parametrize("bit", range(0, 256, 17))
def test_another_seed_is_seen(bit: int) -> None:
    promised = proof(SEED, ID, draw(SEED, 2_000, 5, "lucky"))
    turned = (int.from_bytes(SEED, "big") ^ 1 << bit).to_bytes(32, "big")
    assert not is_fair(ID, 2_000, 5, "lucky", promised, turned)


@pytest.mark.parametrize(
    ("id", "total", "count", "mode", "seed"),
    [
        (OTHER_ID, 2_000, 5, "lucky", SEED),
        (ID, 2_001, 5, "lucky", SEED),
        (ID, 1_999, 5, "lucky", SEED),
        (ID, 2_000, 4, "lucky", SEED),
        (ID, 2_000, 6, "lucky", SEED),
        (ID, 2_000, 5, "equal", SEED),
        (ID, 2_000, 5, "lucky", SEED[:-1]),
        (ID, 2_000, 5, "lucky", SEED + b"\0"),
        (ID, 2_000, 5, "lucky", b""),
        (ID, 2_000, 2_001, "lucky", SEED),
        (ID, 2_000, 0, "lucky", SEED),
        (ID, -2_000, 5, "lucky", SEED),
    ],
)
def test_another_packet_is_seen(id: str, total: int, count: int, mode: Mode, seed: bytes) -> None:  # noqa: A002
    promised = proof(SEED, ID, draw(SEED, 2_000, 5, "lucky"))
    assert is_fair(ID, 2_000, 5, "lucky", promised, SEED)
    assert not is_fair(id, total, count, mode, promised, seed)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 27))
def test_a_share_moved_after_the_draw_is_seen(giver: int, taker: int, units: int) -> None:
    shares = draw(SEED, 2_000, 5, "lucky")
    assert shares[giver] > units
    shares[giver] -= units
    shares[taker] += units
    assert is_fair(ID, 2_000, 5, "lucky", proof(SEED, ID, shares), SEED) == (giver == taker)


@pytest.mark.parametrize("change", [str.upper, lambda text: text[:-1], lambda text: text + "0", lambda _: ""])
def test_another_promise_is_seen(change: Callable[[str], str]) -> None:
    promised = proof(SEED, ID, draw(SEED, 2_000, 5, "lucky"))
    assert not is_fair(ID, 2_000, 5, "lucky", change(promised), SEED)
