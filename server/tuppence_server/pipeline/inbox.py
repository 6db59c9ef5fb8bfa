"""What waits for the road, who waits for what becomes of it, and the refusals of the road itself."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tuppence_protocol.errors import Refusal
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.request import Request
from tuppence_server.domain.rules import ACTS_ON

Sink = Callable[[Request, Outcome], None]
"""Where the outcome of a request goes; called after the commit, should not raise."""
Submit = Callable[[Request, Sink], Refusal | None]
Submission = tuple[Request, Sink]
BUSY: Final = Refusal("busy", "The server has too much to do; send again.", retry_ms=500)
STOPPING: Final = Refusal("busy", "The server is stopping; send again after reconnecting.", retry_ms=1_000)
UNAVAILABLE: Final = Refusal(
    "unavailable", "The server cannot store now; send again under the same id.", retry_ms=2_000
)
INTERNAL: Final = Refusal("internal", "The server failed on this frame; it was not stored.", retry_ms=2_000)


class Bounds(Struct, frozen=True):
    """How much the road takes at once."""

    inbox_frames_max: int = 20_000
    batch_frames_max: int = 1_024
    batch_bytes_max: int = 2 * 1024 * 1024
    load_frames_max: int = 256
    """Frames whose rows are loaded at once: while they are decided the writer may come to wait."""
    slice_frames: int = 64
    """Frames decided in one go before the sockets and the writer get a turn."""
    overlap_frames_min: int = 24
    """With fewer waiting beside a save, more are awaited, or its end:
    a load costs the same for few as for many."""
    book_rows_max: int = 400_000


BOUNDS: Final = Bounds()


class Inbox:
    """A bounded queue, and the bell that wakes the road."""

    def __init__(self, frames_max: int) -> None:
        self._frames_max = frames_max
        self._waiting: deque[Submission] = deque()
        self._bell: asyncio.Future[None] | None = None
        self._bell_frames = 1
        self.closed: Refusal | None = None
        """What everybody is told, once nothing is taken any more."""

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, request: Request, sink: Sink) -> Refusal | None:
        """Put a request on the road; a refusal comes back at once where nothing is taken."""
        if self.closed is not None:
            return self.closed
        if len(self._waiting) >= self._frames_max:
            return BUSY
        self._waiting.append((request, sink))
        if self._bell is not None and len(self._waiting) >= self._bell_frames:
            self.ring()
        return None

    async def ask(self, request: Request) -> Outcome:
        """Put a request on the road and wait for its outcome (HTTP, the command line)."""
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def sink(_: Request, outcome: Outcome) -> None:
            if not waiting.done():
                waiting.set_result(outcome)

        return self.submit(request, sink) or await waiting

    def take(self, frames_max: int, bytes_max: int) -> tuple[list[Submission], int]:
        """The next frames and how many bytes of content they have.

        They end before one that acts on a payment among them, whose rows it would not know.
        """
        taken: list[Submission] = []
        waiting, content_bytes = self._waiting, 0
        ids: set[str | None] | None = None
        while waiting and len(taken) < frames_max and content_bytes < bytes_max:
            submission = waiting.popleft()
            request = submission[0]
            frame = request.frame
            acts_on = ACTS_ON.get(type(frame))
            if acts_on is not None and (payment := acts_on(frame)):
                ids = ids or {getattr(other.frame, "id", None) for other, _ in taken}
                if payment in ids:
                    waiting.appendleft(submission)
                    break
            content_bytes += len(request.content)
            taken.append(submission)
            if ids is not None:
                ids.add(getattr(frame, "id", None))
        return taken, content_bytes

    def drain(self) -> list[Submission]:
        """All that waits, which nobody will decide."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    async def wait(self, frames: int) -> None:
        """Until so many wait, or somebody rings."""
        self._bell_frames = frames
        self._bell = asyncio.get_running_loop().create_future()
        await self._bell
        self._bell = None

    def ring(self, _: object = None) -> None:
        """Wake the road."""
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)
