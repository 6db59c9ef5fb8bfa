"""The project's own Python files, as the tests of the house read them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.server import ROOT

PRODUCT: Final = ("server", "protocol", "clients")
ALL: Final = (*PRODUCT, "tests", "benchmarks")


@cache
def sources(*roots: str) -> dict[str, str]:
    """The text of each file below these folders, by its path from the top."""
    files = (file for root in roots for file in (ROOT / root).rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in sorted(files)}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All of them, also those within classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def pages() -> dict[str, str]:
    """What is written for people who run, use or change it, by path from the top."""
    files: list[Path] = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "protocol" / "README.md"]
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}
