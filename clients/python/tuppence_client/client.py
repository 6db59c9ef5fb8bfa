"""The client: say, pay, ask, listen. A payment is a message: both are sent, acknowledged and resumed alike.

Awaiting any call inside a loop over `events` or `notices` works: the reader is a task of its own. A call that
is cancelled takes nothing with it; whether its frame was stored is then unknown: the event tells.
"""

import asyncio
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, closing, nullcontext
from typing import Any

from msgspec import UNSET

from tuppence_protocol import codec, kinds
from tuppence_protocol.events import Event
from tuppence_protocol.limits import PAGE_EVENTS_DEFAULT, PAGE_ROWS_MAX
from tuppence_protocol.session import ClientSession
from tuppence_protocol.views import BalanceView, UserView

from .backoff import Pace
from .chat import Chat
from .engine import Engine
from .errors import ConnectionEnded, StateFileError
from .following import Following
from .ids import derived_id
from .loops import need_asyncio
from .missed import missed
from .notices import Notice, State
from .payments import Payments
from .saved import SavedCursor
from .streams import Stream
from .tokens import Token, Tokens
from .urls import socket_url

CLIENT_NAME = "tuppence-py/0.1"
EVENTS_MAX = 10_000


class Client(Chat[Coroutine[Any, Any, Event]], Payments):
    """One user's connection; made by `connect`.

    Sending raises the `TuppenceError` of the refusal's family, shape errors before anything is sent, and
    `ConnectionEnded` once the connection is over for good. While it is only away, calls wait for it: bound
    them with `asyncio.timeout` where that matters.
    """

    def __init__(self, engine: Engine) -> None:
        Chat.__init__(self, engine.new_id, engine.commit)
        Payments.__init__(self, engine)
        self._engine = engine
        self._following = engine.following

    # --- what is kept fresh -----------------------------------------------------------------------

    @property
    def user(self) -> UserView:
        """Who one is."""
        return self._engine.known.user

    @property
    def mode(self) -> str:
        """ "sandbox", where all money is play money, or "live"."""
        return self._engine.known.mode

    @property
    def balances(self) -> Mapping[str, BalanceView]:
        """One's balances by currency, as last told."""
        return self._engine.known.balances

    @property
    def conversations(self) -> Mapping[str, kinds.ConversationView]:
        """One's conversations by id (the latest ones), as last told; unread = `seq` - `read`."""
        return self._engine.known.conversations

    async def conversation(self, conv: str) -> kinds.ConversationView | None:
        """Where a conversation that an event named stands, once it is known; None if it is not to be."""
        await self._engine.placed(conv)
        return self.conversations.get(conv)

    @property
    def people(self) -> Mapping[str, UserView]:
        """The people met so far, by user id."""
        return self._engine.known.people

    @property
    def state(self) -> State:
        """Where the connection stands; changes are told as `StateChanged` in `notices`."""
        return self._engine.current

    async def wait_state(self, *wanted: State) -> State:
        """Wait until the connection is in one of these states; `ConnectionEnded` if it ends instead."""
        engine = self._engine
        while engine.current not in wanted:
            if engine.ended is not None:
                raise engine.ended.with_traceback(None)
            await engine.changed.wait()
        return engine.current

    # --- ids; what is sent: chat.py, payments.py and verbs.py -------------------------------------

    def new_id(self) -> str:
        """An id to save before sending, so that the same frame can be sent again after a crash."""
        return self._engine.new_id()

    def id_for(self, event: Event, purpose: str = "") -> str:
        """The id of what one does because of an event, the same whenever it is asked for.

        A program that is given an event again sends the same frame again, which then has the same one
        outcome.
        """
        return derived_id(f"{self.user.id}\n{event.id}\n{purpose}")

    # --- live: dropped where there is no connection -----------------------------------------------

    def typing(self, conv: str) -> None:
        """Tell the others that one is writing; holds for 6 s."""
        self._engine.tell(kinds.LiveTyping(conv=conv))

    def read(self, conv: str, seq: int) -> None:
        """Mark everything up to `seq` as read; kept and told again after a reconnect."""
        place = self._engine.known.conv_with(conv) or conv
        self._engine.mark(kinds.LiveRead(conv=place, body=kinds.ReadBody(seq=seq)))

    def watch(self, *users: str) -> None:
        """Ask for the presence of these people ("@handle" or "u_…") from now on, instead of those before."""
        self._engine.watch(kinds.LiveWatch(body=kinds.WatchBody(users=list(users))))

    # --- ask --------------------------------------------------------------------------------------

    async def history(
        self,
        conv: str,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = PAGE_EVENTS_DEFAULT,
    ) -> list[Event]:
        """Events of a conversation in order: the `limit` (up to 200) before a seq, after a seq, or the
        latest.

        Raises `PlaceError` where the conversation is not there or not one's own.
        """
        body = kinds.HistoryBody(
            before=UNSET if before is None else before, after=UNSET if after is None else after, limit=limit
        )
        result = await self._engine.ask(kinds.AskHistory(id=self.new_id(), conv=conv, body=body))
        assert isinstance(result, kinds.HistoryResult)
        return [codec.open_event(event) for event in result.events]

    async def event(self, id: str) -> Event:  # noqa: A002 - the wire's name
        """One event by its id; `PlaceError` where it is not one's to see."""
        result = await self._engine.ask(kinds.AskEvent(id=self.new_id(), body=kinds.EventBody(id=id)))
        assert isinstance(result, kinds.EventResult)
        return codec.open_event(result.event)

    async def list_conversations(
        self, *, before: int | None = None, limit: int = PAGE_EVENTS_DEFAULT
    ) -> list[kinds.ConversationView]:
        """One's conversations, latest first, up to 200 at a time; `before` is the `pos` of the last one had.

        Each has `conv`, `kind`, `seq`, `pos`, `role`, `since`, `read`, `members`, `title` or `peer`. Raises
        `SessionError`.
        """
        body = kinds.PageBody(before=UNSET if before is None else before, limit=limit)
        result = await self._engine.ask(kinds.AskConversations(id=self.new_id(), body=body))
        assert isinstance(result, kinds.ConversationsResult)
        self._engine.known.place(result.conversations)
        return result.conversations

    async def members(self, conv: str) -> list[kinds.MemberView]:
        """Everybody in a conversation, by user id, with `user`, `role`, `read` and `delivered` (seqs).

        Several pages are asked for where there are many. Raises `PlaceError`.
        """
        found: list[kinds.MemberView] = []
        while True:
            body = kinds.MembersBody(after=found[-1].user.id if found else UNSET, limit=PAGE_ROWS_MAX)
            result = await self._engine.ask(kinds.AskMembers(id=self.new_id(), conv=conv, body=body))
            assert isinstance(result, kinds.MembersResult)
            found += result.members
            self._engine.known.meet(member.user for member in result.members)
            if result.complete or not result.members:
                return found

    async def find_user(self, handle: str) -> UserView:
        """A person by handle or user id; `PlaceError` where there is none."""
        body = kinds.UserBody(handle=handle)
        result = await self._engine.ask(kinds.AskUser(id=self.new_id(), body=body))
        assert isinstance(result, kinds.UserResult)
        self._engine.known.meet([result.user])
        return result.user

    # --- listen -----------------------------------------------------------------------------------

    def events(self, conv: str | None = None) -> Stream[Event]:
        """All events, or those of one conversation, each once and in order, one's own included.

        Subscribes at once; the first stream also has what came since `connect`. At most 10,000 (see
        `connect`) are queued: beyond, what is queued comes first, then `StreamOverflow`, then the stream goes
        on.

        With a `state`, the first call without `conv` gives the stream that the saved cursor follows: it
        begins where the former run stopped, loses nothing, and takes an event for handled when the next one
        is asked for.
        """
        if conv is None:
            following, self._following = self._following, None
            return following or self._engine.events.subscribe(lambda _: True)
        if conv.startswith("c_"):
            return self._engine.events.subscribe(lambda event: event.conv == conv)

        async def here(event: Event) -> bool:
            await self._engine.placed(event.conv)
            return self._engine.known.conv_with(conv) == event.conv

        return self._engine.events.subscribe(lambda _: True, here)

    def handled(self) -> None:
        """With a `state`: save that the event given last is handled, as asking for the next one does."""
        if self._engine.following is not None:
            self._engine.following.handled()

    def notices(self) -> Stream[Notice]:
        """Typing, receipts, presence, balances and the connection's state; of 1,000 the oldest go."""
        return self._engine.notices.subscribe(lambda _: True)

    # --- for tests and demonstrations -------------------------------------------------------------

    @asynccontextmanager
    async def offline(self) -> AsyncIterator[None]:
        """Abort the socket as a broken network would and stay away until the block ends."""
        self._engine.connection.hold()
        try:
            if self._engine.session.ready:
                await self.wait_state(State.WAITING, State.CONNECTING)
            yield
        finally:
            self._engine.connection.release()


@asynccontextmanager
async def connect(
    url: str,
    *,
    token: Token,
    device: str | None = None,
    patience_s: float = 0.0,
    queue_max: int = EVENTS_MAX,
    pace: Pace | None = None,
    state: str | os.PathLike[str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Client]:
    """Connect to the server at `url` (http(s) or ws(s)) and stay connected until the block ends.

    `token` is that of a login, or a function that makes one (`async def` or ordinary): it is called at first
    and whenever the token has run out. Without a function an expired login (4007) ends the client.

    `device` names this installation: the same one connecting again replaces the former connection. The first
    connection is tried for `patience_s`, later ones for ever. Raises `ConnectionEnded` where it cannot be
    made or the server says to stop; ValueError for what is not a URL.

    `state` is the path of a file that keeps the cursor, so that the next run begins where this one stopped;
    see `Client.events`. `tls` says whom to trust where that is not what the system trusts. `StateFileError`
    where the file is in use, of another person, or something else.
    """
    need_asyncio("connect")
    pace = pace or Pace()
    tokens = Tokens(token, pace)
    session = ClientSession(tokens.current, device or f"py-{uuid.uuid4().hex[:12]}", CLIENT_NAME)
    engine = Engine(socket_url(url), session, pace, queue_max, tokens, tls)
    with nullcontext() if state is None else closing(SavedCursor(state)) as saved:
        if saved is not None:
            engine.following = _following(engine, saved, queue_max)
        client = Client(engine)
        async with _running(engine):
            await _first(engine, patience_s)
            if saved is not None:
                _own(saved, client.user, state)
            yield client


@asynccontextmanager
async def _running(engine: Engine) -> AsyncIterator[None]:
    """The connection's task, until the block ends."""
    running = asyncio.create_task(_run(engine))
    try:
        yield
    finally:
        await engine.connection.close()
        running.cancel()
        await asyncio.wait([running])
        engine.end(ConnectionEnded(1000, "closed by this client"), wanted=True)


def _own(saved: SavedCursor, user: UserView, state: str | os.PathLike[str] | None) -> None:
    if saved.user != user.id:
        raise StateFileError(
            "state_of_another", f"{state} is the state of another person, not @{user.handle}"
        )


def _following(engine: Engine, saved: SavedCursor, queue_max: int) -> Following:
    """The stream behind a saved cursor; the session says hello with it."""
    session = engine.session
    session.resume(saved.epoch, saved.pos)

    def read(after: int, upto: int) -> AsyncIterator[Event]:
        pace = engine.limits.ask if engine.limits else None
        return missed(Client(engine), after, upto, pace.per_s if pace else None)

    return Following(queue_max, saved, read, lambda: session.pos)


async def _run(engine: Engine) -> None:
    try:
        engine.end(await engine.connection.run())
    except Exception as fault:
        engine.end(ConnectionEnded(1006, f"the client failed: {fault!r}"))
        raise


async def _first(engine: Engine, patience_s: float) -> None:
    """Wait for the first connection; without patience the first failure is the answer."""
    try:
        async with asyncio.timeout(patience_s or None):
            while engine.current is not State.ONLINE:
                if engine.ended is not None or (engine.first_failure is not None and not patience_s):
                    break
                await engine.changed.wait()
    except TimeoutError:
        pass
    if engine.current is not State.ONLINE:
        raise engine.ended or engine.first_failure or ConnectionEnded(1006, "no connection in time")
