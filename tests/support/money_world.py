"""A world for the rules of money: currencies of every exponent, purses with their holds, and a ledger to
check."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.contract.stores import KINDS, World, head_of, opened, said

from tuppence_protocol.errors import CODES, Refusal
from tuppence_server.domain.commands import Expire, OpenQuote, Preview, SetFlags, SetTier
from tuppence_server.domain.effects import Outcome, Previewed, Quoted
from tuppence_server.domain.policy import Policy
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import Quote, Transfer
from tuppence_server.store.contract import Store

EXPONENTS: Final = {"JPY": 0, "EUR": 2, "USD": 2, "KWD": 3, "CLF": 4}
CURRENCIES: Final = frozenset(EXPONENTS)
PLAIN: Final = Policy(CURRENCIES, "sandbox")
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
ON_EVERY_STORE: Final = pytest.mark.parametrize("world", KINDS, indirect=True)
"""For what rests on rows and constraints; the other tests of a rule do with memory."""
State = dict[str, str | int] | None
Told = tuple[str, str | None, State]
NOT_YOURS: Final[Told] = ("forbidden", "$.ref", None)
NO_PAYMENT: Final[Told] = ("not_found", "$.ref", None)
Step = dict[str, Any] | Callable[[], Awaitable[object]]


def told(outcome: Outcome) -> Told:
    """A refusal as a person's program sees it: code, field and state."""
    assert isinstance(outcome, Refusal), outcome
    assert outcome.code in CODES
    assert outcome.message
    return outcome.code, outcome.field, outcome.state


def refusal(outcome: Outcome) -> tuple[str, str | None]:
    """Code and field of a refusal."""
    return told(outcome)[:2]


def ended(code: str, state: str) -> Told:
    """What is told where a payment waits no longer."""
    return code, "$.ref", {"state": state}


def id_of(outcome: Outcome) -> str:
    """The id of the event that a frame became."""
    return str(head_of(outcome)["id"])


class MoneyWorld(World):
    """A `World` with words for what these tests do all the time."""

    async def purse(self, who: str, currency: str = "EUR") -> tuple[int, int]:
        """What a person can spend and what is held, minor units."""
        funds, _ = await self.store.funds(self.users[who])
        found = (each for each in funds if each.currency == currency)
        return next(((each.available, each.held) for each in found), (0, 0))

    async def made(self, who: str, kind: str, conv: str, **members: Any) -> str:
        """A frame that has to become an event; its id."""
        outcome = await self.do(who, kind, conv, **members)
        assert said(outcome) == "stored", outcome
        return id_of(outcome)

    async def offered(self, who: str, conv: str, amount: str, currency: str = "EUR", **members: Any) -> str:
        """A payment that waits to be accepted; its id."""
        return await self.made(
            who, "pay.send", conv, amount=amount, currency=currency, accept=True, **members
        )

    async def paid(self, who: str, conv: str, amount: str, currency: str = "EUR", **members: Any) -> str:
        """A plain payment; its id."""
        return await self.made(who, "pay.send", conv, amount=amount, currency=currency, **members)

    async def paid_each(self, who: str, conv: str, *amounts: str) -> None:
        """Plain payments, one after the other."""
        for amount in amounts:
            await self.paid(who, conv, amount)

    async def told_in_turn(self, kind: str, wrong: dict[str, Any], *steps: Step) -> list[str]:
        """What is told first, each time that one more thing is put right: members of the frame, or all
        else."""
        codes = []
        for right in steps:
            if isinstance(right, dict):
                wrong |= right
            else:
                await right()
            codes.append(told(await self.do(kind=kind, **wrong))[0])
        return codes

    async def ask(self, who: str, conv: str, amount: str, **members: Any) -> Outcome:
        """A request in euros."""
        return await self.do(who, "pay.request", conv, **{"amount": amount, "currency": "EUR"} | members)

    async def asked(self, who: str, conv: str, amount: str, **members: Any) -> str:
        """A request that was made; its id."""
        return id_of(await self.ask(who, conv, amount, **members))

    async def share_out(self, group: str, total: str, *people: str, **members: Any) -> Outcome:
        """Alice splits a bill in euros; people as "@bob" or "@bob 5.00"."""
        shares = [dict(zip(("user", "amount"), person.split(" "), strict=False)) for person in people]
        body = {"total": total, "currency": "EUR", "shares": shares} | members
        return await self.do("alice", "pay.split", group, **body)

    async def expire(self, payment: str) -> Outcome:
        """What the sweep submits for a payment."""
        return await self.order(Expire(self.key(), payment))

    async def answer(self, kind: str, payment: str, payer: str = "alice", payee: str = "bob") -> Outcome:
        """An offer in a dm is answered by the one who may, or the sweep comes to it."""
        if kind == "pay.expire":
            return await self.expire(payment)
        who, peer = (payer, payee) if kind == "pay.cancel" else (payee, payer)
        return await self.do(who, kind, f"@{peer}", ref=payment)

    async def flag(self, who: str, put: int, currency: str | None = None, clear: int = 0) -> Outcome:
        """Freeze, close or thaw."""
        return await self.order(SetFlags(who, currency, put, clear))

    async def tier(self, who: str, tier: str) -> None:
        """Give a person other limits and fees."""
        assert said(await self.order(SetTier(who, tier))) == "done"

    async def promised(
        self,
        who: str,
        amount: str,
        side: str = "sell",
        pair: str = "EUR/JPY",
        rate: tuple[int, int] = (160, 1),
    ) -> Outcome:
        """What becomes of asking for a quote."""
        sell, buy = pair.split("/")
        return await self.order(OpenQuote(self.key(), self.users[who], sell, buy, amount, side, *rate))

    async def quote(self, who: str, amount: str, **terms: Any) -> Quote:
        """A quote."""
        outcome = await self.promised(who, amount, **terms)
        assert isinstance(outcome, Quoted), outcome
        return outcome.quote

    async def preview(self, who: str, kind: str, conv: str, **members: Any) -> Outcome:
        """What would become of a frame."""
        frame = self.frame(who, kind, conv, **members).frame
        return (await self.settle(Request(Preview(frame), self.users[who])))[0]  # type: ignore[arg-type]

    async def previewed(self, who: str, kind: str, conv: str, **members: Any) -> Previewed:
        """What would become of a frame that is not refused."""
        outcome = await self.preview(who, kind, conv, **members)
        assert isinstance(outcome, Previewed), outcome
        return outcome

    async def transfers(self, pos: int) -> list[Transfer]:
        """What one event moved."""
        upto = (await self.store.head()).transfer_id
        return [row async for rows in self.store.transfers(0, upto) for row in rows if row.pos == pos]

    async def moved(self, outcome: Outcome) -> list[tuple[str, str, int]]:
        """What an event moved, as phase, code and minor units."""
        rows = await self.transfers(head_of(outcome)["pos"])
        return [(row.phase, row.code, row.amount) for row in rows]


@asynccontextmanager
async def money_world(
    kind: str, folder: Path, policy: Policy = PLAIN, *people: str
) -> AsyncIterator[MoneyWorld]:
    """People over a store of that kind; its ledger is checked at the end."""
    async with opened(kind, folder) as store:
        world = MoneyWorld(store, policy)
        await world.register(*(people or ("alice", "bob", "carol", "dave")))
        yield world
        await check_ledger(store)


def world_of(
    policy: Policy = PLAIN,
    *people: str,
    begin: Callable[[MoneyWorld], Awaitable[object]] | None = None,
    **purses: str,
) -> Any:
    """A fixture of these people, or four, over memory or the store that a test names, who have so many euros.

    `begin` is done before the test; it knows what a file has in common.
    """

    @pytest.fixture
    async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MoneyWorld]:
        async with money_world(getattr(request, "param", "memory"), tmp_path, policy, *people) as world:
            for who, amount in purses.items():
                await world.credit(who, amount)
            if begin is not None:
                await begin(world)
            yield world

    return world


async def check_ledger(store: Store) -> None:
    """Every counter is the fold of its transfers, holds have one outcome, sums agree, nobody owes.

    It shares nothing with the server's own check.
    """
    accounts = {account.id: account for account in await store.accounts()}
    folded: dict[int, Counter[str]] = defaultdict(Counter)
    holds: dict[int, Transfer] = {}
    async for rows in store.transfers(0, (await store.head()).transfer_id):
        for row in rows:
            assert row.debit != row.credit, row
            assert row.amount > 0, row
            assert accounts[row.debit].currency == accounts[row.credit].currency, row
            if row.phase == "pending":
                holds[row.id] = row
            elif row.phase != "single":
                hold = holds.pop(row.pending)  # a second outcome finds nothing
                assert (hold.debit, hold.credit, hold.amount) == (row.debit, row.credit, row.amount), row
            sign = {"single": 0, "pending": 1}.get(row.phase, -1)
            for side, number in (("debits", row.debit), ("credits", row.credit)):
                folded[number][f"{side}_pending"] += sign * row.amount
                folded[number][f"{side}_posted"] += row.amount * (row.phase in {"single", "post"})
    sums: Counter[tuple[str, str]] = Counter()
    for account in accounts.values():
        for name in ("debits_posted", "credits_posted", "debits_pending", "credits_pending"):
            assert getattr(account, name) == folded[account.id][name], (account, name)
            sums[account.currency, name] += getattr(account, name)
        assert account.code != "customer" or account.available >= 0, account
        assert account.code != "packets" or account.credits_posted == account.debits_posted, account
    for currency in {account.currency for account in accounts.values()}:
        assert sums[currency, "debits_posted"] == sums[currency, "credits_posted"], currency
        assert sums[currency, "debits_pending"] == sums[currency, "credits_pending"], currency
