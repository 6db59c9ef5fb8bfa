"""Between connection and user: outcomes find who waits for them, events and notices find their streams.

All of it runs on the event loop without waiting; only `commit` and `ask` wait, in the caller's own task, so a
cancelled call takes nothing with it but itself.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from msgspec import Raw

from tuppence_protocol import codec, kinds, shapes, views
from tuppence_protocol import session as ss
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event

from .backoff import Pace
from .connection import Connection
from .errors import ConnectionEnded, ShapeError, TuppenceError, error_of
from .following import Following
from .ids import Ids
from .notices import Notice, Reset, Resumed, State, StateChanged
from .state import KnownState
from .streams import Fanout
from .tokens import Tokens

T = TypeVar("T")
NOTICES_MAX: Final = 1_000


@dataclass
class _Question:
    raw: bytes
    answer: "asyncio.Future[Raw | kinds.ErrorBody]"
    sent: bool = False
    lost: int = 0


class Engine:
    """What one client knows and waits for; the `Sink` of its connection."""

    def __init__(
        self,
        url: str,
        session: ss.ClientSession,
        pace: Pace,
        queue_max: int,
        tokens: Tokens,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.session = session
        self.pace = pace
        self.known = KnownState()
        self.connection = Connection(url, session, self, pace, tokens, tls)
        self.new_id = Ids()
        self.events: Fanout[Event] = Fanout(queue_max, lossy=False)
        self.notices: Fanout[Notice] = Fanout(NOTICES_MAX, lossy=True)
        self.following: Following | None = None
        self.limits: kinds.LimitsView | None = None
        self.current = State.CONNECTING
        self.changed = asyncio.Event()
        self.ended: ConnectionEnded | None = None
        self.first_failure: ConnectionEnded | None = None
        self._watching: bytes | None = None
        self._marks: dict[str, kinds.LiveRead] = {}
        self._commits: dict[str, asyncio.Future[Event | kinds.ErrorBody]] = {}
        self._questions: dict[str, _Question] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshing: asyncio.Task[None] | None = None
        self._replayed = 0
        self._was_online = False

    # --- what the user waits for ------------------------------------------------------------------

    async def commit(self, frame: shapes.Durable) -> Event:
        """Send a durable frame until its outcome is known; re-sent under its id over every reconnect."""
        self._check(frame)
        if frame.id in self._commits:
            raise ValueError(f"{frame.id} is being sent already; await that call")
        try:
            return await self._retried(lambda: self._commit_once(frame))
        finally:
            self.session.forget(frame.id)

    async def ask(self, frame: shapes.Ask) -> views.Extensible:
        """Ask until there is an answer; asked again once where the connection is lost in between."""
        raw = self._check(frame)
        body = await self._retried(lambda: self._ask_once(frame.id, raw))
        return codec.decode_result(frame.kind, body)

    def tell(self, frame: shapes.Live) -> None:
        """Send a live frame if there is a connection; else it is dropped."""
        raw = self._check(frame)
        if self.session.ready:
            self.connection.post(raw)

    def watch(self, frame: kinds.LiveWatch) -> None:
        """Send the whole set now and on every new connection, until there is another."""
        self._watching = self._check(frame)
        self.tell(frame)

    def mark(self, frame: kinds.LiveRead) -> None:
        """Send a read mark now, and again on a new connection if the server does not have it then."""
        self.tell(frame)
        self._marks[frame.conv] = frame
        self.known.read(frame.conv, frame.body.seq)

    async def placed(self, conv: str) -> None:
        """Wait until a conversation that an event named is known, or the server was asked in vain."""
        if conv not in self.known.conversations and self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    def _check(self, frame: shapes.Frame) -> bytes:
        """Refuse here what the server would refuse by its shape; an oversized frame would end the socket."""
        try:
            raw = codec.encode(frame)
        except UnicodeEncodeError as fault:
            raise ShapeError("bad_json", f"not valid Unicode: {fault.reason}") from None
        refusal = codec.decode_client(raw)
        if isinstance(refusal, Refusal):
            raise error_of(refusal)
        return raw

    async def _retried(self, attempt: Callable[[], Awaitable[T | kinds.ErrorBody]]) -> T:
        now = asyncio.get_running_loop().time
        deadline_s: float | None = None
        tries = 0
        while True:
            answer = await attempt()
            if not isinstance(answer, kinds.ErrorBody):
                return answer
            pause_s = self.pace.backoff(tries, answer.retry_ms)
            deadline_s = deadline_s or now() + self.pace.retry_s
            if answer.final or now() + pause_s > deadline_s:
                raise error_of(answer)
            await asyncio.sleep(pause_s)
            tries += 1

    async def _commit_once(self, frame: shapes.Durable) -> Event | kinds.ErrorBody:
        self._refuse_if_ended()
        answer: asyncio.Future[Event | kinds.ErrorBody] = asyncio.get_running_loop().create_future()
        self._commits[frame.id] = answer
        try:
            raw = self.session.submit(frame)
            if self.session.caught_up:
                self.connection.post(raw)
            return await answer
        finally:
            del self._commits[frame.id]

    async def _ask_once(self, id: str, raw: bytes) -> Raw | kinds.ErrorBody:  # noqa: A002 - the wire's name
        self._refuse_if_ended()
        question = _Question(raw, asyncio.get_running_loop().create_future())
        self._questions[id] = question
        try:
            if self.session.ready:
                self._put(question)
            return await question.answer
        finally:
            del self._questions[id]

    def _refuse_if_ended(self) -> None:
        if self.ended is not None:
            raise self.ended.with_traceback(None)

    def _put(self, question: _Question) -> None:
        question.sent = True
        self.connection.post(question.raw)

    # --- what the connection tells ----------------------------------------------------------------

    def effect(self, effect: ss.Effect) -> None:
        """Take one decision of the session."""
        match effect:
            case ss.Deliver(event):
                self._deliver(event)
            case ss.Settled(id=ref, outcome=outcome):
                _answer(self._commits.get(ref), outcome)
            case ss.Answered(ref, body):
                question = self._questions.get(ref)
                _answer(question.answer if question else None, body)
            case ss.Noticed(message):
                self._notice(message)
            case ss.Opened(ready):
                self._opened(ready)
            case ss.Gap(conv):
                self._spawn(self._close_gap(conv))

    def disconnected(self) -> None:
        """The socket is gone: what was asked on it is asked once more on the next."""
        for question in self._questions.values():
            question.lost += question.sent
            question.sent = False
            if question.lost > 1 and not question.answer.done():
                lost = ConnectionEnded(1006, "the connection was lost twice before the answer")
                question.answer.set_exception(lost)

    def state(self, state: State, retry_s: float | None, ended: ConnectionEnded | None) -> None:
        """The connection changed."""
        self.current = state
        if state is State.WAITING:
            self.first_failure = self.first_failure or ended
        self.notices.push(StateChanged(state, retry_s, ended))
        self.changed.set()
        self.changed.clear()

    def end(self, reason: ConnectionEnded, *, wanted: bool = False) -> None:
        """It is over for good: tell everybody who waits; streams just end where that was `wanted`."""
        if self.ended is not None:
            return
        self.ended = reason
        waiting: list[asyncio.Future[Any]] = [
            *self._commits.values(),
            *(question.answer for question in self._questions.values()),
        ]
        for future in waiting:
            if not future.done():
                future.set_exception(reason)
        self.state(State.ENDED, None, reason)
        end: Exception = StopAsyncIteration() if wanted else reason
        self.events.end(end)
        if self.following is not None:
            self.following.end(end)
        self.notices.end(end)
        for task in self._tasks:
            task.cancel()

    def _opened(self, ready: kinds.ReadyBody) -> None:
        self.known.open(ready)
        self.limits = ready.limits
        self._replayed = 0
        if self._reset(ready):
            self.notices.push(Reset(str(ready.why or "unknown")))
        if self._watching is not None:
            self.connection.post(self._watching)
        marks, self._marks = self._marks, {}
        for conv, mark in marks.items():
            if (view := self.known.conversations.get(conv)) is None or view.read < mark.body.seq:
                self.mark(mark)
        for question in self._questions.values():
            self._put(question)
        if self.session.caught_up:
            self._online()
        else:
            self.state(State.CATCHING_UP, None, None)

    def _reset(self, ready: kinds.ReadyBody) -> bool:
        """Whether events were missed that nothing brings."""
        following = self.following
        if following is None:
            return self._was_online and not ready.resumed
        return following.opened(ready.user.id, ready.epoch, ready.pos, resumed=ready.resumed)

    def _online(self) -> None:
        for raw in self.session.unsettled.values():
            self.connection.post(raw)
        self._was_online = True
        self.state(State.ONLINE, None, None)

    def _deliver(self, event: Event) -> None:
        self._replayed += self.current is State.CATCHING_UP
        if not self.known.event(event) and self._refreshing is None:
            self._refreshing = self._spawn(self._refresh())
        self.events.push(event)
        if self.following is not None:
            self.following.push(event)

    def _notice(self, message: codec.ServerMessage) -> None:
        match message:
            case kinds.Synced() if self.current is State.CATCHING_UP:
                self._online()
                self.notices.push(Resumed(self._replayed))
            case kinds.BalanceNotice(body=view):
                self.known.balance(view)
                self.notices.push(message)
            case kinds.ReceiptNotice():
                self.known.receipt(message)
                self.notices.push(message)
            case kinds.TypingNotice() | kinds.PresenceNotice() | kinds.Error():
                self.notices.push(message)

    # --- what the engine does by itself -----------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _refresh(self) -> None:
        """Ask for the conversations, since an event named one that is not known."""
        try:
            result = await self.ask(kinds.AskConversations(id=self.new_id()))
            if isinstance(result, kinds.ConversationsResult):
                self.known.place(result.conversations)
        except TuppenceError:
            pass  # the next event of that conversation asks again
        finally:
            self._refreshing = None

    async def _close_gap(self, conv: str) -> None:
        await asyncio.sleep(self.pace.gap_s)
        while (frame := self.session.gap_frame(conv, self.new_id())) is not None:
            assert isinstance(frame, shapes.Ask)
            try:
                result = await self.ask(frame)
            except TuppenceError:
                self.connection.drop()  # the cursor stands before the gap, so resume brings what is missing
                return
            assert isinstance(result, kinds.HistoryResult)
            effects = self.session.fill(result.events)
            for effect in effects or self.session.skip(conv):
                self.effect(effect)


def _answer(future: "asyncio.Future[T] | None", outcome: T) -> None:
    if future is not None and not future.done():
        future.set_result(outcome)
