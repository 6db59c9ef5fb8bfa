"""Nothing that changes belongs to a module: whoever works with it has been given it."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.house.sources import PRODUCT, functions, sources

CHANGES: Final = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft",
    "remove", "setdefault", "update",
}  # fmt: skip


def test_no_function_changes_what_belongs_to_its_module() -> None:
    found = [
        f"{path}:{line} {name}"
        for path, text in sources(*PRODUCT, "benchmarks").items()
        for line, name in _changes(ast.parse(text))
    ]
    assert found == []


def _changes(module: ast.Module) -> Iterator[tuple[int, str]]:
    owned = {name for node in module.body for name in _bound(node)}
    for function in functions(module):
        inside = {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}
        inside |= {
            node.id
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield node.lineno, "global " + ", ".join(node.names)
            elif (name := _changed(node)) in owned - inside:
                yield function.lineno, str(name)


def _bound(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _changed(node: ast.AST) -> str | None:
    """The name of what a subscript or a method changes in place."""
    inner: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        inner = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        inner = node.func.value
    return inner.id if isinstance(inner, ast.Name) else None
