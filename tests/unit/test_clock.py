"""Commit time: never back, never still, whatever is done to the machine's clock;
and all that has an end by it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import structlog
from tests.contract.stores import KINDS, START_MS, Counted, World, command, frame, opened, said
from tests.support.money_world import PLAIN
from tests.support.waiting import seeded

from tuppence_server.cli.maintenance import examine
from tuppence_server.config.settings import Settings
from tuppence_server.domain.commands import CreateUser, Deposit, OpenQuote, OpenSession
from tuppence_server.domain.effects import Outcome, Quoted
from tuppence_server.domain.policy import Limits
from tuppence_server.domain.request import Request
from tuppence_server.opening import opened_store
from tuppence_server.pipeline.clock import JUMP_MS, Clock
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.pipeline.sweep import sweep
from tuppence_server.store.contract import Store
from tuppence_server.telemetry.metrics import Metrics

SECOND_MS: Final = 1_000
DAY_MS: Final = 86_400_000
ALICE, BOB = "u_aaaaaaaaaaaaaaaaaaaaaaaaab", "u_aaaaaaaaaaaaaaaaaaaaaaaaac"
POLICY: Final = msgspec.structs.replace(PLAIN, limits={("basic", "EUR"): Limits(daily=10_000)})


class Hands:
    """A wall clock that anybody can set, and a steady one."""

    def __init__(self) -> None:
        self.wall_ms = START_MS
        self.steady_ms = 7_000

    def clock(self) -> Clock:
        return Clock(lambda: self.wall_ms * 10**6, lambda: self.steady_ms * 10**6)

    def wait(self, ms: int) -> None:
        """Real time passes."""
        self.wall_ms += ms
        self.steady_ms += ms

    def set(self, by_ms: int) -> None:
        """Somebody sets the wall clock."""
        self.wall_ms += by_ms


def test_time_never_goes_back_and_never_stands_still_whatever_is_done_to_the_clock() -> None:
    random, hands = seeded(), Hands()
    clock = hands.clock()
    before = clock.now_ms()
    for _ in range(5_000):
        passed = random.choice([0, 1, 17, 1_000, 3_600_000])
        hands.wait(passed)
        hands.set(random.choice([0, 0, 0, -1, 1, -400, 90_000, -10 * DAY_MS, DAY_MS]))
        if random.random() < 0.05:  # a restart: only what was committed is known
            hands.steady_ms = random.randrange(10**6)
            clock = hands.clock()
            clock.begin(before)
            assert clock.now_ms() >= before
        else:
            assert clock.now_ms() >= before + passed
        before = clock.now_ms()
        assert before >= hands.wall_ms
        assert clock.behind_ms() == before - hands.wall_ms


def test_a_clock_that_is_read_often_loses_nothing() -> None:
    hands = Hands()
    nanoseconds = 0
    clock = Clock(lambda: hands.wall_ms * 10**6, lambda: nanoseconds)
    clock.begin(START_MS + DAY_MS)
    for _ in range(1_000):
        nanoseconds += 999_999
        clock.now_ms()
    assert clock.now_ms() == START_MS + DAY_MS + 999


@pytest.mark.parametrize(
    ("by_ms", "told"), [(JUMP_MS, 0), (-JUMP_MS, 0), (JUMP_MS + 1, 1), (-JUMP_MS - 1, 1), (10 * DAY_MS, 1)]
)
def test_a_jump_of_minutes_is_told_and_a_slow_drift_is_not(by_ms: int, told: int) -> None:
    hands = Hands()
    clock = hands.clock()
    for _ in range(100):
        hands.wait(SECOND_MS)
        hands.set(JUMP_MS // 20)
        clock.now_ms()
    assert clock.jumps == 0
    hands.set(by_ms)
    with structlog.testing.capture_logs() as logs:
        clock.now_ms()
        clock.now_ms()
    assert clock.jumps == told
    assert [line["event"] for line in logs] == ["clock_jumped"] * told


@pytest.mark.parametrize(("behind_ms", "told"), [(JUMP_MS, 0), (JUMP_MS + 1, 1), (10 * DAY_MS, 1)])
def test_a_start_with_a_clock_behind_the_ledger_is_told_once(behind_ms: int, told: int) -> None:
    clock = Hands().clock()
    with structlog.testing.capture_logs() as logs:
        clock.begin(START_MS + behind_ms)
        clock.begin(START_MS + behind_ms - 1)
        clock.begin(START_MS + behind_ms)
    assert [line["event"] for line in logs] == ["clock_behind"] * told
    assert (clock.now_ms(), clock.behind_ms(), clock.jumps) == (START_MS + behind_ms, behind_ms, told)


async def test_doctor_warns_of_a_clock_behind_the_last_commit(tmp_path: Path) -> None:
    for ahead_ms, state in ((0, "ok"), (10 * DAY_MS, "warning")):
        settings = Settings(data=tmp_path / str(ahead_ms))
        async with opened_store(settings.data, make=True) as store:
            world = World(store)
            world.now = time.time_ns() // 10**6 + ahead_ms
            await world.register("alice")
            assert said(await world.credit("alice", "1.00")) == "stored"
        found = [finding for finding in examine(settings) if finding["check"] == "clock"]
        assert [finding["state"] for finding in found] == [state]


# --- what has an end, on the real road ----------------------------------------------------------------------


class Town:
    """A road over one store, by clocks that can be set, that can be started anew."""

    def __init__(self, store: Store, hands: Hands) -> None:
        self.store, self.hands, self.fresh, self.used = store, hands, Counted(), 0

    async def start(self) -> None:
        """As a server starts."""
        head, clock = await self.store.head(), self.hands.clock()
        clock.begin(await self.store.latest(POLICY.quote_ms))
        self.road = Pipeline(self.store, POLICY, self.fresh, lambda _: None, Metrics(), lambda: None, clock)
        self.road.start(head)

    async def restart(self) -> None:
        await self.road.stop()
        self.hands.steady_ms = 0
        await self.start()

    def id(self) -> str:
        self.used += 1
        return f"00000000-0000-4000-8000-{self.used:012x}"

    async def order(self, order: Any) -> Outcome:
        return await self.road.ask(command(order))

    async def do(self, who: str, kind: str, conv: str, ref: str | None = None, **body: Any) -> Outcome:
        request: Request = frame(who, kind, conv, self.id(), ref, **body)
        return await self.road.ask(request)

    async def pay(self, **body: Any) -> Outcome:
        return await self.do(ALICE, "pay.send", "@bob", amount="1.00", currency="EUR", **body)

    async def quote(self) -> str:
        outcome = await self.order(OpenQuote(self.id(), ALICE, "EUR", "JPY", "1.00", "sell", 160, 1))
        assert isinstance(outcome, Quoted), outcome
        return outcome.quote.id


@asynccontextmanager
async def town_on(kind: str, folder: Path) -> AsyncIterator[Town]:
    async with opened(kind, folder) as store:
        town = Town(store, Hands())
        await town.start()
        for n, (user, handle) in enumerate(((ALICE, "alice"), (BOB, "bob"))):
            conv = f"c_{'a' * 25}{'bc'[n]}"
            assert said(await town.order(CreateUser(user, conv, handle, handle, None))) == "done"
        assert said(await town.order(Deposit(town.id(), "alice", "1000.00", "EUR", None))) == "stored"
        yield town
        await town.road.stop()


@pytest.mark.parametrize("restart", [False, True], ids=["the same run", "a restart"])
@pytest.mark.parametrize("what", ["an event", "a quote", "a login"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_clock_that_ran_ahead_for_one_commit_stops_nothing(
    tmp_path: Path, kind: str, what: str, restart: bool
) -> None:
    """Ten days ahead, once, then put right: what was promised then still ends when its time is over."""
    async with town_on(kind, tmp_path) as town:
        hands = town.hands
        hands.set(10 * DAY_MS)
        early = town.road.now_ms()
        quote = await town.quote()
        if what == "an event":
            offer = await town.pay(accept=True, expires_s=60)
            assert said(offer) == "stored"
        if what == "a login":
            login = OpenSession("s_" + "a" * 26, ALICE, "hash", "phone", early + DAY_MS, None)
            assert said(await town.order(login)) == "done"
        hands.set(-10 * DAY_MS)
        if restart:
            await town.restart()
        assert town.road.now_ms() >= early, "nothing goes backwards"
        hands.wait(60 * SECOND_MS)
        assert town.road.now_ms() >= early + 60 * SECOND_MS
        assert said(await town.pay(quote=quote)) == "quote_expired", "no free option on the house's rates"
        assert await sweep(town.store, town.road) == (1 if what == "an event" else 0)
        assert said(await town.pay(not_after=early + 59 * SECOND_MS)) == "expired"
        assert said(await town.pay(not_after=early + 61 * SECOND_MS)) == "stored"


async def test_limits_roll_and_packets_end_while_the_clock_is_behind(tmp_path: Path) -> None:
    async with town_on("memory", tmp_path) as town:
        town.hands.set(10 * DAY_MS)
        body = {"total": "40.00", "currency": "EUR", "count": 1, "mode": "equal"}
        packet = await town.do(ALICE, "pay.packet", "@bob", **body)
        assert said(packet) == "stored"
        town.hands.set(-10 * DAY_MS)
        town.hands.wait(DAY_MS + 1)
        assert (
            said(await town.do(ALICE, "pay.packet", "@bob", **{**body, "total": "100.01"})) == "limit_daily"
        )
        assert await sweep(town.store, town.road) == 1
        town.hands.wait(DAY_MS)
        assert said(await town.do(ALICE, "pay.packet", "@bob", **{**body, "total": "100.00"})) == "stored"
