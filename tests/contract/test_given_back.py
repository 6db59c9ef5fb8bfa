"""What a payment's row says was given back is what was moved for it, in the database too;
what has ended stays."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.stores import World, command, commit, head_of, opened, said

from tuppence_server.audit.verify import verify
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.commands import Reverse
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import Payment
from tuppence_server.store.contract import StoreFault
from tuppence_server.store.sqlite.migrate import migrations

TRIGGERS = ("payment_given_back", "payment_given_back_more", "payment_ended", "share_ended", "quote_used")


@pytest.fixture
async def world(world: World) -> World:
    await world.credit("alice", "50")
    await world.credit("bob", "50")
    return world


def back(world: World, payment: str, amount: str) -> Request:
    return world.frame("bob", "pay.refund", "@alice", ref=payment, amount=amount, key=world.key())


async def paid(world: World, amount: str = "10") -> str:
    return str(head_of(await world.pay("alice", "@bob", amount))["id"])


async def row_of(world: World, payment: str) -> Payment:
    return (await world.store.load_payments([payment], [], [])).payments[payment]


async def test_every_refund_is_held_against_its_own_transfers_however_many_are_in_a_batch(
    world: World,
) -> None:
    one, two = await paid(world), await paid(world)
    several = [back(world, key, amount) for amount in ("1", "2.50") for key in (one, two)]
    outcomes = await world.settle(*several, command(Reverse(world.key(), one, "wrong", None, force=False)))
    assert [said(each) for each in outcomes] == ["stored"] * 5
    assert [(await row_of(world, key)).refunded for key in (one, two)] == [1_000, 350]
    assert [said(each) for each in await world.settle(back(world, two, "0.50"))] == ["stored"]
    assert await world.balance("alice") == 4_400
    assert (await verify(world.store)).problems == []


async def test_what_the_operator_bears_of_a_reversal_counts_as_given_back(world: World) -> None:
    payment = await paid(world, "10")
    assert said(await world.pay("bob", "@alice", "57")) == "stored"
    reverse = Reverse(world.key(), payment, "wrong", None, force=True)
    assert said(await world.order(reverse)) == "stored"
    assert (await row_of(world, payment)).refunded == 1_000
    assert (await verify(world.store)).problems == []


@pytest.mark.parametrize("first", ["", "3", "10"], ids=["none", "in part", "whole"])
@pytest.mark.parametrize("second", ["3", "10"], ids=["part", "all"])
async def test_a_refund_by_who_does_not_know_of_the_one_before_is_not_stored(
    world: World, first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules read what is no longer so, whatever the cause; the store does not take what comes of it."""
    payment = await paid(world)
    if first:
        assert [said(each) for each in await world.settle(back(world, payment, first))] == ["stored"]
    before = [await world.balance(who) for who in ("alice", "bob")]
    load = world.store.load

    async def stale(keys, book) -> None:  # type: ignore[no-untyped-def]
        await load(keys, book)
        for row in list(book.payments.values()):
            book.payments[row.id] = replace(row, refunded=0, state="completed", refund_transfer=0)

    monkeypatch.setattr(world.store, "load", stale)
    if not first:
        assert [said(each) for each in await world.settle(back(world, payment, second))] == ["stored"]
        return
    with pytest.raises(StoreFault) as fault:
        await world.settle(back(world, payment, second))
    assert fault.value.refused
    assert not fault.value.fatal
    assert [await world.balance(who) for who in ("alice", "bob")] == before
    assert (await verify(world.store)).problems == []


@pytest.mark.parametrize("change", ["more", "less", "of another", "without", "twice"])
async def test_a_row_that_says_other_than_was_moved_is_not_stored(world: World, change: str) -> None:
    payment, other = await paid(world), await paid(world)
    assert [said(each) for each in await world.settle(back(world, payment, "2"), back(world, other, "2"))]
    row, strange = await row_of(world, payment), await row_of(world, other)
    rows = {
        "more": replace(row, refunded=row.refunded + 1),
        "less": replace(row, refunded=row.refunded - 1),
        "of another": replace(row, refunded=400, refund_transfer=strange.refund_transfer),
        "without": replace(row, refund_transfer=0),
        "twice": replace(row, refunded=400),
    }
    changes = Changes()
    changes.payments[payment] = rows[change]
    with pytest.raises(StoreFault) as fault:
        await commit(world.store, changes, await world.store.head())
    assert fault.value.refused
    assert await row_of(world, payment) == row


@pytest.mark.parametrize("ends", ["pay.decline", "pay.cancel", "pay.refund"])
async def test_a_payment_that_has_ended_changes_no_more(world: World, ends: str) -> None:
    payment = str(head_of(await world.pay("alice", "@bob", "10", accept=True))["id"])
    if ends == "pay.refund":
        assert said(await world.do("bob", "pay.accept", "@alice", ref=payment)) == "stored"
    who, where = ("alice", "@bob") if ends == "pay.cancel" else ("bob", "@alice")
    assert said(await world.do(who, ends, where, ref=payment)) == "stored"
    changes = Changes()
    changes.payments[payment] = replace(await row_of(world, payment), state="completed")
    with pytest.raises(StoreFault) as fault:
        await commit(world.store, changes, await world.store.head())
    assert fault.value.refused


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE share SET state = 'open' WHERE state = 'paid'", "has ended stays"),
        ("UPDATE share SET person = 'u_x' WHERE state = 'paid'", "has ended stays"),
        ("UPDATE quote SET used_by = 'another'", "used once"),
        ("UPDATE quote SET used_by = ''", "used once"),
        ("UPDATE payment SET refunded = 1 WHERE kind = 'split'", "CHECK"),
        ("UPDATE payment SET refund_transfer = 1 WHERE kind = 'split'", "what was moved"),
    ],
)
async def test_the_schema_lets_what_has_ended_be(tmp_path: Path, statement: str, why: str) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob")
        shares = [{"user": "@alice"}, {"user": "@bob"}]
        await world.say("alice", "@bob")
        split = await world.do("alice", "pay.split", "@bob", total="2", currency="EUR", shares=shares)
        assert said(split) == "stored"
        with closing(sqlite3.connect(tmp_path / "tuppence.db")) as db:
            db.execute("INSERT INTO quote VALUES ('q', 'u', 'EUR', 'JPY', 1, 1, 0, 0, '1', 0, 'someone')")
            with pytest.raises(sqlite3.IntegrityError, match=why):
                db.execute(statement)


async def test_data_of_before_is_brought_up_to_date(tmp_path: Path) -> None:
    """Refunds that were stored when nothing held them against their transfers."""
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob")
        await world.credit("alice", "50")
        payments = [await paid(world) for _ in range(3)]
        for key, amounts in zip(payments, (("1", "2"), ("10",), ()), strict=True):
            for amount in amounts:
                assert [said(each) for each in await world.settle(back(world, key, amount))] == ["stored"]
        rows = (await store.load_payments(payments, [], [])).payments
    with closing(sqlite3.connect(tmp_path / "tuppence.db")) as db:
        for trigger in TRIGGERS:
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("DROP VIEW given_back")
        db.execute("ALTER TABLE payment DROP COLUMN refund_transfer")
        (step,) = (each for each in migrations() if each.version == 6)
        db.executescript(f"BEGIN;\n{step.sql}\n;COMMIT")
    async with opened("sqlite", tmp_path) as store:
        assert (await store.load_payments(payments, [], [])).payments == rows
        world.store = store
        assert [said(each) for each in await world.settle(back(world, payments[0], "7"))] == ["stored"]
        assert (await verify(store)).problems == []
