"""Money, asynchronously: every verb gives a coroutine of the stored event, and the questions about money."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct

from tuppence_protocol import codec, kinds
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import AskWallet
from tuppence_protocol.limits import PAGE_EVENTS_DEFAULT, PAGE_ROWS_MAX
from tuppence_protocol.shapes import Durable
from tuppence_protocol.views import BalanceView, Extensible, Money

from .engine import Engine
from .money import Amount, amount_in
from .verbs import Previewable, Verbs

Moment = int | datetime
"""Ms since the epoch, or a datetime; one without a zone is local time."""


class Preview(Struct, frozen=True):
    """What would come of a frame: the event's `body`, what would leave or be held, and the balances then."""

    kind: str
    body: Extensible
    spends: list[Money]
    balances: list[BalanceView]
    fee: Money | None = None


class Previews(Previewable[Coroutine[Any, Any, Preview]]):
    """`me.preview.pay(…)` asks what `me.pay(…)` would do and raises what it would; nothing is kept.

    `me.preview(frame)` does it for a frame made by hand.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.new_id, lambda: engine.known.user.id, self.__call__)
        self.__engine = engine

    async def __call__(self, frame: kinds.Previewed) -> Preview:
        """What would come of a frame if it were sent now."""
        asked = kinds.AskPreview(id=self.__engine.new_id(), body=kinds.PreviewBody(frame=frame))
        found = await self.__engine.ask(asked)
        assert isinstance(found, kinds.PreviewResult)
        body = codec.decode_body(found.kind, found.body)
        return Preview(found.kind, body, found.spends, found.balances, found.fee)


class Statement(AsyncIterator[kinds.StatementLine]):
    """What moved a balance, oldest first: `async for line in await me.statement("EUR")`.

    `opening` is the balance before the first line, `closing` that after the last page that has been read:
    after the loop, the balance at the end.
    """

    def __init__(
        self, first: kinds.StatementResult, more: Callable[[int], Awaitable[kinds.StatementResult]]
    ) -> None:
        self.currency = first.currency
        self.opening = first.opening
        self.closing = first.closing
        self._page = first
        self._given = 0
        self._more = more

    async def __anext__(self) -> kinds.StatementLine:
        while self._given == len(self._page.lines):
            if self._page.next is None:
                raise StopAsyncIteration
            self._page, self._given = await self._more(self._page.next), 0
            self.closing = self._page.closing
        self._given += 1
        return self._page.lines[self._given - 1]


class Payments(Verbs[Coroutine[Any, Any, Event]]):
    """The part of the client that is about money."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.new_id, lambda: engine.known.user.id, engine.commit)
        self.__engine = engine
        self.preview = Previews(engine)

    async def submit(self, frame: Durable) -> Event:
        """Send a frame made by hand, say one that was saved before a crash; the stored event."""
        return await self.__engine.commit(frame)

    async def wallet(self) -> list[BalanceView]:
        """One's balances as the ledger has them now."""
        result = await self.__engine.ask(AskWallet(id=self.__engine.new_id()))
        assert isinstance(result, kinds.WalletResult)
        for view in result.balances:
            self.__engine.known.balance(view)
        return result.balances

    async def quote(
        self, *, sell: str, buy: str, amount: Amount, side: Literal["sell", "buy"] = "sell"
    ) -> kinds.QuoteView:
        """A rate that holds for a while: sell so much, or buy so much, by the `side` that `amount` is of.

        Then `me.pay(conv, quote.sell, quote=quote)`. `ServerError` (rate_unavailable) where there is none.
        """
        text, _ = amount_in(sell if side == "sell" else buy, amount)
        body = kinds.QuoteBody(sell=sell.upper(), buy=buy.upper(), amount=text, side=side)
        result = await self.__engine.ask(kinds.AskQuote(id=self.__engine.new_id(), body=body))
        assert isinstance(result, kinds.QuoteResult)
        return result.quote

    async def payments(
        self,
        *,
        state: str | None = None,
        with_: str | None = None,
        currency: str | None = None,
        page: int = PAGE_EVENTS_DEFAULT,
    ) -> AsyncIterator[kinds.PaymentView]:
        """One's payments as they stand, latest first, asked for `page` by `page`; all filters must hold."""
        before: int | None = None
        while True:
            body = kinds.PaymentsBody(
                state=UNSET if state is None else state,
                with_=UNSET if with_ is None else with_,
                currency=UNSET if currency is None else currency.upper(),
                before=UNSET if before is None else before,
                limit=page,
            )
            result = await self.__engine.ask(kinds.AskPayments(id=self.__engine.new_id(), body=body))
            assert isinstance(result, kinds.PaymentsResult)
            for view in result.payments:
                yield view
            before = result.next
            if before is None:
                return

    async def statement(
        self,
        currency: str,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        page: int = PAGE_ROWS_MAX,
    ) -> Statement:
        """What moved one's balance in a currency between two moments; its pages are read as needed."""

        async def ask(after: int | None) -> kinds.StatementResult:
            body = kinds.StatementBody(
                currency=currency.upper(),
                from_=UNSET if from_ is None else _ms(from_),
                to=UNSET if to is None else _ms(to),
                after=UNSET if after is None else after,
                limit=page,
            )
            result = await self.__engine.ask(kinds.AskStatement(id=self.__engine.new_id(), body=body))
            assert isinstance(result, kinds.StatementResult)
            return result

        return Statement(await ask(None), ask)


def _ms(moment: Moment) -> int:
    return round(moment.timestamp() * 1000) if isinstance(moment, datetime) else moment
