"""Walking the whole ledger: the audit chain from genesis, every transfer, every counter, every invariant."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from msgspec import Struct

from tuppence_protocol import kinds
from tuppence_server.domain.rows import Account, LogHead, User
from tuppence_server.domain.seals import (
    FLAGS,
    MODE,
    MODULUS,
    PEOPLE,
    REFUSALS,
    digest,
    of_flags,
    of_person,
    of_refusal,
)
from tuppence_server.store.contract import AuditReads

from . import openings, refunds, transitions
from .conversations import Rooms
from .legs import Key
from .outcomes import sum_of_receipts
from .payments import EventChecks, PaymentFolds
from .range import PROBLEMS_MAX, Found
from .whole import Whole
from .workers import alone, together

__all__ = ["PROBLEMS_MAX", "Progress", "Report", "verify"]

RANGE_EVENTS: Final = 250_000
"""Events that are checked at once: enough that what a range found is small beside it."""
ALONE_EVENTS_MAX: Final = 100_000
"""A log of so many events is checked before other processes would have begun."""
WORKERS_MAX: Final = 16
EVENT_CHECKS: Final[EventChecks] = {
    kinds.PaymentSent: openings.sent,
    kinds.PaymentRequested: openings.requested,
    kinds.BillSplit: openings.split,
    kinds.PacketMade: openings.packed,
    kinds.PacketClaimed: transitions.took,
    kinds.PaymentAccepted: transitions.accepted,
    kinds.PaymentDeclined: transitions.declined,
    kinds.PaymentCancelled: transitions.cancelled,
    kinds.PaymentRefunded: refunds.refunded,
    kinds.PaymentReversed: refunds.reversed_by_operator,
    kinds.ShareWaived: transitions.waived,
    kinds.PaymentReminded: transitions.reminded,
    kinds.PaymentExpired: transitions.expired,
}
Progress = Callable[[int, int], None]
Result = TypeVar("Result")


class Report(Struct, frozen=True):
    """What a check found; `problems` is empty where all is well."""

    pos: int
    hash: str
    epoch: str
    events: int
    transfers: int
    accounts: int
    payments: int
    """Payments that have rows, which is all but plain ones."""
    holds: int
    """Holds that are open."""
    totals: dict[str, int]
    """Minor units that customers hold, by currency."""
    problems: list[str]


async def verify(
    store: AuditReads,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
    range_events: int = RANGE_EVENTS,
) -> Report:
    """Check everything up to where the log stands. The store must be at rest.

    So many `workers` read the log in processes of their own, if the store can be read there; 0 for none. By
    default it is one for each processor, unless the log is short. What cannot be read is a problem like any
    other.
    """
    head = await store.head()
    check = _Check(store, head)
    async with asyncio.TaskGroup() as beside:
        faults = beside.create_task(check.tried("the file", store.faults(), []))
        receipts = beside.create_task(check.tried("receipts", _receipts(store), (0, 0)))
        await check.rows()
        await check.tried("the log", check.log(workers, range_events, progress), None)
    await check.tried("the rows", check.fold(), None)
    await check.tried("receipts", check.receipts(receipts.result()), None)
    for fault in faults.result():
        check.whole.report(fault)
    return check.result()


async def _receipts(store: AuditReads) -> tuple[int, int]:
    reader = store.reader()
    if reader is not None:
        return await asyncio.to_thread(sum_of_receipts, reader.outcomes())
    return sum_of_receipts([rows async for rows in store.outcomes()])


class _Check:
    """One check of everything: its parts, each of which goes as far as what is stored can be read."""

    def __init__(self, store: AuditReads, head: LogHead) -> None:
        self._store = store
        self._head = head
        self._accounts: list[Account] = []
        self._users: dict[str, User] = {}
        self._totals: dict[str, int] = {}
        self._owners: dict[int, Key] = {}
        self.whole = Whole(self._owners)
        self._folds = PaymentFolds(store, self._owners, EVENT_CHECKS, self.whole.report)
        self._rooms = Rooms(self.whole.report)

    async def tried(self, what: str, part: Awaitable[Result], otherwise: Result) -> Result:
        """A part of the check; that it could not be carried out is a problem."""
        try:
            return await part
        except Exception as fault:  # noqa: BLE001 - whatever a damaged file makes of a read
            self.whole.report(f"{what} cannot be checked: {type(fault).__name__}: {fault}")
            return otherwise

    async def rows(self) -> None:
        """Whose accounts and who the people are."""
        self._accounts = await self.tried("accounts", self._store.accounts(), [])
        self._owners |= {a.id: (a.owner, a.currency, a.code) for a in self._accounts}
        self._users = {user.id: user for user in await self.tried("people", self._store.users(), [])}

    async def log(self, workers: int | None, range_events: int, progress: Progress | None) -> None:
        """The log, range by range."""
        whole, head = self.whole, self._head
        async with aclosing(_ranges(self._store, head, self._owners, workers, range_events)) as ranges:
            async for found in ranges:
                whole.add(found)
                await self._folds.take(found.payments)
                self._rooms.take(found.rooms)
                if progress is not None:
                    progress(whole.events, head.pos)

    async def fold(self) -> None:
        """What the log comes to, against the rows."""
        whole, head, store = self.whole, self._head, self._store
        whole.end(head)
        await self._folds.finish()
        self._totals = whole.accounts(self._accounts, self._folds.holds.sums())
        whole.opened(self._accounts, head, frozenset(self._users), await store.currencies())
        await self._sealed()
        self._rooms.conversations(await store.all_conversations(), self._users, whole.begun, whole.lasts)
        members = 0
        async for some in store.all_members():
            members += self._rooms.members(some)
        if members != self._rooms.expected():
            whole.report(f"the log makes {self._rooms.expected()} memberships; there are {members}")

    async def _sealed(self) -> None:
        """What no event tells of, against what was summed up as it was written."""
        sums = {
            PEOPLE: sum(map(of_person, self._users.values())),
            FLAGS: sum(map(of_flags, self._accounts)),
            REFUSALS: 0,
            MODE: digest(self._head.mode),
        }
        async for some in self._store.refusals():
            sums[REFUSALS] += sum(map(of_refusal, some))
        for name, expected in sums.items():
            if expected % MODULUS != self._head.seals.get(name, 0):
                self.whole.report(f"{name}: not as sealed when last written")

    async def receipts(self, stored: tuple[int, int]) -> None:
        """Each event's own receipt; which they are is looked up only where something is wrong."""
        whole = self.whole
        if stored == (whole.events, whole.outcomes):
            return
        whole.report(f"{whole.events} events and {stored[0]} receipts that name one do not belong together")
        misplaced = await self._store.misplaced(PROBLEMS_MAX)
        for pos in misplaced.events:
            whole.report(f"pos {pos}: has no receipt, or not its own")
        for receipt in misplaced.receipts:
            whole.report(f"receipt {receipt}: names an event that is not its own")

    def result(self) -> Report:
        """What was found."""
        head, whole, folds = self._head, self.whole, self._folds
        return Report(
            head.pos, head.hash.hex(), head.epoch, whole.events, whole.transfers, len(self._accounts),
            folds.payments, len(folds.holds), self._totals, whole.problems,
        )  # fmt: skip


def _ranges(
    store: AuditReads, head: LogHead, owners: dict[int, Key], workers: int | None, events: int
) -> AsyncGenerator[Found, None]:
    reader = store.reader()
    if workers is None:
        workers = 0 if head.pos <= ALONE_EVENTS_MAX else min(WORKERS_MAX, os.cpu_count() or 1)
    if reader is None or not workers:
        return alone(store, owners, events)
    return together(reader, head.pos, events, workers)
