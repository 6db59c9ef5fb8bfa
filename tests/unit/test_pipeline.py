"""The road beside a save: what is decided meanwhile, in which order all is told, and what a fault leaves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.contract.stores import START_MS, Counted, command, event_id, frame, wire_id
from tests.support.memory_store.store import MemoryStore
from tests.support.road import (
    IDS,
    BlockingStore,
    Road,
    deposit,
    pay,
    refund,
    road_on,
    texts,
    word,
)
from tests.support.waiting import turn_until

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
from tuppence_server.pipeline.commits import Committed
from tuppence_server.pipeline.inbox import BOUNDS, BUSY, STOPPING, Bounds
from tuppence_server.store.contract import StoreFault

FEW = BOUNDS.overlap_frames_min
MANY = 3 * FEW
SESSION, QUOTE = wire_id("s_", 1), event_id(70)
LOGIN = command(OpenSession(SESSION, IDS["alice"], "token", "phone", START_MS + 10**6, None))
REVOKE = command(RevokeSession(SESSION, IDS["alice"]))


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Blocked:
    """A road whose next save waits. Alice has 9.00."""

    def __init__(self, store: BlockingStore, road: Road) -> None:
        self.store = store
        self.road = road
        tell = road._tell

        def told(commit: Committed) -> None:
            store.seen.append("told")
            tell(commit)

        road._tell = told

    def ask_all(self, requests: Sequence[Request]) -> "asyncio.Future[list[Outcome]]":
        return asyncio.ensure_future(self.road.at_once(requests))

    async def saving(self, *requests: Request) -> "asyncio.Future[list[Outcome]]":
        """Have these saved, which waits: a line where nothing else is given."""
        outcomes = self.ask_all(requests or texts(1))
        await turn_until(lambda: self.store.seen == ["save"])
        return outcomes

    async def beside(self, requests: Sequence[Request]) -> "asyncio.Future[list[Outcome]]":
        """Have these decided, while the save before them waits."""
        outcomes = self.ask_all(requests)
        await turn_until(lambda: self.road.depth > 0)
        await turn_until(lambda: self.road.depth == 0)
        return outcomes

    async def first(self, *requests: Request) -> None:
        """Have these stored before the next save waits, and the book read anew."""
        self.store.open.set()
        for request in requests:
            assert word(await self.road.ask(request)) in {"stored", "done", "quoted"}
        self.road._book.forget(self.road._book.head)
        self.store.block()

    async def has(self, who: str) -> list[int]:
        return [each.available for each in (await self.store.funds(IDS[who]))[0]]


@asynccontextmanager
async def blocked(fresh: Counted | None = None, bounds: Bounds = BOUNDS) -> AsyncIterator[Blocked]:
    store = BlockingStore(MemoryStore("e_first"))
    async with road_on(store, fresh, bounds) as road:
        await road.ask(deposit(1, "alice", "9"))
        store.block()
        try:
            yield Blocked(store, road)
        finally:
            store.open.set()


async def test_what_comes_beside_a_save_is_the_next_batch_and_its_save_begins_before_the_first_is_told() -> (
    None
):
    async with blocked() as at:
        first = await at.saving()
        several = [await at.beside(texts(FEW, 2_000 + 100 * n)) for n in range(3)]
        assert at.store.seen == ["save"], "nothing is told before it is saved"
        at.store.open.set()
        outcomes = await first + [each for more in several for each in await more]
        assert {word(each) for each in outcomes} == {"stored"}
        assert at.store.seen == ["save", "save", "told", "told"]
        assert at.road.told == list(range(1, 2 + len(outcomes)))


async def test_a_frame_sent_again_beside_its_own_save_is_the_same_event() -> None:
    async with blocked() as at:
        paid = pay(2, "alice", "bob", "9")
        first = await at.saving(paid)
        again = await at.beside([paid, *texts(MANY)])
        at.store.open.set()
        assert [word(each) for each in (await first)[:1] + (await again)[:1]] == ["stored", "repeated"]
        assert await at.has("bob") == [900]


async def test_few_frames_wait_for_the_save_and_a_full_batch_takes_no_more() -> None:
    async with blocked(bounds=Bounds(batch_frames_max=3 * FEW)) as at:
        first = await at.saving()
        few = at.ask_all(texts(FEW - 1, 2_000))
        await turns()
        assert at.road.depth == FEW - 1
        more = at.ask_all(texts(3 * FEW, 3_000))
        await turn_until(lambda: at.road.depth > FEW)
        await turn_until(lambda: at.road.depth == FEW - 1)
        at.store.open.set()
        assert {word(each) for each in await first + await few + await more} == {"stored"}
        assert at.store.seen.count("save") == 3


async def test_a_full_inbox_and_one_that_is_closed_refuse_at_once() -> None:
    async with blocked(bounds=Bounds(inbox_frames_max=2)) as at:
        first = await at.saving()
        some = at.ask_all(texts(2, 2_000))
        await turns()
        assert await at.road.ask(texts(1, 3_000)[0]) == BUSY
        stopping = asyncio.create_task(at.road.stop())
        await turns()
        assert await at.road.ask(texts(1, 3_000)[0]) == STOPPING
        at.store.open.set()
        await stopping
        assert {word(each) for each in await first + await some} == {"stored"}, "what was taken is kept"


async def test_a_payment_of_the_open_batch_can_be_given_back_and_an_id_may_become_a_payment() -> None:
    async with blocked() as at:
        first = await at.saving()
        early = await at.beside([refund(50, "bob", "alice", 2), *texts(MANY, 2_000)])
        paid = await at.beside([pay(2, "alice", "bob", "2"), *texts(MANY, 3_000)])
        back = await at.beside([refund(51, "bob", "alice", 2), *texts(MANY, 4_000)])
        at.store.open.set()
        await first
        assert [word((await each)[0]) for each in (early, paid, back)] == ["not_found", "stored", "stored"]
        assert at.store.seen.count("save") == 2
        assert await at.has("alice") == [900]


async def test_whatever_acts_on_a_payment_finds_it_where_both_come_at_once() -> None:
    async with blocked() as at:
        at.store.open.set()
        look = Request(Preview(refund(50, "bob", "alice", 2).frame), IDS["bob"])  # type: ignore[arg-type]
        reverse = command(Reverse(event_id(51), event_id(2), "mistake", None, force=False))
        late = command(Expire(event_id(52), event_id(2)))
        outcomes = await at.road.at_once([pay(2, "alice", "bob", "2"), look, reverse, late])
        assert [word(each) for each in outcomes] == ["stored", "previewed", "stored", "done"]
        assert await at.has("alice") == [900]


@pytest.mark.parametrize("given_back", ["1", "2"], ids=["in part", "whole"])
async def test_what_an_old_id_names_is_as_its_row_says_in_every_take_of_a_batch(given_back: str) -> None:
    async with blocked() as at:
        back = refund(50, "bob", "alice", 2, amount=given_back)
        await at.first(pay(2, "alice", "bob", "2"), back, deposit(3, "bob", "9"))
        first = await at.saving()
        text = frame(IDS["bob"], "chat.text", "self", event_id(2), None, text="an old id")
        once, twice, look = (refund(51 + n, "bob", "alice", 2, amount="2") for n in range(3))
        takes = [[text], [Request(Preview(look.frame), IDS["bob"])], [once, text], [twice]]  # type: ignore[arg-type]
        found = [await at.beside([*take, *texts(MANY, 2_000 + 1_000 * n)]) for n, take in enumerate(takes)]
        at.store.open.set()
        await first
        refused = "already_refunded" if given_back == "2" else "exceeds_refundable"
        assert [word((await each)[0]) for each in found] == ["id_taken", refused, refused, refused]
        assert at.store.seen.count("save") == 2, "all takes were of one batch"
        assert await at.has("alice") == [700 + 100 * int(given_back)]


async def test_a_login_that_ends_with_a_batch_on_its_way_is_ended_wherever_it_is_read() -> None:
    async with blocked() as at:
        await at.first(LOGIN)
        first = await at.saving(command(SetPassword("alice", "new")))
        at.road.at_ms += 60_000
        second = await at.beside([REVOKE, *texts(MANY)])
        at.store.open.set()
        assert [word(each) for each in (await first)[:1] + (await second)[:1]] == ["done", "done"]
        login = await at.store.identify("token")
        assert login is not None
        assert login.session.revoked_at == START_MS, "and not once more, later"


async def test_what_is_dropped_is_gone_before_the_store_knows_of_it() -> None:
    async with blocked() as at:
        await at.first(LOGIN, command(OpenQuote(QUOTE, IDS["alice"], "EUR", "JPY", "1", "sell", 160, 1)))
        at.road.at_ms += 40 * DAY_MS
        first = await at.saving(command(Forget((QUOTE,), (SESSION,), ())))
        body = {"amount": "1", "currency": "EUR", "quote": QUOTE}
        late = frame(IDS["alice"], "pay.send", "@bob", event_id(71), None, **body)
        second = await at.beside([late, REVOKE, *texts(MANY)])
        at.store.open.set()
        assert [word(each) for each in (await first)[:1]] == ["done"]
        assert [word(each) for each in (await second)[:2]] == ["not_found", "not_found"]
        assert await at.store.identify("token") is None, "and does not come back"


async def test_a_save_that_fails_while_more_is_decided_voids_both_and_a_retry_is_stored_once() -> None:
    async with blocked() as at:
        paid, onward = pay(2, "alice", "bob", "9"), pay(3, "bob", "carol", "9")
        first = await at.saving(paid)
        second = await at.beside([onward, *texts(MANY)])  # of which most is still to be decided
        at.store.fail("nothing was written")
        assert {word(each) for each in await first + await second} == {"unavailable"}
        at.store.fault = None
        assert word(await at.road.ask(onward)) == "insufficient_funds"
        assert [word(await at.road.ask(paid)) for _ in range(2)] == ["stored", "repeated"]
        assert at.road.writable


async def test_nothing_is_decided_on_a_book_that_is_not_what_is_stored() -> None:
    """The save failed, and then the store cannot tell where the log stands."""
    async with blocked() as at:
        first = await at.saving(pay(2, "alice", "bob", "9"))

        async def unreadable() -> LogHead:
            raise OSError("no head")

        at.store.__dict__["head"] = unreadable
        at.store.fail("nothing was written")
        assert [word(each) for each in await first] == ["unavailable"]
        at.store.fault = None
        assert word(await at.road.ask(pay(3, "bob", "carol", "9"))) == "unavailable", "Bob never had it"
        assert at.road.fatals >= 1
        assert not at.road.writable
        assert (await at.store.store.head()).pos == 1


async def test_after_a_fatal_fault_everything_is_answered_however_much_it_is() -> None:
    bounds = Bounds(batch_frames_max=64, batch_bytes_max=64 * 1024)
    async with blocked(bounds=bounds) as at:
        first = await at.saving()
        several = bounds.batch_bytes_max // 4_000 + bounds.batch_frames_max
        much = at.ask_all(texts(several, 10_000, "x" * 4_000))
        await turn_until(lambda: at.road.depth > 0)
        at.store.fail("input/output error", fatal=True)
        assert {word(each) for each in await first + await much} == {"unavailable"}
        assert at.road.fatals == 1
        assert word(await at.road.ask(texts(1, 9_000)[0])) == "unavailable"


class Failing(Counted):
    """Salts that run out once."""

    left = 0

    def salt(self) -> bytes:
        self.left -= 1
        if self.left == 0:
            raise OSError("no more randomness")
        return super().salt()


async def test_a_frame_that_cannot_be_applied_costs_neither_the_save_before_nor_its_neighbours() -> None:
    fresh = Failing()
    async with blocked(fresh) as at:
        first = await at.saving(pay(2, "alice", "bob", "2"))
        good = await at.beside(texts(FEW))
        fresh.left = 10
        bad = at.ask_all(texts(FEW, 2_000))
        await turn_until(lambda: fresh.left <= 0)
        at.store.open.set()
        assert {word(each) for each in await first + await good} == {"stored"}
        assert {word(each) for each in await bad} == {"stored"}, "the fault was gone when it was tried alone"
        assert at.road.told == sorted(set(at.road.told))
        assert at.road.fatals == 0


async def test_a_book_that_is_full_is_dropped_only_while_nothing_is_on_its_way() -> None:
    async with blocked(bounds=Bounds(book_rows_max=0)) as at:
        first = await at.saving()
        more = at.ask_all(texts(MANY, 2_000))
        await turns()
        assert at.road.depth == MANY, "what is decided now would read rows that the store does not have yet"
        at.store.open.set()
        assert {word(each) for each in await first + await more} == {"stored"}
        assert (await at.store.head()).pos == 2 + MANY


# --- whoever waits is answered ------------------------------------------------------------------------------


async def test_a_sink_that_raises_keeps_nobody_else_from_their_outcome() -> None:
    async with blocked() as at:
        at.store.open.set()
        answered: list[Request] = []

        def good(request: Request, _: Outcome) -> None:
            answered.append(request)

        def bad(_: Request, __: Outcome) -> None:
            raise RuntimeError("this connection is gone")

        requests = texts(6)
        for number, each in enumerate(requests):
            assert at.road.submit(each, bad if number % 2 == 0 else good) is None
        await at.road.ask(texts(1, 9_000)[0])
        assert answered == requests[1::2]
        assert at.road.fatals == 0


async def test_whoever_submitted_is_answered_after_the_events_were_told_and_before_all_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with blocked() as at:
        seen = at.store.seen
        monkeypatch.setattr(at.road, "_flush", lambda: seen.append("flushed"))
        for each in texts(2):
            assert at.road.submit(each, lambda *_: seen.append("answered")) is None
        at.store.open.set()
        await turn_until(lambda: "flushed" in seen)
        assert seen == ["save", "told", "answered", "answered", "flushed"]


@pytest.mark.parametrize("where", ["take", "save", "load", "forget", "metrics", "tell", "flush"])
async def test_whatever_breaks_on_the_road_everybody_is_answered(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends with it, unless it was told or written to in vain: what is committed stays so."""
    async with blocked() as at:
        road, store = at.road, at.store
        first = await at.saving()
        more = at.ask_all(texts(2 * MANY, 3_000))

        def raises(*_: object) -> None:
            raise RuntimeError("nobody thought of this")

        async def faults(*_: object) -> None:
            raise StoreFault("disk I/O error", fatal=True)

        if where in {"take", "tell", "flush"}:
            monkeypatch.setattr(road, f"_{where}", raises)
        elif where == "save":
            store.fault = RuntimeError("nobody thought of this")
        elif where == "metrics":
            monkeypatch.setattr(road._metrics.commit_seconds, "observe", raises)
        else:
            store.__dict__["load" if where == "load" else "head"] = faults
        if where == "forget":
            store.fault = StoreFault("database or disk is full", fatal=False)
        store.open.set()
        road._inbox.ring()
        words = {"stored"} if where in {"tell", "flush"} else {"unavailable", "stored"}
        async with asyncio.timeout(10):
            assert {word(each) for each in await first + await more} <= words
        ends = where not in {"tell", "flush"}
        assert (road.fatals, road.writable) == (ends, not ends)
        assert word(await road.ask(texts(1, 9_000)[0])) == ("unavailable" if ends else "stored")
