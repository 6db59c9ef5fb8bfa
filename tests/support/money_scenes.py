"""One frame of every kind of money, and a world in which each of them goes through."""

from typing import Any, Final

from msgspec import Struct
from tests.support.money_world import MoneyWorld, id_of

from tuppence_server.domain.effects import Stored

Members = dict[str, Any]


class Scene(Struct, frozen=True):
    """A frame that is sent twice; "{name}" stands for what `stage` made."""

    who: str
    kind: str
    conv: str
    body: Members
    ref: str | None = None


EUR: Final = {"currency": "EUR"}
HALVES: Final = [{"user": "@bob"}, {"user": "@carol"}]
GIVEN: Final = [{"user": "@bob", "amount": "4"}, {"user": "@carol", "amount": "6"}]
PACKET: Final = {"total": "10", "currency": "EUR", "count": 3, "mode": "equal", "note": "Luck"}
SCENES: Final = {
    "plain": Scene("alice", "pay.send", "@bob", {"amount": "5", **EUR, "note": "Rent"}),
    "offer": Scene("alice", "pay.send", "@bob", {"amount": "5", **EUR, "accept": True, "payee": "@bob"}),
    "timed": Scene("alice", "pay.send", "@bob", {"amount": "5", **EUR, "accept": True, "expires_s": 60}),
    "exchange": Scene("alice", "pay.send", "@bob", {"amount": "10", **EUR, "quote": "{quote}"}),
    "settling": Scene("alice", "pay.send", "@bob", {"amount": "3", **EUR}, "{asked}"),
    "share": Scene("bob", "pay.send", "{group}", {"amount": "3", **EUR, "payee": "@alice"}, "{split}"),
    "request": Scene("alice", "pay.request", "@bob", {"amount": "5", **EUR, "payer": "@bob", "note": "Film"}),
    "soon": Scene("alice", "pay.request", "@bob", {"amount": "5", **EUR, "expires_s": 60}),
    "halves": Scene(
        "alice", "pay.split", "{group}", {"total": "10", **EUR, "shares": HALVES, "note": "Meal"}
    ),
    "given": Scene("alice", "pay.split", "{group}", {"total": "10", **EUR, "shares": GIVEN}),
    "packet": Scene("alice", "pay.packet", "{group}", PACKET),
    "claim": Scene("bob", "pay.claim", "{group}", {}, "{packet}"),
    "accept": Scene("bob", "pay.accept", "@alice", {}, "{first}"),
    "decline": Scene("bob", "pay.decline", "@alice", {"reason": "No"}, "{first}"),
    "silent": Scene("bob", "pay.decline", "@alice", {}, "{first}"),
    "cancel": Scene("alice", "pay.cancel", "@bob", {}, "{first}"),
    "part": Scene("bob", "pay.refund", "@alice", {"amount": "2"}, "{paid}"),
    "whole": Scene("bob", "pay.refund", "@alice", {}, "{paid}"),
    "waive": Scene("alice", "pay.waive", "{group}", {"user": "@bob"}, "{split}"),
    "remind": Scene("alice", "pay.remind", "{group}", {}, "{split}"),
    "faucet": Scene("alice", "pay.faucet", "self", {"amount": "7", **EUR}),
}


async def stage(world: MoneyWorld) -> dict[str, str]:
    """Everything that the scenes act on, by name."""
    group = await world.group("alice", "bob", "carol")
    shares = [{"user": "@bob"}, {"user": "@carol"}, {"user": "@alice"}]
    packet = {"total": "9", **EUR, "count": 3, "mode": "equal"}
    said_first = await world.say("alice", "@bob")
    assert isinstance(said_first, Stored)
    alone = await world.say("alice", "self")
    assert isinstance(alone, Stored)
    return {
        "group": group,
        "dm": said_first.event.conv,
        "self": alone.event.conv,
        "text": id_of(said_first),
        "quote": (await world.quote("alice", "10.00")).id,
        "other_quote": (await world.quote("alice", "10.00")).id,
        "asked": await world.made("bob", "pay.request", "@alice", amount="3", **EUR),
        "split": await world.made("alice", "pay.split", group, total="9", shares=shares, **EUR),
        "packet": await world.made("alice", "pay.packet", group, **packet),
        "other_packet": await world.made("alice", "pay.packet", group, **packet),
        "first": await world.offered("alice", "@bob", "2.00"),
        "second": await world.offered("alice", "@bob", "2.00"),
        "paid": await world.paid("alice", "@bob", "8.00"),
        "other_paid": await world.paid("alice", "@bob", "8.00"),
        **{f"{who}'s id": user for who, user in world.users.items()},
    }


def filled(value: Any, names: dict[str, str]) -> Any:
    """A member with what the names stand for."""
    if isinstance(value, str):
        return names.get(value[1:-1], value) if value.startswith("{") else value
    if isinstance(value, list):
        return [filled(each, names) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, names) for name, each in value.items()}
    return value
