"""The real road by a clock that can be set, over a store that is slow and fails; in narrow steps where that
is asked for.

Frames are then decided beside every save, loaded two at a time, and a batch is full with five; the book is
dropped as soon as it holds a few rows; and SQLite's entries are filled in after every third transfer.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from tests.contract.stores import Counted

from tuppence_server.domain.effects import Outcome, Publish
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.policy import Policy
from tuppence_server.domain.request import Request
from tuppence_server.domain.rules import needs
from tuppence_server.pipeline.clock import Clock
from tuppence_server.pipeline.commits import Committed
from tuppence_server.pipeline.inbox import BOUNDS, Bounds
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import Packed, Store, StoreFault
from tuppence_server.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tests.property.simulation.simulation import Simulation


FAULTS: Final = ("before", "after", "kill_before", "kill_after")
"""The next save fails: nothing was written, or all was and nobody knows; and then perhaps the process
ends."""
FRAMES_NEVER: Final = 10**9
SAVE_TURNS_MAX: Final = 4_000
"""Turns of the loop that a save lasts at most; otherwise until the road waits for it."""
ENTRIES_BEHIND_MAX: Final = 3
"""Transfers after which a narrow store fills in its entries."""
SAVE_TURNS: Final = 4
"""Turns of the loop that a save should take at least, so that something is decided meanwhile."""
NARROW = Bounds(
    overlap_frames_min=1, load_frames_max=2, slice_frames=1, batch_frames_max=5, book_rows_max=130
)
"""What a narrow road is given; the book keeps about as many rows as a few people and their latest payments
have."""


class FlakyStore:
    """A store whose next save may fail, and whose saves take as long as the road has something to do beside
    them.

    One in three takes no time, one a few turns of the loop, so that it ends while more is being decided.
    """

    def __init__(self, store: Store, *, slow: bool) -> None:
        self.store = store
        self.slow = slow
        self.saves = 0
        self.idle: Callable[[], bool] = bool
        self.fault = ""
        self.failed = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def save(self, packed: Packed) -> None:
        """Save, or not; perhaps without telling."""
        fault, self.fault = self.fault, ""
        self.failed = self.failed or fault
        await self._linger()
        if fault.endswith("before"):
            raise StoreFault("nothing was written", fatal=fault.startswith("kill"))
        await self.store.save(packed)
        if fault:
            raise StoreFault("it was written, but nobody knows", fatal=fault.startswith("kill"))

    async def _linger(self) -> None:
        self.saves += self.slow
        turns = (0, SAVE_TURNS, SAVE_TURNS_MAX)[self.saves % 3]
        while turns and not (turns > SAVE_TURNS and self.idle()):
            turns -= 1
            await asyncio.sleep(0)


class SimulatedRoad(Pipeline):
    """The real road by a clock that can be set."""

    def __init__(self, store: Store, policy: Policy, fresh: Counted, simulation: "Simulation") -> None:
        self.simulation = simulation
        self.fatals = 0
        self.forget_after = FRAMES_NEVER
        clock = Clock(lambda: simulation.clock_ms * 10**6, lambda: simulation.steady_ms * 10**6)
        bounds = NARROW if simulation.narrow else BOUNDS
        super().__init__(
            store, policy, fresh, self._pass_on, Metrics(), self._note_fatal, clock, bounds=bounds
        )

    def is_idle(self) -> bool:
        """True while it waits for frames, or for the save that is going on."""
        return self._inbox._bell is not None

    async def _decide_all(self, opened: Any, taken: list[Any]) -> None:
        """Drop the book where that is asked for, as the road may while nothing is on its way."""
        counts = self.simulation.counts
        if opened.batch:
            counts["taken into an open batch"] += 1
        elif self._sealed is not None:
            counts["decided beside a save"] += 1
        elif self.forget_after <= 0:
            self._book.forget(self._book.head)
            self.forget_after = FRAMES_NEVER
            counts["forgot"] += 1
        self.forget_after -= len(taken)
        await super()._decide_all(opened, taken)

    async def _load(self, batch: list[Any]) -> None:
        """Load, and find that no rule would ask for more."""
        await super()._load(batch)
        keys = Keys()
        for request, _ in batch:
            needs(self._book, keys, request)
        assert not keys, "a rule is decided without rows that it asked for"

    def _seal(self) -> None:
        """Note what becomes of a batch that is going to be written and nobody told of."""
        super()._seal()
        if (
            self._sealed is not None
            and self._sealed.changes
            and self.simulation.store.fault.endswith("after")
        ):
            told = zip(self._sealed.batch, self._sealed.outcomes, strict=True)
            self.simulation.untold = {id(request): outcome for (request, _), outcome in told}

    def _note_fatal(self) -> None:
        self.fatals += 1

    def _pass_on(self, commit: Committed) -> None:
        told = [item.event.pos for item in commit.outflow if isinstance(item, Publish)]
        assert not self.simulation.told or not told or told[0] > self.simulation.told[-1], (
            "told in the order of the log"
        )
        self.simulation.told += told
        if commit.balances:
            self.simulation.shown.append((commit.pos, commit.balances))

    async def at_once(self, requests: Sequence[Request]) -> list[Outcome]:
        """Put all requests on the road before any of them is settled."""
        waiting = [asyncio.create_task(self.ask(request)) for request in requests]
        return list(await asyncio.gather(*waiting))

    async def kill(self) -> None:
        """Throw the road away as it stands."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
