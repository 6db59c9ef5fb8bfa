"""Any history of frames by several people: every outcome foretold, and the ledger whole, however they arrive."""

import asyncio
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.stores import KINDS, Counted, event_id, opened
from tests.property.ledger_model import STEPS, Model, Step
from tests.property.simulation.road import narrowed
from tests.support.road import IDS, PEOPLE, road_on, word

from tuppence_protocol.errors import Refusal
from tuppence_server.audit.verify import verify
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import OPERATOR
from tuppence_server.store.contract import Store

BOUNDED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
HISTORIES = st.lists(STEPS, min_size=1, max_size=40)


async def check(store: Store, model: Model) -> None:
    """Everything that the store tells is what the model says (invariants 1, 2, 3, 5, 6, 7 and 12)."""
    report = await verify(store)
    assert report.problems == []
    assert report.pos == model.pos
    assert {currency: total for currency, total in report.totals.items() if total} == dict(model.deposited)
    accounts = {account.id: account for account in await store.accounts()}
    spent: Counter[int] = Counter()
    received: Counter[int] = Counter()
    moved = [row async for rows in store.transfers(0, 10**9) for row in rows]
    for row in moved:
        spent[row.debit] += row.amount
        received[row.credit] += row.amount
        assert accounts[row.debit].currency == accounts[row.credit].currency
    for account in accounts.values():
        assert (account.debits_posted, account.credits_posted) == (spent[account.id], received[account.id])
        assert account.owner == OPERATOR or account.available >= 0
    for who in PEOPLE:
        funds, pos = await store.funds(IDS[who])
        assert pos == model.pos
        for each in funds:
            assert each.available == model.balances[who, each.currency]
    log = [event async for events in store.log(0, 10**9) for event in events]
    assert [event.pos for event in log] == list(range(1, model.pos + 1))
    lines = defaultdict(list)
    paying = {row.pos for row in moved}
    for event in log:
        head = json.loads(event.head)
        lines[event.conv].append(head["id"])
        assert event.seq == len(lines[event.conv]) == head["seq"]
        assert (event.pos in paying) == head["kind"].startswith("pay.")
        assert event.head + event.body == model.done[head["id"]][3]
    assert dict(lines) == dict(model.lines)
    ids = [key for keys in lines.values() for key in keys]
    assert len(ids) == len(set(ids)), "one event per id"
    for conv, group in model.groups.items():
        for who in PEOPLE:
            page = await store.history(IDS[who], conv, None, None, 200)
            assert (page is not None) == (who in group)


async def one_by_one(
    store: Store, steps: Sequence[Step], fresh: Counted | None = None
) -> tuple[Model, list[Request], list[Outcome]]:
    """Run a history frame by frame, each outcome as the model foretells it."""
    model, requests, outcomes = Model(), [], []
    async with road_on(store, fresh) as road:
        for step in steps:
            request = model.request(step)
            expected = model.expect(request)
            outcome = await road.ask(request)
            assert word(outcome) == expected, (step, outcome)
            model.learn(request, outcome)
            requests.append(request)
            outcomes.append(outcome)
        assert road.told == list(range(1, model.pos + 1)), "told in the order of the log"
        assert road.fatals == 0
    await check(store, model)
    return model, requests, outcomes


async def together(store: Store, requests: Sequence[Request], sizes: Sequence[int]) -> list[Outcome]:
    """Run the same frames in bursts, none of them waiting for the one before."""
    outcomes: list[Outcome] = []
    async with road_on(store) as road:
        rest = list(requests)
        for size in (*sizes, len(rest)):
            outcomes += await road.at_once(rest[:size])
            rest = rest[size:]
        assert road.told == sorted(road.told)
        assert road.fatals == 0
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_every_outcome_is_foretold_and_a_batch_is_one_by_one(kind: str, narrow: bool) -> None:
    @BOUNDED
    @given(HISTORIES, st.lists(st.integers(1, 12), max_size=6))
    def run(steps: list[Step], sizes: list[int]) -> None:
        asyncio.run(history(steps, sizes))

    async def history(steps: list[Step], sizes: list[int]) -> None:
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            async with opened(kind, Path(first)) as store:
                model, requests, outcomes = await one_by_one(store, steps)
                accounts, head = await store.accounts(), await store.head()
            async with opened(kind, Path(second)) as store:
                with narrowed(really=narrow):
                    again = await together(store, requests, sizes)
                assert again == outcomes, "the same events, byte for byte, and the same refusals"
                await check(store, model)
                assert await store.accounts() == accounts
                assert await store.head() == head

    run()


@BOUNDED
@given(HISTORIES)
def test_both_stores_make_the_same_ledger(steps: list[Step]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            found = []
            for kind in KINDS:
                async with opened(kind, Path(folder)) as store:
                    _, _, outcomes = await one_by_one(store, steps)
                    found.append((outcomes, await store.head(), await store.accounts()))
            assert found[0] == found[1]

    asyncio.run(run())


@BOUNDED
@given(HISTORIES, st.data())
def test_a_retry_at_any_time_gives_the_same_bytes(steps: list[Step], data: st.DataObject) -> None:
    async def run() -> None:
        async with opened("memory", Path()) as store:
            fresh = Counted()
            model, requests, outcomes = await one_by_one(store, steps, fresh)
            order = data.draw(st.permutations(range(len(requests))))
            async with road_on(store, fresh) as road:
                again = await road.at_once([requests[index] for index in order])
            for index, outcome in zip(order, again, strict=True):
                first = outcomes[index]
                if isinstance(first, Stored):
                    assert isinstance(outcome, Stored)
                    assert outcome.repeated
                    assert outcome.event == first.event
                elif first.code in ("insufficient_funds", "expired", "same_account") and _first(
                    requests, index
                ):
                    assert outcome == first, "a refused payment stays refused"
            assert await store.funds(IDS["alice"]) or model.pos == 0

    asyncio.run(run())


def _first(requests: Sequence[Request], index: int) -> bool:
    """True where no other request used that id."""
    ids = [json.loads(request.content)["id"] for request in requests]
    return ids.count(ids[index]) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_storm_of_the_same_payment_pays_once(kind: str, tmp_path: Path) -> None:
    """The double pay of a retry after a slow answer (LndHub#3, stacker.news#1672), over many batches."""
    async with opened(kind, tmp_path) as store, road_on(store) as road:
        model = Model()
        await road.ask(model.request(Step("pay.deposit", "alice", 100, amount="9")))
        pay = model.request(Step("pay.send", "alice", 101, "bob", amount="2"))
        other = [model.request(Step("chat.text", "carol", key, "self")) for key in range(200, 400)]
        waiting = []
        for line in other:
            waiting += [asyncio.create_task(road.ask(each)) for each in (pay, line)]
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*waiting)
        assert Counter(word(each) for each in outcomes[0::2]) == {"stored": 1, "repeated": 199}
        assert {word(each) for each in outcomes[1::2]} == {"stored"}
        assert {funds.available for funds in (await store.funds(IDS["alice"]))[0]} == {700}
        assert not any(isinstance(each, Refusal) for each in outcomes)
        assert await store.event(IDS["bob"], event_id(101)) is not None
