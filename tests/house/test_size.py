"""How large anything may be: what does not fit is two things."""

import ast
from typing import Final

from tests.house.sources import ALL, functions, sources

FILE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 40
LINE_COLUMNS_MAX: Final = 110
GENERATED: Final = ("protocol/tuppence_protocol/currencies.py",)
"""Tables that a program wrote."""
LONG_FILES: Final = ("tests/contract/", "tests/unit/")
"""What is being made smaller still, by how its path begins."""
LONG_FUNCTIONS: Final = ("tests/contract/", "tests/unit/")
"""As above, by how path and name begin."""
WIDE_FILES: Final = (
    "tests/conformance/",
    "tests/contract/",
    "tests/house/",
    "tests/integration/test_sdk",
    "tests/integration/test_terminal",
    "tests/support/memory_store/",
    "tests/unit/",
)
"""As above."""


def test_no_file_is_longer_than_one_reads() -> None:
    found = {path for path, text in sources(*ALL).items() if text.count("\n") > FILE_LINES_MAX}
    assert [path for path in found if not path.startswith((*GENERATED, *LONG_FILES))] == []


def test_no_function_is_longer_than_one_sees() -> None:
    found = {
        f"{path} {function.name}"
        for path, text in sources(*ALL).items()
        for function in functions(ast.parse(text))
        if function.end_lineno is not None and function.end_lineno - function.lineno >= FUNCTION_LINES_MAX
    }
    assert [each for each in found if not each.startswith(LONG_FUNCTIONS)] == []


def test_no_line_is_wider_than_the_page() -> None:
    wide = {
        path: [n for n, line in enumerate(text.splitlines(), 1) if len(line) > LINE_COLUMNS_MAX]
        for path, text in sources(*ALL).items()
        if not path.startswith(WIDE_FILES)
    }
    assert {path: lines for path, lines in wide.items() if lines} == {}
