"""Every way of moving money, by several people, against a model: kills, retries, expiries and clocks that jump.

The machine finds small histories by itself and shrinks them; the run by a seed is long enough to meet every verb and
every refusal. `python -m tests.property.simulation.run` goes on for as long as one likes.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.contract.stores import KINDS, opened
from tests.property.model.records import Terms
from tests.property.simulation.checks import check_all
from tests.property.simulation.road import FAULTS
from tests.property.simulation.run import FORGET_AFTER, MOMENTS, TICKS_MS, Run
from tests.property.simulation.simulation import Simulation
from tests.property.simulation.step import ON_ITS_OWN, Step
from tests.property.simulation.terms import TERMS
from tests.property.simulation.verbs import steps
from tests.support.road import IDS as ROAD_IDS
from tests.support.road import deposit, pay, road_on, texts, word

BOUNDED = settings(
    max_examples=40, stateful_step_count=40, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)  # fmt: skip
SEED = 20_261_122
SHORT_STEPS = 5_000
"""By this seed, as long as it takes until every verb and every refusal has come about."""
Kinds = tuple[str, str]
HISTORIES = st.lists(
    st.one_of(st.lists(steps(), min_size=1, max_size=12), st.sampled_from(TICKS_MS)), min_size=1, max_size=8
)
faults = st.sampled_from(("", "", "", *FAULTS))


class Money(RuleBasedStateMachine):
    """A simulation on one store; every rule ends with the ledger checked against the model."""

    kind = "memory"
    narrow = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.simulation: Simulation | None = None

    def run(self, act: Coroutine[Any, Any, object]) -> None:
        """Do it, and hold the ledger against the model."""
        self.runner.run(act)
        assert self.simulation is not None
        self.runner.run(check_all(self.simulation))

    @initialize(terms=st.sampled_from(TERMS))
    def begin(self, terms: Any) -> None:
        """People with some money, under one of the operator's terms."""
        self.simulation = Simulation(self.kind, terms, narrow=self.narrow)
        self.runner.run(self.simulation.begin())

    @rule(step=steps(), fault=faults)
    def act(self, step: Step, fault: str) -> None:
        """Anybody does anything."""
        assert self.simulation is not None
        self.run(self.simulation.act(step, fault))

    @rule(
        several=st.lists(steps(), min_size=2, max_size=12), fault=faults, after=st.sampled_from(FORGET_AFTER)
    )
    def burst(self, several: list[Step], fault: str, after: int) -> None:
        """Several at once, by a road that may have to drop its book."""
        assert self.simulation is not None
        if after:
            self.simulation.forget(after - 1)
        self.run(self.simulation.burst(several, fault))

    @rule(step=steps(without=ON_ITS_OWN), send=st.booleans())
    def preview(self, step: Step, send: bool) -> None:
        """What would it come to, and then perhaps it is done."""
        assert self.simulation is not None
        self.run(self.simulation.preview(step, send=send))

    @rule(ms=st.sampled_from(TICKS_MS))
    def tick(self, ms: int) -> None:
        """The machine's clock jumps, forward or back."""
        assert self.simulation is not None
        self.simulation.tick(ms)

    @rule(moment=st.sampled_from(MOMENTS), pick=st.integers(0, 2), early=st.booleans())
    def tick_to(self, moment: str, pick: int, early: bool) -> None:
        """The clock comes to where something ends, or one millisecond before."""
        assert self.simulation is not None
        self.simulation.tick_to(moment, pick, early=early)

    @rule(fault=faults)
    def sweep(self, fault: str) -> None:
        """What is due ends."""
        assert self.simulation is not None
        self.run(self.simulation.sweep(fault))

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        """The server stops, in good order or not, and comes back."""
        assert self.simulation is not None
        self.run(self.simulation.restart(kill=kill))

    def teardown(self) -> None:
        """The whole history is folded once more from its beginning."""
        if self.simulation is not None:
            self.runner.run(self.simulation.end())
        self.runner.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_money_is_as_foretold_whatever_people_do(kind: str, narrow: bool) -> None:
    machine = type(f"{kind.title()}Money", (Money,), {"kind": kind, "narrow": narrow})
    run_state_machine_as_test(machine, settings=BOUNDED)


@pytest.mark.parametrize("kinds", [KINDS, KINDS[::-1]], ids=KINDS)
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_what_comes_together_is_what_one_by_one_makes_on_any_store(kinds: Kinds, narrow: bool) -> None:
    @settings(BOUNDED, max_examples=25)
    @given(st.sampled_from(TERMS), HISTORIES)
    def run(terms: Terms, history: list[list[Step] | int]) -> None:
        asyncio.run(_compared(kinds, narrow, terms, history))

    run()


async def _compared(kinds: Kinds, narrow: bool, terms: Terms, history: list[list[Step] | int]) -> None:
    async with AsyncExitStack() as stack:
        first, second = Simulation(kinds[0], terms, narrow=narrow), Simulation(kinds[1], terms)
        for each in (first, second):
            stack.push_async_callback(each.drop)
            await each.begin()
        for act in history:
            if isinstance(act, int):
                first.tick(act)
            else:
                await first.burst(act)
        await check_all(first, whole=True)
        for second.clock_ms, second.steady_ms, request, outcome in first.sent:
            assert await second.road.ask(request) == outcome, (
                "the same event, byte for byte, or the same refusal"
            )
        head = await first.store.head()
        assert first.told == second.told == list(range(1, head.pos + 1)), "all told, in the order of the log"
        assert (head, await first.store.accounts()) == (
            await second.store.head(),
            await second.store.accounts(),
        )


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
