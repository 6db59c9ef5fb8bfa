"""Two people and a server: talk and pay in one order, groups, marks, presence, questions, HTTP."""

import json

from tests.support.wire import new_id
from websockets.asyncio.client import connect

STRANGE_CONV = "c_aaaaaaaaaaaaaaaaaaaaaaaaaa"


async def test_text_and_pay_interleave_in_one_order_with_the_same_bytes_for_both(server):
    a, b = await server.clients("alice", "bob", credit="100.00")
    text = await a.text("@bob", "Lunch is on me")
    paid = await a.pay("@bob", "12.5", note="Lunch")
    thanks = await b.submit("chat.text", text["conv"], ref=paid["id"], text="Thanks!")
    assert [text["seq"], paid["seq"], thanks["seq"]] == [1, 2, 3]
    assert text["pos"] < paid["pos"] < thanks["pos"]
    assert {text["conv"], paid["conv"]} == {thanks["conv"]}
    assert text["from"] == a.account.id
    assert thanks["ref"] == paid["id"]
    body = paid["body"]
    assert body.pop("alt")
    assert body == {
        "amount": "12.50",
        "currency": "EUR",
        "note": "Lunch",
        "payee": b.account.id,
        "state": "completed",
    }
    await a.settle()
    await b.settle()
    assert a.texts == b.texts
    assert [event["seq"] for event in a.events] == [1, 2, 3] == [event["seq"] for event in b.events]
    for client, available in ((a, "87.50"), (b, "112.50")):
        (notice,) = client.seen(kind="live.balance")
        assert notice["body"] == {
            "currency": "EUR",
            "available": available,
            "held": "0.00",
            "pos": paid["pos"],
        }
        wallet = (await client.submit("ask.wallet"))["body"]["balances"]
        assert [(each["currency"], each["available"]) for each in wallet] == [("EUR", available)]
    report = await server.stop_and_verify()
    assert report["totals"] == {"EUR": 20_000}


async def test_a_client_of_ten_lines(server):
    for handle in ("ann", "ben"):
        made = await server.http("POST", "/v1/users", {"handle": handle, "password": "correct horse"})
        assert made.status == 201
    await server.admin("wallet.credit", handle="ann", amount="20.00", currency="EUR")
    login = await server.http("POST", "/v1/sessions", {"handle": "ann", "password": "correct horse"})
    assert login.status == 201

    kinds = []
    async with connect(server.ws_url) as ws:
        await ws.send(json.dumps({"kind": "hello", "body": {"token": login.json["token"]}}))
        await ws.send(json.dumps({"kind": "hello", "body": {"token": login.json["token"]}}))
        while len(kinds) < 3:
            kinds.append(json.loads(await ws.recv())["kind"])
        assert sorted(kinds) == ["error", "ready", "synced"], "one hello is enough, whenever the other comes"
        for kind, body in (
            ("chat.text", {"text": "Hi"}),
            ("pay.send", {"amount": "5.00", "currency": "EUR"}),
        ):
            await ws.send(json.dumps({"kind": kind, "id": new_id(), "conv": "@ben", "body": body}))
            kinds.append(json.loads(await ws.recv())["kind"])
    assert kinds[3:] == ["chat.text", "pay.send"]
    assert (await server.admin("wallet.show", handle="ben"))["balances"][0]["available"] == "5.00"


async def test_groups(server):
    alice, bob, carol = await server.people("alice", "bob", "carol", credit="10.00")
    a, b, c = [await server.connect(each) for each in (alice, bob, carol)]
    made = await a.submit("room.create", title="Flat 3b", members=["@bob"])
    conv = made["conv"]
    assert (made["seq"], made["body"]["members"]) == (1, [alice.id, bob.id])
    await b.expect(id=made["id"])
    assert (await b.text(conv, "hello"))["seq"] == 2
    assert (await b.submit("room.update", conv, title="Mine"))["body"]["code"] == "forbidden"
    assert (await b.submit("room.invite", conv, users=["@carol"]))["body"]["code"] == "forbidden"
    assert (await a.pay(conv, "1.00"))["body"]["code"] == "bad_frame"
    assert (await a.pay(conv, "1.00", payee="@carol"))["body"]["code"] == "not_a_member"
    assert (await a.pay(conv, "1.00", payee="@bob"))["seq"] == 3
    assert (await a.submit("room.invite", conv, users=["@bob"]))["body"]["code"] == "already_member"

    invited = await a.submit("room.invite", conv, users=[carol.id])
    assert (await c.expect(kind="room.invite"))["id"] == invited["id"]
    page = (await c.submit("ask.history", conv))["body"]
    assert ([event["seq"] for event in page["events"]], page["complete"]) == ([4], True)
    assert (await a.submit("room.role", conv, user="@carol", role="reader"))["seq"] == 5
    assert (await c.text(conv, "may I?"))["body"]["code"] == "forbidden"
    assert (await a.submit("room.update", conv, title="Flat 3c"))["seq"] == 6
    members = (await b.submit("ask.members", conv))["body"]["members"]
    assert {(each["user"]["handle"], each["role"]) for each in members} == {
        ("alice", "owner"), ("bob", "member"), ("carol", "reader"),
    }  # fmt: skip

    removed = await a.submit("room.remove", conv, user="@carol")
    assert (await a.submit("room.leave", conv))["body"]["code"] == "last_owner"
    assert (await a.submit("room.role", conv, user="@bob", role="owner"))["seq"] == 8
    left = await a.submit("room.leave", conv)
    assert (await b.text(conv, "alone now"))["seq"] == 10
    for client, last in ((c, removed), (a, left)):
        await client.settle()
        assert client.events[-1]["id"] == last["id"]
        assert (await client.text(conv, "still here?"))["body"]["code"] == "not_found"
        assert (await client.submit("ask.history", conv))["body"]["code"] == "not_found"


async def test_typing_read_and_delivered_marks(server):
    alice, bob = await server.people("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob)
    event = await a.text("@bob", "one")
    await b.expect(id=event["id"])
    conv = event["conv"]
    await b.send({"kind": "live.typing", "conv": conv})
    assert (await a.expect(kind="live.typing")) == {
        "kind": "live.typing", "conv": conv, "from": bob.id, "body": {},
    }  # fmt: skip
    await b.settle(event["pos"])
    marks = await a.expect(kind="live.receipt", from_=bob.id)
    assert (marks["conv"], marks["body"]) == (conv, {"delivered": 1, "read": 0})
    await b.send({"kind": "live.read", "conv": "@alice", "body": {"seq": 99}})
    assert (await a.expect(kind="live.receipt", from_=bob.id))["body"]["read"] == 1, "never beyond the last"
    await b.send({"kind": "live.read", "conv": conv, "body": {"seq": 0}})
    last = await b.text(conv, "two")
    await a.answer(last["id"])
    assert a.seen(kind="live.receipt", from_=bob.id) == [], "marks only move forward"
    assert b.seen(kind="live.typing") == []
    again = await server.connect(bob)
    assert [(view["seq"], view["read"]) for view in again.ready["conversations"] if view["conv"] == conv] == [
        (2, 1)
    ]


async def test_presence_is_for_those_who_share_a_conversation(server):
    alice, bob, mallory = await server.people("alice", "bob", "mallory")
    a, m = await server.connect(alice), await server.connect(mallory)
    await a.text("@bob", "hi")
    for client in (a, m):
        await client.send({"kind": "live.watch", "body": {"users": ["@bob"]}})
    assert (await a.expect(kind="live.presence"))["body"] == {
        "user": bob.id,
        "online": False,
        "last_seen": None,
    }
    b = await server.connect(bob)
    assert (await a.expect(kind="live.presence"))["body"]["online"] is True
    await b.close()
    gone = (await a.expect(kind="live.presence"))["body"]
    assert (gone["online"], gone["last_seen"] > 0) == (False, True)
    flicker = await server.connect(bob)
    assert (await a.expect(kind="live.presence"))["body"]["online"] is True
    await flicker.drop()
    await server.connect(bob)
    await a.settle()
    await m.settle()
    assert a.seen(kind="live.presence") == [], "a broken connection has a grace"
    assert m.seen(kind="live.presence") == []


async def test_questions(server):
    alice, bob = await server.people("alice", "bob", credit="3.00")
    a = await server.connect(alice)
    sent = [await a.text("@bob", f"{number}") for number in range(7)]
    conv = sent[0]["conv"]

    async def page(**body):
        answer = (await a.submit("ask.history", conv, **body))["body"]
        return [event["seq"] for event in answer["events"]], answer["complete"]

    assert await page() == ([1, 2, 3, 4, 5, 6, 7], True)
    assert await page(limit=3) == ([5, 6, 7], False)
    assert await page(before=5, limit=2) == ([3, 4], False)
    assert await page(before=3) == ([1, 2], True)
    assert await page(after=2, limit=2) == ([3, 4], False)
    assert await page(after=5) == ([6, 7], True)
    assert await page(after=2, before=6) == ([3, 4, 5], True)
    assert await page(after=7) == ([], True)
    assert (await a.submit("ask.event", id=sent[3]["id"]))["kind"] == "error", "the body needs the id"
    frame = {"kind": "ask.event", "id": new_id(), "body": {"id": sent[3]["id"]}}
    await a.send(frame)
    assert (await a.answer(frame["id"]))["body"]["event"] == sent[3]
    views = (await a.submit("ask.conversations"))["body"]
    assert [view["kind"] for view in views["conversations"]] == ["dm", "self"]
    assert views["conversations"][0]["peer"]["handle"] == "bob"
    older = (await a.submit("ask.conversations", before=views["conversations"][0]["pos"]))["body"]
    assert [view["kind"] for view in older["conversations"]] == ["self"]
    assert (await a.submit("ask.user", handle="bob"))["body"]["user"]["id"] == bob.id
    assert (await a.submit("ask.user", handle="nobody"))["body"]["code"] == "not_found"
    assert (await a.submit("ask.history", "@nobody"))["body"]["code"] == "not_found"
    assert (await a.submit("ask.history", conv, limit=201))["body"]["code"] == "bad_frame"
    assert (await a.submit("ask.history", conv, limit=0))["body"]["code"] == "bad_frame"
    assert (await a.submit("ask.search", text="x"))["body"]["code"] == "unknown_kind"


GRID = [
    ("chat.text", {"text": "x"}), ("pay.send", {"amount": "1.00", "currency": "EUR", "payee": "@alice"}),
    ("room.update", {"title": "x"}), ("room.invite", {"users": ["@mallory"]}),
    ("room.remove", {"user": "@bob"}), ("room.leave", {}),
    ("room.role", {"user": "@mallory", "role": "owner"}),
    ("ask.history", {}), ("ask.members", {}), ("live.typing", {}), ("live.read", {"seq": 1}),
]  # fmt: skip


async def test_another_ones_conversation_is_not_there_for_any_kind_of_frame(server):
    alice, _, mallory = await server.people("alice", "bob", "mallory", credit="5.00")
    a, m = await server.connect(alice), await server.connect(mallory)
    dm = await a.text("@bob", "secret")
    group = await a.submit("room.create", title="secret", members=["@bob"])
    for kind, body in GRID:
        answers = []
        for conv in (dm["conv"], group["conv"], STRANGE_CONV):
            if kind.startswith("live."):
                await m.send({"kind": kind, "conv": conv, "body": body})
                answers.append((await m.expect(kind="error"))["body"])
                continue
            answers.append((await m.submit(kind, conv, **body))["body"])
            frame = {"kind": kind, "id": new_id(), "conv": conv, "body": body}
            over_http = await server.http("POST", "/v1/frames", frame, mallory.token)
            assert (over_http.status, over_http.json) == (404, answers[-1])
        assert answers[0]["code"] == "not_found", kind
        assert answers[0] == answers[1] == answers[2], kind
    for event_id in (dm["id"], new_id()):
        await m.send(frame := {"kind": "ask.event", "id": new_id(), "body": {"id": event_id}})
        assert (await m.answer(frame["id"]))["body"]["code"] == "not_found"
    taken = await m.submit("chat.text", "@alice", id=dm["id"], text="secret")
    assert taken["body"]["code"] == "id_taken"
    foreign = await server.http("DELETE", f"/v1/sessions/{alice.session}", token=mallory.token)
    assert foreign.status == 404
    await a.settle()
    assert [event["id"] for event in a.events] == [dm["id"], group["id"]]
    assert a.seen(kind="live.typing") == []


async def test_http_gives_the_same_answers(server):
    alice, _ = await server.people("alice", "bob", credit="5.00")
    a = await server.connect(alice)

    async def post(frame):
        return await server.http("POST", "/v1/frames", frame, alice.token)

    frame = {
        "kind": "pay.send",
        "id": new_id(),
        "conv": "@bob",
        "body": {"amount": "1.25", "currency": "EUR"},
    }
    first = await post(frame)
    await a.expect(id=frame["id"])
    assert (first.status, first.body.decode()) == (200, a.texts[frame["id"]])
    assert (await post(frame)).body == first.body
    await a.send(frame)
    assert await a.answer(frame["id"]) == first.json
    refused = [
        (frame | {"body": {"amount": "2.00", "currency": "EUR"}}, 409, "id_reused"),
        (frame | {"id": new_id(), "body": {"amount": "9.00", "currency": "EUR"}}, 402, "insufficient_funds"),
        (frame | {"id": new_id(), "body": {"amount": 1, "currency": "EUR"}}, 400, "bad_frame"),
        (frame | {"id": new_id(), "conv": "@nobody"}, 404, "not_found"),
        (frame | {"id": "1"}, 400, "bad_id"),
        ({"kind": "chat.nothing"}, 400, "unknown_kind"),
    ]
    for wrong, status, code in refused:
        answer = await post(wrong)
        assert (answer.status, answer.json["code"]) == (status, code)
        await a.send(wrong)
        assert (await a.expect(kind="error"))["body"] == answer.json
    ask = {"kind": "ask.history", "id": new_id(), "conv": "@bob", "body": {}}
    await a.send(ask)
    assert (await post(ask)).json == await a.answer(ask["id"])
    assert (await post({"kind": "ping"})).json["code"] == "unknown_kind"
    assert (await server.http("POST", "/v1/frames", frame)).status == 401
    assert (await server.http("POST", "/v1/frames", frame, "wrong")).json["code"] == "bad_token"
