"""Text by others is never trusted by the terminal: nothing in it can move the cursor, recolour or reorder."""

import unicodedata
from typing import Final

from tuppence_protocol.characters import is_harmful

COMBINING_MAX: Final = 4
_FILLERS: Final = {"\u115f", "\u1160", "\u3164", "\uffa0"}
"""Letters of Hangul by their category, and not to be seen."""


def clean(text: str) -> str:
    """One line without anything that acts on a terminal or hides; what was there stays visible."""
    shown: list[str] = []
    stacked = 0
    for char in text:
        category = unicodedata.category(char)
        stacked = stacked + 1 if category in {"Mn", "Me"} else 0
        if stacked > COMBINING_MAX:
            continue
        shown.append(_visible(char, category))
    return "".join(shown)


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each clean; every kind of line end counts."""
    return [clean(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


def _visible(char: str, category: str) -> str:
    if char == "\t":
        return " "
    if category == "Cc":
        code = ord(char)
        return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else f"<U+{code:04X}>"
    if is_harmful(char) or category in {"Cn", "Co"} or char in _FILLERS:
        return f"<U+{ord(char):04X}>"
    return char
