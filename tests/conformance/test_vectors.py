"""Every vector, through the functions that servers and clients use."""

import json
import zlib
from typing import Any

import msgspec
import pytest
from tests.conformance import make_vectors, packet_vectors

from tuppence_protocol import codec, packets
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import UnknownBody
from tuppence_protocol.kinds import CLIENT_FRAMES, EVENT_BODIES
from tuppence_protocol.money import format_amount, parse_amount

Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (make_vectors.VECTORS / name).read_text("utf-8").splitlines()]


def octets(row: Row) -> bytes:
    """The message of an invalid vector."""
    if "raw_hex" in row:
        return bytes.fromhex(row["raw_hex"])
    pieces = row["repeat"] if "repeat" in row else [[row["raw"], 1]]
    return "".join(text * times for text, times in pieces).encode()


def named(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows(name), ids=lambda row: f"{zlib.crc32(str(row).encode()):08x}")


@pytest.mark.parametrize("name", make_vectors.FILES)
def test_files_are_what_the_generator_writes(name: str) -> None:
    assert (make_vectors.VECTORS / name).read_text("utf-8") == make_vectors.lines(name)
    names = [row["name"] for row in rows(name)]
    assert len(names) == len(set(names))


@named("valid.jsonl")
def test_valid(row: Row) -> None:
    decoded = codec.decode_client(row["frame"].encode())
    assert isinstance(decoded, codec.Decoded), row["name"]
    assert decoded.frame.kind == row["kind"]
    assert codec.decode_client(row["frame"]) == decoded


def test_every_client_kind_has_valid_vectors() -> None:
    assert {row["kind"] for row in rows("valid.jsonl")} == {cls.kind for cls in CLIENT_FRAMES}


def test_same_content_has_one_canonical_text() -> None:
    decoded = {row["name"]: codec.decode_client(row["frame"]) for row in rows("valid.jsonl")}
    content = {name: found.content for name, found in decoded.items() if isinstance(found, codec.Decoded)}
    twins = [row for row in rows("valid.jsonl") if "same" in row]
    assert len(twins) >= 8
    for row in twins:
        assert content[row["name"]] == content[row["same"]], row["name"]


@named("invalid.jsonl")
def test_invalid(row: Row) -> None:
    raw = octets(row)
    refusal = codec.decode_client(raw)
    assert isinstance(refusal, Refusal), row["name"]
    assert (refusal.code, refusal.field) == (row["code"], row["field"]), row["name"]
    assert len(refusal.message) < 400
    assert refusal.final
    codec.claimed_id(raw)


@named("events.jsonl")
def test_events(row: Row) -> None:
    event = codec.decode_event(row["raw"])
    expected = EVENT_BODIES.get(row["kind"], UnknownBody)
    assert type(event.body) is expected, row["name"]
    assert (expected is not UnknownBody) == row["known"]
    assert msgspec.to_builtins(event.body) == row["body"]
    assert codec.decode_server(row["raw"]) == event


def test_every_event_kind_has_vectors() -> None:
    assert {row["kind"] for row in rows("events.jsonl") if row["known"]} == set(EVENT_BODIES)


@named("money.jsonl")
def test_money(row: Row) -> None:
    minor = parse_amount(row["amount"], row["currency"])
    if "code" in row:
        assert isinstance(minor, Refusal), row["name"]
        assert minor.code == row["code"], row["name"]
        return
    assert minor == row["minor"], row["name"]
    assert format_amount(row["minor"], row["currency"]) == row["canonical"]


@named("packets.jsonl")
def test_packets(row: Row) -> None:
    seed = bytes.fromhex(row["seed"])
    assert packets.draw(seed, row["total"], row["count"], row["mode"]) == row["shares"], row["name"]
    told = (row["id"], row["total"], row["count"], row["mode"], row["proof"], seed)
    assert packets.is_fair(*told) == row["fair"], row["name"]
    assert (packets.proof(seed, row["id"], row["shares"]) == row["proof"]) == row["fair"], row["name"]


def test_packet_vectors_have_a_number_that_is_thrown_away() -> None:
    row = next(row for row in rows("packets.jsonl") if "thrown away" in row["name"])
    numbers = packet_vectors.Numbers(bytes.fromhex(row["seed"]))
    numbers.below(row["total"] - 1)
    assert numbers.thrown == 1
