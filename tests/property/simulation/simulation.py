"""People on the real road over a real store, with a model beside them and a check after every step."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Self
from unittest.mock import patch

from structlog.testing import capture_logs
from tests.contract.stores import START_MS, Counted, command, event_id, opened, wire_id
from tests.property.model.amounts import show
from tests.property.model.model import Model
from tests.property.model.records import (
    ENABLED,
    HOUR_MS,
    IDS,
    OPERATOR,
    PEOPLE,
    Order,
    Payment,
    Terms,
)
from tests.property.simulation import new
from tests.property.simulation.checks import check_all, rows
from tests.property.simulation.fold import ENDLESS, Fold, told
from tests.property.simulation.orders import OrderGenerator
from tests.property.simulation.outcomes import check_preview, check_quote, check_refusal, look_at, request_of
from tests.property.simulation.road import ENTRIES_BEHIND_MAX, FlakyStore, SimulatedRoad
from tests.property.simulation.step import ON_ITS_OWN, Step
from tests.property.simulation.terms import policy_of
from tests.property.simulation.verbs import VERBS
from tests.support.road import word

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PREVIEWED
from tuppence_server.domain import commands
from tuppence_server.domain.effects import Balance, Outcome, Previewed, Quoted, Stored
from tuppence_server.domain.request import Request
from tuppence_server.pipeline.sweep import prune, sweep
from tuppence_server.store.contract import Store
from tuppence_server.store.sql import entries

RICH: Final = ("alice", "bob", "carol")
"""Those who have money from the start."""
ASKED_FIRST: Final = 7
"""The `pick` of a step in a burst that comes with a preview before it."""


class Simulation:
    """People, the operator and a clock. Every act is foretold by the model, and the ledger checked after
    it."""

    def __init__(
        self, kind: str, terms: Terms, note: Callable[[str], object] = str, *, narrow: bool = False
    ) -> None:
        self.kind = kind
        self.narrow = narrow
        self.note = note
        self.policy = policy_of(terms)
        self.folder = tempfile.TemporaryDirectory(prefix="tuppence-")
        self.fresh = Counted()
        self.clock_ms = self.steady_ms = START_MS
        self.model = Model(terms)
        self.orders = OrderGenerator(self.model, VERBS)
        self.around = ExitStack()
        self.logged = self.around.enter_context(capture_logs())
        if narrow:
            self.around.enter_context(patch.object(entries, "ENTRIES_BEHIND_MAX", ENTRIES_BEHIND_MAX))
        self.stack = AsyncExitStack()
        self.store: FlakyStore
        self._reads: Store
        self.road: SimulatedRoad
        self.fold = Fold()
        self.told: list[int] = []
        self.shown: list[tuple[int, Sequence[Balance]]] = []
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.touched: dict[str, Payment] = {}
        self.untold: dict[int, Outcome] = {}
        self.sent: list[tuple[int, int, Request, Outcome]] = []
        """When by both clocks, what, and what became of it."""

    async def __aenter__(self) -> Self:
        """Open the store and bring the people and their groups."""
        await self._open(None)
        for number, who in enumerate(PEOPLE, 1):
            own = wire_id("c_", number)
            order = commands.CreateUser(IDS[who], own, who, who.title(), None)
            assert word(await self.road.ask(command(order))) == "done"
            self.model.own(who, own)
        for owner, members in (("alice", ("bob", "carol", "dave")), ("erin", ("alice", "bob", "dave"))):
            body = {"title": "Club", "members": [f"@{member}" for member in members]}
            content = {"kind": "room.create", "id": self.orders.key(), "body": body}
            await self.batch([Order(owner, content, "room")])
        await self.batch([self._first_money(who, currency) for who in RICH for currency in ENABLED])
        await check_all(self)
        self.sent.clear()
        return self

    def _first_money(self, who: str, currency: str) -> Order:
        content = {
            "kind": "pay.deposit", "id": self.orders.key(), "handle": who, "amount": show(10_000, currency),
            "currency": currency, "note": None,
        }  # fmt: skip
        return Order(OPERATOR, content, "deposit")

    async def _open(self, kept: Store | None) -> None:
        store = kept
        if store is None:
            store = await self.stack.enter_async_context(opened(self.kind, Path(self.folder.name)))
        self.store, self._reads = FlakyStore(store, slow=self.narrow), store
        self.road = SimulatedRoad(self.store, self.policy, self.fresh, self)
        self.store.idle = self.road.is_idle
        self.road.start(await self.store.head())

    async def restart(self, *, kill: bool) -> None:
        """Stop in good order, or throw road and book away; then start anew from the store."""
        self.note("killed" if kill else "stopped")
        await (self.road.kill() if kill else self.road.stop())
        kept = self.store.store if self.kind == "memory" else None
        if kept is None:
            await self.stack.aclose()
        await self._open(kept)
        self.counts["killed" if kill else "restarted"] += 1

    async def __aexit__(self, fault: type[BaseException] | None, *_: object) -> None:
        """Check everything from the beginning, unless something went wrong, and go."""
        try:
            if fault is None:
                self.fold, self.told = Fold(), []
                await check_all(self, whole=True)
            await self.road.kill()
        finally:
            await self.stack.aclose()
            self.folder.cleanup()
            self.around.close()

    def tick(self, ms: int) -> None:
        """Set the machine's clock, forward or back; the road's never goes back."""
        self.clock_ms += ms
        self.steady_ms += max(0, ms)
        self.note(f"the clock moves by {ms} ms")
        self.counts["clock"] += 1

    def tick_to(self, kind: str, pick: int, *, early: bool) -> None:
        """Set the clock to a moment when something ends, or to the last one before."""
        self.tell_time()
        moments = sorted(moment for moment in self.model.moments(kind) if moment > self.model.now)
        if moments:
            self.tick(moments[pick % len(moments)] - early - self.road.now_ms())

    def forget(self, after: int) -> None:
        """Let the road drop its book as soon as it may after so many more frames."""
        self.road.forget_after = after
        self.note(f"forget after {after}")

    def tell_time(self) -> None:
        """What time it is on the road."""
        self.model.now = self.road.now_ms()

    async def act(self, step: Step, fault: str = "") -> None:
        """One step in a batch of its own."""
        self.tell_time()
        if step.verb in ON_ITS_OWN:
            await self.batch([new.quote(self.orders, step)])
            if not self.model.quotes:
                return
        await self.batch([self.orders.order(step)], fault)

    async def burst(self, steps: Sequence[Step], fault: str = "") -> None:
        """Several steps on the road before any of them is settled; each may act on what those before it
        made."""
        self.tell_time()
        exchange = next((step for step in steps if step.verb in ON_ITS_OWN), None)
        if exchange is not None:
            await self.batch([new.quote(self.orders, exchange)])
        orders = []
        for step in steps:
            if step.verb in ON_ITS_OWN and not self.model.quotes:
                continue
            order = self.orders.order(step)
            told = order.content.get("ref") not in {payment.id for payment in self.orders.planned}
            if step.pick == ASKED_FIRST and told and order.content["kind"] in PREVIEWED:
                orders.append(replace(order, verb="preview", ask=True))
            verdict = self.model.expect(order)
            if verdict.effect is not None and verdict.effect.made is not None:
                self.orders.planned.append(verdict.effect.made)
            orders.append(order)
        self.orders.planned.clear()
        self.counts["burst"] += 1
        await self.batch(orders, fault)

    async def preview(self, step: Step, *, send: bool) -> None:
        """Look at what would come, find nothing changed, and perhaps let it come, just so."""
        self.tell_time()
        order = self.orders.order(step)
        if order.content["kind"] not in PREVIEWED:
            await self.batch([order])
            return
        used = order.content["id"] in self.model.past
        (before,) = await self.batch([replace(order, verb="preview", ask=True)])
        await check_all(self)
        if not send:
            return
        (after,) = await self.batch([order])
        if used or word(after) == "balance_limit":
            return  # what was sent already is not previewed, and what somebody else has is not told
        if isinstance(before, Refusal):
            assert after == before
            return
        assert isinstance(before, Previewed)
        assert isinstance(after, Stored)
        assert told(before.body) == told(after.event.body)
        funds, pos = await self.store.funds(IDS[order.author])
        assert pos == before.pos + 1
        for each in funds:
            if each.currency in before.after:
                assert (each.available, each.held) == before.after[each.currency]

    async def sweep(self, fault: str = "") -> None:
        """End all that is due, as the server's own sweep does."""
        self.tell_time()
        fault = "" if self.narrow else fault  # what a fault leaves is foretold for a sweep of one batch
        due = self.model.due()
        assert await self.store.due(self.model.now, 500) == due[:500]
        self.store.fault, self.store.failed = fault, ""
        swept = await sweep(self.store, self.road)
        self.store.fault = ""
        failed = self.store.failed
        assert swept == (0 if failed else len(due))
        self.note(f"{self.model.now} swept {len(due)}{' and failed ' * bool(failed)}{failed}")
        self.counts["sweep"] += 1
        if not failed or failed.endswith("after"):
            came = [
                event async for events in self.store.log(len(self.model.lines), ENDLESS) for event in events
            ]
            assert len(came) == len(due), "what was due has expired"
            for payment, event in zip(due, came, strict=True):
                content = {"kind": "pay.expire", "id": json.loads(event.head)["id"], "payment": payment}
                await self._compare(Order(OPERATOR, content, "expire"), Stored(event))
        if failed:
            self.counts[f"fault {failed}"] += 1
            await self._recover(failed)
        await self._prune()

    async def _prune(self) -> None:
        """Drop what nobody needs any more: of quotes, those that nobody took up."""
        self.tell_time()
        over = [
            key
            for key, quote in self.model.quotes.items()
            if not quote["used"] and quote["expires_at"] <= self.model.now - HOUR_MS
        ]
        pruned = await prune(self.store, self.road)
        assert pruned >= len(over)
        for key in over:
            del self.model.quotes[key]
        self.counts["pruned"] += pruned

    async def batch(self, orders: Sequence[Order], fault: str = "") -> list[Outcome]:
        """Send orders at once, and once more those of which a fault left nothing known; all as foretold."""
        if not orders:
            return []
        requests = [request_of(order) for order in orders]
        self.tell_time()
        self.untold = {}
        self.store.fault, self.store.failed = fault, ""
        outcomes = await self.road.at_once(requests)
        self.store.fault = ""
        failed = self.store.failed
        times = (self.clock_ms, self.steady_ms)
        self.sent += [(*times, *each) for each in zip(requests, outcomes, strict=True)]
        for order, outcome in zip(orders, outcomes, strict=True):
            self.note(f"{self.model.now} {order.author}: {_shown(order)} -> {word(outcome)}")
        again: list[int] = []
        for number, (order, request) in enumerate(zip(orders, requests, strict=True)):
            outcome = outcomes[number]
            if word(outcome) == "unavailable":
                assert failed, outcome
                assert isinstance(outcome, Refusal)
                assert not outcome.final
                self.refusals["unavailable"] += 1
                again.append(number)
                if id(request) in self.untold:
                    await self._compare(order, self.untold[id(request)])
                continue
            await self._compare(order, outcome)
        if failed:
            self.counts[f"fault {failed}"] += 1
            self.note(f"the save failed: {failed}")
            await self._recover(failed)
        for number in again:
            outcomes[number] = await self._retry(orders[number], requests[number])
        return outcomes

    async def _recover(self, failed: str) -> None:
        if failed.startswith("kill"):
            assert (self.road.fatals, self.road.writable) == (1, False)
            assert word(await self.road.ask(request_of(self.orders.expiry(event_id(1))))) == "unavailable"
            await self.restart(kill=True)
        assert self.road.fatals == 0
        assert word(await self.road.ask(command(commands.Probe()))) == "done"

    async def _retry(self, order: Order, request: Request) -> Outcome:
        self.tell_time()
        outcome = await self.road.ask(request)
        await self._compare(order, outcome)
        return outcome

    async def _compare(self, order: Order, outcome: Outcome) -> None:
        """Hold an outcome against what was foretold, and take it in."""
        key = order.content.get("id", "")
        past = None if order.ask else self.model.past.get(key)
        drawn = None
        if order.content["kind"] == "pay.packet" and isinstance(outcome, Stored) and not outcome.repeated:
            shares = (await rows(self, payments=[key])).shares[key]
            drawn = [share.amount for share in shares]
        verdict = self.model.expect(order, drawn)
        assert word(outcome) == verdict.word, (order, outcome, verdict.word)
        self.counts[order.verb] += 1
        if isinstance(outcome, Refusal):
            check_refusal(self, outcome, verdict, past)
        if isinstance(outcome, Quoted):
            check_quote(outcome, verdict)
        if isinstance(outcome, Previewed):
            check_preview(self, order.author, outcome, verdict)
        conv = ""
        if isinstance(outcome, Stored):
            conv = outcome.event.conv
            if outcome.repeated:
                assert past is not None
                assert isinstance(past.outcome, Stored)
                assert past.outcome.event == outcome.event, "the event of then, byte for byte"
            else:
                self.counts[f"{order.content['kind']} stored"] += 1
                look_at(self, order, outcome, verdict)
        self.model.take(order, verdict, conv, outcome)


def _shown(order: Order) -> str:
    asked = "preview " if order.ask else ""
    return asked + json.dumps({name: value for name, value in order.content.items() if value is not None})
