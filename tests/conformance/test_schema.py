"""The schema, the AsyncAPI document and the tables of the spec say what the classes say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.conformance.make_vectors import VECTORS

from tuppence_protocol import codec, packets, schema
from tuppence_protocol.errors import CLOSES, CODES, Family, Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import CLIENT_FRAMES, EVENT_BODIES, PAYMENT_BODIES, SERVER_FRAMES, Result
from tuppence_protocol.money import parse_amount

PROTOCOL = VECTORS.parent
SCHEMA = schema.json_schema()
SPEC = (PROTOCOL / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"^(?:([CSB]) )?(\{\"kind\".*\})$", SPEC, re.MULTILINE)


def validator(root: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{root}", "$defs": SCHEMA["$defs"]})


CLIENT = validator("ClientFrame")
SERVER = validator("ServerFrame")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / name).read_text("utf-8").splitlines()]


def links(value: Any) -> set[str]:
    """Every `$ref` in a document."""
    if isinstance(value, list):
        return set().union(*map(links, value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*map(links, value.values()))


def resolve(document: Any, link: str) -> Any:
    for step in link.removeprefix("#/").split("/"):
        document = document[step]
    return document


@pytest.mark.parametrize(
    ("name", "document"), [("schema.json", SCHEMA), ("asyncapi.json", schema.asyncapi())]
)
def test_files_are_what_the_classes_say(name: str, document: schema.Schema) -> None:
    assert (PROTOCOL / name).read_text("utf-8") == schema.pretty(document)


def test_tables_of_the_spec_are_what_the_classes_say() -> None:
    assert schema.with_tables(SPEC) == SPEC
    for name, table in schema.tables().items():
        assert f"<!-- generated:{name} -->\n{table}<!-- /generated -->" in SPEC


def test_main_writes_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("a\n<!-- generated:limits -->\nold\n<!-- /generated -->\nz\n")
    monkeypatch.setattr("sys.argv", ["schema", str(tmp_path)])
    schema.main()
    for name in ("schema.json", "asyncapi.json"):
        assert (tmp_path / name).read_bytes() == (PROTOCOL / name).read_bytes()
    written = (tmp_path / "README.md").read_text("utf-8")
    assert "old" not in written
    assert "FRAME_BYTES_MAX" in written


def test_schema_is_a_schema_and_whole() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for link in links(SCHEMA):
        assert resolve(SCHEMA, link)
    for cls in CLIENT_FRAMES:
        assert SCHEMA["$defs"][cls.__name__]["description"]
    for kind in EVENT_BODIES:
        assert SCHEMA["$defs"][schema.event_name(kind)]["properties"]["kind"] == {"const": kind}
    assert "RawEvent" not in json.dumps(SCHEMA)
    assert "discriminator" not in json.dumps(SCHEMA)


def test_client_frames_are_closed_and_server_frames_open() -> None:
    reached: set[str] = set()
    for root, closed in (("ClientFrame", True), ("ServerFrame", False)):
        names = closure(root)
        for name in names - {"ClientFrame", "ServerFrame", "Event"}:
            assert (SCHEMA["$defs"][name].get("additionalProperties") is False) == closed, name
        reached |= names
    assert reached == SCHEMA["$defs"].keys()


def closure(root: str) -> set[str]:
    found, waiting = {root}, [root]
    while waiting:
        for link in links(SCHEMA["$defs"][waiting.pop()]):
            name = link.rpartition("/")[2]
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def test_asyncapi_refs_resolve_and_cover_every_kind() -> None:
    document = schema.asyncapi()
    for link in links(document):
        assert resolve(document, link)
    messages = document["components"]["messages"]
    sent = {link["$ref"].rpartition("/")[2] for link in document["operations"]["send"]["messages"]}
    received = {link["$ref"].rpartition("/")[2] for link in document["operations"]["receive"]["messages"]}
    assert {messages[name]["name"] for name in received} == {cls.kind for cls in CLIENT_FRAMES}
    tags = {str(cls.__struct_config__.tag) for cls in SERVER_FRAMES}
    assert {messages[name]["name"] for name in sent} == tags | EVENT_BODIES.keys()
    assert sent | received == messages.keys() == document["channels"]["socket"]["messages"].keys()
    assert not sent & received


def test_valid_vectors_fit_the_schema() -> None:
    for row in rows("valid.jsonl"):
        CLIENT.validate(json.loads(row["frame"]))


def test_event_vectors_fit_the_schema() -> None:
    for row in rows("events.jsonl"):
        SERVER.validate(json.loads(row["raw"]))


def test_invalid_vectors_do_not_fit_the_schema() -> None:
    """Where JSON itself is good, except what a schema cannot say: members twice, U+0000, sizes in bytes."""
    judged = 0
    for row in rows("invalid.jsonl"):
        if "raw_hex" in row or row["code"] == "bad_json" or row["field"].startswith("$.."):
            continue
        if row["field"] == "$.body" and "U+0000" in row["name"]:
            continue
        raw = row["raw"] if "raw" in row else "".join(text * times for text, times in row["repeat"])
        if len(raw) > 65_536 or raw.count("[") > 1_000:
            continue
        # Python holds that 1.0 is an integer, as JSON Schema does; the wire does not.
        if re.search(r'"not_after":(1\.0|1e3|1E\+3|9007199254740991\.0)}', raw):
            continue
        judged += 1
        assert not CLIENT.is_valid(json.loads(raw)), row["name"]
    assert judged > 500


def test_every_frame_in_the_spec_is_good() -> None:
    assert len(EXAMPLES) > 40
    asked: dict[str, str] = {}
    for who, text in EXAMPLES:
        frame = json.loads(text)
        if who == "S":
            SERVER.validate(frame)
            message = codec.decode_server(text)
            assert message is not None
            if isinstance(message, Event):
                assert type(message.body) is EVENT_BODIES[message.kind], text
            if isinstance(message, Result):
                codec.decode_result(asked[message.ref], message.body)
        else:
            CLIENT.validate(frame)
            assert not isinstance(codec.decode_client(text), Refusal), text
            asked[frame.get("id", "")] = frame["kind"]


def section(title: str) -> str:
    return SPEC.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_spec_tells_of_every_kind_and_refusal_of_money() -> None:
    money = section("Money")
    kinds = PAYMENT_BODIES.keys() | {"ask.payments", "ask.statement", "ask.quote", "ask.preview"}
    elsewhere = {"account_disabled", "already_member", "last_owner", "room_full", "too_many_groups"}
    of_the_operator = {"not_empty"}
    families = {Family.ACCOUNT, Family.STATE, Family.LIMITS, Family.FUNDS}
    codes = {code.name for code in CODES.values() if code.family in families}
    for word in kinds | {"rate_unavailable", "split_sum"} | codes - elsewhere - of_the_operator:
        assert f"`{word}`" in money, word


def test_links_within_the_spec_lead_somewhere() -> None:
    titles = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", SPEC, re.MULTILINE)}
    for link in re.findall(r"\]\(#([^)]+)\)", SPEC):
        assert link in titles


def test_the_draw_in_the_spec_runs_and_draws_what_the_vectors_say() -> None:
    program = re.search(r"^```python\n(.*?)^```$", SPEC, re.MULTILINE | re.DOTALL)
    assert program is not None
    named: dict[str, Any] = {}
    exec(program[1], named)
    for row in rows("packets.jsonl"):
        seed = bytes.fromhex(row["seed"])
        shares = named["draw"](seed, row["total"], row["count"], row["mode"])
        assert shares == row["shares"], row["name"]
        assert (named["proof"](seed, row["id"], shares) == row["proof"]) == row["fair"], row["name"]


def test_the_packet_in_the_spec_is_fair() -> None:
    events = [json.loads(text) for who, text in EXAMPLES if who == "S"]
    packet = next(event for event in events if event["kind"] == "pay.packet")
    about = [event for event in events if event.get("ref") == packet["id"]]
    body, end = packet["body"], about[-1]["body"]
    seed, total = bytes.fromhex(end["seed"]), parse_amount(body["total"], body["currency"])
    assert isinstance(total, int)
    assert packets.is_fair(packet["id"], total, body["count"], body["mode"], body["proof"], seed)
    drawn = packets.draw(seed, total, body["count"], body["mode"])
    claims = [event["body"] for event in about if event["kind"] == "pay.claim"]
    assert [parse_amount(claim["amount"], claim["currency"]) for claim in claims] == drawn[: len(claims)]
    assert [claim["share"] for claim in claims] == [1, 2]
    returned = end["returned"]
    assert parse_amount(returned["amount"], returned["currency"]) == sum(drawn[len(claims) :])


def test_every_code_and_close_in_the_spec_exists() -> None:
    table = schema.tables()
    for code in CODES:
        assert f"`{code}`" in table["errors"]
    for close in CLOSES.values():
        assert (
            f"| {close.number} | `{close.name}` | {'yes' if close.reconnect else 'no'} |" in table["closes"]
        )
