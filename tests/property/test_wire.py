"""For any frame and any bytes: what is encoded is decoded, and nothing makes the decoder raise."""

import json
import re
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as mi

from tuppence_protocol import codec, kinds
from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.errors import CODES, Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import CLIENT_FRAMES, PAYMENT_BODIES, RESULTS
from tuppence_protocol.limits import AMOUNT_MINOR_MAX, INTEGER_MAX
from tuppence_protocol.money import AMOUNT_PATTERN, format_amount, parse_amount
from tuppence_protocol.shapes import ID_PATTERN, Frame
from tuppence_protocol.views import Money

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
IDS = st.from_regex(ID_PATTERN[1:-1], fullmatch=True)
MONEY = {
    "amount", "available", "held", "total", "fee", "margin", "rate", "refunded", "opening", "closing",
    "balance",
}  # fmt: skip


def values(type_: mi.Type) -> st.SearchStrategy[Any]:
    """Values of a member's type, within its bounds."""
    match type_:
        case mi.StrType(pattern=str(pattern)):
            least, most = type_.min_length or 0, type_.max_length or 10_000
            shaped = st.from_regex(pattern.removeprefix("^").removesuffix("$"), fullmatch=True)
            return shaped.filter(lambda text: least <= len(text) <= most)
        case mi.StrType():
            longest = min(type_.max_length or 60, 60)
            return st.text(CHARACTERS, min_size=type_.min_length or 0, max_size=longest)
        case mi.IntType():
            least = -INTEGER_MAX if type_.ge is None else type_.ge
            return st.integers(least, INTEGER_MAX if type_.le is None else type_.le)
        case mi.BoolType():
            return st.booleans()
        case mi.NoneType():
            return st.none()
        case mi.RawType():
            return st.just(msgspec.Raw(b'{"alt":"Something"}'))
        case mi.ListType():
            return st.lists(values(type_.item_type), min_size=type_.min_length or 0, max_size=5)
        case mi.LiteralType():
            return st.sampled_from(type_.values)
        case mi.UnionType():
            return st.one_of(*map(values, type_.types))
        case mi.StructType():
            return structs(type_.cls)
        case mi.Metadata():
            return values(type_.type)
    raise AssertionError(type_)


def structs(cls: type[Any]) -> st.SearchStrategy[Any]:
    made = {}
    for member in mi.type_info(cls).fields:  # type: ignore[attr-defined]
        value = IDS if member.name in {"id", "ref"} else values(member.type)
        made[member.name] = st.just(msgspec.UNSET) | value if member.default is msgspec.UNSET else value
    return st.builds(cls, **made)


FRAMES: st.SearchStrategy[Frame] = st.one_of(*map(structs, CLIENT_FRAMES))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(FRAMES)
def test_what_is_encoded_is_decoded(frame: Frame) -> None:
    raw = codec.encode(frame)
    assert codec.decode_client(raw) == codec.Decoded(frame, raw)


MONEY_BODIES: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    *(st.tuples(st.just(kind), structs(cls)) for kind, cls in PAYMENT_BODIES.items())
)
ANSWERS: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    *(
        st.tuples(st.just(kind), structs(cls))
        for kind, cls in RESULTS.items()
        if kind not in {"ask.history", "ask.event"}
    )
)


@given(MONEY_BODIES, IDS)
def test_what_is_told_of_money_is_read(told: tuple[str, Any], ref: str) -> None:
    kind, body = told
    head = codec.encode_head(kind, ref, "c_1", 1, 1, "u_1", 1, ref)
    event = codec.decode_server(codec.splice(head, codec.encode_body(body)))
    assert isinstance(event, Event)
    assert event.body == body


@given(ANSWERS, IDS)
def test_what_is_answered_is_read(answered: tuple[str, Any], ref: str) -> None:
    kind, body = answered
    members = {name: getattr(body, name) for name in body.__struct_fields__}
    result = codec.decode_server(codec.encode_result(ref, **plain_raw(members)))
    assert isinstance(result, kinds.Result)
    read = codec.decode_result(kind, result.body)
    assert codec.encode(read) == codec.encode(body)


def plain_raw(members: dict[str, Any]) -> dict[str, Any]:
    """Stored JSON as a server puts it into an answer."""
    return {
        name: codec.stored(bytes(value)) if isinstance(value, msgspec.Raw) else value
        for name, value in members.items()
    }


@given(FRAMES, st.data())
def test_spelling_does_not_change_the_content(frame: Frame, data: st.DataObject) -> None:
    raw = codec.encode(frame)

    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: shuffled(value[name]) for name in data.draw(st.permutations(list(value)))}

    spelt = json.dumps(
        shuffled(json.loads(raw)),
        ensure_ascii=data.draw(st.booleans()),
        indent=data.draw(st.sampled_from([None, 1, "\t"])),
    )
    assert codec.decode_client(spelt) == codec.Decoded(frame, raw)


@given(FRAMES, st.data())
def test_member_given_twice_is_always_refused(frame: Frame, data: st.DataObject) -> None:
    raw = codec.encode(frame).decode()
    members = json.loads(raw)
    name = data.draw(st.sampled_from(sorted(members)))
    again = f"{json.dumps(name)}:{json.dumps(members[name])}"
    for spelt in (f"{raw[:-1]},{again}}}", f"{{{again},{raw[1:]}"):
        refusal = codec.decode_client(spelt)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.field) == ("bad_frame", f"$..{name}")


def lives(raw: bytes | str) -> None:
    """Whatever it is, it is a frame or a refusal to a client, and a message or a ValueError from a server."""
    decoded = codec.decode_client(raw)
    assert isinstance(decoded, codec.Decoded) or decoded.code in CODES
    codec.claimed_id(raw)
    for read in (codec.decode_server, codec.decode_event):
        with suppress(ValueError):
            read(raw)


@given(st.binary(max_size=400))
def test_any_bytes(raw: bytes) -> None:
    lives(raw)


@given(st.text(st.characters(), max_size=200))
def test_any_text(raw: str) -> None:
    lives(raw)


@given(JSON)
def test_any_json(value: Any) -> None:
    lives(json.dumps(value))


@given(FRAMES, st.data())
def test_mutated_bytes(frame: Frame, data: st.DataObject) -> None:
    raw = bytearray(codec.encode(frame))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 6)))
        raw[start:end] = data.draw(st.binary(max_size=6))
    lives(bytes(raw))


@given(FRAMES, JSON, st.data())
def test_mutated_members(frame: Frame, value: Any, data: st.DataObject) -> None:
    members = json.loads(codec.encode(frame))
    body = members.get("body", {})
    target = body if body and data.draw(st.booleans()) else members
    name = data.draw(st.sampled_from(sorted(target)) | st.text(max_size=8))
    target[name] = value
    lives(json.dumps(members))


@given(st.integers(1, AMOUNT_MINOR_MAX), st.sampled_from(sorted(EXPONENTS)))
def test_money_round_trip(minor: int, currency: str) -> None:
    text = format_amount(minor, currency)
    if EXPONENTS[currency] or minor < AMOUNT_MINOR_MAX:
        assert parse_amount(text, currency) == minor
    assert type(minor) is int


@given(st.from_regex(AMOUNT_PATTERN[1:-1], fullmatch=True), st.sampled_from(sorted(EXPONENTS)))
def test_amounts_that_are_read_are_worth_what_they_say(text: str, currency: str) -> None:
    minor = parse_amount(text, currency)
    whole, _, fraction = text.partition(".")
    worth = int(whole + fraction.ljust(8, "0"))
    if isinstance(minor, Refusal):
        assert minor.code == "amount_range"
        return
    assert type(minor) is int
    assert minor * 10 ** (8 - EXPONENTS[currency]) == worth
    assert parse_amount(format_amount(minor, currency), currency) == minor


@given(st.text(max_size=30), st.text(max_size=4) | st.sampled_from(sorted(EXPONENTS)))
def test_any_text_as_money(text: str, currency: str) -> None:
    minor = parse_amount(text, currency)
    if not isinstance(minor, Refusal):
        assert re.fullmatch(AMOUNT_PATTERN[1:-1], text, re.ASCII)
        assert type(minor) is int


def test_money_is_a_string_in_every_frame() -> None:
    found = 0
    for cls in (*CLIENT_FRAMES, *kinds.SERVER_FRAMES, *kinds.EVENT_BODIES.values(), *kinds.RESULTS.values()):
        for name, type_ in members_of(mi.type_info(cls)):
            if name in MONEY:
                found += 1
                assert all(map(is_money, alternatives(type_))), (cls, name)
            assert not isinstance(type_, mi.FloatType) or name == "per_s", (cls, name)
    assert found >= 60


def is_money(type_: mi.Type) -> bool:
    """A string, nothing, or an amount with its currency."""
    return isinstance(type_, (mi.StrType, mi.NoneType)) or (
        isinstance(type_, mi.StructType) and type_.cls is Money
    )


def alternatives(type_: mi.Type) -> list[mi.Type]:
    return [plain(inner) for inner in type_.types] if isinstance(type_, mi.UnionType) else [type_]


def members_of(type_: mi.Type) -> list[tuple[str, mi.Type]]:
    """Every member under a type, with its own type."""
    match type_:
        case mi.StructType():
            own = [(member.name, plain(member.type)) for member in type_.fields]
            return own + [deeper for _, inner in own for deeper in members_of(inner)]
        case mi.ListType():
            return members_of(type_.item_type)
        case mi.UnionType():
            return [deeper for inner in type_.types for deeper in members_of(inner)]
        case mi.Metadata():
            return members_of(type_.type)
    return []


def plain(type_: mi.Type) -> mi.Type:
    """The type without what is only said to the schema."""
    return type_.type if isinstance(type_, mi.Metadata) else type_
