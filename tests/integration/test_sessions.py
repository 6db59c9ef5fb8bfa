"""Logins and their sockets: revoked, disabled, replaced; and what the operator can look at."""

import asyncio
import json

import pytest
from tests.support.server import ROOT
from tests.support.waiting import elapsed
from tests.support.wire import new_id


async def test_a_revoked_session_closes_its_sockets_within_a_second(server):
    (alice,) = await server.people("alice")
    phone = await server.log_in("alice")
    a, p = await server.connect(alice), await server.connect(phone)
    listed = (await server.http("GET", "/v1/sessions", token=alice.token)).json["sessions"]
    assert {(each["session"], each["current"]) for each in listed} == {
        (alice.session, True),
        (phone.session, False),
    }
    assert (await server.http("DELETE", f"/v1/sessions/{phone.session}", token=alice.token)).status == 204
    assert await elapsed(p.closed()) < 1.0
    assert p.ws.close_code == 4500
    assert (await server.http("GET", "/v1/sessions", token=phone.token)).status == 401
    late = await server.dial()
    await late.send({"kind": "hello", "body": {"token": phone.token}})
    assert (await late.closed())[0] == 4500
    assert (await a.text("self", "still here"))["seq"] == 1
    assert (await server.http("DELETE", "/v1/sessions/current", token=alice.token)).status == 204
    assert (await a.closed(within=1.0))[1]["reason"] == "bad_token"


async def test_a_disabled_user_is_out_and_cannot_be_paid(server):
    alice, bob = await server.people("alice", "bob", credit="5.00")
    a, b = await server.connect(alice), await server.connect(bob)
    dm = (await a.text("@bob", "hi"))["conv"]
    await server.admin("user.disable", handle="bob")
    code, bye = await b.closed(within=1.0)
    assert (code, bye["code"], bye["reason"]) == (4504, 4504, "account_disabled")
    assert (await a.pay(dm, "1.00"))["body"]["code"] == "payee_unavailable"
    refused = await server.http("POST", "/v1/frames", {"kind": "ask.wallet", "id": new_id()}, bob.token)
    assert refused.status in (401, 403)
    with pytest.raises(Exception, match="account_disabled"):
        await server.admin("session.open", handle="bob")
    await server.admin("user.disable", handle="bob", disabled=False)
    b = await server.connect(await server.log_in("bob"))
    assert (await a.pay(dm, "1.00"))["body"]["state"] == "completed"


async def test_the_same_device_again_replaces_the_older_connection(server):
    (alice,) = await server.people("alice")
    old, other = await server.connect(alice, device="laptop"), await server.connect(alice, device="phone")
    new = await server.connect(alice, device="laptop")
    code, bye = await old.closed()
    assert (code, bye["reason"]) == (4503, "replaced")
    event = await new.text("self", "here")
    assert (await other.answer(event["id"])) == event


async def test_health_metrics_and_schema(server):
    alice, _ = await server.people("alice", "bob", credit="1.00")
    a = await server.connect(alice)
    await a.pay("@bob", "0.50")
    await a.pay("@bob", "2.00")
    assert (await server.http("GET", "/healthz")).json["status"] == "ok"
    assert (await server.http("GET", "/readyz")).json == {"status": "ready"}
    figures = await server.metrics()
    for name, least in (
        ('frames_total{kind="pay.send"}', 2), ('refusals_total{code="insufficient_funds"}', 1),
        ("events_total", 3), ("batches_total", 1), ("deliveries_total", 1), ("connections", 1),
        ("people", 1), ("commit_seconds_count", 1),
    ):  # fmt: skip
        assert figures[f"tuppence_{name}"] >= least, name
    for name in ("inbox_frames", "outbox_bytes"):
        assert figures[f"tuppence_{name}"] == 0
    for name in ("schema.json", "asyncapi.json"):
        file = json.loads((ROOT / "protocol" / name).read_text("utf-8"))
        assert (await server.http("GET", f"/v1/{name}")).json == file
    missing, method = await server.http("GET", "/nothing"), await server.http("GET", "/v1/users")
    assert (missing.status, missing.json["code"]) == (404, "not_found")
    assert (method.status, method.headers["allow"]) == (405, "POST")
    await asyncio.gather(*(server.http("GET", "/healthz") for _ in range(20)))
