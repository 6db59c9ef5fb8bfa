"""The same client for code without asyncio: its loop runs in a thread of its own, every call waits for it."""

import asyncio
import os
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from tuppence_protocol.events import Event
from tuppence_protocol.kinds import ConversationView, StatementLine
from tuppence_protocol.limits import PAGE_ROWS_MAX
from tuppence_protocol.views import BalanceView, UserView

from .backoff import Pace
from .chat import Chat
from .client import EVENTS_MAX, Client, connect
from .notices import State
from .payments import Moment, Preview, Statement
from .tokens import Token
from .verbs import Previewable, Verbs

# --- the calls of `Client` as they are here, with what their docstrings say -----------------------

T = TypeVar("T")
P = ParamSpec("P")


def _done(call: Callable[Concatenate[Client, P], T]) -> Callable[Concatenate["SyncClient", P], T]:
    """A call that does not wait, done in the loop's thread."""

    @wraps(call)
    def done(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._do(lambda: call(self._me, *args, **kwargs))

    return done


def _awaited(
    call: Callable[Concatenate[Client, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["SyncClient", P], T]:
    """A call that waits: its caller's thread does."""

    @wraps(call)
    def awaited(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._call(call(self._me, *args, **kwargs))

    return awaited


def _iterated(
    call: Callable[Concatenate[Client, P], AsyncIterator[T]],
) -> Callable[Concatenate["SyncClient", P], Iterator[T]]:
    """What is iterated over asynchronously, and waited for here."""

    @wraps(call)
    def iterated(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return _Waiting(self._begin, call(self._me, *args, **kwargs))

    return iterated


class SyncClient(Chat[Event], Verbs[Event]):
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
        Chat.__init__(self, self.new_id, self.submit)
        Verbs.__init__(self, self.new_id, lambda: self.user.id, self.submit)
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
        self._call(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
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

    new_id = _done(Client.new_id)
    id_for = _done(Client.id_for)
    handled = _done(Client.handled)
    typing = _done(Client.typing)
    read = _done(Client.read)
    watch = _done(Client.watch)

    submit = _awaited(Client.submit)
    history = _awaited(Client.history)
    event = _awaited(Client.event)
    list_conversations = _awaited(Client.list_conversations)
    members = _awaited(Client.members)
    find_user = _awaited(Client.find_user)
    wallet = _awaited(Client.wallet)
    quote = _awaited(Client.quote)
    payments = _iterated(Client.payments)

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
