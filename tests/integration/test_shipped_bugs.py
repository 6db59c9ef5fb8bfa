"""Bugs that others shipped, each with its source; here they are tests over real sockets.

The rules behind them have tests of their own in tests/unit/test_rules_*.py; statements in those of the read side.
"""

import asyncio
import json
import os
import sqlite3
import unicodedata
from collections import Counter
from contextlib import asynccontextmanager, closing

import pytest
from tests.support.server import Refused, Server, serving
from tests.support.waiting import seeded, until
from tests.support.wire import make, new_id

from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.money import format_amount, parse_amount

EUR = {"currency": "EUR"}


@asynccontextmanager
async def locked(server):
    """Another program holds the database's write lock, as a backup tool or an editor might."""
    with closing(sqlite3.connect(server.data / "tuppence.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


async def available(server, handle, currency="EUR"):
    balances = (await server.admin("wallet.show", handle=handle))["balances"]
    return next((each["available"] for each in balances if each["currency"] == currency), None)


async def together(*shots):
    """Send (client, frame) each at once, one frame for each socket; the answers."""

    async def fire(client, frame):
        await client.send(frame)
        return await client.answer(frame["id"])

    return await asyncio.gather(*(fire(client, frame) for client, frame in shots))


def code_of(answer):
    return answer["body"]["code"] if answer["kind"] == "error" else answer["kind"]


# --- twice ----------------------------------------------------------------------------------------------


async def test_concurrent_double_refund(server):
    """JiRaska/open-bank-oss#528 and #579: the status was flipped after the insert; two keys both refunded."""
    alice, bob = await server.people("alice", "bob", credit="50.00")
    a = await server.connect(alice)
    paid = await a.pay("@bob", "10.00")
    sockets = [await server.connect(bob) for _ in range(2)]
    answers = await together(*((each, make("pay.refund", "@alice", ref=paid["id"])) for each in sockets))
    assert sorted(map(code_of, answers)) == ["already_refunded", "pay.refund"]
    assert await available(server, "bob") == "50.00"
    await server.stop_and_verify()


async def test_the_same_transfer_twice_in_parallel(server):
    """Starbucks 2015 (E. Homakov): one transfer between two cards, sent in parallel by two sessions, arrived twice."""
    await server.people("alice", "bob", credit="5.00")
    sockets = [await server.connect(await server.log_in("alice")) for _ in range(2)]
    frame = make("pay.send", "@bob", amount="5.00", **EUR)
    first, second = await together(*((each, frame) for each in sockets))
    assert first == second, "one id is one payment"
    await server.admin("wallet.credit", handle="alice", amount="5.00", currency="EUR")
    answers = await together(*((each, make("pay.send", "@bob", amount="5.00", **EUR)) for each in sockets))
    assert sorted(map(code_of, answers)) == ["insufficient_funds", "pay.send"], (
        "two ids spend no more than there is"
    )
    assert (await available(server, "alice"), await available(server, "bob")) == ("0.00", "15.00")
    await server.stop_and_verify()


async def test_no_double_pay_by_a_retry_after_a_slow_answer(server):
    """BlueWallet/LndHub#3, stackernews/stacker.news#1672: the lock ran out while the payment was slow; a retry paid again.

    The answer is held up by a database that is locked; meanwhile the frame is sent again by every way there is.
    """
    alice, bob = await server.people("alice", "bob", credit="50.00")
    sockets = [await server.connect(alice) for _ in range(4)]
    frame = make("pay.send", "@bob", amount="10.00", **EUR)
    async with locked(server):
        sent = asyncio.create_task(together(*((each, frame) for each in sockets)))
        post = server.http("POST", "/v1/frames", frame, alice.token)
        posted = asyncio.create_task(post)
        await read(server, "pay.send", 5)
    answers = await sent
    over_http = await posted
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["kind"] == "pay.send"
    assert (over_http.status, over_http.json) == (200, answers[0])
    b = await server.connect(bob)
    late = await b.submit("pay.refund", "@alice", ref=frame["id"])
    assert late["body"]["state"] == "refunded"
    (again,) = await together((sockets[0], frame))
    assert again == answers[0], "long after, it is still that payment"
    assert await available(server, "bob") == "50.00"
    await server.stop_and_verify()


async def read(server, kind, frames):
    """Wait until the server has read so many frames of a kind."""

    async def has_read():
        return await server.metric(f'frames_total{{kind="{kind}"}}') >= frames

    await until(has_read, f"{frames} frames of {kind} to be read")


async def test_the_same_id_while_the_first_is_under_way_is_no_cryptic_error(server):
    """lnbits/lnbits#1571: a payment in progress answered with the database's UNIQUE error."""
    alice, _ = await server.people("alice", "bob", credit="50.00")
    a = await server.connect(alice)
    frame = make("pay.send", "@bob", amount="1.00", **EUR)
    for _ in range(20):
        await a.send(frame)
    first = await a.answer(frame["id"])
    for _ in range(19):
        assert await a.answer(frame["id"]) == first
    assert await available(server, "alice") == "49.00"


# --- more than there is ---------------------------------------------------------------------------------


async def test_a_fee_never_drives_a_wallet_below_zero(tmp_path):
    """lnbits/lnbits#277: the fee was taken after the check, and wallets went below zero."""
    fees = '[{"kind": "send", "currency": "EUR", "percent": "1", "fixed": "0.50"}]'
    async with serving(tmp_path, FEES=fees) as server:
        alice, _ = await server.people("alice", "bob", credit="100.00")
        sockets = [await server.connect(alice) for _ in range(10)]
        whole = await sockets[0].pay("@bob", "100.00")
        assert (code_of(whole), whole["body"]["state"]["available"]) == ("insufficient_funds", "100.00")
        answers = []
        for _ in range(6):
            frames = [make("pay.send", "@bob", amount="2.50", **EUR) for _ in sockets]
            answers += await together(*zip(sockets, frames, strict=True))
        assert Counter(map(code_of, answers)) == {"pay.send": 33, "insufficient_funds": 27}
        assert await available(server, "alice") == f"{100 - 33 * 3.03:.2f}"
        assert await available(server, "bob") == f"{100 + 33 * 2.50:.2f}"
        await server.stop_and_verify()


async def test_the_daily_limit_is_enforced(tmp_path):
    """lnbits/lnbits#2769: a daily limit was set, shown and not enforced."""
    async with serving(tmp_path, LIMITS='{"basic": {"EUR": {"daily": "20.00"}}}') as server:
        alice, bob = await server.people("alice", "bob", credit="100.00")
        a, b = await server.connect(alice), await server.connect(bob)
        group = (await a.submit("room.create", title="Trip", members=["@bob"]))["conv"]
        asked = await b.submit("pay.request", group, amount="7.00", **EUR, payer="@alice")
        assert code_of(await a.pay("@bob", "5.00")) == "pay.send"
        assert code_of(await a.pay(group, "7.00", payee="@bob", ref=asked["id"])) == "pay.send"
        assert code_of(await a.pay("@bob", "4.00", accept=True)) == "pay.send"
        packet = {"total": "4.01", **EUR, "count": 2, "mode": "equal"}
        assert code_of(await a.submit("pay.packet", group, **packet)) == "limit_daily"
        assert code_of(await a.submit("pay.packet", group, **packet | {"total": "4.00"})) == "pay.packet"
        over_http = make("pay.send", "@bob", amount="0.01", **EUR)
        answer = await server.http("POST", "/v1/frames", over_http, alice.token)
        assert (answer.status, answer.json["code"]) == (403, "limit_daily")
        assert answer.json["state"]["used"] == "20.00"
        await server.stop_and_verify()


async def test_the_balance_is_checked_in_the_asset_that_is_spent(tmp_path):
    """Coinbase 2022 (Tree of Alpha): a balance was checked, but not whose asset it was, so one sold what one had not.

    5,000 yen and 50.00 euros are the same number of minor units.
    """
    async with serving(tmp_path, EXCHANGE_RATES='{"EUR/JPY": "160"}') as server:
        alice = await server.person("alice", "5000", "JPY")
        await server.person("bob")
        a = await server.connect(alice)
        lacking = {"available": "0.00", "currency": "EUR"}
        for answer in (
            await a.pay("@bob", "50.00"),
            await a.pay("@bob", "50.00", accept=True),
            await a.submit("pay.packet", "@bob", total="50.00", **EUR, count=1, mode="equal"),
        ):
            assert (code_of(answer), answer["body"]["state"]) == ("insufficient_funds", lacking)
        body = {"sell": "EUR", "buy": "JPY", "amount": "50.00", "side": "sell"}
        quote = (await a.submit("ask.quote", **body))["body"]["quote"]["id"]
        assert code_of(await a.pay("@bob", "50.00", quote=quote)) == "insufficient_funds"
        assert code_of(await a.pay("@bob", "5000", quote=quote, currency="JPY")) == "bad_frame"
        assert code_of(await a.pay("@bob", "50.00", quote=quote, currency="USD")) == "bad_frame"
        assert await available(server, "alice", "JPY") == "5000"
        assert await available(server, "bob", "JPY") is None
        await server.stop_and_verify()


async def test_a_declined_payment_is_not_refunded(server):
    """Revolut 2022: payments that were declined were refunded, from the bank's own money."""
    alice, bob = await server.people("alice", "bob", credit="50.00")
    a, b = await server.connect(alice), await server.connect(bob)
    for end, code in (
        ("decline", "already_declined"),
        ("cancel", "already_cancelled"),
        ("expire", "expired"),
    ):
        lasting = {"expires_s": 1} if end == "expire" else {}
        offer = await a.pay("@bob", "10.00", accept=True, **lasting)
        if end == "decline":
            await b.submit("pay.decline", "@alice", ref=offer["id"])
        elif end == "cancel":
            await a.submit("pay.cancel", "@bob", ref=offer["id"])
        else:
            await b.expect(kind="pay.expire", ref=offer["id"])
        for amount in ({}, {"amount": "10.00"}, {"amount": "0.01"}):
            assert code_of(await b.submit("pay.refund", "@alice", ref=offer["id"], **amount)) == code
    refused = await a.pay("@bob", "50.01")
    assert code_of(await b.submit("pay.refund", "@alice", ref=new_id())) == "not_found"
    assert code_of(refused) == "insufficient_funds"
    assert (await available(server, "alice"), await available(server, "bob")) == ("50.00", "50.00")
    await server.stop_and_verify()


# --- the store and the world outside --------------------------------------------------------------------


async def test_a_conflict_that_can_be_retried_is_never_told_as_insufficient_funds(faulty):
    """interledger-deprecated/five-bells-ledger#402, lnbits/lnbits#134: a busy database was told as a want of money."""
    alice, _ = await faulty.people("alice", "bob", credit="10.00")
    a = await faulty.connect(alice)
    frame = make("pay.send", "@bob", amount="10.00", **EUR)
    async with locked(faulty):
        await a.send(frame)
        refused = await a.answer(frame["id"])
    body = refused["body"]
    assert (body["code"], body["final"]) == ("unavailable", False)
    assert body["retry_ms"] > 0
    await a.send(frame)
    assert (await a.answer(frame["id"]))["kind"] == "pay.send", "the same id pays, once"
    much = await a.pay("@bob", "0.01")
    assert (code_of(much), much["body"]["final"]) == ("insufficient_funds", True)
    await faulty.stop()
    await faulty.verify()


@pytest.mark.parametrize("source", ["pipe", "missing", "garbage", "directory", "none"])
async def test_no_lock_is_held_over_an_outside_call(tmp_path, source):
    """lnbits/lnbits#414: a lock held over a call to a slow node stalled the whole server.

    The one thing outside is the source of rates. One that would block for ever (a pipe that nobody writes to), is not
    there or is broken refuses quotes, as something to be tried again, and stops nothing else.
    """
    path = tmp_path / "rates.xml"
    if source == "pipe":
        os.mkfifo(path)
    elif source == "garbage":
        path.write_bytes(b"\x00<Cube>" * 1_000)
    elif source == "directory":
        path.mkdir()
    env = {} if source == "none" else {"TUPPENCE_EXCHANGE_RATES_FILE": str(path)}
    server = Server(tmp_path / "data", env)
    await server.start()
    try:
        alice, bob = await server.people("alice", "bob", credit="50.00")
        a, b = await server.connect(alice), await server.connect(bob)
        body = {"sell": "EUR", "buy": "JPY", "amount": "1.00", "side": "sell"}
        asks = []
        for _ in range(5):
            ask = make("ask.quote", **body)
            asks.append(ask["id"])
            await a.send(ask)
            paid = await b.pay("@alice", "1.00")
            assert paid["kind"] == "pay.send"
            await a.expect(id=paid["id"])
        for ask_id in asks:
            refused = (await a.answer(ask_id))["body"]
            expected = ("not_found", True) if source == "none" else ("rate_unavailable", False)
            assert (refused["code"], refused["final"]) == expected
        assert code_of(await a.pay("@bob", "1.00", quote=new_id())) == "not_found"
        assert await available(server, "alice") == "55.00"
        assert await server.stop() == 0
        await server.verify()
    finally:
        await server.close()


async def test_what_is_wrong_for_good_is_not_told_as_something_to_be_tried_again(server):
    """five-bells-ledger#402 the other way round: without any rate, a malformed ask is malformed all the same."""
    alice, _ = await server.people("alice", "bob")
    a = await server.connect(alice)
    for change, code in (
        ({"amount": "x"}, "amount_format"),
        ({"amount": "0"}, "amount_range"),
        ({"buy": "EUR"}, "bad_frame"),
        ({"buy": "XXX"}, "unknown_currency"),
    ):
        body = {"sell": "EUR", "buy": "JPY", "amount": "1.00", "side": "sell"} | change
        refused = (await a.submit("ask.quote", **body))["body"]
        assert (refused["code"], refused["final"]) == (code, True)


# --- splits ---------------------------------------------------------------------------------------------


async def test_a_split_sums_and_does_not_depend_on_who_looks(server):
    """Expensify/App#35549: 6.50 by three was 2.16 seen from one side and 2.17 from the other."""
    accounts = await server.people("alice", "bob", "carol", credit="50.00")
    clients = [await server.connect(each) for each in accounts]
    a, b, c = clients
    group = (await a.submit("room.create", title="Lunch", members=["@bob", "@carol"]))["conv"]
    shares = [{"user": f"@{each.handle}"} for each in accounts]
    split = await a.submit("pay.split", group, total="6.50", **EUR, shares=shares)
    assert [share["amount"] for share in split["body"]["shares"]] == ["2.17", "2.17", "2.16"]
    for client in (b, c):
        assert await client.expect(id=split["id"]) == split
    assert code_of(await c.pay(group, "2.17", payee="@alice", ref=split["id"])) == "bad_frame"
    assert (await b.pay(group, "2.17", payee="@alice", ref=split["id"]))["body"]["settles"]["state"] == "open"
    last = await c.pay(group, "2.16", payee="@alice", ref=split["id"])
    assert last["body"]["settles"]["state"] == "settled"
    assert await available(server, "alice") == "54.33"
    await server.stop_and_verify()


async def test_a_split_of_a_currency_without_decimals_sums(tmp_path):
    """Expensify/App#52310: the shares of a bill in won did not sum to it."""
    async with serving(tmp_path, CURRENCIES="KRW,KWD,CLF") as server:
        a = await server.connect((await server.people("alice", "bob", "carol"))[0])
        group = (await a.submit("room.create", title="Lunch", members=["@bob", "@carol"]))["conv"]
        shares = [{"user": f"@{who}"} for who in ("alice", "bob", "carol")]
        for currency, total, expected in (
            ("KRW", "10000", ["3334", "3333", "3333"]),
            ("KRW", "20000", ["6667", "6667", "6666"]),
            ("KRW", "3", ["1", "1", "1"]),
            ("KWD", "10", ["3.334", "3.333", "3.333"]),
            ("CLF", "1", ["0.3334", "0.3333", "0.3333"]),
        ):
            split = await a.submit("pay.split", group, total=total, currency=currency, shares=shares)
            amounts = [share["amount"] for share in split["body"]["shares"]]
            assert amounts == expected
            assert sum(parse_amount(each, currency) for each in amounts) == parse_amount(total, currency)
        for currency, total in (("KRW", "2"), ("KWD", "0.002")):
            refused = await a.submit("pay.split", group, total=total, currency=currency, shares=shares)
            assert code_of(refused) == "split_sum"


async def test_a_split_that_is_sent_again_after_being_offline_is_one_split(server):
    """Expensify/App#76078: a bill that was split offline had twice its total; #41173: shares missed other devices."""
    alice, bob = await server.people("alice", "bob", credit="50.00")
    a, b = await server.connect(alice), await server.connect(bob)
    await a.text("@bob", "Lunch?")
    await b.settle()
    cursor = {"epoch": b.ready["epoch"], "pos": b.events[-1]["pos"]}
    tablet = await server.connect(await server.log_in("bob"))
    await b.drop()
    frame = make("pay.split", "@bob", total="9.00", **EUR, shares=[{"user": "@alice"}, {"user": "@bob"}])
    await a.send(frame)
    await a.drop()
    split = await tablet.expect(id=frame["id"])
    a = await server.connect(alice)
    await a.send(frame)
    assert await a.answer(frame["id"]) == split
    b = await server.connect(bob, cursor=cursor)
    assert await b.expect(id=frame["id"]) == split
    await b.pay("@alice", "4.50", ref=frame["id"])
    assert (await available(server, "alice"), await available(server, "bob")) == ("54.50", "45.50")


# --- cards and messages ---------------------------------------------------------------------------------


async def test_a_reversal_says_what_it_reverses(server):
    """formancehq/ledger#861: a revert came without the metadata of what it reverted."""
    alice, bob = await server.people("alice", "bob", credit="50.00")
    a, b = await server.connect(alice), await server.connect(bob)
    paid = await a.pay("@bob", "10.00", note="Tickets")
    refund = await b.submit("pay.refund", "@alice", ref=paid["id"], amount="4.00")
    assert (refund["ref"], refund["conv"], refund["from"]) == (paid["id"], paid["conv"], bob.id)
    body = refund["body"]
    assert (body["payee"], body["amount"], body["currency"]) == (alice.id, "4.00", "EUR")
    assert (body["state"], body["refunded"]) == ("partly_refunded", "4.00")
    rest = await b.submit("pay.refund", "@alice", ref=paid["id"])
    assert (rest["body"]["amount"], rest["body"]["state"], rest["body"]["refunded"]) == (
        "6.00",
        "refunded",
        "10.00",
    )
    offer = await a.pay("@bob", "3.00", accept=True, expires_s=1)
    end = await b.expect(kind="pay.expire")
    assert (end["ref"], end["body"]["returned"]) == (offer["id"], {"amount": "3.00", **EUR})
    page = (await a.submit("ask.history", paid["conv"]))["body"]["events"]
    assert [event.get("ref") for event in page] == [None, paid["id"], paid["id"], None, offer["id"]]
    moved = server.rows("SELECT code, amount, pos FROM transfer WHERE code = 'pay.refund'")
    assert moved == [("pay.refund", 400, refund["pos"]), ("pay.refund", 600, rest["pos"])]


async def test_a_card_is_not_stuck_on_waiting_after_paying(server):
    """status-im/status-app#2720: the card kept waiting after the request had been paid, on this device or another."""
    alice, bob = await server.people("alice", "bob", credit="50.00")
    a, phone = await server.connect(alice), await server.connect(bob)
    await a.text("@bob", "Film?")
    asked = await a.submit("pay.request", "@bob", amount="5.00", **EUR)
    await phone.expect(id=asked["id"])
    await phone.settle()
    cursor = {"epoch": phone.ready["epoch"], "pos": asked["pos"]}
    await phone.drop()
    laptop = await server.connect(await server.log_in("bob"))
    paid = await laptop.pay("@alice", "5.00", ref=asked["id"])
    phone = await server.connect(bob, cursor=cursor)
    for client in (a, phone):
        seen = await client.expect(id=paid["id"])
        assert (seen["ref"], seen["body"]["settles"]) == (asked["id"], {"state": "paid"})
    tapped = await phone.pay("@alice", "5.00", ref=asked["id"])
    assert (code_of(tapped), tapped["body"]["state"]) == ("already_paid", {"state": "paid"})
    page = (await phone.submit("ask.history", asked["conv"]))["body"]["events"]
    assert page[-1] == paid, "and who pages sees it too"
    assert await available(server, "bob") == "45.00"


async def test_no_money_moves_without_its_message(server):
    """status-im/status-legacy#10893: the money had moved and the message was never there.

    A kill in the middle of many payments: whatever balances say is what the messages say.
    """
    alice, bob = await server.people("alice", "bob", credit="500.00")
    a, b = await server.connect(alice), await server.connect(bob)
    first = await a.pay("@bob", "1.00")
    for number in range(300):
        frame = make("pay.send", "@bob", amount=f"0.{number % 9 + 1:02}", **EUR)
        await a.send(frame if number % 3 else frame | {"body": frame["body"] | {"accept": True}})
    while len(b.events) < 40:
        await b.read()
    await server.kill()
    await server.start()
    a = await server.connect(alice)
    spent = held = after = 0
    while True:
        page = (await a.submit("ask.history", first["conv"], after=after, limit=200))["body"]
        for event in page["events"]:
            cents = parse_amount(event["body"]["amount"], "EUR")
            assert isinstance(cents, int)
            spent, held = (spent, held + cents) if event["body"].get("accept") else (spent + cents, held)
            after = event["seq"]
        if page["complete"]:
            break
    (balance,) = (await a.submit("ask.wallet"))["body"]["balances"]
    assert balance["available"] == format_amount(50_000 - spent - held, "EUR")
    assert balance["held"] == format_amount(held, "EUR")
    assert await available(server, "bob") == format_amount(50_000 + spent, "EUR")
    messages = server.rows("SELECT count(*) FROM event WHERE instr(CAST(head AS TEXT), 'pay.send')")
    assert messages == server.rows("SELECT count(*) FROM transfer WHERE code = 'pay.send'")
    await server.stop_and_verify()


NOTES = [
    "Café", unicodedata.normalize("NFD", "Café"), "𝄞 🧾 👩‍👩‍👧", "“ ” — \u2028 \u2029 \ufeff",
    '"quoted" \\ and / and \\u0041', "<script>&amp;</script>", "\u202eright to left", "tab\tnew\nline\u0007",
    "\u0130\u0131ßẞ", "\U0010ffff", " spaces  ", "1e5", "null",
]  # fmt: skip


async def test_the_hash_chain_takes_any_text(server):
    """formancehq/ledger#788: the chain was hashed from re-serialised text, and broke on what is not ASCII.

    What is hashed, stored, sent live, paged and replayed are the same bytes.
    """
    alice, bob = await server.people("alice", "bob", credit="50.00")
    a, b = await server.connect(alice), await server.connect(bob)
    for note in NOTES:
        paid = await a.pay("@bob", "0.01", note=note)
        assert paid["body"]["note"] == note
        offer = await a.pay("@bob", "0.01", note=note, accept=True)
        declined = await b.submit("pay.decline", "@alice", ref=offer["id"], reason=note)
        assert declined["body"]["reason"] == note
    raw = json.dumps(make("pay.send", "@bob", amount="0.01", **EUR, note="é€𝄞"), ensure_ascii=True)
    await a.send(raw)
    escaped = await a.answer(json.loads(raw)["id"])
    assert escaped["body"]["note"] == "é€𝄞"
    for client in (a, b):
        await client.settle()
    assert a.texts == b.texts
    again = await server.connect(bob, cursor={"epoch": b.ready["epoch"], "pos": 0})
    if again.ready["resumed"]:
        await again.settle()
        assert {key: again.texts[key] for key in b.texts} == b.texts
    for frame_id, text in b.texts.items():
        ask = {"kind": "ask.event", "id": new_id(), "body": {"id": frame_id}}
        stored = (await server.http("POST", "/v1/frames", ask, bob.token)).body.decode()
        assert text in stored
    await server.stop_and_verify()


async def test_amounts_keep_their_form_whatever_their_size(tmp_path):
    """formancehq/ledger#698: amounts of more than seven digits changed form. TigerBeetle's CDC did so at 2^53."""
    currencies = ("JPY", "EUR", "KWD", "CLF")
    async with serving(tmp_path, CURRENCIES=",".join(currencies)) as server:
        alice, bob = await server.people("alice", "bob")
        a, b = await server.connect(alice), await server.connect(bob)
        for currency in currencies:
            had = 0
            for minor in (1, 999, 9_999_999, 10_000_000, 123_456_789_012_345, 10**15):
                units = format_amount(minor, currency)
                if parse_amount(units, currency) != minor:
                    continue  # more digits before the point than an amount may have
                await server.admin("wallet.credit", handle="alice", amount=units, currency=currency)
                paid = await a.pay("@bob", units, currency=currency)
                had += minor
                balance = format_amount(had, currency)
                assert paid["body"]["amount"] == units
                assert await available(server, "bob", currency) == balance
                await b.expect(id=paid["id"])
                await b.settle()
                notices = [each["body"] for each in b.seen(kind="live.balance")]
                assert notices[-1]["available"] == balance
                wallet = (await b.submit("ask.wallet"))["body"]["balances"]
                (shown,) = [each for each in wallet if each["currency"] == currency]
                ready = (await server.connect(bob)).ready["balances"]
                assert [each for each in ready if each["currency"] == currency] == [shown]
                assert (shown["available"], shown["held"]) == (balance, format_amount(0, currency))
                lacking = await a.pay("@bob", units, currency=currency)
                assert lacking["body"]["state"]["available"] == format_amount(0, currency)
            assert EXPONENTS[currency] == len(balance.partition(".")[2])
        await server.stop_and_verify()


# --- reading it back ------------------------------------------------------------------------------------


async def busy(server, rng):
    """Three people and many payments of two currencies, in one group; their clients by id, and all events."""
    accounts = await server.people("alice", "bob", "carol", credit="100.00")
    for account in accounts:
        await server.admin("wallet.credit", handle=account.handle, amount="9000", currency="JPY")
    clients = {account.id: await server.connect(account) for account in accounts}
    witness = clients[accounts[0].id]
    group = (await witness.submit("room.create", title="Market", members=["@bob", "@carol"]))["conv"]
    events, waiting, asked = [], [], []

    async def act(who, kind, ref=None, **body):
        answer = await clients[who].submit(kind, group, ref=ref, **body)
        if answer["kind"] != "error":
            events.append(answer)
        return answer

    for _ in range(150):
        one, other = rng.sample(list(clients), 2)
        currency = rng.choice(("EUR", "JPY"))
        money = {"amount": str(rng.randrange(1, 30)), "currency": currency}
        match rng.randrange(6):
            case 0 | 1:
                await act(one, "pay.send", **money, payee=other)
            case 2:
                offer = await act(one, "pay.send", **money, payee=other, accept=True)
                waiting += [offer] if offer["kind"] != "error" else []
            case 3 if waiting:
                offer = waiting.pop(rng.randrange(len(waiting)))
                payee = offer["body"]["payee"]
                who, kind = rng.choice(
                    ((payee, "pay.accept"), (payee, "pay.decline"), (offer["from"], "pay.cancel"))
                )
                await act(who, kind, ref=offer["id"])
            case 4:
                request = await act(one, "pay.request", **money, payer=other)
                asked += [request] if request["kind"] != "error" else []
                if asked and rng.random() < 0.7:
                    request = asked.pop(rng.randrange(len(asked)))
                    body = {name: request["body"][name] for name in ("amount", "currency")}
                    await act(
                        request["body"]["payer"], "pay.send", **body, payee=request["from"], ref=request["id"]
                    )
            case 5:
                sends = [event for event in events if event["kind"] == "pay.send"]
                if sends:
                    sent = rng.choice(sends)
                    await act(sent["body"]["payee"], "pay.refund", ref=sent["id"], amount="1")
    return accounts, clients, events


def effects(events):
    """What each event moved, from the events alone: (at, id, from, to, currency, minor units)."""
    sent = {event["id"]: event for event in events if event["kind"] == "pay.send"}
    moved = []
    for event in events:
        paid = event
        if event["kind"] == "pay.accept":
            paid = sent[event["ref"]]
        elif event["kind"] not in {"pay.send", "pay.refund"} or event["body"]["state"] == "pending":
            continue
        body = paid["body"]
        units = parse_amount(body["amount"], body["currency"])
        moved.append((event["at"], event["id"], paid["from"], body["payee"], body["currency"], units))
    return moved


async def test_balances_of_any_moment_are_right(server):
    """formancehq/ledger#1077 (and #610, #1421): balances at a point in time were wrong. Against the events as model."""
    rng = seeded()
    accounts, clients, events = await busy(server, rng)
    moved = effects(events)
    moments = [event["at"] for event in events]
    for _ in range(60):
        account, currency = rng.choice(accounts), rng.choice(("EUR", "JPY"))
        start = 10_000 if currency == "EUR" else 9_000
        since, until_ = sorted(rng.choice(moments) + rng.randrange(-1, 2) for _ in range(2))
        mine = [
            (at, key, (to == account.id) * units - (payer == account.id) * units)
            for at, key, payer, to, unit, units in moved
            if unit == currency and account.id in (payer, to)
        ]
        opening = start + sum(units for at, _, units in mine if at < since)
        inside = [(key, units) for at, key, units in mine if since <= at < until_]
        if since <= moments[0]:
            continue  # the money that they were given may be in it
        body = {"currency": currency, "from": since, "to": until_, "limit": rng.choice((1, 3, 200))}
        lines, following = [], {}
        while True:
            page = (await clients[account.id].submit("ask.statement", **body, **following))["body"]
            assert page["opening"] == format_amount(opening, currency)
            assert page["closing"] == format_amount(opening + sum(units for _, units in inside), currency)
            lines += page["lines"]
            if page["next"] is None:
                break
            following = {"after": page["next"]}
        assert [(line["id"], line["amount"]) for line in lines] == [
            (key, format_amount(units, currency)) for key, units in inside
        ]
        balance = opening
        for line, (_, units) in zip(lines, inside, strict=True):
            balance += units
            assert line["balance"] == format_amount(balance, currency)


async def test_a_question_with_several_predicates_misses_nothing(server):
    """TigerBeetle, found by Jepsen (tigerbeetle#2544): writes were right, and queries by several predicates missed rows.

    The cards that are the fold of all events are the model.
    """
    rng = seeded()
    accounts, clients, events = await busy(server, rng)
    cards = {}
    for event in events:
        body, ref = event["body"], event.get("ref")
        if event["kind"] in {"pay.send", "pay.request"}:
            parties = (event["from"], body.get("payee") or body["payer"])
            cards[event["id"]] = {
                "pos": event["pos"], "state": body["state"], "currency": body["currency"], "parties": parties,
            }  # fmt: skip
            if "settles" in body:
                cards[ref]["state"] = body["settles"]["state"]
        else:
            cards[ref]["state"] = body["state"]
    states = sorted({card["state"] for card in cards.values()})
    asks = [
        (a, s, w, c)
        for a in accounts
        for s in (None, *states)
        for w in (None, *accounts)
        for c in (None, "EUR", "JPY")
    ]
    for account, state, other, currency in rng.sample(asks, min(len(asks), 120)):
        filters = {"state": state, "with": other and f"@{other.handle}", "currency": currency}
        body = {name: value for name, value in filters.items() if value} | {"limit": rng.choice((2, 7, 200))}
        wanted = [
            (key, card["state"])
            for key, card in sorted(cards.items(), key=lambda item: -item[1]["pos"])
            if account.id in card["parties"]
            and state in (None, card["state"])
            and (other is None or other.id in [each for each in card["parties"] if each != account.id])
            and currency in (None, card["currency"])
        ]
        found, following = [], {}
        while True:
            page = (await clients[account.id].submit("ask.payments", **body, **following))["body"]
            found += [
                (each["id"], each["state"]) for each in page["payments"] if each["kind"] != "pay.deposit"
            ]
            if page["next"] is None:
                break
            following = {"before": page["next"]}
        assert found == wanted, body


# --- accounts -------------------------------------------------------------------------------------------


async def test_a_freeze_does_not_open_what_is_closed(server):
    """JiRaska/open-bank-oss#541: a freeze that raced a close opened the closed account again."""
    alice, _ = await server.people("alice", "bob", credit="50.00")
    a = await server.connect(alice)

    async def order(do, **arguments):
        try:
            await server.admin(do, **arguments)
        except Refused as refused:
            return refused.body["code"]
        return "done"

    for number in range(5):
        handle = f"p{number}"
        await server.person(handle)
        told = await asyncio.gather(
            order("wallet.freeze", handle=handle),
            order("wallet.close", handle=handle),
            order("wallet.freeze", handle=handle, thaw=True),
        )
        assert told == ["done"] * 3
        assert await order("wallet.freeze", handle=handle, thaw=True) == "done"
        assert code_of(await a.pay(f"@{handle}", "1.00")) == "payee_unavailable"
        assert await order("wallet.close", handle=handle, reopen=True) == "done"
        assert code_of(await a.pay(f"@{handle}", "1.00")) == "pay.send"
    await server.stop_and_verify()
