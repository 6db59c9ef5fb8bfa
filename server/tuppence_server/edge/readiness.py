"""Whether the server takes writes: after a fault, room for the largest batch and a commit are the proof of
it.

A commit alone is none. On a full disk one that is small enough finds room where the one that failed has been.
"""

import asyncio
from pathlib import Path
from typing import Final

from tuppence_server.data_dir import take_room
from tuppence_server.domain.commands import Probe
from tuppence_server.domain.effects import Done
from tuppence_server.domain.request import Request as Submission
from tuppence_server.domain.rows import OPERATOR
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.pipeline.sweep import sound
from tuppence_server.store.contract import Upkeep

PROBE_EVERY_S: Final = 1.0
"""However often it is asked, the disk is written to no more often than this."""


class Readiness:
    """What `/readyz` tells of one server, which tries the disk every `every_s` at most."""

    def __init__(self, store: Upkeep, pipeline: Pipeline, data: Path, every_s: float = PROBE_EVERY_S) -> None:
        self._every_s = every_s
        self._store = store
        self._pipeline = pipeline
        self._data = data
        self._proved_faults = 0
        self._one_at_a_time = asyncio.Lock()
        self._next_probe = 0.0

    async def ready(self) -> bool:
        """True where no write has failed, or one has been tried since and went through,
        and the files are there."""
        if not sound(self._store, self._pipeline):
            return False
        if self._proved:
            return True
        async with self._one_at_a_time:
            now = asyncio.get_running_loop().time()
            if not self._proved and now >= self._next_probe:
                self._next_probe = now + self._every_s
                await self._probe()
        return self._proved

    @property
    def _proved(self) -> bool:
        return self._proved_faults == self._pipeline.write_faults

    async def _probe(self) -> None:
        faults = self._pipeline.write_faults
        try:
            await asyncio.to_thread(take_room, self._data)
        except OSError:
            return
        if isinstance(await self._pipeline.ask(Submission(Probe(), OPERATOR)), Done):
            self._proved_faults = faults
