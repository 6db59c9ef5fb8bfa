"""Bugs that others shipped in what people are told of their money, each with its source; over real
sockets."""

import json
import unicodedata

import pytest
from tests.support.races import code_of
from tests.support.server import serving
from tests.support.waiting import seeded
from tests.support.wire import make, new_id

from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.money import format_amount, parse_amount

EUR = {"currency": "EUR"}


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
    assert await server.available("alice") == "54.33"
    await server.stop_and_verify()


@pytest.mark.settings(CURRENCIES="KRW,KWD,CLF")
async def test_a_split_of_a_currency_without_decimals_sums(server):
    """Expensify/App#52310: the shares of a bill in won did not sum to it."""
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
    """Expensify/App#76078: a bill that was split offline had twice its total; #41173: shares missed other
    devices."""
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
    assert (await server.available("alice"), await server.available("bob")) == ("54.50", "45.50")


# --- cards and messages ---------------------------------------------------------------------------------


async def test_a_reversal_says_what_it_reverses(server):
    """formancehq/ledger#861: a revert came without the metadata of what it reverted."""
    a, b = await server.clients("alice", "bob", credit="50.00")
    paid = await a.pay("@bob", "10.00", note="Tickets")
    refund = await b.submit("pay.refund", "@alice", ref=paid["id"], amount="4.00")
    assert (refund["ref"], refund["conv"], refund["from"]) == (paid["id"], paid["conv"], b.account.id)
    body = refund["body"]
    assert (body["payee"], body["amount"], body["currency"]) == (a.account.id, "4.00", "EUR")
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
    """status-im/status-app#2720: the card kept waiting after the request had been paid, on this device or
    another."""
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
    assert await server.available("bob") == "45.00"


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
    assert await server.available("bob") == format_amount(50_000 + spent, "EUR")
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
    a, b = await server.clients("alice", "bob", credit="50.00")
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
    again = await server.connect(b.account, cursor={"epoch": b.ready["epoch"], "pos": 0})
    if again.ready["resumed"]:
        await again.settle()
        assert {key: again.texts[key] for key in b.texts} == b.texts
    for frame_id, text in b.texts.items():
        ask = {"kind": "ask.event", "id": new_id(), "body": {"id": frame_id}}
        stored = (await server.http("POST", "/v1/frames", ask, b.account.token)).body.decode()
        assert text in stored
    await server.stop_and_verify()


async def test_amounts_keep_their_form_whatever_their_size(tmp_path):
    """formancehq/ledger#698: amounts of more than seven digits changed form. TigerBeetle's CDC did so at
    2^53."""
    currencies = ("JPY", "EUR", "KWD", "CLF")
    async with serving(tmp_path, CURRENCIES=",".join(currencies)) as server:
        a, b = await server.clients("alice", "bob")
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
                assert await server.available("bob", currency) == balance
                await b.expect(id=paid["id"])
                await b.settle()
                notices = [each["body"] for each in b.seen(kind="live.balance")]
                assert notices[-1]["available"] == balance
                wallet = (await b.submit("ask.wallet"))["body"]["balances"]
                (shown,) = [each for each in wallet if each["currency"] == currency]
                ready = (await server.connect(b.account)).ready["balances"]
                assert [each for each in ready if each["currency"] == currency] == [shown]
                assert (shown["available"], shown["held"]) == (balance, format_amount(0, currency))
                lacking = await a.pay("@bob", units, currency=currency)
                assert lacking["body"]["state"]["available"] == format_amount(0, currency)
            assert EXPONENTS[currency] == len(balance.partition(".")[2])
        await server.stop_and_verify()


# --- reading it back ------------------------------------------------------------------------------------


def done(answer):
    """The answer in a list, unless it is a refusal."""
    return [] if answer["kind"] == "error" else [answer]


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
        events.extend(done(answer))
        return answer

    for _ in range(150):
        one, other = rng.sample(list(clients), 2)
        currency = rng.choice(("EUR", "JPY"))
        money = {"amount": str(rng.randrange(1, 30)), "currency": currency}
        match rng.randrange(6):
            case 0 | 1:
                await act(one, "pay.send", **money, payee=other)
            case 2:
                waiting += done(await act(one, "pay.send", **money, payee=other, accept=True))
            case 3 if waiting:
                offer = waiting.pop(rng.randrange(len(waiting)))
                kind = rng.choice(("pay.accept", "pay.decline", "pay.cancel"))
                who = offer["from"] if kind == "pay.cancel" else offer["body"]["payee"]
                await act(who, kind, ref=offer["id"])
            case 4:
                asked += done(await act(one, "pay.request", **money, payer=other))
                if asked and rng.random() < 0.7:
                    request = asked.pop(rng.randrange(len(asked)))
                    await act(request["body"]["payer"], "pay.send", ref=request["id"])
            case 5 if sends := [event for event in events if event["kind"] == "pay.send"]:
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
    """formancehq/ledger#1077 (and #610, #1421): balances at a point in time were wrong. Against the events as
    model."""
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
        lines = []
        async for page in clients[account.id].pages("ask.statement", by="after", **body):
            assert page["opening"] == format_amount(opening, currency)
            assert page["closing"] == format_amount(opening + sum(units for _, units in inside), currency)
            lines += page["lines"]
        assert [(line["id"], line["amount"]) for line in lines] == [
            (key, format_amount(units, currency)) for key, units in inside
        ]
        balance = opening
        for line, (_, units) in zip(lines, inside, strict=True):
            balance += units
            assert line["balance"] == format_amount(balance, currency)


def folded(events):
    """How each payment stands, and whose it is, by its id."""
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
    return cards


async def test_a_question_with_several_predicates_misses_nothing(server):
    """TigerBeetle, found by Jepsen (tigerbeetle#2544): writes were right, and queries by several predicates
    missed rows.

    The cards that are the fold of all events are the model.
    """
    rng = seeded()
    accounts, clients, events = await busy(server, rng)
    cards = folded(events)
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
        found = [
            (each["id"], each["state"])
            async for page in clients[account.id].pages("ask.payments", by="before", **body)
            for each in page["payments"]
            if each["kind"] != "pay.deposit"
        ]
        assert found == wanted, body
