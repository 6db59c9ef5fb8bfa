"""The matcher means what its docstring says, and every transcript is well formed."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.conformance import transcripts
from tests.conformance.make_vectors import VECTORS
from tests.conformance.transcripts import Mismatch, PeerClosed, Person, fill, match

from tuppence_protocol import codec
from tuppence_protocol.errors import CODES, Refusal

FILES = sorted((VECTORS / "transcripts").glob("*.jsonl"))
U = "u_aaaaaaaaaaaaaaaaaaaaaaaaaa"
SETTINGS = {"fees", "limits", "exchange_rates", "exchange_spread_percent", "exchange_quote_s", "mode"}


class Script:
    """A server that says what the script says, whatever it hears."""

    def __init__(self, says: list[dict | int]) -> None:
        self.says = says
        self.heard: list[str | bytes] = []
        self.dropped = 0

    async def person(self, name: str, owns: list[str]) -> Person:
        return Person(U.replace("a", name[0]), name, f"token of {name}")

    async def connect(self) -> "Script":
        return self

    async def send(self, message: str | bytes) -> None:
        self.heard.append(message)

    async def receive(self) -> str:
        if not self.says:
            await asyncio.sleep(60)
        said = self.says.pop(0)
        if isinstance(said, int):
            raise PeerClosed(said)
        return json.dumps(said)

    async def drop(self) -> None:
        self.dropped += 1


def written(tmp_path: Path, *steps: dict) -> Path:
    path = tmp_path / "t.jsonl"
    head = {"name": "t", "people": {"alice": [], "bob": []}}
    path.write_text("".join(json.dumps(step) + "\n" for step in (head, *steps)))
    return path


PONG = {"kind": "pong", "body": {"now": 5}}
PING = {"who": "alice", "frame": {"kind": "ping"}}


def hears(frame: dict) -> dict:
    return {"who": "server->alice", "frame": frame}


def test_objects_are_open_and_values_exact() -> None:
    match({"a": 1, "b": {"c": "x"}}, {"a": 1, "b": {"c": "x", "new": 2}, "new": 3}, {})
    for got in ({"a": 2}, {}, {"a": "1"}, {"a": True}, {"a": 1.0}, [], None):
        with pytest.raises(Mismatch):
            match({"a": 1}, got, {})


def test_first_meeting_binds_and_later_ones_compare() -> None:
    bound = {"u_alice": U}
    match({"conv": "$conv", "from": "$u_alice", "seq": "$seq"}, {"conv": "c_1", "from": U, "seq": 7}, bound)
    assert bound["conv"] == "c_1"
    assert bound["seq"] == 7
    match({"conv": "$conv", "text": "in $conv"}, {"conv": "c_1", "text": "in c_1"}, bound)
    with pytest.raises(Mismatch):
        match({"conv": "$conv"}, {"conv": "c_2"}, bound)
    with pytest.raises(Mismatch):
        match({"seq": "$seq"}, {"seq": "7"}, bound)


def test_failed_comparison_binds_nothing() -> None:
    bound: dict = {}
    with pytest.raises(Mismatch):
        match({"conv": "$conv", "seq": 1}, {"conv": "c_1", "seq": 2}, bound)
    assert bound == {}


def test_misspelt_person_is_no_new_name() -> None:
    with pytest.raises(KeyError):
        match({"from": "$u_alcie"}, {"from": U}, {"u_alice": U})


def test_any_and_absent() -> None:
    match({"a": "$any", "b": "$absent", "c": "$absent"}, {"a": [1], "c": None}, {})
    for got in ({}, {"a": 1, "b": 2}):
        with pytest.raises(Mismatch):
            match({"a": "$any", "b": "$absent"}, got, {})


def test_arrays_have_the_same_length_unless_some() -> None:
    match([1, "$x"], [1, 2], {})
    match(["$some", {"a": 3}, {"a": 1}], [{"a": 1}, {"a": 2}, {"a": 3}], {})
    match(["$some"], [], {})
    for expected, got in (([1], [1, 2]), ([1, 2], [2, 1]), (["$some", 4], [1, 2]), ([], {})):
        with pytest.raises(Mismatch):
            match(expected, got, {})


def test_ids_are_made_once_and_others_must_be_known() -> None:
    bound: dict = {"h_bob": "bob"}
    first = fill({"id": "$id1", "conv": "@$h_bob", "n": [1, None]}, bound)
    assert codec.is_id(first["id"])
    assert first["conv"] == "@bob"
    assert fill("$id1", bound) == first["id"] != fill("$id2", bound)
    with pytest.raises(KeyError):
        fill("$conv", bound)


async def test_live_frames_neither_stand_in_the_way_nor_get_lost(tmp_path: Path) -> None:
    typing = {"kind": "live.typing", "conv": "c_1"}
    balance = {"kind": "live.balance", "body": {"available": "1.00"}}
    other = {"kind": "live.balance", "body": {"available": "2.00"}}
    server = Script([balance, PONG, other, typing])
    steps = (PING, hears({"kind": "pong"}), hears({"kind": "live.balance", "body": {"available": "2.00"}}))
    await transcripts.play(server, written(tmp_path, *steps, hears(typing)))
    assert server.heard == ['{"kind": "ping"}']
    assert server.dropped == 1


async def test_what_is_not_named_is_a_mismatch(tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=r"t\.jsonl:3"):
        await transcripts.play(
            Script([{"kind": "synced"}, PONG]), written(tmp_path, PING, hears({"kind": "pong"}))
        )


async def test_silence_is_a_mismatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "RECEIVE_S_MAX", 0.01)
    with pytest.raises(Mismatch):
        await transcripts.play(Script([]), written(tmp_path, PING, hears({"kind": "pong"})))


async def test_close_codes(tmp_path: Path) -> None:
    close = written(
        tmp_path, {"who": "alice", "raw_hex": "00"}, {"who": "server->alice", "close": [1003, 4501]}
    )
    bye = {"kind": "bye", "body": {"code": 4501}}
    server = Script([bye, 4501])
    await transcripts.play(server, close)
    assert server.heard == [b"\x00"]
    for says in ([1000], [PONG, 4501]):
        with pytest.raises(Mismatch):
            await transcripts.play(Script(says), close)


async def test_drop_opens_a_new_connection(tmp_path: Path) -> None:
    server = Script([PONG])
    drop = {"who": "alice", "drop": True}
    await transcripts.play(server, written(tmp_path, PING, drop, PING, hears({"kind": "pong"})))
    assert server.dropped == 2


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcripts_are_well_formed(path: Path) -> None:
    head, steps = transcripts.load(path)
    assert head.keys() - {"settings"} == {"name", "people"}
    assert head.get("settings", {}).keys() <= SETTINGS
    for step in steps:
        person = step["who"].removeprefix("server->").partition("#")[0]
        assert person in head["people"]
        assert len(step.keys() - {"who"}) == 1
        code = step.get("frame", {}).get("body", {}).get("code")
        assert not isinstance(code, str) or code in CODES


def test_transcripts_send_good_frames_wherever_they_expect_no_shape_error() -> None:
    refused = 0
    for path in FILES:
        head, steps = transcripts.load(path)
        bound = {f"{what}_{name}": name for name in head["people"] for what in ("h", "token")}
        bound |= {f"u_{name}": U for name in head["people"]}
        bound |= {"conv": "self", "group": "self", "own": "self", "epoch": "e"}
        bound |= dict.fromkeys(("pos1", "pos4", "pos", "at8", "next1", "next2", "next3"), 1)
        bound |= {
            name: transcripts.new_id()
            for name in ("quote", "quote1", "quote2", "quote3", "expire", "expire4")
        }
        sent = [step["frame"] for step in steps if "frame" in step and not step["who"].startswith("server")]
        for frame in sent:
            decoded = codec.decode_client(json.dumps(fill(frame, bound)))
            refused += isinstance(decoded, Refusal)
            assert not isinstance(decoded, Refusal) or path.stem == "11-refused-shapes", (frame, decoded)
    assert refused == 5
