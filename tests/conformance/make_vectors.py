"""Writes protocol/vectors/*.jsonl: `python -m tests.conformance.make_vectors`.

What is expected comes from the spec and the schema, never from what the codec answered.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tuppence_protocol import limits, schema
from tuppence_protocol.kinds import KINDS, PREVIEWED
from tuppence_protocol.kinds.kind import QUOTE

from . import money_vectors, packet_vectors, samples
from .moments import MOMENTS
from .mutations import mutations, text
from .odd_texts import INVALID, VALID

Row = dict[str, Any]

VECTORS: Final = Path(__file__).parents[2] / "protocol" / "vectors"


def valid() -> Iterator[Row]:
    """Frames that every server takes; `same` names a row whose content is the same under one id."""
    for kind in samples.SENT:
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
    yield from _payments()
    yield from VALID


def _payments() -> Iterator[Row]:
    """Money at the bounds of what may be asked, and every frame that a preview takes."""
    share = {"user": samples.USER, "amount": "0.01"}
    bodies: tuple[tuple[str, str, Row], ...] = (
        ("pay.send", "waits for the payee", {"accept": True}),
        ("pay.send", "waits a second", {"accept": True, "expires_s": limits.EXPIRES_S_MIN}),
        ("pay.send", "waits the longest", {"accept": True, "expires_s": limits.EXPIRES_S_MAX}),
        ("pay.send", "by a quote", {"quote": QUOTE}),
        ("pay.split", "the most shares", {"shares": [share] * limits.SPLIT_SHARES_MAX}),
        ("pay.packet", "one share", {"count": 1, "mode": "equal"}),
        ("pay.packet", "the most shares", {"count": limits.PACKET_SHARES_MAX}),
        ("ask.quote", "buy so much", {"side": "buy"}),
        ("ask.payments", "a state of a later server", {"state": "half_cancelled"}),
    )
    for kind, what, members in bodies:
        frame = samples.bare(kind)
        yield {
            "name": f"{kind}: {what}",
            "frame": text(frame | {"body": frame.get("body", {}) | members}),
            "kind": kind,
        }
    for kind in PREVIEWED:
        for what, inner in (("whole", samples.whole(kind)), ("bare", samples.bare(kind))):
            frame = samples.preview(inner)
            yield {"name": f"ask.preview: of {kind}, {what}", "frame": text(frame), "kind": "ask.preview"}


def invalid() -> Iterator[Row]:
    """Texts that every server refuses, with the code and the JSON path that the refusal names."""
    yield from INVALID
    yield from mutations(schema.json_schema())


def events() -> Iterator[Row]:
    """Events as a server sends them; `body` is what a client of this version reads."""
    defs = schema.json_schema()["$defs"]
    for kind, body in _told().items():
        yield _event_row(f"{kind}: whole", samples.event(kind, body), body)
        link = defs[schema.event_name(kind)]["properties"]["body"]["$ref"]
        needed = {name: body[name] for name in body if name in defs[link.rpartition("/")[2]]["required"]}
        yield _event_row(f"{kind}: bare", samples.event(kind, needed), needed)
        newer = samples.event(kind, body | {"x_new": {"a": [1]}}) | {"x_new": None, "ref": samples.OTHER_ID}
        yield _event_row(f"{kind}: with members that are new", newer, body)
    for kind in (kind for kind in KINDS if kind.by_server):
        author = samples.event(kind.name, kind.told) | {"from": "server"}
        yield _event_row(f"{kind.name}: written by the server", author, author["body"])
    for what, kind, body in MOMENTS:
        yield _event_row(f"{kind}: {what}", samples.event(kind, body), body)
    for kind in ("chat.hologram", "pay.barter", "room.paint"):
        newer = samples.event(kind, {"alt": "Something new", "x_new": [1, {"y": None}]})
        yield _event_row(f"{kind}: unknown", newer, {"alt": "Something new"})
    silent = samples.event("chat.hologram", {"x_new": 1})
    yield _event_row("chat.hologram: unknown, without alt", silent, {"alt": ""})


def _told() -> dict[str, Row]:
    """The bodies of events in the order of the file:
    what is the operator's or the server's beside its like."""
    names = [kind.name for kind in KINDS if kind.event]
    for name, before in (
        ("pay.deposit", "pay.send"), ("pay.withdraw", "pay.deposit"), ("pay.reverse", "pay.withdraw"),
        ("pay.faucet", "pay.reverse"), ("pay.expire", "pay.cancel"),
    ):  # fmt: skip
        names.remove(name)
        names.insert(names.index(before) + 1, name)
    return {name: samples.BY_NAME[name].told for name in names}


def _event_row(name: str, event: Row, body: Row) -> Row:
    known = event["kind"] in samples.BY_NAME
    return {"name": name, "raw": text(event), "kind": event["kind"], "known": known, "body": body}


FILES: Final = {
    "valid.jsonl": valid,
    "invalid.jsonl": invalid,
    "events.jsonl": events,
    "money.jsonl": money_vectors.money,
    "packets.jsonl": packet_vectors.packets,
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
