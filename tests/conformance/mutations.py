"""Every way in which one member of a frame can be wrong, read off the JSON Schema, with its refusal."""

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

from . import samples

Schema = dict[str, Any]
Row = dict[str, Any]
Path = tuple[str | int, ...]

_MARK: Final = "@@"
_WRONG: Final[dict[str, tuple[Any, ...]]] = {
    "string": (5, None, ["x"]),
    "integer": ("5", None, True, 1.5),
    "array": ({}, None, "x"),
    "object": ([], None, "x"),
    "enum": ("x-no-such-word", 5, None),
}


def text(value: Any) -> str:
    """A value as the vectors write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def mutations(schema: Schema) -> Iterator[Row]:
    """The invalid vectors of every client frame."""
    for link in schema["$defs"]["ClientFrame"]["oneOf"]:
        found = _follow(schema, link)
        kind = found["properties"]["kind"]["const"]
        for n, frame in enumerate(samples.wholes(kind)):
            inner = frame["body"]["frame"]["kind"] if kind == "ask.preview" else None
            for path, member, value in _walk(schema, found, frame, ()):
                if n and path[:2] != ("body", "frame"):
                    continue  # the first had it
                for what, row, code, field in _wrong(frame, path, member, value):
                    of = f"{kind} of {inner}" if inner else kind
                    name = f"{of}: {_written(path)} {what}"
                    yield {"name": name, **row, "code": code, "field": field}


def _walk(schema: Schema, found: Schema, value: Any, path: Path) -> Iterator[tuple[Path, Schema, Any]]:
    """Every object, member and list item of a frame."""
    found = _follow(schema, found)
    if "anyOf" in found:
        found = _one_of(schema, found["anyOf"], value["kind"])
    yield path, found, value
    always = found.get("else", {}).get("properties", {})  # the samples are of what must say it
    if "properties" in found:
        left_out = found["properties"].keys() - value.keys()
        assert not left_out, f"the sample of {path} lacks {left_out}"
        for name, member in found["properties"].items():
            if (*path, name) != ("kind",):
                more = _follow(schema, member) | always.get(name, {})
                yield from _walk(schema, more, value[name], (*path, name))
    elif "items" in found:
        yield from _walk(schema, found["items"], value[0], (*path, 0))


def _wrong(
    frame: samples.Frame, path: Path, member: Schema, value: Any
) -> Iterator[tuple[str, Row, str, str]]:
    where = _written(path)
    kind = "enum" if "enum" in member or "const" in member else member["type"]
    for wrong in _WRONG[kind] if path else ():
        yield f"is {text(wrong)}", {"raw": text(_with(frame, path, wrong))}, "bad_frame", where
    if kind == "object":
        for server_member in ("x_unknown", "seq", "pos", "from", "at") if not path else ("x_unknown",):
            changed = _with(frame, path, value | {server_member: 1})
            yield (
                f"has {server_member}",
                {"raw": text(changed)},
                "bad_frame",
                f"{where}.{server_member}",
            )
        for name in member.get("required", ()):
            changed = _with(frame, path, {key: item for key, item in value.items() if key != name})
            yield f"lacks {name}", {"raw": text(changed)}, "bad_frame", where
    yield from _out_of_bounds(frame, path, member, value)


def _out_of_bounds(
    frame: samples.Frame, path: Path, member: Schema, value: Any
) -> Iterator[tuple[str, Row, str, str]]:
    where = _written(path)
    for bound, wrong in (("minimum", -1), ("maximum", 1)):
        if bound in member:
            changed = text(_with(frame, path, member[bound] + wrong))
            yield f"is past its {bound}", {"raw": changed}, "bad_frame", where
    if member.get("minLength") or member.get("minItems"):
        yield "is empty", {"raw": text(_with(frame, path, type(value)()))}, "bad_frame", where
    if "maxLength" in member:
        before, after = text(_with(frame, path, _MARK)).split(_MARK)
        row = {"repeat": [[before, 1], ["a", member["maxLength"] + 1], [after, 1]]}
        yield "is too long", row, "bad_id" if where == "$.id" else "too_big", where
    if "maxItems" in member:
        before, after = text(_with(frame, path, [_MARK])).split(text(_MARK))
        item = text(value[0])
        row = {"repeat": [[before, 1], [f"{item},", member["maxItems"]], [item + after, 1]]}
        yield "has too many", row, "too_big", where


def _with(frame: samples.Frame, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(frame)
    target: Any = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return changed


def _written(path: Path) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _one_of(schema: Schema, links: list[Schema], kind: str) -> Schema:
    """The frame of that kind among those that may stand in a place."""
    alternatives = [_follow(schema, link) for link in links]
    return next(found for found in alternatives if found["properties"]["kind"]["const"] == kind)


def _follow(schema: Schema, found: Schema) -> Schema:
    while "$ref" in found:
        found = schema["$defs"][found["$ref"].rpartition("/")[2]]
    return found
