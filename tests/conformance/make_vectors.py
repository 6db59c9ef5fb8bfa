"""Writes protocol/vectors/{valid,invalid,events,money}.jsonl: `python -m tests.conformance.make_vectors`.

What is expected comes from the spec and the schema, never from what the codec answered.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tuppence_protocol import limits, schema

from . import money_vectors, samples
from .mutations import mutations, text
from .odd_texts import INVALID, VALID

Row = dict[str, Any]

VECTORS: Final = Path(__file__).parents[2] / "protocol" / "vectors"


def valid() -> Iterator[Row]:
    """Frames that every server takes; `same` names a row whose content is the same under one id."""
    for kind in samples.WHOLE_BODIES:
        yield {"name": f"{kind}: whole", "frame": text(samples.whole(kind)), "kind": kind}
        yield {"name": f"{kind}: bare", "frame": text(samples.bare(kind)), "kind": kind}
    longest = samples.bare("chat.text") | {"body": {"text": "é" * limits.TEXT_CHARS_MAX}}
    yield {"name": "chat.text: the longest", "frame": text(longest), "kind": "chat.text"}
    people = samples.bare("room.invite") | {"body": {"users": ["@al"] * limits.ROOM_INVITES_PER_FRAME_MAX}}
    yield {"name": "room.invite: the most", "frame": text(people), "kind": "room.invite"}
    for place in ("self", samples.CONV, "@" + "a" * limits.HANDLE_CHARS_MAX):
        frame = samples.bare("chat.text") | {"conv": place}
        yield {"name": f"chat.text: in {place[:5]}", "frame": text(frame), "kind": "chat.text"}
    for number in (0, limits.INTEGER_MAX):
        frame = samples.bare("live.read") | {"body": {"seq": number}}
        yield {"name": f"live.read: {number}", "frame": text(frame), "kind": "live.read"}
    yield from VALID


def invalid() -> Iterator[Row]:
    """Texts that every server refuses, with the code and the JSON path that the refusal names."""
    yield from INVALID
    yield from mutations(schema.json_schema())


def events() -> Iterator[Row]:
    """Events as a server sends them; `body` is what a client of this version reads."""
    for kind, body in samples.EVENT_BODIES.items():
        yield _event_row(f"{kind}: whole", samples.event(kind, body), body)
        needed = {
            name: value for name, value in body.items() if name not in {"note", "not_after", "mentions"}
        }
        yield _event_row(f"{kind}: bare", samples.event(kind, needed), needed)
        newer = samples.event(kind, body | {"x_new": {"a": [1]}}) | {"x_new": None, "ref": samples.OTHER_ID}
        yield _event_row(f"{kind}: with members that are new", newer, body)
    author = samples.event("pay.deposit", samples.EVENT_BODIES["pay.deposit"]) | {"from": "server"}
    yield _event_row("pay.deposit: written by the server", author, author["body"])
    for kind in ("chat.hologram", "pay.barter", "room.paint"):
        newer = samples.event(kind, {"alt": "Something new", "x_new": [1, {"y": None}]})
        yield _event_row(f"{kind}: unknown", newer, {"alt": "Something new"})
    silent = samples.event("chat.hologram", {"x_new": 1})
    yield _event_row("chat.hologram: unknown, without alt", silent, {"alt": ""})


def _event_row(name: str, event: Row, body: Row) -> Row:
    known = event["kind"] in samples.EVENT_BODIES
    return {"name": name, "raw": text(event), "kind": event["kind"], "known": known, "body": body}


FILES: Final = {
    "valid.jsonl": valid,
    "invalid.jsonl": invalid,
    "events.jsonl": events,
    "money.jsonl": money_vectors.money,
}


def lines(name: str) -> str:
    """One vector file as text."""
    return "".join(f"{text(row)}\n" for row in FILES[name]())


def main() -> None:
    """Write the files."""
    for name in FILES:
        (VECTORS / name).write_text(lines(name), encoding="utf-8")


if __name__ == "__main__":
    main()
