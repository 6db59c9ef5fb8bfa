"""Faults and restarts at any point: after each, a retry under the same id gives exactly one event."""

import asyncio
import json
import shutil
import tempfile
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.contract.stores import KINDS, Counted, opened
from tests.property.ledger_model import STEPS, Model, Step
from tests.property.simulation.road import NARROW, SAVE_TURNS, narrowed
from tests.property.test_ledger import check
from tests.support.road import IDS, Road, road_on, word

from tuppence_protocol.errors import Refusal
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.request import Request
from tuppence_server.pipeline.inbox import BOUNDS
from tuppence_server.store.contract import Packed, Store, StoreFault

FAULTS: Final = ("none", "none", "before", "after")


class Shaky:
    """A store whose next save fails: before it wrote anything, or after it did, the answer being lost."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fault = "none"
        self.saves = 0
        self.turns = 0
        """Turns of the loop that a save takes at least, so that more is decided beside it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def save(self, packed: Packed) -> None:
        """Save, or not."""
        self.saves += 1
        fault, self.fault = self.fault, "none"
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if fault == "before":
            raise StoreFault("nothing was written", fatal=False)
        await self.store.save(packed)
        if fault == "after":
            raise StoreFault("it was written, but nobody knows", fatal=False)


def _remembered(request: Request) -> bool:
    return json.loads(request.content).get("kind", "pay.deposit").startswith("pay.")


class Ledger(RuleBasedStateMachine):
    """People at work on a server that fails and restarts."""

    kind = "memory"
    narrow = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.mkdtemp(prefix="tuppence-")
        self.model = Model()
        self.fresh = Counted()
        self.stack = AsyncExitStack()
        self.steps = ExitStack()
        self.steps.enter_context(narrowed(really=self.narrow))
        self.store: Shaky
        self.road: Road

    async def _open(self, kept: Store | None = None) -> None:
        store = kept or await self.stack.enter_async_context(opened(self.kind, Path(self.folder)))
        self.store = Shaky(store)
        self.store.turns = SAVE_TURNS if self.narrow else 0
        self.road = await self.stack.enter_async_context(
            road_on(self.store, self.fresh, NARROW if self.narrow else BOUNDS)
        )

    @initialize()
    def begin(self) -> None:
        self.runner.run(self._open())

    @rule(step=STEPS, fault=st.sampled_from(FAULTS))
    def act(self, step: Step, fault: str) -> None:
        """One frame; where the store fails, once more under the same id."""
        request = self.model.request(step)
        expected = self.model.expect(request)
        self.runner.run(self._settle(request, expected, fault))

    async def _settle(self, request: Request, expected: str, fault: str) -> None:
        self.store.fault, saves = fault, self.store.saves
        outcome = await self.road.ask(request)
        self.store.fault = "none"
        failed = fault != "none" and self.store.saves > saves
        if failed:
            assert isinstance(outcome, Refusal)
            assert (outcome.code, outcome.final) == ("unavailable", False)
            outcome = await self._again(request)
            if fault == "after" and expected == "stored":
                assert word(outcome) == "repeated"
                assert isinstance(outcome, Stored)
                outcome = Stored(outcome.event)  # for the model it is the first time
            else:
                assert word(outcome) == expected
        else:
            assert word(outcome) == expected
        self.model.learn(request, outcome)
        assert self.road.writable

    async def _again(self, request: Request) -> Outcome:
        """Send the same once more; while the road picks itself up it may say so again."""
        for _ in range(5):
            outcome = await self.road.ask(request)
            if word(outcome) != "unavailable":
                return outcome
        raise AssertionError("the road does not come back")

    @rule(steps=st.lists(STEPS, min_size=2, max_size=12), fault=st.sampled_from(FAULTS))
    def burst(self, steps: list[Step], fault: str) -> None:
        """Many frames at once, the store failing under some; those are sent again, one after another."""
        if self.narrow and fault == "after":
            fault = "before"  # with more than one batch nobody could say which of them was written
        self.runner.run(self._burst(self._apart(steps), fault))

    def _apart(self, steps: list[Step]) -> list[Request]:
        """Frames of different ids, so that the order of retries does not matter for what an id means."""
        requests = {step.key: self.model.request(step) for step in steps}
        return list(requests.values())

    async def _burst(self, requests: list[Request], fault: str) -> None:
        self.store.fault = fault
        outcomes = await self.road.at_once(requests)
        self.store.fault = "none"
        again: list[Request] = []
        for request, outcome in zip(requests, outcomes, strict=True):
            if word(outcome) == "unavailable":
                again.append(request)
                continue
            assert word(outcome) == self.model.expect(request)
            self.model.learn(request, outcome)
        later: list[Request] = []
        for request in again:
            expected = self.model.expect(request)
            if fault == "after" and expected == "stored":  # written already
                outcome = await self._again(request)
                assert isinstance(outcome, Stored), outcome
                outcome = Stored(outcome.event)
            elif fault == "after" and not _remembered(request):
                later.append(request)  # it meets what the rest of its batch did
                continue
            else:
                outcome = await self._again(request)
                assert word(outcome) == expected
            self.model.learn(request, outcome)
        for request in later:
            expected = self.model.expect(request)
            outcome = await self._again(request)
            assert word(outcome) == expected
            self.model.learn(request, outcome)

    @rule()
    def restart(self) -> None:
        """Stop in good order and start again on what is there."""
        self.runner.run(self._restart())

    async def _restart(self) -> None:
        kept = self.store.store if self.kind == "memory" else None
        await self.stack.aclose()
        await self._open(kept)

    @invariant()
    def whole(self) -> None:
        if hasattr(self, "road"):
            self.runner.run(check(self.store, self.model))
            assert self.road.fatals == 0

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.steps.close()
        shutil.rmtree(self.folder)


class NarrowLedger(Ledger):
    """The same in narrow steps."""

    narrow = True


class SqliteLedger(Ledger):
    """The same on a file."""

    kind = "sqlite"


class NarrowSqliteLedger(SqliteLedger):
    """The same on a file in narrow steps."""

    narrow = True


BOUNDED = settings(max_examples=8, stateful_step_count=15, deadline=None)
TestMemory = Ledger.TestCase
TestMemory.settings = BOUNDED
TestSqlite = SqliteLedger.TestCase
TestSqlite.settings = BOUNDED
TestNarrow = NarrowLedger.TestCase
TestNarrow.settings = BOUNDED
TestNarrowSqlite = NarrowSqliteLedger.TestCase
TestNarrowSqlite.settings = BOUNDED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["before", "after"])
async def test_what_was_decided_on_a_batch_that_failed_is_void(kind: str, fault: str, tmp_path: Path) -> None:
    """Bob spends what Alice pays him while that is still on its way to a disk that fails."""
    async with opened(kind, tmp_path) as inner:
        store = Shaky(inner)
        async with road_on(store) as road:
            model = Model()
            await road.ask(model.request(Step("pay.deposit", "alice", 1, amount="9")))
            first = model.request(Step("pay.send", "alice", 2, "bob", amount="9"))
            second = model.request(Step("pay.send", "bob", 3, "carol", amount="9"))
            store.fault = fault
            paying = asyncio.create_task(road.ask(first))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            spending = asyncio.create_task(road.ask(second))
            outcomes: list[Outcome] = list(await asyncio.gather(paying, spending))
            assert word(outcomes[0]) == "unavailable"
            onward = word(outcomes[1])
            if fault == "before":
                assert onward in ("unavailable", "insufficient_funds")
                assert (await store.funds(IDS["carol"]))[0] == []
            else:
                assert onward in ("unavailable", "stored")
            retried = word(await road.ask(first))
            assert retried == ("stored" if fault == "before" else "repeated")
            retried = word(await road.ask(second))
            assert retried in (
                ("insufficient_funds",) if onward == "insufficient_funds" else ("stored", "repeated")
            )
            held = {who: (await store.funds(IDS[who]))[0] for who in IDS}
            assert sum(each.available for funds in held.values() for each in funds) == 900
            assert road.fatals == 0


async def test_a_fatal_fault_is_told_once_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    async with opened("memory", tmp_path) as inner, road_on(inner) as road:
        model = Model()
        inner.fail = StoreFault("input/output error", fatal=True)  # type: ignore[attr-defined]
        outcome = await road.ask(model.request(Step("chat.text", "alice", 1)))
        assert word(outcome) == "unavailable"
        assert road.fatals == 1
        assert not road.writable
