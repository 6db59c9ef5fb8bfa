"""What is not as it must be about money is found, even where the chain was made to fit what was changed."""

import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.busy_world import BusyWorld, busy_world
from tests.contract.stores import KINDS, World, event_id, opened
from tests.contract.tampering import unguarded

from tuppence_server.audit.verify import verify
from tuppence_server.audit.workers import together
from tuppence_server.domain import chain
from tuppence_server.domain.rows import GENESIS_HASH, Transfer

MADE_OTHERS = "its transfers are not those that it calls for"


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[BusyWorld]:
    async with opened("sqlite", tmp_path) as store:
        yield await busy_world(store)


class Forger:
    """Somebody with the file, all the time in the world and the source of the chain."""

    def __init__(self, folder: Path, world: BusyWorld) -> None:
        self._path = folder / "tuppence.db"
        self._ids = world.ids
        self._users = world.users

    def forge(self, *statements: str) -> None:
        """Carry out SQL; `<name>` and `{name}` are the id of a payment or act, as text and bare,
        `@name` is the id of a person.

        `pos<name>` is where that event is.
        """
        with unguarded(self._path) as db:
            for statement in statements:
                assert db.execute(self._named(statement)).rowcount != 0, statement
            self._link(db)

    def _named(self, statement: str) -> str:
        statement = re.sub(r"pos<([a-z ]+)>", r"(SELECT pos FROM receipt WHERE id = <\1>)", statement)
        statement = re.sub(r"\{([a-z ]+)\}", lambda match: self._ids[match[1]], statement)
        statement = re.sub(r"<([a-z ]+)>", lambda match: f"'{self._ids[match[1]]}'", statement)
        return re.sub(r"@([a-z]+)", lambda match: self._users[match[1]], statement)

    def _link(self, db: sqlite3.Connection) -> None:
        """Make the chain fit."""
        made: dict[int, list[Transfer]] = {}
        for row in db.execute("SELECT * FROM transfer ORDER BY id"):
            made.setdefault(row[1], []).append(Transfer(*row))
        previous = GENESIS_HASH
        for pos, head, body, salt in db.execute(
            "SELECT pos, head, body, salt FROM event ORDER BY pos"
        ).fetchall():
            moved = b"".join(map(chain.encode_transfer, made.get(pos, [])))
            previous = chain.link(previous, head, chain.commit(salt, body), moved)
            db.execute("UPDATE event SET hash = ? WHERE pos = ?", (previous, pos))
        db.execute("UPDATE head SET hash = ?", (previous,))


def body(name: str, old: str, new: str) -> str:
    """Write something else into the body of an event."""
    return f"UPDATE event SET body = CAST(replace(body, '{old}', '{new}') AS BLOB) WHERE pos = pos<{name}>"


def head(name: str, old: str, new: str) -> str:
    """Write something else into an envelope."""
    return f"UPDATE event SET head = CAST(replace(head, '{old}', '{new}') AS BLOB) WHERE pos = pos<{name}>"


def moment(name: str, at: int) -> str:
    """Let an event have been committed at another time."""
    changed = f"CAST(json_set(CAST(head AS TEXT), '$.at', {at}) AS BLOB)"
    return f"UPDATE event SET head = {changed} WHERE pos = pos<{name}>"


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_that_can_happen_is_good(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        world = await busy_world(store)
        for range_events in (1, 7, 250_000):
            report = await verify(store, range_events=range_events)
            assert report.problems == []
            assert report.holds == 2 + 1, "an offer with its fee, and a share of a packet"
            assert report.events == report.pos
        assert report.payments == len([name for name in world.ids if name in _WITH_ROWS])


_WITH_ROWS = {
    "accepted", "accepted dollars", "declined", "cancelled", "expired", "pending", "refunded", "exchanged",
    "paid", "refused", "withdrawn", "overdue", "late request", "open request", "settled", "dropped",
    "split", "emptied", "stale", "packet",
}  # fmt: skip


async def test_good_forgeries_are_not_told(busy: BusyWorld, tmp_path: Path) -> None:
    """What was forged consistently all over the file cannot be seen from within:
    that is what a kept head is for."""
    before = await verify(busy.store)
    Forger(tmp_path, busy).forge(body("plain", "late", "LATE"))
    after = await verify(busy.store)
    assert after.problems == []
    assert after.hash != before.hash


ROWS = {
    "state": ("UPDATE payment SET state = 'open' WHERE id = <paid>",
     "payment <paid>: its row is not what the log makes of it: state paid"),
    "open state": ("UPDATE payment SET state = 'declined' WHERE id = <pending>",
     "payment <pending>: its row is not what the log makes of it: state pending"),
    "amount": ("UPDATE payment SET amount = 601 WHERE id = <pending>",
     "payment <pending>: its row is not what the log makes of it: amount 600"),
    "payee": ("UPDATE payment SET payee = '@carol' WHERE id = <declined>",
     "payment <declined>: its row is not what the log makes of it: payee @bob"),
    "fee": ("UPDATE payment SET fee = 0 WHERE id = <accepted>",
     "payment <accepted>: its row is not what the log makes of it: fee 10"),
    "hold": ("UPDATE payment SET hold = 1 WHERE id = <pending>",
     "payment <pending>: its row is not what the log makes of it: hold"),
    "expiry": ("UPDATE payment SET expires_at = expires_at + 1 WHERE id = <open request>",
     "payment <open request>: its row"),
    "claimed": ("UPDATE payment SET claimed = 0 WHERE id = <packet>",
     "payment <packet>: its row is not what the log makes of it: claimed 1"),
    "reminded": ("UPDATE payment SET reminded_at = 0 WHERE reminded_at > 0", "payment "),
    "refunded too little": ("UPDATE payment SET refunded = 500 WHERE id = <refunded>", "pos"),
    "refunded too much": ("UPDATE payment SET refunded = 151 WHERE id = <accepted>",
     "payment <accepted>: its row says 151 refunded, the log 150"),
    "refund forgotten": ("UPDATE payment SET refunded = 0, state = 'completed' WHERE id = <accepted>",
     "refunds <accepted>, whose row knows nothing of it"),
    "no row": ("DELETE FROM payment WHERE id = <accepted>", "payment <accepted>: has no row"),
    "no open row": ("DELETE FROM payment WHERE id = <split>", "payment <split>: has no row"),
    "a row too many": (
        ("INSERT INTO payment SELECT 'x', pos, at, kind, conv, payer, payee, currency, amount, state, fee, "
         "fee_on, refunded, received, received_currency, hold, fee_hold, expires_at, mode, count, claimed, "
         "seed, reminded_at, counted, refund_transfer FROM payment WHERE id = <refunded>"),
        "rows of payments; there are",
    ),
    "refunds in all": ("UPDATE payment SET refunded = 7 WHERE id = <declined>",
     "EUR: the log refunds 1350, the rows say 1357"),
    "share state": ("UPDATE share SET state = 'paid' WHERE payment = <split> AND state = 'open'",
     "payment <split>: its shares are not what the log makes of them"),
    "ended share": ("UPDATE share SET state = 'paid' WHERE payment = <dropped> AND state = 'cancelled'",
     "payment <dropped>: its shares"),
    "share amount": ("UPDATE share SET amount = amount + 1 WHERE payment = <settled> AND n = 2",
     "payment <settled>: its shares"),
    "claimer": ("UPDATE share SET person = '@carol' WHERE payment = <packet> AND n = 1",
     "payment <packet>: its shares"),
    "no share": ("DELETE FROM share WHERE payment = <emptied> AND n = 2", "rows of shares; there are"),
    "seed": ("UPDATE payment SET seed = zeroblob(32) WHERE id = <packet>",
     "the shares are not those that the seed makes and the proof promises"),
    "quote used by another": ("UPDATE quote SET used_by = <plain> WHERE used_by = <exchanged>",
     "which <plain> has used"),
    "quote free again": ("UPDATE quote SET used_by = '' WHERE used_by = <exchanged>",
     "which nobody has used"),
    "quote gone": ("DELETE FROM quote WHERE used_by = <exchanged>", "which is not there"),
    "quote used for nothing": ("UPDATE quote SET used_by = <plain> WHERE used_by = ''",
     "rows of used quotes; there are 3"),
    "better quote": ("UPDATE quote SET buy_amount = buy_amount + 1 WHERE used_by = <exchanged>",
     "is not what the quote"),
    "quote of another": ("UPDATE quote SET owner = '@bob' WHERE used_by = <exchanged>",
     "is not what the quote"),
    "quote that had expired": ("UPDATE quote SET expires_at = 1 WHERE used_by = <exchanged>",
     "is not what the quote"),
    "pending debits": ("UPDATE account SET debits_pending = 0 WHERE debits_pending > 0",
     "pending debits differ from its transfers"),
    "pending credits": ("UPDATE account SET credits_pending = 1 WHERE id = 2",
     "account 2: pending credits differ from its transfers"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
async def test_a_row_that_is_not_the_fold_of_the_log(busy: BusyWorld, tmp_path: Path, name: str) -> None:
    statement, found = ROWS[name]
    forger = Forger(tmp_path, busy)
    forger.forge(statement)
    for range_events in (5, 250_000):
        problems = (await verify(busy.store, range_events=range_events)).problems
        assert any(forger._named(found).replace("'", "") in problem for problem in problems), problems


LOG = {
    "hold ended twice": (
        [("INSERT INTO transfer SELECT (SELECT max(id) + 1 FROM transfer), (SELECT max(pos) FROM event), "
         "debit, credit, amount, code, phase, pending FROM transfer WHERE pos = pos<decline> AND code = "
         "'pay.decline'")],
        "which is not open",
    ),
    "half a void": (
        ["UPDATE transfer SET amount = amount - 1 WHERE pos = pos<cancel> AND code = 'pay.cancel'"],
        "a void of 799, where 800 is held",
    ),
    "more than was held": (
        [("UPDATE transfer SET amount = amount + 1 WHERE pos = pos<accept of accepted> AND code = "
         "'pay.accept'")],
        "a post of 2001, where 2000 is held",
    ),
    "outcome of another hold": (
        ["UPDATE transfer SET credit = 1 WHERE pos = pos<cancel> AND code = 'pay.cancel'"],
        "its accounts are not those of the hold",
    ),
    "fee that was not told": (
        [body("plain", '"fee":"0.10"', '"fee":"0.11"')],
        f"a pay.send of 10.00 EUR: {MADE_OTHERS}",
    ),
    "amount that was not told": ([body("share", "3.33", "3.34")], f"a pay.send of 3.34 EUR: {MADE_OTHERS}"),
    "fee on the other": (
        [body("dollars", '"fee_on":"payee"', '"fee_on":"payer"')],
        f"a pay.send of 5.00 USD: {MADE_OTHERS}",
    ),
    "offer that is paid": ([body("pending", '"accept":true', '"accept":false')], MADE_OTHERS),
    "other margin": ([body("exchanged", '"margin":"0.20"', '"margin":"0.19"')], MADE_OTHERS),
    "other exchange": ([body("exchanged", '"3168"', '"3169"')], MADE_OTHERS),
    "payment without its quote": ([body("exchanged", '"quote"', '"quota"')], "an exchange has a quote"),
    "accepted too late": ([moment("accept of accepted", 1_800_000_000_000)],
     "comes after the payment's time"),
    "claimed too late": ([moment("claim", 1_900_000_000_000)], "comes after the payment's time"),
    "expired too early": ([moment("end of stale", 1_790_000_000_001)],
     "comes before the payment's time is over"),
    "accepted by another": ([head("accept of accepted", "@bob", "@carol")], "is not for @carol to do"),
    "cancelled by another": ([head("cancel", "@alice", "@bob")], "is not for @bob to do"),
    "declined by another": ([head("decline", "@bob", "@alice")], "is not for @alice to do"),
    "expired by somebody": ([head("end of stale", "server", "@bob")], "is not for @bob to do"),
    "refunded by another": ([head("part", "@bob", "@carol")], "is not for its author to do there"),
    "state of an act": ([body("cancel", '"cancelled"', '"declined"')], "says declined where it is cancelled"),
    "state of a claim": ([body("last claim", '"emptied"', '"open"')],
     "says (2, 2, 'open') where it is (2, 2, 'emptied')"),
    "seed that is told": ([body("last claim", '"seed":"', '"seed":"0')], "where it is"),
    "seed at the end": ([body("end of stale", '"seed":"', '"seed":"0')], "where it is"),
    "proof": ([body("packet", '"proof":"', '"proof":"0')],
     "the shares are not those that the seed makes and the proof promises"),
    "what came back": ([body("end of stale", '"3.00"', '"2.00"')], "amount='2.00'"),
    "two shares for one": (
        [
            head("last claim", "@carol", "@bob"),
            body("last claim", "@carol", "@bob"),
            ("UPDATE transfer SET credit = (SELECT id FROM account WHERE owner = '@bob' AND "
             "currency = 'EUR') WHERE pos = pos<last claim> AND code = 'pay.claim'"),
        ],
        "@bob has two shares of a packet",
    ),
    "share that nobody asked for": ([body("split", '"amount":"3.34"', '"amount":"3.35"')],
     "the shares do not come to the total"),
    "somebody asked twice": ([body("split", "@carol", "@bob")], "somebody has two shares"),
    "share paid from the start": ([body("split", '"open"},', '"paid"},')], "says paid where it is open"),
    "payment that settles nothing": ([body("payment", '"settles"', '"settled"')], "and does not settle it"),
    "settled by another amount": ([body("paid", '"1.00"', '"1.01"')], "where it is"),
    "settles another thing": ([body("payment", '"state":"paid"', '"state":"open"')], "where it is"),
    "waived for another": ([body("waiver", '"user":"@bob"', '"user":"@carol"')],
     "payment <split>: its shares are not what the log"),
    "reminder to others": ([body("reminder", "@alice", "@carol")], "says ['@carol'] where it is ['@alice']"),
    "refund of something else": ([head("part", "{accepted}", "{declined}")],
     "refunds {declined}, whose row knows nothing of it"),
    "refund that adds up to something else": ([body("second refund", '"refunded":"12.00"',
     '"refunded":"7.00"')], "where it is ('refunded', '12.00')"),
    "act on nothing": ([head("cancel", "{cancelled}", "{plain}")],
     "acts on {plain}, which does not wait for a pay.cancel"),
    "act in another place": (
        [("UPDATE event SET conv = (SELECT conv FROM event WHERE pos = 1), seq = 99, head = "
         "CAST(json_set(CAST(head AS TEXT), '$.conv', (SELECT conv FROM event WHERE pos = 1), '$.seq', 99) "
         "AS BLOB) WHERE pos = pos<cancel>")],
        "acts on a payment of another conversation",
    ),
    "deposit by somebody": ([("UPDATE event SET head = CAST(replace(head, '\"server\"', '\"@bob\"') AS BLOB) "
                             "WHERE pos = 1")], "says @bob where it is server"),
    "debt in between": (
        [body("deposit", "1000.00", "1.00"), "UPDATE transfer SET amount = 100 WHERE pos = 1"],
        "below zero at pos 4",
    ),
    "no body": (["UPDATE event SET body = x'7b7d' WHERE pos = pos<plain>"],
     "the body is not that of a pay.send"),
    "no body of an act": (["UPDATE event SET body = x'7b7d' WHERE pos = pos<cancel>"],
     "the body is not that of a pay.cancel"),
    "no such kind": ([("UPDATE event SET head = CAST(replace(head, 'pay.deposit', 'pay.present') AS BLOB) "
                      "WHERE pos = 1")], "a pay.present moves no money"),
    "other spelling": ([body("plain", '"10.00"', '"10.0"')], "'10.0' is no amount of EUR"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOG)
async def test_a_log_that_cannot_have_been(busy: BusyWorld, tmp_path: Path, name: str) -> None:
    statements, found = LOG[name]
    forger = Forger(tmp_path, busy)
    forger.forge(*statements)
    for range_events in (5, 250_000):
        problems = (await verify(busy.store, range_events=range_events)).problems
        assert not any("hash" in problem for problem in problems), "the chain fits"
        expected = re.sub("'(.{36})'", r"\1", forger._named(found))
        assert any(expected in problem for problem in problems), (expected, problems)


@pytest.mark.parametrize(
    "forgery",
    ["", body("cancel", '"cancelled"', '"declined"'), "DELETE FROM event WHERE pos = 21"],
    ids=["good", "forged", "with a gap"],
)
async def test_other_processes_find_the_same(busy: BusyWorld, tmp_path: Path, forgery: str) -> None:
    if forgery:
        Forger(tmp_path, busy).forge(forgery)
    alone = await verify(busy.store, workers=0)
    seen: list[tuple[int, int]] = []
    found = await verify(busy.store, lambda *at: seen.append(at), workers=2, range_events=10)
    if "DELETE" in forgery:
        assert "pos 22: follows 20; something is missing before it" in found.problems
    else:
        assert found == alone
        assert seen == [(done, 50) for done in (10, 20, 30, 40, 50)]
    assert bool(found.problems) == bool(forgery)


async def test_a_range_with_many_kept_events_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = World(store)
        await world.register("alice", "bob")
        await world.credit("alice", "1000")
        ref = event_id(1)  # an answer to something is looked at together with what it answers
        sends = [
            world.frame("alice", "pay.send", "@bob", amount="1", currency="EUR", ref=ref) for _ in range(300)
        ]
        await world.settle(*sends)
        reader = store.reader()
        assert reader is not None
        found = [each async for each in together(reader, 301, 1_000, 1, kept_max=1)]
        assert [(each.after, each.upto, len(each.payments)) for each in found] == [
            (0, 128, 127), (128, 256, 128), (256, 301, 45), (301, 301, 0),
        ]  # fmt: skip
        assert (await verify(store, workers=1)).problems == []


async def test_a_log_that_is_empty_is_good(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        for workers in (0, 1):
            report = await verify(store, workers=workers)
            assert (report.events, report.problems) == (0, [])
