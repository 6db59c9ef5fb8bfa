"""Mutated frames and HTTP bodies through one live server: never a crash, a 5xx or a connection lost without
cause.

TUPPENCE_TEST_SEED repeats a run; TUPPENCE_TEST_FRAMES makes it longer than 2,000.
"""

import asyncio
import json
import os

from tests.support.server import serving
from tests.support.waiting import seeded
from tests.support.wire import make, new_id

from tuppence_protocol.errors import CODES
from tuppence_protocol.limits import FRAME_BYTES_MAX

FRAMES = int(os.environ.get("TUPPENCE_TEST_FRAMES", "2000"))
REQUESTS = 250
BODIES = {
    "chat.text": {"text": "Lunch: 12:30?", "mentions": []},
    "pay.send": {"amount": "0.01", "currency": "EUR", "payee": "@bob", "note": "n", "not_after": 2**50},
    "room.create": {"title": "Flat", "members": ["@bob"], "kind": "group"},
    "room.update": {"title": "Flat"},
    "room.invite": {"users": ["@bob"]},
    "room.remove": {"user": "@bob"},
    "room.leave": {},
    "room.role": {"user": "@bob", "role": "admin"},
    "live.typing": {},
    "live.read": {"seq": 1},
    "live.watch": {"users": ["@bob"]},
    "ask.history": {"before": 9, "after": 1, "limit": 3},
    "ask.conversations": {"before": 9, "limit": 3},
    "ask.event": {"id": "0197a1c2-7d3e-7b1a-9c55-0123456789ab"},
    "ask.members": {"after": "", "limit": 3},
    "ask.user": {"handle": "bob"},
    "ask.wallet": {},
    "ping": {"pos": 1},
    "hello": {"token": "t", "device": "d"},
}
ODD = [
    None, True, False, 0, -1, 2**53, 2**63, 2**64, 1.5, 1e300, "", "\u202e", "\u0000", "\U0001f4b8" * 50,
    "@bob", "self", "@" + "x" * 40, "c_" + "a" * 26, "u_" + "a" * 26, "9" * 30, "0.001", "1e9", [], {},
    [[]], {"a": {}}, ["@bob"] * 300, "x" * 9_000, "' OR 1=1 --", "%s%n", "../../etc/passwd",
    "0197a1c2-7d3e-7b1a-9c55-0123456789ab", "EUR", "JPY",
]  # fmt: skip

ODD_IDS = [new_id() for _ in range(5)]


def valid(rng):
    """A frame of any kind, most often well formed."""
    kind = rng.choice(list(BODIES))
    frame = {"kind": kind, "body": json.loads(json.dumps(BODIES[kind]))}
    lane = kind.partition(".")[0]
    if lane in ("chat", "pay", "room", "ask"):
        frame["id"] = rng.choice(ODD_IDS) if rng.random() < 0.1 else new_id()
    if kind == "pay.send":
        frame["body"]["amount"] = rng.choice(("0.01", "0.02", "5000.00", "0.001", "x"))
    if kind not in ("room.create", "ping", "hello", "live.watch") and (
        lane != "ask" or kind in ("ask.history", "ask.members")
    ):
        frame["conv"] = rng.choice(("@bob", "self", "@nobody", "c_" + "a" * 26))
    return frame


def mutated(rng):
    """The bytes of a frame after one to four mutations of its members or its text."""
    frame = valid(rng)
    for _ in range(rng.randrange(3)):
        target = rng.choice([frame, frame["body"]]) if isinstance(frame.get("body"), dict) else frame
        name = rng.choice([*target, "x", "seq", "from", "ref"])
        match rng.randrange(3):
            case 0:
                target[name] = rng.choice(ODD)
            case 1:
                target.pop(name, None)
            case 2:
                target[rng.choice(("id", "conv", "ref", "kind", "body", "text", "amount", "users"))] = (
                    rng.choice(ODD)
                )
    text = bytearray(json.dumps(frame, ensure_ascii=rng.random() < 0.5).encode())
    for _ in range(rng.randrange(4) if rng.random() < 0.3 else 0):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0:
                text[at:at] = bytes([rng.randrange(128)])
            case 1:
                del text[at : at + rng.randrange(1, 9)]
            case 2:
                text[at:at] = text[rng.randrange(len(text) + 1) :][: rng.randrange(1, 40)]
            case 3 if at < len(text) and text[at] < 128:
                text[at] = rng.choice(b'{}[]",:\\ue0-. tfn')
            case _:
                text[at:at] = rng.choice(
                    (b"\\ud800", b"\\u0000", "€".encode(), b'"x":1,', b"/**/", b"\x00", b"\x7f")
                )
    return bytes(text)


def is_utf8(data):
    """True where a text message may hold these bytes at all."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def test_mutated_frames_and_bodies(tmp_path):
    rng = seeded()
    async with serving(tmp_path) as server:
        client, other = await server.clients("alice", "bob", credit="100.00")
        await _frames(client, rng)
        await _bodies(server, client.account, rng)
        await _paths(server, rng)
        event = await client.submit(kind="chat.text", conv="@bob", text="all is well")
        assert await other.answer(event["id"]) == event
        assert (await client.pay("@bob", "0.01"))["body"]["state"] == "completed"
        report = await server.stop_and_verify()
        assert report["totals"]["EUR"] >= 20_000


async def _frames(client, rng):
    texts = [text for _ in range(FRAMES) if is_utf8(text := mutated(rng)) and len(text) <= FRAME_BYTES_MAX]
    for start in range(0, len(texts), 100):
        for text in texts[start : start + 100]:
            await client.send(text)
        overdraft = new_id()  # what random frames need not hit: too much money, then the id again
        for amount in ("5000.00", "0.01"):
            await client.send(make("pay.send", "@bob", id=overdraft, amount=amount, currency="EUR"))
        await client.text("self", "everything before this has been answered")
    assert client.ws.close_code is None
    errors = client.seen(kind="error")
    codes = {error["body"]["code"] for error in errors}
    assert codes <= CODES.keys() - {"internal", "unavailable"}
    assert codes >= {"bad_json", "bad_frame", "unknown_kind", "not_found", "id_reused", "insufficient_funds"}
    assert len(client.events) > FRAMES // 50, "and many are good"
    positions = [event["pos"] for event in client.events]
    assert len({event["id"] for event in client.events}) <= len(set(positions))


async def _bodies(server, account, rng):
    kinds = ["/v1/frames", "/v1/users", "/v1/sessions", "/v1/admin"]
    requests = [(rng.choice(kinds), _http_body(rng)) for _ in range(REQUESTS)]
    for start in range(0, REQUESTS, 10):
        answers = await asyncio.gather(
            *(_post(server, account, path, body) for path, body in requests[start : start + 10])
        )
        for answer, (path, body) in zip(answers, requests[start : start + 10], strict=True):
            assert 200 <= answer.status < 500, (path, body, answer.body)
            assert answer.json is not None


async def _paths(server, rng):
    for _ in range(100):
        path = "/" + "".join(rng.choice("v1/.%2fusersws?#&=\\:;~é ") for _ in range(rng.randrange(30)))
        raw = await server.raw()
        await raw.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = (await raw.rest()).split(b" ")[1]
        assert status in (b"200", b"400", b"401", b"404", b"405", b"307"), path
        await raw.drop()


def _http_body(rng):
    if rng.random() < 0.5:
        return mutated(rng)
    body = {"handle": "dora", "password": "long enough", "name": "Dora"}
    if rng.random() < 0.4:
        actions = ["user.list", "wallet.show", "wallet.credit", "user.add", "session.open", "no.such"]
        arguments = {"handle": "bob", "amount": "0.01", "currency": "EUR", "name": "x", "id": new_id()}
        chosen = {name: arguments[name] for name in rng.sample(list(arguments), rng.randrange(5))}
        if chosen and rng.random() < 0.5:
            chosen[rng.choice(list(chosen))] = rng.choice(ODD)
        return json.dumps({"do": rng.choice(actions), "arguments": chosen}).encode()
    body[rng.choice(list(body))] = rng.choice(ODD)
    return json.dumps(body).encode()


async def _post(server, account, path, body):
    token = server.admin_token if path == "/v1/admin" else account.token
    return await server.http("POST", path, body, token)
