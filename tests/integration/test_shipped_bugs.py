"""Bugs that others shipped, each with its source; here they are tests over real sockets.

The rules behind them have tests of their own in tests/unit/test_rules_*.py; statements in those of the read
side.
"""

import asyncio
import os
import sqlite3
from collections import Counter
from contextlib import asynccontextmanager, closing

import pytest
from tests.support.races import code_of, volley
from tests.support.server import Refused, Server, serving
from tests.support.waiting import until
from tests.support.wire import make, new_id

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


# --- twice ----------------------------------------------------------------------------------------------


async def test_concurrent_double_refund(server):
    """JiRaska/open-bank-oss#528 and #579: the status was flipped after the insert; two keys both refunded."""
    alice, bob = await server.people("alice", "bob", credit="50.00")
    a = await server.connect(alice)
    paid = await a.pay("@bob", "10.00")
    sockets = [await server.connect(bob) for _ in range(2)]
    answers = await volley(*((each, make("pay.refund", "@alice", ref=paid["id"])) for each in sockets))
    assert sorted(map(code_of, answers)) == ["already_refunded", "pay.refund"]
    assert await server.available("bob") == "50.00"
    await server.stop_and_verify()


async def test_the_same_transfer_twice_in_parallel(server):
    """Starbucks 2015 (E. Homakov): one transfer between two cards, sent in parallel by two sessions, arrived
    twice."""
    await server.people("alice", "bob", credit="5.00")
    sockets = [await server.connect(await server.log_in("alice")) for _ in range(2)]
    frame = make("pay.send", "@bob", amount="5.00", **EUR)
    first, second = await volley(*((each, frame) for each in sockets))
    assert first == second, "one id is one payment"
    await server.admin("wallet.credit", handle="alice", amount="5.00", currency="EUR")
    answers = await volley(*((each, make("pay.send", "@bob", amount="5.00", **EUR)) for each in sockets))
    assert sorted(map(code_of, answers)) == ["insufficient_funds", "pay.send"], (
        "two ids spend no more than there is"
    )
    assert (await server.available("alice"), await server.available("bob")) == ("0.00", "15.00")
    await server.stop_and_verify()


async def test_no_double_pay_by_a_retry_after_a_slow_answer(server):
    """BlueWallet/LndHub#3, stackernews/stacker.news#1672: the lock ran out while the payment was slow; a
    retry paid again.

    The answer is held up by a database that is locked; meanwhile the frame is sent again by every way there
    is.
    """
    alice, bob = await server.people("alice", "bob", credit="50.00")
    sockets = [await server.connect(alice) for _ in range(4)]
    frame = make("pay.send", "@bob", amount="10.00", **EUR)
    async with locked(server):
        sent = asyncio.create_task(volley(*((each, frame) for each in sockets)))
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
    (again,) = await volley((sockets[0], frame))
    assert again == answers[0], "long after, it is still that payment"
    assert await server.available("bob") == "50.00"
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
    assert await server.available("alice") == "49.00"


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
            answers += await volley(*zip(sockets, frames, strict=True))
        assert Counter(map(code_of, answers)) == {"pay.send": 33, "insufficient_funds": 27}
        assert await server.available("alice") == f"{100 - 33 * 3.03:.2f}"
        assert await server.available("bob") == f"{100 + 33 * 2.50:.2f}"
        await server.stop_and_verify()


async def test_the_daily_limit_is_enforced(tmp_path):
    """lnbits/lnbits#2769: a daily limit was set, shown and not enforced."""
    async with serving(tmp_path, LIMITS='{"basic": {"EUR": {"daily": "20.00"}}}') as server:
        a, b = await server.clients("alice", "bob", credit="100.00")
        group = (await a.submit("room.create", title="Trip", members=["@bob"]))["conv"]
        asked = await b.submit("pay.request", group, amount="7.00", **EUR, payer="@alice")
        assert code_of(await a.pay("@bob", "5.00")) == "pay.send"
        assert code_of(await a.pay(group, "7.00", payee="@bob", ref=asked["id"])) == "pay.send"
        assert code_of(await a.pay("@bob", "4.00", accept=True)) == "pay.send"
        packet = {"total": "4.01", **EUR, "count": 2, "mode": "equal"}
        assert code_of(await a.submit("pay.packet", group, **packet)) == "limit_daily"
        assert code_of(await a.submit("pay.packet", group, **packet | {"total": "4.00"})) == "pay.packet"
        over_http = make("pay.send", "@bob", amount="0.01", **EUR)
        answer = await server.http("POST", "/v1/frames", over_http, a.account.token)
        assert (answer.status, answer.json["code"]) == (403, "limit_daily")
        assert answer.json["state"]["used"] == "20.00"
        await server.stop_and_verify()


async def test_the_balance_is_checked_in_the_asset_that_is_spent(tmp_path):
    """Coinbase 2022 (Tree of Alpha): a balance was checked, but not whose asset it was, so one sold what one
    had not.

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
        assert await server.available("alice", "JPY") == "5000"
        assert await server.available("bob", "JPY") is None
        await server.stop_and_verify()


async def test_a_declined_payment_is_not_refunded(server):
    """Revolut 2022: payments that were declined were refunded, from the bank's own money."""
    a, b = await server.clients("alice", "bob", credit="50.00")
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
    assert (await server.available("alice"), await server.available("bob")) == ("50.00", "50.00")
    await server.stop_and_verify()


# --- the store and the world outside --------------------------------------------------------------------


async def test_a_conflict_that_can_be_retried_is_never_told_as_insufficient_funds(faulty):
    """interledger-deprecated/five-bells-ledger#402, lnbits/lnbits#134: a busy database was told as a want of
    money."""
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

    The one thing outside is the source of rates. One that would block for ever (a pipe that nobody writes
    to), is not there or is broken refuses quotes, as something to be tried again, and stops nothing else.
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
        a, b = await server.clients("alice", "bob", credit="50.00")
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
        assert await server.available("alice") == "55.00"
        assert await server.stop() == 0
        await server.verify()
    finally:
        await server.close()


async def test_what_is_wrong_for_good_is_not_told_as_something_to_be_tried_again(server):
    """five-bells-ledger#402 the other way round: without any rate, a malformed ask is malformed all the
    same."""
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
