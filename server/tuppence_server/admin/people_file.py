"""A file of people and credits, for `tuppence import`: read and judged as a whole before anything is done.

CSV in UTF-8 with a header (RFC 4180). Each credit gets an idempotency key made from the name of the batch,
the person and the currency, of which there is one each: the same batch again credits nobody twice, also where
it was broken off, in another order or with more people, and where an amount was changed since, the server
tells so.
"""

import csv
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from msgspec import Struct

from tuppence_protocol.codec import is_id
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import NAME_CHARS_MAX, NOTE_CHARS_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from tuppence_protocol.money import parse_amount
from tuppence_protocol.names import fit_name
from tuppence_protocol.shapes import HANDLE_PATTERN

from .credentials import can_be_typed, handle_meant, opaque

if TYPE_CHECKING:
    import _csv

COLUMNS: Final = ("handle", "name", "password_hash", "password", "amount", "currency", "note", "id")
ROWS_MAX: Final = 1_000_000
HASH_MEMORY_KIB_MAX: Final = 1_048_576
HASH_PASSES_MAX: Final = 64
MISTAKES_SHOWN_MAX: Final = 20
_handle: Final = re.compile(HANDLE_PATTERN[1:-1], re.ASCII).fullmatch


class Row(Struct, frozen=True, omit_defaults=True):
    """A person, and what they are credited with if anything."""

    line: int
    handle: str
    name: str = ""
    password_hash: str | None = None
    password: str | None = None
    amount: str | None = None
    currency: str | None = None
    note: str | None = None
    id: str | None = None


class Mistaken(Exception):
    """The file cannot be taken; `lines` say what is wrong where, the first as a whole."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_people(path: Path, batch: str) -> list[Row]:
    """All rows of a file.

    Raises:
        Mistaken: a line, or the file as a whole, is not as it must be.
        OSError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = list(_read(csv.reader(file, strict=True), batch))
    except UnicodeDecodeError as fault:
        raise Mistaken(f"{path} is not UTF-8: byte {fault.start} is no text. Save it as CSV UTF-8.") from None
    except csv.Error as fault:
        raise Mistaken(f"{path} is not CSV: {fault}.") from None
    mistakes = [each for each in found if isinstance(each, str)]
    if mistakes:
        more = len(mistakes) - MISTAKES_SHOWN_MAX
        rest = [f"… and {more} more"] if more > 0 else []
        raise Mistaken(f"{path}: nothing was done.", *mistakes[:MISTAKES_SHOWN_MAX], *rest)
    return [each for each in found if isinstance(each, Row)]


def _read(lines: "_csv.Reader", batch: str) -> Iterator[Row | str]:
    header = [name.strip().lower() for name in next(lines, [])]
    unknown = [name for name in header if name not in COLUMNS]
    if "handle" not in header or unknown or len(set(header)) != len(header):
        what = f"the column {unknown[0]!r} is not known" if unknown else "there is no single column `handle`"
        yield f"line 1: {what}; the columns are {', '.join(COLUMNS)}, of which only handle is needed"
        return
    seen: dict[tuple[str, str], int] = {}
    for count, cells in enumerate(lines, 1):
        if not any(cell.strip() for cell in cells):
            continue
        if count > ROWS_MAX:
            yield f"line {lines.line_num}: a file has at most {ROWS_MAX} rows"
            return
        if len(cells) != len(header):
            yield f"line {lines.line_num}: has {len(cells)} fields, the header has {len(header)}"
            continue
        given = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
        yield _row(lines.line_num, given, batch, seen)


def _row(line: int, given: dict[str, str], batch: str, seen: dict[tuple[str, str], int]) -> Row | str:
    handle, currency = handle_meant(given.get("handle", "")), given.get("currency", "").upper()
    wrong = _mistake(given, handle, currency)
    if wrong is not None:
        return f"line {line}: {wrong}"
    if not currency:
        return Row(line, handle, given.get("name", ""), given.get("password_hash"), given.get("password"))
    if "id" not in given:
        first = seen.setdefault((handle, currency), line)
        if first != line:
            return (
                f"line {line}: a second credit of @{handle} in {currency}, beside that of line {first};"
                " give each an id of its own, or put one into another batch"
            )
    return Row(
        line, handle, given.get("name", ""), given.get("password_hash"), given.get("password"),
        given["amount"], currency, given.get("note"),
        given.get("id") or credit_id(batch, handle, currency),
    )  # fmt: skip


def _mistake(given: dict[str, str], handle: str, currency: str) -> str | None:
    if not handle:
        return "there is no handle"
    if _handle(handle) is None:
        return f"{handle!r} is no handle: it has 2 to 32 of a-z, 0-9 and _"
    if ("amount" in given) != bool(currency):
        return "amount and currency go together; one of them is missing"
    if not currency and given.keys() & {"note", "id"}:
        return "note and id are for a credit, and there is no amount"
    if "password" in given and "password_hash" in given:
        return "there is a password and a password_hash; give one of them"
    if "password_hash" in given and not is_usable_hash(given["password_hash"]):
        return "the password_hash is not an argon2id hash such as $argon2id$v=19$m=65536,t=3,p=1$…$…"
    if "password" in given and (wrong := password_mistake(given["password"])) is not None:
        return wrong
    unfit = fit_name(given.get("name", ""), NAME_CHARS_MAX, "name")
    if unfit is not None:
        return f"the name: {unfit.message}"
    if len(given.get("note", "")) > NOTE_CHARS_MAX:
        return f"the note has more than {NOTE_CHARS_MAX} characters"
    if "id" in given and not is_id(given["id"]):
        return "the id is not a lower-case UUID of version 4 or 7"
    amount = parse_amount(given["amount"], currency) if currency else None
    return (
        f"{given['amount']} {currency} is no amount; one is written as 1250.50"
        if isinstance(amount, Refusal)
        else None
    )


def password_mistake(password: str) -> str | None:
    """What keeps a password from being one."""
    if not can_be_typed(password):
        return "the password has characters that cannot be seen"
    if not PASSWORD_CHARS_MIN <= len(opaque(password)) <= PASSWORD_CHARS_MAX:
        return f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
    return None


def is_usable_hash(text: str) -> bool:
    """Whether it is an argon2id hash that costs no more to check than a server can bear."""
    try:
        found = extract_parameters(text)
    except InvalidHashError:
        return False
    return (
        found.type.name == "ID"
        and found.memory_cost <= HASH_MEMORY_KIB_MAX
        and found.time_cost <= HASH_PASSES_MAX
    )


def credit_id(batch: str, handle: str, currency: str) -> str:
    """The idempotency key of a credit: the same for the same batch, person and currency (UUID version 4)."""
    named = f"tuppence import\0{batch}\0{handle}\0{currency}"
    return str(UUID(bytes=sha256(named.encode()).digest()[:16], version=4))
