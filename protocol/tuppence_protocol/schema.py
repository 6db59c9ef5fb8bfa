"""What the classes say, for other languages: JSON Schema, AsyncAPI, and the tables of the spec.

Everything is derived from the classes and catalogues of this package, so nothing here can disagree with the
codec. The functions are pure and deterministic; only `main` writes files.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from . import _tables, limits, views
from .kinds import CLIENT_FRAMES, EVENT_BODIES, KINDS, PREVIEWED, RESULTS, SERVER_FRAMES, STATED_ALONE
from .kinds.kind import Kind
from .shapes import CONV_PATTERN, ID_PATTERN

Schema = dict[str, Any]

_REF: Final = "#/$defs/"
_EVENTS: Final = tuple(kind for kind in KINDS if kind.event)
_NOTICES: Final = tuple((kind, kind.notice.__name__) for kind in KINDS if kind.notice)
_FRAMES: Final = tuple((kind, kind.frame.__name__) for kind in KINDS if kind.frame)
_SAME_IN_ALL_EVENTS: Final[Schema] = {
    "id": {
        "type": "string", "pattern": ID_PATTERN,
        "description": "The id that the client made; the server's where nobody wrote it.",
    },
    "conv": {"type": "string", "description": "The conversation.", "pattern": CONV_PATTERN},
    "seq": {"type": "integer", "description": "Gapless per conversation, from 1.", "minimum": 1},
    "pos": {"type": "integer", "description": "Position in the whole log; the resume cursor.", "minimum": 1},
    "from": {"type": "string", "description": f"The author's user id, or `{views.SERVER_AUTHOR}`."},
    "at": {"type": "integer", "description": "Commit time, ms since the epoch.", "minimum": 0},
    "ref": {"type": "string", "description": "The id of the event that this one is about."},
}  # fmt: skip
_EVENT_REQUIRED: Final = ["kind", "id", "conv", "seq", "pos", "from", "at", "body"]


# --- JSON Schema ----------------------------------------------------------------------------------


def json_schema() -> Schema:
    """The JSON Schema (2020-12) of the wire; `$defs` has a definition for every frame and event kind."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:tuppence:protocol:{limits.PROTOCOL_VERSION}",
        "title": f"Tuppence protocol, version {limits.PROTOCOL_VERSION}",
        "description": "One WebSocket message. Closed for what a client sends, open for what a server sends.",
        "anyOf": [{"$ref": f"{_REF}ClientFrame"}, {"$ref": f"{_REF}ServerFrame"}],
        "$defs": _definitions(),
    }


def _definitions() -> Schema:
    classes = [*CLIENT_FRAMES, *SERVER_FRAMES, *EVENT_BODIES.values(), *RESULTS.values()]
    _, components = msgspec.json.schema_components(classes, ref_template=f"{_REF}{{name}}")
    components.pop("RawEvent", None)
    defs: Schema = {name: _tidy(component) for name, component in components.items()}
    defs |= {event_name(kind.name): _event(kind) for kind in _EVENTS}
    events = [*map(event_name, EVENT_BODIES), "UnknownEvent"]
    defs["UnknownEvent"] = _unknown_event()
    defs["Event"] = _one_of("An event, as stored.", events)
    results = ", ".join(f"`{kind}`: {cls.__name__}" for kind, cls in RESULTS.items())
    defs["Result"]["properties"]["body"] = _any_of(f"By the kind of the ask: {results}.", RESULTS.values())
    previewed = [EVENT_BODIES[kind] for kind in PREVIEWED]
    defs["PreviewResult"]["properties"]["body"] = _any_of(
        "By `kind`: what the body of its event would be.", previewed
    )
    defs["PaySend"] |= _said_or_asked()
    defs["ClientFrame"] = _one_of("What a client may send.", [name for _, name in _FRAMES])
    defs["ServerFrame"] = _one_of("What a server may send.", [*events, *(name for _, name in _NOTICES)])
    return defs


def _said_or_asked() -> Schema:
    """A plain payment of what `ref` asks for need not say how much."""
    asked = {"not": {"anyOf": [{"required": [name]} for name in STATED_ALONE]}}
    return {
        "if": {"required": ["ref"], "properties": {"body": asked}},
        "else": {"properties": {"body": {"required": ["amount", "currency"]}}},
    }


def event_name(kind: str) -> str:
    """The definition of an event kind: `pay.send` is `PaySendEvent`."""
    return "".join(part.title() for part in kind.split(".")) + "Event"


def _event(kind: Kind) -> Schema:
    body = {"$ref": f"{_REF}{EVENT_BODIES[kind.name].__name__}"}
    return {
        "title": event_name(kind.name),
        "description": f"Event: {kind.meaning}",
        "type": "object",
        "properties": {"kind": {"const": kind.name}, **_SAME_IN_ALL_EVENTS, "body": body},
        "required": [*_EVENT_REQUIRED, "ref"] if kind.is_acting else _EVENT_REQUIRED,
    }


def _unknown_event() -> Schema:
    kind = {"type": "string", "pattern": r"^(chat|pay|room)\.", "not": {"enum": list(EVENT_BODIES)}}
    alt = {"type": "string", "description": "Plain text to show in its place."}
    return {
        "title": "UnknownEvent",
        "description": "Event of a kind that is newer than this schema: show `body.alt`.",
        "type": "object",
        "properties": {
            "kind": kind,
            **_SAME_IN_ALL_EVENTS,
            "body": {"type": "object", "properties": {"alt": alt}},
        },
        "required": _EVENT_REQUIRED,
    }


def _one_of(meaning: str, names: Iterable[str]) -> Schema:
    return {"description": meaning, "oneOf": [{"$ref": f"{_REF}{name}"} for name in names]}


def _any_of(meaning: str, classes: Iterable[type]) -> Schema:
    return {"description": meaning, "anyOf": [{"$ref": f"{_REF}{cls.__name__}"} for cls in classes]}


def _tidy(value: Any) -> Any:
    """Write a one-word enum as `const`, and point at `Event` where the class leaves the body unread.

    `discriminator` is OpenAPI's word: where `kind` is a `const`, nothing is lost with it.
    """
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    tidied = {name: _tidy(member) for name, member in value.items() if name != "discriminator"}
    if tidied.get("$ref") == f"{_REF}RawEvent":
        tidied["$ref"] = f"{_REF}Event"
    if isinstance(words := tidied.get("enum"), list) and len(words) == 1:
        del tidied["enum"]
        tidied["const"] = words[0]
    if isinstance(description := tidied.get("description"), str):
        tidied["description"] = " ".join(description.split())
    return tidied


# --- AsyncAPI -------------------------------------------------------------------------------------


def asyncapi() -> Schema:
    """The AsyncAPI 3.0 description of a server: one channel, what it receives and what it sends."""
    definitions = _definitions()
    received, sent = _messages(definitions, _FRAMES), _messages(definitions, _sent())
    names = [*received, *sent]
    spoken = f"Text messages, one JSON object each, at most {limits.FRAME_BYTES_MAX} bytes."
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tuppence", "version": str(limits.PROTOCOL_VERSION), "license": {"name": "Apache-2.0"},
            "description": "Chat and payments over one WebSocket. protocol/README.md is the normative spec.",
        },
        "defaultContentType": "application/json",
        "servers": {"node": {
            "host": "{host}", "protocol": "wss",
            "description": "Log in with the hello frame; a token never appears in a URL.",
            "variables": {"host": {"description": "Where the operator runs it."}},
        }},
        "channels": {"socket": {
            "address": "/v1/ws", "description": spoken,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        }},
        "operations": {
            "receive": _operation("receive", "What a client sends.", received),
            "send": _operation("send", "What the server sends.", sent),
        },
        "components": {"messages": received | sent, "schemas": _moved(definitions)},
    }  # fmt: skip


def _operation(action: str, summary: str, messages: Schema) -> Schema:
    return {
        "action": action, "summary": summary, "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{name}"} for name in messages],
    }  # fmt: skip


def _messages(defs: Schema, kinds: Iterable[tuple[Kind, str]]) -> Schema:
    return {
        name: {
            "name": kind.name, "title": name, "summary": _tables.meaning(defs, name),
            "tags": [{"name": kind.lane.value}], "x-lane": kind.lane.value,
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        for kind, name in kinds
    }  # fmt: skip


def _moved(value: Any) -> Any:
    if isinstance(value, list):
        return [_moved(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: member.replace(_REF, "#/components/schemas/") if name == "$ref" else _moved(member)
        for name, member in value.items()
    }


# --- files ----------------------------------------------------------------------------------------


def pretty(document: Schema) -> str:
    """A document as text: sorted, indented, with a newline at the end."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def with_tables(text: str) -> str:
    """The text with what stands between `<!-- generated:NAME -->` and `<!-- /generated -->` made anew."""
    for name, table in tables().items():
        before, opened, after = text.partition(f"<!-- generated:{name} -->\n")
        if opened:
            text = f"{before}{opened}{table}<!-- /generated -->{after.partition('<!-- /generated -->')[2]}"
    return text


def main() -> None:
    """Write schema.json, asyncapi.json and the tables in README.md of the directory named."""
    folder = Path(sys.argv[1])
    (folder / "schema.json").write_text(pretty(json_schema()), encoding="utf-8")
    (folder / "asyncapi.json").write_text(pretty(asyncapi()), encoding="utf-8")
    spec = folder / "README.md"
    if spec.exists():
        spec.write_text(with_tables(spec.read_text(encoding="utf-8")), encoding="utf-8")


def tables() -> dict[str, str]:
    """The generated parts of the spec by name."""
    return {
        "kinds": _tables.kinds(_definitions(), _kinds()),
        "errors": _tables.errors(),
        "closes": _tables.closes(),
        "limits": _tables.limits(),
        "lives": _tables.lives(),
        "diagrams": _tables.diagrams(),
        "refused": _tables.refused(),
    }


def _kinds() -> Iterable[tuple[Kind, str, str]]:
    yield from ((kind, name, "client") for kind, name in _FRAMES)
    yield from ((kind, name, "server") for kind, name in _sent())


def _sent() -> list[tuple[Kind, str]]:
    return [*((kind, event_name(kind.name)) for kind in _EVENTS), *_NOTICES]


if __name__ == "__main__":
    main()
