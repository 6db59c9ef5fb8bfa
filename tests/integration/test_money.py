"""Money over real sockets: holds and who is told of them, fees, previews, and the same by HTTP."""

import json

import pytest
from tests.support.wire import make, new_id

RATES = '{"EUR/JPY": "160"}'
FEES = '[{"kind": "send", "currency": "EUR", "percent": "1", "fixed": "0.10"}]'
EUR = {"currency": "EUR"}


async def notice(client, pos):
    """What the person was told of their euros after the commit at `pos`."""
    await client.settle()
    (body,) = [each["body"] for each in client.seen(kind="live.balance") if each["body"]["pos"] == pos]
    return body["currency"], body["available"], body["held"]


def bare(event):
    """The body of an event without its text for people, which must be there."""
    body = dict(event["body"])
    assert body.pop("alt")
    return body


async def test_an_offer_from_hold_to_refund_as_both_see_it(server):
    a, b = await server.clients("alice", "bob", credit="100.00")
    phone = await server.connect(await server.log_in("alice"))
    offer = await a.pay("@bob", "12.5", accept=True, note="Rent", expires_s=600)
    assert bare(offer) == {
        "amount": "12.50", **EUR, "payee": b.account.id, "state": "pending", "note": "Rent", "accept": True,
        "expires_at": offer["at"] + 600_000,
    }  # fmt: skip
    assert await b.expect(id=offer["id"]) == offer
    for client in (a, phone):
        assert await notice(client, offer["pos"]) == ("EUR", "87.50", "12.50")
    await b.settle()
    told = [each["body"] for each in b.seen(kind="live.balance")]
    assert {(each["available"], each["held"]) for each in told} <= {("100.00", "0.00")}, (
        "Bob has nothing of it yet"
    )
    accepted = await b.submit("pay.accept", "@alice", ref=offer["id"])
    assert bare(accepted) == {"amount": "12.50", **EUR, "payee": b.account.id, "state": "completed"}
    assert accepted["ref"] == offer["id"]
    assert await a.expect(id=accepted["id"]) == accepted
    assert await notice(a, accepted["pos"]) == ("EUR", "87.50", "0.00")
    assert await notice(b, accepted["pos"]) == ("EUR", "112.50", "0.00")
    refund = await b.submit("pay.refund", "@alice", ref=offer["id"], amount="2.50")
    assert bare(refund) == {
        "amount": "2.50", **EUR, "payee": a.account.id, "state": "partly_refunded", "refunded": "2.50",
    }  # fmt: skip
    assert await notice(phone, refund["pos"]) == ("EUR", "90.00", "0.00")
    again = await b.submit("pay.accept", "@alice", ref=offer["id"])
    assert (again["body"]["code"], again["body"]["state"]) == ("not_pending", {"state": "partly_refunded"})
    await phone.settle()
    assert [phone.texts[each["id"]] for each in (offer, accepted, refund)] == [
        b.texts[each["id"]] for each in (offer, accepted, refund)
    ], "the same bytes for everybody"
    assert await a.wallet() == ("90.00", "0.00")
    assert await b.wallet() == ("110.00", "0.00")
    assert (await server.stop_and_verify())["totals"] == {"EUR": 20_000}


async def test_in_a_group_all_see_the_cards_and_only_the_parties_their_balances(server):
    a, b, c = await server.clients("alice", "bob", "carol", credit="20.00")
    group = (await a.submit("room.create", title="Trip", members=["@bob", "@carol"]))["conv"]
    offer = await a.pay(group, "5.00", payee="@bob", accept=True)
    declined = await b.submit("pay.decline", group, ref=offer["id"], reason="Keep it")
    split = await a.submit(
        "pay.split", group, total="10.00", **EUR, shares=[{"user": "@alice"}, {"user": "@bob"}]
    )
    paid = await b.pay(group, "5.00", payee="@alice", ref=split["id"])
    packet = await a.submit("pay.packet", group, total="4.00", **EUR, count=2, mode="equal")
    claim = await b.submit("pay.claim", group, ref=packet["id"])
    await c.expect(id=claim["id"])
    assert [event["id"] for event in c.events if event["kind"].startswith("pay.")] == [
        each["id"] for each in (offer, declined, split, paid, packet, claim)
    ]
    await c.settle()
    assert c.seen(kind="live.balance") == []
    assert [await each.wallet() for each in (a, b, c)] == [
        ("21.00", "2.00"), ("17.00", "0.00"), ("20.00", "0.00"),
    ]  # fmt: skip
    for client in (a, b, c):
        await client.settle()
    ids = [each["id"] for each in (offer, declined, split, paid, packet, claim)]
    assert (
        [a.texts[each] for each in ids] == [b.texts[each] for each in ids] == [c.texts[each] for each in ids]
    )
    await server.stop_and_verify()


async def test_ready_and_notices_tell_what_is_held(server):
    alice, _ = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)
    assert a.ready["mode"] in {"sandbox", "live"}
    await a.pay("@bob", "30.00", accept=True)
    packet = await a.submit("pay.packet", "@bob", total="10.00", **EUR, count=1, mode="equal")
    assert await notice(a, packet["pos"]) == ("EUR", "60.00", "40.00")
    later = await server.connect(alice)
    (balance,) = later.ready["balances"]
    assert balance == {"currency": "EUR", "available": "60.00", "held": "40.00", "pos": packet["pos"]}
    shown = (await server.admin("wallet.show", handle="alice"))["balances"]
    assert shown == [{"currency": "EUR", "available": "60.00", "held": "40.00"}]
    refused = await a.pay("@bob", "60.01")
    assert refused["body"]["state"] == {"available": "60.00", "currency": "EUR"}


@pytest.mark.settings(FEES=FEES)
async def test_a_fee_is_held_and_shown(server):
    a, b = await server.clients("alice", "bob", credit="100.00")
    frame = make("pay.send", "@bob", amount="10.00", **EUR, accept=True)
    seen = (await a.submit("ask.preview", frame=frame))["body"]
    assert (seen["kind"], seen["spends"]) == ("pay.send", [{"amount": "10.20", **EUR}])
    assert seen["fee"] == {"amount": "0.20", **EUR}
    offer = await a.submit(frame["kind"], frame["conv"], id=frame["id"], **frame["body"])
    assert (offer["body"]["fee"], offer["body"]["fee_on"]) == ("0.20", "payer")
    assert await notice(a, offer["pos"]) == ("EUR", "89.80", "10.20")
    (balance,) = seen["balances"]
    assert (balance["available"], balance["held"]) == ("89.80", "10.20"), "as it was foretold"
    accepted = await b.submit("pay.accept", "@alice", ref=offer["id"])
    assert (accepted["body"]["fee"], accepted["body"]["fee_on"]) == ("0.20", "payer")
    assert await b.wallet() == ("110.00", "0.00")
    await server.stop_and_verify()


async def test_everything_by_http_is_everything_by_socket(server):
    """The same answers, refusals with a status of their own."""
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)

    async def post(account, kind, conv, ref=None, **body):
        frame = make(kind, conv, ref=ref, **body)
        return await server.http("POST", "/v1/frames", frame, account.token)

    offer = await post(alice, "pay.send", "@bob", amount="5.00", **EUR, accept=True)
    assert (offer.status, offer.json["body"]["state"]) == (200, "pending")
    assert await a.expect(id=offer.json["id"]) == offer.json
    ref = offer.json["id"]
    steps = [
        (alice, "pay.accept", "@bob", ref, {}, 403, "forbidden"),
        (bob, "pay.refund", "@alice", ref, {}, 409, "not_pending"),
        (bob, "pay.accept", "@alice", ref, {}, 200, "completed"),
        (bob, "pay.decline", "@alice", ref, {}, 409, "not_pending"),
        (alice, "pay.cancel", "@bob", new_id(), {}, 404, "not_found"),
        (bob, "pay.refund", "@alice", ref, {"amount": "6.00"}, 409, "exceeds_refundable"),
        (bob, "pay.refund", "@alice", ref, {}, 200, "refunded"),
        (alice, "pay.request", "@bob", None, {"amount": "7.00", **EUR}, 200, "open"),
        (alice, "pay.request", "@bob", None, {"amount": "7.00", **EUR}, 409, "already_requested"),
        (alice, "pay.packet", "@bob", None, {"total": "900", **EUR, "count": 1, "mode": "equal"}, 402,
         "insufficient_funds"),
        (alice, "pay.packet", "@bob", None, {"total": "0.01", **EUR, "count": 2, "mode": "equal"}, 400,
         "split_sum"),
    ]  # fmt: skip
    for account, kind, conv, ref_id, body, status, word in steps:
        answer = await post(account, kind, conv, ref_id, **body)
        said = answer.json["body"]["state"] if status == 200 else answer.json["code"]
        assert (answer.status, said) == (status, word), kind
    await server.stop_and_verify()


@pytest.mark.settings(EXCHANGE_RATES=RATES)
async def test_asking_and_previewing_keep_nothing(server):
    alice, _ = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)
    await a.text("@bob", "hello")
    frames = [
        make("pay.send", "@bob", amount="5.00", **EUR),
        make("pay.send", "@bob", amount="5.00", **EUR, accept=True),
        make("pay.request", "@bob", amount="5.00", **EUR),
        make("pay.split", "@bob", total="5.00", **EUR, shares=[{"user": "@bob"}]),
        make("pay.packet", "@bob", total="5.00", **EUR, count=1, mode="equal"),
    ]
    for frame in frames:
        seen = (await a.submit("ask.preview", frame=frame))["body"]
        assert seen["kind"] == frame["kind"]
        assert seen["body"]["alt"]
    for frame in (frames[0] | {"body": {"amount": "500.00", **EUR}}, frames[0] | {"conv": "@nobody"}):
        foretold = await a.submit("ask.preview", frame=frame)
        assert foretold["kind"] == "error"
        done = await a.submit(frame["kind"], frame["conv"], id=new_id(), **frame["body"])
        assert done["body"] == foretold["body"], "the very refusal"
    assert await a.wallet() == ("100.00", "0.00")
    assert [event["kind"] for event in a.events] == ["chat.text"]
    for frame in frames:
        event = await a.submit(frame["kind"], frame["conv"], id=frame["id"], **frame["body"])
        assert event["kind"] == frame["kind"], "a previewed id is not used up"
    assert json.dumps(await server.stop_and_verify())
