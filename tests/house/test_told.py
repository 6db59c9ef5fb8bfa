"""What users and operators meet is written down: refusals, close codes, commands and their options."""

import re
from typing import Final

import pytest
from tests.house.sources import pages
from tests.integration.command_tree import Command, commands

from tuppence_protocol.errors import CLOSES, CODES

SPEC: Final = pages()["protocol/README.md"]
GUIDES: Final = "\n".join(pages().values())


def test_every_refusal_and_close_code_is_in_the_spec() -> None:
    assert [code for code in CODES if f"`{code}`" not in SPEC] == []
    rows = [f"| {close.number} | `{name}` |" for name, close in CLOSES.items()]
    assert [row for row in rows if row not in SPEC] == []


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_every_command_and_each_of_its_options_is_in_the_guides(command: Command) -> None:
    assert re.search(rf"tuppence {command.name}\b", GUIDES)
    options = [param.opts[0] for param in command.params if param.param_type_name == "option"]
    assert [option for option in options if not re.search(rf"{option}\b", GUIDES)] == []
