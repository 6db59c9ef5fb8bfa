"""The stream that loses nothing: what its queue cannot hold, or resume does not replay, is read from the
histories.

The cursor is moved, in memory and in the file, when the next event is asked for: until then the event in hand
counts as not handled. So each event is given at least once, and twice only where the process died with it in
hand.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from tuppence_protocol.events import Event

from .saved import SavedCursor
from .streams import Stream, fresh

Missed = Callable[[int, int], AsyncIterator[Event]]
"""Gives the events after one pos and up to another."""


class Following(Stream[Event]):
    """All events of one person, from the saved cursor on."""

    def __init__(
        self, size_max: int, saved: SavedCursor, missed: Missed, complete: Callable[[], int]
    ) -> None:
        """`complete` tells the pos up to which everything that came has been pushed."""
        super().__init__(size_max, lossy=False, wanted=lambda _: True)
        self._saved = saved
        self._read = missed
        self._complete = complete
        self._cursors: deque[tuple[str, int]] = deque()
        self._in_hand: tuple[str, int] | None = None
        self._epoch = saved.epoch or ""
        self._given = saved.pos
        self._newest = saved.pos
        self._behind = False
        self._upto: int | None = None
        self._pages: AsyncIterator[Event] | None = None
        self._fetching: asyncio.Future[Event | None] | None = None

    # --- what the engine tells --------------------------------------------------------------------------

    def push(self, item: Event) -> None:
        """Queue an event; where there is no room, it is read from its conversation later."""
        if self._end is not None:
            return
        self._newest = max(self._newest, item.pos)
        if self._behind or len(self._items) >= self._size_max:
            self._behind = True
        else:
            self._items.append(item)
            self._cursors.append((self._epoch, min(item.pos, self._complete())))
        self._wake.set()

    def opened(self, user: str, epoch: str, pos: int, *, resumed: bool) -> bool:
        """A connection is ready at `pos`; without `resumed` what was missed is read.

        True where it cannot be, since the log is another than the one that the cursor is of.
        """
        if self._saved.user not in {None, user}:
            return False  # not this person's file; nothing in it is touched
        if epoch == self._epoch:
            if not resumed:
                self._newest = max(self._newest, pos)
                self._behind = True
                self._wake.set()
            return False
        replaced = bool(self._epoch)
        self._epoch, self._given, self._newest = epoch, pos, pos
        self._behind, self._upto = False, None
        self._drop_pages()
        self._saved.begin(user, epoch, pos)
        return replaced

    # --- what the reader does -----------------------------------------------------------------------------

    def handled(self) -> None:
        """The event that was given last is done with; asking for the next one says the same."""
        if self._in_hand is not None:
            self._saved.move(*self._in_hand)
            self._in_hand = None

    def close(self) -> None:
        """Stop iterating; the event in hand stays not handled."""
        self._drop_pages()
        self._cursors.clear()
        self._behind, self._upto = False, None
        super().close()

    async def __anext__(self) -> Event:
        """The next event, once what was given before has been noted as handled."""
        self.handled()
        while True:
            if self._upto is not None and self._end is None:
                event = await self._fetched(self._upto)
                if event is not None:
                    return self._give(event, (self._epoch, event.pos))
            elif self._items:
                return self._give(self._items.popleft(), self._cursors.popleft())
            elif self._end is not None:
                raise fresh(self._end)
            elif self._behind:
                self._behind, self._upto = False, self._newest
            else:
                self._wake.clear()
                await self._wake.wait()

    def _give(self, event: Event, cursor: tuple[str, int]) -> Event:
        self._in_hand = cursor
        if cursor[0] == self._epoch:
            self._given = max(self._given, cursor[1])
        return event

    async def _fetched(self, upto: int) -> Event | None:
        """The next missed event, None where there is no more; a reader that is cancelled in between loses
        none."""
        if self._pages is None:
            self._pages = self._read(self._given, upto)
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(anext(self._pages, None))
            self._fetching.add_done_callback(_looked_at)
        fetching = self._fetching
        await asyncio.wait([fetching])
        if fetching is not self._fetching:
            return None  # another log took its place
        self._fetching = None
        try:
            event = fetching.result()
        except BaseException:
            self._pages = None
            raise
        if event is None:
            self._pages, self._upto = None, None
            self._given = max(self._given, upto)
        return event

    def _drop_pages(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        self._fetching = self._pages = None


def _looked_at(fetching: "asyncio.Future[Event | None]") -> None:
    """A fault is told to the reader that comes for it; one that never comes is no fault of the loop's."""
    if not fetching.cancelled():
        fetching.exception()
