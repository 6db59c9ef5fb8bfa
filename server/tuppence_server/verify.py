"""Walking the whole ledger: the audit chain from genesis, every transfer, every counter, every invariant."""

import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from msgspec import Struct

from .checks.crowd import alone, together
from .checks.legs import Key
from .checks.log import PROBLEMS_MAX, Found, Sums
from .checks.stories import Stories
from .checks.tellers import TELLERS
from .domain.rows import GENESIS_HASH, Account, Head
from .store.base import Store

__all__ = ["PROBLEMS_MAX", "Progress", "Report", "verify"]

RANGE_EVENTS: Final = 250_000
"""Events that are checked at once: enough that what a range found is small beside it."""
ALONE_EVENTS_MAX: Final = 100_000
"""A log of so many events is checked before other processes would have begun."""
WORKERS_MAX: Final = 16
Progress = Callable[[int, int], None]


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


class _Whole:
    """Ranges put together: what each told as a difference becomes a sum, and is held against the rows."""

    def __init__(self, owners: dict[int, Key]) -> None:
        self._owners = owners
        self.problems: list[str] = []
        self.at = 0
        self.hash = GENESIS_HASH
        self.events = self.transfers = self.last_transfer = 0
        self._seqs: dict[str, int] = {}
        self._sums: dict[int, Sums] = {}

    def wrong(self, problem: str) -> None:
        """Note what is not as it must be."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    def add(self, found: Found) -> None:
        """The next range."""
        if found.events and found.after != self.at:
            self.wrong(f"pos {found.after + 1}: follows {self.at}; something is missing before it")
        for problem in found.problems:
            self.wrong(problem)
        for conv, (seq, pos) in found.firsts.items():
            last = self._seqs.get(conv, 0)
            if seq != last + 1:
                self.wrong(f"pos {pos}: seq {seq} follows {last} in {conv}")
        self._seqs |= found.lasts
        for number, sums in found.sums.items():
            self._add_sums(number, sums)
        if found.first_transfer:
            if found.first_transfer != self.last_transfer + 1:
                self.wrong(f"transfer {found.first_transfer}: follows {self.last_transfer}")
            self.last_transfer = found.last_transfer
        self.events += found.events
        self.transfers += found.transfers
        if found.events:
            self.at, self.hash = found.upto, found.hash

    def _add_sums(self, number: int, more: Sums) -> None:
        sums = self._sums.get(number)
        if sums is None:
            sums = self._sums[number] = Sums(0, 0, 0, 0, 0)
        available = sums.credits - sums.debits - sums.pending
        if available + more.low < 0 and self._owners.get(number, ("", "", ""))[2] == "customer":
            self.wrong(f"account {number}: below zero at pos {more.low_pos}")
        sums.debits += more.debits
        sums.credits += more.credits
        sums.pending += more.pending

    def end(self, head: Head) -> None:
        """Where the log ends, against the head."""
        if self.at != head.pos or self.hash != head.hash:
            self.wrong(f"the log ends at {self.at}; the head says {head.pos}")
        if self.transfers != head.transfer_id or self.last_transfer != head.transfer_id:
            self.wrong(f"{self.transfers} transfers belong to events; the head says {head.transfer_id}")

    def conversations(self, heads: dict[str, int]) -> None:
        """Where each conversation says it stands against its last event."""
        for conv in heads.keys() | self._seqs.keys():
            if heads.get(conv) != self._seqs.get(conv, 0):
                self.wrong(
                    f"{conv}: stands at {heads.get(conv)}, its last event is {self._seqs.get(conv, 0)}"
                )

    def accounts(self, accounts: list[Account], held: tuple[Counter[int], Counter[int]]) -> dict[str, int]:
        """The counters against the sums of the transfers and of the open holds."""
        posted: dict[str, list[int]] = {}
        totals: dict[str, int] = {}
        for account in accounts:
            sums = self._sums.pop(account.id, None) or Sums(0, 0, 0, 0, 0)
            for name, stored, told in (
                ("debits", account.debits_posted, sums.debits),
                ("credits", account.credits_posted, sums.credits),
                ("pending debits", account.debits_pending, held[0][account.id]),
                ("pending credits", account.credits_pending, held[1][account.id]),
            ):
                if stored != told:
                    self.wrong(f"account {account.id}: {name} differ from its transfers")
            if account.code == "customer":
                balance = account.credits_posted - account.debits_posted
                totals[account.currency] = totals.get(account.currency, 0) + balance
                if account.available < 0:
                    self.wrong(f"account {account.id}: below zero")
            both = posted.setdefault(account.currency, [0, 0])
            both[0] += account.debits_posted
            both[1] += account.credits_posted
        for currency, (debited, credited) in posted.items():
            if debited != credited:
                self.wrong(f"{currency}: debits {debited} are not credits {credited}")
        for unknown in self._sums:
            self.wrong(f"account {unknown}: has transfers but does not exist")
        return totals


async def verify(
    store: Store,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
    range_events: int = RANGE_EVENTS,
) -> Report:
    """Check everything up to where the log stands. The store must be at rest.

    So many `workers` read the log in processes of their own, if the store can be read there; 0 for none. By default
    it is one for each processor, unless the log is short.
    """
    head = await store.head()
    accounts = await store.accounts()
    owners: dict[int, Key] = {a.id: (a.owner, a.currency, a.code) for a in accounts}
    whole = _Whole(owners)
    stories = Stories(store, owners, TELLERS, whole.wrong)
    async with aclosing(_ranges(store, head, owners, workers, range_events)) as ranges:
        async for found in ranges:
            whole.add(found)
            await stories.take(found.acts)
            if progress is not None:
                progress(whole.events, head.pos)
    whole.end(head)
    await stories.finish()
    totals = whole.accounts(accounts, stories.holds.sums())
    whole.conversations(await store.heads())
    receipts = await store.receipts()
    if receipts.dangling:
        whole.wrong(f"{receipts.dangling} receipts name events that are not there")
    if receipts.stored != whole.events:
        whole.wrong(f"{whole.events} events, but {receipts.stored} receipts that name one")
    return Report(
        head.pos, head.hash.hex(), head.epoch, whole.events, whole.transfers, len(accounts),
        stories.payments, len(stories.holds), totals, whole.problems,
    )  # fmt: skip


def _ranges(
    store: Store, head: Head, owners: dict[int, Key], workers: int | None, events: int
) -> AsyncGenerator[Found, None]:
    reader = store.reader()
    if workers is None:
        workers = 0 if head.pos <= ALONE_EVENTS_MAX else min(WORKERS_MAX, os.cpu_count() or 1)
    if reader is None or not workers:
        return alone(store, owners, events)
    return together(reader, head.pos, events, workers)
