"""The scripted conversation: two people, chat and payments, a cut, and proof that all holds.

Every line that it prints was checked first: both sides have equal events, their sequence has no gap, and the
money that left one side came to the other.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from tuppence_client.client import Client, connect
from tuppence_client.errors import FundsError
from tuppence_client.notices import Notice, Resumed
from tuppence_client.streams import Stream
from tuppence_client.terminal.render import event_lines, plain
from tuppence_protocol.events import Event
from tuppence_protocol.money import format_amount, parse_amount

Out = Callable[[str], None]
STEP_S = 30.0
CURRENCY = "EUR"
NEEDED_MINOR = 2_000


class ScriptFailed(Exception):
    """Something that the script expects did not hold."""


def expect(held: bool, what: str) -> None:
    """Raise `ScriptFailed` where it did not hold."""
    if not held:
        raise ScriptFailed(what)


class _Stage:
    """Both clients, what each has seen of their conversation, and where it is printed."""

    def __init__(self, alice: Client, bob: Client, out: Out) -> None:
        self.alice, self.bob = alice, bob
        self.out = out
        self.streams: dict[Client, Stream[Event]] = {
            alice: alice.events(f"@{bob.user.handle}"),
            bob: bob.events(f"@{alice.user.handle}"),
        }
        self.seen: dict[Client, list[Event]] = {alice: [], bob: []}
        self.handles = {me.user.id: me.user.handle for me in (alice, bob)}

    def title(self, text: str) -> None:
        """A heading."""
        self.out("")
        self.out(text)

    def show(self, me: Client, event: Event) -> None:
        """One line as that person sees it."""
        for line in event_lines(event, me.user.id, lambda user: self.handles.get(user, "?")):
            self.out(f"  {me.user.handle:<6} | {plain(line)}")

    async def both(self, event: Event) -> Event:
        """Wait until both sides have the event; they must have the same one, next in order."""
        for me in (self.alice, self.bob):
            await self.take(me, event)
        return event

    async def take(self, me: Client, event: Event) -> None:
        """Wait until one side has the event, as the next one."""
        async with asyncio.timeout(STEP_S):
            got = await anext(self.streams[me])
        expect(got == event, f"{me.user.handle} got {got}, not {event}")
        seen = self.seen[me]
        expect(not seen or got.seq == seen[-1].seq + 1, f"{me.user.handle} has a gap before {got.seq}")
        seen.append(got)
        self.show(me, got)

    async def balances(self) -> tuple[int, int]:
        """What both have, in minor units; printed."""
        alice, bob = await _available(self.alice), await _available(self.bob)
        for me, minor in ((self.alice, alice), (self.bob, bob)):
            self.out(f"  {me.user.handle:<6} | {format_amount(minor, CURRENCY):>10} {CURRENCY}")
        return alice, bob


async def run_script(url: str, alice_token: str, bob_token: str, out: Out) -> None:
    """Hold the conversation between two users and print it line by line.

    Raises `ScriptFailed` where anything expected does not hold; `TuppenceError` and TimeoutError where the
    server does not do its part. The first user needs 20.00 EUR.
    """
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(connect(url, token=alice_token))
        bob = await stack.enter_async_context(connect(url, token=bob_token))
        stage = _Stage(alice, bob, out)
        out(f"@{alice.user.handle} and @{bob.user.handle} are connected to {url}")
        stage.title("Balances before")
        before = await stage.balances()
        if before[0] < NEEDED_MINOR:
            raise ScriptFailed(
                f"@{alice.user.handle} needs {format_amount(NEEDED_MINOR, CURRENCY)} {CURRENCY}"
            )
        await _talk(stage)
        await _overdraft(stage)
        await _once(stage)
        await _cut(stage)
        await _conclude(stage, before)


async def _talk(stage: _Stage) -> None:
    stage.title("One conversation, chat and payments")
    alice, bob = stage.alice, stage.bob
    to_bob, to_alice = f"@{bob.user.handle}", f"@{alice.user.handle}"
    said = await stage.both(await alice.send(to_bob, "Lunch was great. What do I owe you?"))
    await stage.both(await bob.send(to_alice, "12.50, and the coffee is on me", ref=said.id))
    paid = await stage.both(await alice.pay(to_bob, "12.50 EUR", note="lunch", ref=said.id))
    expect(paid.seq == said.seq + 2, "a payment takes its place among the messages")
    await stage.both(await bob.send(to_alice, "Thank you!", ref=paid.id))
    await stage.both(await bob.pay(to_alice, "1.00 EUR", note="too much tip"))


async def _overdraft(stage: _Stage) -> None:
    stage.title("More than there is")
    alice, bob = stage.alice, stage.bob
    available = await _available(alice)
    try:
        await alice.pay(f"@{bob.user.handle}", (available + 1, CURRENCY))
    except FundsError as error:
        more = format_amount(available + 1, CURRENCY)
        stage.out(f"  {alice.user.handle:<6} | ✗ {more} {CURRENCY} refused: {error.code}")
    else:
        raise ScriptFailed("an overdraft was not refused")
    expect(await _available(alice) == available, "a refused payment moved money")


async def _once(stage: _Stage) -> None:
    stage.title("The same id twice: one payment")
    alice, bob = stage.alice, stage.bob
    saved = alice.new_id()
    first = await stage.both(await alice.pay(f"@{bob.user.handle}", "2.00 EUR", note="bus", id=saved))
    available = await _available(alice)
    again = await alice.pay(f"@{bob.user.handle}", "2.00 EUR", note="bus", id=saved)
    expect(again == first, "the same id gave another event")
    expect(await _available(alice) == available, "the same id paid twice")
    stage.out(
        f"  {alice.user.handle:<6} | sent again under the same id: the same event came back, nothing moved"
    )


async def _cut(stage: _Stage) -> None:
    alice, bob = stage.alice, stage.bob
    to_bob = f"@{bob.user.handle}"
    stage.title(f"@{bob.user.handle}'s socket is cut")
    notices = bob.notices()
    async with bob.offline():
        missed = [
            await alice.send(to_bob, "Are you in the tunnel?"),
            await alice.pay(to_bob, "3.00 EUR", note="ticket"),
            await alice.send(to_bob, "Paid your ticket."),
        ]
        for event in missed:
            await stage.take(alice, event)
    async with asyncio.timeout(STEP_S):
        resumed = await _resumed(notices)
    expect(resumed.events == len(missed), f"{resumed.events} events were replayed, not {len(missed)}")
    for event in missed:
        await stage.take(bob, event)
    stage.out(f"  {bob.user.handle:<6} | resumed: {resumed.events} events, no gap")
    await stage.both(await bob.send(f"@{alice.user.handle}", "Back. Got everything."))


async def _resumed(notices: Stream[Notice]) -> Resumed:
    async for notice in notices:
        if isinstance(notice, Resumed):
            return notice
    raise ScriptFailed("the connection ended")


async def _conclude(stage: _Stage, before: tuple[int, int]) -> None:
    stage.title("Balances after")
    after = await stage.balances()
    moved = 1_250 - 100 + 200 + 300
    expect(before[0] - after[0] == moved, "the payer's balance is not what was paid")
    expect(after[1] - before[1] == moved, "the payee's balance is not what was paid")
    alice, bob = stage.seen.values()
    expect(alice == bob, "the two sides have different events")
    stored = await stage.alice.history(alice[0].conv, after=alice[0].seq - 1)
    expect(stored == alice, "the history is not what was delivered")
    stage.title(
        f"Held: {len(alice)} events, equal on both sides, in order, without a gap; every cent accounted for."
    )


async def _available(me: Client) -> int:
    for view in await me.wallet():
        if view.currency == CURRENCY and view.available.strip("0."):
            minor = parse_amount(view.available, CURRENCY)
            assert isinstance(minor, int)
            return minor
    return 0
