"""The house is as its documents say: every module in the tree, every decision under its own number."""

import re

from tests.support.server import ROOT


def test_every_module_stands_in_the_tree_of_the_architecture() -> None:
    """By name, below its own folder; and nothing else stands there."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    tree = text.partition("## The tree\n")[2].partition("\n## ")[0]
    told: set[str] = set()
    path: list[tuple[int, str]] = []
    for line in tree.splitlines():
        if not line.startswith("    ") or not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        path = [each for each in path if each[0] < indent]
        within = "".join(folder for _, folder in path)
        for name in re.split(r" {2,}", line.strip())[0].split(" "):
            told.add(within + name)
            if name.endswith("/"):
                path.append((indent, name))
    roots = ("server/tuppence_server", "protocol/tuppence_protocol", "clients/python")
    modules = {
        file.relative_to(ROOT).as_posix()
        for root in roots
        for file in (ROOT / root).rglob("*.py")
        if not file.name.startswith("__")
    }
    assert modules - told == set(), "modules that the tree does not name"
    missing = {each for each in told if each.endswith(".py") and not (ROOT / each).exists()}
    assert missing == set(), "what the tree names is not there"


def test_decisions_are_named_by_their_numbers() -> None:
    """A title has the number of its file, in one form; so has whoever points to one."""
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        title = file.read_text("utf-8").partition("\n")[0]
        assert re.match(rf"# {file.name[:4]}: \S", title), f"{file.name}: {title!r}"
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "protocol").glob("*.md")]
    for page in pages:
        for said, meant in re.findall(r"\[(\d{4})\]\([^)]*?(\d{4})-[^)]*\)", page.read_text("utf-8")):
            assert said == meant, f"{page.name} says {said} and points to {meant}"
