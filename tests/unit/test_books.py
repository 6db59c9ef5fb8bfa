"""The books add up, as of any moment, and say so; what does not add up is told as well."""

from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import to_builtins
from tests.contract.busy_world import busy_world
from tests.contract.stores import KINDS, World, opened
from tests.support.memory_store.store import MemoryStore
from tests.support.money_world import DAY_MS

from tuppence_server.domain.rows import AccountCode
from tuppence_server.reports import books as module
from tuppence_server.reports.books import Books, CurrencyBooks, books, income_by
from tuppence_server.store.contract import Total


def entries(book: CurrencyBooks, part: str) -> dict[str, str]:
    return {entry.name: entry.amount for entry in getattr(book, part)}


def of(found: Books, currency: str) -> CurrencyBooks:
    return next(each for each in found.currencies if each.currency == currency)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_books_of_everything_that_can_happen(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        world = await busy_world(store)
        found = await books(store)
        assert found.balanced
        assert [each.currency for each in found.currencies] == ["EUR", "JPY", "USD"]
        euro = of(found, "EUR")
        assert entries(euro, "assets") == {"cash": "1050.00"}
        held = sum([await world.balance(who) + (await world.purse(who))[1] for who in world.users])
        liabilities = entries(euro, "liabilities")
        assert liabilities["customers"] == f"{held // 100}.{held % 100:02d}"
        assert liabilities == {
            "customers": liabilities["customers"],
            "red packets": "0.00",
            "suspense": "0.00",
        }
        fees = "1.71"  # 0.10 for each payment that arrived, 0.07 for a packet, 0.50 for an exchange
        assert entries(euro, "income") == {"fees": fees, "exchange margin": "0.40"}
        assert euro.net_income == "2.11"
        assert entries(euro, "equity") == {"exchange position": "39.60", "retained income": "2.11"}
        assert euro.debits == euro.credits
        assert euro.total_assets == "1050.00"
        yen = of(found, "JPY")
        assert entries(yen, "equity") == {"exchange position": "-6336", "retained income": "0"}
        assert yen.balanced
        trial = {line.code: (line.debits, line.credits, line.balance) for line in of(found, "USD").trial}
        assert trial["cash"] == ("100.00", "0.00", "100.00")
        assert trial["fees"] == ("0.00", "0.50", "-0.50")


async def test_the_books_as_of_every_position_balance() -> None:
    store = MemoryStore()
    await busy_world(store)
    head = await store.head()
    last: dict[str, Any] = {}
    for pos in range(head.pos + 2):
        found = await books(store, pos=pos)
        assert found.balanced
        assert found.pos == min(pos, head.pos)
        last = to_builtins(found)
    assert last == to_builtins(await books(store))
    assert (await books(store, pos=0)).currencies == []


async def test_the_books_before_a_moment(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice")
        first = world.now
        await world.credit("alice", "10")
        world.now += DAY_MS
        await world.credit("alice", "5")
        for until, expected in (
            (first, []),
            (first + 1, ["10.00"]),
            (world.now, ["10.00"]),
            (None, ["15.00"]),
        ):
            found = await books(store, until=until)
            assert [each.total_assets for each in found.currencies] == expected


async def test_income_is_that_of_the_time_asked_for() -> None:
    store = MemoryStore()
    world = await busy_world(store)
    whole = await books(store)
    middle = world.now - 31 * DAY_MS + 1
    early, late = await books(store, until=middle), await books(store, since=middle)
    assert of(early, "EUR").total_assets == of(whole, "EUR").total_assets
    cents = [int(of(each, "EUR").net_income.replace(".", "")) for each in (early, late, whole)]
    assert cents[0] + cents[1] == cents[2]
    assert cents[1] > 0
    assert of(late, "EUR").total_equity == of(whole, "EUR").total_equity, "the rest is as of the end"
    assert late.since_pos == early.pos


async def test_one_currency_alone() -> None:
    store = MemoryStore()
    await busy_world(store)
    found = await books(store, currency="USD")
    assert [each.currency for each in found.currencies] == ["USD"]
    assert found.balanced
    assert (await books(store, currency="GBP")).currencies == []


async def test_income_by_months_adds_up() -> None:
    store = MemoryStore()
    world = await busy_world(store)
    whole = of(await books(store), "EUR").net_income
    for period in ("day", "month", "year"):
        found = await income_by(store, period, currency="EUR")
        assert found.balanced
        cents = sum(int(each.net_income.replace(".", "")) for each in found.periods)
        assert f"{cents // 100}.{cents % 100:02d}" == whole, period
        for before, after in zip(found.periods, found.periods[1:], strict=False):
            assert before.until <= after.since
    months = (await income_by(store, "month", currency="EUR")).periods
    assert [each.since for each in months][1:] == [1_790_812_800_000, 1_793_491_200_000, 1_796_083_200_000]
    year = (await income_by(store, "year")).periods
    assert {each.currency for each in year} == {"EUR", "JPY", "USD"}
    assert year[0].until == world.now + 1


async def test_income_by_days_is_bounded() -> None:
    with pytest.raises(ValueError, match="choose longer ones"):
        await income_by(MemoryStore(), "day", 0, 10**12)
    with pytest.raises(ValueError, match="choose longer ones"):
        await income_by(MemoryStore(), "year", 0, 2**53)
    assert (await income_by(MemoryStore(), "year", 2**53 - 1, 2**53)).periods == []
    assert (await income_by(MemoryStore(), "month")).periods == []


class Crooked(MemoryStore):
    """A store whose sums are not what they should be."""

    async def totals(self, after: int, upto: int) -> list[Total]:
        return [Total("EUR", "cash", 100, 0), Total("EUR", "customer", 0, 99), Total("EUR", "escrow", 0, 0)]


async def test_what_does_not_balance_says_so() -> None:
    found = await books(Crooked(), pos=0)
    (euro,) = found.currencies
    assert not found.balanced
    assert not euro.balanced
    assert (euro.debits, euro.credits) == ("2.00", "1.98"), "both halves of the time are the same"
    assert not (await income_by(Crooked(), "year", 0, 10)).balanced


async def test_an_account_of_a_kind_that_is_not_known_is_owed() -> None:
    found = await books(Crooked(), pos=0)
    assert entries(found.currencies[0], "liabilities")["escrow"] == "0.00"


def test_every_code_of_account_has_its_place() -> None:
    assert set(module._KNOWN) == set(get_args(AccountCode))
