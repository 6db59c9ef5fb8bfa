"""Bytes that are not UTF-8 get one answer, whatever member of whatever frame holds them, at every door."""

import json

import pytest
from tests.conformance.samples import SENT, wholes
from tests.support.server import serving
from tests.support.wire import CONT, TEXT

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal

SPOILED = (b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80", b"\x80")


@pytest.mark.parametrize("kind", SENT)
def test_no_frame_is_read_with_them_and_the_code_is_the_same_wherever_they_are(kind):
    for frame in wholes(kind):
        text = json.dumps(frame).encode()
        assert isinstance(codec.decode_client(text), codec.Decoded)
        for at in range(len(text) + 1):
            for bytes_ in SPOILED:
                found = codec.decode_client(text[:at] + bytes_ + text[at:])
                assert isinstance(found, Refusal), (at, bytes_)
                assert (found.code, found.field) == ("bad_json", "$"), (at, bytes_)


PLACES = {
    "the kind": b'{"kind":"chat.\xff"}',
    "the name of the kind": b'{"ki\xffnd":"ping"}',
    "a member that nobody knows": b'{"kind":"ping","x\xff":1}',
    "the value of one": b'{"kind":"ping","x":"\xff"}',
    "an id": b'{"kind":"ask.wallet","id":"\xff"}',
    "a place": b'{"kind":"live.typing","conv":"\xff"}',
    "a number's place": b'{"kind":"ping","body":{"pos":\xff}}',
    "a text": b'{"kind":"chat.text","id":"0197a1c2-7d3e-7b1a-9c55-0123456789ab","conv":"self",'
    b'"body":{"text":"\xff"}}',
    "a member given twice": b'{"kind":"ping","kind":"\xff"}',
    "after an escape": b'{"kind":"ping","body":{"p\\u006fs":"\xff"}}',
    "after a wrong type": b'{"kind":1,"id":"\xff"}',
    "after the end": b'{"kind":"ping"}\xff',
    "before the beginning": b'\xff{"kind":"ping"}',
    "a surrogate in three bytes": b'{"kind":"chat.text","body":{"text":"\xed\xa0\x80"}}',
    "nothing else": b"\xff",
}


async def test_over_the_socket_the_connection_ends_with_1007_and_over_http_it_is_bad_json(tmp_path):
    async with serving(tmp_path) as server:
        (alice,) = await server.people("alice")
        for place, text in PLACES.items():
            for ready, pieces in ((alice, 1), (None, 1), (alice, 2)):
                raw = await server.raw_socket(ready)
                if pieces == 1:
                    await raw.frame(TEXT, text)
                else:
                    middle = text.index(text.strip(b"{}")) + 1
                    await raw.frame(TEXT, text[:middle], fin=False)
                    await raw.frame(CONT, text[middle:])
                code, texts = await raw.ending()
                assert code == 1007, place
                assert [each["body"]["code"] for each in texts] == [1007], place
                await raw.drop()
            answers = [
                await server.http("POST", "/v1/frames", text, alice.token),
                await server.http("POST", "/v1/users", text.replace(b'"kind"', b'"handle"')),
                await server.http("POST", "/v1/sessions", text.replace(b'"kind"', b'"handle"')),
                await server.http("POST", "/v1/admin", text.replace(b'"kind"', b'"do"'), server.admin_token),
            ]
            assert {(each.status, each.json["code"]) for each in answers} == {(400, "bad_json")}, place
