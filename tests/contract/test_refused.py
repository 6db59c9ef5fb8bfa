"""What the store itself refuses is lost alone: neither its batch nor the one that was decided on top of it is."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.contract.stores import event_id, opened
from tests.property.ledger_model import Model, Step
from tests.property.simulation.road import NARROW
from tests.property.test_ledger import check
from tests.support.road import IDS, road_on, word

from tuppence_server.pipeline.inbox import BOUNDS

FRAMES = 60
REFUSES = "CREATE TRIGGER refuses BEFORE INSERT ON receipt WHEN NEW.id IN ({}) BEGIN SELECT RAISE (ABORT, 'no'); END"


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("bad", [{10}, {10, 11, 59}, set(range(10, 70))], ids=["one", "three", "all"])
async def test_a_frame_that_the_database_refuses_is_lost_alone(
    tmp_path: Path, bad: set[int], narrow: bool
) -> None:
    bounds = NARROW if narrow else BOUNDS
    async with opened("sqlite", tmp_path) as store, road_on(store, bounds=bounds) as road:
        model = Model()
        first = model.request(Step("pay.deposit", "alice", 1, amount="100"))
        model.learn(first, await road.ask(first))
        steps = [Step("pay.send", "alice", 10 + n, "bob", amount="1") for n in range(FRAMES)]
        requests = [model.request(step) for step in steps]
        with closing(sqlite3.connect(tmp_path / "tuppence.db")) as db, capture_logs() as logged:
            db.execute(REFUSES.format(", ".join(f"'{event_id(key)}'" for key in bad)))
            waiting = [asyncio.create_task(road.ask(request)) for request in requests[:5]]
            await asyncio.sleep(0)
            waiting += [asyncio.create_task(road.ask(request)) for request in requests[5:]]
            outcomes = await asyncio.gather(*waiting)
            db.execute("DROP TRIGGER refuses")
        assert {each["event"] for each in logged} == {"store_fault"}
        assert road.writable
        assert road.fatals == 0
        for step, request, outcome in zip(steps, requests, outcomes, strict=True):
            assert word(outcome) == ("internal" if step.key in bad else "stored")
            if step.key not in bad:
                model.learn(request, outcome)
        await check(store, model)
        for step, request in zip(steps, requests, strict=True):
            outcome = await road.ask(request)
            assert word(outcome) == ("stored" if step.key in bad else "repeated")
            if step.key in bad:
                model.learn(request, outcome)
        await check(store, model)
        assert [each.available for each in (await store.funds(IDS["bob"]))[0]] == [100 * FRAMES]
