"""The documentation says what the program says, where the program can say it."""

import re
from fnmatch import fnmatch

from tests.support.server import ROOT
from typer.testing import CliRunner

from tuppence_client.chat import Chat
from tuppence_client.client import Client
from tuppence_client.verbs import Previewable, Verbs
from tuppence_server.cli.main import app

SETTINGS = re.compile(r"<!-- generated:settings -->\n(.*?)<!-- /generated -->", re.DOTALL)


def test_every_setting_is_documented_as_config_doc_tells_it() -> None:
    found = SETTINGS.search((ROOT / "docs" / "operating.md").read_text("utf-8"))
    told = CliRunner().invoke(app, ["config", "doc"])
    assert told.exit_code == 0
    assert found is not None
    assert found[1] == told.output, "put the output of `tuppence config doc` between the marks"


def test_every_call_of_the_client_names_its_errors() -> None:
    """What a call sends or asks can be refused; its docstring says by which class."""
    verbs = (name for name, work in vars(Verbs).items() if not name.startswith("_") and callable(work))
    more = (name for name, work in vars(Previewable).items() if not name.startswith("_") and callable(work))
    chat = (name for name in vars(Chat) if not name.startswith("_"))
    asks = ("history", "event", "list_conversations", "members", "find_user", "quote")
    told = {"request", "claim", "members", "set_role", "pay"}
    named = {*verbs, *more, *chat, *asks}
    assert told <= named
    for name in named:
        text = str(getattr(Client, name).__doc__)
        assert re.search(r"`\w+Error`", text), f"Client.{name} does not say what it raises"


def test_what_the_guides_write_into_a_clone_is_kept_out_of_git() -> None:
    """Data and backups hold everything in the clear."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text("utf-8").splitlines()]
    guides = "".join((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/operating.md"))
    made = set(re.findall(r"\./(data[a-z-]*|backups)", guides))
    assert {"data", "data-new", "backups"} <= made
    assert [name for name in made if not any(fnmatch(name, each) for each in ignored)] == []
