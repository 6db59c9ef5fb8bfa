"""A stream is a bounded queue that the reader task fills and user code empties; neither waits for the other.

Overflow is never silent for events: what is queued is given first, then `StreamOverflow` is raised once in
the place of what was dropped, then the stream goes on. Notices are fleeting, so the oldest are dropped.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from .errors import StreamOverflow, TuppenceError

T = TypeVar("T")


class Stream(Generic[T]):
    """An asynchronous iterator over what arrives; ends at `close`, raises when the client has ended."""

    def __init__(self, size_max: int, *, lossy: bool, wanted: Callable[[T], bool]) -> None:
        self._items: deque[T] = deque()
        self._size_max = size_max
        self._lossy = lossy
        self._wanted = wanted
        self._checked: Callable[[T], Awaitable[bool]] | None = None
        self._missed = 0
        self._end: Exception | None = None
        self._wake = asyncio.Event()

    def push(self, item: T) -> None:
        """Queue an item; never waits."""
        if self._end is not None or not self._wanted(item):
            return
        if self._missed or len(self._items) >= self._size_max:
            if not self._lossy:
                self._missed += 1
                return
            self._items.popleft()
        self._items.append(item)
        self._wake.set()

    def narrow(self, wanted: Callable[[T], bool], checked: Callable[[T], Awaitable[bool]] | None) -> None:
        """Want less from now on, and of what is queued; `checked` is asked before an item is given."""
        self._wanted = wanted
        self._checked = checked
        self._items = deque(item for item in self._items if wanted(item))

    def end(self, reason: Exception) -> None:
        """Give out what is queued, then raise `reason`."""
        self._end = self._end or reason
        self._wake.set()

    def close(self) -> None:
        """Stop iterating: nothing more is queued or given."""
        self._items.clear()
        self._missed = 0
        self.end(StopAsyncIteration())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """The next item; it leaves the queue when it is given, so whoever is cancelled in waiting loses
        nothing."""
        while True:
            await self._waited()
            item = self._items[0]
            given = self._checked is None or await self._checked(item)
            if self._items and self._items[0] is item:
                self._items.popleft()
                if given:
                    return item

    async def _waited(self) -> None:
        while not self._items:
            if self._missed:
                missed, self._missed = self._missed, 0
                raise StreamOverflow(missed)
            if self._end is not None:
                raise fresh(self._end)
            self._wake.clear()
            await self._wake.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def fresh(reason: Exception) -> Exception:
    """The same exception without the traceback of who met it first."""
    return reason.with_traceback(None) if isinstance(reason, TuppenceError) else StopAsyncIteration()


class Fanout(Generic[T]):
    """All streams of one kind. What arrives before the first stream exists is kept for it."""

    def __init__(self, size_max: int, *, lossy: bool) -> None:
        self._size_max = size_max
        self._lossy = lossy
        self._early: Stream[T] | None = Stream(size_max, lossy=lossy, wanted=lambda _: True)
        self._streams: weakref.WeakSet[Stream[T]] = weakref.WeakSet()
        self._end: Exception | None = None

    def push(self, item: T) -> None:
        """Queue an item on every stream that wants it."""
        if self._early is not None:
            self._early.push(item)
        for stream in self._streams:
            stream.push(item)

    def subscribe(
        self, wanted: Callable[[T], bool], checked: Callable[[T], Awaitable[bool]] | None = None
    ) -> Stream[T]:
        """A new stream, from now on; the first one also has what came before it."""
        stream, self._early = self._early, None
        if stream is None:
            stream = Stream(self._size_max, lossy=self._lossy, wanted=wanted)
        stream.narrow(wanted, checked)
        self._streams.add(stream)
        if self._end is not None:
            stream.end(self._end)
        return stream

    def end(self, reason: Exception) -> None:
        """End every stream."""
        self._end = reason
        for stream in self._streams:
            stream.end(reason)
