"""Taking in many people and credits at once: each row by the same commands as one alone, side by side on the
road."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct

from tuppence_protocol.errors import Refusal
from tuppence_server import ids
from tuppence_server.domain.commands import Command, CreateUser, Deposit
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.store.contract import PeopleReads

from .people_file import Row, is_usable_hash

ROWS_PER_CALL_MAX: Final = 200
Submit = Callable[[Command], Awaitable[Outcome]]
"""Puts a command on the road; a refusal comes back as such."""


class Taken(Struct, frozen=True):
    """What became of a row; `refused` says why not all of it came about."""

    line: int
    added: bool = False
    credited: bool = False
    repeated: bool = False
    refused: str | None = None


async def import_rows(
    store: PeopleReads,
    submit: Submit,
    hash_password: Callable[[str], Awaitable[str | Refusal]],
    rows: list[Row],
) -> dict[str, Any]:
    """Add who is not there yet, and credit; how many of each, and what was refused.

    Who is there keeps name and password.
    """
    hashes = {row.line: await hash_password(row.password) for row in rows if row.password is not None}
    people: dict[str, Row] = {}
    for row in rows:
        people.setdefault(row.handle, row)  # of several rows of a person the first adds them
    there = await asyncio.gather(*(store.user(handle) for handle in people))
    new = [row for row, user in zip(people.values(), there, strict=True) if user is None]
    made = await asyncio.gather(*(_add(submit, row, hashes) for row in new))
    added: dict[str, Refusal | bool] = dict.fromkeys(people, False)
    added |= {row.handle: each for row, each in zip(new, made, strict=True)}
    taken = await asyncio.gather(*(_take(submit, row, added[row.handle], people) for row in rows))
    return {
        "added": sum(each.added for each in taken),
        "credited": sum(each.credited for each in taken),
        "repeated": sum(each.repeated for each in taken),
        "refused": [{"line": each.line, "why": each.refused} for each in taken if each.refused],
    }


async def _add(submit: Submit, row: Row, hashes: dict[int, str | Refusal]) -> Refusal | bool:
    """True where the person was added."""
    kept = row.password_hash or hashes.get(row.line)
    if isinstance(kept, Refusal):
        return kept
    if row.password_hash is not None and not is_usable_hash(row.password_hash):
        return Refusal("bad_frame", "The password_hash is not one that can be checked.", "$.password_hash")
    outcome = await submit(CreateUser(ids.user_id(), ids.conversation_id(), row.handle, row.name, kept))
    return outcome if isinstance(outcome, Refusal) else True


async def _take(submit: Submit, row: Row, added: Refusal | bool, people: dict[str, Row]) -> Taken:
    if isinstance(added, Refusal):
        return Taken(row.line, refused=f"{added.code}: {added.message}")
    new = added and people[row.handle] is row
    if row.amount is None or row.currency is None or row.id is None:
        return Taken(row.line, new)
    outcome = await submit(Deposit(row.id, row.handle, row.amount, row.currency, row.note))
    if isinstance(outcome, Refusal):
        return Taken(row.line, new, refused=f"{outcome.code}: {outcome.message}")
    repeated = isinstance(outcome, Stored) and outcome.repeated
    return Taken(row.line, new, not repeated, repeated)
