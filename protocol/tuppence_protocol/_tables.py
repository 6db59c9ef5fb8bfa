"""The Markdown tables of the spec, written from the catalogues."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from . import limits as bounds
from .errors import CLOSES, CODES, RFC6455_CLOSES, reconnects
from .kinds.kind import Kind

# The first word found in a limit's name tells its unit.
_UNITS: Final = {
    "PER_S": "per second", "EXPIRES_S": "seconds", "ACCEPT_S": "seconds", "REQUEST_S": "seconds",
    "REQUESTS": "requests", "SHARES": "shares", "BYTES": "bytes", "CHARS": "characters", "MS": "ms",
    "FRAGMENTS": "fragments", "DEPTH": "levels", "CONTROL": "control frames", "MENTIONS": "people",
    "INVITES": "people", "MEMBERS": "people", "USERS": "people", "EVENTS": "events", "ROWS": "rows",
    "GROUPS": "groups", "CONVERSATIONS": "conversations", "EXPONENT": "decimals", "MINOR": "minor units",
    "MAJOR": "major units",
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


def limits() -> str:
    """The bounds, in the order of the module."""
    values = {name: value for name, value in vars(bounds).items() if name.isupper() and type(value) is int}
    rows = ((f"`{name}`", value, _unit(name)) for name, value in values.items())
    return _table("name | value | unit", rows)


def _unit(name: str) -> str:
    words = f"_{name}_"
    return next((unit for word, unit in _UNITS.items() if f"_{word}_" in words), "")
