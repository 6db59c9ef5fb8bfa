"""The Markdown tables of the spec, written from the catalogues."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from . import limits as bounds
from .errors import CLOSES, CODES, RFC6455_CLOSES, reconnects
from .kinds.kind import Kind
from .lifecycle import BEGINS, LIFE, REFUSED, WHO

# The first word found in a limit's name tells its unit.
_UNITS: Final = {
    "PER_S": "per second", "EXPIRES_S": "seconds", "ACCEPT_S": "seconds", "REQUEST_S": "seconds",
    "REQUESTS": "requests", "SHARES": "shares", "BYTES": "bytes", "CHARS": "characters", "MS": "ms",
    "FRAGMENTS": "fragments", "DEPTH": "levels", "CONTROL": "control frames", "MENTIONS": "people",
    "INVITES": "people", "MEMBERS": "people", "USERS": "people", "EVENTS": "events", "ROWS": "rows",
    "GROUPS": "groups", "CONVERSATIONS": "conversations", "EXPONENT": "decimals", "MINOR": "minor units",
    "MAJOR": "major units",
}  # fmt: skip
_BY: Final = {
    "sharer": "who has a share", "anyone": "whoever may write here", "operator": "the operator",
    "time": "its time",
}  # fmt: skip


def _table(head: str, rows: Iterable[tuple[object, ...]]) -> str:
    columns = head.split("|")
    lines = [columns, ["---"] * len(columns), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(cell.strip() for cell in line)} |\n" for line in lines)


def kinds(defs: Mapping[str, Any], rows: Iterable[tuple[Kind, str, str]]) -> str:
    """The kinds; each row is a kind, the name of its definition, and who sends it."""
    return _table(
        "kind | lane | sent by | body | meaning",
        (
            (f"`{kind.name}`", kind.lane.value, sender, _members(defs, name), meaning(defs, name))
            for kind, name, sender in rows
        ),
    )


def meaning(defs: Mapping[str, Any], name: str) -> str:
    """What a frame or an event tells, in one line."""
    return str(defs[name].get("description", "")).removeprefix("Event: ")


def _members(defs: Mapping[str, Any], name: str) -> str:
    body = defs[name]["properties"]["body"]
    if "anyOf" in body:
        return "as asked"
    found = defs[body["$ref"].rpartition("/")[2]]
    required = found.get("required", [])
    return ", ".join(f"`{m}`" if m in required else f"`{m}?`" for m in found["properties"]) or "none"


def errors() -> str:
    """The refusals, in the order of precedence."""
    rows = (
        (c.number, f"`{c.name}`", c.family.value, c.status, "yes" if c.final else "no", c.meaning)
        for c in sorted(CODES.values(), key=lambda code: code.number)
    )
    return _table("number | code | family | HTTP | final | meaning", rows)


def closes() -> str:
    """The close codes, those of RFC 6455 first."""
    own = [(c.number, f"`{c.name}`", "yes" if c.reconnect else "no", c.meaning) for c in CLOSES.values()]
    standard = [(n, "RFC 6455", "yes" if reconnects(n) else "no", m) for n, m in RFC6455_CLOSES.items()]
    return _table("code | name | reconnect | meaning", standard + own)


def lives() -> str:
    """What can be done with each kind of payment in each state."""
    rows = (
        (
            _kind(kind),
            f"`{state}`",
            "`pay.send` with its id as `ref`" if verb == "settle" else f"`pay.{verb}`",
            _BY.get(way.by, f"the {way.by}"),
            ", ".join(f"`{after}`" for after in way.to),
        )
        for kind, life in LIFE.items()
        for state, ways in life.items()
        for verb, way in ways.items()
    )
    return _table("payment | state | what is done | by | then it is", rows)


def diagrams() -> str:
    """The same as a picture of each kind that has more than one state."""
    return "\n".join(f"{_kind(kind)}:\n\n{_diagram(kind)}" for kind, life in LIFE.items() if len(life) > 1)


def _kind(kind: str) -> str:
    return "a share of a `pay.split`" if kind == "share" else f"`pay.{kind}`"


def _diagram(kind: str) -> str:
    life = LIFE[kind]
    arrows = [f"[*] --> {state}" for state in BEGINS.get(kind, (next(iter(life)),))]
    labels: dict[str, list[str]] = {}
    for state, ways in life.items():
        for verb, way in ways.items():
            for after in way.to:
                labels.setdefault(f"{state} --> {after}", []).append(verb)
    arrows += [f"{arrow}: {', '.join(verbs)}" for arrow, verbs in labels.items()]
    return "".join(f"{line}\n" for line in ("```mermaid", "stateDiagram-v2", *arrows, "```"))


def refused() -> str:
    """The code by which each state refuses what can be done with its kind, but not in it."""
    others = sorted(
        {
            state
            for kind, verb in WHO
            for state, ways in LIFE[kind].items()
            if verb not in ways and state not in REFUSED
        }
    )
    codes = [(f"`{state}`", f"`{code}`") for state, (code, _) in REFUSED.items()]
    return _table("it is | code", [*codes, (", ".join(f"`{state}`" for state in others), "`not_pending`")])


def limits() -> str:
    """The bounds, in the order of the module."""
    values = {name: value for name, value in vars(bounds).items() if name.isupper() and type(value) is int}
    rows = ((f"`{name}`", value, _unit(name)) for name, value in values.items())
    return _table("name | value | unit", rows)


def _unit(name: str) -> str:
    words = f"_{name}_"
    return next((unit for word, unit in _UNITS.items() if f"_{word}_" in words), "")
