"""The documentation says what the program says, where the program can say it."""

import re

from tests.harness import ROOT
from typer.testing import CliRunner

from tuppence_server.cli import app

SETTINGS = re.compile(r"<!-- generated:settings -->\n(.*?)<!-- /generated -->", re.DOTALL)


def test_every_setting_is_documented_as_config_doc_tells_it() -> None:
    found = SETTINGS.search((ROOT / "docs" / "operating.md").read_text("utf-8"))
    told = CliRunner().invoke(app, ["config", "doc"])
    assert told.exit_code == 0
    assert found is not None
    assert found[1] == told.output, "put the output of `tuppence config doc` between the marks"
