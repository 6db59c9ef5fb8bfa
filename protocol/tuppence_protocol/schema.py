"""What the classes say, for other languages: JSON Schema, AsyncAPI, and the tables of the spec.

Everything is derived from the classes and catalogues of this package, so nothing here can disagree with the
codec. The functions are pure and deterministic; only `main` writes files.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from . import _tables, limits, views
from . import events as ev
from .frames import CLIENT_FRAMES
from .payments import STATED_ALONE, Acting
from .shapes import CONV_PATTERN, ID_PATTERN, Lane

Schema = dict[str, Any]

_REF: Final = "#/$defs/"
_KNOWN: Final = tuple(ev.EVENT_BODIES)
_FRAMES: Final = {cls.kind: cls for cls in CLIENT_FRAMES}
# Kinds that no client frame describes.
_AUTHORED: Final = {
    "pay.deposit": "Money came in over a rail; nobody's frame, so `from` is `server`.",
    "pay.withdraw": "The operator took money out of the balance; `from` is `server`.",
    "pay.reverse": "The operator gave back all that was left of the payment `ref`. `from` is `server`.",
    "pay.expire": "The time of the payment `ref` is over: what it held is given back. `from` is `server`.",
}
# Events that always name the payment that they act on.
_ACTING: Final = {
    "pay.expire",
    "pay.reverse",
    *(kind for kind, cls in _FRAMES.items() if issubclass(cls, Acting)),
}
_SAME_IN_ALL_EVENTS: Final[Schema] = {
    "id": {
        "type": "string",
        "description": "The id that the client made; the server's where nobody wrote it.",
        "pattern": ID_PATTERN,
    },
    "conv": {"type": "string", "description": "The conversation.", "pattern": CONV_PATTERN},
    "seq": {"type": "integer", "description": "Gapless per conversation, from 1.", "minimum": 1},
    "pos": {"type": "integer", "description": "Position in the whole log; the resume cursor.", "minimum": 1},
    "from": {"type": "string", "description": f"The author's user id, or `{views.SERVER_AUTHOR}`."},
    "at": {"type": "integer", "description": "Commit time, ms since the epoch.", "minimum": 0},
    "ref": {"type": "string", "description": "The id of the event that this one is about."},
}
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
    classes = [*CLIENT_FRAMES, *ev.SERVER_FRAMES, *ev.EVENT_BODIES.values(), *ev.RESULTS.values()]
    _, components = msgspec.json.schema_components(classes, ref_template=f"{_REF}{{name}}")
    components.pop("RawEvent", None)
    defs: Schema = {name: _tidy(component) for name, component in components.items()}
    defs |= {event_name(kind): _event(kind) for kind in _KNOWN}
    defs["UnknownEvent"] = _unknown_event()
    defs["Event"] = _one_of("An event, as stored.", [*map(event_name, _KNOWN), "UnknownEvent"])
    results = ", ".join(f"`{kind}`: {cls.__name__}" for kind, cls in ev.RESULTS.items())
    defs["Result"]["properties"]["body"] = {
        "description": f"By the kind of the ask: {results}.",
        "anyOf": [{"$ref": f"{_REF}{cls.__name__}"} for cls in ev.RESULTS.values()],
    }
    links = defs["PreviewBody"]["properties"]["frame"]["anyOf"]
    frames = {cls.__name__: cls.kind for cls in CLIENT_FRAMES}
    previewed = [frames[link["$ref"].removeprefix(_REF)] for link in links]
    defs["PreviewResult"]["properties"]["body"] = {
        "description": "By `kind`: what the body of its event would be.",
        "anyOf": [{"$ref": f"{_REF}{ev.EVENT_BODIES[kind].__name__}"} for kind in previewed],
    }
    defs["PaySend"] |= _said_or_asked()
    defs["ClientFrame"] = _one_of("What a client may send.", [cls.__name__ for cls in CLIENT_FRAMES])
    sent = [*map(event_name, _KNOWN), "UnknownEvent", *(cls.__name__ for cls in ev.SERVER_FRAMES)]
    defs["ServerFrame"] = _one_of("What a server may send.", sent)
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


def event_meaning(kind: str) -> str:
    """What an event of that kind tells."""
    return " ".join(str(_FRAMES[kind].__doc__).split()) if kind in _FRAMES else _AUTHORED[kind]


def _event(kind: str) -> Schema:
    body = {"$ref": f"{_REF}{ev.EVENT_BODIES[kind].__name__}"}
    return {
        "title": event_name(kind),
        "description": f"Event: {event_meaning(kind)}",
        "type": "object",
        "properties": {"kind": {"const": kind}, **_SAME_IN_ALL_EVENTS, "body": body},
        "required": [*_EVENT_REQUIRED, "ref"] if kind in _ACTING else _EVENT_REQUIRED,
    }


def _unknown_event() -> Schema:
    kind = {"type": "string", "pattern": r"^(chat|pay|room)\.", "not": {"enum": list(_KNOWN)}}
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
    received, sent = _received(), _sent()
    names = [*received, *sent]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tuppence",
            "version": str(limits.PROTOCOL_VERSION),
            "description": "Chat and payments over one WebSocket. protocol/README.md is the normative spec.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "node": {
                "host": "{host}",
                "protocol": "wss",
                "description": "Log in with the hello frame; a token never appears in a URL.",
                "variables": {"host": {"description": "Where the operator runs it."}},
            }
        },
        "channels": {
            "socket": {
                "address": "/v1/ws",
                "description": f"Text messages, one JSON object each, at most {limits.FRAME_BYTES_MAX} bytes.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
            }
        },
        "operations": {
            "receive": _operation("receive", "What a client sends.", received),
            "send": _operation("send", "What the server sends.", sent),
        },
        "components": {"messages": received | sent, "schemas": _moved(_definitions())},
    }


def _operation(action: str, summary: str, messages: Schema) -> Schema:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{name}"} for name in messages],
    }


def _received() -> Schema:
    return {
        cls.__name__: _message(cls.__name__, cls.kind, cls.lane, str(cls.__doc__)) for cls in CLIENT_FRAMES
    }


def _sent() -> Schema:
    events = {
        event_name(kind): _message(event_name(kind), kind, Lane.DURABLE, event_meaning(kind))
        for kind in _KNOWN
    }
    frames = {
        cls.__name__: _message(cls.__name__, kind, lane_of(kind), str(cls.__doc__))
        for (kind, _), cls in zip(_server_kinds(), ev.SERVER_FRAMES, strict=True)
    }
    return events | frames


def _server_kinds() -> list[tuple[str, str]]:
    return [(str(cls.__struct_config__.tag), cls.__name__) for cls in ev.SERVER_FRAMES]


def lane_of(kind: str) -> Lane:
    """The lane that the prefix of a server frame's kind names."""
    return Lane.LIVE if kind.startswith("live.") else Lane.SESSION


def _message(name: str, kind: str, lane: Lane, meaning: str) -> Schema:
    return {
        "name": kind,
        "title": name,
        "summary": " ".join(meaning.split()),
        "tags": [{"name": lane.value}],
        "x-lane": lane.value,
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }


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
        between = re.compile(rf"(<!-- generated:{name} -->\n).*?(<!-- /generated -->)", re.DOTALL)
        text = between.sub(lambda found, table=table: f"{found[1]}{table}{found[2]}", text)  # type: ignore[misc]
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
    """The Markdown tables of the spec by name: kinds, errors, closes, limits."""
    return {
        "kinds": _tables.kinds(_definitions(), _kinds()),
        "errors": _tables.errors(),
        "closes": _tables.closes(),
        "limits": _tables.limits(),
    }


def _kinds() -> Iterable[tuple[str, str, str, str]]:
    for frame in CLIENT_FRAMES:
        yield frame.kind, frame.__name__, frame.lane.value, "client"
    for kind in _KNOWN:
        yield kind, event_name(kind), Lane.DURABLE.value, "server"
    for kind, name in _server_kinds():
        yield kind, name, lane_of(kind).value, "server"


if __name__ == "__main__":
    main()
