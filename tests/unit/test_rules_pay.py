"""When money moves, how much, to whom; and which refusal is told where several apply."""

from typing import Any

import pytest
from tests.contract.stores import body_of, event_id, head_of, said, wire_id
from tests.support.memory_store.store import MemoryStore
from tests.support.money_world import MoneyWorld, refusal

from tuppence_protocol.errors import CODES, Refusal
from tuppence_protocol.limits import BALANCE_MINOR_MAX
from tuppence_server.audit.verify import verify
from tuppence_server.domain.commands import Deposit, DisableUser
from tuppence_server.domain.rows import OPERATOR


@pytest.fixture
async def world() -> MoneyWorld:
    world = MoneyWorld(MemoryStore())
    await world.register("alice", "bob", "carol")
    return world


async def test_a_payment_moves_money_with_its_message(world: MoneyWorld) -> None:
    await world.credit("alice", "20")
    outcome = await world.pay("alice", "@bob", "12.5", note="Lunch", not_after=world.now)
    assert body_of(outcome) == {
        "amount": "12.50", "currency": "EUR", "note": "Lunch", "not_after": world.now,
        "payee": world.users["bob"], "state": "completed", "alt": "@alice paid @bob 12.50 EUR",
    }  # fmt: skip
    assert (await world.balance("alice"), await world.balance("bob")) == (750, 1_250)
    (moved,) = [row async for rows in world.store.transfers(1, 9) for row in rows]
    assert (moved.pos, moved.amount, moved.code) == (head_of(outcome)["pos"], 1_250, "pay.send")
    owners = {account.id: account.owner for account in await world.store.accounts()}
    assert (owners[moved.debit], owners[moved.credit]) == (world.users["alice"], world.users["bob"])


async def test_the_last_cent_can_be_spent_and_not_one_more(world: MoneyWorld) -> None:
    await world.credit("alice", "10.00")
    over = await world.pay("alice", "@bob", "10.01")
    assert isinstance(over, Refusal)
    assert (over.code, over.field) == ("insufficient_funds", "$.body.amount")
    assert over.state == {"available": "10.00", "currency": "EUR"}
    assert said(await world.pay("alice", "@bob", "10.00")) == "stored"
    assert said(await world.pay("alice", "@bob", "0.01")) == "insufficient_funds"
    assert await world.balance("alice") == 0


async def test_in_one_batch_money_is_spent_once_and_onward_at_once(world: MoneyWorld) -> None:
    await world.credit("alice", "10")
    outcomes = await world.settle(
        world.frame("bob", "pay.send", "@carol", amount="1", currency="EUR"),
        world.frame("alice", "pay.send", "@bob", amount="7", currency="EUR"),
        world.frame("alice", "pay.send", "@carol", amount="7", currency="EUR"),
        world.frame("bob", "pay.send", "@carol", amount="7", currency="EUR"),
        world.frame("alice", "pay.send", "@carol", amount="3", currency="EUR"),
    )
    expected = ["insufficient_funds", "stored", "insufficient_funds", "stored", "stored"]
    assert [said(each) for each in outcomes] == expected
    assert [await world.balance(who) for who in ("alice", "bob", "carol")] == [0, 0, 1_000]


async def test_money_of_another_currency_does_not_cover(world: MoneyWorld) -> None:
    await world.credit("alice", "1000", "JPY")
    refused = await world.pay("alice", "@bob", "1", "EUR")
    assert isinstance(refused, Refusal)
    assert refused.state == {"available": "0.00", "currency": "EUR"}
    assert said(await world.pay("alice", "@bob", "1000", "JPY")) == "stored"


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1,00", "EUR", ("amount_format", "$.body.amount")),
        ("-1", "EUR", ("amount_format", "$.body.amount")),
        ("1e3", "EUR", ("amount_format", "$.body.amount")),
        (" 1", "EUR", ("amount_format", "$.body.amount")),
        ("01", "EUR", ("amount_format", "$.body.amount")),
        ("", "EUR", ("amount_format", "$.body.amount")),
        ("0", "EUR", ("amount_range", "$.body.amount")),
        ("0.00", "EUR", ("amount_range", "$.body.amount")),
        ("0.001", "EUR", ("amount_range", "$.body.amount")),
        ("1.5", "JPY", ("amount_range", "$.body.amount")),
        ("10000000000000.01", "EUR", ("amount_range", "$.body.amount")),
        ("1", "XXX", ("unknown_currency", "$.body.currency")),
        ("1", "eur", ("unknown_currency", "$.body.currency")),
        ("1", "", ("unknown_currency", "$.body.currency")),
        ("1", "CHF", ("unknown_currency", "$.body.currency")),
    ],
)
async def test_shape_of_money(
    world: MoneyWorld, amount: str, currency: str, expected: tuple[str, str]
) -> None:
    code, field = refusal(await world.pay("alice", "@bob", amount, currency))
    assert code == expected[0]
    assert field is not None
    assert field.removeprefix("$.") == expected[1].removeprefix("$.")


async def test_the_path_of_a_refused_currency_is_written_like_any_other(world: MoneyWorld) -> None:
    paths = [refusal(await world.pay("alice", "@bob", "1", currency))[1] for currency in ("XXX", "CHF")]
    assert paths == ["$.body.currency"] * 2


GROUP, DM, OWN = "group", "@bob", "self"


@pytest.mark.parametrize(
    ("place", "payee", "expected"),
    [
        (DM, None, "stored"),
        (DM, "@bob", "stored"),
        (DM, "bob's id", "stored"),
        (DM, "@alice", ("same_account", "$.body.payee")),
        (DM, "@carol", ("not_a_member", "$.body.payee")),
        (DM, "@nobody", ("not_found", "$.body.payee")),
        (DM, wire_id("u_", 99), ("not_found", "$.body.payee")),
        (DM, "bob", ("not_found", "$.body.payee")),
        (OWN, None, ("same_account", "$.body.payee")),
        ("@alice", None, ("same_account", "$.body.payee")),
        (OWN, "@bob", ("not_a_member", "$.body.payee")),
        (GROUP, "@bob", "stored"),
        (GROUP, "bob's id", "stored"),
        (GROUP, None, ("bad_frame", "$.body.payee")),
        (GROUP, "@alice", ("same_account", "$.body.payee")),
        (GROUP, "@carol", ("not_a_member", "$.body.payee")),
        (GROUP, "@nobody", ("not_found", "$.body.payee")),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_whom_one_may_pay_where(
    world: MoneyWorld, place: str, payee: str | None, expected: Any, known: bool
) -> None:
    await world.credit("alice", "10")
    group = await world.group("alice", "bob")
    if known:
        await world.say("bob", "@alice")
    members = {} if payee is None else {"payee": world.users["bob"] if payee == "bob's id" else payee}
    outcome = await world.pay("alice", group if place == GROUP else place, "1", **members)
    if expected == "stored":
        assert body_of(outcome)["payee"] == world.users["bob"]
        assert await world.balance("bob") == 100
    else:
        assert refusal(outcome) == expected
        assert await world.balance("alice") == 1_000


async def test_who_left_a_group_is_not_paid_there(world: MoneyWorld) -> None:
    await world.credit("alice", "1")
    group = await world.group("alice", "bob")
    await world.do("bob", "room.leave", group)
    assert said(await world.pay("alice", group, "1", payee="@bob")) == "not_a_member"


async def test_the_disabled_are_not_paid(world: MoneyWorld) -> None:
    await world.credit("alice", "9")
    group = await world.group("alice", "bob")
    await world.say("alice", "@bob")
    await world.order(DisableUser("bob", True))
    assert refusal(await world.pay("alice", "@bob", "1")) == ("payee_unavailable", None)
    assert refusal(await world.pay("alice", group, "1", payee="@bob")) == ("payee_unavailable", None)
    assert refusal(await world.pay("carol", "@bob", "1")) == ("not_found", "$.conv"), "no new dm with them"


async def test_a_payment_that_waited_too_long_does_not_fire(world: MoneyWorld) -> None:
    await world.credit("alice", "9")
    late = await world.pay("alice", "@bob", "1", not_after=world.now - 1)
    assert refusal(late) == ("expired", "$.body.not_after")
    assert said(await world.pay("alice", "@bob", "1", not_after=world.now)) == "stored"


async def test_an_account_holds_so_much_and_no_more(world: MoneyWorld) -> None:
    await world.credit("alice", "20", "JPY")
    await world.credit("bob", "1", "JPY")
    bob = world.store._accounts[world.users["bob"], "JPY", "customer"]  # type: ignore[attr-defined]
    bob.credits_posted, bob.debits_posted = BALANCE_MINOR_MAX - 5, 0
    assert refusal(await world.pay("alice", "@bob", "6", "JPY")) == ("balance_limit", "$.body.amount")
    assert refusal(await world.credit("bob", "6", "JPY"))[0] == "balance_limit"
    assert said(await world.pay("alice", "@bob", "5", "JPY")) == "stored"


async def test_a_deposit_credits_and_shows_in_self(world: MoneyWorld) -> None:
    outcome = await world.order(Deposit(event_id(900), "alice", "12.5", "EUR", "cash desk"))
    assert body_of(outcome) == {
        "amount": "12.50", "currency": "EUR", "note": "cash desk", "payee": world.users["alice"],
        "state": "completed", "alt": "@alice received 12.50 EUR by deposit",
    }  # fmt: skip
    assert head_of(outcome)["from"] == "server"
    assert head_of(outcome)["conv"] == head_of(await world.say("alice", "self"))["conv"]
    assert await world.balance("alice") == 1_250
    (cash,) = [account for account in await world.store.accounts() if account.owner == OPERATOR]
    assert (cash.code, cash.debits_posted, cash.credits_posted) == ("cash", 1_250, 0)


@pytest.mark.parametrize(
    ("handle", "amount", "currency", "code"),
    [
        ("nobody", "1", "EUR", "not_found"),
        ("@alice", "1", "EUR", "not_found"),
        ("alice", "0", "EUR", "amount_range"),
        ("alice", "x", "EUR", "amount_format"),
        ("alice", "1", "CHF", "unknown_currency"),
        ("nobody", "x", "CHF", "amount_format"),
    ],
)
async def test_deposits_are_refused(
    world: MoneyWorld, handle: str, amount: str, currency: str, code: str
) -> None:
    assert said(await world.order(Deposit(event_id(900), handle, amount, currency, None))) == code


async def test_where_several_refusals_apply_the_first_of_the_catalogue_is_told(world: MoneyWorld) -> None:
    """Everything is wrong at first; each thing put right brings up the next one in the order."""
    await world.credit("alice", "1")
    group = await world.group("carol", "alice", "bob")
    await world.do("carol", "room.role", group, user="@alice", role="reader")
    await world.say("alice", "@bob")
    dm = head_of(await world.say("bob", "@alice"))["conv"]
    await world.order(DisableUser("bob", True))
    wrong = {"who": "alice", "conv": wire_id("c_", 99), "amount": "x", "currency": "EUR", "not_after": 1}
    codes = await world.told_in_turn(
        "pay.send", wrong,
        {}, {"amount": "0"}, {"amount": "5", "currency": "CHF"}, {"currency": "EUR"}, {"conv": group},
        {"conv": dm, "payee": "@nobody"}, {"payee": "@carol"}, {"payee": "@bob"}, {"payee": "@alice"},
    )  # fmt: skip
    await world.order(DisableUser("bob", False))
    codes += await world.told_in_turn("pay.send", wrong, {"payee": "@bob"})
    await world.credit("bob", "1")
    bob = world.store._accounts[world.users["bob"], "EUR", "customer"]  # type: ignore[attr-defined]
    bob.credits_posted = bob.debits_posted = BALANCE_MINOR_MAX
    codes += await world.told_in_turn("pay.send", wrong, {"not_after": world.now}, {"amount": "1"})
    bob.credits_posted = bob.debits_posted = 0
    assert said(await world.do(kind="pay.send", **wrong)) == "stored"
    assert codes == [
        "amount_format", "amount_range", "unknown_currency", "not_found", "forbidden", "not_found",
        "not_a_member", "payee_unavailable", "same_account", "expired", "insufficient_funds", "balance_limit",
    ]  # fmt: skip
    families = [CODES[code].family for code in codes]
    order = [family for index, family in enumerate(families) if family not in families[:index]]
    assert order == sorted(order, key=[code.family for code in CODES.values()].index)


async def test_the_ledger_is_whole_after_all_that(world: MoneyWorld) -> None:
    await world.credit("alice", "10")
    for amount in ("3", "30", "x", "0.01"):
        await world.pay("alice", "@bob", amount)
    report = await verify(world.store)
    assert report.problems == []
    assert report.totals == {"EUR": 1_000}


@pytest.mark.parametrize("named", [{}, {"payee": "@carol"}], ids=["unnamed", "named"])
@pytest.mark.parametrize("conv", ["@bob", "@carol", "group"])
@pytest.mark.parametrize("ref", ["text", "send", "offer", "packet", "deposit", "request", "split", "nothing"])
async def test_whatever_a_payment_names_in_ref_it_is_decided_with_all_that_it_needs(
    world: MoneyWorld, ref: str, conv: str, named: dict[str, str]
) -> None:
    await world.credit("alice", "50")
    await world.credit("bob", "50")
    group = await world.group("bob", "alice", "carol")
    await world.say("bob", "@alice")
    euros = {"amount": "1", "currency": "EUR"}
    each = [{"user": "@alice", "amount": "1"}, {"user": "@carol", "amount": "1"}]
    made = {
        "text": await world.say("bob", "@alice"),
        "send": await world.pay("bob", "@alice", "1"),
        "offer": await world.pay("bob", "@alice", "1", accept=True),
        "packet": await world.do(
            "bob", "pay.packet", group, total="3", currency="EUR", count=2, mode="equal"
        ),
        "deposit": await world.credit("bob", "1"),
        "request": await world.do("bob", "pay.request", "@alice", **euros),
        "split": await world.do("bob", "pay.split", group, total="2", currency="EUR", shares=each),
    }
    key = str(head_of(made[ref])["id"]) if ref in made else event_id(999)
    place = group if conv == "group" else conv
    outcome = await world.do("alice", "pay.send", place, ref=key, amount="2", currency="EUR", **named)
    asks_elsewhere = (ref == "request" and conv != "@bob") or (ref == "split" and conv != "group")
    if asks_elsewhere:
        wanted = "not_a_member" if (named, conv) == ({"payee": "@carol"}, "@bob") else "not_found"
        wanted = "bad_frame" if conv == "group" and not named else wanted
    elif ref in {"request", "split"}:
        wanted = "not_a_member" if named and conv == "@bob" else "bad_frame"
    elif conv == "group":
        wanted = "stored" if named else "bad_frame"
    else:
        wanted = "not_a_member" if named and conv == "@bob" else "stored"
    assert said(outcome) == wanted
