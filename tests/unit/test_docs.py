"""The documentation says what the program says, where the program can say it."""

import re

from tests.harness import ROOT
from typer.testing import CliRunner

from tuppence_client.client import Client
from tuppence_client.rooms import Rooms
from tuppence_client.verbs import Previewable, Verbs
from tuppence_server.cli import app

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
    rooms = (name for name in vars(Rooms) if not name.startswith("_"))
    asks = ("send", "history", "event", "list_conversations", "members", "find_user", "quote")
    told = {"request", "claim", "members", "set_role", "pay"}
    named = {*verbs, *more, *rooms, *asks}
    assert told <= named
    for name in named:
        text = str(getattr(Client, name).__doc__)
        assert re.search(r"`\w+Error`", text), f"Client.{name} does not say what it raises"
