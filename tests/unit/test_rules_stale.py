"""What nobody needs any more is dropped, in bites, and nothing that is asked for or checked by again."""

import asyncio
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from tests.contract.stores import KINDS, command, said, wire_id
from tests.support.money_world import DAY_MS, HOUR_MS, PLAIN, MoneyWorld, money_world
from tests.support.waiting import until

from tuppence_server.audit.verify import verify
from tuppence_server.domain.commands import Forget, RevokeSession
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.pay.limits import SLOT_MS
from tuppence_server.domain.policy import Limits
from tuppence_server.domain.request import Request
from tuppence_server.domain.stale import before
from tuppence_server.pipeline import sweep
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import Stale

POLICY = replace(PLAIN, limits={("basic", "EUR"): Limits(daily=100_000)})
MONTH_MS = 30 * DAY_MS


class Road:
    """What the sweep needs of the road, over a world."""

    def __init__(self, world: MoneyWorld) -> None:
        self.world = world
        self.asked = 0

    def now_ms(self) -> int:
        return self.world.now

    async def ask(self, request: Request) -> Outcome:
        self.asked += 1
        return (await self.world.settle(request))[0]


async def prune(world: MoneyWorld, **bounds: int) -> int:
    return await sweep.prune(world.store, cast("Pipeline", Road(world)), **bounds)


async def found(world: MoneyWorld) -> Stale:
    return await world.store.stale(before(world.now), 99)


@pytest.mark.parametrize("kind", KINDS)
async def test_quotes_logins_and_spending_go_when_nobody_can_need_them(kind: str, tmp_path: Path) -> None:
    async with money_world(kind, tmp_path, POLICY) as world:
        await world.credit("alice", "100")
        used, unused = await world.quote("alice", "10"), await world.quote("alice", "10")
        await world.paid("alice", "self", "10", quote=used.id, payee="@alice")
        spent_slot = world.now // SLOT_MS
        expired = await world.log_in("alice", 1)
        revoked = await world.log_in("alice", 2, 365 * DAY_MS)
        await world.log_in("alice", 3, 365 * DAY_MS)
        await world.order(RevokeSession(revoked, world.users["alice"]))
        start, told = world.now, []
        for past in (
            unused.expires_at - start + HOUR_MS,
            MONTH_MS,
            1_000 + MONTH_MS,
            2 * MONTH_MS + 2 * SLOT_MS,
        ):
            world.now = start + past - 1
            told.append(await found(world))
            world.now = start + past
            told.append(await found(world))
            await prune(world)
        uses = ((world.users["alice"], "EUR", spent_slot),)
        nothing = Stale((), (), ())
        assert told[:6] == [
            nothing, Stale((unused.id,), (), ()), nothing, Stale((), (revoked,), ()),
            nothing, Stale((), (expired,), ()),
        ]  # fmt: skip
        assert told[7].uses == uses
        assert await found(world) == nothing
        assert (await world.store.load_payments([], [used.id, unused.id], [])).quotes.keys() == {used.id}
        assert await world.store.identify("token 1") is None
        assert await world.store.identify("token 3") is not None
        assert (await verify(world.store)).problems == []
        spent = await world.do("alice", "pay.send", "@bob", amount="1", currency="EUR", quote=unused.id)
        assert said(spent) == "not_found"


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_good_is_let_be_whoever_names_it(kind: str, tmp_path: Path) -> None:
    async with money_world(kind, tmp_path, POLICY) as world:
        await world.credit("alice", "100")
        quote, session = await world.quote("alice", "10"), await world.log_in("alice", 1, DAY_MS)
        await world.paid("alice", "@bob", "1")
        use = (world.users["alice"], "EUR", world.now // SLOT_MS)
        forget = Forget((quote.id, "q_none"), (session, wire_id("s_", 99)), (use,))
        assert said((await world.settle(command(forget)))[0]) == "done"
        assert (await world.store.load_payments([], [quote.id], [])).quotes
        assert await world.store.identify("token 1") is not None
        await world.paid("alice", "@bob", "10", quote=quote.id)
        world.now += 3 * MONTH_MS
        forget = Forget((quote.id,), (session,), ())
        assert said((await world.settle(command(forget), command(forget)))[0]) == "done"
        assert (await world.store.load_payments([], [quote.id], [])).quotes, "the ledger is checked by it"
        assert (await verify(world.store)).problems == []


@pytest.mark.parametrize("kind", KINDS)
async def test_much_goes_in_bites(kind: str, tmp_path: Path) -> None:
    async with money_world(kind, tmp_path, POLICY) as world:
        for _ in range(10):
            await world.quote("alice", "10")
        world.now += DAY_MS
        assert [await prune(world, rows_max=3, bites_max=2) for _ in range(3)] == [6, 4, 0]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_sweep_drops_too_what_nobody_needs(kind: str, tmp_path: Path) -> None:
    async with money_world(kind, tmp_path, POLICY) as world:
        await world.quote("alice", "10")
        world.now += DAY_MS
        sweeping = asyncio.create_task(sweep.keep_sweeping(world.store, cast("Pipeline", Road(world)), 0))

        async def gone() -> bool:
            return not (await found(world)).quotes

        await until(gone, "the quote is dropped")
        sweeping.cancel()
        await asyncio.wait([sweeping])


@pytest.mark.parametrize("kind", KINDS)
async def test_logins_that_are_over_are_not_listed_and_the_list_has_an_end(kind: str, tmp_path: Path) -> None:
    async with money_world(kind, tmp_path) as world:
        sessions = [await world.log_in("alice", number, number * 1_000) for number in range(1, 8)]
        world.now += 3_000
        alice = world.users["alice"]
        listed = await world.store.sessions(alice, world.now, 99)
        assert {each.id for each in listed} == set(sessions[3:])
        assert [each.id for each in await world.store.sessions(alice, world.now, 2)] == [
            each.id for each in listed[:2]
        ]
