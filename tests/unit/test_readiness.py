"""Ready is who can take the next batch, however small the writes are that still go through."""

import asyncio
import resource
from pathlib import Path
from typing import Any

import pytest
from tests.support.memory_store.store import MemoryStore

from tuppence_protocol.errors import Refusal
from tuppence_server import data_dir
from tuppence_server.domain.effects import Done, Outcome
from tuppence_server.edge import readiness
from tuppence_server.edge.readiness import Readiness
from tuppence_server.pipeline.inbox import UNAVAILABLE


class Road:
    """A road on which small commits always go through, unless told otherwise."""

    def __init__(self) -> None:
        self.write_faults = 0
        self.answer: Outcome | Refusal = Done()
        self.asked = 0

    async def ask(self, _: Any) -> Outcome:
        self.asked += 1
        return self.answer


def full(yes: bool) -> None:
    """Let this process write no file beyond 1 MiB: a real fault of a real write, whoever runs this."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20 if yes else hard, hard))


async def test_after_a_fault_a_small_commit_is_no_proof(tmp_path: Path) -> None:
    road = Road()
    ready = Readiness(MemoryStore(), road, tmp_path, every_s=0)  # type: ignore[arg-type]
    assert await ready.ready()
    assert road.asked == 0, "nothing is tried where nothing has failed"
    road.write_faults += 1
    full(True)
    try:
        assert not await ready.ready()
    finally:
        full(False)
    road.answer = UNAVAILABLE
    assert not await ready.ready()
    road.answer = Done()
    assert await ready.ready()
    asked = road.asked
    assert await ready.ready()
    assert road.asked == asked
    road.write_faults += 1
    road.answer = UNAVAILABLE
    assert not await ready.ready(), "every fault asks for a new proof"
    assert list(tmp_path.iterdir()) == []


async def test_the_disk_is_tried_once_however_many_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    road = Road()
    ready = Readiness(MemoryStore(), road, tmp_path, every_s=3_600)  # type: ignore[arg-type]
    tried = []
    monkeypatch.setattr(readiness, "take_room", lambda data: (tried.append(data), data_dir.take_room(data)))
    road.write_faults, road.answer = 1, UNAVAILABLE
    assert set(await asyncio.gather(*(ready.ready() for _ in range(50)))) == {False}
    assert (len(tried), road.asked) == (1, 1)
