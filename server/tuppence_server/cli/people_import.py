"""The command that takes in many people and credits from a file."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.progress import Progress

from tuppence_server.admin.importing import ROWS_PER_CALL_MAX
from tuppence_server.admin.people_file import Mistaken, Row, read_people
from tuppence_server.config.settings import Settings

from .output import USAGE, DataOption, JsonOption, counted, fail, guarded, plain, read_settings, show, talk

PIECE_BYTES_MAX: Final = 48 * 1024
REFUSED_SHOWN_MAX: Final = 20


@guarded
def import_people(
    file: Annotated[Path, typer.Argument(help="CSV with a header; the column handle is needed.")],
    batch: Annotated[
        str | None,
        typer.Option(
            help="Name of this round of credits, which pays once however often it is run. "
            "Needed where there are any."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and do nothing.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add people and credit them, from a CSV file. Again with the same file it goes on where it broke off.

    Columns: handle, name, password_hash (argon2id) or password, amount, currency, note, id (a UUID of your
    own). Who has no password can log in once you give one: tuppence user passwd.

    Example:  tuppence import people.csv --batch opening
    """
    rows = _read(file, batch or "")
    if dry_run:
        _show_counts(rows, as_json)
        return
    if batch is None and any(row.amount is not None for row in rows):
        raise fail(
            "The file has credits: give this round of them a name, such as --batch opening. Run again"
            " under the same name it pays nobody twice, also from a file that was corrected.",
            USAGE,
        )
    sums, refused = _take_in(read_settings(data=data), rows, quiet=as_json)
    total = {name: sums[name] for name in ("added", "credited", "repeated")}
    _show_result(total | {"batch": batch, "refused": refused}, as_json)
    if refused:
        raise typer.Exit(1)


def _read(file: Path, batch: str) -> list[Row]:
    try:
        return read_people(file, batch)
    except Mistaken as mistaken:
        wrong = fail(mistaken.lines[0], USAGE)
        for line in mistaken.lines[1:]:
            talk.print(plain(line))
        raise wrong from None


def _show_counts(rows: list[Row], as_json: bool) -> None:
    paid = sum(row.amount is not None for row in rows)
    counts = {"rows": len(rows), "people": len({row.handle for row in rows}), "credits": paid}
    found = f"{counted(counts['people'], 'person', 'people')}, {counted(paid, 'credit')}"
    show(counts, as_json, f"The file is good: {found}. Nothing was done.")


def _take_in(
    settings: Settings, rows: list[Row], *, quiet: bool
) -> tuple[Counter[str], list[dict[str, Any]]]:
    """How many were added, credited and had been before; what was refused, by line."""
    from . import admin_client

    sums, refused = Counter[str](), list[dict[str, Any]]()
    with Progress(console=talk, transient=True, disable=quiet or not talk.is_terminal) as progress:
        task = progress.add_task("Importing", total=len(rows))
        for piece in _pieces(rows):
            try:
                done = admin_client.do(
                    settings, "people.import", rows=[msgspec.to_builtins(row) for row in piece]
                )
            except BaseException:
                _warn_broken(sums, piece[0].line)
                raise
            refused += done.pop("refused")
            sums.update(done)
            progress.advance(task, len(piece))
    return sums, refused


def _warn_broken(sums: Counter[str], line: int) -> None:
    """What is certain where the rest is not."""
    talk.print(
        f"Broken off at line {line}: {_done(sums)}. Run it again with the same --batch; nobody is paid twice."
    )


def _show_result(done: dict[str, Any], as_json: bool) -> None:
    text = f"{_done(done)}."
    if done["repeated"]:
        repeated = counted(done["repeated"], "credit")
        text += f" {repeated} of the batch {done['batch']!r} had been made before, and not again."
    if not as_json:
        for each in done["refused"][:REFUSED_SHOWN_MAX]:
            talk.print(plain(f"line {each['line']}: {each['why']}"))
        if done["refused"]:
            talk.print(
                "A refused credit stays refused under its key, also once its cause is gone."
                " Give its line an `id` of its own (a new UUID) and run the same batch again;"
                " another --batch would pay all the others twice."
            )
        if len(done["refused"]) > REFUSED_SHOWN_MAX:
            talk.print(f"… and {len(done['refused']) - REFUSED_SHOWN_MAX} more were refused")
    show(done, as_json, text)


def _done(sums: Mapping[str, int]) -> str:
    return f"{counted(sums['added'], 'person', 'people')} added, {counted(sums['credited'], 'credit')} made"


def _pieces(rows: list[Row]) -> Iterator[list[Row]]:
    """As many as go into one call."""
    piece: list[Row] = []
    size = 0
    for row in rows:
        length = len(msgspec.json.encode(row))
        if piece and (len(piece) == ROWS_PER_CALL_MAX or size + length > PIECE_BYTES_MAX):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += length
    if piece:
        yield piece
