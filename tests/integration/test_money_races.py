"""Races for money over real sockets: exactly one wins, and whoever loses is told how it stands."""

import asyncio
from collections import Counter

from tests.support.server import Refused, serving
from tests.support.waiting import seeded, until
from tests.support.wire import make

from tuppence_protocol.money import parse_amount
from tuppence_protocol.packets import is_fair

SOCKETS = 8
LIMITS = '[limits.basic.EUR]\ndaily = "100"\n'
RATES = 'exchange_spread_percent = "0.5"\n[exchange_rates]\n"EUR/JPY" = "160"\n'


async def purse(server, handle, currency="EUR"):
    """What somebody can spend and what is held."""
    balances = (await server.admin("wallet.show", handle=handle))["balances"]
    found = (each for each in balances if each["currency"] == currency)
    return next(((each["available"], each["held"]) for each in found), ("0.00", "0.00"))


async def devices(server, account, number=SOCKETS):
    """Sockets of one person, of several logins."""
    logins = [account, *[await server.log_in(account.handle) for _ in range(3)]]
    return [await server.connect(logins[n % len(logins)], f"{account.handle}-{n}") for n in range(number)]


async def volley(*shots):
    """Send (client, frame) each, all sockets at once; the answers in the same order."""
    by_client = {}
    for client, frame in shots:
        by_client.setdefault(client, []).append(frame)

    async def fire(client, frames):
        for frame in frames:
            await client.send(frame)
        return {frame["id"]: await client.answer(frame["id"]) for frame in frames}

    found = {}
    for answers in await asyncio.gather(*(fire(client, frames) for client, frames in by_client.items())):
        found |= answers
    return [found[frame["id"]] for _, frame in shots]


def euros(amount, **body):
    """A payment in euros."""
    return {"amount": amount, "currency": "EUR"} | body


def winners(answers):
    """Those that became events."""
    return [answer for answer in answers if "seq" in answer]


def losses(answers):
    """Code and state of every refusal."""
    return [(each["body"]["code"], each["body"]["state"]) for each in answers if each["kind"] == "error"]


def minor(amount, currency="EUR"):
    units = parse_amount(amount, currency)
    assert isinstance(units, int), units
    return units


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
    assert [await purse(server, who) for who in ("alice", "bob")] == [("100.00", "0.00")] * 2
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
    assert [await purse(server, who) for who in ("alice", "bob")] == [("99.00", "0.00"), ("101.00", "0.00")]
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
        assert await purse(server, "alice") == (f"{100 - arrived}.00", "0.00")
        assert await purse(server, "bob") == (f"{100 + arrived}.00", "0.00")
    await server.stop_and_verify()


async def test_accept_against_cancel_against_the_sweep(server):
    """Sixty offers run out at about the same time, while one accepts and one cancels each of them just then."""
    rng = seeded()
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a, b = await server.connect(alice), await server.connect(bob)
    watch = await server.connect(alice)
    offers = [await a.pay("@bob", "1.00", accept=True, expires_s=1) for _ in range(60)]

    async def at(client, moment):
        """Wait for the server's clock."""
        while True:
            await client.send({"kind": "ping"})
            if (await client.expect(kind="pong"))["body"]["now"] >= moment:
                return

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
    assert await purse(server, "alice") == (f"{100 - counted['pay.accept']}.00", "0.00")
    assert await purse(server, "bob") == (f"{100 + counted['pay.accept']}.00", "0.00")
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
    assert await purse(server, "alice") == ("80.00", "0.00")
    await server.stop_and_verify()


async def test_a_preview_may_meet_what_it_is_about(server):
    """Bob previews what he knows is on its way: he is told of it or that it is not there, and no rule crashes."""
    alice, bob = await server.people("alice", "bob", credit="100.00")
    a, b = await server.connect(alice), await server.connect(bob)
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
    assert await purse(server, "bob") == ("85.00", "0.00")
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
    assert await purse(server, "bob") == (f"{100 - paid}.00", "0.00")
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
    assert await purse(server, "alice") == ("175.00", "0.00")
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
    assert await purse(server, "alice") == ("22.23", "0.00")
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
        moment = packet["body"]["expires_at"] + (number - 8) * 20
        while True:
            await client.send({"kind": "ping"})
            if (await client.expect(kind="pong"))["body"]["now"] >= moment:
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
    assert await purse(server, "alice") == (f"{available // 100}.{available % 100:02}", "0.00")
    await server.stop_and_verify()


# --- limits, quotes, accounts ---------------------------------------------------------------------------


async def test_the_limit_of_a_day_from_ten_sockets(tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "tuppence.toml").write_text(LIMITS, "utf-8")
    async with serving(tmp_path) as server:
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
        assert await purse(server, "alice") == ("800.00", "0.00")
        await server.stop_and_verify()


async def test_offers_that_come_to_nothing_give_the_limit_back_under_a_race(tmp_path):
    """Ten sockets offer and cancel for a while: at no moment more than the limit waits, and at the end all is free."""
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "tuppence.toml").write_text(LIMITS, "utf-8")
    async with serving(tmp_path) as server:
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
        assert await purse(server, "alice") == ("800.00", "0.00")
        await server.stop_and_verify()


async def test_one_quote_from_eight_devices(tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "tuppence.toml").write_text(RATES, "utf-8")
    async with serving(tmp_path) as server:
        alice, _ = await server.people("alice", "bob", credit="100.00")
        sockets = await devices(server, alice)
        asked = await sockets[0].submit("ask.quote", sell="EUR", buy="JPY", amount="10.00", side="sell")
        quote = asked["body"]["quote"]
        frames = [make("pay.send", "@bob", **euros("10.00", quote=quote["id"])) for _ in range(24)]
        answers = await volley(*zip(sockets * 3, frames, strict=True))
        (winner,) = winners(answers)
        assert winner["body"]["received"] == quote["buy"] == {"amount": "1592", "currency": "JPY"}
        assert [code for code, _ in losses(answers)] == ["quote_used"] * 23
        assert await purse(server, "alice") == ("90.00", "0.00")
        assert await purse(server, "bob", "JPY") == ("1592", "0")
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
    assert await purse(server, "alice") == (f"{left / 100:.2f}", f"{held / 100:.2f}")
    await until(lambda: _shown(sockets[0], left), "the balance that the ledger has")
    await server.stop_and_verify()


async def _shown(client, left):
    await client.settle()
    notices = [each["body"] for each in client.seen(kind="live.balance")]
    latest = max(notices, key=lambda body: body["pos"])
    return minor_or_zero(latest["available"]) == left


def minor_or_zero(amount):
    units = parse_amount(amount, "EUR")
    return units if isinstance(units, int) else 0
