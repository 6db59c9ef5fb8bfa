"""The faucet: play money for oneself, in a sandbox."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.contract.stores import body_of, head_of, said
from tests.support.money_world import (
    EXPONENTS,
    ON_EVERY_STORE,
    PLAIN,
    MoneyWorld,
    Told,
    id_of,
    told,
    world_of,
)

world = world_of(bob="50")


@ON_EVERY_STORE
async def test_the_faucet_gives_play_money(world: MoneyWorld) -> None:
    outcome = await world.do("dave", "pay.faucet", "self", amount="100", currency="EUR")
    assert body_of(outcome) == {
        "amount": "100.00", "currency": "EUR", "payee": world.users["dave"], "state": "completed",
        "alt": "@dave received 100.00 EUR from the faucet",
    }  # fmt: skip
    assert head_of(outcome)["from"] == world.users["dave"]
    assert await world.moved(outcome) == [("single", "pay.faucet", 10_000)]
    assert await world.purse("dave") == (10_000, 0)


@pytest.mark.parametrize(("currency", "digits"), EXPONENTS.items())
async def test_the_faucet_gives_a_thousand_at_a_time(world: MoneyWorld, currency: str, digits: int) -> None:
    more = "1001" if digits == 0 else f"1000.{1:0{digits}}"
    refused = await world.do("dave", "pay.faucet", "self", amount=more, currency=currency)
    assert told(refused) == ("amount_range", "$.body.amount", None)
    assert said(await world.do("dave", "pay.faucet", "self", amount="1000", currency=currency)) == "stored"
    assert (await world.purse("dave", currency))[0] == 1_000 * 10**digits


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("self", "stored"),
        ("@dave", "stored"),
        ("@bob", ("forbidden", "$.conv", None)),
        ("@carol", ("forbidden", "$.conv", None)),
        ("@nobody", ("not_found", "$.conv", None)),
    ],
)
async def test_the_faucet_is_in_self(world: MoneyWorld, place: str, expected: Any) -> None:
    await world.say("dave", "@bob")
    outcome = await world.do("dave", "pay.faucet", place, amount="1", currency="EUR")
    assert (said(outcome) if expected == "stored" else told(outcome)) == expected
    group = await world.group("dave", "bob")
    refused = await world.do("dave", "pay.faucet", group, amount="1", currency="EUR")
    assert told(refused) == ("forbidden", "$.conv", None)


async def test_where_money_is_real_there_is_no_faucet(world: MoneyWorld) -> None:
    world.policy = replace(PLAIN, mode="live")
    refused = await world.do("dave", "pay.faucet", "self", amount="1", currency="EUR")
    assert told(refused) == ("forbidden", "$.kind", None)
    key = world.key()
    await world.do("dave", "pay.faucet", "self", amount="1", currency="EUR", key=key)
    world.policy = PLAIN
    again = await world.do("dave", "pay.faucet", "self", amount="1", currency="EUR", key=key)
    assert told(again)[0] == "forbidden", "a refused one stays refused"


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0", "EUR", ("amount_range", "$.body.amount", None)),
        ("x", "EUR", ("amount_format", "$.body.amount", None)),
        ("1", "CHF", ("unknown_currency", "$.body.currency", None)),
        ("1.5", "JPY", ("amount_range", "$.body.amount", None)),
    ],
)
async def test_form(world: MoneyWorld, amount: str, currency: str, expected: Told) -> None:
    refused = await world.do("dave", "pay.faucet", "@nobody", amount=amount, currency=currency)
    assert told(refused) == expected


async def test_play_money_is_paid_like_any_other(world: MoneyWorld) -> None:
    await world.made("dave", "pay.faucet", "self", amount="5", currency="EUR")
    paid = await world.pay("dave", "@bob", "5.00")
    assert id_of(paid)
    assert await world.purse("bob") == (5_500, 0)
