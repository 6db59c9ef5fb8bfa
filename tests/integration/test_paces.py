"""A person has one pace, however they come: over sockets that they close and open, and over HTTP."""

import asyncio
import time

import pytest
from tests.support.wire import TEXT, frame_bytes, make, new_id

from tuppence_server.edge.guests import ADMISSION, HOUSEHOLD, LOGIN, STRANGER
from tuppence_server.edge.rate_limits import ASK, DURABLE, LIMITED, LIVE, PENALTY_REFUSALS_MAX

pytestmark = pytest.mark.settings(RATE_LIMITS="on", TRUSTED_PROXIES="127.0.0.1")


class Watch:
    """How many a bucket may have given since it was full."""

    def __init__(self, rate):
        self.rate, self.started = rate, time.monotonic()

    @property
    def most(self):
        return self.rate.burst + 1 + (time.monotonic() - self.started) * self.rate.per_s


async def over_http(server, token, frame):
    return (await server.http("POST", "/v1/frames", frame, token)).status


@pytest.mark.parametrize("clean", [True, False])
async def test_a_new_connection_brings_no_new_pace(server, clean):
    (alice,) = await server.people("alice")
    watch = Watch(LIMITED.lanes[DURABLE])
    stored = 0
    for turn in range(6):
        client = await server.connect(alice)
        frames = [make("chat.text", "self", text="x") for _ in range(LIMITED.lanes[DURABLE].burst // 2)]
        for frame in frames:
            await client.send(frame)
        stored += sum([(await client.answer(frame["id"]))["kind"] == "chat.text" for frame in frames])
        if turn % 2:
            for _ in range(5):
                stored += await over_http(server, alice.token, make("chat.text", "self", text="x")) == 200
        await (client.close() if clean else client.drop())
    assert LIMITED.lanes[DURABLE].burst <= stored <= watch.most


async def test_hellos_have_a_pace(server):
    (alice,) = await server.people("alice")
    for _ in range(ADMISSION.burst):
        await (await server.connect(alice)).close()
    for _ in range(20):
        client = await server.dial()
        await client.send({"kind": "hello", "body": {"token": alice.token}})
        told = await client.read()
        if told["kind"] == "bye":
            break
        await client.close()
    assert (told["body"].get("code"), told["body"].get("reason")) == (4005, "rate_limited")
    assert told["body"]["retry_ms"] > 0


async def test_asks_over_http_and_sockets_and_other_routes_are_one_lane(server):
    (alice,) = await server.people("alice")
    client = await server.connect(alice)
    watch = Watch(LIMITED.lanes[ASK])
    answered = 0
    for _ in range(20):
        answered += (await client.submit("ask.wallet"))["kind"] == "result"
        answered += await over_http(server, alice.token, {"kind": "ask.wallet", "id": new_id()}) == 200
        answered += (await server.http("GET", "/v1/sessions", token=alice.token)).status == 200
        answered += (await server.http("GET", "/v1/statement?currency=XXX", token=alice.token)).status != 429
    assert answered <= watch.most
    statuses = {(await server.http("GET", "/v1/sessions", token=alice.token)).status for _ in range(80)}
    assert 429 in statuses


MALFORMED = {
    "not JSON": b"{",
    "an unknown kind": b'{"kind":"pay.everything"}',
    "a live frame": b'{"kind":"live.typing","conv":"self"}',
    "too long": b" " * 70_000,
}


async def test_malformed_frames_over_http_and_ends_of_logins_cost_a_durable_token_each(server):
    people = iter(await server.people("ann", "bob", "cid", "dot", "eve"))

    async def spends(request):
        watch, statuses = Watch(LIMITED.lanes[DURABLE]), []
        while 429 not in statuses:
            statuses += await asyncio.gather(*(request() for _ in range(10)))
            assert len(statuses) - statuses.count(429) <= watch.most

    for name, body in MALFORMED.items():
        token = next(people).token
        await spends(lambda token=token, body=body: over_http(server, token, body))
        assert await over_http(server, token, MALFORMED[name]) in (400, 429)
    token = next(people).token

    async def log_out():
        return (await server.http("DELETE", "/v1/sessions/s_nothing", token=token)).status

    await spends(log_out)


async def test_pings_have_a_pace(server):
    (alice,) = await server.people("alice")
    raw = await server.raw_socket(alice)
    watch = Watch(LIMITED.lanes[LIVE])
    body = b'{"kind":"ping","body":{"pos":1}}'
    flood = asyncio.create_task(raw.send(frame_bytes(TEXT, body) * 20_000))
    code, texts = await raw.ending()
    pongs = sum(text["kind"] == "pong" for text in texts)
    assert LIMITED.lanes[LIVE].burst <= pongs <= watch.most
    assert sum(text["kind"] == "error" for text in texts) <= PENALTY_REFUSALS_MAX + 1
    assert code in (4005, None)
    await flood


STRANGERS = {
    "tokens that nobody has": ("POST", "/v1/frames", b"{}", "t0ken"),
    "tokens at the sessions": ("GET", "/v1/sessions", None, "t0ken"),
    "tokens of the operator": ("POST", "/v1/admin", b"{}", "t0ken"),
    "malformed registrations": ("POST", "/v1/users", b"[", None),
    "malformed logins": ("POST", "/v1/sessions", b'{"handle":1}', None),
}


async def test_strangers_have_a_pace_and_nobody_elses_is_touched(server):
    (alice,) = await server.people("alice")
    for number, (method, path, body, token) in enumerate(STRANGERS.values()):
        watch, statuses, headers = Watch(STRANGER), [], [("x-forwarded-for", f"2001:db8::{number}:0:0:0:1")]
        while 429 not in statuses:
            answers = await asyncio.gather(
                *(server.http(method, path, body, token, headers) for _ in range(20))
            )
            statuses += [answer.status for answer in answers]
            assert len(statuses) - statuses.count(429) <= watch.most, path
        assert set(statuses) <= {400, 401, 429}
    client = await server.connect(alice)
    assert (await client.text("self", "unharmed"))["seq"] == 1


async def test_a_household_is_paced_over_all_handles_before_any_password_is_checked(server):
    watch = Watch(HOUSEHOLD)
    statuses = []
    while 429 not in statuses:
        login = {"handle": f"nobody{len(statuses)}", "password": "wrong password"}
        statuses.append((await server.http("POST", "/v1/sessions", login)).status)
        assert len(statuses) <= watch.most + 1
    assert set(statuses) <= {401, 503, 429}


async def test_tries_are_counted_for_a_household_and_an_account(server):
    async def knock(handle, address):
        login = {"handle": handle, "password": "wrong password"}
        headers = [("x-forwarded-for", address)]
        return (await server.http("POST", "/v1/sessions", login, headers=headers)).status

    tries = [await knock("alice", f"2001:db8::{number}") for number in range(LOGIN.burst + 1)]
    assert tries == [401] * LOGIN.burst + [429]
    assert await knock("alice", "2001:db8:0:1::1") == 401
    assert await knock("bob", "2001:db8::1") == 401


async def test_an_address_that_wasted_all_it_may_is_turned_away_whoever_asks(server):
    (alice,) = await server.people("alice")
    statuses = []
    while 429 not in statuses:
        statuses += await asyncio.gather(*(sessions(server, "nobody's") for _ in range(20)))
    assert set(statuses) == {401, 429}
    tries = []
    for _ in range(5):  # two in a second are let in again
        await asyncio.gather(*(sessions(server, "nobody's") for _ in range(20)))
        tries.append(await sessions(server, alice.token))
    assert 429 in tries


async def sessions(server, token):
    return (await server.http("GET", "/v1/sessions", token=token)).status
