"""What people read of their money: the same from every store, all of it, in order,
and nothing of anybody else's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins
from tests.contract.busy_world import BusyWorld, busy_world
from tests.contract.stores import KINDS, World, head_of, opened
from tests.support.money_world import DAY_MS

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PaymentsBody, PaymentView, StatementBody, StatementLine, StatementResult
from tuppence_server.reports import statement
from tuppence_server.reports.payments import payments_page
from tuppence_server.store.sql import entries, money


@pytest.fixture(params=[*KINDS, "sqlite filled"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store; "filled" where SQLite's entries are brought up to date again and again meanwhile."""
    kind, _, filled = str(request.param).partition(" ")
    if filled:
        monkeypatch.setattr(entries, "ENTRIES_BEHIND_MAX", 5)
    return kind


@pytest.fixture
async def busy(kind: str, tmp_path: Path) -> AsyncIterator[BusyWorld]:
    async with opened(kind, tmp_path) as store:
        yield await busy_world(store)


@pytest.fixture
async def world(kind: str, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(kind, tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob", "carol")
        yield world


async def listed(world: World, who: str, **asked: Any) -> list[PaymentView]:
    """All pages of a list."""
    found: list[PaymentView] = []
    before = asked.pop("before", None)
    while True:
        given = asked if before is None else {**asked, "before": before}
        page = await payments_page(world.store, world.users[who], PaymentsBody(**given))
        assert len(page.payments) <= asked.get("limit", 50)
        assert page.pos == (await world.store.head()).pos
        found += page.payments
        if page.next is None:
            return found
        assert before is None or page.next < before, "every page gets on"
        before = page.next


async def page_of(world: World, who: str, currency: str = "EUR", **asked: Any) -> StatementResult:
    body = StatementBody(currency=currency, **asked)
    page = await statement.page(world.store, world.users[who], body)
    assert not isinstance(page, Refusal)
    return page


def minor(amount: str) -> int:
    return int(amount.replace(".", ""))


def amounts(lines: list[StatementLine]) -> list[str]:
    return [line.amount for line in lines]


# --- payments ---------------------------------------------------------------------------------------------


async def test_a_payment_is_listed_as_it_stands(busy: BusyWorld) -> None:
    names = {value: name for name, value in busy.ids.items()}
    found = await listed(busy, "bob")
    assert [view.pos for view in found] == sorted((view.pos for view in found), reverse=True)
    assert {names[view.id]: view.state for view in found if view.id in names} == {
        "plain": "completed", "dollars": "completed", "exchanged": "partly_refunded",
        "accepted": "partly_refunded", "accepted dollars": "completed", "declined": "declined",
        "cancelled": "cancelled", "expired": "expired", "pending": "pending", "refunded": "refunded",
        "paid": "paid", "refused": "declined", "withdrawn": "cancelled", "overdue": "expired",
        "open request": "open", "late request": "open", "payment": "completed", "settled": "settled",
        "dropped": "cancelled",
        "split": "open", "share": "completed", "claim of emptied": "completed", "claim of stale": "completed",
        "claim": "completed",
    }  # fmt: skip


async def test_a_view_tells_what_became_of_the_money(busy: BusyWorld) -> None:
    alice, bob, carol = (busy.users[who] for who in ("alice", "bob", "carol"))
    found = {view.id: to_builtins(view) for view in await listed(busy, "alice", limit=200)}

    def told(name: str) -> dict[str, Any]:
        absent = {"pos", "at", "id", "conv"}
        view = found[busy.ids[name]]
        return {key: value for key, value in view.items() if value is not None and key not in absent}

    assert told("plain") == {
        "kind": "pay.send", "amount": "10.00", "currency": "EUR", "state": "completed",
        "payer": alice, "payee": bob, "fee": "0.10", "fee_on": "payer",
    }  # fmt: skip
    assert told("dollars")["fee_on"] == "payee"
    assert told("accepted")["refunded"] == "1.50"
    assert told("exchanged") == {
        "kind": "pay.send", "amount": "20.00", "currency": "EUR", "state": "partly_refunded",
        "payer": alice, "payee": bob, "fee": "0.50", "fee_on": "payer", "refunded": "100",
        "received": {"amount": "3168", "currency": "JPY"},
    }  # fmt: skip
    states = [(share["user"], share["state"]) for share in told("split")["shares"]]
    assert states == [(alice, "paid"), (bob, "waived"), (carol, "open")]
    assert (told("split")["payee"], "payer" in told("split")) == (alice, False)
    packet = told("packet")
    assert (packet["claimed"], packet["count"], packet["state"]) == (1, 2, "open")
    assert (packet["payer"], "payee" in packet) == (alice, False)
    request = told("open request")
    assert (request["payer"], request["payee"]) == (alice, bob)
    assert request["expires_at"] == found[busy.ids["open request"]]["at"] + 7 * DAY_MS


async def test_a_claim_is_listed_for_who_claimed(busy: BusyWorld) -> None:
    alice, carol = busy.users["alice"], busy.users["carol"]
    found = {view.id: view for view in await listed(busy, "carol")}
    claim = found[busy.ids["last claim"]]
    assert (claim.kind, claim.payer, claim.payee, claim.state) == ("pay.claim", alice, carol, "completed")
    assert busy.ids["last claim"] not in {view.id for view in await listed(busy, "alice")}


async def test_nobody_sees_what_is_between_others(busy: BusyWorld) -> None:
    carol = busy.users["carol"]
    found = await listed(busy, "carol", limit=200)
    assert {view.kind for view in found} == {"pay.faucet", "pay.split", "pay.claim"}
    for view in found:
        sharers = {share.user for share in view.shares or []}
        assert carol in {view.payer, view.payee} | sharers, view


async def test_who_left_keeps_what_was_theirs_and_gets_nothing_new(busy: BusyWorld) -> None:
    before = await listed(busy, "carol")
    await busy.do("carol", "room.leave", busy.group_id)
    await busy.paid("alice", busy.group_id, "1", payee="@bob")
    assert await listed(busy, "carol") == before


@pytest.mark.parametrize("who", ["alice", "bob", "carol"])
@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_pages_make_up_the_whole(busy: BusyWorld, who: str, limit: int) -> None:
    whole = await listed(busy, who, limit=200)
    assert await listed(busy, who, limit=limit) == whole
    middle = whole[len(whole) // 2].pos
    assert await listed(busy, who, limit=limit, before=middle) == [v for v in whole if v.pos < middle]
    assert await listed(busy, who, limit=limit, before=0) == []


async def test_filters_narrow(busy: BusyWorld) -> None:
    whole = await listed(busy, "alice", limit=200)
    bob, carol = busy.users["bob"], busy.users["carol"]
    for asked, fits in (
        ({"state": "open"}, lambda view: view.state == "open"),
        ({"currency": "USD"}, lambda view: view.currency == "USD"),
        ({"currency": "JPY"}, lambda view: view.received is not None),
        ({"with_": "@bob"}, lambda view: bob in _sides(view)),
        ({"with_": carol}, lambda view: carol in _sides(view)),
        ({"with_": bob, "state": "declined"}, lambda view: bob in _sides(view) and view.state == "declined"),
    ):
        expected = [view for view in whole if fits(view)]
        assert expected
        for limit in (1, 3, 200):
            assert await listed(busy, "alice", limit=limit, **asked) == expected, asked


def _sides(view: PaymentView) -> set[str | None]:
    return {view.payer, view.payee} | {share.user for share in view.shares or []}


async def test_a_sharer_shares_with_who_paid_the_bill_and_not_with_the_others(busy: BusyWorld) -> None:
    mine = {view.id for view in await listed(busy, "carol", with_="@alice")}
    assert busy.ids["settled"] in mine
    assert await listed(busy, "carol", with_="@bob") == []


async def test_oneself_is_the_other_side_of_ones_own_exchange(busy: BusyWorld) -> None:
    (own,) = await listed(busy, "alice", with_="@alice")
    assert own.id == busy.ids["own exchange"]


@pytest.mark.parametrize(
    "asked",
    [
        {"state": "no such state"},
        {"with_": "@nobody"},
        {"with_": "bob"},
        {"with_": "u_aaaaaaaaaaaaaaaaaaaaaaaa77"},
        {"currency": "XXX"},
    ],
    ids=str,
)
async def test_what_there_is_not_is_an_empty_page(busy: BusyWorld, asked: dict[str, str]) -> None:
    page = await payments_page(busy.store, busy.users["alice"], PaymentsBody(**asked))
    assert (page.payments, page.next) == ([], None)


async def test_both_stores_say_the_same(tmp_path: Path) -> None:
    found = []
    for kind in KINDS:
        async with opened(kind, tmp_path) as store:
            world = await busy_world(store)
            told: list[Any] = [await listed(world, who, limit=200) for who in world.users]
            places = [(who, currency) for who in world.users for currency in ("EUR", "USD", "JPY")]
            told += [await page_of(world, who, currency) for who, currency in places]
            head = await store.head()
            told += [await store.totals(0, head.transfer_id), await store.totals(5, 20), await store.tally()]
            told += [await store.position(pos, None) for pos in range(head.pos + 2)]
            found.append(told)
    assert found[0] == found[1]


async def test_a_page_looks_at_so_much_and_gets_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = await busy_world(store)
        whole = {who: await listed(world, who, limit=200) for who in world.users}
        monkeypatch.setattr(money, "TRANSFERS_SCANNED_MAX", 4)
        short = await payments_page(store, world.users["alice"], PaymentsBody(limit=200))
        assert len(short.payments) < len(whole["alice"])
        assert short.next is not None
        for who, expected in whole.items():
            assert await listed(world, who, limit=50) == expected


# --- statements -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob", "carol"])
@pytest.mark.parametrize("currency", ["EUR", "USD", "JPY"])
async def test_opening_and_lines_are_closing(busy: BusyWorld, who: str, currency: str) -> None:
    page = await page_of(busy, who, currency)
    balance = minor(page.opening)
    for line in page.lines:
        balance += minor(line.amount)
        assert minor(line.balance) == balance
    assert minor(page.closing) == balance
    accounts = {(a.owner, a.currency): a for a in await busy.store.accounts() if a.code == "customer"}
    account = accounts.get((busy.users[who], currency))
    assert balance == (0 if account is None else account.credits_posted - account.debits_posted)
    assert [line.pos for line in page.lines] == sorted(line.pos for line in page.lines)
    assert (page.next, page.pos) == (None, (await busy.store.head()).pos)


async def test_a_line_tells_who_it_was_with(busy: BusyWorld) -> None:
    lines = (await page_of(busy, "alice")).lines
    with_of = {(line.id, line.code): (line.with_, line.amount) for line in lines}
    assert with_of[busy.ids["plain"], "pay.send"] == ("bob", "-10.00")
    assert with_of[busy.ids["plain"], "fee"] == ("operator", "-0.10")
    assert with_of[busy.ids["first refund"], "pay.refund"] == ("bob", "5.00")
    assert with_of[busy.ids["last claim"], "pay.packet"][0] == "carol", "through the operator's account"
    assert with_of[busy.ids["exchanged"], "exchange"] == ("bob", "-20.00")
    assert with_of[busy.ids["own exchange"], "exchange"] == ("operator", "-20.00")
    claim = next(line for line in (await page_of(busy, "carol")).lines if line.kind == "pay.claim")
    assert (claim.with_, claim.code, claim.amount[0]) == ("alice", "pay.claim", "2")
    bob = {line.id: line.with_ for line in (await page_of(busy, "bob", "JPY")).lines}
    assert bob[busy.ids["exchanged"]] == "alice"


async def test_what_is_only_held_is_no_line(busy: BusyWorld) -> None:
    lines = {line.id for line in (await page_of(busy, "alice")).lines}
    for name in ("pending", "declined", "cancelled", "expired", "accepted"):
        assert busy.ids[name] not in lines, name
    kinds = [line.kind for line in (await page_of(busy, "alice")).lines]
    assert kinds.count("pay.accept") == 2, "the amount and its fee, once they are posted"


async def test_from_is_in_and_to_is_out(world: World) -> None:
    start = world.now
    for number in range(1, 6):
        world.now = start + number * 1_000
        await world.credit("alice", f"{number}")
    for since, until, expected in (
        (None, None, ["1.00", "2.00", "3.00", "4.00", "5.00"]),
        (2_000, None, ["2.00", "3.00", "4.00", "5.00"]),
        (2_001, None, ["3.00", "4.00", "5.00"]),
        (None, 3_000, ["1.00", "2.00"]),
        (None, 3_001, ["1.00", "2.00", "3.00"]),
        (2_000, 4_000, ["2.00", "3.00"]),
        (0, 1_000, []),
        (6_000, None, []),
        (4_000, 2_000, []),
    ):
        asked = {"from_": since, "to": until}
        bounds = {name: start + at for name, at in asked.items() if at is not None}
        page = await page_of(world, "alice", **bounds)
        assert amounts(page.lines) == expected, asked
        assert minor(page.opening) + sum(map(minor, expected)) == minor(page.closing)
    assert (await page_of(world, "alice", from_=start + 4_000, to=start + 2_000)).opening == "6.00"


async def test_commits_of_one_moment_stay_together(world: World) -> None:
    for _ in range(3):
        await world.credit("alice", "1")
    moment = world.now
    world.now += 1
    await world.credit("alice", "2")
    assert len((await page_of(world, "alice", to=moment + 1)).lines) == 3
    assert len((await page_of(world, "alice", from_=moment + 1)).lines) == 1
    assert (await page_of(world, "alice", to=moment)).lines == []


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_statement_comes_in_pages(busy: BusyWorld, limit: int) -> None:
    for who, currency in (("alice", "EUR"), ("bob", "EUR"), ("bob", "JPY")):
        whole = await page_of(busy, who, currency)
        lines: list[StatementLine] = []
        after: int | None = 0
        while after is not None:
            page = await page_of(busy, who, currency, after=after, limit=limit)
            assert (page.opening, page.closing) == (whole.opening, whole.closing)
            assert len(page.lines) <= limit
            lines += page.lines
            after = page.next
        assert lines == whole.lines


async def test_a_page_behind_the_last_is_empty(busy: BusyWorld) -> None:
    page = await page_of(busy, "alice", after=10**9)
    assert (page.lines, page.next) == ([], None)
    assert page.closing == (await page_of(busy, "alice")).closing


async def test_a_closed_time_does_not_change_any_more(world: World) -> None:
    await world.credit("alice", "10")
    until = world.now + 1
    before = await page_of(world, "alice", to=until)
    world.now += 1
    await world.pay("alice", "@bob", "4")
    after = await page_of(world, "alice", to=until)
    assert (after.lines, after.closing) == (before.lines, before.closing)


async def test_who_has_no_account_has_an_empty_statement(world: World) -> None:
    page = await page_of(world, "carol")
    assert (page.opening, page.lines, page.closing, page.next) == ("0.00", [], "0.00", None)
    assert (await page_of(world, "carol", "JPY")).closing == "0"


@pytest.mark.parametrize("currency", ["XXX", "eur", ""])
async def test_an_unknown_currency_is_refused(world: World, currency: str) -> None:
    refused = await statement.page(world.store, world.users["alice"], StatementBody(currency=currency))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("unknown_currency", "$.body.currency")


async def test_a_group_payment_names_the_other_side(world: World) -> None:
    group = await world.group("alice", "bob", "carol")
    await world.credit("alice", "5")
    sent = await world.pay("alice", group, "2", payee="@carol")
    line = (await page_of(world, "carol")).lines[0]
    assert (line.with_, line.conv, line.id) == ("alice", group, head_of(sent)["id"])
