"""The one road: inbox, then load, decide, save, commit for everything waiting, then tell.

One task owns the writer and is never cancelled. There is no timer: while one batch is being saved the next one
gathers and is decided on the book as it will be. Nobody is told anything before the commit returned; where it
fails, what was decided after it is void as well.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct

from tuppence_protocol.errors import Refusal

from .domain.batch import Changes, Keys
from .domain.book import Book, Fresh
from .domain.outflow import Balance, Outcome, Outflow
from .domain.policy import Policy
from .domain.request import Request
from .domain.rows import Head
from .domain.rules import ACTS_ON_REF, RuleFault, needs, settle
from .metrics import Metrics
from .store.base import Packed, Store, StoreFault

INBOX_FRAMES_MAX: Final = 20_000
BATCH_FRAMES_MAX: Final = 1_024
BATCH_BYTES_MAX: Final = 2 * 1024 * 1024
SLICE_FRAMES: Final = 64
"""Frames decided in one go before the sockets and the writer get a turn."""
OVERLAP_FRAMES_MIN: Final = 64
"""With fewer frames waiting, the next batch waits for the save before it and takes what gathers meanwhile: deciding
beside a save slows both, and so few are sooner told one after the other."""
BOOK_ROWS_MAX: Final = 400_000
LOAD_WAVES_MAX: Final = 4
BUSY: Final = Refusal("busy", "The server has too much to do; send again.", retry_ms=500)
STOPPING: Final = Refusal("busy", "The server is stopping; send again after reconnecting.", retry_ms=1_000)
UNAVAILABLE: Final = Refusal(
    "unavailable", "The server cannot store now; send again under the same id.", retry_ms=2_000
)
INTERNAL: Final = Refusal("internal", "The server failed on this frame; it was not stored.", retry_ms=2_000)

Sink = Callable[[Request, Outcome], None]
"""Where the outcome of a request goes; called after the commit, must not raise."""
Submission = tuple[Request, Sink]
log = structlog.get_logger("tuppence.road")


class Committed(Struct, frozen=True):
    """All that one commit lets out, in order."""

    pos: int
    outflow: list[Outflow]
    balances: list[Balance]
    outcomes: list[tuple[Request, Sink, Outcome]]


class _Decided(Struct, frozen=True):
    """A batch between decision and commit."""

    batch: list[Submission]
    changes: Changes
    packed: Packed | None
    commit: Committed


class Pipeline:
    """Takes requests from everybody and commits them in batches.

    `tell` receives each commit; `fatal` is called once if what is on disk can no longer be trusted.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        fresh: Fresh,
        tell: Callable[[Committed], None],
        metrics: Metrics,
        fatal: Callable[[], None],
    ) -> None:
        self._store = store
        self._book = Book(Head(""), policy, fresh)
        self._tell = tell
        self._metrics = metrics
        self._fatal = fatal
        self._inbox: deque[Submission] = deque()
        self._bell: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[bool] | None = None
        self._on_the_way: Changes | None = None
        self._clock_ms = 0
        self._stopping = False
        self.writable = True
        self._broken = False

    @property
    def depth(self) -> int:
        """Requests waiting."""
        return len(self._inbox)

    def start(self, head: Head) -> None:
        """Begin from where the log stands."""
        self._book.forget(head)
        self._clock_ms = max(self._clock_ms, head.at)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="road")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A road that breaks takes the server with it, so that a supervisor starts anew."""
        if not task.cancelled() and task.exception() is not None:
            log.error("road_broke", exc_info=task.exception())
            self.writable = False
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
        bell = self._bell
        if bell is not None and not bell.done():
            bell.set_result(None)
        return None

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
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        """Decide one batch while the one before is being saved; tell of each when it is committed."""
        loop = asyncio.get_running_loop()
        while self._inbox or not self._stopping:
            if not self._inbox:
                if self._saving is not None:
                    await self._saved()
                    continue
                self._bell = loop.create_future()
                await self._bell
                self._bell = None
                continue
            if self._saving is not None and len(self._inbox) < OVERLAP_FRAMES_MIN:
                await self._saved()
            await self._road(self._take())
        await self._saved()

    def _take(self) -> list[Submission]:
        """The next batch; it ends before a frame that acts on a payment of its own, whose rows it would not know."""
        batch: list[Submission] = []
        size = 0
        inbox = self._inbox
        ids: set[str | None] | None = None
        while inbox and len(batch) < BATCH_FRAMES_MAX and size < BATCH_BYTES_MAX:
            request = inbox[0][0]
            if request.frame.__class__ in ACTS_ON_REF and (ref := getattr(request.frame, "ref", None)):
                if ids is None:
                    ids = {getattr(waiting.frame, "id", None) for waiting, _ in batch}
                if ref in ids:
                    break
            size += len(request.content)
            batch.append(inbox.popleft())
            if ids is not None:
                ids.add(getattr(request.frame, "id", None))
        return batch

    async def _road(self, batch: list[Submission]) -> None:
        """Decide a batch and start to save it; one that cannot be applied is taken again frame by frame.

        After a fatal fault nothing is committed any more: SQLite itself would go on as if nothing were wrong.
        """
        if self._broken:
            await self._void(batch, UNAVAILABLE)
            return
        try:
            decided = await self._prepare(batch)
        except Exception:
            log.exception("batch_fault", frames=len(batch))
            await self._saved()
            if len(batch) == 1:
                await self._void(batch, INTERNAL)
                return
            await self._forget()
            for submission in batch:
                await self._road([submission])
            return
        if not await self._saved():
            await self._void(batch, UNAVAILABLE)
            return
        self._on_the_way = decided.changes  # now, since the next batch may begin before the task does
        self._saving = asyncio.get_running_loop().create_task(self._save(decided), name="save")

    async def _prepare(self, batch: list[Submission]) -> "_Decided":
        book = self._book
        if book.rows() > BOOK_ROWS_MAX and await self._saved():
            book.forget(book.head)
        book.begin(self.now_ms(), None if self._saving is None else self._on_the_way)
        await self._load(batch)
        outcomes: list[tuple[Request, Sink, Outcome]] = []
        for start in range(0, len(batch), SLICE_FRAMES):
            part = batch[start : start + SLICE_FRAMES]
            outcomes += [(request, sink, self._settle(request)) for request, sink in part]
            if len(part) == SLICE_FRAMES:
                await asyncio.sleep(0)
        changes = book.changes
        pos = book.head.pos
        balances = [
            Balance(account.owner, account.currency, account.available, account.held, pos)
            for account in changes.accounts.values()
            if account.code == "customer"
        ]
        packed = self._store.pack(changes, book.head) if changes else None
        return _Decided(batch, changes, packed, Committed(pos, book.outflow, balances, outcomes))

    async def _save(self, decided: "_Decided") -> bool:
        """Commit, then tell. False where the store could not."""
        try:
            if decided.packed is not None:
                started = time.perf_counter()
                await self._store.save(decided.packed)
                self._metrics.batches += 1
                self._metrics.committed += len(decided.changes.events)
                self._metrics.commit_seconds.observe(time.perf_counter() - started)
        except StoreFault as fault:
            log.error("store_fault", error=str(fault), fatal=fault.fatal, frames=len(decided.batch))
            self.writable = False
            if fault.fatal:
                self._broken = True
                self._fatal()
            await self._void(decided.batch, UNAVAILABLE)
            return False
        self.writable = True
        self._tell_all(decided.commit)
        return True

    def _tell_all(self, commit: Committed) -> None:
        """What was committed stays so, even where telling of it fails: resume and retry bring it."""
        try:
            self._tell(commit)
        except Exception:
            log.exception("tell_fault", pos=commit.pos)

    async def _saved(self) -> bool:
        """Wait for the batch that is being saved; False where it failed, and what was decided on it is void."""
        saving, self._saving = self._saving, None
        return True if saving is None else await saving

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
            return settle(self._book, request)
        except RuleFault:
            log.exception("rule_fault", kind=type(request.frame).__name__)
            return INTERNAL

    async def _void(self, batch: list[Submission], refusal: Refusal) -> None:
        """Refuse a whole batch, of which nothing was committed."""
        outcomes: list[tuple[Request, Sink, Outcome]] = [(r, sink, refusal) for r, sink in batch]
        self._tell_all(Committed(0, [], [], outcomes))
        await self._forget()

    async def _forget(self) -> None:
        """Start again from what the store has."""
        try:
            self._book.forget(await self._store.head())
        except Exception:
            log.exception("store_unreadable")
            self._fatal()

    def now_ms(self) -> int:
        """Commit time; never behind the commit before, even where the clock was set back."""
        self._clock_ms = max(self._clock_ms, time.time_ns() // 1_000_000)
        return self._clock_ms
