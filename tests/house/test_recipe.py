"""Whoever follows the recipe of CONTRIBUTING.md has a kind that works: here `chat.wave`,
in a copy of the tree."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from tests.support.server import ROOT, Server

PROTOCOL: Final = "protocol/tuppence_protocol/kinds"
DECLARATION: Final = '''"""Waving."""

from typing import Annotated, Final

from msgspec import Meta

from tuppence_protocol.shapes import Body, InPlace
from tuppence_protocol.views import Extensible

from .kind import Kind


class WaveBody(Body, frozen=True):
    word: Annotated[str, Meta(min_length=1, max_length=20)]


class ChatWave(InPlace, tag="chat.wave", kw_only=True, frozen=True):
    """Wave at those who are here."""

    body: WaveBody


class Waved(Extensible, frozen=True):
    word: str
    alt: str


CHAT_WAVE: Final = Kind(
    "chat.wave", ChatWave, Waved, sent={"word": "Hi"}, told={"word": "Hi", "alt": "@alice waved: Hi"}
)
'''
RULE: Final = '''

def needs_wave(book: Book, keys: Keys, author: str, frame: ChatWave) -> None:
    """The conversation, and how the author waved last."""
    need_place(book, keys, author, frame.conv)
    book.need(keys, Wave, author)


def wave(book: Book, author: str, frame: ChatWave) -> Decision:
    """Wave."""
    place = writable(book, author, frame.conv)
    if type(place) is Refusal:
        return place
    conversation, facts = place
    word, before = frame.body.word, book.find(Wave, author)
    alt = f"Somebody waved: {word}" if before is None else f"Somebody waved: {word}, after {before.word}"
    waved = event(conversation.id, author, frame, {"word": word, "alt": alt})
    return [*facts, waved, Keep(Wave(author, word))]
'''
ROW: Final = '''class Wave(SimpleRow, frozen=True, gc=False):
    """How a person waved last."""

    KEY = ("user",)
    CHANGING = ("word",)
    user: str
    word: str


'''
TABLE: Final = """CREATE TABLE wave (
  user TEXT PRIMARY KEY REFERENCES user (id),
  word TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
CALL: Final = '''    def wave(self, conv: str, word: str, *, id: str | None = None) -> R:
        """Wave at those in `conv`; the body of the event is `Waved`."""
        return self.__do(
            kinds.ChatWave(id=id or self.__new_id(), conv=conv, body=kinds.WaveBody(word=word))
        )

'''
DOMAIN: Final = "server/tuppence_server/domain"
MIGRATIONS: Final = "server/tuppence_server/store/sqlite/migrations"
NEXT: Final = 1 + len([*(ROOT / MIGRATIONS).glob("*.sql")])
EDITS: Final = (
    (f"{PROTOCOL}/chat_wave.py", "", DECLARATION),
    (f"{PROTOCOL}/__init__.py", r"(?m)^from \.kind import", "from .chat_wave import *\n"),
    (f"{PROTOCOL}/__init__.py", r"(?m)^    PAY_SEND,", "    CHAT_WAVE,\n"),
    (f"{DOMAIN}/chat/messages.py", r"ChatText\n", "ChatWave, "),
    (f"{DOMAIN}/chat/messages.py", r"Append, Decision", "event, Keep, "),
    (f"{DOMAIN}/chat/messages.py", r"User, pair_of\n", "Wave, "),
    (f"{DOMAIN}/chat/messages.py", r"\Z", RULE),
    (f"{DOMAIN}/rows.py", r"(?m)^SIMPLE_ROWS", ROW),
    (f"{DOMAIN}/rows.py", r"(?<=SimpleRow\], \.\.\.\]\] = \()", "Wave, "),
    (f"{MIGRATIONS}/{NEXT:04}_wave.sql", "", TABLE),
    (
        f"{DOMAIN}/rules.py",
        r"(?m)^ +_rule\(kinds\.PaySend,",
        "        _rule(kinds.ChatWave, messages.needs_wave, messages.wave),\n",
    ),
    ("clients/python/tuppence_client/chat.py", r"(?m)^    def create_room", CALL),
)
"""File by file, what is put before the first place that fits."""
USER: Final = """
import sys
from tuppence_client import SyncClient
with SyncClient(sys.argv[1], token=sys.argv[2]) as client:
    print(client.wave("@bob", "Hello").body.word)
"""


class Clone:
    """A copy of the sources, in which programs find each other and not those that they were copied from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {
            "PYTHONPATH": os.pathsep.join(str(root / at) for at in ("protocol", "server", "clients/python"))
        }

    def edit(self, name: str, before: str, text: str) -> None:
        file = self.root / name
        old = file.read_text("utf-8") if before else ""
        at = re.search(before, old)
        assert at is not None, f"{name} has no {before}"
        file.write_text(old[: at.start()] + text + old[at.start() :], "utf-8")

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root, env=os.environ | self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, name: str) -> dict[str, str]:
        """The rows of a file of vectors by their names."""
        lines = (self.root / "protocol" / "vectors" / name).read_text("utf-8").splitlines()
        return {json.loads(line)["name"]: line for line in lines}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    root = tmp_path_factory.mktemp("clone")
    leave = shutil.ignore_patterns("__pycache__", "node_modules")
    for folder in ("protocol", "server", "clients/python", "tests/conformance"):
        shutil.copytree(ROOT / folder, root / folder, ignore=leave)
    clone = Clone(root)
    for edit in EDITS:
        clone.edit(*edit)
    clone.run("-m", "tuppence_protocol.schema", "protocol")
    clone.run("-m", "tests.conformance.make_vectors")
    return clone


def test_the_recipe_names_each_file_that_was_touched() -> None:
    recipe = (
        (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Adding a kind")[2].partition("\n## ")[0]
    )
    for name, _, _ in EDITS:
        told = name if "migrations" not in name else f"{MIGRATIONS}/"
        assert f"`{told}`" in recipe, name
    for command in ("tuppence_protocol.schema protocol", "tests.conformance.make_vectors"):
        assert command in recipe


def test_schema_and_spec_tell_of_it_and_of_everything_else_as_before(clone: Clone) -> None:
    old = json.loads((ROOT / "protocol" / "schema.json").read_text("utf-8"))["$defs"]
    new = json.loads((clone.root / "protocol" / "schema.json").read_text("utf-8"))["$defs"]
    assert new.keys() - old.keys() == {"ChatWave", "ChatWaveEvent", "WaveBody", "Waved"}
    unions = {"ClientFrame", "ServerFrame", "Event", "UnknownEvent"}
    assert {name for name in old if old[name] != new[name]} == unions
    before = (ROOT / "protocol" / "README.md").read_text("utf-8").splitlines()
    added = [
        line
        for line in (clone.root / "protocol" / "README.md").read_text("utf-8").splitlines()
        if line not in before
    ]
    assert added == [
        f"| `chat.wave` | durable | {who} | {members} | Wave at those who are here. |"
        for who, members in (("client", "`word`"), ("server", "`word`, `alt`"))
    ]


def test_vectors_are_added_and_none_is_changed(clone: Clone) -> None:
    here = Clone(ROOT)
    for name in ("valid.jsonl", "invalid.jsonl", "events.jsonl"):
        old, new = here.rows(name), clone.rows(name)
        assert old == {row: new[row] for row in old}
        added = new.keys() - old.keys()
        assert added
        assert all(row.startswith("chat.wave: ") for row in added)


async def test_one_is_sent_received_listed_and_sent_once(clone: Clone, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", clone.env)
    await server.start()
    try:
        alice, bob = await server.people("alice", "bob")
        sender, receiver = await server.connect(alice), await server.connect(bob)
        frame = {"kind": "chat.wave", "id": "0197a1c2-7d3e-7b1a-9c55-0123456789ab", "conv": "@bob"}
        for _ in range(2):
            await sender.send(frame | {"body": {"word": "Hi"}})
            event = await sender.expect(kind="chat.wave", id=frame["id"])
        await sender.send(frame | {"body": {"word": "Ho"}})
        assert (await sender.expect(kind="error"))["body"]["code"] == "id_reused"
        assert await receiver.expect(kind="chat.wave") == event
        assert clone.run("-c", USER, server.url, alice.token) == "Hello\n"
        heard = await receiver.expect(kind="chat.wave")
        assert heard["body"] == {"word": "Hello", "alt": "Somebody waved: Hello, after Hi"}
        question = {
            "kind": "ask.history",
            "id": "3f2b8c1e-94d7-4a06-8e21-fedcba987654",
            "conv": event["conv"],
        }
        await receiver.send(question)
        assert (await receiver.expect(kind="result"))["body"]["events"] == [event, heard]
        assert (await server.stop_and_verify())["events"] == 2
        with closing(sqlite3.connect(tmp_path / "data" / "tuppence.db")) as db:
            assert db.execute("SELECT word FROM wave").fetchall() == [("Hello",)]
    finally:
        await server.close()
    assert server.faults() == []
