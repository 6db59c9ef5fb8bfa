"""Money under races: one payment sent many times, one wallet drained by many, and P1 to P6 of the test
list."""

import asyncio
import json
from decimal import Decimal

import pytest
from tests.support.server import Refused
from tests.support.wire import make, new_id

COPIES, SOCKETS = 64, 8


async def test_one_payment_64_times_at_once_is_one_transfer(server):
    """P1: over eight sockets of one user, and over HTTP."""
    alice, _ = await server.people("alice", "bob", credit="100.00")
    sockets = [await server.connect(alice) for _ in range(SOCKETS)]
    witness = await server.connect(alice)
    frame = make("pay.send", "@bob", amount="7.50", currency="EUR")

    async def storm(client):
        for _ in range(COPIES // SOCKETS):
            await client.send(frame)

    async def post():
        return await server.http("POST", "/v1/frames", frame, alice.token)

    answers, _ = await asyncio.gather(
        asyncio.gather(*(post() for _ in range(8))), asyncio.gather(*map(storm, sockets))
    )
    answer = await witness.answer(frame["id"])
    text = witness.texts[frame["id"]]
    assert {(each.status, each.body.decode()) for each in answers} == {(200, text)}
    told = 0
    for client in sockets:
        await client.settle()
        await client.text("self", "everything before this has been answered")
        assert {client.texts[frame["id"]]} == {text}
        copies = [event for event in client.events if event["id"] == frame["id"]]
        assert all(copy == answer for copy in copies)
        assert not client.seen(kind="error")
        told += len(copies)
    # One socket's own copies, and one broadcast to each of the others.
    assert COPIES <= told <= COPIES + SOCKETS
    assert await server.available("bob") == "107.50"
    report = await server.stop_and_verify()
    assert report["transfers"] == 3
    assert server.rows("SELECT count(*) FROM receipt WHERE id = ?", frame["id"]) == [(1,)]


async def test_fifty_clients_drain_one_wallet(server):
    """P4: exactly as many succeed as the balance covers, and it is never below zero."""
    (alice,) = await server.people("alice", credit="100.00")
    await server.person("bob")
    sockets = [await server.connect(alice) for _ in range(50)]
    amount, covered = "3.30", 30
    outcomes = await asyncio.gather(*(client.pay("@bob", amount) for client in sockets))
    paid = [each for each in outcomes if each["kind"] == "pay.send"]
    refused = [each["body"]["code"] for each in outcomes if each["kind"] == "error"]
    assert (len(paid), refused) == (covered, ["insufficient_funds"] * (50 - covered))
    for client in sockets:
        await client.settle()
        shown = [Decimal(each["body"]["available"]) for each in client.seen(kind="live.balance")]
        assert shown
        assert min(shown) >= 0
        assert shown == sorted(shown, reverse=True)
    assert await server.available("alice") == "1.00"
    assert await server.available("bob") == "99.00"
    assert (await server.stop_and_verify())["totals"] == {"EUR": 10_000}


async def test_payments_in_circles_keep_the_total(server):
    """P4: everybody pays everybody at once, oneself too; nothing is lost and nobody waits for ever."""
    people = await server.people("ann", "ben", "cat", "dan", credit="10.00")
    clients = [await server.connect(person) for person in people]

    async def pay_all(client, payer):
        payees = [f"@{payee.handle}" for payee in people if payee is not payer]
        amounts = ("9.99", "5.00", "0.01", "7.77") * 3
        frames = [
            make("pay.send", payee, amount=amount, currency="EUR") for amount in amounts for payee in payees
        ]
        for frame in frames:
            await client.send(frame)
        return [await client.answer(frame["id"]) for frame in frames]

    outcomes = await asyncio.gather(*map(pay_all, clients, people))
    codes = {each["body"].get("code", "paid") for told in outcomes for each in told}
    assert codes == {"paid", "insufficient_funds"}
    for client in clients:
        assert (await client.pay("self", "1.00"))["body"]["code"] == "same_account"
    report = await server.stop_and_verify()
    assert report["totals"] == {"EUR": 4_000}


async def test_an_id_stands_for_one_content_of_one_person_for_ever(server):
    """P3, and refusals stay: other content under an id moves nothing, and nobody can use another's id."""
    alice, bob = await server.people("alice", "bob", credit="10.00")
    await server.person("carol")
    a, b = await server.connect(alice), await server.connect(bob)
    frame = make("pay.send", "@bob", amount="4.00", currency="EUR", note="rent")
    paid = await a.submit(**_parts(frame))
    assert await b.answer(frame["id"]) == paid
    for member, value in (("amount", "5.00"), ("note", "else"), ("currency", "USD"), ("payee", "@carol")):
        again = await a.submit(**_parts(frame | {"body": frame["body"] | {member: value}}))
        assert (again["kind"], again["body"]["code"]) == ("error", "id_reused"), member
        assert again["body"]["field"] == f"$.body.{member}"
    assert (await a.submit(**_parts(frame | {"conv": "@carol"})))["body"]["code"] == "id_reused"
    assert (await a.submit("chat.text", "@bob", id=frame["id"], text="x"))["body"]["field"] == "$.kind"
    assert (await b.submit("pay.send", "@alice", id=frame["id"], **frame["body"]))["body"][
        "code"
    ] == "id_taken"
    assert await a.submit(**_parts(frame)) == paid

    much = make("pay.send", "@bob", amount="6.01", currency="EUR")
    refused = await a.submit(**_parts(much))
    assert refused["body"]["code"] == "insufficient_funds"
    await server.admin("wallet.credit", handle="alice", amount="50.00", currency="EUR")
    assert await a.submit(**_parts(much)) == refused, "a refused payment stays refused"
    late = make("pay.send", "@bob", amount="1.00", currency="EUR", not_after=1)
    assert (await a.submit(**_parts(late)))["body"]["code"] == "expired"
    assert await server.available("alice") == "56.00"
    credit = {"handle": "bob", "amount": "1.00", "currency": "EUR", "id": new_id()}
    first, second = (
        await server.admin("wallet.credit", **credit),
        await server.admin("wallet.credit", **credit),
    )
    assert (first["pos"], first["repeated"], second["pos"], second["repeated"]) == (
        first["pos"],
        False,
        first["pos"],
        True,
    )
    assert (await server.stop_and_verify())["totals"] == {"EUR": 7_100}


def _parts(frame):
    return {"kind": frame["kind"], "conv": frame["conv"], "id": frame["id"], **frame["body"]}


BAD_AMOUNTS = [
    "0", "0.00", "-1", "-0", "+1", "1.", ".5", "01", "1e3", "1E3", "1,00", "1 000", " 1", "1 ", "", "0x1",
    "NaN", "Infinity", "-Infinity", "0.001", "1.000000001", "\u0661", "\uff11", "1\u0000", "1\n", "9" * 16,
    str(2**53 + 1) + "0", str(2**63), str(2**64), "1e400", "9" * 5_000, "1_000", "\u00bd",
]  # fmt: skip
BAD_RAW_AMOUNTS = [
    "1", "1.0", "-1", "1e3", "0.1", "true", "null", "[]", "{}", '["1"]', "1e400", str(2**64), "9" * 5_000,
    '"1", "amount": "2"', "NaN", "Infinity", '"\\ud800"', '"1\\u0000"',
]  # fmt: skip


async def test_only_exact_decimal_strings_are_amounts(server):
    """P5."""
    alice, _ = await server.people("alice", "bob", credit="10.00")
    client = await server.connect(alice)
    shape = {"amount_format", "amount_range", "bad_frame", "too_big", "bad_json"}
    for amount in BAD_AMOUNTS:
        answer = await client.pay("@bob", amount)
        assert (answer["kind"], answer["body"]["code"] in shape) == ("error", True), amount
    for raw in BAD_RAW_AMOUNTS:
        frame_id = new_id()
        body = f'{{"amount":{raw},"currency":"EUR"}}'
        text = f'{{"kind":"pay.send","id":"{frame_id}","conv":"@bob","body":{body}}}'
        await client.send(text)
        refused = await client.expect(kind="error")
        assert refused["body"]["code"] in shape, raw
        answer = await server.http("POST", "/v1/frames", text.encode(), alice.token)
        assert (answer.status, answer.json["code"]) == (400, refused["body"]["code"]), raw
    for currency, code in (
        ("eur", "unknown_currency"),
        ("XXX", "unknown_currency"),
        ("EURO", "too_big"),
        ("", "unknown_currency"),
    ):
        assert (await client.pay("@bob", "1.00", currency=currency))["body"]["code"] in (code, "bad_frame"), (
            currency
        )
    assert (await client.pay("@bob", "1.5", currency="JPY"))["body"]["code"] in (
        "amount_format",
        "amount_range",
    )
    assert (await client.pay("@bob", "1", currency="USD"))["body"]["code"] == "insufficient_funds", (
        "asset, not just balance"
    )
    for good, canonical in (("1", "1.00"), ("0.5", "0.50"), ("0.01", "0.01"), ("2.30", "2.30")):
        assert (await client.pay("@bob", good))["body"]["amount"] == canonical
    assert await server.available("alice") == "6.19"


async def test_a_balance_that_would_pass_its_bound_is_refused_before_the_write(server):
    """P6: 10^18 minor units are the most; each credit may bring 10^15."""
    alice, bob = await server.people("alice", "bob")
    most = "9999999999999.99"
    for _ in range(3):
        await server.admin("wallet.credit", handle="bob", amount=most, currency="EUR")
    with pytest.raises(Refused, match="amount_"):
        await server.admin("wallet.credit", handle="bob", amount="99999999999999.99", currency="EUR")

    async def credit():
        answer = await server.http(
            "POST",
            "/v1/admin",
            {
                "do": "wallet.credit",
                "arguments": {"handle": "alice", "amount": "10000000000000.00", "currency": "EUR"},
            },
            server.admin_token,
        )
        return answer.status, answer.json.get("code")

    outcomes = []
    for _ in range(50):
        outcomes += await asyncio.gather(*(credit() for _ in range(21)))
    assert outcomes.count((200, None)) == 1_000
    assert outcomes.count((409, "balance_limit")) == 50
    assert await server.available("alice") == "10000000000000000.00"
    b = await server.connect(bob)
    assert (await b.pay("@alice", "0.01"))["body"]["code"] == "balance_limit"
    a = await server.connect(alice)
    assert (await a.pay("@bob", "0.01"))["kind"] == "pay.send"
    report = await server.stop_and_verify()
    assert report["totals"] == {"EUR": 10**18 + 3 * 999_999_999_999_999}
    assert json.dumps(report)
