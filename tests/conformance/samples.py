"""A whole and a bare frame of every kind, made of the kinds' own examples, and events likewise."""

from typing import Any, Final

from msgspec.structs import fields

from tuppence_protocol.kinds import KINDS, PREVIEWED
from tuppence_protocol.kinds.kind import ALICE as USER
from tuppence_protocol.kinds.kind import EVENT as OTHER_ID
from tuppence_protocol.shapes import Lane

Frame = dict[str, Any]

ID: Final = "0197a1c2-7d3e-7b1a-9c55-0123456789ab"
CONV: Final = "c_7yd2abcdefghijklmnopqrstuv"
BY_NAME: Final = {kind.name: kind for kind in KINDS}
SENT: Final = [kind.name for kind in KINDS if kind.frame and kind.lane is not Lane.SESSION] + [
    "ping",
    "hello",
]


def whole(name: str) -> Frame:
    """A frame with every member that it may have."""
    return _envelope(name, whole=True) | {"body": dict(BY_NAME[name].sent)}


def bare(name: str) -> Frame:
    """A frame with no member that may be left out."""
    frame, kind = _envelope(name, whole=False), BY_NAME[name]
    body = next(member for member in fields(kind.frame) if member.name == "body")
    if body.required:
        needed = [member.encode_name for member in fields(body.type) if member.required]
        frame["body"] = kind.bare or {member: kind.sent[member] for member in needed}
    return frame


def preview(of: Frame) -> Frame:
    """The question what would come of a frame."""
    return _envelope("ask.preview", whole=True) | {"body": {"frame": of | {"id": OTHER_ID}}}


def wholes(name: str) -> list[Frame]:
    """Whole frames that together have every member of a kind: a preview has those of the frame in it."""
    return [preview(whole(inner)) for inner in PREVIEWED] if name == "ask.preview" else [whole(name)]


def event(name: str, body: Frame) -> Frame:
    """An event as a server sends it."""
    head = {"kind": name, "id": ID, "conv": CONV, "seq": 42, "pos": 90210, "from": USER, "at": 1790000000123}
    acts = "settles" in body or (name in BY_NAME and BY_NAME[name].is_acting)
    return head | ({"ref": OTHER_ID} if acts else {}) | {"body": body}


def _envelope(name: str, *, whole: bool) -> Frame:
    members = {member.name: member for member in fields(BY_NAME[name].frame)}
    frame: Frame = {"kind": name}
    if "id" in members:
        frame["id"] = ID
    if "conv" in members:
        live = BY_NAME[name].lane is Lane.LIVE
        frame["conv"] = "self" if name == "pay.faucet" else CONV if live else "@bob"
    if "ref" in members and (whole or members["ref"].required):
        frame["ref"] = OTHER_ID
    return frame
