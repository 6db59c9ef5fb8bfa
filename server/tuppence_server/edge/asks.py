"""The ask lane: a question to the read side, one result or one error back.
The same for WebSocket and HTTP."""

from collections import deque
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct
from msgspec.structs import asdict

from tuppence_protocol import codec, kinds
from tuppence_protocol.errors import Refusal
from tuppence_protocol.shapes import Ask
from tuppence_server.domain.commands import Preview
from tuppence_server.domain.effects import Previewed
from tuppence_server.domain.request import Request
from tuppence_server.domain.views import balance_view, money_view, quote_view
from tuppence_server.exchange.quotes import RateSource, quote
from tuppence_server.hub.hub import Hub
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.reports.payments import payments_page
from tuppence_server.reports.statement import page
from tuppence_server.store.contract import AskReads, ChatReads, MoneyReads

from .acceptor import Acceptor
from .rfc6455 import text_frame

if TYPE_CHECKING:
    from .connection import Socket

NO_CONVERSATION = Refusal("not_found", "There is no such conversation.", "$.conv")
NO_EVENT = Refusal("not_found", "There is no such event.", "$.body.id")
NO_USER = Refusal("not_found", "There is nobody with that handle.", "$.body.handle")
BAD_INNER_ID = Refusal("bad_id", "An id is a lower-case UUID of version 4 or 7.", "$.id")
FAILED = Refusal("unavailable", "The server cannot read now; ask again.", retry_ms=1_000)
ASKS_IN_FLIGHT_MAX: Final = 8
_TOO_MANY_ASKS: Final = Refusal("rate_limited", "Too many questions at once.", retry_ms=100)
log = structlog.get_logger("tuppence.edge")


class AskLane(Struct):
    """Answers questions from the store, and by the exchange rates of then."""

    acceptor: Acceptor
    hub: Hub
    store: AskReads
    pipeline: Pipeline
    rates: RateSource

    def ask(self, socket: "Socket", frame: Ask) -> None:
        """Answer a question, after those that the connection has asked before and once it took their
        answers."""
        if socket.asks is None:
            socket.asks = deque()
        if len(socket.asks) >= ASKS_IN_FLIGHT_MAX:
            socket.refuse(_TOO_MANY_ASKS, frame.id)
            return
        socket.asks.append(frame)
        self.go_on(socket)

    def go_on(self, socket: "Socket") -> None:
        """Answer what waits, unless that is being done or the answers before are not taken."""
        if socket.asks and not socket.answering and not socket.paused:
            socket.answering = True
            self.acceptor.spawn(self._answer_all(socket))

    async def _answer_all(self, socket: "Socket") -> None:
        while socket.asks and socket.open and not socket.paused:
            await self._answer(socket, socket.asks[0])
            socket.asks.popleft()
        if not socket.asks:
            socket.asks = None  # an empty queue is 760 bytes, and most connections never ask
        socket.answering = False

    async def _answer(self, socket: "Socket", frame: Ask) -> None:
        person = socket.person
        try:
            result = FAILED if person is None else await self.result_of(person.id, frame)
        except Exception:
            log.exception("ask_fault", kind=frame.kind)
            result = FAILED
        if isinstance(result, Refusal):
            socket.refuse(result, frame.id)
        elif socket.open:
            socket.push_answer(text_frame(result))
        self.hub.flush()

    async def result_of(self, user: str, frame: Ask) -> bytes | Refusal:
        """The `result` frame for a question of this person, or the refusal."""
        store = self.store
        match frame:
            case kinds.AskHistory():
                return await _history(store, user, frame)
            case kinds.AskConversations():
                before = _given(frame.body.before)
                views, complete = await store.conversations(user, before, frame.body.limit)
                return codec.encode_result(frame.id, conversations=views, complete=complete)
            case kinds.AskEvent():
                event = await store.event(user, frame.body.id)
                return NO_EVENT if event is None else codec.encode_result(frame.id, event=codec.stored(event))
            case kinds.AskMembers():
                after = frame.body.after or ""
                found = await store.members(user, frame.conv, after, frame.body.limit)
                if found is None:
                    return NO_CONVERSATION
                return codec.encode_result(frame.id, members=found[0], complete=found[1])
            case kinds.AskUser():
                view = await store.person(frame.body.handle)
                return NO_USER if view is None else codec.encode_result(frame.id, user=view)
            case kinds.AskWallet():
                funds, pos = await store.funds(user)
                return codec.encode_result(
                    frame.id, balances=[balance_view(f.currency, f.available, f.held, pos) for f in funds]
                )
            case kinds.AskPayments() | kinds.AskStatement():
                return await _looked_up(store, user, frame)
            case kinds.AskQuote():
                return await self._quote(user, frame)
            case kinds.AskPreview():
                return await self._preview(user, frame)
        raise AssertionError(f"no answer for {frame.kind}")

    async def _quote(self, user: str, frame: kinds.AskQuote) -> bytes | Refusal:
        found = await quote(self.rates, self.pipeline, user, frame.body)
        return found if isinstance(found, Refusal) else codec.encode_result(frame.id, quote=quote_view(found))

    async def _preview(self, user: str, frame: kinds.AskPreview) -> bytes | Refusal:
        inner = frame.body.frame
        if not codec.is_id(inner.id):
            return BAD_INNER_ID
        outcome = await self.pipeline.ask(Request(Preview(inner), user))
        if isinstance(outcome, Refusal):
            return outcome
        assert isinstance(outcome, Previewed), "a preview was asked for"
        return codec.encode_result(
            frame.id,
            kind=outcome.kind,
            body=codec.stored(outcome.body),
            spends=[money_view(minor, currency) for currency, minor in outcome.spends.items()],
            fee=None if outcome.fee is None else money_view(outcome.fee[1], outcome.fee[0]),
            balances=[
                balance_view(currency, *after, outcome.pos) for currency, after in outcome.after.items()
            ],
        )


async def _history(store: ChatReads, user: str, frame: kinds.AskHistory) -> bytes | Refusal:
    body = frame.body
    page = await store.history(user, frame.conv, _given(body.before), _given(body.after), body.limit)
    if page is None:
        return NO_CONVERSATION
    events = [codec.stored(event) for event in page.events]
    return codec.encode_result(frame.id, events=events, complete=page.complete)


async def _looked_up(
    store: MoneyReads, user: str, frame: kinds.AskPayments | kinds.AskStatement
) -> bytes | Refusal:
    found: kinds.PaymentsResult | kinds.StatementResult | Refusal
    if isinstance(frame, kinds.AskPayments):
        found = await payments_page(store, user, frame.body)
    else:
        found = await page(store, user, frame.body)
    return found if isinstance(found, Refusal) else codec.encode_result(frame.id, **asdict(found))


def _given(value: object) -> int | None:
    return value if isinstance(value, int) else None
