"""What the store itself refuses is lost alone: neither its batch nor the one that was decided on top of it
is."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.contract.stores import event_id, opened
from tests.property.simulation.road import NARROW
from tests.support.money_world import check_ledger
from tests.support.road import IDS, deposit, pay, road_on, word

from tuppence_server.audit.verify import verify
from tuppence_server.pipeline.inbox import BOUNDS

FRAMES = 60
REFUSES = (
    "CREATE TRIGGER refuses BEFORE INSERT ON receipt WHEN NEW.id IN ({}) "
    "BEGIN SELECT RAISE (ABORT, 'no'); END"
)


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("bad", [{10}, {10, 11, 59}, set(range(10, 70))], ids=["one", "three", "all"])
async def test_a_frame_that_the_database_refuses_is_lost_alone(
    tmp_path: Path, bad: set[int], narrow: bool
) -> None:
    bounds = NARROW if narrow else BOUNDS
    keys = range(10, 10 + FRAMES)
    requests = [pay(key, "alice", "bob", "1") for key in keys]
    async with opened("sqlite", tmp_path) as store, road_on(store, bounds=bounds) as road:
        await road.ask(deposit(1, "alice", "100"))
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
        assert [word(each) for each in outcomes] == ["internal" if key in bad else "stored" for key in keys]
        for again in (False, True):
            await check_ledger(store)
            report = await verify(store)
            assert (report.problems, report.totals) == ([], {"EUR": 10_000})
            assert report.pos == 1 + FRAMES - (0 if again else len(bad))
            if not again:
                retried = [word(await road.ask(request)) for request in requests]
                assert retried == ["stored" if key in bad else "repeated" for key in keys]
        assert [each.available for each in (await store.funds(IDS["bob"]))[0]] == [100 * FRAMES]
