"""Handshakes, HTTP and JSON that break the rules, and the pace limits: refused, and nobody else is harmed."""

import asyncio
import json
import time

import pytest
from tests.support.server import ROOT, serving
from tests.support.waiting import elapsed, until
from tests.support.wire import BINARY, TEXT, make, new_id, parse_answer
from websockets.exceptions import InvalidStatus

from tuppence_protocol.limits import FRAME_BYTES_MAX

pytestmark = pytest.mark.settings(ORIGINS="https://chat.example", PROGRAM_ORIGINS="http://localhost/")


async def shake(server, *lines, **options):
    """The status of a handshake with these headers."""
    raw = await server.raw()
    try:
        return (await raw.handshake(*lines, **options)).split("\r\n")
    except asyncio.IncompleteReadError as end:
        return [end.partial.decode("latin-1") or "closed"]
    finally:
        await raw.drop()


async def test_only_listed_origins_and_no_origin_may_open_a_socket(server):
    own = f"http://127.0.0.1:{server.port}"
    for origin in (
        "https://evil.example", "null", "https://chat.example.evil.example", "https://evil-chat.example",
        "https://chat.example:8443", "http://chat.example", "https://chat.example/", "https://CHAT.example",
        "https://chat.example@evil.example", "https://\u0441hat.example", "file://", "", f"{own}0",
        own.replace("http", "https"),
    ):  # fmt: skip
        assert (await shake(server, f"Origin: {origin}"))[0].split()[1] == "403", origin
    two = await shake(server, "Origin: https://chat.example", "Origin: https://evil.example")
    assert two[0].split()[1] in ("400", "403")
    for lines in (
        [],
        ["Origin: https://chat.example"],
        [f"Origin: {own}"],
        [f"Origin: http://localhost:{server.port}"],
        ["Origin: http://localhost/"],
    ):
        assert (await shake(server, *lines))[0].split()[1] == "101", lines


async def test_odd_handshakes_and_hosts(server):
    (client,) = await server.clients("alice")
    offered = await shake(server, "Sec-WebSocket-Protocol: chat, tuppence.v1")
    assert "sec-websocket-protocol: tuppence.v1" in [line.lower() for line in offered]
    for lines in (
        ["Sec-WebSocket-Protocol: tüppence"], ["Sec-WebSocket-Protocol: \u0000"], ["Cookie: \xff\xfe"],
        ["X-Ünï: ß"],
        ["Sec-WebSocket-Protocol: ,,,"],
        ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"],
        ["Sec-WebSocket-Extensions: ;;"], ["Sec-WebSocket-Version: 8"], ["Authorization: Bearer ß"],
        ["A" * 20_000 + ": b"],
        *([f"X-{number}: {'y' * 1000}" for number in range(count)] for count in (20, 2_000)),
    ):  # fmt: skip
        status = (await shake(server, *lines))[0]
        assert status == "closed" or status.split()[1] in ("101", "400", "426", "431"), lines[0][:40]
        assert "permessage" not in status
    for host in (
        "evil.example", "evil.example/v1/admin?x=", "[::1", "a b", "127.0.0.1:99999", "", "ü", "x" * 300,
    ):  # fmt: skip
        assert (await shake(server, host=host))[0].split()[1] in ("101", "400"), host
        raw = await server.raw()
        await raw.send(f"GET /v1/schema.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = parse_answer(await raw.rest())
        assert answer.status in (200, 400), host
        if answer.status == 200:
            assert answer.json["$defs"]
    for path in ("/v1/ws/", "/v1/wsx", "/", "/v1/%77s", "//v1/ws", "/v1/ws/../../healthz"):
        status = (await shake(server, path=path))[0].split()[1]
        assert status in ("404", "101" if path == "/v1/%77s" else "404"), path
    query = await shake(server, path="/v1/ws?token=" + client.account.token)
    assert query[0].split()[1] == "101"
    assert client.account.token not in server.log.read_text()
    assert (await client.text("self", "unharmed"))["seq"] == 1


SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
AMBIGUOUS = [
    ["Content-Length: 4", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 4"], ["Content-Length: 4", "Content-Length: 40"],
    ["Content-Length: 4, 40"], ["Content-Length: +4"], ["Content-Length: -1"], ["Content-Length: 0x4"],
    ["Content-Length: 99999999999999999999"], ["Transfer-Encoding: xchunked", "Content-Length: 4"],
    ["Transfer-Encoding: chunked, identity", "Content-Length: 4"],
    ["Transfer-Encoding : chunked", "Content-Length: 4"],
    ["Transfer-Encoding:\x0bchunked", "Content-Length: 4"], ["X: y\rContent-Length: 4"],
    [" Content-Length: 4"], ["Content-Length\x00: 4"],
]  # fmt: skip


async def test_requests_of_two_minds_are_one_request_at_most(server):
    for headers in AMBIGUOUS:
        raw = await server.raw()
        head = "\r\n".join(["POST /v1/users HTTP/1.1", "Host: x", *headers, "", ""])
        await raw.send(head.encode("latin-1") + b"0\r\n\r\n" + SMUGGLED)
        raw.writer.write_eof()
        answer = await raw.rest()
        assert b'"status":"ok"' not in answer, headers
        assert answer.count(b"HTTP/1.1 ") <= 1, headers
        await raw.drop()
    assert (await server.http("GET", "/healthz")).status == 200


async def test_bodies_are_bounded_and_strict(server):
    (alice,) = await server.people("alice")
    for path, token in (
        ("/v1/frames", alice.token),
        ("/v1/users", None),
        ("/v1/sessions", None),
        ("/v1/admin", server.admin_token),
    ):
        answer = await server.http("POST", path, b" " * (FRAME_BYTES_MAX + 1), token)
        assert (answer.status, answer.json["code"]) == (400, "too_big"), path
        for body in (
            b"",
            b"null",
            b"[]",
            b"{",
            b"\xff",
            b"[" * 60_000,
            b'{"handle":1}',
            b'{"x":1}',
            b"\xef\xbb\xbf{}",
        ):
            answer = await server.http("POST", path, body, token)
            assert answer.status == 400, (path, body[:20])
            assert answer.json["code"] in ("bad_json", "bad_frame"), (path, body[:20])
    endless = await server.raw()
    await endless.send(
        b"POST /v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(
        FRAME_BYTES_MAX // 0x4000 + 1
    ):  # what is sent after the answer would keep it from being read
        await endless.send(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
    assert b'"too_big"' in await endless.rest()
    for handle in ("a", "A" * 5, "ab\u0000", "bób", "x" * 33, "", "../etc", "admin"):
        answer = await server.http("POST", "/v1/users", {"handle": handle, "password": "long enough"})
        assert answer.status in (400, 409), handle
    taken = await server.http("POST", "/v1/users", {"handle": "a1ice", "password": "long enough"})
    assert (taken.status, taken.json["code"]) == (409, "handle_taken")


async def _invalid_vectors(client):
    for line in (ROOT / "protocol/vectors/invalid.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        raw = row.get("raw") or "".join(text * times for text, times in row.get("repeat", []))
        if raw and len(raw.encode("utf-8", "surrogatepass")) <= FRAME_BYTES_MAX:
            await client.send(raw.encode("utf-8", "surrogatepass"))
            body = (await client.expect(kind="error"))["body"]
            assert (body["code"], body["field"]) == (row["code"], row["field"]), row["name"]


async def test_json_that_breaks_the_rules(server):
    """J1 to J8, the last from the invalid vectors: each over the socket, and nothing is stored."""
    (client,) = await server.clients("alice")
    deep = '{"kind":"chat.text","id":"%s","conv":"self","body":%s"x"%s}'
    said = f'{{"kind":"chat.text","id":"{new_id()}","conv":"self","body":{{%s}}}}'
    hashes = ",".join(f'"{"k" * 20}{number}":1' for number in range(2_000))
    texts = {
        "depth in an array": "[" * 65_000,
        "depth in objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
        "depth in a body": deep % (new_id(), '{"text":' * 5_000, "}" * 5_000),
        "a kind twice": '{"kind":"ping","kind":"ping"}',
        "a text twice": said % '"text":"a","text":"b"',
        "an escaped twin": said % '"text":"a","te\\u0078t":"b"',
        "thousands of members": "{" + hashes + "}",
        "a mark before": "\ufeff" + json.dumps({"kind": "ping"}),
        "something after": json.dumps({"kind": "ping"}) + "x",
        "two documents": json.dumps({"kind": "ping"}) * 2,
        "an unknown kind": json.dumps({"kind": "pay.everything"}),
        "a lone surrogate": said % '"text":"\\ud800"',
        "a zero": said % '"text":"a\\u0000b"',
    }
    for name, text in texts.items():
        await client.send(text)
        body = (await client.expect(kind="error"))["body"]
        assert body["code"] in ("bad_json", "bad_frame", "unknown_kind"), name
        assert body["final"], name
        assert len(body["message"]) < 500, name
    await _invalid_vectors(client)
    version = await server.dial()
    await version.send({"kind": "hello", "body": {"token": client.account.token, "version": 2}})
    assert (await version.closed())[0] == 4502
    hidden = await server.raw_socket(client.account)
    await hidden.frame(TEXT, b'{"kind":"ping","x\xff":1}')
    assert (await hidden.ending())[0] == 1007
    binary = await server.raw_socket(client.account)
    await binary.frame(BINARY, json.dumps(make("chat.text", "self", text="x")).encode())
    assert (await binary.ending())[0] == 1003
    assert (await client.text("self", "first and only"))["seq"] == 1


@pytest.mark.settings(RATE_LIMITS="on")
async def test_pace_is_announced_shared_and_enforced(server):
    (alice, bob) = await server.people("alice", "bob")
    one, two = await server.connect(alice), await server.connect(alice)
    pace = one.ready["limits"]["durable"]
    assert pace == {"per_s": 10.0, "burst": 30}
    started = time.monotonic()
    frames = [make("chat.text", "self", text=f"{number}") for number in range(45)]
    for number, frame in enumerate(frames):
        await (one, two)[number % 2].send(frame)
    answers = [await (one, two)[number % 2].answer(frame["id"]) for number, frame in enumerate(frames)]
    refused = [answer["body"] for answer in answers if answer["kind"] == "error"]
    taken = len(answers) - len(refused)
    assert 30 <= taken <= 31 + (time.monotonic() - started) * pace["per_s"]
    assert refused
    for body in refused:
        assert (body["code"], body["final"], body["retry_ms"] > 0) == ("rate_limited", False, True)
    over_http = await server.http("POST", "/v1/frames", make("chat.text", "self", text="x"), alice.token)
    assert (over_http.status, over_http.json["code"]) == (429, "rate_limited")
    assert int(over_http.headers["retry-after"]) >= 1
    await asyncio.sleep(over_http.json["retry_ms"] / 1000)  # what the server asks for
    assert (await one.submit(**_again(frames[-1])))["kind"] == "chat.text"
    other = await server.connect(bob)
    assert (await other.text("self", "has a pace of one's own"))["seq"] == 1
    for _ in range(100):
        await two.send(make("chat.text", "self", text="ignores it"))
    code, bye = await two.closed()
    assert (code, bye["reason"], bye["retry_ms"] > 0) == (4005, "rate_limited", True)


def _again(frame):
    return {"kind": frame["kind"], "conv": frame["conv"], "id": frame["id"], **frame["body"]}


@pytest.mark.settings(RATE_LIMITS="on", CONNECTIONS_PER_USER="3", CONNECTIONS_PER_ADDRESS="8")
async def test_sockets_per_user_and_per_address(server):
    (alice, bob) = await server.people("alice", "bob")
    clients = [await server.connect(alice) for _ in range(3)]
    fourth = await server.dial()
    await fourth.send({"kind": "hello", "body": {"token": alice.token}})
    code, bye = await fourth.closed()
    assert (code, bye["reason"]) == (4505, "too_many_connections")
    clients += [await server.connect(bob) for _ in range(3)]
    await clients[0].close()
    clients.append(await server.connect(alice))

    crowd = [await server.raw() for _ in range(8)]
    assert (await server.http("GET", "/healthz")).status == 429
    with pytest.raises((InvalidStatus, OSError, EOFError)):
        await server.dial()
    assert (await clients[1].text("self", "inside already"))["seq"] == 1
    for raw in crowd:
        await raw.drop()

    async def open_again():
        return (await server.http("GET", "/healthz")).status == 200

    await until(open_again)


@pytest.mark.settings(RATE_LIMITS="on")
async def test_hellos_have_a_pace(server):
    alice, bob = await server.people("alice", "bob")
    cursor = {"token": alice.token, "epoch": "e_none", "pos": 0}
    endings = []
    while not endings and len(server._opened) < 40:
        client = await server.dial()
        await client.send({"kind": "hello", "body": cursor})
        first = await client.read()
        if first["kind"] == "bye":
            endings.append((len(server._opened), (await client.closed())[0], first["body"]))
        else:
            await client.close()
    ((count, code, bye),) = endings
    assert count > 20, "as many as a person may say at once"
    assert (code, bye["reason"], bye["retry_ms"] > 0) == (4005, "rate_limited", True)
    await server.connect(bob)


async def test_a_flood_of_logins_does_not_stall_the_conversation(tmp_path):
    """Bound: each of 30 texts is acknowledged within 2 s while 240 wrong passwords are checked or refused."""
    async with serving(tmp_path, PASSWORD_MEMORY_KIB="19456", PASSWORD_WORKERS="1") as server:
        alice, bob = await server.people("alice", "bob")
        client = await server.connect(alice)
        login = {"handle": "alice", "password": "wrong password"}

        async def knock(number):
            answer = await server.http("POST", "/v1/sessions", login | {"handle": f"nobody{number}"})
            return answer.status, answer.json["code"]

        flood = [asyncio.create_task(knock(number)) for number in range(240)]
        for number in range(30):
            assert await elapsed(client.text("@bob", f"{number}")) < 2
        outcomes = set(await asyncio.gather(*flood))
        assert outcomes <= {(401, "bad_credentials"), (503, "busy"), (429, "rate_limited")}
        assert (503, "busy") in outcomes
        made = await server.http("POST", "/v1/users", {"handle": "carol", "password": "long enough"})
        assert made.status == 201
        assert (
            await server.http("POST", "/v1/sessions", {"handle": "carol", "password": "long enough"})
        ).status == 201
        assert bob.id
    async with serving(tmp_path, RATE_LIMITS="on") as server:
        statuses = [(await server.http("POST", "/v1/sessions", login)).status for _ in range(14)]
        assert (statuses[0], statuses[-1]) == (401, 429), "ten tries at once for an account and address"
