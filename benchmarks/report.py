"""The rows for people: a table on the terminal, and the same in Markdown."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.results import Row, Target

HEADINGS = ("", "Benchmark", "Tuppence", "Floor, same run", "Ratio", "Target", "Met")
_DIGITS = {"/s": 0, "KiB": 1, "MiB": 1, "ms": 2, "s": 2}


def table(rows: Sequence[Row], heading: str, *, judged: bool) -> None:
    """Print the table on stdout, with the notes below it; tiny sizes are not judged by the targets."""
    drawn = Table(*HEADINGS, box=SIMPLE_HEAD, caption=heading, caption_justify="left")
    for row in rows:
        drawn.add_row(*cells(row, judged=judged))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    console.print(drawn)
    for row in rows:
        if row.note:
            console.print(f"{row.part}: {row.name}: {row.note}", markup=False)


def markdown(rows: Sequence[Row], heading: str, *, judged: bool) -> None:
    """Print what benchmarks/README.md shows under Results."""
    print(f"{heading}\n")
    print("| " + " | ".join(HEADINGS) + " |")
    print("|---|---|---:|---|---:|---:|---|")
    for row in rows:
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row, judged=judged)) + " |")
    notes = [f"- {row.name}: {row.note}" for row in rows if row.note]
    if notes:
        print("\n" + "\n".join(notes))


def cells(row: Row, *, judged: bool) -> list[str]:
    """One row as texts, in the order of `HEADINGS`."""
    floor = f"{_figure(row.floor, row.unit)} {row.floor_name}" if row.floor is not None else row.floor_name
    met = "" if row.target is None or not judged else "yes" if row.target.met(row) else "NO"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return [
        row.part,
        row.name,
        _figure(row.value, row.unit),
        floor,
        ratio,
        _promise(row.target, row.unit),
        met,
    ]


def _figure(value: float | None, unit: str) -> str:
    return "—" if value is None else f"{value:,.{_DIGITS.get(unit, 2)}f} {unit}"


def _promise(target: Target | None, unit: str) -> str:
    if target is None:
        return ""
    return f"{target.sense} {target.bound:g}" + (f" {unit}" if target.of == "value" else "")
