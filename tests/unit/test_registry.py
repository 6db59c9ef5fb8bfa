"""What the operator looks up: people by page and filter, one person, one payment;
the same over every store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.busy_world import BusyWorld, busy_world
from tests.contract.stores import KINDS, opened
from tests.support.money_world import DAY_MS

from tuppence_server.admin.arguments import Named, Search, Whose
from tuppence_server.admin.refusals import Refused
from tuppence_server.admin.registry import Registry
from tuppence_server.domain.commands import CreateUser, DisableUser
from tuppence_server.domain.rows import FROZEN_OUT


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusyWorld]:
    async with opened(request.param, tmp_path) as store:
        yield await busy_world(store)


def registry(world: BusyWorld) -> Registry:
    return Registry(world.store, lambda: world.now)


async def handles(world: BusyWorld, **wanted: Any) -> list[str]:
    return [each["handle"] for each in await registry(world).people(Search(**wanted))]


async def test_people_are_found_by_what_is_known_of_them(world: BusyWorld) -> None:
    await world.order(DisableUser("carol", True))
    await world.flag("alice", FROZEN_OUT, "EUR")
    for wanted, expected in (
        ({}, ["alice", "bob", "carol"]),
        ({"search": "LI"}, ["alice"]),
        ({"search": "@bob"}, ["bob"]),
        ({"search": "Carol"}, ["carol"]),
        ({"search": world.users["bob"]}, ["bob"]),
        ({"search": "%"}, []),
        ({"tier": "basic", "search": "b"}, ["bob"]),
        ({"tier": "gold"}, []),
        ({"disabled": True}, ["carol"]),
        ({"disabled": False}, ["alice", "bob"]),
        ({"frozen": True}, ["alice"]),
        ({"frozen": False, "disabled": False}, ["bob"]),
        ({"limit": 2}, ["alice", "bob"]),
        ({"limit": 2, "after": "@bob"}, ["carol"]),
        ({"search": "o", "limit": 1, "after": "bob"}, ["carol"]),
    ):
        assert await handles(world, **wanted) == expected, wanted


async def test_names_are_found_as_people_write_them(world: BusyWorld) -> None:
    """Whatever script, capitals or keyboard: what looks the same is the same."""
    names = {"zoe": "Özil Straße", "yan": "Ωμέγα", "xen": "o\u0308zil nfd", "win": "ЁЖ", "ven": "ILKE"}
    for n, (handle, name) in enumerate(names.items()):
        await world.order(CreateUser(f"u_{n}", f"c_{n}", handle, name, None))
    for search, expected in (
        ("özil", ["xen", "zoe"]),
        ("ÖZIL", ["xen", "zoe"]),
        ("O\u0308zil", ["xen", "zoe"]),
        ("STRASSE", ["zoe"]),
        ("straße", ["zoe"]),
        ("ωΜΈγ", ["yan"]),
        ("ёж", ["win"]),
        ("ilke", ["ven"]),
        ("ozil", []),
    ):
        assert await handles(world, search=search) == expected, search


async def test_who_is_called_by_another_s_id_is_not_shown_for_them(world: BusyWorld) -> None:
    await world.order(CreateUser("u_anna", "c_anna", "aaa", world.users["bob"], None))
    await world.order(CreateUser("u_anne", "c_anne", "aab", "bob", None))
    shown = await registry(world).person(Whose("bob"))
    assert (shown["id"], shown["handle"]) == (world.users["bob"], "bob")


async def test_what_is_so_or_not_is_told_as_true_or_false(world: BusyWorld) -> None:
    await world.order(DisableUser("carol", True))
    shown = [await registry(world).person(Whose(handle)) for handle in ("alice", "carol")]
    for each in (*await registry(world).people(Search()), *shown):
        assert each["disabled"] is (each["handle"] == "carol")
        assert each["frozen"] is False


async def test_a_person_is_shown_with_balances_and_logins(world: BusyWorld) -> None:
    first = await world.log_in("alice", 1, DAY_MS)
    world.now += 5_000
    second = await world.log_in("alice", 2, 2 * DAY_MS)
    shown = await registry(world).person(Whose("alice"))
    assert (shown["handle"], shown["id"], shown["tier"]) == ("alice", world.users["alice"], "basic")
    assert (shown["last_login"], shown["frozen"], shown["flags"], shown["groups"]) == (
        world.now,
        False,
        [],
        1,
    )
    assert [each["session"] for each in shown["logins"]] == [second, first]
    assert {each["currency"] for each in shown["balances"]} == {"EUR", "USD", "JPY"}
    world.now += DAY_MS
    await world.flag("alice", FROZEN_OUT)
    shown = await registry(world).person(Whose("alice"))
    assert [each["session"] for each in shown["logins"]] == [second]
    assert (shown["frozen"], shown["flags"]) == (True, ["frozen out"])
    with pytest.raises(Refused) as nobody:
        await registry(world).person(Whose("nobody"))
    assert (nobody.value.refusal.code, nobody.value.refusal.field) == ("not_found", "$.handle")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", {"kind": "pay.send", "state": "completed", "amount": "10.00", "note": 'Lunch, "late"'}),
        ("declined", {"kind": "pay.send", "state": "declined", "payer_handle": "alice"}),
        ("part", None),
        ("accepted", {"state": "partly_refunded", "refunded": "1.50", "payee_handle": "bob"}),
        ("paid", {"kind": "pay.request", "state": "paid"}),
        ("packet", {"kind": "pay.packet", "claimed": 1, "count": 2}),
        ("claim", {"kind": "pay.claim", "payer_handle": "alice", "payee_handle": "bob"}),
        ("deposit", {"kind": "pay.deposit", "amount": "1000.00", "payee_handle": "alice"}),
        ("decline", None),
        ("quote of exchanged", None),
    ],
)
async def test_a_payment_is_shown_as_it_stands(
    world: BusyWorld, name: str, expected: dict[str, Any] | None
) -> None:
    given = Named(world.ids[name])
    if expected is None:
        with pytest.raises(Refused, match="There is no payment"):
            await registry(world).payment(given)
        return
    shown = await registry(world).payment(given)
    assert {key: shown.get(key) for key in expected} == expected


async def test_a_bill_is_shown_with_its_shares(world: BusyWorld) -> None:
    shown = await registry(world).payment(Named(world.ids["split"]))
    assert [(each["amount"], each["state"]) for each in shown["shares"]] == [
        ("3.34", "paid"), ("3.33", "waived"), ("3.33", "open"),
    ]  # fmt: skip
