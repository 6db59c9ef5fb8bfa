"""Every way of moving money, by several people, against a model: kills, retries, expiries and clocks that
jump.

Hypothesis finds small histories and shrinks them; the run by a seed is long enough to meet every verb and
every refusal. `python -m tests.property.simulation.run` goes on for as long as one likes.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.contract.stores import KINDS, opened
from tests.property.model.records import Terms
from tests.property.simulation.acts import SHORT, TICKS_MS, act, burst
from tests.property.simulation.checks import check_all
from tests.property.simulation.run import Run
from tests.property.simulation.simulation import Simulation
from tests.property.simulation.terms import TERMS
from tests.support.road import IDS as ROAD_IDS
from tests.support.road import deposit, pay, road_on, texts, word

BOUNDED = settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)  # fmt: skip
ACTS_MAX = 40
pytestmark = pytest.mark.seconds(600)  # of which Hypothesis takes up to 300 to make smaller what fails
SEED = 20_261_122
SHORT_STEPS = 5_000
"""By this seed, as long as it takes until every verb and every refusal has come about."""
CHANCE = st.randoms(use_true_random=False)
NARROW_OR_WIDE = pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])


@pytest.mark.parametrize("kind", KINDS)
@NARROW_OR_WIDE
def test_money_is_as_foretold_whatever_people_do(kind: str, narrow: bool) -> None:
    async def live(terms: Terms, chance: Random, acts: int) -> None:
        async with Simulation(kind, terms, note, narrow=narrow) as simulation:
            for _ in range(acts):
                await act(simulation, chance, SHORT)
                await check_all(simulation)

    @BOUNDED
    @given(st.sampled_from(TERMS), CHANCE, st.integers(1, ACTS_MAX))
    def run(terms: Terms, chance: Random, acts: int) -> None:
        asyncio.run(live(terms, chance, acts))

    run()


@pytest.mark.parametrize("kinds", [KINDS, KINDS[::-1]], ids=KINDS)
@NARROW_OR_WIDE
def test_what_comes_together_is_what_one_by_one_makes_on_any_store(
    kinds: tuple[str, str], narrow: bool
) -> None:
    async def compare(terms: Terms, chance: Random, bursts: int) -> None:
        together, alone = Simulation(kinds[0], terms, note, narrow=narrow), Simulation(kinds[1], terms)
        async with together, AsyncExitStack() as stack:
            stack.push_async_callback(alone.__aexit__, Exception)
            await alone.__aenter__()
            for _ in range(bursts):
                await burst(together, chance, SHORT)
                together.tick(chance.choice(TICKS_MS))
            for alone.clock_ms, alone.steady_ms, request, outcome in together.sent:
                assert await alone.road.ask(request) == outcome, "the same event, byte for byte, or refusal"
            head = await together.store.head()
            assert together.told == alone.told == list(range(1, head.pos + 1)), "all told, in order"
            assert head == await alone.store.head()
            assert await together.store.accounts() == await alone.store.accounts()

    @settings(BOUNDED, max_examples=25)
    @given(st.sampled_from(TERMS), CHANCE, st.integers(1, 8))
    def run(terms: Terms, chance: Random, bursts: int) -> None:
        asyncio.run(compare(terms, chance, bursts))

    run()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_storm_of_the_same_payment_pays_once(kind: str, tmp_path: Path) -> None:
    """The double pay of a retry after a slow answer (LndHub#3, stacker.news#1672), over many batches."""
    async with opened(kind, tmp_path) as store, road_on(store) as road:
        await road.ask(deposit(1, "alice", "9"))
        waiting = []
        for line in texts(200):
            waiting += [asyncio.create_task(road.ask(each)) for each in (pay(2, "alice", "bob", "2"), line)]
            await asyncio.sleep(0)
        outcomes = [word(outcome) for outcome in await asyncio.gather(*waiting)]
        assert Counter(outcomes[0::2]) == {"stored": 1, "repeated": 199}
        assert set(outcomes[1::2]) == {"stored"}
        assert [funds.available for funds in (await store.funds(ROAD_IDS["alice"]))[0]] == [700]


def test_every_verb_and_every_refusal_comes_about_in_a_run_by_a_seed() -> None:
    run = Run(SEED, steps_each=500)
    asyncio.run(run.go(SHORT_STEPS))
    assert run.missing() == [], f"seed {SEED}"
