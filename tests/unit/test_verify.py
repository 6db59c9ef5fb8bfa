"""Whoever changes the file behind the server's back is found out, and where."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.stores import World, event_id, opened
from tests.contract.tampering import unguarded

from tuppence_server.audit.outcomes import sum_of_events, sum_of_receipts
from tuppence_server.audit.verify import PROBLEMS_MAX, Report, verify
from tuppence_server.store.contract import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """pos 1 to 3: deposits; 4: a payment; 5, 6: lines; 7: a payment; 8: a line.
    The last payment is refused."""
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob")
        for currency in ("EUR", "USD", "JPY"):
            await world.credit("alice", "100", currency)
        await world.pay("alice", "@bob", "10", key=event_id(400))
        await world.say("alice", "@bob", "five")
        await world.say("bob", "@alice", "six!")
        await world.pay("alice", "@bob", "20", "USD")
        await world.say("bob", "@alice", "eight")
        await world.pay("bob", "@alice", "900")
        yield store


def tamper(folder: Path, *statements: str) -> None:
    """What somebody with the file and some SQL can do."""
    with unguarded(folder / "tuppence.db") as db:
        for statement in statements:
            assert db.execute(statement).rowcount != 0, statement


async def test_a_good_ledger_has_no_problems(store: Store) -> None:
    seen: list[tuple[int, int]] = []
    report = await verify(store, lambda done, total: seen.append((done, total)))
    head = await store.head()
    totals = {"EUR": 10_000, "USD": 10_000, "JPY": 100}
    assert report == Report(8, head.hash.hex(), head.epoch, 8, 5, 8, 0, 0, totals, [])
    assert seen[-1] == (8, 8)


def written(column: str, old: str, new: str, pos: int) -> str:
    """Write something else into an event."""
    return f"UPDATE event SET {column} = CAST(replace({column}, '{old}', '{new}') AS BLOB) WHERE pos = {pos}"


UNFIT = "the hash does not fit what is stored"
MOVED = "SELECT {}, debit, credit, amount, code, phase, pending FROM transfer WHERE pos = 4"
MADE_OTHERS = "pos 4: a pay.send of 10.00 EUR: its transfers are not those that it calls for"
TAMPERED: dict[str, tuple[list[str], list[str]]] = {
    "edited body": ([written("body", "five", "FIVE", 5)], [f"pos 5: {UNFIT}"]),
    "edited currency": ([written("body", "EUR", "USD", 4)], [f"pos 4: {UNFIT}"]),
    "edited salt": (["UPDATE event SET salt = zeroblob(16) WHERE pos = 6"], [f"pos 6: {UNFIT}"]),
    "edited head": ([written("head", '"from":"u_', '"from":"v_', 8)], [f"pos 8: {UNFIT}"]),
    "edited hash": (["UPDATE event SET hash = zeroblob(32) WHERE pos = 5"],
     [f"pos 5: {UNFIT}", f"pos 6: {UNFIT}"]),
    "edited amount": (["UPDATE transfer SET amount = amount + 1 WHERE pos = 4"],
     [f"pos 4: {UNFIT}", MADE_OTHERS]),
    "diverted transfer": (["UPDATE transfer SET credit = 4 WHERE pos = 4"], [f"pos 4: {UNFIT}"]),
    "deleted transfer": (["DELETE FROM transfer WHERE pos = 4"],
     [f"pos 4: {UNFIT}", MADE_OTHERS, "4 transfers belong to events; the head says 5"]),
    "transfer out of nothing": (
        ["INSERT INTO transfer " + MOVED.format("99, 8")],
        [f"pos 8: {UNFIT}", "pos 8: a chat.text moves no money",
         "6 transfers belong to events; the head says 5"]),
    "transfer of no event": (
        ["INSERT INTO transfer " + MOVED.format("6, 99"), "UPDATE head SET transfer_id = 6"],
        ["transfer 6: belongs to no event", "5 transfers belong to events; the head says 6"]),
    "other place": ([written("head", '"seq":2', '"seq":7', 5)],
     [f"pos 5: {UNFIT}", "pos 5: the envelope names another place"]),
    "no envelope": (["UPDATE event SET head = x'7b' WHERE pos = 5"],
     [f"pos 5: {UNFIT}", "pos 5: the envelope cannot be read"]),
    "deleted event": (["DELETE FROM event WHERE pos = 5"],
     ["pos 6: follows 4; something is missing before it"]),
    "deleted payment": (["DELETE FROM event WHERE pos = 4"],
     ["pos 5: follows 3; something is missing before it", f"receipt {event_id(400)}: names an event"]),
    "swapped events": (
        ["UPDATE event SET pos = 99, seq = 99 WHERE pos = 5",
         "UPDATE event SET pos = 5, seq = 2 WHERE pos = 6",
         "UPDATE event SET pos = 6, seq = 3 WHERE pos = 99"],
        [f"pos 5: {UNFIT}"]),
    "wrong seq": (["UPDATE event SET seq = 77 WHERE pos = 8"], ["pos 8: seq 77 follows 4 in"]),
    "wrong counter": (["UPDATE account SET credits_posted = credits_posted + 5 WHERE id = 2"],
     ["account 2: credits differ from its transfers", "EUR: debits 11000 are not credits 11005"]),
    "overdrawn account": (["UPDATE account SET debits_posted = 99999999 WHERE id = 2"],
     ["account 2: debits differ from its transfers", "account 2: below zero"]),
    "deleted account": (["DELETE FROM account WHERE id = 2"],
     ["account 2: has transfers but does not exist"]),
    "truncated tail": (["DELETE FROM event WHERE pos = 8"],
     ["the log ends at 7; the head says 8", "7 events and 8 receipts that name one do not belong"]),
    "other head": (["UPDATE head SET hash = zeroblob(32)"], ["the log ends at 8; the head says 8"]),
    "head before the end": (["UPDATE head SET pos = 7"], ["the log ends at 8; the head says 7"]),
    "receipt without event": (["UPDATE receipt SET pos = 88 WHERE pos = 5"],
     ["pos 5: has no receipt, or not its own"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
async def test_tampering_is_found(store: Store, tmp_path: Path, name: str) -> None:
    statements, found = TAMPERED[name]
    tamper(tmp_path, *statements)
    for range_events in (1, 3, 250_000):
        problems = (await verify(store, range_events=range_events)).problems
        for expected in found:
            assert any(problem.startswith(expected) for problem in problems), (expected, problems)


@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_an_account_that_changed_hands_is_found(store: Store, tmp_path: Path, who: str) -> None:
    """The chain holds account numbers; whose they are must fit the parties of the payments."""
    user = await store.user(who)
    assert user is not None
    tamper(
        tmp_path,
        f"UPDATE account SET owner = 'u_mallory' WHERE owner = '{user.id}' AND currency = 'EUR'",
    )
    assert (await verify(store)).problems


async def test_erasing_a_body_with_its_salt_is_told_as_a_hash_that_does_not_fit(
    store: Store, tmp_path: Path
) -> None:
    tamper(tmp_path, "UPDATE event SET body = x'7b7d', salt = x'' WHERE pos = 5")
    assert (await verify(store)).problems == ["pos 5: the hash does not fit what is stored"]


async def test_the_report_is_bounded(store: Store, tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE event SET salt = zeroblob(16)", "UPDATE event SET seq = seq + 100")
    tamper(tmp_path, "UPDATE account SET credits_posted = 7, debits_posted = 9")
    problems = (await verify(store)).problems
    assert len(problems) == PROBLEMS_MAX
    assert problems[0].startswith("pos 1: ")


BOB = "(SELECT id FROM user WHERE handle = 'bob')"
SENDER = "(SELECT sender FROM receipt WHERE pos = {})"
AGAIN = f"INSERT INTO receipt SELECT '{event_id(999)}', sender, pos, NULL FROM receipt WHERE pos = 4"
RECEIPTS = {
    "id changed": f"UPDATE receipt SET id = '{event_id(999)}' WHERE pos = 4",
    "sender changed": f"UPDATE receipt SET sender = {BOB} WHERE pos = 4",
    "missing": "DELETE FROM receipt WHERE pos = 6",
    "of another event": "UPDATE receipt SET pos = 5 WHERE pos = 4",
    "one too many": AGAIN,
}


@pytest.mark.parametrize("name", RECEIPTS)
async def test_every_event_has_exactly_its_receipt(store: Store, tmp_path: Path, name: str) -> None:
    """Under an id whose receipt is gone, or another's, the same frame would be carried out a second time."""
    tamper(tmp_path, RECEIPTS[name])
    for range_events in (3, 250_000):
        problems = (await verify(store, range_events=range_events)).problems
        assert any("receipt" in problem for problem in problems), problems


@pytest.mark.parametrize(
    "swap",
    [
        ("UPDATE receipt SET pos = 99 WHERE pos = 4", "UPDATE receipt SET pos = 4 WHERE pos = 7",
         "UPDATE receipt SET pos = 7 WHERE pos = 99"),
        ((f"UPDATE receipt SET sender = iif(pos = 5, {SENDER.format(6)}, {SENDER.format(5)}) WHERE pos "
         "IN (5, 6)"),),
        ("DELETE FROM receipt WHERE pos = 6", AGAIN),
    ],
    ids=["their events", "their senders", "one missing and one double"],
)  # fmt: skip
async def test_receipts_that_changed_places_are_found(
    store: Store, tmp_path: Path, swap: tuple[str, ...]
) -> None:
    tamper(tmp_path, *swap)
    problems = (await verify(store)).problems
    assert sum("receipt" in problem for problem in problems) >= 3, problems


def test_sums_of_receipts_stay_numbers_of_64_bits() -> None:
    """Processes tell each other of them."""
    rows = [(event_id(number).encode() + b"u_someone", 2**50 + number) for number in range(300)]
    ids, places = [row[0][:36].decode() for row in rows], [row[1] for row in rows]
    of_events = sum_of_events(ids, ["u_someone"] * 300, places)
    assert sum_of_receipts([rows[200:], rows[:200]]) == (300, of_events)
    assert 0 < of_events < 2**63
    assert sum_of_receipts([rows[:-1]])[1] != of_events
