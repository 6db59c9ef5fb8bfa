"""A town of people on the real road over a real store, with a model beside it and a check after every step."""

import asyncio
import contextlib
import hashlib
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from structlog.testing import capture_logs
from tests.contract.stores import START_MS, Counted, command, event_id, frame, opened, wire_id
from tests.property.money_model import (
    CLOSED,
    ENABLED,
    FROZEN_IN,
    FROZEN_OUT,
    HOUR_MS,
    IDS,
    MONTH_MS,
    OPERATOR,
    PEOPLE,
    SERVER,
    SLOT_MS,
    Line,
    Model,
    Order,
    Payment,
    Terms,
    Verdict,
    same_json,
    show,
    windows,
)
from tests.property.money_steps import ON_ITS_OWN, PREVIEWED, Composer, Step
from tests.property.narrow import NARROW, SAVE_TURNS, narrowed
from tests.support.road import word

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PaymentsBody, StatementBody
from tuppence_protocol.packets import Mode, is_fair
from tuppence_server.audit.verify import verify
from tuppence_server.domain import commands
from tuppence_server.domain.book import Book
from tuppence_server.domain.effects import Balance, Outcome, Previewed, Publish, Quoted, Stored
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.pay.limits import oldest_slot
from tuppence_server.domain.policy import FeeRule, Limits, Policy
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import LoggedEvent, LogHead, Transfer
from tuppence_server.domain.rules import needs
from tuppence_server.pipeline.clock import Clock
from tuppence_server.pipeline.commits import Committed
from tuppence_server.pipeline.inbox import BOUNDS
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.pipeline.sweep import prune, sweep
from tuppence_server.reports import payments, statement
from tuppence_server.store.contract import Misplaced, Packed, Store, StoreFault
from tuppence_server.telemetry.metrics import Metrics

FAULTS: Final = ("before", "after", "kill_before", "kill_after")
"""The next save fails: nothing was written, or all was and nobody knows; and then perhaps the process ends."""
RICH: Final = ("alice", "bob", "carol")
"""Those who have money from the start."""
EXPECTED_LOGS: Final = frozenset({"clock_behind", "clock_jumped", "store_fault", "sweep_refused"})
ASKED_FIRST: Final = 7
"""The `pick` of a step in a burst that comes with a preview before it."""
BOOK_EVERY: Final = 3
"""Events after which the book is held against the store."""
BOOK_TABLES: Final = (
    "users", "handles", "skeletons", "sessions", "conversations", "pairs", "members", "accounts", "payments",
    "asked", "quotes",
)  # fmt: skip
READ_EVERY: Final = 5
"""Events after which a statement and a list of payments are read."""
ENDLESS: Final = 10**12
FRAMES_NEVER: Final = 10**9
SAVE_TURNS_MAX: Final = 4_000
"""Turns of the loop that a save lasts at most; otherwise until the road waits for it."""


def _fee(
    kind: str, currency: str, tier: str, on: str, fixed: int, ppm: int, minimum: int, maximum: int | None
) -> dict[str, Any]:
    return {
        "kind": kind, "currency": currency, "tier": tier, "on": on, "fixed": fixed, "ppm": ppm,
        "minimum": minimum, "maximum": maximum,
    }  # fmt: skip


_TIGHT: Final = {
    ("tight", "EUR"): {
        "per_payment": 9_000, "daily": 12_000, "monthly": 20_000, "hourly_count": 2, "balance": 40_000,
    },
    ("tight", "JPY"): {"daily": 6_000, "hourly_count": 2},
    ("loose", "EUR"): {"hourly_count": 2, "monthly": 12_000, "balance": 15_000},
}  # fmt: skip
TERMS: Final = (
    Terms(),
    Terms(
        fees=(
            _fee("send", "EUR", "vip", "payer", 0, 0, 0, None),
            _fee("send", "EUR", "*", "payer", 10, 12_345, 0, None),
            _fee("send", "KWD", "*", "payee", 3, 20_000, 0, None),
            _fee("packet", "*", "*", "payer", 1, 1_000, 2, 9),
            _fee("exchange", "*", "*", "payer", 0, 5_000, 1, None),
        ),
        limits=_TIGHT,
        spread_ppm=7_500,
    ),
    Terms(
        mode="live",
        fees=(
            _fee("send", "*", "tight", "payee", 1, 33_333, 2, 40),
            _fee("*", "JPY", "*", "payer", 1, 0, 0, None),
        ),
        limits={
            **_TIGHT,
            ("basic", "EUR"): {"daily": 60_000, "monthly": 100_000, "hourly_count": 6},
            ("basic", "KWD"): {"per_payment": 20_000, "balance": 20_000},
        },
    ),
    Terms(mode="live", limits=_TIGHT, spread_ppm=1),
)


def policy_of(terms: Terms) -> Policy:
    """The terms as the server has them."""
    fees = tuple(FeeRule(**rule) for rule in terms.fees)
    limits = {key: Limits(**limit) for key, limit in terms.limits.items()}
    return Policy(frozenset(ENABLED), terms.mode, fees, limits, terms.spread_ppm)


class Shaky:
    """A store whose next save may fail, and whose saves take as long as the road has something to do beside them.

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


class MoneyRoad(Pipeline):
    """The real road by a clock that can be set."""

    def __init__(self, store: Store, policy: Policy, fresh: Counted, town: "Town") -> None:
        self.town = town
        self.fatals = 0
        self.forget_after = FRAMES_NEVER
        clock = Clock(lambda: town.clock_ms * 10**6, lambda: town.steady_ms * 10**6)
        bounds = NARROW if town.narrow else BOUNDS
        super().__init__(
            store, policy, fresh, self._pass_on, Metrics(), self._note_fatal, clock, bounds=bounds
        )

    def is_idle(self) -> bool:
        """True while it waits for frames, or for the save that is going on."""
        return self._inbox._bell is not None

    async def _decide_all(self, opened: Any, taken: list[Any]) -> None:
        """Drop the book where that is asked for, as the road may while nothing is on its way."""
        counts = self.town.counts
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
        if self._sealed is not None and self._sealed.changes and self.town.store.fault.endswith("after"):
            told = zip(self._sealed.batch, self._sealed.outcomes, strict=True)
            self.town.untold = {id(request): outcome for (request, _), outcome in told}

    def _note_fatal(self) -> None:
        self.fatals += 1

    def _pass_on(self, commit: Committed) -> None:
        told = [item.event.pos for item in commit.outflow if isinstance(item, Publish)]
        assert not self.town.told or not told or told[0] > self.town.told[-1], "told in the order of the log"
        self.town.told += told
        if commit.balances:
            self.town.shown.append((commit.pos, commit.balances))

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


class Fold:
    """The log and the transfers, read on from where it stopped and added up anew."""

    def __init__(self) -> None:
        self.pos = 0
        self.transfer = 0
        self.hash = bytes(32)
        self.seqs: Counter[str] = Counter()
        self.counters: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.holds: dict[int, Transfer] = {}
        self.ended: set[int] = set()
        self.ids: set[str] = set()
        self.keys: dict[int, tuple[str, str, str]] = {}
        self.posted: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """By account: where and how much, less than nothing where it went out."""

    async def read(self, town: "Town") -> None:
        """Everything that came since, each event against the model's line."""
        store = town.store
        accounts = self.keys = {
            account.id: (town.name_of(account.owner), account.currency, account.code)
            for account in await store.accounts()
        }
        moved: dict[int, list[Transfer]] = defaultdict(list)
        async for rows in store.transfers(self.transfer, ENDLESS):
            for row in rows:
                self.transfer += 1
                assert row.id == self.transfer, "transfers are counted without a gap"
                moved[row.pos].append(row)
        async for events in store.log(self.pos, ENDLESS):
            for event in events:
                self._event(event, moved.pop(event.pos, []), accounts, town.model.lines)
                for pos, balances in town.shown:
                    if pos == event.pos:
                        self._shown(balances, accounts)
        assert not moved, "every transfer has its event"
        town.shown = [each for each in town.shown if each[0] > self.pos]
        assert self.pos == len(town.model.lines), "every event was foretold"

    def _event(
        self,
        event: LoggedEvent,
        moved: list[Transfer],
        accounts: dict[int, tuple[str, str, str]],
        lines: list[Line],
    ) -> None:
        self.pos += 1
        self.seqs[event.conv] += 1
        assert (event.pos, event.seq) == (self.pos, self.seqs[event.conv]), "without a gap"
        assert event.pos <= len(lines), f"nobody foretold {event.head!r}"
        line = lines[event.pos - 1]
        head = json.loads(event.head)
        content = line.content
        author = line.author if line.author == SERVER else IDS[line.author]
        wanted = {
            "kind": content["kind"], "id": content["id"], "conv": line.conv, "seq": line.seq, "pos": self.pos,
            "from": author, "at": line.at,
        }  # fmt: skip
        ref = content.get("payment") or content.get("ref")
        if ref:
            wanted["ref"] = ref
        assert head == wanted
        assert head["id"] not in self.ids, "one event for each id"
        self.ids.add(head["id"])
        if line.body is not None:
            assert same_json(_told(event.body), line.body), (_told(event.body), line.body)
        found = sorted((accounts[m.debit], accounts[m.credit], m.amount, m.phase) for m in moved)
        assert found == sorted((m.debit, m.credit, m.amount, m.phase) for m in line.moves)
        self._link(event, moved)
        for row in moved:
            self._count(row)
        _nothing_of_the_frozen(moved, accounts, line)

    def _link(self, event: LoggedEvent, moved: list[Transfer]) -> None:
        """The audit chain, as it is written down in the protocol's words."""
        transfers = "".join(
            f"{m.id} {m.debit} {m.credit} {m.amount} {m.code}"
            + ("" if m.phase == "single" else f" {m.phase} {m.pending}")
            + "\n"
            for m in moved
        ).encode()
        commitment = hashlib.sha256(event.salt + event.body).digest()
        parts = len(event.head).to_bytes(4, "big") + event.head + commitment
        parts += len(transfers).to_bytes(4, "big") + transfers
        self.hash = hashlib.sha256(b"tuppence-chain-1" + self.hash + parts).digest()
        assert event.hash == self.hash

    def _count(self, row: Transfer) -> None:
        debit, credit, amount = self.counters[row.debit], self.counters[row.credit], row.amount
        if row.phase == "single":
            assert not row.pending
        elif row.phase == "pending":
            self.holds[row.id] = row
            debit[2] += amount
            credit[3] += amount
        else:
            assert row.pending not in self.ended, "a hold has one outcome"
            self.ended.add(row.pending)
            hold = self.holds.pop(row.pending)
            assert (hold.debit, hold.credit, hold.amount) == (row.debit, row.credit, amount)
            debit[2] -= amount
            credit[3] -= amount
        if row.phase in {"single", "post"}:
            debit[0] += amount
            credit[1] += amount
            self.posted[row.debit].append((row.pos, -amount))
            self.posted[row.credit].append((row.pos, amount))

    def _shown(self, balances: Sequence[Balance], accounts: dict[int, tuple[str, str, str]]) -> None:
        """A balance that a client was shown is the ledger at the `pos` it names."""
        numbers = {key: number for number, key in accounts.items()}
        for each in balances:
            debits, credits_, held, _ = self.counters[
                numbers[NAMES_OF[each.owner], each.currency, "customer"]
            ]
            assert (each.available, each.held) == (credits_ - debits - held, held)


NAMES_OF: Final = {user: who for who, user in IDS.items()}


def _told(body: bytes) -> dict[str, Any]:
    """An event's body but for what only the server can know."""
    found: dict[str, Any] = json.loads(body)
    assert isinstance(found.pop("alt", ""), str)
    for name in ("proof", "seed"):
        found.pop(name, None)
    return found


def _nothing_of_the_frozen(
    moved: list[Transfer], accounts: dict[int, tuple[str, str, str]], line: Line
) -> None:
    """Nothing is spent of what is frozen out or closed, and nothing comes to what is frozen in or closed."""
    if not line.flags or line.content["kind"] in {"pay.withdraw", "pay.reverse"}:  # the operator's own word
        return
    net: Counter[tuple[str, str]] = Counter()
    for row in moved:
        for number, sign in ((row.debit, -1), (row.credit, 1)):
            who, currency, code = accounts[number]
            if code == "customer" and row.phase in {"single", "post", "pending"}:
                net[who, currency] += sign * row.amount
    for key, amount in net.items():
        flags = line.flags.get(key, 0)
        assert amount >= 0 or not flags & (FROZEN_OUT | CLOSED), f"{key} is frozen and spends"
        assert amount <= 0 or not flags & (FROZEN_IN | CLOSED), f"{key} is frozen and gets"


class Town:
    """People, the operator and a clock. Every act is foretold by the model, and the ledger checked after it."""

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
        self.composer = Composer(self.model)
        self.steps = ExitStack()
        self.steps.enter_context(narrowed(really=narrow))
        self.logs = ExitStack()
        self.logged = self.logs.enter_context(capture_logs())
        self.stack = AsyncExitStack()
        self.store: Shaky
        self._reads: Store
        self.road: MoneyRoad
        self.fold = Fold()
        self.told: list[int] = []
        self.shown: list[tuple[int, Sequence[Balance]]] = []
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.touched: dict[str, Payment] = {}
        self.untold: dict[int, Outcome] = {}

    # --- beginning and ending ---------------------------------------------------------------------------

    async def begin(self) -> None:
        """Open the store and bring the people and their groups."""
        await self._open(None)
        for number, who in enumerate(PEOPLE, 1):
            own = wire_id("c_", number)
            order = commands.CreateUser(IDS[who], own, who, who.title(), None)
            assert word(await self.road.ask(command(order))) == "done"
            self.model.own(who, own)
        for owner, members in (("alice", ("bob", "carol", "dave")), ("erin", ("alice", "bob", "dave"))):
            body = {"title": "Club", "members": [f"@{member}" for member in members]}
            content = {"kind": "room.create", "id": self.composer.key(), "body": body}
            await self.batch([Order(owner, content, "room")])
        await self.batch([self._first_money(who, currency) for who in RICH for currency in ENABLED])
        await self.check()

    def _first_money(self, who: str, currency: str) -> Order:
        content = {
            "kind": "pay.deposit", "id": self.composer.key(), "handle": who, "amount": show(10_000, currency),
            "currency": currency, "note": None,
        }  # fmt: skip
        return Order(OPERATOR, content, "deposit")

    async def _open(self, kept: Store | None) -> None:
        store = kept
        if store is None:
            store = await self.stack.enter_async_context(opened(self.kind, Path(self.folder.name)))
        self.store, self._reads = Shaky(store, slow=self.narrow), store
        self.road = MoneyRoad(self.store, self.policy, self.fresh, self)
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

    async def end(self) -> None:
        """Check everything from the beginning, and go."""
        try:
            self.fold, self.told = Fold(), []
            await self.check(whole=True)
            await self.road.stop()
        finally:
            await self._close()

    async def drop(self) -> None:
        """Go without a look back, after something went wrong."""
        await self.road.kill()
        await self._close()

    async def _close(self) -> None:
        await self.stack.aclose()
        self.steps.close()
        self.folder.cleanup()
        self.logs.close()

    # --- acting -----------------------------------------------------------------------------------------

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
            await self.batch([self.composer.quote(step)])
            if not self.model.quotes:
                return
        await self.batch([self.composer.order(step)], fault)

    async def burst(self, steps: Sequence[Step], fault: str = "") -> None:
        """Several steps on the road before any of them is settled; each may act on what those before it made."""
        self.tell_time()
        exchange = next((step for step in steps if step.verb in ON_ITS_OWN), None)
        if exchange is not None:
            await self.batch([self.composer.quote(exchange)])
        orders = []
        for step in steps:
            if step.verb in ON_ITS_OWN and not self.model.quotes:
                continue
            order = self.composer.order(step)
            told = order.content.get("ref") not in {payment.id for payment in self.composer.planned}
            if step.pick == ASKED_FIRST and told and order.content["kind"] in PREVIEWED:
                orders.append(replace(order, verb="preview", ask=True))
            verdict = self.model.expect(order)
            if verdict.effect is not None and verdict.effect.made is not None:
                self.composer.planned.append(verdict.effect.made)
            orders.append(order)
        self.composer.planned.clear()
        self.counts["burst"] += 1
        await self.batch(orders, fault)

    async def preview(self, step: Step, *, send: bool) -> None:
        """Look at what would come, find nothing changed, and perhaps let it come, just so."""
        self.tell_time()
        order = self.composer.order(step)
        if order.content["kind"] not in PREVIEWED:
            await self.batch([order])
            return
        used = order.content["id"] in self.model.past
        (before,) = await self.batch([replace(order, verb="preview", ask=True)])
        await self.check()
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
        assert _told(before.body) == _told(after.event.body)
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
                await self._settle(Order(OPERATOR, content, "expire"), Stored(event))
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

    # --- settling ---------------------------------------------------------------------------------------

    async def batch(self, orders: Sequence[Order], fault: str = "") -> list[Outcome]:
        """Send orders at once, and once more those of which a fault left nothing known; all as foretold."""
        if not orders:
            return []
        requests = [self._request(order) for order in orders]
        self.tell_time()
        self.untold = {}
        self.store.fault, self.store.failed = fault, ""
        outcomes = await self.road.at_once(requests)
        self.store.fault = ""
        failed = self.store.failed
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
                    await self._settle(order, self.untold[id(request)])
                continue
            await self._settle(order, outcome)
        if failed:
            self.counts[f"fault {failed}"] += 1
            self.note(f"the save failed: {failed}")
            await self._recover(failed)
        for number in again:
            outcomes[number] = await self._retry(orders[number], requests[number])
        return outcomes

    async def _recover(self, failed: str) -> None:
        if failed.startswith("kill"):
            assert self.road.fatals == 1
            assert (
                word(await self.road.ask(self._request(self.composer.expiry(event_id(1))))) == "unavailable"
            )
            await self.restart(kill=True)
        assert self.road.fatals == 0
        assert word(await self.road.ask(command(commands.Probe()))) == "done"

    async def _retry(self, order: Order, request: Request) -> Outcome:
        self.tell_time()
        outcome = await self.road.ask(request)
        await self._settle(order, outcome)
        return outcome

    async def _settle(self, order: Order, outcome: Outcome) -> None:
        """Hold an outcome against what was foretold, and take it in."""
        key = order.content.get("id", "")
        past = None if order.ask else self.model.past.get(key)
        drawn = None
        if order.content["kind"] == "pay.packet" and isinstance(outcome, Stored) and not outcome.repeated:
            shares = (await self._rows(payments=[key])).shares[key]
            drawn = [share.amount for share in shares]
        verdict = self.model.expect(order, drawn)
        assert word(outcome) == verdict.word, (order, outcome, verdict.word)
        self.counts[order.verb] += 1
        if isinstance(outcome, Refusal):
            self._refused(outcome, verdict, past)
        if isinstance(outcome, Quoted):
            _check_quote(outcome, verdict)
        if isinstance(outcome, Previewed):
            self._previewed(order.author, outcome, verdict)
        conv = ""
        if isinstance(outcome, Stored):
            conv = outcome.event.conv
            if outcome.repeated:
                assert past is not None
                assert isinstance(past.outcome, Stored)
                assert past.outcome.event == outcome.event, "the event of then, byte for byte"
            else:
                self.counts[f"{order.content['kind']} stored"] += 1
                self._see(order, outcome, verdict)
        self.model.take(order, verdict, conv, outcome)

    def _refused(self, outcome: Refusal, verdict: Verdict, past: Any) -> None:
        self.refusals[outcome.code] += 1
        if verdict.state is not None:
            assert outcome.state == dict(verdict.state), (outcome, verdict.state)
        if past is not None and outcome.code not in {"id_reused", "id_taken"}:
            assert past.outcome == outcome, "refused as it was then"

    def _see(self, order: Order, outcome: Stored, verdict: Verdict) -> None:
        """What the payments of an event are now to be looked at; a packet's seed must keep its promise."""
        effect = verdict.effect
        assert effect is not None
        for payment in (effect.made, effect.touched):
            if payment is not None:
                self.touched[payment.id] = payment
        body = json.loads(outcome.event.body)
        if order.content["kind"] == "pay.packet":
            assert effect.made is not None
            effect.made.proof = body["proof"]
        packet = effect.touched
        if packet is not None and packet.kind == "packet":
            assert ("seed" in body) == (body["state"] != "open")
        if "seed" in body:
            assert packet is not None
            listed = ",".join(str(part.amount) for part in packet.parts)
            promised = (
                b"tuppence-packet-1\n" + bytes.fromhex(body["seed"]) + f"\n{packet.id}\n{listed}".encode()
            )
            assert hashlib.sha256(promised).hexdigest() == packet.proof
            mode: Mode = "lucky" if packet.mode == "lucky" else "equal"
            count, seed = len(packet.parts), bytes.fromhex(body["seed"])
            assert is_fair(packet.id, packet.amount, count, mode, packet.proof, seed)

    def _previewed(self, who: str, found: Previewed, verdict: Verdict) -> None:
        """A preview against the effect that the model foretells."""
        effect = verdict.effect
        assert effect is not None
        if found.kind != "pay.packet" or effect.body is not None:
            assert same_json(_told(found.body), effect.body), (_told(found.body), effect.body)
        spends: Counter[str] = Counter()
        after: dict[str, list[int]] = {}
        fee = 0
        for move in effect.moves:
            for key, sign in ((move.debit, -1), (move.credit, 1)):
                if key[0] == who and key[2] == "customer":
                    debits, credits_, held, _ = self.model.accounts[key]
                    stands = after.setdefault(key[1], [credits_ - debits - held, held])
                    _effect_on(stands, move.phase, sign * move.amount)
            if move.debit[0] == who and move.phase in {"single", "pending"}:
                spends[move.debit[1]] += move.amount
            fee += move.amount if move.credit[2] == "fees" else 0
        assert found.spends == dict(spends)
        assert found.after == {currency: tuple(stands) for currency, stands in after.items()}
        assert (found.fee or ("", 0))[1] == fee
        assert found.pos == len(self.model.lines)

    def _request(self, order: Order) -> Request:
        content = order.content
        match content["kind"]:
            case "pay.deposit":
                named = (content["handle"], content["amount"], content["currency"], content["note"])
                return command(commands.Deposit(content["id"], *named))
            case "pay.withdraw":
                named = (content["handle"], content["amount"], content["currency"], content["reason"])
                return command(commands.Withdraw(content["id"], *named, content["note"], content["force"]))
            case "pay.reverse":
                told = (content["payment"], content["reason"], content["note"], content["force"])
                return command(commands.Reverse(content["id"], *told))
            case "pay.expire":
                return command(commands.Expire(content["id"], content["payment"]))
            case "user.flags":
                flags = (content["set"], content["clear"])
                return command(commands.SetFlags(content["handle"], content["currency"], *flags))
            case "user.tier":
                return command(commands.SetTier(content["handle"], content["tier"]))
            case "user.disable":
                return command(commands.DisableUser(content["handle"], content["disabled"]))
            case "quote":
                given = {name: value for name, value in content.items() if name not in {"kind", "owner"}}
                return command(commands.OpenQuote(owner=IDS[content["owner"]], **given))
        who = IDS[order.author]
        made = frame(
            who, content["kind"], content.get("conv"), content["id"], content.get("ref"), **content["body"]
        )
        return Request(commands.Preview(made.frame), who) if order.ask else made  # type: ignore[arg-type]

    @staticmethod
    def name_of(owner: str) -> str:
        """A person's name, or the operator."""
        return owner if owner == OPERATOR else NAMES_OF[owner]

    # --- checking ---------------------------------------------------------------------------------------

    async def check(self, *, whole: bool = False) -> None:
        """The store against the model and against itself; with `whole` every row."""
        assert self.road.writable
        assert self.road.fatals == 0
        assert not [entry for entry in self.logged if entry["event"] not in EXPECTED_LOGS], self.logged
        self.logged.clear()
        await self.fold.read(self)
        head = await self.store.head()
        assert (head.pos, head.hash, head.transfer_id) == (self.fold.pos, self.fold.hash, self.fold.transfer)
        await self._check_accounts()
        if whole or not self.fold.pos % BOOK_EVERY:
            await self._check_book()
        await self._check_payments(self.model.payments if whole else self.touched)
        self.touched = {}
        if whole:
            await self._check_rest()
        if whole or not self.fold.pos % READ_EVERY:
            turn = self.fold.pos // READ_EVERY
            places = [(who, currency) for who in PEOPLE for currency in ENABLED]
            for who, currency in places if whole else [places[turn % len(places)]]:
                await self._check_statement(who, currency)
            for who in PEOPLE if whole else [PEOPLE[turn % len(PEOPLE)]]:
                await self._check_list(who)

    async def _check_book(self) -> None:
        """With nothing on its way, every row that the road's book holds is as the store has it."""
        held, stored, keys = self.road._book, Book(LogHead(""), self.policy, self.fresh), Keys()
        stored.begin(held.now)
        for table in (*BOOK_TABLES, "uses"):
            getattr(keys, table).update(getattr(held, table))
        await self.store.load(keys, stored)
        for table in (*BOOK_TABLES, "shares"):
            found = getattr(stored, table)
            for key, row in getattr(held, table).items():
                assert row == found.get(key), f"the book's {table} are older than what is stored"
        since = oldest_slot(held.now)
        for use, slots in held.uses.items():
            assert {slot: row for slot, row in slots.items() if slot >= since} == stored.uses[use]

    async def _check_accounts(self) -> None:
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        pending: Counter[tuple[int, int]] = Counter()
        for hold in self.fold.holds.values():
            pending[hold.debit, 2] += hold.amount
            pending[hold.credit, 3] += hold.amount
        seen = set()
        for account in await self.store.accounts():
            counters = [
                account.debits_posted, account.credits_posted, account.debits_pending, account.credits_pending
            ]  # fmt: skip
            who = self.name_of(account.owner)
            key = (who, account.currency, account.code)
            seen.add(key)
            assert counters == self.fold.counters[account.id], "counters are the fold of the transfers"
            assert counters == self.model.accounts[key], "counters are what the model says"
            assert counters[2:] == [pending[account.id, 2], pending[account.id, 3]], "what is open is held"
            for number, counter in enumerate(counters):
                sums[account.currency][number] += counter
            if account.code == "customer":
                assert account.available >= 0, "nobody owes"
                assert account.flags == self.model.account_flags[who, account.currency]
        for debits, credits_, held, coming in sums.values():
            assert (debits, held) == (credits_, coming), "debits are credits"
        assert not [key for key, counters in self.model.accounts.items() if any(counters) and key not in seen]
        for who in PEOPLE:
            funds, pos = await self.store.funds(IDS[who])
            assert pos == self.fold.pos
            for each in funds:
                assert each.available == self.model.available(who, each.currency)
                assert each.held == self.model.accounts[who, each.currency, "customer"][2]

    async def _check_payments(self, stand: dict[str, Payment]) -> None:
        if not stand:
            return
        book = await self._rows(payments=list(stand))
        for payment in stand.values():
            row = book.payments[payment.id]
            found = (
                row.kind, row.conv, row.payer, row.payee, row.currency, row.amount, row.state, row.at,
                row.expires_at, row.fee, row.received, row.received_currency, row.refunded, row.claimed,
                row.reminded_at,
            )  # fmt: skip
            wanted = (
                payment.kind, payment.room.id, IDS.get(payment.payer, ""), IDS.get(payment.payee, ""),
                payment.currency, payment.amount, payment.state, payment.at, payment.expires_at, payment.fee,
                payment.received, payment.received_currency, payment.refunded, payment.claimed,
                payment.reminded_at,
            )  # fmt: skip
            assert found == wanted
            assert row.refunded <= row.received
            shares = [(s.person, s.amount, s.state) for s in book.shares.get(payment.id, [])]
            assert shares == [(IDS.get(p.person, ""), p.amount, p.state) for p in payment.parts]
            if shares:
                assert sum(amount for _, amount, _ in shares) == payment.amount

    async def _check_rest(self) -> None:
        """Limits, requests and what is due, as they are stored."""
        self.tell_time()
        oldest = (self.model.now - MONTH_MS) // SLOT_MS
        pairs = [(IDS[one], IDS[other]) for one in PEOPLE for other in PEOPLE]
        uses = [(IDS[who], currency) for who in PEOPLE for currency in ("EUR", "JPY", "KWD")]
        book = await self._rows(asked=pairs, uses=uses)
        for pair, found in book.asked.items():
            asked = {
                payment.id
                for payment in self.model.payments.values()
                if (payment.kind, payment.state) == ("request", "open")
                and pair == (IDS[payment.payee], IDS[payment.payer])
            }
            assert found == asked
        for (who, currency), slots in book.uses.items():
            counted = [
                each
                for each in windows(self.model.uses[NAMES_OF[who], currency])
                if each[0] >= oldest and (each[1] or each[2])
            ]
            kept = [(use.slot, use.amount, use.count) for use in slots.values() if use.amount or use.count]
            assert sorted(kept) == counted
        assert await self.store.due(self.model.now, 10_000) == self.model.due()
        report = await verify(self._reads)
        assert report.problems == []
        assert (report.pos, report.holds) == (self.fold.pos, len(self.fold.holds))
        held = Counter[str]()
        for (_, currency, code), (debits, credits_, _, _) in self.model.accounts.items():
            held[currency] += credits_ - debits if code == "customer" else 0
        assert +Counter(report.totals) == +held
        assert await self.store.misplaced(1) == Misplaced([], [])

    async def _check_statement(self, who: str, currency: str) -> None:
        """Opening and lines are closing, for all time and for a part of it."""
        numbers = {key: number for number, key in self.fold.keys.items()}
        number = numbers.get((who, currency, "customer"), 0)
        moved = [
            (self.model.lines[pos - 1].at, pos, amount) for pos, amount in self.fold.posted.get(number, [])
        ]
        parts: list[tuple[int | None, int | None]] = [(None, None)]
        if moved:
            parts.append((moved[len(moved) // 3][0], moved[len(moved) * 2 // 3][0]))
        for since, until in parts:
            inside = [each for each in moved if since is None or since <= each[0] < (until or 0)]
            balance = sum(amount for at, _, amount in moved if since is not None and at < since)
            opening, after, lines = balance, None, []
            while True:
                given = {"from_": since, "to": until, "after": after}
                known = {name: value for name, value in given.items() if value is not None}
                page = await statement.page(self._reads, IDS[who], StatementBody(currency, **known, limit=50))
                assert not isinstance(page, Refusal)
                lines += page.lines
                after = page.next
                if after is None:
                    break
            wanted = []
            for at, pos, amount in inside:
                balance += amount
                wanted.append((at, pos, show(amount, currency), show(balance, currency)))
            assert [(line.at, line.pos, line.amount, line.balance) for line in lines] == wanted
            assert (page.opening, page.closing) == (show(opening, currency), show(balance, currency))
            assert page.pos == self.fold.pos

    async def _check_list(self, who: str) -> None:
        """A person's payments, latest first, as they stand."""
        found: list[Any] = []
        before: int | None = None
        while True:
            body = PaymentsBody(limit=50) if before is None else PaymentsBody(limit=50, before=before)
            page = await payments.listed(self._reads, IDS[who], body)
            found += page.payments
            before = page.next
            if before is None:
                break
        wanted = []
        for pos, line in reversed(list(enumerate(self.model.lines, 1))):
            content = line.content
            payment = self.model.payments.get(content["id"])
            if payment is not None and who in {payment.payer, payment.payee, *_sharers(payment)}:
                wanted.append((pos, content["id"], payment.state, show(payment.amount, payment.currency)))
            elif content["kind"] in {"pay.deposit", "pay.withdraw", "pay.faucet", "pay.claim"}:
                body_ = line.body or {}
                borne = body_.get("shortfall") == body_["amount"]  # nothing of theirs was moved
                named = body_["payer" if content["kind"] == "pay.withdraw" else "payee"]
                if named == IDS[who] and not borne:
                    wanted.append((pos, content["id"], "completed", body_["amount"]))
        assert [(view.pos, view.id, view.state, view.amount) for view in found] == wanted
        for view in found:
            payment = self.model.payments.get(view.id)
            if payment is None:
                continue
            refunded = show(payment.refunded, payment.received_currency) if payment.refunded else None
            assert view.refunded == refunded
            if payment.kind == "split":
                shares = [(IDS[part.person], part.state) for part in payment.parts]
                assert [(share.user, share.state) for share in view.shares or []] == shares

    async def _rows(
        self,
        *,
        payments: Sequence[str] = (),
        asked: Sequence[tuple[str, str]] = (),
        uses: Sequence[tuple[str, str]] = (),
    ) -> Book:
        """Rows as the road loads them."""
        book = Book(LogHead(""), self.policy, self.fresh)
        book.begin(self.model.now)
        keys = Keys()
        keys.payments |= set(payments)
        keys.asked |= set(asked)
        keys.uses |= set(uses)
        await self.store.load(keys, book)
        return book


def _shown(order: Order) -> str:
    asked = "preview " if order.ask else ""
    return asked + json.dumps({name: value for name, value in order.content.items() if value is not None})


def _sharers(payment: Payment) -> list[str]:
    return [part.person for part in payment.parts] if payment.kind == "split" else []


def _effect_on(stands: list[int], phase: str, amount: int) -> None:
    """What a move does to what is available and what is held of one side; negative amounts are debits."""
    if amount > 0:
        stands[0] += amount if phase in {"single", "post"} else 0
        return
    if phase in {"single", "pending"}:
        stands[0] += amount
    if phase == "pending":
        stands[1] -= amount
    elif phase != "single":
        stands[1] += amount
        stands[0] -= 0 if phase == "post" else amount


def _check_quote(outcome: Quoted, verdict: Verdict) -> None:
    quote = outcome.quote
    wanted = verdict.state
    assert isinstance(wanted, dict)
    assert (quote.sell_amount, quote.buy_amount, quote.margin, quote.fee, quote.expires_at) == (
        wanted["sold"], wanted["bought"], wanted["margin"], wanted["fee"], wanted["expires_at"],
    )  # fmt: skip
    assert 0 <= 1 - Fraction(quote.rate) / wanted["true_rate"] < Fraction(1, 10**7)
    wanted["rate"] = quote.rate
