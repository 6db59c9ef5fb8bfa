"""Bytes <-> frames: the only module that knows JSON.

Decoding what a client sent is strict and never raises: a frame comes back, or a refusal that names the JSON
path. Encoding an event splices its stored body in unchanged, so what is hashed, stored, replayed and
broadcast are the same bytes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from typing import Any, Final, TypeVar

import msgspec
import orjson
from msgspec import UNSET

from . import events as ev
from . import views
from .errors import Refusal
from .kinds import CLIENT_FRAMES, EVENT_BODIES, RESULTS, SERVER_FRAMES, STATED_ALONE, AskPreview, PaySend
from .limits import BAD_ID_CHARS_MAX, FRAME_BYTES_MAX
from .shapes import ID_PATTERN, Ask, Durable, Frame, InPlace

T = TypeVar("T")

_decode_client: Final = msgspec.json.Decoder(reduce(or_, CLIENT_FRAMES)).decode
_decode_server: Final = msgspec.json.Decoder(reduce(or_, SERVER_FRAMES)).decode
_decode_raw_event: Final = msgspec.json.Decoder(ev.RawEvent).decode
_bodies: Final = {kind: msgspec.json.Decoder(body).decode for kind, body in EVENT_BODIES.items()}
_decode_unknown_body: Final = msgspec.json.Decoder(ev.UnknownBody).decode
_results: Final = {kind: msgspec.json.Decoder(result).decode for kind, result in RESULTS.items()}
_head: Final = msgspec.json.Decoder(dict[str, str | int]).decode
_plain: Final = msgspec.json.Encoder().encode
_id: Final = re.compile(ID_PATTERN[1:-1], re.ASCII).fullmatch
_unknown_member = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$(.*)`)?", re.DOTALL).fullmatch
_located = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL).fullmatch
_nul = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000").search


def _has_defaults(cls: Any) -> bool:
    """True where the canonical text can have members that the sender left out."""
    return any(
        member.default not in (UNSET, msgspec.NODEFAULT)
        or member.default_factory is not msgspec.NODEFAULT
        or any(_has_defaults(part.cls) for part in _structs(member.type))
        for member in msgspec.inspect.type_info(cls).fields  # type: ignore[attr-defined]
    )


def _structs(kind: Any) -> Iterator[Any]:
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind
    elif isinstance(kind, msgspec.inspect.UnionType):
        yield from (part for part in kind.types if isinstance(part, msgspec.inspect.StructType))


_completed: Final = frozenset(cls for cls in CLIENT_FRAMES if _has_defaults(cls))
_with_id: Final = frozenset(cls for cls in CLIENT_FRAMES if issubclass(cls, (Durable, Ask)))
_in_place: Final = frozenset(cls for cls in CLIENT_FRAMES if issubclass(cls, InPlace))
_BACKSLASH: Final = ord("\\")
"""As a number: Python looks for a byte many times faster than for bytes of length one."""


_BAD_ID: Final = "An id is a lower-case UUID of version 4 or 7."
_BAD_REF: Final = Refusal(
    "bad_id", "A ref is the id of an event: a lower-case UUID of version 4 or 7.", "$.ref"
)


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A well-formed client frame and its canonical text, from which the idempotency fingerprint is made."""

    frame: Frame
    content: bytes


def decode_client(raw: bytes | str) -> Decoded | Refusal:
    """Read one frame as a client sent it.

    Errors: `too_big`, `bad_json`, `unknown_kind`, `bad_frame` (unknown member, wrong type, length out of
    bounds, member given twice), `bad_id`; each names the JSON path in `field`.
    """
    text = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if len(text) > FRAME_BYTES_MAX:
        return Refusal("too_big", f"A frame has at most {FRAME_BYTES_MAX} bytes.", "$")
    try:
        frame: Frame = _decode_client(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        return _explain(fault, text)
    content = _plain(frame)
    if (doubtful := _doubtful(text, frame, content)) is not None:
        return doubtful
    if type(frame) in _with_id:
        if type(frame) is PaySend:
            incomplete = _incomplete(frame)
        elif type(frame) is AskPreview and type(frame.body.frame) is PaySend:
            incomplete = _incomplete(frame.body.frame, "$.body.frame.body")
        else:
            incomplete = None
        if incomplete is not None:
            return incomplete
        if _id(frame.id) is None:  # type: ignore[attr-defined]
            return _bad_id(frame.id)  # type: ignore[attr-defined]
        if type(frame) in _in_place:
            ref = frame.ref  # type: ignore[attr-defined]
            if ref is not UNSET and _id(ref) is None:
                return _BAD_REF
    return Decoded(frame, content)


def _incomplete(frame: PaySend, path: str = "$.body") -> Refusal | None:
    """Only a plain payment of what `ref` asks for need not say how much."""
    body, unset = frame.body, UNSET
    if body.amount is not unset and body.currency is not unset:
        return None
    if frame.ref is not unset and all(getattr(body, name) is unset for name in STATED_ALONE):
        return None
    missing = "amount" if body.amount is unset else "currency"
    return Refusal("bad_frame", f"Object missing required field `{missing}`.", path)


def _doubtful(text: bytes, frame: Frame, content: bytes) -> Refusal | None:
    """Find a member given twice (JSON leaves open which one counts: RFC 8259 section 4), and U+0000.

    Both texts hold the same strings, so equal counts of ":" mean equal numbers of members. Escapes could
    hide one, and defaults that the canonical text adds could make up for one: then read it slowly. U+0000
    cannot be written without an escape.
    """
    escapes = _BACKSLASH in text
    slowly = escapes or text.count(b":") != content.count(b":") or type(frame) in _completed
    if slowly and (repeated := _twice(text)) is not None:
        return repeated
    if escapes and b"\\u0000" in content and _nul(content) is not None:
        return Refusal("bad_frame", "U+0000 is not accepted in text.", "$.body")
    return None


def _twice(text: bytes) -> Refusal | None:
    found: list[str] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in members:
            if name in seen:
                found.append(name)
            seen[name] = value
        return seen

    json.loads(text, object_pairs_hook=pairs)
    if found:
        return Refusal("bad_frame", f"The member {found[0]!r} is given twice.", f"$..{found[0]}")
    return None


def _bad_id(came: str) -> Refusal:
    """With the id as it came, so that the sender knows which frame is meant; `ref` names good ids only."""
    return Refusal("bad_id", _BAD_ID, "$.id", state={"id": came} if len(came) <= BAD_ID_CHARS_MAX else None)


def _id_as_it_came(text: bytes) -> str:
    """The id of a frame that was not decoded since its id is too long."""
    try:
        return str(orjson.loads(text)["id"])
    except ValueError:  # what else is wrong with it need not be told
        return "?" * (BAD_ID_CHARS_MAX + 1)


def _explain(fault: Exception, text: bytes) -> Refusal:
    """Say what is wrong; bytes that are not UTF-8 come first, wherever decoding had stopped before them."""
    try:
        text.decode()
    except UnicodeDecodeError as spoiled:
        return Refusal("bad_json", f"Not UTF-8 ({spoiled.reason}).", "$")
    if isinstance(fault, RecursionError):
        return Refusal("bad_json", "Nested too deeply.", "$")
    said = str(fault)
    if not isinstance(fault, msgspec.ValidationError):
        return Refusal("bad_json", f"{said}.", "$")
    if (unknown := _unknown_member(said)) is not None:
        path = f"${unknown[2] or ''}.{unknown[1]}"[:200]
        return Refusal("bad_frame", "Unknown member.", path)
    located = _located(said)
    what, path = (located[1], f"${located[2]}") if located else (said, "$")
    if path == "$.kind" and what.startswith("Invalid value"):
        return Refusal("unknown_kind", f"{what[:200]}.", path)
    too_big = what.startswith("Expected") and "of length <=" in what
    if too_big and path == "$.id":
        return _bad_id(_id_as_it_came(text))
    code = "too_big" if too_big else "bad_frame"
    return Refusal(code, f"{what[:300]}.", path)


def claimed_id(raw: bytes | str) -> str | None:
    """The id of a frame that was refused, if it can be made out, so that the error can name it."""
    try:
        found = orjson.loads(raw)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and _id(found) else None


def is_id(text: str) -> bool:
    """True for a lower-case UUID of version 4 or 7."""
    return _id(text) is not None


# --- events ---------------------------------------------------------------------------------------


def encode_head(
    kind: str, id: str, conv: str, seq: int, pos: int, author: str, at: int, ref: str | None
) -> bytes:
    """The envelope of an event without its body; together with the body it is what clients receive.

    Every member is an id, a kind or a number, none of which JSON would escape.
    """
    about = "" if ref is None else f',"ref":"{ref}"'
    return (
        f'{{"kind":"{kind}","id":"{id}","conv":"{conv}","seq":{seq},"pos":{pos}'
        f',"from":"{author}","at":{at}{about}}}'
    ).encode()


def encode_body(body: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """The body of an event, as it is stored and hashed."""
    return _plain(body) if isinstance(body, msgspec.Struct) else orjson.dumps(body)


def splice(head: bytes, body: bytes) -> bytes:
    """The wire text of an event: the stored envelope with the stored body spliced in unchanged."""
    return b'%b,"body":%b}' % (head[:-1], body)


def decode_head(head: bytes) -> dict[str, str | int]:
    """The envelope of a stored event."""
    return _head(head)


def decode_body(kind: str, body: bytes | msgspec.Raw) -> views.Extensible:
    """The typed body of an event; `UnknownBody` for a kind this library does not know."""
    try:
        return _bodies.get(kind, _decode_unknown_body)(body)
    except msgspec.ValidationError:  # a later server says more than this library knows
        return _decode_unknown_body(body)


def decode_event(raw: bytes | str | msgspec.Raw) -> ev.Event:
    """Read an event as a server sent it."""
    return open_event(_decode_raw_event(raw))


def open_event(event: ev.RawEvent) -> ev.Event:
    """Read the body of an event."""
    return ev.Event(
        kind=event.kind, id=event.id, conv=event.conv, seq=event.seq, pos=event.pos,
        from_=event.from_, at=event.at, body=decode_body(event.kind, event.body), ref=event.ref,
    )  # fmt: skip


# --- other frames -----------------------------------------------------------------------------------


def encode(frame: msgspec.Struct) -> bytes:
    """Any frame class as JSON."""
    return _plain(frame)


def encode_error(refusal: Refusal, ref: str | None = None) -> bytes:
    """An `error` frame."""
    frame: dict[str, Any] = {"kind": "error", "body": refusal.body()}
    if ref is not None:
        frame["ref"] = ref
    return orjson.dumps(frame)


def encode_result(ref: str, **members: Any) -> bytes:
    """A `result` frame; members may be structs, plain values or stored JSON from `stored()`."""
    return orjson.dumps({"kind": "result", "ref": ref, "body": members}, default=_struct)


def encode_object(value: Any) -> bytes:
    """Any plain value, struct or stored JSON as JSON (HTTP bodies)."""
    return orjson.dumps(value, default=_struct)


def stored(raw: bytes) -> orjson.Fragment:
    """JSON that is spliced in unchanged."""
    return orjson.Fragment(raw)


def _struct(value: Any) -> orjson.Fragment:
    if isinstance(value, msgspec.Struct):
        return orjson.Fragment(_plain(value))
    raise TypeError(f"not JSON: {type(value).__name__}")


ServerMessage = ev.Event | views.ServerFrame


def decode_server(raw: bytes | str) -> ServerMessage | None:
    """Read what a server sent; None for a session or live frame that this library does not know.

    Raises:
        ValueError: where it is not a frame at all.
    """
    try:
        kind = _kind(raw).kind
        if kind.startswith(("chat.", "pay.", "room.")):
            return decode_event(raw)
        message: ServerMessage | None = _decode_server(raw) if kind in _server_kinds else None
    except RecursionError:
        raise ValueError("nested too deep") from None
    return message


def decode_result(kind: str, body: bytes | msgspec.Raw) -> views.Extensible:
    """The typed body of the `result` to an ask of that kind."""
    return _results[kind](body)


class _Kind(msgspec.Struct):
    kind: str


_kind: Final = msgspec.json.Decoder(_Kind).decode
_server_kinds: Final = frozenset(str(cls.__struct_config__.tag) for cls in SERVER_FRAMES)


def fields_of(content: bytes) -> dict[str, Any]:
    """The members of a client frame's canonical text, to name the one that differs."""
    members: dict[str, Any] = orjson.loads(content)
    return members


def decode_strict(raw: bytes, cls: type[Any]) -> Any | Refusal:
    """Read a JSON body of a known class with the same refusals as a frame (HTTP)."""
    if len(raw) > FRAME_BYTES_MAX:
        return Refusal("too_big", f"A body has at most {FRAME_BYTES_MAX} bytes.", "$")
    try:
        found = msgspec.json.decode(raw, type=cls)
        return _twice(raw) or found
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        return _explain(fault, raw)


def decode_as(raw: bytes, cls: type[T]) -> T:
    """Read JSON that this system wrote itself."""
    return msgspec.json.decode(raw, type=cls)
