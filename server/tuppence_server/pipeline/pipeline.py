"""The one road: inbox, then load, decide, save, commit for everything waiting, then tell.

One task owns the writer and is never cancelled. There is no timer: while one batch is being saved the next one
gathers and is decided on the book as it will be. Nobody is told anything before the commit returned; where it
fails, what was decided after it is void as well.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
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
from tuppence_server.domain.rules import ACTS_ON, RuleFault, decide, needs
from tuppence_server.store.contract import Packed, Store, StoreFault
from tuppence_server.telemetry.metrics import Metrics

from .clock import Clock
from .commits import BUSY, INTERNAL, STOPPING, UNAVAILABLE, Committed, Sink, Submission, balances_of

INBOX_FRAMES_MAX: Final = 20_000
BATCH_FRAMES_MAX: Final = 1_024
BATCH_BYTES_MAX: Final = 2 * 1024 * 1024
LOAD_FRAMES_MAX: Final = 256
"""Frames whose rows are loaded at once: while they are decided the writer may come to wait."""
SLICE_FRAMES: Final = 64
"""Frames decided in one go before the sockets and the writer get a turn."""
OVERLAP_FRAMES_MIN: Final = 24
"""With fewer frames waiting beside a save, more are awaited, or its end: a load costs the same for few as for many."""
BOOK_ROWS_MAX: Final = 400_000
LOAD_WAVES_MAX: Final = 4
log = structlog.get_logger("tuppence.road")


class _Sealed(Struct, frozen=True):
    """A batch that has been decided and is being saved."""

    batch: list[Submission]
    changes: Changes
    commit: Committed
    saving: asyncio.Task[None]


class _Open:
    """The batch that is being decided: what is in it so far, and what it came to."""

    __slots__ = ("batch", "content_bytes", "outcomes")

    def __init__(self) -> None:
        self.batch: list[Submission] = []
        self.content_bytes = 0
        self.outcomes: list[tuple[Request, Sink, Outcome]] = []

    @property
    def frames_left(self) -> int:
        """How many more frames it may take."""
        return BATCH_FRAMES_MAX - len(self.batch) if self.content_bytes < BATCH_BYTES_MAX else 0


class Pipeline:
    """Takes requests from everybody and commits them in batches.

    `tell` receives each commit; `fatal` is called once if what is on disk can no longer be trusted. Times are
    the `clock`'s, by this machine's own where none is given.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        fresh: Fresh,
        tell: Callable[[Committed], None],
        metrics: Metrics,
        fatal: Callable[[], None],
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self.clock = clock or Clock()
        self._book = Book(LogHead(""), policy, fresh)
        self._tell = tell
        self._metrics = metrics
        self._fatal = fatal
        self._inbox: deque[Submission] = deque()
        self._taken: Sequence[Submission] = ()
        self._open = _Open()
        self._sealed: _Sealed | None = None
        self._bell: asyncio.Future[None] | None = None
        self._bell_frames = 1
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
        left = [*(self._sealed.batch if self._sealed else ()), *self._open.batch, *self._taken, *self._inbox]
        self._inbox.clear()
        if left:
            self._tell_all(Committed(0, [], [], [(request, sink, UNAVAILABLE) for request, sink in left]))

    def give_up(self) -> None:
        """Commit nothing any more, and end the server: what is on disk, or in the book, is in doubt."""
        self.writable = False
        self.write_faults += 1
        if not self._broken:
            self._broken = True
            self._fatal()

    def submit(self, request: Request, sink: Sink) -> Refusal | None:
        """Put a request on the road; a refusal comes back at once where the inbox is full."""
        if self._broken:
            return UNAVAILABLE
        if self._stopping:
            return STOPPING
        if len(self._inbox) >= INBOX_FRAMES_MAX:
            return BUSY
        self._inbox.append((request, sink))
        if self._bell is not None and len(self._inbox) >= self._bell_frames:
            self._ring()
        return None

    def use_policy(self, policy: Policy) -> None:
        """Decide by this policy from the next batch on."""
        self._next_policy = policy

    async def ask(self, request: Request) -> Outcome:
        """Put a request on the road and wait for its outcome (HTTP, the command line)."""
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def sink(_: Request, outcome: Outcome) -> None:
            if not waiting.done():
                waiting.set_result(outcome)

        return self.submit(request, sink) or await waiting

    async def stop(self) -> None:
        """Take nothing more, commit what is waiting, and end."""
        self._stopping = True
        self._ring()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Decide what comes beside the save of what was decided before; hand over whenever the writer is free."""
        while self._inbox or self._open.batch or self._sealed is not None or not self._stopping:
            if self._sealed is not None and self._sealed.saving.done():
                await self._saved(self._sealed)
            elif self._open.batch and self._sealed is None:
                self._seal()
            elif self._may_decide():
                self._taken = self._take()
                await self._decide(self._taken)
                self._taken = ()
            else:
                await self._wait()

    def _may_decide(self) -> bool:
        if not self._inbox or self._sealed is None:
            return bool(self._inbox)
        return (
            len(self._inbox) >= OVERLAP_FRAMES_MIN
            and self._open.frames_left > 0
            and self._book.rows() <= BOOK_ROWS_MAX
        )

    async def _wait(self) -> None:
        """Until enough has come to be decided, or the writer is free."""
        if self._sealed is None:
            self._bell_frames = 1
        else:
            self._bell_frames = OVERLAP_FRAMES_MIN if self._open.frames_left else INBOX_FRAMES_MAX + 1
        self._bell = asyncio.get_running_loop().create_future()
        await self._bell
        self._bell = None

    def _ring(self, _: object = None) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def _take(self) -> list[Submission]:
        """The next frames; they end before one that acts on a payment among them, whose rows it would not know."""
        taken: list[Submission] = []
        inbox, opened = self._inbox, self._open
        frames_max = min(opened.frames_left, LOAD_FRAMES_MAX)
        ids: set[str | None] | None = None
        while inbox and len(taken) < frames_max and opened.content_bytes < BATCH_BYTES_MAX:
            submission = inbox.popleft()
            request = submission[0]
            frame = request.frame
            acts_on = ACTS_ON.get(type(frame))
            if acts_on is not None and (payment := acts_on(frame)):
                ids = ids or {getattr(other.frame, "id", None) for other, _ in taken}
                if payment in ids:
                    inbox.appendleft(submission)
                    break
            opened.content_bytes += len(request.content)
            taken.append(submission)
            if ids is not None:
                ids.add(getattr(frame, "id", None))
        return taken

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
            await self._settle_all(opened, taken)
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

    async def _settle_all(self, opened: _Open, taken: list[Submission]) -> None:
        book, sealed = self._book, self._sealed
        if opened.batch:
            book.go_on(self.now_ms())
        else:
            if self._next_policy is not None:
                book.use_policy(self._next_policy)
                self._next_policy = None
            if sealed is None and book.rows() > BOOK_ROWS_MAX:
                book.forget(book.head)
            book.begin(self.now_ms(), None if sealed is None else sealed.changes)
        await self._load(taken)
        for start in range(0, len(taken), SLICE_FRAMES):
            if start:
                await asyncio.sleep(0)
                self._tell_early()
            part = taken[start : start + SLICE_FRAMES]
            opened.outcomes += [(request, sink, self._settle(request)) for request, sink in part]

    def _seal(self) -> None:
        """Hand the open batch to the writer, and open the next."""
        opened, self._open = self._open, _Open()
        book = self._book
        changes, pos = book.changes, book.head.pos
        commit = Committed(pos, book.outflow, balances_of(changes, pos), opened.outcomes)
        packed = self._store.pack(changes, book.head) if changes else None
        saving = asyncio.get_running_loop().create_task(self._save(packed, changes), name="save")
        saving.add_done_callback(self._ring)
        self._sealed = _Sealed(opened.batch, changes, commit, saving)

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
        self._committed(sealed.commit)

    def _tell_early(self) -> None:
        """Tell what was committed while more is still being decided; a fault can wait until that is done."""
        sealed = self._sealed
        if sealed is not None and sealed.saving.done() and sealed.saving.exception() is None:
            self._sealed = None
            self._committed(sealed.commit)

    def _committed(self, commit: Committed) -> None:
        self.writable = not self._broken
        if self._broken:  # what it went to is in doubt since it was handed over
            commit = Committed(
                0, [], [], [(request, sink, UNAVAILABLE) for request, sink, _ in commit.outcomes]
            )
        self._tell_all(commit)

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
        """Drop the open batch and take each of its frames by itself, so that the one at fault is lost alone."""
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

    def _tell_all(self, commit: Committed) -> None:
        """What was committed stays so, even where telling of it fails: resume and retry bring it."""
        try:
            self._tell(commit)
        except Exception:
            log.exception("tell_fault", pos=commit.pos)

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

    def _settle(self, request: Request) -> Outcome:
        try:
            return decide(self._book, request)
        except RuleFault:
            log.exception("rule_fault", kind=type(request.frame).__name__)
            return INTERNAL

    async def _void(self, batch: list[Submission], refusal: Refusal) -> None:
        """Refuse a whole batch, of which nothing was committed."""
        self._tell_all(Committed(0, [], [], [(request, sink, refusal) for request, sink in batch]))
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
