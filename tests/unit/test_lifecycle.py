"""The table of lives is what the rules do and what cards say:
everybody tries everything in every state there is.

Each state is reached by what the rules themselves let through, from the ways in which a payment begins. What
has to come of a try is written down here once more, by people and not by their parts; that the money and the
states are those of the spec is for the check of the ledger to say.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import pytest
from tests.contract.stores import command, said
from tests.support.money_world import PLAIN, MoneyWorld, Told, money_world, told
from tests.support.server import ROOT

from tuppence_client import fold
from tuppence_client.terminal.render_money import MARKS
from tuppence_protocol import codec
from tuppence_protocol.errors import CODES, Refusal
from tuppence_protocol.lifecycle import BEGINS, LIFE, REFUSED, WAITING, WHO, By, Verb, ways
from tuppence_protocol.schema import json_schema
from tuppence_server.audit.verify import verify
from tuppence_server.domain.book import Book
from tuppence_server.domain.commands import Expire, Reverse
from tuppence_server.domain.request import Request

SHARERS: Final = ("alice", "bob", "carol")
PEOPLE: Final = (*SHARERS, "dave")
BEGUN: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "send": (
        {"amount": "3", "currency": "EUR", "payee": "@bob"},
        {"amount": "3", "currency": "EUR", "payee": "@bob", "accept": True},
    ),
    "request": ({"amount": "3", "currency": "EUR", "payer": "@bob"},),
    "split": ({"total": "9", "currency": "EUR", "shares": [{"user": f"@{who}"} for who in SHARERS]},),
    "packet": ({"total": "4", "currency": "EUR", "count": 2, "mode": "equal"},),
}
"""How alice begins one in a group of all four."""
_RECEIVED: Final[dict[str, tuple[Verb, ...]]] = {"bob": ("refund",), "operator": ("reverse",)}
MAY: Final[Mapping[str, Mapping[str, Mapping[str, tuple[Verb, ...]]]]] = {
    "send": {
        "pending": {"alice": ("cancel",), "bob": ("accept", "decline"), "time": ("expire",)},
        "completed": _RECEIVED,
        "partly_refunded": _RECEIVED,
    },
    "request": {
        "open": {"alice": ("cancel", "remind"), "bob": ("settle", "decline"), "time": ("expire",)},
    },
    "split": {
        "open": {
            "alice": ("waive", "cancel", "remind"),
            "bob": ("settle", "decline"), "carol": ("settle", "decline"), "time": ("expire",),
        },
    },
    "packet": {"open": {**dict.fromkeys(PEOPLE, ("claim",)), "time": ("expire",)}},
}  # fmt: skip
"""What is meant, by who it is, and not read from the table: in all other states nobody can do anything."""
OF_SHARES: Final = ("settle", "decline", "waive")
ENDED: Final = {
    "paid": "already_paid", "declined": "already_declined", "cancelled": "already_cancelled",
    "expired": "expired",
    "emptied": "packet_empty", "refunded": "already_refunded",
}  # fmt: skip
BODIES: Final[Mapping[Verb, tuple[dict[str, str], ...]]] = {
    "settle": ({},), "claim": ({},), "accept": ({},), "decline": ({},), "cancel": ({},), "remind": ({},),
    "refund": ({}, {"amount": "1"}), "waive": tuple({"user": f"@{who}"} for who in SHARERS),
}  # fmt: skip


class Try(NamedTuple):
    """Somebody tries something; `late` where the payment's time is over."""

    who: str
    verb: Verb
    body: dict[str, str]
    late: bool = False


class Look(NamedTuple):
    """How a payment stands; the shares of a split, or who has claimed a share of a packet."""

    state: str
    shares: tuple[tuple[str, str], ...]


Edge = tuple[str, str, Verb, str]


def tries(late: bool) -> Iterator[Try]:
    """Everything that anybody can try."""
    yield from (Try(who, verb, body, late) for who in PEOPLE for verb in BODIES for body in BODIES[verb])
    yield from (Try("operator", "reverse", {}, late), Try("time", "expire", {}, late))


def foretold(kind: str, look: Look, it: Try) -> str | Told:
    """What has to come of it: a refusal, or that it is done."""
    ref, verb = "$.payment" if it.verb == "reverse" else "$.ref", it.verb
    now, lives = MAY[kind].get(look.state, {}), MAY[kind].values()
    shares, over = dict(look.shares), it.late and "time" in now
    if verb == "expire":
        return "stored" if over else "done"
    if not any(verb in verbs for life in lives for verbs in life.values()):
        return ("bad_frame", "$.body.amount", None) if verb == "settle" else ("not_found", ref, None)
    if not any(verb in life.get(it.who, ()) for life in lives):
        return "forbidden", ref, None
    if verb == "claim" and it.who in shares and look.state != "expired" and not over:
        had = {"amount": "2.00", "currency": "EUR", "share": 1 + [*shares].index(it.who)}
        return "already_claimed", ref, had
    share = shares[it.body.get("user", f"@{it.who}")[1:]] if kind == "split" and verb in OF_SHARES else "open"
    if share != "open" or verb not in now.get(it.who, ()):
        state = look.state if share == "open" else share
        return ENDED.get(state, "not_pending"), ref, {"state": state}
    return ("expired", ref, {"state": "expired"}) if over else "stored"


class Run:
    """One payment in a world of its own, after what was done so far."""

    def __init__(self, world: MoneyWorld, kind: str) -> None:
        self.world = world
        self.kind = kind
        self.handles = {user: who for who, user in world.users.items()}

    async def begin(self, body: dict[str, Any], before: tuple[Try, ...]) -> None:
        """Alice begins it, and what was tried with success is done again."""
        for who in PEOPLE:
            await self.world.credit(who, "100")
        self.group = await self.world.group(*PEOPLE)
        self.id = await self.world.made("alice", f"pay.{self.kind}", self.group, **body)
        for it in before:
            (outcome,) = await self.world.settle(await self.request(it))
            assert said(outcome) == "stored", (before, it)

    async def request(self, it: Try) -> Request:
        """What somebody sends to do it, when they do."""
        world = self.world
        if it.late:
            world.now = max(world.now, (await self.book()).payments[self.id].expires_at)
        if it.verb == "expire":
            return command(Expire(world.key(), self.id))
        if it.verb == "reverse":
            return command(Reverse(world.key(), self.id, "Why", None, force=False))
        kind = "pay.send" if it.verb == "settle" else f"pay.{it.verb}"
        return world.frame(it.who, kind, self.group, ref=self.id, **it.body)

    async def book(self) -> Book:
        """A book that knows the payment, from who has no part in it."""
        return (await self.world.decided(self.world.frame("erin", "pay.claim", self.group, ref=self.id)))[0]

    async def look(self, book: Book | None = None) -> Look:
        """How it stands, as a book or the store has it."""
        book = book or await self.book()
        shares = book.shares.get(self.id, ())
        states = ((self.handles[each.person], each.state) for each in shares if each.person)
        return Look(book.payments[self.id].state, tuple(states))

    async def tried(self, it: Try) -> tuple[str | Told, Look]:
        """What comes of it, and how the payment stands then; nothing is kept."""
        book, (outcome,) = await self.world.decided(await self.request(it))
        return told(outcome) if isinstance(outcome, Refusal) else said(outcome), await self.look(book)

    async def may(self) -> dict[str, frozenset[Verb]]:
        """What the card of it says that each can do."""
        head = await self.world.store.head()
        rows = [row async for rows in self.world.store.log(0, head.pos) for row in rows]
        card = fold(codec.decode_event(codec.splice(row.head, row.body)) for row in rows)[self.id]
        return {who: card.may(self.world.users[who]) for who in PEOPLE}


@asynccontextmanager
async def run_of(
    folder: Path, kind: str, body: dict[str, Any], before: tuple[Try, ...]
) -> AsyncIterator[Run]:
    async with money_world("memory", folder, PLAIN, *PEOPLE, "erin") as world:
        run = Run(world, kind)
        await run.begin(body, before)
        yield run


def edges(kind: str, before: Look, verb: Verb, after: Look) -> Iterator[Edge]:
    """The ways that were taken: of the payment, and of its shares that are otherwise now."""
    yield kind, before.state, verb, after.state
    if kind == "split":
        shares = dict(after.shares)
        yield from (("share", had, verb, shares[who]) for who, had in before.shares if had != shares[who])


async def explored(folder: Path, kind: str, body: dict[str, Any]) -> set[Edge]:
    """Try everything everywhere, and hold each answer against what is meant; the ways that were found."""
    found: set[Edge] = set()
    seen: set[Look] = set()
    todo: list[tuple[Try, ...]] = [()]
    while todo:
        before = todo.pop()
        async with run_of(folder, kind, body, before) as run:
            look = await run.look()
            if look in seen:
                continue
            seen.add(look)
            assert (await verify(run.world.store)).problems == [], (look, before)
            done: dict[str, set[Verb]] = {who: set() for who in PEOPLE}
            may = await run.may()
            late = tries(late=True) if look.state in WAITING else (Try("time", "expire", {}, late=True),)
            for it in (*tries(late=False), *late):
                word, after = await run.tried(it)
                assert word == foretold(kind, look, it), (look, it)
                if word != "stored":
                    assert after == look, it
                else:
                    found |= set(edges(kind, look, it.verb, after))
                    todo.append((*before, it))
                    done.setdefault(it.who, set()).add(it.verb)
            assert may == {who: done[who] for who in PEOPLE}, look
    return found


@pytest.mark.parametrize("kind", BEGUN)
async def test_everybody_can_do_what_is_meant_and_the_table_says_so(tmp_path: Path, kind: str) -> None:
    found = [edge for body in BEGUN[kind] for edge in await explored(tmp_path, kind, body)]
    lives = (kind, "share") if kind == "split" else (kind,)
    assert set(found) == {
        (life, state, verb, after)
        for life in lives for state, ways in LIFE[life].items() for verb,
        way in ways.items() for after in way.to
        if (life, verb) != ("share", "remind")
    }  # fmt: skip


def test_the_table_is_whole() -> None:
    for kind, life in LIFE.items():
        reached = {after for ways in life.values() for way in ways.values() for after in way.to}
        assert {*reached, *BEGINS.get(kind, (next(iter(life)),))} == life.keys(), kind
    assert {verb for _, verb in WHO} == set(get_args(Verb))
    assert {way.by for life in LIFE.values() for ways in life.values() for way in ways.values()} == set(
        get_args(By)
    )
    not_of_people = {(verb, by) for (_, verb), by in WHO.items() if verb in {"expire", "reverse"}}
    assert not_of_people == {("expire", "time"), ("reverse", "operator")}
    of_share, of_split = (
        {verb: way.by for verb, way in LIFE[kind]["open"].items()} for kind in ("share", "split")
    )
    assert of_share == of_split, "a share ends by whoever ends it of the split"
    assert not REFUSED.keys() & WAITING


@pytest.mark.parametrize(("kind", "state"), [("pay.future", "open"), ("pay.send", "future")])
def test_a_word_of_a_later_server_has_no_ways(kind: str, state: str) -> None:
    assert ways(kind, state) == {}


def test_every_word_of_the_table_is_known_wherever_states_are_told() -> None:
    states = {state for life in LIFE.values() for state in life}
    assert set(json_schema()["$defs"]["PaymentView"]["properties"]["state"]["examples"]) == states
    assert states <= MARKS.keys()
    assert {code for code, _ in REFUSED.values()} <= CODES.keys()


def test_what_foretells_the_rules_does_not_read_their_table() -> None:
    model = ROOT / "tests" / "property" / "model"
    assert not [file.name for file in model.glob("*.py") if "lifecycle" in file.read_text("utf-8")]
