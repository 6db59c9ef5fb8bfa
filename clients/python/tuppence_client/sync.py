"""The same client for code without asyncio: its loop runs in a thread of its own, every call waits for it."""

import asyncio
import os
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, Self, TypeVar

from tuppence_protocol.events import ConversationView, Event, MemberView, UserView
from tuppence_protocol.limits import PAGE_EVENTS_DEFAULT, PAGE_ROWS_MAX
from tuppence_protocol.payment_events import BalanceView, PaymentView, QuoteView, StatementLine
from tuppence_protocol.shapes import GivenRole, InPlace

from .backoff import Pace
from .client import EVENTS_MAX, Client, connect
from .money import Amount
from .notices import State
from .payments import Moment, Preview, Statement
from .tokens import Token
from .verbs import Previewable, Verbs

T = TypeVar("T")


class SyncClient(Verbs[Event]):
    """`Client` for ordinary code and threads; use it in a `with` block. It raises what `Client` raises.

    May be called from several threads at once, and where a loop runs already (a notebook), which then waits.
    Ctrl-C in a call cancels that call. `preview.pay(…)` and the like
    tell what would come of a call.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token,
        device: str | None = None,
        patience_s: float = 0.0,
        queue_max: int = EVENTS_MAX,
        pace: Pace | None = None,
        state: str | os.PathLike[str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(self.new_id, lambda: self.user.id, self.submit)
        self.preview: Previewable[Preview] = Previewable(
            self.new_id, lambda: self.user.id, lambda frame: self._call(self._me.preview(frame))
        )
        self._connecting: AbstractAsyncContextManager[Client] = connect(
            url,
            token=token,
            device=device,
            patience_s=patience_s,
            queue_max=queue_max,
            pace=pace,
            state=state,
            tls=tls,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tuppence-client", daemon=True)
        self._client: Client | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._client = self._call(self._connecting.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call(self._connecting.__aexit__(None, None, None))
        finally:
            self._stop()

    def _stop(self) -> None:
        self._call(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _settle(self) -> None:
        """In the loop's own thread, since the caller's may have a loop that runs: a notebook's, say."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _begin(self, work: Awaitable[T]) -> Future[T]:
        async def run() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    def _call(self, work: Awaitable[T]) -> T:
        future = self._begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _do(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return self._call(run())

    @property
    def _me(self) -> Client:
        if self._client is None:
            raise RuntimeError("use SyncClient in a with block")
        return self._client

    @property
    def user(self) -> UserView:
        """Who one is."""
        return self._me.user

    @property
    def mode(self) -> str:
        """ "sandbox", where all money is play money, or "live"."""
        return self._me.mode

    @property
    def balances(self) -> Mapping[str, BalanceView]:
        """A copy of one's balances by currency, as last told."""
        return self._do(lambda: dict(self._me.balances))

    @property
    def conversations(self) -> Mapping[str, ConversationView]:
        """A copy of one's conversations by id, as last told."""
        return self._do(lambda: dict(self._me.conversations))

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._me.state

    def new_id(self) -> str:
        """An id to save before sending."""
        return self._do(self._me.new_id)

    def id_for(self, event: Event, purpose: str = "") -> str:
        """The id of what one does because of an event, the same whenever it is asked for."""
        return self._me.id_for(event, purpose)

    def handled(self) -> None:
        """With a `state`: save that the event given last is handled."""
        self._do(self._me.handled)

    def send(self, conv: str, text: str, *, ref: str | None = None, id: str | None = None) -> Event:  # noqa: A002
        """Say something in `conv` and return the stored event."""
        return self._call(self._me.send(conv, text, ref=ref, id=id))

    def submit(self, frame: InPlace) -> Event:
        """Send a frame made by hand; the stored event."""
        return self._call(self._me.submit(frame))

    def create_room(self, title: str, members: Iterable[str] = (), *, id: str | None = None) -> Event:  # noqa: A002
        """Open a group; the event's `conv` is its id."""
        return self._call(self._me.create_room(title, members, id=id))

    def rename(self, conv: str, title: str) -> Event:
        """Give a group another title."""
        return self._call(self._me.rename(conv, title))

    def invite(self, conv: str, *users: str) -> Event:
        """Bring people into a group."""
        return self._call(self._me.invite(conv, *users))

    def remove(self, conv: str, user: str) -> Event:
        """Take a person out of a group."""
        return self._call(self._me.remove(conv, user))

    def leave(self, conv: str) -> Event:
        """Leave a group."""
        return self._call(self._me.leave(conv))

    def set_role(self, conv: str, user: str, role: GivenRole) -> Event:
        """Give a person in a group another role."""
        return self._call(self._me.set_role(conv, user, role))

    def typing(self, conv: str) -> None:
        """Tell the others that one is writing."""
        self._do(lambda: self._me.typing(conv))

    def read(self, conv: str, seq: int) -> None:
        """Mark everything up to `seq` as read."""
        self._do(lambda: self._me.read(conv, seq))

    def watch(self, *users: str) -> None:
        """Ask for the presence of these people."""
        self._do(lambda: self._me.watch(*users))

    def history(
        self,
        conv: str,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = PAGE_EVENTS_DEFAULT,
    ) -> list[Event]:
        """Events of a conversation in order."""
        return self._call(self._me.history(conv, before=before, after=after, limit=limit))

    def event(self, id: str) -> Event:  # noqa: A002 - the wire's name
        """One event by its id."""
        return self._call(self._me.event(id))

    def list_conversations(
        self, *, before: int | None = None, limit: int = PAGE_EVENTS_DEFAULT
    ) -> list[ConversationView]:
        """One's conversations, latest first."""
        return self._call(self._me.list_conversations(before=before, limit=limit))

    def members(self, conv: str) -> list[MemberView]:
        """Everybody in a conversation."""
        return self._call(self._me.members(conv))

    def find_user(self, handle: str) -> UserView:
        """A person by handle or user id."""
        return self._call(self._me.find_user(handle))

    def wallet(self) -> list[BalanceView]:
        """One's balances as the ledger has them now."""
        return self._call(self._me.wallet())

    def quote(
        self, *, sell: str, buy: str, amount: Amount, side: Literal["sell", "buy"] = "sell"
    ) -> QuoteView:
        """A rate that holds for a while; `amount` is of the currency of that `side`."""
        return self._call(self._me.quote(sell=sell, buy=buy, amount=amount, side=side))

    def payments(
        self,
        *,
        state: str | None = None,
        with_: str | None = None,
        currency: str | None = None,
        page: int = PAGE_EVENTS_DEFAULT,
    ) -> Iterator[PaymentView]:
        """One's payments as they stand, latest first."""
        found = self._me.payments(state=state, with_=with_, currency=currency, page=page)
        return _Waiting(self._begin, found)

    def statement(
        self,
        currency: str,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        page: int = PAGE_ROWS_MAX,
    ) -> "SyncStatement":
        """What moved one's balance in a currency between two moments, oldest first."""
        asked = self._me.statement(currency, from_=from_, to=to, page=page)
        return SyncStatement(self._begin, self._call(asked))

    def events(self, conv: str | None = None, *, timeout: float | None = None) -> Iterator[Event]:
        """Events as they come, from the call on; stops after `timeout` seconds without one (None: never).

        With a `state`, the first call without `conv` begins where the former run stopped; see
        `Client.events`.
        """
        stream = self._do(lambda: self._me.events(conv))
        return _Waiting(self._begin, stream, timeout)


class _Begin(Protocol):
    def __call__(self, work: Awaitable[T]) -> Future[T]: ...


class _Waiting(Iterator[T]):
    """Pulls what the loop's thread iterates over."""

    def __init__(self, begin: _Begin, items: AsyncIterator[T], timeout_s: float | None = None) -> None:
        self._begin = begin
        self._items = items
        self._timeout_s = timeout_s
        self._one_at_a_time = threading.Lock()
        self._pulling: Future[tuple[T, ...]] | None = None

    def __next__(self) -> T:
        with self._one_at_a_time:
            found = self._pulled()
        if not found:
            raise StopIteration
        return found[0]

    def _pulled(self) -> tuple[T, ...]:
        """What comes; where an interrupt ends the wait, the next call gets it, so that nothing is lost."""
        pulling = self._pulling = self._pulling or self._begin(self._pull())
        try:
            found = pulling.result()
        except BaseException as fault:
            if pulling.done() and (pulling.cancelled() or pulling.exception() is fault):
                self._pulling = None
            raise
        self._pulling = None
        return found

    async def _pull(self) -> tuple[T, ...]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return (await anext(self._items),)
        except (TimeoutError, StopAsyncIteration):
            return ()


class SyncStatement(_Waiting[StatementLine]):
    """An iterator of lines; `opening` and `closing` as those of `Statement`."""

    def __init__(self, begin: _Begin, statement: Statement) -> None:
        super().__init__(begin, statement)
        self._statement = statement
        self.currency = statement.currency
        self.opening = statement.opening

    @property
    def closing(self) -> str:
        """The balance after the last page that has been read."""
        return self._statement.closing
