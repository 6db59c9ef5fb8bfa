"""Statements as files: whole or cut off, of any length in little memory, and harmless in a spreadsheet."""

import csv
import io
import json
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.stores import World, opened

from tuppence_protocol.errors import Refusal
from tuppence_server.domain.commands import Deposit, Withdraw
from tuppence_server.domain.policy import FeeRule, Policy
from tuppence_server.reports.statement import (
    COLUMNS,
    MOMENT_MAX,
    Broken,
    Renderer,
    Statement,
    as_csv,
    as_json,
    moment,
    open_statement,
    pieces,
    plain_cell,
)

LINES = 120_000
MEMORY_BYTES_MAX = 2_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob")
        await world.credit("alice", "10")
        await world.pay("alice", "@bob", "4", note="=1+1")
        await world.pay("bob", "@alice", "0.50")
        yield world


async def statement(world: World, who: str = "alice", currency: str = "EUR") -> Statement:
    found = await open_statement(world.store, world.users[who], currency, None, None)
    assert not isinstance(found, Refusal)
    return found


async def rendered(world: World, render: Renderer, opened_statement: Statement) -> bytes:
    return b"".join([piece async for piece in render(world.store, opened_statement)])


async def test_csv_has_a_header_and_both_balances(world: World) -> None:
    text = (await rendered(world, as_csv, await statement(world))).decode()
    assert text.count("\r\n") == text.count("\n") == 6
    header, opening, *lines, closing_record = csv.reader(io.StringIO(text, newline=""))
    assert tuple(header) == COLUMNS
    named = [dict(zip(header, line, strict=True)) for line in (opening, *lines, closing_record)]
    assert [each["kind"] for each in named] == [
        "opening", "pay.deposit", "pay.send", "pay.send", "closing",
    ]  # fmt: skip
    assert [each["amount"] for each in named] == ["", "10.00", "-4.00", "0.50", ""]
    assert [each["balance"] for each in named] == ["0.00", "10.00", "6.00", "6.50", "6.50"]
    assert [each["with"] for each in named] == ["", "operator", "bob", "bob", ""]
    assert [each["note"] for each in named] == ["", "", "'=1+1", "", ""]
    assert named[1]["at"] == moment(world.now) == "2026-09-21T14:13:20.000Z"


async def test_a_note_stands_with_what_it_was_written_to_and_not_with_the_fee(tmp_path: Path) -> None:
    policy = Policy(
        frozenset({"EUR"}), "sandbox", fees=(FeeRule("send", "EUR", "*", 10, 0, 0, None, "payer"),)
    )
    async with opened("sqlite", tmp_path) as store:
        world = World(store, policy)
        await world.register("alice", "bob")
        await world.order(Deposit(world.key(), "alice", "10", "EUR", 'At the "counter"'))
        await world.pay("alice", "@bob", "4", note="Lunch")
        await world.order(Withdraw(world.key(), "alice", "1", "EUR", "Paid out", "Receipt 17", False))
        lines = [line async for some in pieces(store, await statement(world)) for line in some]
        told = [(line.code, line.note or None) for line in lines]
    assert told == [
        ("pay.deposit", 'At the "counter"'), ("pay.send", "Lunch"), ("fee", None),
        ("pay.withdraw", "Paid out: Receipt 17"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@alice", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert plain_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "alice", "1-1", "pay.send", " =1"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert plain_cell(text) == text


async def test_what_people_chose_cannot_be_a_formula(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handle has no such characters today; the file does not rely on it."""
    opened_statement = await statement(world)
    moved, _ = await world.store.movements(opened_statement.span, 0, 50)
    odd = [replace(each, other='=HYPERLINK("x")', code="@sum") for each in moved]

    async def movements(*_: object) -> tuple[list[object], None]:
        return list(odd), None

    monkeypatch.setattr(world.store, "movements", movements)
    text = (await rendered(world, as_csv, opened_statement)).decode()
    records = list(csv.reader(io.StringIO(text, newline="")))[2:-1]
    assert {record[6] for record in records} == {'\'=HYPERLINK("x")'}
    assert {record[5] for record in records} == {"'@sum"}
    assert [record[7] for record in records] == ["10.00", "-4.00", "0.50"], "our own numbers stay numbers"


async def test_json_lines_end_with_what_they_close_with(world: World) -> None:
    raw = await rendered(world, as_json, await statement(world))
    first, *lines, last = map(json.loads, raw.splitlines())
    pos = (await world.store.head()).pos
    assert first == {"currency": "EUR", "from": None, "to": None, "opening": "0.00", "pos": pos}
    assert [(line["kind"], line["amount"], line["balance"], line["with"]) for line in lines] == [
        ("pay.deposit", "10.00", "10.00", "operator"),
        ("pay.send", "-4.00", "6.00", "bob"),
        ("pay.send", "0.50", "6.50", "bob"),
    ]
    assert last == {"closing": "6.50", "lines": 3}


async def test_an_empty_statement_is_whole(world: World) -> None:
    raw = await rendered(world, as_json, await statement(world, currency="JPY"))
    assert [json.loads(line) for line in raw.splitlines()][-1] == {"closing": "0", "lines": 0}
    assert (await rendered(world, as_csv, await statement(world, currency="JPY"))).count(b"\r\n") == 3


async def test_what_is_paid_meanwhile_is_not_in_it(world: World) -> None:
    opened_statement = await statement(world)
    before = await rendered(world, as_csv, opened_statement)
    await world.pay("alice", "@bob", "1")
    assert await rendered(world, as_csv, opened_statement) == before
    assert (await statement(world)).closing == "5.50"


async def test_lines_that_do_not_add_up_break_off(world: World) -> None:
    good = await statement(world)
    forged = replace(good, span=replace(good.span, closing=good.span.closing + 1))
    for render in (as_csv, as_json):
        pieces = render(world.store, forged)
        got = b"".join([await anext(pieces), await anext(pieces)])
        with pytest.raises(Broken, match="the lines come to 650, the account to 651"):
            await anext(pieces)
        assert b"closing" not in got


async def test_a_long_statement_takes_little_memory(world: World, tmp_path: Path) -> None:
    head = await world.store.head()
    with closing(sqlite3.connect(tmp_path / "tuppence.db")) as db, db:
        (account,) = db.execute(
            "SELECT id FROM account WHERE owner = ? AND currency = 'EUR'", (world.users["alice"],)
        ).fetchone()
        db.execute(
            "WITH RECURSIVE n (id) AS (SELECT ? UNION ALL SELECT id + 1 FROM n WHERE id < ?) "
            "INSERT INTO transfer (id, pos, debit, credit, amount, code) "
            "SELECT id, ?, 1, ?, 1 + id % 9, 'pay.deposit' FROM n",
            (head.transfer_id + 1, head.transfer_id + LINES, head.pos, account),
        )
        db.execute("UPDATE head SET transfer_id = transfer_id + ?", (LINES,))
        (moved,) = db.execute(
            "SELECT sum(iif(credit = ?1, amount, -amount)) FROM transfer WHERE ?1 IN (debit, credit)",
            (account,),
        ).fetchone()
        db.execute("UPDATE account SET credits_posted = ? + debits_posted WHERE id = ?", (moved, account))
    opened_statement = await statement(world)
    tracemalloc.start()
    size = lines = 0
    async for piece in as_csv(world.store, opened_statement):
        size, lines = size + len(piece), lines + piece.count(b"\r\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == LINES + 3 + 3
    assert size > LINES * 100
    assert peak < MEMORY_BYTES_MAX


def test_moments_go_as_far_as_the_calendar() -> None:
    assert moment(0) == "1970-01-01T00:00:00.000Z"
    assert moment(1_790_000_000_007) == "2026-09-21T14:13:20.007Z"
    assert moment(MOMENT_MAX) == moment(2**53 - 1) == "9999-12-31T23:59:59.999Z"
