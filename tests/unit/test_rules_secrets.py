"""What one person learns never depends on what another has: every verb against every balance and limit.

Only what arrives at once tells whether it could arrive, and then it has arrived; the last tests say so.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace
from tests.contract.stores import said
from tests.support.money_world import PLAIN, MoneyWorld, id_of, money_world, told

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import BALANCE_MINOR_MAX
from tuppence_server.domain.effects import Outcome, Previewed, Stored
from tuppence_server.domain.policy import Limits

CAP: Final = 10_000
POLICY: Final = replace(
    PLAIN,
    limits={
        ("capped", "EUR"): Limits(per_payment=5_000, daily=9_000, monthly=9_000, hourly_count=9, balance=CAP),
        ("capped", "JPY"): Limits(balance=5_000),
        ("tight", "EUR"): Limits(per_payment=1_000, daily=1_000, monthly=1_000, hourly_count=4, balance=600),
    },
)
BOBS: Final = [
    ("capped", 500), ("capped", 5_000), ("capped", CAP - 1), ("capped", CAP), ("tight", 600),
    ("basic", 500), ("basic", 10**15), ("basic", BALANCE_MINOR_MAX - 10**9),
]  # fmt: skip
"""Bob's tier and what he has, in cents; the first is what the others are compared with."""
PROBES: Final = ["0.01", "0.02", "1.00", "50.00", "94.99", "95.00", "95.01", "100.00", "2000.00"]
Act = Callable[[MoneyWorld, str], Awaitable[list[Outcome]]]


async def offered_and_taken_back(world: MoneyWorld, group: str) -> list[Outcome]:
    """The bisection: an offer of any size, and back again."""
    seen = []
    for amount in PROBES:
        for conv, more in (("@bob", {}), (group, {"payee": "@bob"})):
            offer = await world.do(
                "alice", "pay.send", conv, amount=amount, currency="EUR", accept=True, **more
            )
            seen += [offer, await world.do("alice", "pay.cancel", conv, ref=id_of(offer))]
    return seen


async def offers_that_wait_side_by_side(world: MoneyWorld, _group: str) -> list[Outcome]:
    """What is on its way to somebody is not told by what else can be sent."""
    return [
        await world.do("alice", "pay.send", "@bob", amount=amount, currency="EUR", accept=True)
        for amount in PROBES * 3
    ]


async def looked_at(world: MoneyWorld, group: str) -> list[Outcome]:
    """Previews, of what could not be done too."""
    quote = await world.quote("alice", "50.00")
    seen = [await world.preview("alice", "pay.send", "@bob", amount="50.00", currency="EUR", quote=quote.id)]
    for amount in PROBES:
        for more in ({}, {"accept": True}):
            body = {"amount": amount, "currency": "EUR", **more}
            seen.append(await world.preview("alice", "pay.send", "@bob", **body))
            seen.append(await world.preview("alice", "pay.send", group, payee="@bob", **body))
    return seen


async def asked(world: MoneyWorld, group: str) -> list[Outcome]:
    """Requests and splits of any size, reminders and waivers."""
    seen = []
    for amount in PROBES:
        request = await world.do("alice", "pay.request", "@bob", amount=amount, currency="EUR")
        seen += [request, await world.do("alice", "pay.remind", "@bob", ref=id_of(request))]
        seen.append(await world.do("alice", "pay.cancel", "@bob", ref=id_of(request)))
        shares = [{"user": "@bob", "amount": amount}]
        bill = await world.do("alice", "pay.split", group, total=amount, currency="EUR", shares=shares)
        seen += [bill, await world.do("alice", "pay.waive", group, ref=id_of(bill), user="@bob")]
    return seen


async def packets(world: MoneyWorld, group: str) -> list[Outcome]:
    """Packets to Bob, and shares of his."""
    body = {"currency": "EUR", "mode": "equal"}
    seen = [await world.do("alice", "pay.packet", "@bob", total=each, count=1, **body) for each in PROBES[2:]]
    his = await world.made("bob", "pay.packet", group, total="1.00", count=2, **body)
    return [*seen, await world.do("alice", "pay.claim", group, ref=his)]


async def answered(world: MoneyWorld, _group: str) -> list[Outcome]:
    """What Bob sent and asked for, taken, declined and given back."""
    first, second = await world.offered("bob", "@alice", "0.50"), await world.offered("bob", "@alice", "0.60")
    paid = await world.paid("bob", "@alice", "0.70")
    request = await world.made("bob", "pay.request", "@alice", amount="2.00", currency="EUR")
    return [
        await world.preview("alice", "pay.accept", "@bob", ref=first),
        await world.do("alice", "pay.accept", "@bob", ref=first),
        await world.do("alice", "pay.decline", "@bob", ref=second),
        await world.preview("alice", "pay.refund", "@bob", ref=paid),
        await world.do("alice", "pay.decline", "@bob", ref=request),
    ]


async def given_back(world: MoneyWorld, _group: str) -> list[Outcome]:
    """A refund arrives whatever the payer may hold."""
    paid = await world.paid("bob", "@alice", "0.70")
    return [await world.do("alice", "pay.refund", "@bob", ref=paid, amount="0.69")]


ACTS: Final[list[Act]] = [
    offered_and_taken_back, offers_that_wait_side_by_side, looked_at, asked, packets, answered, given_back,
]  # fmt: skip


async def learnt(folder: Path, act: Act, tier: str, cents: int) -> list[Any]:
    """All that Alice is told where Bob is this rich."""
    async with money_world("memory", folder, POLICY) as world:
        group = await world.group("alice", "bob")
        await world.credit("alice", "90000.00")
        await world.credit("bob", "5.00")
        await world.say("alice", "@bob")
        await world.tier("bob", tier)
        account = world.store._accounts[world.users["bob"], "EUR", "customer"]  # type: ignore[attr-defined]
        before = account.credits_posted
        account.credits_posted = cents
        shift = account.credits_posted - before
        seen = [_told(outcome) for outcome in await act(world, group)]
        accounts = world.store._accounts  # type: ignore[attr-defined]
        accounts[world.users["bob"], "EUR", "customer"].credits_posted -= shift
        return seen


def _told(outcome: Outcome) -> Any:
    if isinstance(outcome, Refusal):
        return told(outcome), outcome.message
    if isinstance(outcome, Previewed):
        return outcome
    assert isinstance(outcome, Stored), outcome
    return outcome.event.head, outcome.event.body


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_what_one_learns_does_not_depend_on_what_another_has(tmp_path: Path, act: Act) -> None:
    first, *others = [await learnt(tmp_path, act, *bob) for bob in BOBS]
    for bob, seen in zip(BOBS[1:], others, strict=True):
        assert seen == first, bob


# --- the payee's own account, where only the payee is told ------------------------------------------------


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    """Bob is capped at 100.00 and has 60.00."""
    async with money_world("memory", tmp_path, POLICY) as world:
        await world.credit("alice", "9000.00")
        await world.credit("bob", "60.00")
        await world.credit("carol", "9000.00")
        await world.tier("bob", "capped")
        yield world


async def test_a_cap_is_judged_when_an_offer_is_accepted_and_the_offer_goes_on_waiting(
    world: MoneyWorld,
) -> None:
    offer = await world.offered("alice", "@bob", "40.01")
    for outcome in (
        await world.preview("bob", "pay.accept", "@alice", ref=offer),
        await world.do("bob", "pay.accept", "@alice", ref=offer),
    ):
        assert told(outcome) == ("balance_limit", None, None)
    await world.pay("bob", "@carol", "0.01")
    assert said(await world.do("bob", "pay.accept", "@alice", ref=offer)) == "stored"
    assert await world.purse("bob") == (CAP, 0)


async def test_offers_keep_nobody_from_being_paid(world: MoneyWorld) -> None:
    for _ in range(3):
        await world.offered("alice", "@bob", "2000.00")
    assert said(await world.pay("carol", "@bob", "40.00")) == "stored"
    assert await world.purse("bob") == (CAP, 0)


async def _claimed(folder: Path, seeds: int, room: int, *, taken: bool) -> tuple[int, int, str]:
    """What Carol got before, what is next, and the answer to Bob, who has room for so many cents."""
    async with money_world("memory", folder, POLICY) as world:
        await world.credit("alice", "90.00")
        await world.credit("bob", f"{(CAP - room) // 100}.{(CAP - room) % 100:02}")
        await world.tier("bob", "capped")
        group = await world.group("alice", "bob", "carol")
        for _ in range(seeds):
            world.fresh.seed()
        body = {"total": "0.06", "currency": "EUR", "count": 3, "mode": "lucky"}
        packet = await world.made("alice", "pay.packet", group, **body)
        if taken:
            await world.do("carol", "pay.claim", group, ref=packet)
        rows = world.store._shares.values()  # type: ignore[attr-defined]
        shares = [each for each in rows if each.payment == packet]
        outcome = await world.do("bob", "pay.claim", group, ref=packet)
        return await world.balance("carol"), shares[int(taken)].amount, said(outcome)


@pytest.mark.parametrize("taken", [False, True])
async def test_the_next_share_of_a_packet_is_not_told_by_ones_own_room(tmp_path: Path, taken: bool) -> None:
    """Packets of which everybody has seen the same answer the same, whatever the next share is."""
    for room in range(1, 6):
        answers: dict[int, set[str]] = {}
        shares: dict[int, set[int]] = {}
        for seeds in range(8):
            first, following, answer = await _claimed(tmp_path, seeds, room, taken=taken)
            answers.setdefault(first, set()).add(answer)
            shares.setdefault(first, set()).add(following)
        assert max(map(len, shares.values())) > 1, "there was something to be told"
        assert max(map(len, answers.values())) == 1, (room, answers)


# --- what arrives at once ---------------------------------------------------------------------------------


async def test_what_would_arrive_at_once_is_refused_with_a_bare_code(world: MoneyWorld) -> None:
    """That much is told, since it is so; but neither what the other has nor by how much it is passed."""
    await world.say("alice", "@bob")
    await world.credit("alice", "9000", "JPY")
    request = await world.made("bob", "pay.request", "@alice", amount="40.01", currency="EUR")
    quote = await world.quote("alice", "4001", pair="JPY/EUR", rate=(1, 100))
    answers = [
        await world.pay("alice", "@bob", "40.01"),
        await world.pay("alice", "@bob", "9000.00"),
        await world.pay("alice", "@bob", "40.01", ref=request),
        await world.pay("alice", "@bob", "4001", "JPY", quote=quote.id),
    ]
    assert [told(answer) for answer in answers] == [("balance_limit", "$.body.amount", None)] * 4
    assert len({answer.message for answer in answers if isinstance(answer, Refusal)}) == 1
