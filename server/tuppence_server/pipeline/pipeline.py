"""The one road: inbox, then load, decide, save, commit for everything waiting, then tell.

One task owns the writer and is never cancelled. There is no timer: while one batch is being saved the next
one gathers and is decided on the book as it will be. Nobody is told anything before the commit returned;
where it fails, what was decided after it is void as well.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Final

import structlog
from msgspec import Struct

from tuppence_protocol.errors import Refusal
from tuppence_server.domain.book import Book, Fresh
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.policy import Policy
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import LogHead
from tuppence_server.domain.rules import RuleFault, decide, needs
from tuppence_server.store.contract import Journal, Packed, StoreFault
from tuppence_server.telemetry.metrics import Metrics

from .clock import Clock
from .commits import Committed, balances_of
from .inbox import BOUNDS, INTERNAL, STOPPING, UNAVAILABLE, Bounds, Inbox, Submission

LOAD_WAVES_MAX: Final = 4
log = structlog.get_logger("tuppence.road")


class _Open(Struct):
    """The batch that is being decided: what is in it so far, and what it came to, in the same order."""

    batch: list[Submission] = []
    outcomes: list[Outcome] = []
    content_bytes: int = 0


class _Sealed(Struct, frozen=True):
    """A batch that has been decided and is being saved."""

    batch: list[Submission]
    outcomes: list[Outcome]
    changes: Changes
    commit: Committed
    saving: asyncio.Task[None]


class Pipeline:
    """Takes requests from everybody and commits them in batches.

    `tell` receives each commit; then whoever submitted is answered, and `flush` is called once for both.
    `fatal` is called once if what is on disk can no longer be trusted. Times are the `clock`'s, by this
    machine's own where none is given.
    """

    def __init__(
        self,
        store: Journal,
        policy: Policy,
        fresh: Fresh,
        tell: Callable[[Committed], None],
        metrics: Metrics,
        fatal: Callable[[], None],
        clock: Clock | None = None,
        flush: Callable[[], None] = lambda: None,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self._store = store
        self.clock = clock or Clock()
        self._book = Book(LogHead(""), policy, fresh)
        self._tell = tell
        self._metrics = metrics
        self._fatal = fatal
        self._flush = flush
        self._bounds = bounds
        self._inbox = Inbox(bounds.inbox_frames_max)
        self.submit = self._inbox.submit
        self.ask = self._inbox.ask
        self._taken: Sequence[Submission] = ()
        self._open = _Open()
        self._sealed: _Sealed | None = None
        self._task: asyncio.Task[None] | None = None
        self._next_policy: Policy | None = None
        self._stopping = False
        self.writable = True
        self.write_faults = 0
        self._broken = False

    @property
    def depth(self) -> int:
        """Requests waiting."""
        return len(self._inbox)

    def start(self, head: LogHead) -> None:
        """Begin from where the log stands."""
        self._book.forget(head)
        self.clock.begin(head.at)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="road")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A road that breaks takes the server with it, so that a supervisor starts anew."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("road_broke", exc_info=fault)
            self.give_up()
        left = [*(self._sealed.batch if self._sealed else ()), *self._open.batch, *self._taken]
        left += self._inbox.drain()
        if left:
            self._answer(left, repeat(UNAVAILABLE))

    def give_up(self) -> None:
        """Commit nothing any more, and end the server: what is on disk, or in the book, is in doubt."""
        self.writable = False
        self.write_faults += 1
        if not self._broken:
            self._broken = True
            self._inbox.closed = UNAVAILABLE
            self._fatal()

    def use_policy(self, policy: Policy) -> None:
        """Decide by this policy from the next batch on."""
        self._next_policy = policy

    async def stop(self) -> None:
        """Take nothing more, commit what is waiting, and end."""
        self._stopping = True
        self._inbox.closed = self._inbox.closed or STOPPING
        self._inbox.ring()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Decide what comes beside the save of what was decided before;
        hand over whenever the writer is free."""
        while self._inbox or self._open.batch or self._sealed is not None or not self._stopping:
            if self._sealed is not None and self._sealed.saving.done():
                await self._saved(self._sealed)
            elif self._open.batch and self._sealed is None:
                self._seal()
            elif self._may_decide():
                await self._decide(self._take())
                self._taken = ()
            else:
                await self._wait()

    def _may_decide(self) -> bool:
        if not self._inbox or self._sealed is None:
            return bool(self._inbox)
        return (
            len(self._inbox) >= self._bounds.overlap_frames_min
            and self._frames_left() > 0
            and self._book.rows() <= self._bounds.book_rows_max
        )

    def _frames_left(self) -> int:
        """How many more frames the open batch may take."""
        opened, bounds = self._open, self._bounds
        if opened.content_bytes >= bounds.batch_bytes_max:
            return 0
        return bounds.batch_frames_max - len(opened.batch)

    async def _wait(self) -> None:
        """Until enough has come to be decided, or the writer is free."""
        bounds = self._bounds
        beside = bounds.overlap_frames_min if self._frames_left() else bounds.inbox_frames_max + 1
        await self._inbox.wait(1 if self._sealed is None else beside)

    def _take(self) -> list[Submission]:
        opened, bounds = self._open, self._bounds
        self._taken, size = self._inbox.take(
            min(self._frames_left(), bounds.load_frames_max), bounds.batch_bytes_max - opened.content_bytes
        )
        opened.content_bytes += size
        return self._taken

    async def _decide(self, taken: list[Submission]) -> None:
        """Decide these as part of the open batch; one that cannot be applied is taken again frame by frame.

        After a fatal fault nothing is committed any more: SQLite itself would go on as if nothing were wrong.
        """
        if self._broken:
            self._open = _Open()
            await self._void(taken, UNAVAILABLE)
            return
        opened = self._open
        try:
            await self._decide_all(opened, taken)
        except Exception as fault:
            if isinstance(fault, StoreFault) and fault.fatal:
                self._open = _Open()
                await self._rest()
                await self._failed(opened.batch, fault, taken)
                return
            log.exception("batch_fault", frames=len(opened.batch) + len(taken))
            await self._one_by_one(opened.batch + taken)
        else:
            opened.batch += taken

    async def _decide_all(self, opened: _Open, taken: list[Submission]) -> None:
        book, sealed, bounds = self._book, self._sealed, self._bounds
        if opened.batch:
            book.go_on(self.now_ms())
        else:
            if self._next_policy is not None:
                book.policy = self._next_policy
                self._next_policy = None
            if sealed is None and book.rows() > bounds.book_rows_max:
                book.forget(book.head)
            book.begin(self.now_ms(), None if sealed is None else sealed.changes)
        await self._load(taken)
        for start in range(0, len(taken), bounds.slice_frames):
            if start:
                await asyncio.sleep(0)
                self._tell_early()
            part = taken[start : start + bounds.slice_frames]
            opened.outcomes += [self._outcome(request) for request, _ in part]

    def _seal(self) -> None:
        """Hand the open batch to the writer, and open the next."""
        opened, self._open = self._open, _Open()
        book = self._book
        changes, pos = book.changes, book.head.pos
        commit = Committed(pos, book.outflow, balances_of(changes, pos))
        packed = self._store.pack(changes, book.head) if changes else None
        saving = asyncio.get_running_loop().create_task(self._save(packed, changes), name="save")
        saving.add_done_callback(self._inbox.ring)
        self._sealed = _Sealed(opened.batch, opened.outcomes, changes, commit, saving)

    async def _save(self, packed: Packed | None, changes: Changes) -> None:
        if packed is None:
            return
        started = time.perf_counter()
        await self._store.save(packed)
        self._metrics.batches += 1
        self._metrics.committed += len(changes.events)
        self._metrics.commit_seconds.observe(time.perf_counter() - started)

    async def _saved(self, sealed: _Sealed) -> None:
        """The writer is free: hand over what has been decided meanwhile, then tell what is committed."""
        self._sealed = None
        try:
            sealed.saving.result()
        except StoreFault as fault:
            await self._failed(sealed.batch, fault)
            return
        except Exception as fault:
            log.exception("save_fault")
            await self._failed(sealed.batch, StoreFault(type(fault).__name__, fatal=True))
            return
        if self._open.batch:
            self._seal()
            await asyncio.sleep(0)  # the writer has it before so many sockets are written to
        self._committed(sealed)

    def _tell_early(self) -> None:
        """Tell what was committed while more is still being decided; a fault can wait until that is done."""
        sealed = self._sealed
        if sealed is not None and sealed.saving.done() and sealed.saving.exception() is None:
            self._sealed = None
            self._committed(sealed)

    def _committed(self, sealed: _Sealed) -> None:
        """What was committed stays so, even where telling of it fails: resume and retry bring it."""
        self.writable = not self._broken
        if self._broken:  # what it went to is in doubt since it was handed over
            self._answer(sealed.batch, repeat(UNAVAILABLE))
            return
        try:
            self._tell(sealed.commit)
        except Exception:
            log.exception("tell_fault", pos=sealed.commit.pos)
        self._answer(sealed.batch, sealed.outcomes)

    def _answer(self, batch: list[Submission], outcomes: Iterable[Outcome]) -> None:
        """Give everybody their outcome; one that cannot be given keeps nobody else from theirs."""
        for (request, sink), outcome in zip(batch, outcomes, strict=False):
            try:
                sink(request, outcome)
            except Exception:
                log.exception("sink_fault", kind=type(request.frame).__name__)
        try:
            self._flush()
        except Exception:
            log.exception("flush_fault")

    async def _failed(
        self, saved: list[Submission], fault: StoreFault, taken: Sequence[Submission] = ()
    ) -> None:
        """What was decided on a batch that failed is void too; a frame that is refused is lost alone."""
        opened, self._open = self._open, _Open()
        batch = [*saved, *opened.batch, *taken]
        log.error("store_fault", error=str(fault), fatal=fault.fatal, frames=len(batch))
        if fault.refused:
            await self._one_by_one(batch)
            return
        self.writable = False
        self.write_faults += 1
        if fault.fatal:
            self.give_up()
        await self._void(batch, UNAVAILABLE)

    async def _one_by_one(self, batch: list[Submission]) -> None:
        """Drop the open batch and take each of its frames by itself,
        so that the one at fault is lost alone."""
        self._open = _Open()
        await self._rest()
        if len(batch) == 1:
            await self._void(batch, INTERNAL)
            return
        await self._forget()
        for number, submission in enumerate(batch):
            self._taken = batch[number:]
            await self._decide([submission])
            if self._open.batch:
                self._seal()
            await self._rest()

    async def _rest(self) -> None:
        """Until nothing is being saved."""
        if self._sealed is not None:
            await asyncio.wait([self._sealed.saving])
            await self._saved(self._sealed)

    async def _load(self, batch: list[Submission]) -> None:
        """Fetch what the batch needs: handles first, then conversations, then members and accounts."""
        book = self._book
        for _ in range(LOAD_WAVES_MAX):
            keys = Keys()
            for request, _sink in batch:
                needs(book, keys, request)
            if not keys:
                return
            await self._store.load(keys, book)
            if keys.only_receipts():
                return

    def _outcome(self, request: Request) -> Outcome:
        try:
            return decide(self._book, request)
        except RuleFault:
            log.exception("rule_fault", kind=type(request.frame).__name__)
            return INTERNAL

    async def _void(self, batch: list[Submission], refusal: Refusal) -> None:
        """Refuse a whole batch, of which nothing was committed."""
        self._answer(batch, repeat(refusal))
        await self._forget()

    async def _forget(self) -> None:
        """Start again from what the store has."""
        try:
            self._book.forget(await self._store.head())
        except Exception:  # what the book holds is not what is stored, and nothing may be decided on it
            log.exception("store_unreadable")
            self.give_up()

    def now_ms(self) -> int:
        """Commit time; never behind the commit before, and never standing still."""
        return self.clock.now_ms()
