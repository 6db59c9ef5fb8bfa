"""Money over real sockets: time that runs out by the sweep, crashes, and resume."""

import time

import pytest
from tests.support.waiting import until
from tests.support.wire import new_id

from tuppence_protocol.kinds import PAYMENT_BODIES
from tuppence_protocol.money import parse_amount
from tuppence_protocol.packets import is_fair

RATES = '{"EUR/JPY": "160"}'
FEES = '[{"kind": "send", "currency": "EUR", "percent": "1", "fixed": "0.10"}]'
EUR = {"currency": "EUR"}


async def passed(moment):
    """Wait until this machine's clock has passed a moment that the server named."""

    async def late():
        return time.time_ns() // 1_000_000 >= moment

    await until(late, "the time to pass")


# --- time runs out --------------------------------------------------------------------------------------


async def test_the_sweep_ends_what_is_due_and_tells_both(server):
    """An offer, a request, a split and a packet, each of a second."""
    a, b = await server.clients("alice", "bob", credit="100.00")
    last = {"expires_s": 1}
    offer = await a.pay("@bob", "10.00", accept=True, **last)
    asked = await b.submit("pay.request", "@alice", amount="3.00", **EUR, **last)
    shares = [{"user": "@alice"}, {"user": "@bob"}]
    split = await b.submit("pay.split", "@alice", total="8.00", **EUR, shares=shares, **last)
    packet = await a.submit("pay.packet", "@bob", total="5.00", **EUR, count=1, mode="lucky", **last)
    ends = {}
    for _ in range(4):
        end = await a.expect(kind="pay.expire")
        assert await b.expect(id=end["id"]) == end
        ends[end["ref"]] = end
    assert ends.keys() == {each["id"] for each in (offer, asked, split, packet)}
    for made in (offer, asked, split, packet):
        end = ends[made["id"]]
        assert (end["from"], end["conv"], end["body"]["state"]) == ("server", made["conv"], "expired")
        assert end["at"] >= made["body"]["expires_at"], "late by a little perhaps, and never early"
    assert ends[offer["id"]]["body"]["returned"] == {"amount": "10.00", **EUR}
    assert ends[packet["id"]]["body"]["returned"] == {"amount": "5.00", **EUR}
    assert "returned" not in ends[asked["id"]]["body"]
    seed = bytes.fromhex(ends[packet["id"]]["body"]["seed"])
    assert is_fair(packet["id"], 500, 1, "lucky", packet["body"]["proof"], seed)
    await a.settle()
    told = [each["body"] for each in a.seen(kind="live.balance")]
    assert (told[-1]["available"], told[-1]["held"]) == ("100.00", "0.00")
    assert told[-1]["pos"] <= max(end["pos"] for end in ends.values())
    for client, kind, conv, made in (
        (b, "pay.accept", "@alice", offer),
        (a, "pay.cancel", "@bob", offer),
        (a, "pay.decline", "@bob", asked),
        (b, "pay.remind", "@alice", split),
        (b, "pay.claim", "@alice", packet),
    ):
        refused = await client.submit(kind, conv, ref=made["id"])
        assert (refused["body"]["code"], refused["body"]["state"]) == ("expired", {"state": "expired"}), kind
    assert (await a.pay("@bob", "3.00", ref=asked["id"]))["body"]["code"] == "expired"
    assert (await server.stop_and_verify())["totals"] == {"EUR": 20_000}


async def test_nobody_can_keep_an_offer_from_expiring(server):
    """Whatever ids the payee uses meanwhile, the money goes back."""
    a, b = await server.clients("alice", "bob", credit="100.00")
    offer = await a.pay("@bob", "10.00", accept=True, expires_s=1)
    for key in (offer["id"][:-1] + ("0" if offer["id"][-1] != "0" else "1"), new_id()):
        await b.submit("chat.text", "@alice", id=key, ref=offer["id"], text="mine")
    assert (await a.expect(kind="pay.expire"))["ref"] == offer["id"]
    assert await a.wallet() == ("100.00", "0.00")


async def test_time_runs_out_while_the_server_is_down(server):
    """Killed with a deadline ahead, started after it: given back at the start, once, and told on resume."""
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a, b = await server.connect(alice), await server.connect(bob)
    short = await a.pay("@bob", "10.00", accept=True, expires_s=3)
    long = await a.pay("@bob", "20.00", accept=True, expires_s=600)
    body = {"total": "6.00", **EUR, "count": 1, "mode": "equal", "expires_s": 3}
    packet = await a.submit("pay.packet", "@bob", **body)
    await b.expect(id=packet["id"])
    assert await a.wallet() == ("64.00", "36.00")
    cursor = {"epoch": a.ready["epoch"], "pos": packet["pos"]}
    await server.kill()
    await passed(packet["body"]["expires_at"])
    await server.start()
    a, b = await server.connect(alice, cursor=cursor), await server.connect(bob, cursor=cursor)
    assert a.ready["resumed"]
    ends = [await a.expect(kind="pay.expire") for _ in range(2)]
    assert {end["ref"] for end in ends} == {short["id"], packet["id"]}
    for end in ends:
        assert await b.expect(id=end["id"]) == end
    assert await a.wallet() == ("80.00", "20.00")
    late = await b.submit("pay.accept", "@alice", ref=short["id"])
    assert (late["body"]["code"], late["body"]["state"]) == ("expired", {"state": "expired"})
    accepted = await b.submit("pay.accept", "@alice", ref=long["id"])
    assert accepted["body"]["state"] == "completed"
    await server.kill()
    await server.start()
    a = await server.connect(alice, cursor=cursor)
    await a.settle()
    assert [event["kind"] for event in a.events] == ["pay.expire", "pay.expire", "pay.accept"], "each once"
    assert await a.wallet() == ("80.00", "0.00")
    assert (await server.stop_and_verify())["totals"] == {"EUR": 20_000}


async def test_what_waits_outlives_a_crash(server):
    """Every sort is acted on after SIGKILL, from rows alone, as if nothing had happened."""
    accounts = await server.people("alice", "bob", "carol", credit="100.00")
    a, b, _ = [await server.connect(each) for each in accounts]
    group = (await a.submit("room.create", title="Trip", members=["@bob", "@carol"]))["conv"]
    offer = await a.pay(group, "5.00", payee="@bob", accept=True)
    plain = await a.pay(group, "6.00", payee="@bob")
    asked = await a.submit("pay.request", group, amount="7.00", **EUR, payer="@bob")
    shares = [{"user": "@alice"}, {"user": "@bob"}, {"user": "@carol"}]
    split = await a.submit("pay.split", group, total="10.00", **EUR, shares=shares)
    packet = await a.submit("pay.packet", group, total="9.99", **EUR, count=3, mode="lucky")
    first = await b.submit("pay.claim", group, ref=packet["id"])
    key = new_id()
    refused = await b.submit("pay.claim", group, id=key, ref=packet["id"])
    assert refused["body"]["code"] == "already_claimed"
    await server.kill()
    await server.start()
    a, b, c = [await server.connect(each) for each in accounts]
    assert await b.submit("pay.claim", group, id=key, ref=packet["id"]) == refused, "a refusal is remembered"
    assert (await b.submit("pay.accept", group, ref=offer["id"]))["body"]["state"] == "completed"
    assert (await b.submit("pay.refund", group, ref=plain["id"]))["body"]["state"] == "refunded"
    again = await a.submit("pay.request", group, amount="7.00", **EUR, payer="@bob")
    assert again["body"]["code"] == "already_requested"
    paid = await b.pay(group, "7.00", payee="@alice", ref=asked["id"])
    assert paid["body"]["settles"] == {"state": "paid"}
    assert (await b.pay(group, "3.33", payee="@alice", ref=split["id"]))["body"]["settles"]["state"] == "open"
    assert (await c.submit("pay.decline", group, ref=split["id"]))["body"]["state"] == "settled"
    claims = [first, *[await each.submit("pay.claim", group, ref=packet["id"]) for each in (c, a)]]
    units = [parse_amount(event["body"]["amount"], "EUR") for event in claims]
    assert sum(unit for unit in units if isinstance(unit, int)) == 999
    seed = bytes.fromhex(claims[-1]["body"]["seed"])
    assert is_fair(packet["id"], 999, 3, "lucky", packet["body"]["proof"], seed)
    assert (await server.stop_and_verify())["totals"] == {"EUR": 30_000}


# --- resume ---------------------------------------------------------------------------------------------


async def every_sort_of_payment(a, c, laptop, group):
    """The life of each, Alice's with Carol and Bob's laptop; an offer that is about to expire."""
    here = {"conv": group}
    offers = [await a.pay(group, "1.00", payee="@carol", accept=True, expires_s=600) for _ in range(3)]
    brief = await a.pay(group, "1.00", payee="@carol", accept=True, expires_s=1)
    await c.submit("pay.accept", **here, ref=offers[0]["id"])
    await c.submit("pay.decline", **here, ref=offers[1]["id"])
    await a.submit("pay.cancel", **here, ref=offers[2]["id"])
    await c.submit("pay.refund", **here, ref=offers[0]["id"], amount="0.40")
    asked = await a.submit("pay.request", **here, amount="2.00", **EUR, payer="@carol")
    await a.submit("pay.remind", **here, ref=asked["id"])
    await c.pay(group, "2.00", payee="@alice", ref=asked["id"])
    shares = [{"user": "@bob"}, {"user": "@carol"}]
    split = await a.submit("pay.split", **here, total="3.00", **EUR, shares=shares)
    await a.submit("pay.waive", **here, ref=split["id"], user="@carol")
    await laptop.pay(group, "1.50", payee="@alice", ref=split["id"])
    packet = await a.submit("pay.packet", **here, total="4.00", **EUR, count=2, mode="equal")
    await c.submit("pay.claim", **here, ref=packet["id"])
    return brief


@pytest.mark.settings(EXCHANGE_RATES=RATES)
async def test_resume_brings_every_kind_of_event_once_and_byte_for_byte(server):
    """Bob's device sleeps through the life of every sort of payment."""
    accounts = await server.people("alice", "bob", "carol", credit="100.00")
    a, b, c = [await server.connect(each) for each in accounts]
    group = (await a.submit("room.create", title="Trip", members=["@bob", "@carol"]))["conv"]
    await b.expect(kind="room.create")
    await b.settle()
    cursor = {"epoch": b.ready["epoch"], "pos": b.events[-1]["pos"]}
    await b.drop()
    laptop = await server.connect(await server.log_in("bob"))
    brief = await every_sort_of_payment(a, c, laptop, group)
    quote = await a.submit("ask.quote", sell="EUR", buy="JPY", amount="10.00", side="sell")
    await a.pay(group, "10.00", payee="@carol", quote=quote["body"]["quote"]["id"])
    await laptop.submit("pay.faucet", "self", amount="5.00", **EUR)
    await server.admin("wallet.credit", handle="bob", amount="1.00", currency="EUR")
    end = await laptop.expect(kind="pay.expire", ref=brief["id"])
    await laptop.settle()
    phone = await server.connect(accounts[1], cursor=cursor)
    assert phone.ready["resumed"]
    await phone.settle()
    kinds = {event["kind"] for event in phone.events}
    assert kinds == PAYMENT_BODIES.keys() - {"pay.withdraw", "pay.reverse"}
    assert [event["pos"] for event in phone.events] == sorted(event["pos"] for event in phone.events)
    assert phone.texts == laptop.texts, "what the other device saw as it came"
    assert phone.texts[end["id"]] == laptop.texts[end["id"]]
    page = (await phone.submit("ask.history", group, limit=200))["body"]["events"]
    told = {event["id"]: event for event in phone.events}
    assert [told.get(event["id"], event) for event in page] == page
    assert phone.ready["balances"] == laptop_balances(phone.ready["pos"], await laptop.wallet())
    await server.stop_and_verify()


def laptop_balances(pos, shown):
    """The balances of `ready`, from what the other device was told."""
    return [{"currency": "EUR", "available": shown[0], "held": shown[1], "pos": pos}]


@pytest.mark.settings(EXCHANGE_RATES=RATES, EXCHANGE_QUOTE_S="4")
async def test_a_quote_outlives_a_crash_and_its_time_does_not(server):
    alice, _ = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)
    body = {"sell": "EUR", "buy": "JPY", "amount": "10.00", "side": "sell"}
    used = (await a.submit("ask.quote", **body))["body"]["quote"]
    late = (await a.submit("ask.quote", **body))["body"]["quote"]
    assert used["id"] != late["id"]
    assert (await a.pay("@bob", "10.00", quote=used["id"]))["kind"] == "pay.send"
    await server.kill()
    await passed(late["expires_at"])
    await server.start()
    a = await server.connect(alice)
    assert (await a.pay("@bob", "10.00", quote=used["id"]))["body"]["code"] == "quote_used"
    assert (await a.pay("@bob", "10.00", quote=late["id"]))["body"]["code"] == "quote_expired"
    assert await a.wallet() == ("90.00", "0.00")
    await server.stop_and_verify()
