"""One whole and one bare frame of every kind, from which the vectors are made."""

from typing import Any, Final

from . import payment_samples as money

Frame = dict[str, Any]

ID: Final = "0197a1c2-7d3e-7b1a-9c55-0123456789ab"
OTHER_ID: Final = "3f2b8c1e-94d7-4a06-8e21-fedcba987654"
USER: Final = "u_3kq5abcdefghijklmnopqrstuv"
CONV: Final = "c_7yd2abcdefghijklmnopqrstuv"

WHOLE_BODIES: Final[dict[str, Frame]] = {
    "chat.text": {"text": "Lunch is on me: 12:30?", "mentions": [USER]},
    **money.FRAME_BODIES,
    "room.create": {"title": "Flat 3b", "members": ["@bob", USER], "kind": "group"},
    "room.update": {"title": "Flat 3c"},
    "room.invite": {"users": ["@carol"]},
    "room.remove": {"user": "@carol"},
    "room.leave": {},
    "room.role": {"user": USER, "role": "reader"},
    "live.typing": {},
    "live.read": {"seq": 42},
    "live.watch": {"users": ["@bob"]},
    "ask.history": {"before": 90, "after": 3, "limit": 20},
    "ask.conversations": {"before": 90210, "limit": 20},
    "ask.event": {"id": OTHER_ID},
    "ask.members": {"after": USER, "limit": 20},
    "ask.user": {"handle": "bob"},
    "ask.wallet": {},
    **money.ASK_BODIES,
    "ping": {"pos": 90210},
    "hello": {
        "token": "t0ken",
        "device": "Alice's laptop",
        "epoch": "7f3a",
        "pos": 90100,
        "client": "example/1.0",
        "version": 1,
    },
}
NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "hello": ("token",),
    "chat.text": ("text",),
    "room.create": ("title",),
    **money.NEEDED,
}
NOT_NEEDED_BODIES: Final = money.NOT_NEEDED_BODIES | {
    "ping", "room.leave", "live.typing", "ask.history", "ask.conversations", "ask.members", "ask.wallet"
}  # fmt: skip
EVENT_BODIES: Final[dict[str, Frame]] = {
    "chat.text": {"text": "Hallo 👋", "mentions": [USER]},
    **money.EVENT_BODIES,
    "room.create": {"title": "Flat 3b", "members": [USER], "kind": "group", "alt": "@alice opened the group"},
    "room.update": {"title": "Flat 3c", "alt": "@alice renamed the group to Flat 3c"},
    "room.invite": {"users": [USER], "alt": "@alice invited @bob"},
    "room.remove": {"user": USER, "alt": "@alice removed @bob"},
    "room.leave": {"alt": "@bob left"},
    "room.role": {"user": USER, "role": "admin", "alt": "@alice made @bob admin"},
}


def lane_of(kind: str) -> str:
    """What stands before the dot."""
    return kind.partition(".")[0] if "." in kind else "session"


def whole(kind: str) -> Frame:
    """A frame with every member that it may have."""
    return _envelope(kind, whole=True) | {"body": dict(WHOLE_BODIES[kind])}


def bare(kind: str) -> Frame:
    """A frame with no member that may be left out."""
    frame = _envelope(kind, whole=False)
    if kind not in NOT_NEEDED_BODIES:
        body = money.BARE_BODIES.get(kind) or WHOLE_BODIES[kind]
        frame["body"] = {name: body[name] for name in NEEDED.get(kind, tuple(body))}
    return frame


def preview(of: Frame) -> Frame:
    """The question what would come of a frame."""
    return _envelope("ask.preview", whole=True) | {"body": {"frame": of | {"id": OTHER_ID}}}


def wholes(kind: str) -> list[Frame]:
    """Whole frames that together have every member of a kind: a preview has those of the frame in it."""
    if kind != "ask.preview":
        return [whole(kind)]
    return [preview(whole(inner)) for inner in money.PREVIEWED]


def event(kind: str, body: Frame) -> Frame:
    """An event as a server sends it."""
    head = {"kind": kind, "id": ID, "conv": CONV, "seq": 42, "pos": 90210, "from": USER, "at": 1790000000123}
    about = (
        {"ref": OTHER_ID}
        if kind in money.ACTING or kind in {"pay.expire", "pay.reverse"} or "settles" in body
        else {}
    )
    return head | about | {"body": body}


def _envelope(kind: str, *, whole: bool) -> Frame:
    frame: Frame = {"kind": kind}
    if lane_of(kind) in {"chat", "pay", "room", "ask"}:
        frame["id"] = ID
    in_place = lane_of(kind) in {"chat", "pay", "room"} and kind != "room.create"
    if in_place or kind in {"live.typing", "live.read", "ask.history", "ask.members"}:
        frame["conv"] = "@bob" if lane_of(kind) != "live" else CONV
    if kind == "pay.faucet":
        frame["conv"] = "self"
    if (in_place and whole) or kind in money.ACTING:
        frame["ref"] = OTHER_ID
    return frame
