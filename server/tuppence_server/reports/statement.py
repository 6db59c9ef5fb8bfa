"""Statements: what moved a person's posted balance in a currency, line by line, with what it came to.

A line stands for a posted transfer; what is only held is none. Lines are read in pieces, so that a statement
of any length takes the memory of one piece. Transfers never change and only follow each other: once a
statement is opened, what it covers is settled, whatever is paid meanwhile.
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from tuppence_protocol import codec
from tuppence_protocol.currencies import exponent
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import StatementBody, StatementLine, StatementResult
from tuppence_protocol.money import format_amount
from tuppence_server.domain.rows import OPERATOR
from tuppence_server.store.contract import MoneyReads, Movement, Span

PIECE_LINES: Final = 200
"""What is made of a piece is made at once, while everybody else waits: a few milliseconds."""
READS_PER_PAGE: Final = 4
"""Holds and what became of them are no lines; a page with many of them may be short and not the last."""
COLUMNS: Final = ("at", "pos", "id", "conv", "kind", "code", "with", "amount", "balance", "note")
EXTRAS: Final = frozenset({"fee", "margin"})
"""Codes of what comes on top of another movement of the same event."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT_MAX: Final = 253_402_300_799_999
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula, at its beginning."""


class Broken(Exception):
    """The lines of a statement do not add up; the ledger has to be verified."""


class Statement(Struct, frozen=True):
    """One statement, opened: `since` (inclusive) and `until` (exclusive) are ms since the epoch."""

    currency: str
    since: int | None
    until: int | None
    span: Span

    @property
    def opening(self) -> str:
        """The posted balance before the first line, in major units."""
        return format_amount(self.span.opening, self.currency)

    @property
    def closing(self) -> str:
        """The posted balance after the last line, in major units."""
        return format_amount(self.span.closing, self.currency)


class _Noted(Struct):
    """What of an event's body is text by people."""

    note: str = ""
    reason: str = ""


Renderer = Callable[[MoneyReads, Statement], AsyncIterator[bytes]]


async def open_statement(
    store: MoneyReads, user: str, currency: str, since: int | None, until: int | None, after: int = 0
) -> Statement | Refusal:
    """Settle what a statement covers; `after` is the transfer behind which to read on."""
    if exponent(currency) is None:
        message = f"{currency!r} is not an ISO 4217 currency."
        return Refusal("unknown_currency", message, "$.body.currency")
    return Statement(currency, since, until, await store.span(user, currency, since, until, after))


async def page(store: MoneyReads, user: str, body: StatementBody) -> StatementResult | Refusal:
    """One page of lines; opening and closing are those of the whole, as it stands at `pos`."""
    since, until, after = _given(body.from_), _given(body.to), _given(body.after)
    statement = await open_statement(store, user, body.currency, since, until, after or 0)
    if isinstance(statement, Refusal):
        return statement
    span = statement.span
    moved: list[Movement] = []
    rest: int | None = span.after
    for _ in range(READS_PER_PAGE):
        if rest is None or len(moved) == body.limit:
            break
        more, rest = await store.movements(span, rest, body.limit - len(moved))
        moved += more
    lines = list(_lines(moved, body.currency, span.carried))
    return StatementResult(body.currency, statement.opening, lines, statement.closing, span.pos, rest)


async def pieces(store: MoneyReads, statement: Statement) -> AsyncIterator[list[StatementLine]]:
    """All lines in order.

    Raises:
        Broken: the lines do not add up to the closing balance.
    """
    span, currency = statement.span, statement.currency
    after: int | None = span.after
    balance = span.carried
    while after is not None:
        moved, after = await store.movements(span, after, PIECE_LINES)
        if moved:
            yield list(_lines(moved, currency, balance))
            balance += sum(movement.amount for movement in moved)
    if balance != span.closing:
        raise Broken(f"the lines come to {balance}, the account to {span.closing}")


def _lines(moved: list[Movement], currency: str, balance: int) -> Iterator[StatementLine]:
    for movement in moved:
        balance += movement.amount
        head = codec.decode_head(movement.head)
        yield StatementLine(
            int(head["pos"]), int(head["at"]), str(head["id"]), str(head["conv"]), str(head["kind"]),
            movement.code, format_amount(movement.amount, currency), format_amount(balance, currency),
            movement.other or OPERATOR, _note(movement),
        )  # fmt: skip


def _note(movement: Movement) -> str | UnsetType:
    """What was written with a movement; told once, and not again with its fee."""
    if movement.code in EXTRAS or (b'"note"' not in movement.body and b'"reason"' not in movement.body):
        return UNSET
    told = codec.decode_as(movement.body, _Noted)
    return ": ".join(filter(None, (told.reason, told.note))) or UNSET


def _given(value: int | UnsetType) -> int | None:
    return None if value is UNSET else value


# --- as files ---------------------------------------------------------------------------------------------


async def as_json(store: MoneyReads, statement: Statement) -> AsyncIterator[bytes]:
    """JSON lines: what the statement covers, its lines,
    and last what it closes with and how many lines it has.

    Without the last line it is not whole.
    """
    first = {
        "currency": statement.currency, "from": statement.since, "to": statement.until,
        "opening": statement.opening, "pos": statement.span.pos,
    }  # fmt: skip
    yield codec.encode_object(first) + b"\n"
    count = 0
    async for lines in pieces(store, statement):
        count += len(lines)
        yield b"".join(codec.encode(line) + b"\n" for line in lines)
    yield codec.encode_object({"closing": statement.closing, "lines": count}) + b"\n"


async def as_csv(store: MoneyReads, statement: Statement) -> AsyncIterator[bytes]:
    """CSV after RFC 4180, in UTF-8, with a header;
    the first and last record tell opening and closing balance.

    No cell can be taken for a formula: one that begins like one gets an apostrophe before it.
    """
    span = statement.span
    yield _records([COLUMNS, _balance_record("opening", statement.since, span, statement.opening)])
    async for lines in pieces(store, statement):
        yield _records(_record(line) for line in lines)
    yield _records([_balance_record("closing", statement.until, span, statement.closing)])


RENDERERS: Final[dict[str, Renderer]] = {"csv": as_csv, "json": as_json}


def _balance_record(what: str, at: int | None, span: Span, balance: str) -> tuple[Any, ...]:
    return ("" if at is None else moment(at), span.pos, "", "", what, "", "", "", balance, "")


def _record(line: StatementLine) -> tuple[Any, ...]:
    told = (line.id, line.conv, line.kind, line.code, line.with_ or "")
    note = plain_cell(line.note or "")
    return (moment(line.at), line.pos, *map(plain_cell, told), line.amount, line.balance, note)


def plain_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def moment(at: int) -> str:
    """Ms since the epoch as ISO 8601 in UTC, to the millisecond;
    no later than its last year with four digits."""
    when = EPOCH + timedelta(milliseconds=min(at, MOMENT_MAX))
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _records(rows: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
