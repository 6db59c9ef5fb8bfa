"""A preview is the real decision, of which nothing is kept."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace
from tests.contract.stores import KINDS, body_of, event_id, said, wire_id
from tests.support.money_world import EXPONENTS, PLAIN, MoneyWorld, money_world, told

from tuppence_protocol.errors import Refusal
from tuppence_protocol.money import format_amount
from tuppence_server.domain.commands import DisableUser
from tuppence_server.domain.policy import FeeRule, Limits

FEES: Final = (
    FeeRule("send", "EUR", "basic", 10, 10_000, 0, None, "payer"),
    FeeRule("send", "EUR", "shop", 0, 20_000, 0, None, "payee"),
    FeeRule("packet", "EUR", "*", 25, 0, 0, None, "payer"),
    FeeRule("exchange", "EUR", "*", 0, 1_000, 0, None, "payer"),
)
POLICY: Final = replace(
    PLAIN,
    fees=FEES,
    spread_ppm=5_000,
    limits={("basic", "EUR"): Limits(per_payment=9_000), ("free", "EUR"): Limits()},
)
HIDDEN: Final = ("proof", "expires_at")


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MoneyWorld]:
    """Alice pays fees on top; where Carol pays, her payees bear them."""
    async with money_world(request.param, tmp_path, POLICY) as world:
        await world.credit("alice", "50.00")
        await world.credit("bob", "50.00")
        await world.credit("carol", "50.00")
        await world.tier("carol", "shop")
        yield world


async def both(world: MoneyWorld, who: str, kind: str, conv: str, **members: Any) -> Any:
    """Preview a frame, see that nothing was kept, do it, and see that it came as foretold; the preview."""
    before = [await world.store.head(), await world.store.accounts(), await world.store.users()]
    key = world.key()
    seen = await world.previewed(who, kind, conv, key=key, **members)
    after = [await world.store.head(), await world.store.accounts(), await world.store.users()]
    assert before == after, "nothing was kept"
    spent = {currency: (await world.purse(who, currency))[0] for currency in EXPONENTS}
    outcome = await world.do(who, kind, conv, key=key, **members)
    assert said(outcome) == "stored", outcome
    foretold, done = msgspec.json.decode(seen.body), body_of(outcome)
    assert seen.kind == kind
    assert {n: v for n, v in foretold.items() if n not in HIDDEN} == {
        n: v for n, v in done.items() if n not in HIDDEN
    }
    for currency, purse in seen.after.items():
        assert await world.purse(who, currency) == purse, currency
    for currency in EXPONENTS.keys() - seen.after.keys():
        assert (await world.purse(who, currency))[0] == spent[currency], f"{currency} was not foretold"
    return seen


# --- the frames that can be previewed -------------------------------------------------------------------


async def test_a_payment_with_its_fee_on_top(world: MoneyWorld) -> None:
    seen = await both(world, "alice", "pay.send", "@bob", amount="10", currency="EUR", note="Lunch")
    assert (seen.spends, seen.fee, seen.after) == ({"EUR": 1_020}, ("EUR", 20), {"EUR": (3_980, 0)})


async def test_a_payment_whose_payee_bears_the_fee(world: MoneyWorld) -> None:
    seen = await both(world, "carol", "pay.send", "@bob", amount="10", currency="EUR")
    assert (seen.spends, seen.fee, seen.after) == ({"EUR": 1_000}, ("EUR", 20), {"EUR": (4_000, 0)})


async def test_a_payment_without_a_fee(world: MoneyWorld) -> None:
    await world.credit("alice", "7", "JPY")
    seen = await both(world, "alice", "pay.send", "@bob", amount="7", currency="JPY")
    assert (seen.spends, seen.fee, seen.after) == ({"JPY": 7}, None, {"JPY": (0, 0)})


@pytest.mark.parametrize(("who", "held"), [("alice", 1_020), ("carol", 1_000)])
async def test_an_offer_is_held_with_its_fee(world: MoneyWorld, who: str, held: int) -> None:
    seen = await both(world, who, "pay.send", "@bob", amount="10", currency="EUR", accept=True)
    assert (seen.spends, seen.after) == ({"EUR": held}, {"EUR": (5_000 - held, held)})
    assert seen.fee == ("EUR", 20)


async def test_an_exchange_shows_both_currencies_of_oneself(world: MoneyWorld) -> None:
    quote = (await world.quote("alice", "10.00")).id
    seen = await both(world, "alice", "pay.send", "self", amount="10", currency="EUR", quote=quote)
    assert (seen.spends, seen.fee) == ({"EUR": 1_001}, ("EUR", 1))
    assert seen.after == {"EUR": (3_999, 0), "JPY": (1_592, 0)}


async def test_a_preview_does_not_use_a_quote(world: MoneyWorld) -> None:
    quote = (await world.quote("alice", "10.00")).id
    for _ in range(3):
        await world.previewed("alice", "pay.send", "@bob", amount="10", currency="EUR", quote=quote)
    assert said(await world.pay("alice", "@bob", "10", quote=quote)) == "stored"
    refused = await world.preview("alice", "pay.send", "@bob", amount="10", currency="EUR", quote=quote)
    assert told(refused)[0] == "quote_used"


async def test_paying_what_was_asked_for(world: MoneyWorld) -> None:
    await world.say("alice", "@bob")
    request = await world.made("bob", "pay.request", "@alice", amount="10", currency="EUR")
    seen = await both(world, "alice", "pay.send", "@bob", amount="10", currency="EUR", ref=request)
    assert msgspec.json.decode(seen.body)["settles"] == {"state": "paid"}


async def test_a_request_and_a_split_move_nothing(world: MoneyWorld) -> None:
    await world.say("alice", "@bob")
    seen = await both(world, "alice", "pay.request", "@bob", amount="10", currency="EUR")
    assert (seen.spends, seen.fee, seen.after) == ({}, None, {})
    shares = [{"user": "@alice"}, {"user": "@bob"}]
    seen = await both(world, "alice", "pay.split", "@bob", total="9.99", currency="EUR", shares=shares)
    assert (seen.spends, seen.fee, seen.after) == ({}, None, {})
    assert [each["amount"] for each in msgspec.json.decode(seen.body)["shares"]] == ["5.00", "4.99"]


async def test_a_packet_tells_neither_its_seed_nor_its_shares(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob", "carol")
    body = {"total": "10", "currency": "EUR", "count": 3, "mode": "lucky"}
    seen = await both(world, "alice", "pay.packet", group, **body)
    assert (seen.spends, seen.fee, seen.after) == ({"EUR": 1_025}, ("EUR", 25), {"EUR": (3_975, 1_000)})
    first, second = [await world.previewed("alice", "pay.packet", group, **body) for _ in range(2)]
    proofs = [msgspec.json.decode(each.body)["proof"] for each in (first, second)]
    assert proofs[0] != proofs[1]
    assert b"seed" not in first.body


@pytest.mark.parametrize(("payer", "arrives"), [("alice", 1_000), ("carol", 980)])
async def test_what_one_would_get_by_accepting(world: MoneyWorld, payer: str, arrives: int) -> None:
    offer = await world.offered(payer, "@bob", "10.00")
    seen = await both(world, "bob", "pay.accept", f"@{payer}", ref=offer)
    assert seen.after == {"EUR": (5_000 + arrives, 0)}
    assert seen.spends == {}, "nothing of the payee's own leaves"


async def test_what_a_refund_would_cost(world: MoneyWorld) -> None:
    paid = await world.paid("alice", "@bob", "10.00")
    seen = await both(world, "bob", "pay.refund", "@alice", ref=paid, amount="4")
    assert (seen.spends, seen.fee, seen.after) == ({"EUR": 400}, None, {"EUR": (5_600, 0)})
    seen = await both(world, "bob", "pay.refund", "@alice", ref=paid)
    assert (seen.spends, seen.after) == ({"EUR": 600}, {"EUR": (5_000, 0)})


@pytest.mark.parametrize("currency", EXPONENTS)
async def test_the_smallest_unit_of_every_currency(world: MoneyWorld, currency: str) -> None:
    await world.credit("dave", "1", currency)
    await world.tier("dave", "free")
    least = format_amount(1, currency)
    seen = await both(world, "dave", "pay.send", "@bob", amount=least, currency=currency)
    assert seen.spends == {currency: 1}


# --- refusals -------------------------------------------------------------------------------------------


async def test_a_preview_gives_the_very_refusal_and_does_not_remember_it(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob")
    paid = await world.paid("alice", "@bob", "1.00")
    offer = await world.offered("alice", "@bob", "1.00")
    await world.do("bob", "pay.accept", "@alice", ref=offer)
    frames: list[tuple[str, str, str, dict[str, Any]]] = [
        ("alice", "pay.send", "@bob", {"amount": "80.00", "currency": "EUR"}),
        ("alice", "pay.send", "@bob", {"amount": "90.01", "currency": "EUR"}),
        ("alice", "pay.send", "@bob", {"amount": "x", "currency": "EUR"}),
        ("alice", "pay.send", group, {"amount": "1", "currency": "EUR"}),
        ("alice", "pay.send", "@nobody", {"amount": "1", "currency": "EUR"}),
        ("alice", "pay.send", wire_id("c_", 999), {"amount": "1", "currency": "EUR"}),
        ("alice", "pay.send", "self", {"amount": "1", "currency": "EUR"}),
        ("alice", "pay.request", "@carol", {"amount": "1", "currency": "EUR"}),
        ("alice", "pay.split", group, {"total": "1", "currency": "EUR", "shares": [{"user": "@alice"}]}),
        ("alice", "pay.packet", "self", {"total": "1", "currency": "EUR", "count": 1, "mode": "equal"}),
        ("bob", "pay.accept", "@alice", {"ref": offer}),
        ("alice", "pay.accept", "@bob", {"ref": offer}),
        ("bob", "pay.refund", "@alice", {"ref": paid, "amount": "1.01"}),
        ("bob", "pay.refund", "@alice", {"ref": event_id(999)}),
    ]
    for who, kind, conv, members in frames:
        key, before = world.key(), await world.store.head()
        refused = await world.preview(who, kind, conv, key=key, **members)
        assert isinstance(refused, Refusal), (kind, members)
        assert await world.store.head() == before
        assert await world.do(who, kind, conv, key=key, **members) == refused, (kind, members)


async def test_after_a_refused_preview_the_same_frame_is_judged_afresh(world: MoneyWorld) -> None:
    key = world.key()
    members = {"amount": "60.00", "currency": "EUR", "key": key}
    assert told(await world.preview("alice", "pay.send", "@bob", **members))[0] == "insufficient_funds"
    await world.credit("alice", "50.00")
    assert said(await world.do("alice", "pay.send", "@bob", **members)) == "stored"


async def test_the_disabled_preview_nothing(world: MoneyWorld) -> None:
    await world.order(DisableUser("alice", True))
    refused = await world.preview("alice", "pay.send", "@bob", amount="1", currency="EUR")
    assert told(refused)[0] == "account_disabled"


async def test_a_preview_uses_up_no_limit_and_opens_no_conversation(world: MoneyWorld) -> None:
    world.policy = replace(POLICY, limits={("basic", "EUR"): Limits(daily=1_000, hourly_count=1)})
    for _ in range(3):
        seen = await world.previewed("alice", "pay.send", "@dave", amount="10", currency="EUR")
        assert seen.kind == "pay.send"
    assert told(await world.do("dave", "pay.request", "@alice", amount="1", currency="EUR"))[0] == "not_found"
    assert said(await world.pay("alice", "@dave", "10.00")) == "stored"
    refused = await world.preview("alice", "pay.send", "@dave", amount="0.01", currency="EUR")
    assert told(refused)[0] in {"limit_daily", "velocity"}
