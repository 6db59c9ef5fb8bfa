"""Ranges of the log, checked one after another in this process or several at once in others."""

import asyncio
import gc
import signal
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from sys import intern
from typing import Any, Final

from msgspec import msgpack
from msgspec.structs import astuple

from tuppence_server.domain.rows import GENESIS_HASH, Transfer
from tuppence_server.store.contract import AuditReads, LogReader, MoveRow, Piece

from .legs import Key
from .range import Found, Range

AHEAD: Final = 2
"""Ranges that are checked or wait beyond those being checked; what they found is held in memory."""
KEPT_EVENTS_MAX: Final = 10_000
"""Events that a range keeps; one that has so many ends early."""
BEYOND: Final = 2**62
"""Read on past what the head names, so that rows which it does not know are found."""
Job = tuple[int, int, "asyncio.Future[bytes]"]
_found: Final = msgpack.Decoder(Found).decode


async def alone(store: AuditReads, owners: dict[int, Key], events: int) -> AsyncGenerator[Found, None]:
    """Check the log in this process, `events` at a time."""
    part = Range(owners, 0, GENESIS_HASH)
    pieces = _Pieces(store, events)
    async for piece in pieces.all():
        part.take(piece)
        if part.kept >= KEPT_EVENTS_MAX or part.events >= events:
            found = part.found()
            yield found
            part = Range(owners, found.upto, found.hash)
    yield part.found()


class _Pieces:
    """At most so many events with their transfers, from a store that is read in this process."""

    def __init__(self, store: AuditReads, events: int) -> None:
        self._events = events
        self._log = store.log(0, BEYOND)
        self._transfers = store.transfers(0, BEYOND)
        self._ready: list[MoveRow] = []
        self._more = True

    async def all(self) -> AsyncIterator[Piece]:
        """All of them, and last the transfers that belong to none."""
        async for events in self._log:
            for start in range(0, len(events), self._events):
                some = events[start : start + self._events]
                rows: list[Any] = [astuple(event) for event in some]
                yield rows, await self._upto(some[-1].pos)
        while self._more:
            await self._read()
        if self._ready:
            yield [], self._ready

    async def _upto(self, pos: int) -> list[MoveRow]:
        while self._more and (not self._ready or self._ready[-1][0] <= pos):
            await self._read()
        cut = bisect_right(self._ready, pos, key=lambda move: move[0])
        moves, self._ready = self._ready[:cut], self._ready[cut:]
        return moves

    async def _read(self) -> None:
        piece: Sequence[Transfer] | None = await anext(self._transfers, None)
        self._more = piece is not None
        self._ready += [_row(transfer) for transfer in piece or ()]


def _row(moved: Transfer) -> MoveRow:
    plain = (moved.code, moved.phase) == ("pay.send", "single")
    other = None if plain else f"{moved.code} {moved.phase} {moved.pending}"
    return (moved.pos, moved.id, moved.debit, moved.credit, moved.amount, other)


# --- in other processes -------------------------------------------------------------------------------------


async def together(
    reader: LogReader, end: int, events: int, workers: int, kept_max: int = KEPT_EVENTS_MAX
) -> AsyncGenerator[Found, None]:
    """Check the log, which is said to end at `end`, in ranges of `events` by so many processes; in order.

    A range that has found kept `kept_max` events ends there; the rest of it is checked next.
    """
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin)

    def job(after: int, upto: int) -> Job:
        return after, upto, loop.run_in_executor(pool, _check, reader, after, upto, kept_max)

    starts = deque(range(0, max(1, end), events))
    jobs: deque[Job] = deque()
    try:
        while starts or jobs:
            while starts and len(jobs) < workers + AHEAD:
                after = starts.popleft()
                jobs.append(job(after, after + events if starts else BEYOND))
            after, upto, future = jobs.popleft()
            found = _found(await future)
            if len(found.payments) + len(found.rooms) >= kept_max and found.upto < upto:
                jobs.appendleft(job(found.upto, upto))
            yield found
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """In each process: its rows refer to nothing that refers back to them, and the first process ends it."""
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _check(reader: LogReader, after: int, upto: int, kept_max: int) -> bytes:
    """What a range came to, as MessagePack: Python's own way takes as long as the check of some events."""
    part = Range(_owners(reader), after, reader.hash_at(after) if after else GENESIS_HASH)
    for piece in reader.pieces(after, upto):
        part.take(piece)
        if part.kept >= kept_max:
            break
    return msgpack.encode(part.found())


@cache
def _owners(reader: LogReader) -> dict[int, Key]:
    return {
        number: (owner, intern(currency), intern(code)) for number, owner, currency, code in reader.accounts()
    }
