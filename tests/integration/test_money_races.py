"""Races for one payment over real sockets: exactly one wins, and whoever loses is told how it stands."""

import asyncio
from collections import Counter

from tests.support.races import SOCKETS, at, devices, euros, losses, minor, volley, winners
from tests.support.waiting import seeded
from tests.support.wire import make

from tuppence_protocol.packets import is_fair

# --- refunds --------------------------------------------------------------------------------------------


async def test_eight_devices_refund_one_payment(server):
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)
    sockets = await devices(server, bob)
    paid = await a.pay("@bob", "10.00")
    answers = await volley(
        *((client, make("pay.refund", "@alice", ref=paid["id"])) for client in sockets for _ in range(4))
    )
    (winner,) = winners(answers)
    assert (winner["body"]["amount"], winner["body"]["refunded"]) == ("10.00", "10.00")
    assert losses(answers) == [("already_refunded", {"state": "refunded"})] * 31
    assert [await server.purse(who) for who in ("alice", "bob")] == [("100.00", "0.00")] * 2
    await server.stop_and_verify()


async def test_eight_devices_refund_parts_of_one_payment(server):
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)
    sockets = await devices(server, bob)
    offer = await a.pay("@bob", "10.00", accept=True)
    await sockets[0].submit("pay.accept", "@alice", ref=offer["id"])
    answers = await volley(
        *((client, make("pay.refund", "@alice", ref=offer["id"], amount="3.00")) for client in sockets)
    )
    sums = sorted(each["body"]["refunded"] for each in winners(answers))
    assert sums == ["3.00", "6.00", "9.00"]
    left = {"state": "partly_refunded", "refundable": "1.00", "currency": "EUR"}
    assert losses(answers) == [("exceeds_refundable", left)] * 5
    assert [await server.purse(who) for who in ("alice", "bob")] == [("99.00", "0.00"), ("101.00", "0.00")]
    await server.stop_and_verify()


# --- offers ---------------------------------------------------------------------------------------------

AFTER = {"completed": "not_pending", "cancelled": "already_cancelled", "declined": "already_declined"}


async def test_accept_decline_and_cancel_at_once(server):
    """Ten offers, each fought over by twelve sockets of two people."""
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a, b = await devices(server, alice, 4), await devices(server, bob, 8)
    arrived = 0
    for _ in range(10):
        offer = await a[0].pay("@bob", "10.00", accept=True)
        frames = [(client, "pay.cancel", "@bob") for client in a]
        frames += [(client, "pay.accept", "@alice") for client in b[:4]]
        frames += [(client, "pay.decline", "@alice") for client in b[4:]]
        answers = await volley(
            *((client, make(kind, place, ref=offer["id"])) for client, kind, place in frames)
        )
        (winner,) = winners(answers)
        state = winner["body"]["state"]
        assert losses(answers) == [(AFTER[state], {"state": state})] * 11
        arrived += 10 if state == "completed" else 0
        assert await server.purse("alice") == (f"{100 - arrived}.00", "0.00")
        assert await server.purse("bob") == (f"{100 + arrived}.00", "0.00")
    await server.stop_and_verify()


async def test_accept_against_cancel_against_the_sweep(server):
    """Sixty offers run out at about the same time, while one accepts and one cancels each of them just
    then."""
    rng = seeded()
    a, b = await server.clients("alice", "bob", credit="100.00")
    watch = await server.connect(a.account)
    offers = [await a.pay("@bob", "1.00", accept=True, expires_s=1) for _ in range(60)]

    async def act(client, kind, place):
        times = {offer["id"]: offer["body"]["expires_at"] + rng.randrange(-100, 100) for offer in offers}
        sent = {}
        for ref in sorted(times, key=times.__getitem__):
            await at(client, times[ref])
            frame = make(kind, place, ref=ref)
            sent[ref] = frame["id"]
            await client.send(frame)
        return {ref: await client.answer(frame_id) for ref, frame_id in sent.items()}

    told = await asyncio.gather(act(a, "pay.cancel", "@bob"), act(b, "pay.accept", "@alice"))
    ends = {}
    while len(ends) < len(offers):
        event = await watch.read()
        if event["kind"] in {"pay.accept", "pay.cancel", "pay.expire"}:
            assert event["ref"] not in ends, "one end for each"
            ends[event["ref"]] = event
    codes = {"completed": "not_pending", "cancelled": "already_cancelled", "expired": "expired"}
    for offer in offers:
        end = ends[offer["id"]]
        state = end["body"]["state"]
        for answer in (answers[offer["id"]] for answers in told):
            if answer["kind"] == "error":
                assert losses([answer]) == [(codes[state], {"state": state})]
            else:
                assert answer["id"] == end["id"]
    counted = Counter(end["kind"] for end in ends.values())
    assert await server.purse("alice") == (f"{100 - counted['pay.accept']}.00", "0.00")
    assert await server.purse("bob") == (f"{100 + counted['pay.accept']}.00", "0.00")
    await server.stop_and_verify()


async def test_what_acts_on_a_payment_may_follow_it_at_once(server):
    """One socket sends a payment and what acts on it without waiting; all of it may meet in one batch."""
    alice, _ = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)
    group = (await a.submit("room.create", title="Two", members=["@bob"]))["conv"]
    offer, plain = euros("1.00", payee="@bob", accept=True), euros("1.00", payee="@bob")
    asked, shares = euros("1.00", payer="@bob"), [{"user": "@bob"}, {"user": "@alice"}]
    packet = {"total": "1.00", "currency": "EUR", "count": 1, "mode": "equal"}
    chains = [
        ("pay.send", offer, [("pay.cancel", {}, "cancelled"), ("pay.cancel", {}, "already_cancelled")]),
        ("pay.send", plain, [("pay.refund", {}, "forbidden"), ("pay.cancel", {}, "not_pending")]),
        ("pay.request", asked, [("pay.remind", {}, "open"), ("pay.cancel", {}, "cancelled")]),
        (
            "pay.split",
            {"total": "1.00", "currency": "EUR", "shares": shares},
            [("pay.waive", {"user": "@bob"}, "settled")],
        ),
        ("pay.packet", packet, [("pay.claim", {}, "emptied"), ("pay.claim", {}, "already_claimed")]),
    ]
    wanted = {}
    for _ in range(20):
        for kind, body, acts in chains:
            made = make(kind, group, **body)
            await a.send(made)
            wanted[made["id"]] = {"pay.send": (body.get("accept") and "pending") or "completed"}.get(
                kind, "open"
            )
            for acting, said, word in acts:
                frame = make(acting, group, ref=made["id"], **said)
                await a.send(frame)
                wanted[frame["id"]] = word
    for frame_id, word in wanted.items():
        body = (await a.answer(frame_id))["body"]
        assert body.get("code", body.get("state")) == word
    assert await server.purse("alice") == ("80.00", "0.00")
    await server.stop_and_verify()


async def test_a_preview_may_meet_what_it_is_about(server):
    """Bob previews what he knows is on its way: he is told of it or that it is not there, and no rule
    crashes."""
    a, b = await server.clients("alice", "bob", credit="100.00")
    await a.text("@bob", "hello")
    told = Counter()
    for _ in range(40):
        offer = make("pay.send", "@bob", **euros("1.00", accept=True))
        split = make("pay.split", "@bob", total="1.00", currency="EUR", shares=[{"user": "@bob"}])
        paid = make("pay.send", "@bob", **euros("0.01"))
        asks = [
            make("ask.preview", frame=make("pay.accept", "@alice", ref=offer["id"])),
            make("ask.preview", frame=make("pay.send", "@alice", ref=split["id"], **euros("1.00"))),
            make("ask.preview", frame=make("pay.refund", "@alice", ref=paid["id"])),
        ]
        shots = [(a, each) for each in (offer, split, paid)] + [(b, each) for each in asks]
        answers = await volley(*shots)
        for answer in answers[3:]:
            code = answer["body"]["code"] if answer["kind"] == "error" else answer["kind"]
            told[code] += 1
    assert set(told) <= {"result", "not_found"}
    assert told["result"] > 0


# --- requests and splits --------------------------------------------------------------------------------


async def test_many_devices_pay_one_request(server):
    """Each taps "pay" on its own: other ids, one payment."""
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a = await server.connect(alice)
    await a.text("@bob", "hello")
    sockets = await devices(server, bob)
    for number in range(1, 6):
        asked = await a.submit("pay.request", "@bob", amount=f"{number}.00", currency="EUR")
        frames = [make("pay.send", "@alice", ref=asked["id"], **euros(f"{number}.00")) for _ in sockets]
        answers = await volley(*zip(sockets, frames, strict=True))
        (winner,) = winners(answers)
        assert winner["body"]["settles"] == {"state": "paid"}
        assert losses(answers) == [("already_paid", {"state": "paid"})] * (SOCKETS - 1)
    assert await server.purse("bob") == ("85.00", "0.00")
    await server.stop_and_verify()


async def test_pay_against_decline_against_cancel(server):
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a, b = await devices(server, alice, 3), await devices(server, bob, 6)
    await a[0].text("@bob", "hello")
    paid = 0
    for _ in range(10):
        asked = await a[0].submit("pay.request", "@bob", amount="2.00", currency="EUR")
        answers = await volley(
            *((client, make("pay.cancel", "@bob", ref=asked["id"])) for client in a),
            *((client, make("pay.send", "@alice", ref=asked["id"], **euros("2.00"))) for client in b[:3]),
            *((client, make("pay.decline", "@alice", ref=asked["id"])) for client in b[3:]),
        )
        (winner,) = winners(answers)
        state = "paid" if winner["kind"] == "pay.send" else winner["body"]["state"]
        code = {"paid": "already_paid", "declined": "already_declined", "cancelled": "already_cancelled"}[
            state
        ]
        assert losses(answers) == [(code, {"state": state})] * 8
        paid += 2 if state == "paid" else 0
    assert await server.purse("bob") == (f"{100 - paid}.00", "0.00")
    await server.stop_and_verify()


async def test_everybody_pays_a_bill_from_all_their_devices(server):
    """Each share is paid once, and the last payment settles the split."""
    accounts = await server.people("alice", "bob", "carol", "dave", credit="100.00")
    a = await server.connect(accounts[0])
    group = (await a.submit("room.create", title="Dinner", members=["@bob", "@carol", "@dave"]))["conv"]
    shares = [{"user": f"@{account.handle}"} for account in accounts]
    split = await a.submit("pay.split", group, total="100.00", currency="EUR", shares=shares)
    sockets = [client for account in accounts[1:] for client in await devices(server, account, 4)]
    body = euros("25.00", payee="@alice")
    answers = await volley(*((each, make("pay.send", group, ref=split["id"], **body)) for each in sockets))
    paid = sorted(winners(answers), key=lambda event: event["seq"])
    assert {event["from"] for event in paid} == {account.id for account in accounts[1:]}
    assert [event["body"]["settles"]["state"] for event in paid] == ["open", "open", "settled"]
    assert losses(answers) == [("already_paid", {"state": "paid"})] * 9
    assert await server.purse("alice") == ("175.00", "0.00")
    await server.stop_and_verify()


# --- packets --------------------------------------------------------------------------------------------


async def test_forty_claim_ten_shares(server):
    """Each from two devices at once: ten people get one share each, and all together the total."""
    rng = seeded()
    alice = await server.person("alice", "100.00")
    people = [await server.person(f"p{number:02}") for number in range(40)]
    a = await server.connect(alice)
    members = [f"@{person.handle}" for person in people]
    group = (await a.submit("room.create", title="Party", members=members))["conv"]
    sockets = [await server.connect(person) for person in people for _ in range(2)]
    packet = await a.submit("pay.packet", group, total="77.77", currency="EUR", count=10, mode="lucky")
    rng.shuffle(sockets)
    answers = await volley(*((client, make("pay.claim", group, ref=packet["id"])) for client in sockets))
    claims = sorted(winners(answers), key=lambda event: event["seq"])
    assert [event["body"]["share"] for event in claims] == list(range(1, 11))
    assert [event["body"]["state"] for event in claims] == ["open"] * 9 + ["emptied"]
    assert len({event["from"] for event in claims}) == 10
    assert sum(minor(event["body"]["amount"]) for event in claims) == 7_777
    seeds = [event["body"]["seed"] for event in claims if "seed" in event["body"]]
    assert seeds == [claims[-1]["body"]["seed"]]
    assert is_fair(packet["id"], 7_777, 10, "lucky", packet["body"]["proof"], bytes.fromhex(seeds[0]))
    had = {event["body"]["share"]: event["body"]["amount"] for event in claims}
    codes = Counter(code for code, _ in losses(answers))
    assert codes["already_claimed"] + codes["packet_empty"] == 70
    assert codes["already_claimed"] == 10
    for code, state in losses(answers):
        if code == "packet_empty":
            assert state == {"state": "emptied"}
        else:
            assert (had[state["share"]], state["currency"]) == (state["amount"], "EUR")
    assert await server.purse("alice") == ("22.23", "0.00")
    await server.stop_and_verify()


async def test_the_last_share_against_the_sweep(server):
    """A packet runs out of time while it is claimed: what was claimed and what went back are the total."""
    alice = await server.person("alice", "100.00")
    people = [await server.person(f"p{number:02}") for number in range(12)]
    a = await server.connect(alice)
    group = (await a.submit("room.create", title="Party", members=[f"@{p.handle}" for p in people]))["conv"]
    body = {"total": "12.00", "currency": "EUR", "count": 12, "mode": "lucky", "expires_s": 1}
    packet = await a.submit("pay.packet", group, **body)
    clients = [await server.connect(person) for person in people]

    async def claim(client, number):
        await at(client, packet["body"]["expires_at"] + (number - 8) * 20)
        return await client.submit("pay.claim", group, ref=packet["id"])

    answers = await asyncio.gather(*(claim(client, number) for number, client in enumerate(clients)))
    claims = winners(answers)
    assert losses(answers) == [("expired", {"state": "expired"})] * (12 - len(claims))
    taken = sum(minor(event["body"]["amount"]) for event in claims)
    if len(claims) < 12:
        end = await a.expect(kind="pay.expire")
        assert minor(end["body"]["returned"]["amount"]) == 1_200 - taken
        seed = bytes.fromhex(end["body"]["seed"])
        assert is_fair(packet["id"], 1_200, 12, "lucky", packet["body"]["proof"], seed)
    available = 10_000 - taken
    assert await server.purse("alice") == (f"{available // 100}.{available % 100:02}", "0.00")
    await server.stop_and_verify()
