"""Whoever is disabled neither pays nor is paid, by any verb; others and time give back what is held."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.contract.stores import said
from tests.support.money_world import DAY_MS, ON_EVERY_STORE, MoneyWorld, money_world, told, world_of

from tuppence_protocol.kinds import CLIENT_FRAMES, PREVIEWED
from tuppence_server.domain.commands import DisableUser

EUROS: Final = {"currency": "EUR"}
UNAVAILABLE: Final = "payee_unavailable"
STORED: Final = "stored"
# What Alice does while Bob is disabled, and what becomes of it: (name, kind, where, ref, body, answer).
GRID: Final[list[tuple[str, str, str, str, dict[str, Any], str]]] = [
    ("pay", "pay.send", "@bob", "", {"amount": "1.00", "currency": "EUR"}, UNAVAILABLE),
    ("pay in a group", "pay.send", "group", "", {"amount": "1.00", **EUROS, "payee": "@bob"}, UNAVAILABLE),
    ("offer", "pay.send", "@bob", "", {"amount": "1.00", "currency": "EUR", "accept": True}, UNAVAILABLE),
    ("exchange", "pay.send", "@bob", "", {"amount": "1.00", **EUROS, "quote": "quote"}, UNAVAILABLE),
    ("settle a request", "pay.send", "@bob", "his request", {"amount": "2.00", **EUROS}, UNAVAILABLE),
    (
        "settle a share", "pay.send", "group", "his split",
        {"amount": "3.00", "currency": "EUR", "payee": "@bob"}, UNAVAILABLE,
    ),
    ("ask", "pay.request", "@bob", "", {"amount": "7.00", "currency": "EUR"}, UNAVAILABLE),
    (
        "split", "pay.split", "group", "",
        {"total": "4.00", "currency": "EUR", "shares": [{"user": "@bob"}, {"user": "@carol"}]}, UNAVAILABLE,
    ),
    (
        "packet", "pay.packet", "@bob", "",
        {"total": "1.00", "currency": "EUR", "count": 1, "mode": "equal"}, UNAVAILABLE,
    ),
    ("claim", "pay.claim", "group", "his packet", {}, UNAVAILABLE),
    ("accept", "pay.accept", "@bob", "his offer", {}, UNAVAILABLE),
    ("refund", "pay.refund", "@bob", "his payment", {}, UNAVAILABLE),
    ("remind of a request", "pay.remind", "@bob", "her request", {}, UNAVAILABLE),
    ("remind of a split", "pay.remind", "group", "her split", {}, UNAVAILABLE),
    ("decline an offer", "pay.decline", "@bob", "his offer", {}, STORED),
    ("decline a request", "pay.decline", "@bob", "his request", {}, STORED),
    ("decline a share", "pay.decline", "group", "his split", {}, STORED),
    ("cancel an offer", "pay.cancel", "@bob", "her offer", {}, STORED),
    ("cancel a request", "pay.cancel", "@bob", "her request", {}, STORED),
    ("cancel a split", "pay.cancel", "group", "her split", {}, STORED),
    ("waive", "pay.waive", "group", "her split", {"user": "@bob"}, STORED),
    (
        "packet for others", "pay.packet", "group", "",
        {"total": "1.00", **EUROS, "count": 1, "mode": "equal"}, STORED,
    ),
    ("pay another", "pay.send", "@carol", "", {"amount": "1.00", "currency": "EUR"}, STORED),
]  # fmt: skip


class Scene:
    """Something of every sort between Alice and Bob, and Bob disabled."""

    def __init__(self, world: MoneyWorld, group: str, made: dict[str, str]) -> None:
        self.world, self.group, self.made = world, group, made

    def members(self, where: str, ref: str, body: dict[str, Any]) -> dict[str, Any]:
        """The members of a frame of the grid."""
        said_body = {name: self.made["quote"] if name == "quote" else value for name, value in body.items()}
        return {
            "conv": self.group if where == "group" else where,
            "ref": self.made[ref] if ref else None, **said_body,
        }  # fmt: skip


@pytest.fixture
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    """Everything waits, for a day at least, when Bob is shut out."""
    async with money_world(getattr(request, "param", "memory"), tmp_path) as world:
        group = await world.group("alice", "bob", "carol")
        for who in ("alice", "bob"):
            await world.credit(who, "100.00")
        quote = await world.quote("alice", "1.00")
        made = {
            "his offer": await world.offered("bob", "@alice", "5.00"),
            "his payment": await world.paid("bob", "@alice", "6.00"),
            "his request": await world.made("bob", "pay.request", "@alice", amount="2.00", **EUROS),
            "his packet": await world.made(
                "bob", "pay.packet", group, total="1.00", count=2, mode="equal", **EUROS
            ),
            "his split": await world.made(
                "bob", "pay.split", group, total="3.00", shares=[{"user": "@alice"}], **EUROS
            ),
            "her offer": await world.offered("alice", "@bob", "8.00"),
            "her request": await world.made("alice", "pay.request", "@bob", amount="9.00", **EUROS),
            "her split": await world.made(
                "alice", "pay.split", group, total="4.00", shares=[{"user": "@bob"}], **EUROS
            ),
            "quote": quote.id,
        }
        await world.order(DisableUser("bob", True))
        yield Scene(world, group, made)


async def posted(world: MoneyWorld, who: str) -> int:
    """What is somebody's, held or not, minor units."""
    return sum(await world.purse(who))


def test_the_grid_has_every_verb_that_people_have() -> None:
    kinds = {frame.kind for frame in CLIENT_FRAMES if frame.kind.startswith("pay.")}
    assert kinds - {row[1] for row in GRID} == {"pay.faucet"}, "which is between oneself and the house"


@pytest.mark.parametrize(
    ("kind", "where", "ref", "body", "answer"), [row[1:] for row in GRID], ids=[row[0] for row in GRID]
)
@pytest.mark.parametrize("scene", ["memory", "sqlite"], indirect=True)
async def test_what_others_do_with_the_disabled(
    scene: Scene, kind: str, where: str, ref: str, body: dict[str, Any], answer: str
) -> None:
    world, members = scene.world, scene.members(where, ref, body)
    before = await posted(world, "bob")
    if kind in PREVIEWED:
        seen = said(await world.preview("alice", kind, **members))
        assert seen == (answer if answer != STORED else "previewed")
    outcome = await world.do("alice", kind, **members)
    assert said(outcome) == answer, outcome
    assert await posted(world, "bob") == before, "what they hold stays where it is"


@pytest.mark.parametrize(
    ("kind", "where", "ref", "body"), [row[1:5] for row in GRID], ids=[row[0] for row in GRID]
)
async def test_the_disabled_themselves_do_nothing(
    scene: Scene, kind: str, where: str, ref: str, body: dict[str, Any]
) -> None:
    world = scene.world
    outcome = await world.do("bob", kind, **scene.members(where.replace("bob", "alice"), ref, body))
    assert told(outcome)[0] == "account_disabled"


async def test_a_reminder_goes_out_while_one_of_those_asked_can_answer(scene: Scene) -> None:
    world, shares = scene.world, [{"user": "@bob"}, {"user": "@carol"}]
    await world.order(DisableUser("bob", False))
    bill = await world.made("alice", "pay.split", scene.group, total="4.00", shares=shares, **EUROS)
    await world.order(DisableUser("bob", True))
    assert said(await world.do("alice", "pay.remind", scene.group, ref=bill)) == STORED


async def test_who_can_answer_is_asked_before_how_often(scene: Scene) -> None:
    world = scene.world
    await world.order(DisableUser("bob", False))
    assert said(await world.do("alice", "pay.remind", "@bob", ref=scene.made["her request"])) == STORED
    await world.order(DisableUser("bob", True))
    again = await world.do("alice", "pay.remind", "@bob", ref=scene.made["her request"])
    assert told(again)[0] == UNAVAILABLE, "as limits come after accounts in the catalogue"


async def test_what_was_held_comes_back_in_time_to_both(scene: Scene) -> None:
    world = scene.world
    world.now += 8 * DAY_MS
    for name in (
        "his offer",
        "his packet",
        "her offer",
        "his request",
        "his split",
        "her request",
        "her split",
    ):
        assert said(await world.expire(scene.made[name])) == STORED, name
    assert (await world.purse("bob"), await world.purse("alice")) == ((9_400, 0), (10_600, 0))


@ON_EVERY_STORE
async def test_whoever_is_let_in_again_finds_what_still_waits(world: MoneyWorld) -> None:
    offer = await world.offered("alice", "@bob", "5.00")
    await world.order(DisableUser("alice", True))
    assert told(await world.do("bob", "pay.accept", "@alice", ref=offer))[0] == UNAVAILABLE
    await world.order(DisableUser("alice", False))
    assert said(await world.do("bob", "pay.accept", "@alice", ref=offer)) == STORED


world = world_of(alice="100")
