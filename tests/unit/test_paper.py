"""What people wrote is printed as text: nothing in it reaches a terminal as an order,
and nothing of it is lost."""

import ast
import io
import json
import re
import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from tuppence_protocol.characters import is_harmful
from tuppence_protocol.names import NAME_PATTERN
from tuppence_server.cli.printable import Paper, json_line, one_line, printable

SERVER = Path(__file__).parents[2] / "server" / "tuppence_server"
ANYTHING = st.text(st.characters(codec=None), max_size=40) | st.lists(
    st.sampled_from(
        [
            "\x1b]0;title\a",
            "\x1b[2J",
            "\u202e",
            "[/]",
            "[red]",
            "\\[/]",
            ":smile:",
            "\x9b",
            "\u2028",
            "\r",
            "a",
        ]
    )
).map("".join)


def printed(*things: object) -> str:
    """What a console for a file writes."""
    paper = Paper()
    paper.file = io.StringIO()
    paper.print(*things)
    return paper.file.getvalue()


@given(ANYTHING)
def test_a_string_and_a_cell_come_out_as_text_and_nothing_else(text: str) -> None:
    table = Table("name", box=None)
    table.add_row(one_line(text))
    for out in (printed(text), printed(table)):
        assert not [each for each in out if each != "\n" and is_harmful(each)]
    assert printed(one_line(text)).removesuffix("\n").rstrip() == one_line(text).rstrip()
    assert "\n" not in one_line(text)


@given(ANYTHING)
def test_a_line_of_json_says_the_same_and_orders_nothing(text: str) -> None:
    for encoding in ("utf-8", "ascii", "latin-1"):
        line = json_line({"name": text}, encoding)
        assert json.loads(line) == {"name": text}
        assert not [each for each in line.removesuffix("\n") if is_harmful(each)]
        assert encoding == "utf-8" or line.isascii()


def test_what_is_told_apart_by_eye_stays_as_it_is() -> None:
    for text in ("Zoë", "山田　太郎", "👨\u200d👩\u200d👧", "[draft] 5 % \\ done :smile:", "नमस्\u200cते"):
        assert printable(text) == text
    assert printable("a\x1b[2J\u202eb") == r"a\x1b[2J\u202eb"


def test_every_class_of_unicode_that_moves_or_hides_is_harmful() -> None:
    for point in range(0x110000):
        if unicodedata.category(chr(point)) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert is_harmful(chr(point)) or point in (0x200C, 0x200D)


def test_what_names_may_not_have_is_harmful() -> None:
    fits = re.compile(NAME_PATTERN).match
    for point in range(0x110000):
        assert fits(chr(point)) or is_harmful(chr(point)), f"U+{point:04X}"


def test_no_module_of_the_server_writes_markup() -> None:
    """A style is an object, so that no string is ever read for one."""
    for path in SERVER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "[/]" not in node.value, f"{path.name}:{node.lineno}"
        assert path.name in ("paper.py", "keeping.py") or "Console(" not in path.read_text("utf-8"), path.name
