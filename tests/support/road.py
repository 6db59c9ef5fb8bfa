"""The real road over any store, at a time that a test sets, with three people on it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.contract.stores import POLICY, START_MS, Counted, command, event_id, frame, said, wire_id

from tuppence_server.domain.commands import CreateUser, Deposit
from tuppence_server.domain.effects import Outcome, Publish, Stored
from tuppence_server.domain.request import Request
from tuppence_server.pipeline.clock import Clock
from tuppence_server.pipeline.commits import Committed
from tuppence_server.pipeline.inbox import BOUNDS, Bounds
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import Packed, Store, StoreFault
from tuppence_server.telemetry.metrics import Metrics

PEOPLE: Final = ("alice", "bob", "carol")
IDS: Final = {who: wire_id("u_", number + 1) for number, who in enumerate(PEOPLE)}


class Road(Pipeline):
    """The road with countable ids and salts, so that two runs can be compared; it keeps what it tells."""

    def __init__(self, store: Store, fresh: Counted, bounds: Bounds) -> None:
        self.at_ms = START_MS
        self.fatals = 0
        self.commits: list[Committed] = []
        clock = Clock(lambda: self.at_ms * 10**6, lambda: 0)
        super().__init__(store, POLICY, fresh, self._keep, Metrics(), self._note_fatal, clock, bounds=bounds)

    def _note_fatal(self) -> None:
        self.fatals += 1

    def _keep(self, commit: Committed) -> None:
        self.commits.append(commit)

    @property
    def told(self) -> list[int]:
        """The `pos` of all events that were told, in their order."""
        return [
            each.event.pos for commit in self.commits for each in commit.outflow if isinstance(each, Publish)
        ]

    async def at_once(self, requests: Sequence[Request]) -> list[Outcome]:
        """Put all requests on the road before any of them is decided."""
        waiting = [asyncio.create_task(self.ask(request)) for request in requests]
        return list(await asyncio.gather(*waiting))


@asynccontextmanager
async def road_on(store: Store, fresh: Counted | None = None, bounds: Bounds = BOUNDS) -> AsyncIterator[Road]:
    """A road over a store that has the people. Who restarts goes on with `fresh`, or ids would come again."""
    road = Road(store, fresh or Counted(), bounds)
    road.start(await store.head())
    if not await store.users():
        for number, who in enumerate(PEOPLE):
            await road.ask(command(CreateUser(IDS[who], wire_id("c_", number + 1), who, "", None)))
    try:
        yield road
    finally:
        await road.stop()


def word(outcome: Outcome) -> str:
    """What became of a request, in one word; "repeated" for the same id again."""
    return "repeated" if isinstance(outcome, Stored) and outcome.repeated else said(outcome)


def deposit(key: int, who: str, amount: str) -> Request:
    """The operator's credit of euros."""
    return command(Deposit(event_id(key), who, amount, "EUR", None))


def pay(key: int, who: str, to: str, amount: str) -> Request:
    """A payment of euros."""
    return frame(
        IDS[who], "pay.send", f"@{to}", event_id(key), None, amount=amount, currency="EUR", payee=f"@{to}"
    )


def refund(key: int, who: str, to: str, of: int, **body: Any) -> Request:
    """A payment given back, whole or in part."""
    return frame(IDS[who], "pay.refund", f"@{to}", event_id(key), event_id(of), **body)


def texts(count: int, first: int = 1_000, text: str = "Hello") -> list[Request]:
    """Lines that Carol writes to herself."""
    keys = range(first, first + count)
    return [frame(IDS["carol"], "chat.text", "self", event_id(key), None, text=text) for key in keys]


class BlockingStore:
    """A store whose saves wait to be let through, and may fail then; `seen` notes each that begins."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.open = asyncio.Event()
        self.open.set()
        self.fault: Exception | None = None
        self.seen: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def save(self, packed: Packed) -> None:
        """Save once it is open, or fail then."""
        self.seen.append("save")
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        await self.store.save(packed)

    def block(self) -> None:
        """Let nothing through from now on, and forget what was seen."""
        self.open.clear()
        self.seen.clear()

    def fail(self, fault: str, *, fatal: bool = False) -> None:
        """Let the save go on, to fail."""
        self.fault = StoreFault(fault, fatal=fatal)
        self.open.set()
