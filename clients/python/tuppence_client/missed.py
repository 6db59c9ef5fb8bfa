"""What was missed and is not replayed, read back out of the conversations' histories, in the log's order."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from typing import Final, Protocol

from tuppence_protocol.events import Event
from tuppence_protocol.kinds import ConversationView
from tuppence_protocol.limits import PAGE_EVENTS_MAX

from .errors import PlaceError

EVENTS_AT_ONCE_MAX: Final = 2_000
"""Events that are kept at once, over all conversations that are read side by side."""
PAGE_EVENTS_MIN: Final = 10


class Histories(Protocol):
    """What is asked of a client."""

    async def history(
        self, conv: str, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> list[Event]: ...

    async def list_conversations(
        self, *, before: int | None = None, limit: int = 50
    ) -> list[ConversationView]: ...


async def missed(me: Histories, after: int, upto: int, per_s: float | None) -> AsyncIterator[Event]:
    """Every event that one may see with `after` < pos <= `upto`, by rising pos; asks at most `per_s` times a
    second.

    A conversation that one has left meanwhile can be read no more.
    """
    reader = _Reader(me, after, per_s)
    views = [view async for view in reader.moved()]
    page = max(PAGE_EVENTS_MIN, min(PAGE_EVENTS_MAX, EVENTS_AT_ONCE_MAX // max(1, len(views))))
    heads: list[tuple[int, str, Event, AsyncIterator[Event]]] = []

    async def follow(events: AsyncIterator[Event]) -> None:
        event = await anext(events, None)
        if event is not None and event.pos <= upto:
            heapq.heappush(heads, (event.pos, event.id, event, events))

    for view in views:
        await follow(reader.walk(view, page))
    while heads:
        _, _, event, events = heapq.heappop(heads)
        yield event
        await follow(events)


class _Reader:
    def __init__(self, me: Histories, after: int, per_s: float | None) -> None:
        self._me = me
        self._after = after
        self._pause_s = 0.0 if not per_s else 1.0 / per_s

    async def moved(self) -> AsyncIterator[ConversationView]:
        """The conversations in which something has happened since."""
        before: int | None = None
        seen: set[str] = set()  # one that moves while they are paged could come twice
        while True:
            await asyncio.sleep(self._pause_s)
            views = await self._me.list_conversations(before=before, limit=PAGE_EVENTS_MAX)
            new = [view for view in views if view.conv not in seen]
            for view in new:
                if view.pos <= self._after:
                    return
                seen.add(view.conv)
                yield view
            if not new:
                return
            before = new[-1].pos

    async def walk(self, view: ConversationView, page: int) -> AsyncIterator[Event]:
        """The events of a conversation behind the cursor, in order."""
        last = await self._floor(view, page)
        while True:
            events = await self._history(view.conv, after=last, limit=page)
            for event in events:
                last = event.seq
                if event.pos > self._after:
                    yield event
            if not events:
                return

    async def _floor(self, view: ConversationView, page: int) -> int:
        """A seq before all that was missed, and not much more than a page before it."""
        new, step = view.seq + 1, page
        old = max(view.since - 1, 0)
        while new - old > page and (probe := new - step) > old:
            if await self._is_new(view.conv, probe):
                new, step = probe, 2 * step
            else:
                old = probe
                break
        while new - old > page:
            middle = (new + old) // 2
            if await self._is_new(view.conv, middle):
                new = middle
            else:
                old = middle
        return old

    async def _is_new(self, conv: str, seq: int) -> bool:
        found = await self._history(conv, before=seq + 1, limit=1)
        return bool(found) and found[-1].pos > self._after

    async def _history(
        self, conv: str, *, before: int | None = None, after: int | None = None, limit: int
    ) -> list[Event]:
        await asyncio.sleep(self._pause_s)
        try:
            return await self._me.history(conv, before=before, after=after, limit=limit)
        except PlaceError:
            return []
