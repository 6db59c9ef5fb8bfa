"""An id that is none comes back as it came, so that the sender knows which of its frames is meant."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import BAD_ID_CHARS_MAX

GOOD = "0197a1c2-7d3e-7b1a-9c55-0123456789ab"
FRAMES = (
    {"kind": "chat.text", "conv": "@bob", "body": {"text": "Hi"}},
    {"kind": "pay.send", "conv": "@bob", "body": {"amount": "5", "currency": "EUR"}},
    {"kind": "room.create", "body": {"title": "Flat"}},
    {"kind": "ask.wallet"},
)


def refused(frame: dict[str, object], came: object) -> Refusal:
    refusal = codec.decode_client(json.dumps({**frame, "id": came}))
    assert isinstance(refusal, Refusal)
    return refusal


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: str(frame["kind"]))
@pytest.mark.parametrize(
    "came",
    [
        "",
        "7",
        GOOD.upper(),
        f"{{{GOOD}}}",
        f"urn:uuid:{GOOD}",
        GOOD.replace("-", ""),
        '"\n\\',
        "ä" * BAD_ID_CHARS_MAX,
    ],
)
def test_an_id_that_is_none_comes_back_as_it_came(frame: dict[str, object], came: str) -> None:
    refusal = refused(frame, came)
    assert (refusal.code, refusal.field, refusal.state) == ("bad_id", "$.id", {"id": came})
    assert json.loads(codec.encode_error(refusal))["body"]["state"] == {"id": came}


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: str(frame["kind"]))
@given(st.text(max_size=BAD_ID_CHARS_MAX).filter(lambda text: not codec.is_id(text) and "\0" not in text))
def test_whatever_string_it_is(frame: dict[str, object], came: str) -> None:
    assert refused(frame, came).state == {"id": came}


@pytest.mark.parametrize("came", ["x" * (BAD_ID_CHARS_MAX + 1), "x" * 60_000])
def test_what_is_too_long_is_not_told_again(came: str) -> None:
    refusal = refused(FRAMES[0], came)
    assert (refusal.code, refusal.state) == ("bad_id", None)
