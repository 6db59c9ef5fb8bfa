"""One connection's bounded outbox: one write per batch, shared bytes, live frames dropped first.

While the socket takes what it is given, nothing waits here. Once it does not, events queue by reference (a
thousand stalled readers share one copy) up to OUTBOX_BYTES_MAX; then the connection ends as a slow consumer
and all it missed comes with resume.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from tuppence_protocol.errors import CLOSES, CloseCode

if TYPE_CHECKING:
    from .presence import Person

OUTBOX_BYTES_MAX: Final = 256 * 1024
OUTBOX_WRITE_BYTES_MAX: Final = 1
"""Above this the transport is asked to call `pause_writing`: as soon as the socket does not take all that it
is given. uvloop writes at once what passes this bound, and the rest only at the end of its iteration. Not 0:
TLS transports compare with "at least", and would pause while nothing waits."""


_NO_GROUPS: Final[set[str]] = set()
"""Shared by all connections that are in no group; never changed."""
_NOBODY: Final[frozenset[str]] = frozenset()
"""Likewise where nobody is watched: Python makes another empty one, of 216 bytes, for each call."""


class Joining:
    """What happens to a connection between its attaching and its snapshot."""

    __slots__ = ("changes", "events")

    def __init__(self) -> None:
        self.events: list[tuple[str, int, bytes]] = []
        self.changes: list[tuple[str, int, bool]] = []
        """(group, the first `pos` that knows of it, joined or left)"""


class Outbox:
    """The hub's side of a connection. The edge gives it `open`, `transmit` and `close`."""

    __slots__ = (
        "backlog", "backlog_bytes", "device", "groups", "joining", "latest", "paused", "pending", "person",
        "session_id", "since", "touched", "watched", "watches",
    )  # fmt: skip

    def __init__(self, touched: "list[Outbox]") -> None:
        self.person: Person | None = None
        self.session_id = ""
        self.device: str | None = None
        self.groups: set[str] = _NO_GROUPS
        self.watched = _NOBODY
        self.watches = 0
        """How often the client has said whom it watches."""
        self.touched = touched
        self.pending: list[bytes] | None = None
        self.joining: Joining | None = None
        self.since = -1
        """What the snapshot had: a commit may be read by a snapshot before the hub is told of it."""
        self.backlog: deque[bytes] | None = None
        self.backlog_bytes = 0
        self.latest: dict[str, tuple[int | None, bytes]] | None = None
        """What is to be said last of each thing that has only a present: a currency's balance, a person's
        presence. No more than there are currencies and people watched."""
        self.paused = False

    @property
    def open(self) -> bool:
        """True while something can still be sent."""
        raise NotImplementedError

    def transmit(self, data: bytes) -> None:
        """Hand bytes to the socket."""
        raise NotImplementedError

    def close(self, code: CloseCode, retry_ms: int | None = None) -> None:
        """Say goodbye and begin to close."""
        raise NotImplementedError

    def push(self, conv: str, pos: int, data: bytes) -> None:
        """Queue encoded events of one conversation, the last of them at `pos`, for the end of the batch."""
        if self.joining is not None:
            self.joining.events.append((conv, pos, data))
        elif pos <= self.since:
            return
        elif self.pending is None:
            self.pending = [data]
            self.touched.append(self)
        else:
            self.pending.append(data)

    def push_answer(self, data: bytes) -> None:
        """Queue what answers this connection alone; it does not wait for the snapshot."""
        if self.pending is None:
            self.pending = [data]
            self.touched.append(self)
        else:
            self.pending.append(data)

    def push_live(self, data: bytes) -> None:
        """Queue a fleeting frame, unless the reader is behind or not ready."""
        if not self.paused and self.joining is None:
            self.push_answer(data)

    def push_latest(self, key: str, data: bytes, pos: int | None = None) -> None:
        """Queue what replaces all that was said under this key; a reader that is behind or not ready gets the
        last.

        With `pos`, what the snapshot knew is not said again.
        """
        if self.paused or self.joining is not None:
            if self.latest is None:
                self.latest = {}
            self.latest.pop(key, None)
            self.latest[key] = (pos, data)
        elif pos is None or pos > self.since:
            self.push_answer(data)

    def forget(self, key: str) -> None:
        """Say nothing of this any more."""
        if self.latest is not None:
            self.latest.pop(key, None)

    def catch_up(self) -> None:
        """Queue the last of what was kept back, once the reader is ready and not behind."""
        if self.latest is None or self.paused or self.joining is not None:
            return
        latest, self.latest = self.latest, None
        for pos, data in latest.values():
            if pos is None or pos > self.since:
                self.push_answer(data)

    def flush(self) -> None:
        """Write all that is pending at once, or queue it where the socket is full."""
        pending, self.pending = self.pending, None
        if not pending:
            return
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        if not self.paused:
            self.transmit(data)
            return
        if self.backlog is None:
            self.backlog = deque()
        self.backlog.append(data)
        self.backlog_bytes += len(data)
        if self.backlog_bytes > OUTBOX_BYTES_MAX:
            self.discard()
            self.close(CLOSES["slow_consumer"])

    def discard(self) -> None:
        """Forget everything that has not been handed to the socket."""
        self.pending = self.backlog = self.joining = self.latest = None
        self.backlog_bytes = 0

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self.paused = True

    def resume_writing(self) -> None:
        """The socket has room again."""
        self.paused = False
        while self.backlog and not self.paused:
            data = self.backlog.popleft()
            self.backlog_bytes -= len(data)
            self.transmit(data)
        if not self.backlog:
            self.backlog = None
            self.catch_up()
            self.flush()
