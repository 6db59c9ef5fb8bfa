"""How large anything may be: what does not fit is two things. Ruff holds the width of lines (E501)."""

import ast
from typing import Final

from tests.house.sources import ALL, functions, sources

FILE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 40
GENERATED: Final = frozenset({"protocol/tuppence_protocol/currencies.py"})
"""Tables that a program wrote."""
LITERALS: Final = frozenset({"tests/contract/test_store.py batch"})
"""Functions that are one value, a row of every table."""


def test_no_file_is_longer_than_one_reads() -> None:
    found = {path for path, text in sources(*ALL).items() if text.count("\n") > FILE_LINES_MAX}
    assert found - GENERATED == set()


def test_no_function_is_longer_than_one_sees() -> None:
    found = {
        f"{path} {function.name}"
        for path, text in sources(*ALL).items()
        for function in functions(ast.parse(text))
        if function.end_lineno is not None and function.end_lineno - function.lineno >= FUNCTION_LINES_MAX
    }
    assert found - LITERALS == set()
