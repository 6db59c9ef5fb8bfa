"""Races for what one may spend: limits, quotes, freezes and an empty wallet hold from however many
sockets."""

import asyncio
from collections import Counter

import pytest
from tests.support.races import SOCKETS, devices, euros, losses, minor, volley, winners
from tests.support.server import Refused
from tests.support.waiting import until
from tests.support.wire import make

LIMITS = '{"basic": {"EUR": {"daily": "100"}}}'
RATES = '{"EUR/JPY": "160"}'


@pytest.mark.settings(LIMITS=LIMITS)
async def test_the_limit_of_a_day_from_ten_sockets(server):
    alice, _ = await server.people("alice", "bob", credit="900.00")
    sockets = await devices(server, alice, 10)
    frames = [make("pay.send", "@bob", **euros("7.00")) for _ in range(50)]
    answers = await volley(*zip(sockets * 5, frames, strict=True))
    assert len(winners(answers)) == 14
    assert [code for code, _ in losses(answers)] == ["limit_daily"] * 36
    for _, state in losses(answers):
        assert (state["limit"], state["used"], state["currency"]) == ("100.00", "98.00", "EUR")
        assert isinstance(state["resets_at"], int)
    assert (await sockets[0].pay("@bob", "2.00"))["kind"] == "pay.send"
    assert (await sockets[1].pay("@bob", "0.01"))["body"]["code"] == "limit_daily"
    assert await server.purse("alice") == ("800.00", "0.00")
    await server.stop_and_verify()


@pytest.mark.settings(LIMITS=LIMITS)
async def test_offers_that_come_to_nothing_give_the_limit_back_under_a_race(server):
    """Ten sockets offer and cancel for a while: at no moment more than the limit waits, and at the end all is
    free."""
    alice, _ = await server.people("alice", "bob", credit="900.00")
    sockets = await devices(server, alice, 10)

    async def offer_and_cancel(client):
        outcomes = []
        for _ in range(6):
            offer = await client.pay("@bob", "30.00", accept=True)
            outcomes.append(offer["kind"])
            if offer["kind"] == "error":
                assert offer["body"]["code"] == "limit_daily"
                continue
            cancelled = await client.submit("pay.cancel", "@bob", ref=offer["id"])
            assert cancelled["body"]["state"] == "cancelled"
        return outcomes

    outcomes = await asyncio.gather(*map(offer_and_cancel, sockets))
    assert any("pay.send" in each for each in outcomes)
    await sockets[0].settle()
    waiting, most = set(), 0
    for event in sorted(sockets[0].events, key=lambda event: event["pos"]):
        if event["kind"] == "pay.send":
            waiting.add(event["id"])
        elif event["kind"] == "pay.cancel":
            waiting.discard(event["ref"])
        most = max(most, len(waiting))
    assert most <= 3
    answers = [await sockets[0].pay("@bob", "50.00") for _ in range(3)]
    assert [code for code, _ in losses(answers)] == ["limit_daily"]
    assert await server.purse("alice") == ("800.00", "0.00")
    await server.stop_and_verify()


@pytest.mark.settings(EXCHANGE_RATES=RATES, EXCHANGE_SPREAD_PERCENT="0.5")
async def test_one_quote_from_eight_devices(server):
    alice, _ = await server.people("alice", "bob", credit="100.00")
    sockets = await devices(server, alice)
    asked = await sockets[0].submit("ask.quote", sell="EUR", buy="JPY", amount="10.00", side="sell")
    quote = asked["body"]["quote"]
    frames = [make("pay.send", "@bob", **euros("10.00", quote=quote["id"])) for _ in range(24)]
    answers = await volley(*zip(sockets * 3, frames, strict=True))
    (winner,) = winners(answers)
    assert winner["body"]["received"] == quote["buy"] == {"amount": "1592", "currency": "JPY"}
    assert [code for code, _ in losses(answers)] == ["quote_used"] * 23
    assert await server.purse("alice") == ("90.00", "0.00")
    assert await server.purse("bob", "JPY") == ("1592", "0")
    await server.stop_and_verify()


async def test_closing_an_account_against_money_that_comes(server):
    """Either it was closed and nothing came, or something came and it was not closed."""
    alice = await server.person("alice", "900.00")
    sockets = await devices(server, alice)
    outcomes = Counter()
    for number in range(12):
        handle = f"p{number:02}"
        await server.person(handle)

        async def close(handle=handle):
            try:
                await server.admin("wallet.close", handle=handle)
            except Refused as refused:
                return refused.body["code"]
            return "closed"

        ways = ({}, {"accept": True})
        frames = [make("pay.send", f"@{handle}", **euros("1.00", **ways[n % 2])) for n in range(SOCKETS)]
        told, answers = await asyncio.gather(close(), volley(*zip(sockets, frames, strict=True)))
        outcomes[told] += 1
        if told == "closed":
            assert winners(answers) == []
            assert losses(answers) == [("payee_unavailable", None)] * SOCKETS
        else:
            assert told == "not_empty"
            assert len(winners(answers)) == SOCKETS
    assert sum(outcomes.values()) == 12
    await server.stop_and_verify()


async def test_a_freeze_against_what_is_spent(server):
    """Whatever was paid before the freeze stays, and after it nothing leaves, holds and posts included."""
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a, b = await devices(server, alice), await server.connect(bob)
    offers = [await a[0].pay("@bob", "1.00", accept=True) for _ in range(10)]
    shots = [(client, make("pay.send", "@bob", **euros("1.00"))) for client in a for _ in range(4)]
    shots += [(b, make("pay.accept", "@alice", ref=offer["id"])) for offer in offers]
    fired = asyncio.create_task(volley(*shots))
    await server.admin("wallet.freeze", handle="alice", outgoing=True)
    frozen = await server.admin("wallet.show", handle="alice")
    answers = await fired
    for answer in answers:
        if answer["kind"] != "error":
            assert answer["pos"] <= frozen["pos"], "nothing after the freeze"
        else:
            assert answer["body"]["code"] in {"account_frozen", "payee_unavailable"}
    stands = await server.admin("wallet.show", handle="alice")
    assert stands["balances"] == frozen["balances"]
    assert (await a[0].pay("@bob", "1.00"))["body"]["code"] == "account_frozen"
    await server.stop_and_verify()


async def test_a_wallet_is_drained_once_by_payments_offers_packets_and_refunds_at_once(server):
    """Every way of spending at the same time: what was told as done is covered, to the cent."""
    alice, bob = await server.people("alice", "bob", credit="50.00")
    b = await server.connect(bob)
    got = [await b.pay("@alice", "5.00") for _ in range(4)]  # alice has 70.00
    sockets = await devices(server, alice)
    frames = []
    for number in range(15):
        frames.append(make("pay.send", "@bob", amount="3.00", currency="EUR"))
        frames.append(make("pay.send", "@bob", amount="4.00", currency="EUR", accept=True))
        frames.append(make("pay.packet", "@bob", total="2.00", currency="EUR", count=1, mode="equal"))
        if number < len(got):
            frames.append(make("pay.refund", "@bob", ref=got[number]["id"]))

    answers = await volley(*((sockets[n % SOCKETS], frame) for n, frame in enumerate(frames)))
    assert {code for code, _ in losses(answers)} <= {"insufficient_funds"}
    spent = held = 0
    for event in winners(answers):
        body = event["body"]
        if event["kind"] == "pay.packet" or body.get("accept"):
            held += minor(body.get("total") or body["amount"])
        else:
            spent += minor(body["amount"])
    left = 7_000 - spent - held
    assert 0 <= left < 500
    assert await server.purse("alice") == (f"{left / 100:.2f}", f"{held / 100:.2f}")
    await until(lambda: _shown(sockets[0], left), "the balance that the ledger has")
    await server.stop_and_verify()


async def _shown(client, left):
    await client.settle()
    notices = [each["body"] for each in client.seen(kind="live.balance")]
    return minor(max(notices, key=lambda body: body["pos"])["available"]) == left
