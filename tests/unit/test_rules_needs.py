"""A rule reads what its needs named: a row that was not loaded never looks like one that is not there."""

from typing import Final

import pytest
from tests.contract.stores import Counted, command, event_id, frame, said, wire_id
from tests.support.memory_store.store import MemoryStore
from tests.support.money_scenes import SCENES, filled, stage
from tests.support.money_world import MoneyWorld, world_of
from tests.support.road import IDS, deposit, pay, road_on, word

from tuppence_protocol.errors import Refusal
from tuppence_protocol.shapes import Durable
from tuppence_server.domain import rules
from tuppence_server.domain.book import Book
from tuppence_server.domain.commands import (
    CreateUser,
    Deposit,
    DisableUser,
    Expire,
    Forget,
    MarkSeen,
    OpenQuote,
    OpenSession,
    Preview,
    Probe,
    Reverse,
    RevokeSession,
    SetFlags,
    SetPassword,
    SetTier,
    StartEpoch,
    Withdraw,
)
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import CLOSED
from tuppence_server.pipeline.pipeline import LOAD_WAVES_MAX

TALK: Final = {
    "chat.text": {"text": "Lunch?"},
    "room.create": {"title": "Club", "members": ["@bob"]},
    "room.update": {"title": "Pub"},
    "room.invite": {"users": ["@dave"]},
    "room.remove": {"user": "@carol"},
    "room.leave": {},
    "room.role": {"user": "@bob", "role": "reader"},
}
READ_NOTHING: Final = {"Probe", "StartEpoch"}
FAULT: Final = "a fault of ours"


world = world_of(alice="90", bob="90")


def preview_of(request: Request) -> Request:
    assert isinstance(request.frame, Durable)
    return Request(Preview(request.frame), request.author)


async def requests_of(world: MoneyWorld) -> dict[str, Request]:
    """One request of every kind that there is a rule for, and some kinds in several ways; all go through."""
    names, users = await stage(world), world.users
    session = await world.log_in("alice", 1)
    found: dict[str, Request] = {}
    for name, scene in SCENES.items():
        members = filled({"ref": scene.ref, **scene.body}, names)
        found[name] = world.frame(scene.who, scene.kind, filled(scene.conv, names), **members)
    for kind, body in TALK.items():
        place = None if kind == "room.create" else names["group"]
        who = "bob" if kind == "room.leave" else "alice"
        found[kind] = world.frame(who, kind, place, **body)
    for name in ("plain", "share", "accept", "claim"):
        found[f"preview of {name}"] = preview_of(found[name])
    euros = ("5", "EUR")
    for order in (
        Deposit(world.key(), "alice", *euros, None),
        Withdraw(world.key(), "alice", *euros, "mistake", None, force=True),
        Reverse(world.key(), names["paid"], "mistake", None, force=True),
        Expire(world.key(), names["first"]),
        OpenQuote(world.key(), users["alice"], "EUR", "JPY", "5", "sell", 160, 1),
        SetFlags("dave", None, CLOSED, 0),
        SetTier("alice", "basic"),
        CreateUser(wire_id("u_", 90), wire_id("c_", 90), "erin", "Erin", None),
        SetPassword("alice", "$argon2id$"),
        DisableUser("alice", True),
        OpenSession(wire_id("s_", 9), users["alice"], "hash", "phone", world.now + 1, None),
        RevokeSession(session, users["alice"]),
        Forget((names["quote"],), (session,), ()),
        Probe(),
        StartEpoch("e_second", "e_first"),
        MarkSeen(names["dm"], users["alice"], 1, 1),
        MarkSeen(names["group"], users["bob"], 1, 1),
    ):
        found[f"{type(order).__name__} {order.conv if isinstance(order, MarkSeen) else ''}"] = command(order)
    return found


async def decided(world: MoneyWorld, request: Request, without: str = "") -> Outcome | str:
    """What is decided on a fresh book, of which nothing is saved; `without` the rows of one table."""
    book = Book(await world.store.head(), world.policy, Counted())
    book.begin(world.now)
    for _ in range(LOAD_WAVES_MAX):
        keys = Keys()
        rules.needs(book, keys, request)
        if without:
            getattr(keys, without).clear()
        await world.store.load(keys, book)
    try:
        return rules.decide(book, request)
    except (rules.NotLoaded, KeyError):
        return FAULT


async def test_every_rule_reads_what_its_needs_name_and_tells_nothing_wrong_without(
    world: MoneyWorld,
) -> None:
    requests = await requests_of(world)
    assert {type(each.frame) for each in requests.values()} == {*rules.RULES, Preview}
    for name, request in requests.items():
        whole = await decided(world, request)
        assert not isinstance(whole, (Refusal, str)), (name, whole)
        found = {table: await decided(world, request, table) for table in Keys.__slots__}
        missed = {table for table, outcome in found.items() if outcome == FAULT}
        assert {table: found[table] for table in found.keys() - missed} == dict.fromkeys(
            found.keys() - missed, whole
        )
        assert missed or type(request.frame).__name__ in READ_NOTHING, name


async def test_what_a_frame_before_it_in_the_batch_made_is_found() -> None:
    """Nothing of Dave could be asked for with the frame to him: on the second try, it can."""
    dave = CreateUser(wire_id("u_", 90), wire_id("c_", 90), "dave", "", None)
    async with road_on(MemoryStore("e_first")) as road:
        await road.ask(deposit(1, "alice", "9"))
        club = frame(IDS["alice"], "room.create", None, event_id(2), None, title="Club", members=[])
        group = await road.ask(club)
        assert isinstance(group, Stored)
        invite = frame(IDS["alice"], "room.invite", group.event.conv, event_id(3), None, users=["@dave"])
        outcomes = await road.at_once([command(dave), pay(4, "alice", "dave", "2"), invite])
        assert [word(each) for each in outcomes] == ["done", "stored", "stored"]


async def test_a_rule_that_reads_more_than_it_needs_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with road_on(MemoryStore("e_first")) as road:
        await road.ask(deposit(1, "alice", "9"))
        payment, line = (
            pay(2, "alice", "bob", "2"),
            frame(IDS["bob"], "chat.text", "self", event_id(3), None, text="hi"),
        )
        kind = type(payment.frame)
        monkeypatch.setitem(rules.RULES, kind, (lambda *_: None, rules.RULES[kind][1]))
        outcomes = await road.at_once([line, payment])
        assert [word(each) for each in outcomes] == ["stored", "internal"]
        monkeypatch.undo()
        assert word(await road.ask(payment)) == "stored", "its id is free"
        assert said(await road.ask(payment)) == "stored"
