"""The road beside a save: what is decided meanwhile, in which order all is told, and what a fault leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.contract.stores import START_MS, Counted, command, event_id, frame, wire_id
from tests.property.ledger_model import IDS, Model, Step
from tests.property.test_ledger import Road, road_on, word
from tests.support.memory_store.store import MemoryStore

from tuppence_server.domain.commands import (
    Expire,
    Forget,
    OpenQuote,
    OpenSession,
    Preview,
    Reverse,
    RevokeSession,
    SetPassword,
)
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.pay.limits import DAY_MS
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import LogHead
from tuppence_server.pipeline import pipeline
from tuppence_server.pipeline.commits import Committed
from tuppence_server.pipeline.pipeline import BATCH_BYTES_MAX, BATCH_FRAMES_MAX, OVERLAP_FRAMES_MIN
from tuppence_server.store.contract import Packed, Store, StoreFault

MANY = 3 * OVERLAP_FRAMES_MIN


class Gate:
    """A store whose saves wait to be let through."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.open = asyncio.Event()
        self.open.set()
        self.fault: StoreFault | None = None
        self.seen: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def save(self, packed: Packed) -> None:
        """Save once the gate is open, or fail then."""
        self.seen.append("save")
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        await self.store.save(packed)


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)


@asynccontextmanager
async def gated(fresh: Counted | None = None) -> AsyncIterator[tuple[Gate, Road, Model]]:
    """Alice with 9.00, and a road whose next save waits."""
    gate = Gate(MemoryStore("e_first"))
    async with road_on(gate, fresh) as road:
        model = Model()
        await road.ask(model.request(Step("pay.deposit", "alice", 1, amount="9")))
        gate.seen.clear()
        tell = road._tell

        def told(commit: Committed) -> None:
            gate.seen.append("told")
            tell(commit)

        road._tell = told
        gate.open.clear()
        try:
            yield gate, road, model
        finally:
            gate.open.set()


def texts(model: Model, count: int, first: int = 1_000) -> list[Request]:
    """Lines that Carol writes to herself."""
    return [model.request(Step("chat.text", "carol", first + number)) for number in range(count)]


def ask_all(road: Road, requests: Sequence[Request]) -> "asyncio.Future[list[Outcome]]":
    return asyncio.ensure_future(road.at_once(requests))


async def beside(road: Road, requests: Sequence[Request]) -> "asyncio.Future[list[Outcome]]":
    """Have these decided, while the save before them waits."""
    outcomes = ask_all(road, requests)
    await until(lambda: road.depth > 0)
    await until(lambda: road.depth == 0)
    return outcomes


async def test_what_comes_beside_a_save_is_the_next_batch_and_its_save_begins_before_the_first_is_told() -> (
    None
):
    async with gated() as (gate, road, model):
        first = ask_all(road, texts(model, 1))
        await until(lambda: gate.seen == ["save"])
        several = [await beside(road, texts(model, OVERLAP_FRAMES_MIN, 2_000 + 100 * n)) for n in range(3)]
        assert gate.seen == ["save"], "nothing is told before it is saved"
        gate.open.set()
        outcomes = await first + [each for more in several for each in await more]
        assert {word(each) for each in outcomes} == {"stored"}
        assert gate.seen == ["save", "save", "told", "told"]
        assert road.told == list(range(1, 2 + len(outcomes)))


async def test_a_frame_sent_again_beside_its_own_save_is_the_same_event() -> None:
    async with gated() as (gate, road, model):
        pay = model.request(Step("pay.send", "alice", 2, "bob", amount="9"))
        first = ask_all(road, [pay])
        await until(lambda: gate.seen == ["save"])
        again = await beside(road, [pay, *texts(model, MANY)])
        gate.open.set()
        assert [word(each) for each in (await first)[:1] + (await again)[:1]] == ["stored", "repeated"]
        assert [each.available for each in (await gate.funds(IDS["bob"]))[0]] == [900]


async def test_few_frames_wait_for_the_save_and_a_full_batch_takes_no_more() -> None:
    async with gated() as (gate, road, model):
        first = ask_all(road, texts(model, 1))
        await until(lambda: gate.seen == ["save"])
        few = ask_all(road, texts(model, OVERLAP_FRAMES_MIN - 1, 2_000))
        await until(lambda: road.depth > 0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert road.depth == OVERLAP_FRAMES_MIN - 1
        more = ask_all(road, texts(model, BATCH_FRAMES_MAX, 3_000))
        await until(lambda: road.depth > OVERLAP_FRAMES_MIN)
        await until(lambda: road.depth == OVERLAP_FRAMES_MIN - 1)
        gate.open.set()
        outcomes = await first + await few + await more
        assert {word(each) for each in outcomes} == {"stored"}
        assert gate.seen.count("save") == 3


async def test_a_payment_of_the_open_batch_can_be_given_back_and_an_id_may_become_a_payment() -> None:
    async with gated() as (gate, road, model):
        first = ask_all(road, texts(model, 1))
        await until(lambda: gate.seen == ["save"])
        pay = model.request(Step("pay.send", "alice", 2, "bob", amount="2"))

        def give_back(key: int) -> Request:
            return frame(IDS["bob"], "pay.refund", "@alice", event_id(key), event_id(2))

        early = await beside(road, [give_back(50), *texts(model, MANY, 2_000)])
        paid = await beside(road, [pay, *texts(model, MANY, 3_000)])
        back = await beside(road, [give_back(51), *texts(model, MANY, 4_000)])
        gate.open.set()
        await first
        assert [word((await each)[0]) for each in (early, paid, back)] == ["not_found", "stored", "stored"]
        assert gate.seen.count("save") == 2
        assert [each.available for each in (await gate.funds(IDS["alice"]))[0]] == [900]


async def test_whatever_acts_on_a_payment_finds_it_where_both_come_at_once() -> None:
    async with gated() as (gate, road, model):
        gate.open.set()
        pay = model.request(Step("pay.send", "alice", 2, "bob", amount="2"))
        look = Preview(frame(IDS["bob"], "pay.refund", "@alice", event_id(50), event_id(2)).frame)  # type: ignore[arg-type]
        reverse = command(Reverse(event_id(51), event_id(2), "mistake", None, force=False))
        late = command(Expire(event_id(52), event_id(2)))
        outcomes = await road.at_once([pay, Request(look, IDS["bob"]), reverse, late])
        assert [word(each) for each in outcomes] == ["stored", "previewed", "stored", "done"]
        assert [each.available for each in (await gate.funds(IDS["alice"]))[0]] == [900]


@pytest.mark.parametrize("given_back", ["1", "2"], ids=["in part", "whole"])
async def test_what_an_old_id_names_is_as_its_row_says_in_every_take_of_a_batch(given_back: str) -> None:
    async with gated() as (gate, road, model):
        gate.open.set()
        pay = model.request(Step("pay.send", "alice", 2, "bob", amount="2"))
        back = frame(IDS["bob"], "pay.refund", "@alice", event_id(50), event_id(2), amount=given_back)
        more = model.request(Step("pay.deposit", "bob", 3, amount="9"))
        assert [word(await road.ask(each)) for each in (pay, back, more)] == ["stored"] * 3
        road._book.forget(road._book.head)
        gate.open.clear()
        gate.seen.clear()
        first = ask_all(road, texts(model, 1))
        await until(lambda: gate.seen == ["save"])
        text = frame(IDS["bob"], "chat.text", "self", event_id(2), None, text="an old id")
        once, twice, look = (
            frame(IDS["bob"], "pay.refund", "@alice", event_id(51 + n), event_id(2), amount="2")
            for n in range(3)
        )
        takes = [[text], [Request(Preview(look.frame), IDS["bob"])], [once, text], [twice]]  # type: ignore[arg-type]
        found = []
        for n, take in enumerate(takes):
            found.append(await beside(road, [*take, *texts(model, MANY, 2_000 + 1_000 * n)]))
        gate.open.set()
        await first
        words = [word((await each)[0]) for each in found]
        refused = "already_refunded" if given_back == "2" else "exceeds_refundable"
        assert words == ["id_taken", refused, refused, refused]
        assert gate.seen.count("save") == 2, "all takes were of one batch"
        assert [each.available for each in (await gate.funds(IDS["alice"]))[0]] == [
            700 + 100 * int(given_back)
        ]


async def test_a_login_that_ends_with_a_batch_on_its_way_is_ended_wherever_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with gated() as (gate, road, model):
        gate.open.set()
        session = wire_id("s_", 1)
        opened = OpenSession(session, IDS["alice"], "token", "phone", START_MS + 10**6, None)
        assert word(await road.ask(command(opened))) == "done"
        road._book.forget(road._book.head)
        gate.open.clear()
        gate.seen.clear()
        first = ask_all(road, [command(SetPassword("alice", "new"))])
        await until(lambda: gate.seen == ["save"])
        monkeypatch.setattr(road, "now_ms", lambda: START_MS + 60_000)
        second = await beside(road, [command(RevokeSession(session, IDS["alice"])), *texts(model, MANY)])
        gate.open.set()
        assert [word(each) for each in (await first)[:1] + (await second)[:1]] == ["done", "done"]
        login = await gate.identify("token")
        assert login is not None
        assert login.session.revoked_at == START_MS, "and not once more, later"


async def test_what_is_dropped_is_gone_before_the_store_knows_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gated() as (gate, road, model):
        gate.open.set()
        quote, session = event_id(70), wire_id("s_", 1)
        opened = OpenSession(session, IDS["alice"], "token", "phone", START_MS + 1_000, None)
        asked = OpenQuote(quote, IDS["alice"], "EUR", "JPY", "1", "sell", 160, 1)
        assert [word(await road.ask(command(each))) for each in (opened, asked)] == ["done", "quoted"]
        monkeypatch.setattr(road, "now_ms", lambda: START_MS + 40 * DAY_MS)
        gate.open.clear()
        gate.seen.clear()
        first = ask_all(road, [command(Forget((quote,), (session,), ()))])
        await until(lambda: gate.seen == ["save"])
        pay = frame(
            IDS["alice"], "pay.send", "@bob", event_id(71), None, amount="1", currency="EUR", quote=quote
        )
        late = [pay, command(RevokeSession(session, IDS["alice"])), *texts(model, MANY)]
        second = await beside(road, late)
        gate.open.set()
        assert [word(each) for each in (await first)[:1]] == ["done"]
        assert [word(each) for each in (await second)[:2]] == ["not_found", "not_found"]
        assert await gate.identify("token") is None, "and does not come back"


async def test_a_save_that_fails_while_more_is_decided_voids_both_and_a_retry_is_stored_once() -> None:
    async with gated() as (gate, road, model):
        pay = model.request(Step("pay.send", "alice", 2, "bob", amount="9"))
        onward = model.request(Step("pay.send", "bob", 3, "carol", amount="9"))
        first = ask_all(road, [pay])
        await until(lambda: gate.seen == ["save"])
        second = await beside(road, [onward, *texts(model, MANY)])  # of which most is still to be decided
        gate.fault = StoreFault("nothing was written", fatal=False)
        gate.open.set()
        assert {word(each) for each in await first + await second} == {"unavailable"}
        gate.fault = None
        assert word(await road.ask(onward)) == "insufficient_funds"
        assert [word(await road.ask(pay)) for _ in range(2)] == ["stored", "repeated"]
        assert road.writable


async def test_nothing_is_decided_on_a_book_that_is_not_what_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The save failed, and then the store cannot tell where the log stands."""
    async with gated() as (gate, road, model):
        first = ask_all(road, [model.request(Step("pay.send", "alice", 2, "bob", amount="9"))])
        await until(lambda: gate.seen == ["save"])

        async def unreadable() -> LogHead:
            raise OSError("no head")

        gate.fault = StoreFault("nothing was written", fatal=False)
        gate.__dict__["head"] = unreadable
        gate.open.set()
        assert [word(each) for each in await first] == ["unavailable"]
        gate.fault = None
        onward = model.request(Step("pay.send", "bob", 3, "carol", amount="9"))
        assert word(await road.ask(onward)) == "unavailable", "Bob never had it"
        assert road.fatals >= 1
        assert not road.writable
        assert (await gate.store.head()).pos == 1


async def test_after_a_fatal_fault_everything_is_answered_however_much_it_is() -> None:
    async with gated() as (gate, road, model):
        gate.fault = StoreFault("input/output error", fatal=True)
        first = ask_all(road, texts(model, 1))
        await until(lambda: gate.seen == ["save"])
        big = "x" * 4_000
        several = BATCH_BYTES_MAX // 4_000 + BATCH_FRAMES_MAX
        much = ask_all(road, [_text(model, big, 10_000 + number) for number in range(several)])
        await until(lambda: road.depth > 0)
        gate.open.set()
        assert {word(each) for each in await first + await much} == {"unavailable"}
        assert road.fatals == 1
        assert word(await road.ask(texts(model, 1, 9_000)[0])) == "unavailable"


def _text(model: Model, text: str, key: int) -> Request:
    return model.request(Step("chat.text", "carol", key, text=text))


class Failing(Counted):
    """Salts that run out once."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def salt(self) -> bytes:
        self.left -= 1
        if self.left == 0:
            raise OSError("no more randomness")
        return super().salt()


async def test_a_frame_that_cannot_be_applied_costs_neither_the_save_before_nor_its_neighbours() -> None:
    fresh = Failing(after=0)
    async with gated(fresh) as (gate, road, model):
        pay = model.request(Step("pay.send", "alice", 2, "bob", amount="2"))
        first = ask_all(road, [pay])
        await until(lambda: gate.seen == ["save"])
        good = await beside(road, texts(model, OVERLAP_FRAMES_MIN))
        fresh.left = 10
        bad = ask_all(road, texts(model, OVERLAP_FRAMES_MIN, 2_000))
        await until(lambda: fresh.left <= 0)
        gate.open.set()
        assert [word(each) for each in await first] == ["stored"]
        assert {word(each) for each in await good} == {"stored"}
        assert {word(each) for each in await bad} == {"stored"}, "the fault was gone when it was tried alone"
        assert road.told == sorted(set(road.told))
        assert road.fatals == 0


async def test_a_book_that_is_full_is_dropped_only_while_nothing_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "BOOK_ROWS_MAX", 0)
    async with gated() as (gate, road, model):
        first = ask_all(road, texts(model, 1))
        await until(lambda: gate.seen == ["save"])
        more = ask_all(road, texts(model, MANY, 2_000))
        for _ in range(20):
            await asyncio.sleep(0)
        assert road.depth == MANY, "what is decided now would read rows that the store does not have yet"
        gate.open.set()
        assert {word(each) for each in await first + await more} == {"stored"}
        assert (await gate.head()).pos == 2 + MANY


# --- whoever waits is answered ------------------------------------------------------------------------------


async def test_a_sink_that_raises_keeps_nobody_else_from_their_outcome() -> None:
    async with gated() as (gate, road, model):
        gate.open.set()
        answered: list[Request] = []

        def good(request: Request, _: Outcome) -> None:
            answered.append(request)

        def bad(_: Request, __: Outcome) -> None:
            raise RuntimeError("this connection is gone")

        requests = texts(model, 6)
        for number, each in enumerate(requests):
            assert road.submit(each, bad if number % 2 == 0 else good) is None
        await road.ask(texts(model, 1, 9_000)[0])
        assert answered == requests[1::2]
        assert road.fatals == 0


@pytest.mark.parametrize("where", ["take", "save", "load", "forget", "metrics"])
async def test_whatever_breaks_on_the_road_everybody_is_answered_and_the_server_ends(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gated() as (gate, road, model):
        first = ask_all(road, texts(model, 1))
        await until(lambda: gate.seen == ["save"])
        more = ask_all(road, texts(model, 2 * MANY, 3_000))

        def raises(*_: object) -> None:
            raise RuntimeError("nobody thought of this")

        async def faults(*_: object) -> None:
            raise StoreFault("disk I/O error", fatal=True)

        if where == "take":
            monkeypatch.setattr(road, "_take", raises)
        elif where == "save":
            gate.fault = RuntimeError("nobody thought of this")  # type: ignore[assignment]
        elif where == "load":
            gate.load = faults  # type: ignore[attr-defined]
        elif where == "forget":
            gate.fault = StoreFault("database or disk is full", fatal=False)
            gate.head = faults  # type: ignore[attr-defined]
        else:
            monkeypatch.setattr(road._metrics.commit_seconds, "observe", raises)
        gate.open.set()
        road._ring()
        async with asyncio.timeout(10):
            assert {word(each) for each in await first + await more} <= {"unavailable", "stored"}
        assert road.fatals == 1
        assert not road.writable
        assert word(await road.ask(texts(model, 1, 9_000)[0])) == "unavailable"
