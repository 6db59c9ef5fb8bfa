"""Data directories to measure on, filled by the road itself in this process: people, money,
conversations, history.

A plan is what the load generator reads: a list of {"token", "conv"}, one per connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tuppence_protocol import codec, kinds
from tuppence_server import ids
from tuppence_server.domain.commands import Command, CreateUser, Deposit, OpenSession
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.policy import Policy
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import OPERATOR
from tuppence_server.opening import opened_store
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import Store
from tuppence_server.telemetry.metrics import Metrics

YEAR_MS = 31_536_000_000
CHUNK = 2_000
EVENTS_PER_PERSON = 4
"""Requests that put one person in place: created, credited, logged in, greeted."""

Advance = Callable[[int], None]
"""Told after each chunk how many requests it was."""


class Seeder:
    """Submits many requests at once and checks that every one was taken."""

    def __init__(self, store: Store, advance: Advance) -> None:
        self._advance = advance
        policy = Policy(frozenset({"EUR"}))
        self.pipeline = Pipeline(store, policy, ids.Randomness(), lambda _: None, Metrics(), lambda: None)

    async def submit(self, requests: Sequence[Request]) -> list[Outcome]:
        """Commit all of them; the outcomes in order."""
        outcomes: list[Outcome] = []
        for start in range(0, len(requests), CHUNK):
            outcomes += await self._together(requests[start : start + CHUNK])
        refused = [outcome for outcome in outcomes if hasattr(outcome, "code")]
        if refused:
            raise RuntimeError(f"seeding was refused: {refused[0]}")
        return outcomes

    async def _together(self, requests: Sequence[Request]) -> list[Outcome]:
        # One future for all of them: a task for each would cost as much as the road itself.
        outcomes: list[Outcome] = []
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def sink(_: Request, outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == len(requests):
                done.set_result(None)

        for request in requests:
            refusal = self.pipeline.submit(request, sink)
            if refusal is not None:
                raise RuntimeError(f"seeding was refused: {refusal}")
        await done
        self._advance(len(requests))
        return outcomes

    async def people(self, count: int, prefix: str = "p") -> list[tuple[str, str]]:
        """(user id, handle) of new people."""
        made = [(ids.user_id(), f"{prefix}{index:x}x") for index in range(count)]
        commands: list[Command] = [
            CreateUser(user, ids.conversation_id(), _spelled(handle), "", None) for user, handle in made
        ]
        await self.submit([Request(command, OPERATOR) for command in commands])
        return [(user, _spelled(handle)) for user, handle in made]

    async def credit(self, people: Sequence[tuple[str, str]], amount: str) -> None:
        """Give everybody money."""
        await self.submit(
            [Request(Deposit(ids.event_id(), handle, amount, "EUR", None), OPERATOR) for _, handle in people]
        )

    async def tokens(self, people: Sequence[tuple[str, str]]) -> list[str]:
        """A login for everybody."""
        tokens = [ids.token() for _ in people]
        expires = self.pipeline.now_ms() + YEAR_MS
        await self.submit(
            [
                Request(
                    OpenSession(ids.session_id(), user, ids.token_hash(token), "bench", expires, None),
                    OPERATOR,
                )
                for (user, _), token in zip(people, tokens, strict=True)
            ]
        )
        return tokens

    async def pairs(self, people: Sequence[tuple[str, str]]) -> list[str]:
        """A dm for each two neighbours, named for each of them."""
        requests = [text(user, "@" + people[index ^ 1][1], "hello") for index, (user, _) in enumerate(people)]
        convs = []
        for outcome in await self.submit(requests):
            assert isinstance(outcome, Stored)
            convs.append(str(codec.decode_head(outcome.event.head)["conv"]))
        return convs

    async def room(self, people: Sequence[tuple[str, str]]) -> str:
        """A group with everybody, the first as its owner."""
        owner = people[0][0]
        first = people[1:101]
        create = kinds.RoomCreate(
            id=ids.event_id(), body=kinds.CreateBody(title="room", members=[user for user, _ in first])
        )
        (outcome,) = await self.submit([Request(create, owner, codec.encode(create))])
        assert isinstance(outcome, Stored)
        conv = str(codec.decode_head(outcome.event.head)["conv"])
        for start in range(101, len(people), 200):
            users = [user for user, _ in people[start : start + 200]]
            invite = kinds.RoomInvite(id=ids.event_id(), conv=conv, body=kinds.InviteBody(users=users))
            await self.submit([Request(invite, owner, codec.encode(invite))])
        return conv


def text(user: str, conv: str, words: str) -> Request:
    """A message to be submitted."""
    frame = kinds.ChatText(id=ids.event_id(), conv=conv, body=kinds.TextBody(text=words))
    return Request(frame, user, codec.encode(frame))


def payment(user: str, conv: str, amount: str = "0.01") -> Request:
    """A payment to be submitted."""
    frame = kinds.PaySend(id=ids.event_id(), conv=conv, body=kinds.SendBody(amount=amount, currency="EUR"))
    return Request(frame, user, codec.encode(frame))


def _spelled(handle: str) -> str:
    """No two handles may look alike, so digits that resemble letters are spelled otherwise."""
    return handle.translate(str.maketrans("01", "gh"))


def _silent(_: int) -> None:
    pass


@asynccontextmanager
async def _opened(data: Path, advance: Advance) -> AsyncIterator[tuple[Store, Seeder]]:
    async with opened_store(data, make=True) as store:
        seeder = Seeder(store, advance)
        seeder.pipeline.start(await store.head())
        try:
            yield store, seeder
        finally:
            await seeder.pipeline.stop()


async def seed(
    data: Path,
    *,
    people: int,
    extra_accounts: int = 0,
    extra_events: int = 0,
    room: bool = False,
    advance: Advance = _silent,
) -> list[dict[str, Any]]:
    """Fill a new data directory; the plan for `people` connections."""
    async with _opened(data, advance) as (_, seeder):
        crowd = await seeder.people(people)
        await seeder.credit(crowd, "1000000.00")
        tokens = await seeder.tokens(crowd)
        convs = [await seeder.room(crowd)] * people if room else await seeder.pairs(crowd)
        if extra_accounts:
            await _history(seeder, extra_accounts, extra_events)
    return [{"token": token, "conv": conv} for token, conv in zip(tokens, convs, strict=True)]


async def seed_behind(
    data: Path, *, people: int, missed: int, advance: Advance = _silent
) -> list[dict[str, Any]]:
    """Fill a new data directory with pairs of whom each has missed the last events of their dm.

    The plan says from where each resumes; the missed texts are numbered from 0.
    """
    async with _opened(data, advance) as (store, seeder):
        crowd = await seeder.people(people)
        await seeder.credit(crowd, "1000000.00")
        tokens = await seeder.tokens(crowd)
        convs = await seeder.pairs(crowd)
        head = await store.head()
        for number in range(missed):
            writers = range(number % 2, people, 2)
            await seeder.submit([text(crowd[index][0], convs[index], str(number)) for index in writers])
    cursor = {"epoch": head.epoch, "pos": head.pos, "missed": missed}
    return [{"token": token, "conv": conv} | cursor for token, conv in zip(tokens, convs, strict=True)]


async def seed_statements(
    data: Path, lines: Sequence[int], *, advance: Advance = _silent
) -> list[dict[str, Any]]:
    """Fill a new data directory for people whose statements have so many lines each.

    Each pays one other, who pays back half, and begins with a deposit. The plan tells `lines`.
    """
    async with _opened(data, advance) as (_, seeder):
        crowd = await seeder.people(2 * len(lines))
        await seeder.credit(crowd, "1000000.00")
        tokens = await seeder.tokens(crowd)
        convs = await seeder.pairs(crowd)
        for index, count in enumerate(lines):
            await _pay_back_and_forth(seeder, crowd, convs, 2 * index, count - 1)
    return [
        {"token": tokens[2 * index], "conv": convs[2 * index], "lines": count}
        for index, count in enumerate(lines)
    ]


async def seed_groups(
    data: Path, counts: Sequence[int], *, advance: Advance = _silent
) -> list[dict[str, Any]]:
    """Fill a new data directory for people who were brought into so many groups each,
    by one who made them all.

    The plan says from where each resumes, with nothing missed.
    """
    async with _opened(data, advance) as (store, seeder):
        (owner, _), *crowd = await seeder.people(1 + len(counts))
        tokens = await seeder.tokens(crowd)
        creates = []
        for number in range(max(counts)):
            members = [user for (user, _), count in zip(crowd, counts, strict=True) if number < count]
            body = kinds.CreateBody(title=f"room {number}", members=members)
            create = kinds.RoomCreate(id=ids.event_id(), body=body)
            creates.append(Request(create, owner, codec.encode(create)))
        await seeder.submit(creates)
        head = await store.head()
    cursor = {"conv": "", "epoch": head.epoch, "pos": head.pos, "missed": 0}
    return [{"token": token} | cursor for token in tokens]


async def _pay_back_and_forth(
    seeder: Seeder, crowd: Sequence[tuple[str, str]], convs: Sequence[str], first: int, count: int
) -> None:
    amounts = ("0.02", "0.01")
    for start in range(0, count, CHUNK):
        await seeder.submit(
            [
                payment(crowd[first + number % 2][0], convs[first + number % 2], amounts[number % 2])
                for number in range(start, min(start + CHUNK, count))
            ]
        )


async def seed_ledger(
    data: Path, accounts: int, transfers: int, *, advance: Advance = _silent
) -> list[dict[str, Any]]:
    """Fill a new data directory with payments between neighbours; nobody is planned to connect."""
    async with _opened(data, advance) as (_, seeder):
        crowd = await seeder.people(accounts)
        await seeder.credit(crowd, "1000000.00")
        convs = await seeder.pairs(crowd)
        for start in range(0, transfers, CHUNK):
            numbers = range(start, min(start + CHUNK, transfers))
            await seeder.submit([payment(crowd[n % accounts][0], convs[n % accounts]) for n in numbers])
    return []


async def _history(seeder: Seeder, accounts: int, events: int) -> None:
    """Other people with accounts, who paid and wrote each other before."""
    others = await seeder.people(accounts, "q")
    await seeder.credit(others, "1000.00")
    convs = await seeder.pairs(others)
    done = 2 * accounts
    while done < events:
        part = []
        for index in range(min(accounts, events - done)):
            user, conv = others[index][0], convs[index]
            part.append(payment(user, conv) if index % 2 else text(user, conv, "and so on"))
        await seeder.submit(part)
        done += len(part)
