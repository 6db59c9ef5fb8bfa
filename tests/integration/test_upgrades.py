"""Each requirement of RFC 6455 section 4.2.1 on an upgrade, broken: a plain refusal, and never a socket."""

import asyncio

from tests.support.wire import parse_answer

GOOD = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
BROKEN = {
    "HTTP/1.0": (426, "GET /v1/ws HTTP/1.0", {}),
    "another method": (405, "POST /v1/ws HTTP/1.1", {"Content-Length": "0"}),
    "another address": (404, "GET /v1/wss HTTP/1.1", {}),
    "an address with a slash": (404, "GET /v1/ws/ HTTP/1.1", {}),
    "no Host": (400, "GET /v1/ws HTTP/1.1", {"Host": None}),
    "two Hosts": (400, "GET /v1/ws HTTP/1.1", {"Host": ["a", "b"]}),
    "no Upgrade": (426, "GET /v1/ws HTTP/1.1", {"Upgrade": None}),
    "another Upgrade": (426, "GET /v1/ws HTTP/1.1", {"Upgrade": "h2c"}),
    "two Upgrades": (426, "GET /v1/ws HTTP/1.1", {"Upgrade": "websocket, h2c"}),
    "no Connection": (426, "GET /v1/ws HTTP/1.1", {"Connection": None}),
    "another Connection": (426, "GET /v1/ws HTTP/1.1", {"Connection": "keep-alive"}),
    "no key": (400, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Key": None}),
    "an empty key": (400, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Key": ""}),
    "a short key": (400, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Key": "dGhlIHNhbXBsZQ=="}),
    "a key that is not base64": (400, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Key": "*" * 24}),
    "two keys": (400, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Key": [GOOD["Sec-WebSocket-Key"]] * 2}),
    "no version": (400, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Version": None}),
    **{
        f"version {version!r}": (426, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Version": version})
        for version in ("8", "7", "0", "14", "013", "13.0", "abc", "", "13, 8", "-13", "1" * 1_000)
    },
    "two versions": (426, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Version": ["13", "8"]}),
    "a version and everything else wrong": (426, "GET /v1/ws HTTP/1.1",
    {"Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": None}),
    "an origin that is not listed": (403, "GET /v1/ws HTTP/1.1", {"Origin": "https://evil.example"}),
    "two origins": (400, "GET /v1/ws HTTP/1.1", {"Origin": ["https://a.example", "https://b.example"]}),
    "a subprotocol that is no token": (400, "GET /v1/ws HTTP/1.1", {"Sec-WebSocket-Protocol": "a b"}),
    "a body that comes later": (400, "GET /v1/ws HTTP/1.1", {"Content-Length": "5"}),
    "a body in pieces that comes later": (400, "GET /v1/ws HTTP/1.1", {"Transfer-Encoding": "chunked"}),
    "a length in two digits": (400, "GET /v1/ws HTTP/1.1", {"Content-Length": "00"}),
    "headers without number": (431, "GET /v1/ws HTTP/1.1", {"X": ["y"] * 200}),
    "a long header": (431, "GET /v1/ws HTTP/1.1", {"X": "y" * 9_000}),
}  # fmt: skip
BODIES = {
    "a body": ({"Content-Length": "5"}, b"hello"),
    "a body in pieces": ({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n"),
    "no pieces": ({"Transfer-Encoding": "chunked"}, b"0\r\n\r\n"),
    "a frame as a body": ({"Content-Length": "7"}, b"\x81\x81\x00\x00\x00\x00{"),
}
UNUSUAL = {
    "a body of nothing": {"Content-Length": "0"},
    "names in capitals": {"UPGRADE": "WebSocket", "Upgrade": None},
    "Connection with more": {"Connection": "keep-alive, Upgrade"},
    "Connection in two lines": {"Connection": ["Upgrade", "keep-alive"]},
    "an extension that is not spoken": {"Sec-WebSocket-Extensions": "permessage-deflate"},
}


async def asked(server, start, changes, body=b""):
    headers = {**GOOD, **changes}
    lines = [
        f"{name}: {each}"
        for name, value in headers.items()
        if value is not None
        for each in (value if isinstance(value, list) else [value])
    ]
    raw = await server.raw()
    await raw.send("\r\n".join([start, *lines, "", ""]).encode() + body)
    head = await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), 30)
    await raw.drop()
    return parse_answer(head)


async def test_a_broken_upgrade_is_refused_and_a_wrong_version_is_told_the_right_one(server):
    for name, (status, start, changes) in BROKEN.items():
        answer = await asked(server, start, changes)
        assert answer.status == status, name
        if status == 426:
            assert answer.headers["sec-websocket-version"] == "13", name
            assert answer.headers["upgrade"] == "websocket", name
    for name, (changes, body) in BODIES.items():
        assert (await asked(server, "GET /v1/ws HTTP/1.1", changes, body)).status == 400, name
    for name, changes in UNUSUAL.items():
        assert (await asked(server, "GET /v1/ws HTTP/1.1", changes)).status == 101, name
    assert server.log.read_text().count('"level": "warning"') == 0


async def test_nothing_redirects_and_a_slash_too_many_is_nowhere(server):
    for path in (
        "/v1/frames/",
        "/v1/sessions/",
        "/v1/users/",
        "/v1/statement/",
        "/healthz/",
        "/v1/admin/",
        "/v1/",
        "//",
    ):
        for method in ("GET", "POST", "DELETE"):
            answer = await server.http(method, path, b"{}", headers=[("x-forwarded-host", "evil.example")])
            assert answer.status == 404, (method, path)
            assert "location" not in answer.headers
            assert answer.json["code"] == "not_found"
