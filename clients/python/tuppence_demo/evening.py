"""The scripted evening of four people: every way to move money, each checked before it is printed."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from tuppence_client.client import Client, connect
from tuppence_client.errors import ServerError
from tuppence_client.fairness import check_packet
from tuppence_client.streams import Stream
from tuppence_client.terminal.render import event_lines, plain
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import BillSplit, PaymentSent, QuoteView, Settles

from .conversation import STEP_S, Out, expect

PEOPLE: Final = 4


class _Table:
    """Four clients in one group; every event is taken by all of them, and printed once."""

    def __init__(self, people: Sequence[Client], conv: str, out: Out) -> None:
        self.people = people
        self.conv = conv
        self.out = out
        self.streams: dict[Client, Stream[Event]] = {me: me.events(conv) for me in people}
        self.handles = {me.user.id: me.user.handle for me in people}

    def title(self, text: str) -> None:
        """A heading."""
        self.out("")
        self.out(text)

    def note(self, who: Client, text: str) -> None:
        """A line that is no event."""
        self.out(f"  {who.user.handle:<6} | {text}")

    async def all(self, who: Client, event: Event) -> Event:
        """Wait until all four have the event, the same one; it is printed as `who` sees it."""
        for me in self.people:
            got = await self.next(me)
            expect(got == event, f"{me.user.handle} got {got}, not {event}")
        for line in event_lines(event, who.user.id, lambda user: self.handles.get(user, "?")):
            self.note(who, plain(line))
        return event

    async def next(self, me: Client) -> Event:
        """The next event of the group on one side."""
        async with asyncio.timeout(STEP_S):
            return await anext(self.streams[me])


async def run_money_script(url: str, tokens: Sequence[str], out: Out) -> None:
    """Four people request, offer, split, share a packet, refund and exchange.

    The first needs 60.00 EUR, each of the others 10.00 EUR. Raises as `run_script` does.
    """
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(connect(url, token=token)) for token in tokens]
        expect(len(people) == PEOPLE, "the evening is for four")
        host, *guests = people
        made = await host.create_room("New Year's Eve", [f"@{me.user.handle}" for me in guests])
        table = _Table(people, made.conv, out)
        for me in people:
            expect((await table.next(me)).id == made.id, "everybody is told of the group")
        await _request(table)
        await _offers(table)
        await _split(table)
        await _packet(table)
        await _refund(table)
        await _exchange(table)
        await _statement(table)


async def _request(table: _Table) -> None:
    table.title("A request, paid")
    alice, bob, *_ = table.people
    asked = await table.all(
        bob, await bob.request(table.conv, "5.00 EUR", payer=f"@{alice.user.handle}", note="taxi")
    )
    paid = await table.all(alice, await alice.settle(asked))
    body = paid.body
    expect(isinstance(body, PaymentSent) and bool(body.settles), "the request is settled by the payment")


async def _offers(table: _Table) -> None:
    table.title("An offer declined, and one that nobody answers")
    alice, bob, *_ = table.people
    to_bob = f"@{bob.user.handle}"
    offer = await table.all(alice, await alice.pay(table.conv, "4.00 EUR", payee=to_bob, accept=True))
    declined = await table.all(bob, await bob.decline(offer, "you paid last time"))
    expect(_state(declined) == "declined", "an offer can be declined")
    held = await alice.pay(table.conv, "3.00 EUR", payee=to_bob, accept=True, expires_s=1)
    await table.all(alice, held)
    gone = await table.next(alice)
    expect(gone.kind == "pay.expire" and gone.ref == held.id, "what is not answered expires")
    for me in table.people[1:]:
        expect(await table.next(me) == gone, "everybody sees that it expired")
    for line in event_lines(gone, alice.user.id, lambda user: table.handles.get(user, "?")):
        table.note(alice, plain(line))


async def _split(table: _Table) -> None:
    table.title("10.00 split by three")
    alice, bob, carol, _ = table.people
    parts = [f"@{me.user.handle}" for me in (alice, bob, carol)]
    bill = await table.all(alice, await alice.split(table.conv, "10.00 EUR", parts, note="pizza"))
    body = bill.body
    assert isinstance(body, BillSplit)
    expect([share.amount for share in body.shares] == ["3.34", "3.33", "3.33"], "the odd cent is told")
    await table.all(bob, await bob.settle(bill))
    last = await table.all(carol, await carol.settle(bill))
    paid = last.body
    assert isinstance(paid, PaymentSent)
    assert isinstance(paid.settles, Settles)
    expect(paid.settles.state == "settled", "the split is settled with its last share")


async def _packet(table: _Table) -> None:
    table.title("A lucky packet by four")
    alice, *_ = table.people
    packet = await table.all(
        alice, await alice.packet(table.conv, "8.00 EUR", PEOPLE, "lucky", note="Happy new year")
    )
    claims = [await table.all(me, await me.claim(packet)) for me in table.people]
    check = check_packet(packet, claims, claims[-1])
    expect(check.fair, f"the packet was not fair: {', '.join(check.wrong)}")
    table.note(
        alice, f"✓ fair: the seed makes {', '.join(check.shares)}, as was promised before the first claim"
    )


async def _refund(table: _Table) -> None:
    table.title("A refund in part")
    alice, _, _, dave = table.people
    paid = await table.all(
        alice, await alice.pay(table.conv, "6.00 EUR", payee=f"@{dave.user.handle}", note="tickets")
    )
    back = await table.all(dave, await dave.refund(paid, "2.00 EUR"))
    expect(_state(back) == "partly_refunded", "some of it went back")


async def _exchange(table: _Table) -> None:
    table.title("Euros sent, yen received, at a promised rate")
    alice, bob, *_ = table.people
    try:
        quote = await alice.quote(sell="EUR", buy="JPY", amount="10.00")
    except ServerError as error:
        if error.code != "rate_unavailable":
            raise
        table.note(alice, "this server has no rate between EUR and JPY")
        return
    table.note(
        alice,
        f"quote: {quote.sell.amount} EUR make {quote.buy.amount} JPY at {quote.rate}, "
        f"{quote.margin} EUR of it for the house",
    )
    await _cost(table, f"@{bob.user.handle}", quote)
    sent = await alice.pay(table.conv, quote.sell, payee=f"@{bob.user.handle}", quote=quote)
    await table.all(alice, sent)
    body = sent.body
    assert isinstance(body, PaymentSent)
    expect(body.received == quote.buy, "the payee got what was promised")


async def _cost(table: _Table, to: str, quote: QuoteView) -> None:
    """What it would cost, before it is paid; looking moves nothing."""
    alice, *_ = table.people
    before = [(view.currency, view.available) for view in await alice.wallet()]
    seen = await alice.preview.pay(table.conv, quote.sell, payee=to, quote=quote)
    fee = "no fee" if seen.fee is None else f"a fee of {seen.fee.amount} {seen.fee.currency} among it"
    spends = ", ".join(f"{each.amount} {each.currency}" for each in seen.spends)
    left = ", ".join(f"{each.available} {each.currency}" for each in seen.balances)
    table.note(alice, f"preview: it would take {spends}, {fee}, and leave {left}")
    after = [(view.currency, view.available) for view in await alice.wallet()]
    expect(after == before, "a preview moves nothing")


async def _statement(table: _Table) -> None:
    alice, *_ = table.people
    statement = await alice.statement("EUR")
    lines = [line async for line in statement]
    table.title(f"@{alice.user.handle}'s statement: the last lines of {len(lines)}")
    for line in lines[-4:]:
        table.note(alice, f"{line.amount:>8} {line.balance:>8}  {line.code:<10} {line.with_ or ''}")
    table.note(alice, f"opening {statement.opening}, closing {statement.closing} EUR")
    (balance,) = (view for view in await alice.wallet() if view.currency == "EUR")
    expect(statement.closing == balance.available, "the statement closes with the balance")


def _state(event: Event) -> str:
    return str(getattr(event.body, "state", ""))
