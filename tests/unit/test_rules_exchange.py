"""Quotes and what is paid by them: exact, the house's by less than one minor unit, once and in time."""

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from msgspec.structs import replace
from tests.contract.stores import body_of, event_id, said
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
from tests.support.waiting import seeded

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import AMOUNT_MINOR_MAX
from tuppence_protocol.money import format_amount
from tuppence_server.domain.effects import Quoted
from tuppence_server.domain.pay.quotes import decimal_text, exchanged
from tuppence_server.domain.policy import PPM, FeeRule
from tuppence_server.domain.rows import OPERATOR

SPREAD = replace(PLAIN, spread_ppm=5_000)
"""Half a per cent between buying and selling."""
FEE = FeeRule("exchange", "EUR", "*", 10, 1_000, 0, None, "payer")


world = world_of(SPREAD, alice="50")


async def pools(world: MoneyWorld) -> dict[tuple[str, str], int]:
    """What the operator's own accounts have."""
    accounts = await world.store.accounts()
    return {
        (each.code, each.currency): each.credits_posted - each.debits_posted
        for each in accounts
        if each.owner == OPERATOR and each.code != "cash"
    }


# --- the promise ----------------------------------------------------------------------------------------


async def test_a_quote_says_what_is_given_and_what_is_got(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "10.00", rate=(16_234, 100))
    assert (quote.owner, quote.sell, quote.buy, quote.used_by) == (world.users["alice"], "EUR", "JPY", "")
    assert (quote.sell_amount, quote.margin, quote.buy_amount) == (1_000, 5, 1_615)
    assert (quote.rate, quote.fee, quote.expires_at) == ("162.34", 0, world.now + PLAIN.quote_ms)


async def test_what_is_got_can_be_fixed_instead(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "1615", side="buy", rate=(16_234, 100))
    assert (quote.buy_amount, quote.sell_amount) == (1_615, 1_000)
    assert quote.margin == 5


@pytest.mark.parametrize(
    ("pair", "amount", "side", "expected"),
    [
        ("EUR/EUR", "1", "sell", ("bad_frame", "$.body.buy", None)),
        ("EUR/CHF", "1", "sell", ("unknown_currency", "$.body.buy", None)),
        ("CHF/EUR", "1", "sell", ("unknown_currency", "$.body.sell", None)),
        ("EUR/XXX", "1", "sell", ("unknown_currency", "$.body.buy", None)),
        ("EUR/JPY", "0", "sell", ("amount_range", "$.body.amount", None)),
        ("EUR/JPY", "x", "sell", ("amount_format", "$.body.amount", None)),
        ("EUR/JPY", "0.5", "buy", ("amount_range", "$.body.amount", None)),
        ("EUR/JPY", "0.001", "sell", ("amount_range", "$.body.amount", None)),
        ("JPY/EUR", "2", "sell", "stored"),
        ("JPY/EUR", "1", "sell", ("amount_range", "$.body.amount", None)),
        ("EUR/JPY", "9999999999999.99", "sell", ("amount_range", "$.body.amount", None)),
        ("EUR/JPY", "0.01", "sell", ("amount_range", "$.body.amount", None)),
    ],
)
async def test_what_can_be_quoted(
    world: MoneyWorld, pair: str, amount: str, side: str, expected: Any
) -> None:
    outcome = await world.promised("alice", amount, side, pair, (160, 1))
    if expected == "stored":
        assert isinstance(outcome, Quoted)
    else:
        assert told(outcome) == expected


async def test_of_several_things_wrong_with_a_quote_the_first_is_told(world: MoneyWorld) -> None:
    """`bad_frame` 102, `amount_format` 106, `amount_range` 107, `unknown_currency` 108."""
    codes = [
        told(await world.promised("alice", amount, pair=pair))[0]
        for amount, pair in (("x", "CHF/CHF"), ("x", "EUR/CHF"), ("0", "EUR/CHF"), ("1", "EUR/CHF"))
    ]
    assert codes == ["bad_frame", "amount_format", "amount_range", "unknown_currency"]


def test_rounding_is_the_houses_by_less_than_one_minor_unit() -> None:
    """Random amounts, rates, spreads and exponents, against fractions."""
    rng = seeded()
    for _ in range(3_000):
        sell, buy = rng.sample(list(EXPONENTS), 2)
        rate = Fraction(rng.randrange(1, 10**6), rng.randrange(1, 10**6))
        spread = rng.choice((0, 1, 5_000, 50_000, rng.randrange(0, 200_000)))
        side, minor = rng.choice(("sell", "buy")), rng.randrange(1, rng.choice((10, 10**4, 10**9)))
        deal = exchanged(minor, side, rate, spread, sell, buy)
        minor_rate = rate * Fraction(10) ** (EXPONENTS[buy] - EXPONENTS[sell])
        if isinstance(deal, Refusal):
            assert deal.code == "amount_range"
            if side == "sell":
                got = (minor - ceil(Fraction(minor * spread, PPM))) * minor_rate
                assert not 1 <= got <= AMOUNT_MINOR_MAX
            else:
                assert ceil(minor / minor_rate) * Fraction(PPM, PPM - spread) > AMOUNT_MINOR_MAX
            continue
        assert (deal.sell if side == "sell" else deal.buy) == minor
        owed = (deal.sell - deal.margin) * minor_rate
        assert deal.buy <= owed, "never more than the rate gives"
        if side == "sell":
            assert owed - deal.buy < 1
            assert 0 <= deal.margin - Fraction(deal.sell * spread, PPM) < 1
        else:
            assert (deal.sell - deal.margin) - deal.buy / minor_rate < 1
            assert 0 <= deal.margin - Fraction(deal.sell * spread, PPM) < 1 + Fraction(spread, PPM)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Fraction(1), "1"),
        (Fraction(16_234, 100), "162.34"),
        (Fraction(1, 3), "0.33333333"),
        (Fraction(2, 30_000), "0.000066666666"),
        (Fraction(123_456_789, 1), "123456789"),
        (Fraction(123_456_789, 1_000), "123456.78"),
        (Fraction(1, 2), "0.5"),
    ],
)
def test_a_rate_is_shown_to_eight_digits_and_rounded_down(rate: Fraction, text: str) -> None:
    assert decimal_text(rate) == text


# --- paying by it ---------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_paying_by_a_quote_moves_both_legs_and_shows_the_margin(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "10.00", rate=(16_234, 100))
    outcome = await world.pay("alice", "@bob", "10", quote=quote.id, note="Tokyo")
    assert body_of(outcome) == {
        "amount": "10.00", "currency": "EUR", "payee": world.users["bob"], "state": "completed",
        "alt": "@alice paid @bob 10.00 EUR, received as 1615 JPY", "note": "Tokyo", "quote": quote.id,
        "rate": "162.34", "margin": "0.05", "received": {"amount": "1615", "currency": "JPY"},
    }  # fmt: skip
    assert await world.moved(outcome) == [
        ("single", "exchange", 1_000), ("single", "exchange", 1_615), ("single", "margin", 5),
    ]  # fmt: skip
    assert await world.purse("alice") == (4_000, 0)
    assert (await world.purse("bob"), await world.purse("bob", "JPY")) == ((0, 0), (1_615, 0))
    assert await pools(world) == {("fx", "EUR"): 995, ("margin", "EUR"): 5, ("fx", "JPY"): -1_615}


@ON_EVERY_STORE
async def test_the_fee_of_an_exchange_is_a_line_of_its_own(world: MoneyWorld) -> None:
    world.policy = replace(SPREAD, fees=(FEE,))
    quote = await world.quote("alice", "10.00")
    assert quote.fee == 11
    outcome = await world.pay("alice", "@bob", "10.00", quote=quote.id)
    body = body_of(outcome)
    assert (body["fee"], body["fee_on"], body["received"]["amount"]) == ("0.11", "payer", "1592")
    assert ("single", "fee", 11) in await world.moved(outcome)
    assert await world.purse("alice") == (5_000 - 1_011, 0)
    assert (await pools(world))["fees", "EUR"] == 11


async def test_the_fee_that_was_promised_counts_and_must_be_covered(world: MoneyWorld) -> None:
    world.policy = replace(SPREAD, fees=(FEE,))
    quote = await world.quote("alice", "49.90")
    assert told(await world.pay("alice", "@bob", "49.90", quote=quote.id)) == (
        "insufficient_funds", "$.body.amount", {"available": "50.00", "currency": "EUR"},
    )  # fmt: skip
    world.policy = SPREAD
    await world.credit("alice", "0.05")
    outcome = await world.pay("alice", "@bob", "49.90", quote=quote.id)
    assert body_of(outcome)["fee"] == "0.15", "as it was promised, whatever the settings are now"


@ON_EVERY_STORE
async def test_one_exchanges_for_oneself_too(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "10.00")
    outcome = await world.pay("alice", "self", "10.00", quote=quote.id)
    assert body_of(outcome)["payee"] == world.users["alice"]
    assert (await world.purse("alice"), await world.purse("alice", "JPY")) == ((4_000, 0), (1_592, 0))


@ON_EVERY_STORE
async def test_what_one_exchanged_for_oneself_cannot_be_refunded_to_oneself(world: MoneyWorld) -> None:
    """A transfer has two sides; one from an account to itself breaks the ledger, and the batch with it."""
    quote = await world.quote("alice", "10.00")
    paid = await world.paid("alice", "self", "10.00", quote=quote.id)
    refused = await world.do("alice", "pay.refund", "self", ref=paid)
    assert isinstance(refused, Refusal)
    assert await world.purse("alice", "JPY") == (1_592, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"amount": "9.99"}, ("bad_frame", "$.body.amount", None)),
        ({"amount": "10.01"}, ("bad_frame", "$.body.amount", None)),
        ({"quote": event_id(900)}, ("not_found", "$.body.quote", None)),
        ({"accept": True}, ("bad_frame", "$.body.accept", None)),
    ],
)
async def test_what_was_promised_is_paid_and_nothing_else(
    world: MoneyWorld, change: dict[str, Any], expected: Told
) -> None:
    quote = await world.quote("alice", "10.00")
    body = {"amount": "10.00", "currency": "EUR", "quote": quote.id} | change
    assert told(await world.do("alice", "pay.send", "@bob", **body)) == expected
    assert said(await world.pay("alice", "@bob", "10.00", quote=quote.id)) == "stored"


async def test_another_currency_than_the_quotes_is_told_as_such(world: MoneyWorld) -> None:
    """As for a request: `$.body.currency` is the member that is wrong."""
    quote = await world.quote("alice", "10.00")
    refused = await world.pay("alice", "@bob", "10.00", "USD", quote=quote.id)
    assert told(refused) == ("bad_frame", "$.body.currency", None)


async def test_a_quote_is_its_owners(world: MoneyWorld) -> None:
    await world.credit("bob", "50.00")
    quote = await world.quote("alice", "10.00")
    refused = await world.pay("bob", "@carol", "10.00", quote=quote.id)
    assert told(refused) == ("not_found", "$.body.quote", None)
    assert said(await world.pay("alice", "@carol", "10.00", quote=quote.id)) == "stored"


@ON_EVERY_STORE
async def test_a_quote_is_used_once(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "10.00")
    first = await world.pay("alice", "@bob", "10.00", quote=quote.id)
    used: Told = ("quote_used", "$.body.quote", None)
    assert told(await world.pay("alice", "@bob", "10.00", quote=quote.id)) == used
    world.now += PLAIN.quote_ms
    assert told(await world.pay("alice", "@bob", "10.00", quote=quote.id)) == used
    assert await world.purse("bob", "JPY") == (1_592, 0)
    assert body_of(first)["quote"] == quote.id


async def test_in_one_batch_too_a_quote_is_used_once(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "10.00")
    body = {"amount": "10.00", "currency": "EUR", "quote": quote.id}
    outcomes = await world.settle(*(world.frame("alice", "pay.send", "@bob", **body) for _ in range(5)))
    assert [said(each) for each in outcomes] == ["stored"] + ["quote_used"] * 4


async def test_a_quote_holds_for_its_time_and_no_longer(world: MoneyWorld) -> None:
    early, late = await world.quote("alice", "10.00"), await world.quote("alice", "11.00")
    world.now += PLAIN.quote_ms - 1
    assert said(await world.pay("alice", "@bob", "10.00", quote=early.id)) == "stored"
    world.now += 1
    refused = await world.pay("alice", "@bob", "11.00", quote=late.id)
    assert told(refused) == ("quote_expired", "$.body.quote", None)


async def test_a_payment_that_fails_does_not_use_up_its_quote(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "50.01")
    assert told(await world.pay("alice", "@bob", "50.01", quote=quote.id))[0] == "insufficient_funds"
    await world.credit("alice", "0.01")
    assert said(await world.pay("alice", "@bob", "50.01", quote=quote.id)) == "stored"


@ON_EVERY_STORE
async def test_what_was_received_is_refunded_in_the_currency_that_was_received(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "10.00")
    paid = await world.paid("alice", "@bob", "10.00", quote=quote.id)
    some = body_of(await world.do("bob", "pay.refund", "@alice", ref=paid, amount="592"))
    assert (some["amount"], some["currency"], some["state"]) == ("592", "JPY", "partly_refunded")
    over = await world.do("bob", "pay.refund", "@alice", ref=paid, amount="1001")
    assert told(over) == (
        "exceeds_refundable", "$.body.amount",
        {"state": "partly_refunded", "refundable": "1000", "currency": "JPY"},
    )  # fmt: skip
    assert told(await world.do("bob", "pay.refund", "@alice", ref=paid, amount="1.5"))[0] == "amount_range"
    rest = body_of(await world.do("bob", "pay.refund", "@alice", ref=paid))
    assert (rest["amount"], rest["refunded"], rest["state"]) == ("1000", "1592", "refunded")
    assert (await world.purse("alice"), await world.purse("alice", "JPY")) == ((4_000, 0), (1_592, 0))


async def test_freezes_hold_in_the_currency_that_each_side_uses(world: MoneyWorld) -> None:
    quote = await world.quote("alice", "10.00")
    await world.flag("bob", 1, "JPY")
    assert told(await world.pay("alice", "@bob", "10.00", quote=quote.id))[0] == "payee_unavailable"
    await world.flag("bob", 0, "JPY", clear=1)
    await world.flag("bob", 1, "EUR")
    await world.flag("alice", 2, "JPY")
    assert said(await world.pay("alice", "@bob", "10.00", quote=quote.id)) == "stored"


@pytest.mark.parametrize("pair", ["JPY/EUR", "EUR/KWD", "KWD/CLF", "CLF/JPY", "USD/EUR"])
@pytest.mark.parametrize("side", ["sell", "buy"])
async def test_exchange_between_every_exponent(world: MoneyWorld, pair: str, side: str) -> None:
    sell, buy = pair.split("/")
    await world.credit("alice", "1000", sell)
    quote = await world.quote("alice", "100", side=side, pair=pair, rate=(3, 7))
    had = (await world.purse("alice", sell))[0]
    amount = format_amount(quote.sell_amount, sell)
    outcome = await world.pay("alice", "@bob", amount, sell, quote=quote.id)
    assert body_of(outcome)["received"] == {"amount": format_amount(quote.buy_amount, buy), "currency": buy}
    assert await world.purse("alice", sell) == (had - quote.sell_amount, 0)
    assert await world.purse("bob", buy) == (quote.buy_amount, 0)
    assert id_of(outcome)
