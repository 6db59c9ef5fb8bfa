"""Every way of moving money, by several people, against a model: kills, retries, expiries and clocks that jump.

The machine finds small histories by itself and shrinks them; the run by a seed is long enough to meet every verb and
every refusal. `python -m tests.property.money_run` goes on for as long as one likes.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.contract.stores import KINDS
from tests.property.money_run import FORGET_AFTER, MOMENTS, TICKS_MS, Run
from tests.property.money_steps import ON_ITS_OWN, Step, steps
from tests.property.money_town import FAULTS, TERMS, Town

BOUNDED = settings(
    max_examples=40, stateful_step_count=40, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)  # fmt: skip
SEED = 20_261_122
SHORT_STEPS = 5_000
"""By this seed, as long as it takes until every verb and every refusal has come about."""
faults = st.sampled_from(("", "", "", *FAULTS))


class Money(RuleBasedStateMachine):
    """A town on one store; every rule ends with the ledger checked against the model."""

    kind = "memory"
    narrow = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.town: Town | None = None

    def run(self, act: Coroutine[Any, Any, object]) -> None:
        """Do it, and hold the ledger against the model."""
        self.runner.run(act)
        assert self.town is not None
        self.runner.run(self.town.check())

    @initialize(terms=st.sampled_from(TERMS))
    def begin(self, terms: Any) -> None:
        """People with some money, under one of the operator's terms."""
        self.town = Town(self.kind, terms, narrow=self.narrow)
        self.runner.run(self.town.begin())

    @rule(step=steps(), fault=faults)
    def act(self, step: Step, fault: str) -> None:
        """Anybody does anything."""
        assert self.town is not None
        self.run(self.town.act(step, fault))

    @rule(
        several=st.lists(steps(), min_size=2, max_size=12), fault=faults, after=st.sampled_from(FORGET_AFTER)
    )
    def burst(self, several: list[Step], fault: str, after: int) -> None:
        """Several at once, by a road that may have to drop its book."""
        assert self.town is not None
        if after:
            self.town.forget(after - 1)
        self.run(self.town.burst(several, fault))

    @rule(step=steps(without=ON_ITS_OWN), send=st.booleans())
    def preview(self, step: Step, send: bool) -> None:
        """What would it come to, and then perhaps it is done."""
        assert self.town is not None
        self.run(self.town.preview(step, send=send))

    @rule(ms=st.sampled_from(TICKS_MS))
    def tick(self, ms: int) -> None:
        """The machine's clock jumps, forward or back."""
        assert self.town is not None
        self.town.tick(ms)

    @rule(moment=st.sampled_from(MOMENTS), pick=st.integers(0, 2), early=st.booleans())
    def tick_to(self, moment: str, pick: int, early: bool) -> None:
        """The clock comes to where something ends, or one millisecond before."""
        assert self.town is not None
        self.town.tick_to(moment, pick, early=early)

    @rule(fault=faults)
    def sweep(self, fault: str) -> None:
        """What is due ends."""
        assert self.town is not None
        self.run(self.town.sweep(fault))

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        """The server stops, in good order or not, and comes back."""
        assert self.town is not None
        self.run(self.town.restart(kill=kill))

    def teardown(self) -> None:
        """The whole history is folded once more from its beginning."""
        if self.town is not None:
            self.runner.run(self.town.end())
        self.runner.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_money_is_as_foretold_whatever_people_do(kind: str, narrow: bool) -> None:
    machine = type(f"{kind.title()}Money", (Money,), {"kind": kind, "narrow": narrow})
    run_state_machine_as_test(machine, settings=BOUNDED)


def test_every_verb_and_every_refusal_comes_about_in_a_run_by_a_seed() -> None:
    run = Run(SEED, town_steps=500)
    asyncio.run(run.go(SHORT_STEPS))
    assert run.missing() == [], f"seed {SEED}"
