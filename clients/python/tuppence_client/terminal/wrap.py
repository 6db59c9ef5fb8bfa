"""A line is broken between words to the width of the terminal, and what follows stands under what it goes on
with."""

from typing import Final

from prompt_toolkit.utils import get_cwidth

from .style import Line

COLUMNS_MIN: Final = 12
_TEXT_AT: Final = 7
"""Where the text of an event begins, behind its time."""


def wrapped(line: Line, columns: int) -> list[Line]:
    """The rows of a line, none wider than `columns` cells; a word that is wider than a row is cut."""
    width = max(COLUMNS_MIN, columns)
    begins = "".join(text for _, text in line)[:_TEXT_AT]
    at = _TEXT_AT if line and (line[0][0] == "class:time" or "│" in begins) else 2
    indent = min(at, width // 4)
    cells = [(style, char, get_cwidth(char)) for style, text in line for char in text]
    rows: list[Line] = []
    while cells:
        room = width - (indent if rows else 0)
        end = _end_of_row(cells, room)
        rows.append([("", " " * indent)] * bool(rows) + _joined(cells[:end]))
        cells = cells[end:]
        while cells and cells[0][1] == " ":
            del cells[0]
    return rows or [[]]


def _end_of_row(cells: list[tuple[str, str, int]], room: int) -> int:
    """How many characters go on this row: as many whole words as fit."""
    used, space = 0, 0
    for n, (_, char, width) in enumerate(cells):
        if used + width > room:
            return space or max(n, 1)
        used += width
        if char == " " and any(cell[1] != " " for cell in cells[:n]):
            space = n
    return len(cells)


def _joined(cells: list[tuple[str, str, int]]) -> Line:
    joined: Line = []
    for style, char, _ in cells:
        if joined and joined[-1][0] == style:
            joined[-1] = (style, joined[-1][1] + char)
        else:
            joined.append((style, char))
    return joined
