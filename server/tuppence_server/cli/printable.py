"""What the commands print on: text as it is, and nothing that a terminal would act on.

People choose names, notes and paths. Here, and nowhere else, what they wrote is made harmless: no markup is
read in a string, and a character that moves the cursor, turns the text round or cannot be seen is shown as
its escape.
"""

import json
import os
import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console, ConsoleOptions
from rich.text import Text

from tuppence_protocol.characters import is_harmful

WIDE_COLUMNS: Final = 10_000
"""A file or pipe has no edge at which a table would have to be cut."""
_odd = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str) -> str:
    """Text that a terminal shows and does not act on; line breaks stay."""
    return _odd.sub(_escaped, text)


def one_line(text: str) -> str:
    """The same where a line break would falsify what is around it."""
    return printable(text).replace("\n", "\\n")


def json_line(value: Any, encoding: str) -> str:
    """A value as a line of JSON that a terminal does not act on and that this encoding can hold."""
    plain = encoding.lower().replace("-", "") not in ("utf8", "utf8sig")
    return _odd.sub(_json_escaped, json.dumps(value, ensure_ascii=plain)) + "\n"


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    return found.encode("unicode_escape").decode("ascii") if is_harmful(found) else found


def _json_escaped(match: re.Match[str]) -> str:
    found = match[0]
    if not is_harmful(found):
        return found
    units = found.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


class Paper(Console):
    """A console for one of the standard streams."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)

    @property
    def options(self) -> ConsoleOptions:
        """How to lay out; a file or pipe is as wide as it takes."""
        found = super().options
        return found if self.is_terminal else found.update_width(WIDE_COLUMNS)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string comes through here: what is printed, and each cell of a table."""
        return super().render_str(printable(text), **options)

    def print(self, *things: Any, **options: Any) -> None:
        """As ever; what could not be written is not tried again."""
        try:
            super().print(*things, **options)
        except OSError:
            self._buffer.clear()
            raise

    def on_broken_pipe(self) -> None:
        """Whoever read has seen enough: the rest goes nowhere, and the command ends as it would have."""
        self._buffer.clear()
        unplug(self)

    def json(self, value: Any) -> None:
        """Print a line of JSON."""
        try:
            self.file.write(json_line(value, getattr(self.file, "encoding", None) or "utf-8"))
            self.file.flush()
        except BrokenPipeError:
            unplug(self)

    def flush(self) -> None:
        """Have everything written, so that a disk that is full is told while it can be."""
        try:
            self.file.flush()
        except BrokenPipeError:
            unplug(self)


class PaperFile:
    """Takes a file in UTF-8 piece by piece. Into a file it goes as it is; a terminal is spared what it would
    act on."""

    def __init__(self, paper: Paper, escaped: Callable[[re.Match[str]], str]) -> None:
        self._paper = paper
        self._escaped = escaped
        self._decoder = getincrementaldecoder("utf-8")()

    def write(self, piece: bytes) -> None:
        """Print a piece.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        paper = self._paper
        binary = getattr(paper.file, "buffer", None)
        if binary is not None and not paper.is_terminal:
            binary.write(piece)
        else:
            paper.file.write(_odd.sub(self._escaped, self._decoder.decode(piece).replace("\r\n", "\n")))


def json_file(paper: Paper) -> PaperFile:
    """For lines of JSON."""
    return PaperFile(paper, _json_escaped)


def text_file(paper: Paper) -> PaperFile:
    """For CSV."""
    return PaperFile(paper, _escaped)


def unplug(paper: Paper) -> None:
    """Let what is still written to a closed pipe go nowhere, also what Python flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, paper.file.fileno())
    os.close(nowhere)
