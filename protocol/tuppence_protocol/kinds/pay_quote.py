"""What would come of it: rates that hold for a while, and frames that are tried."""

from typing import Final, Literal

from msgspec import Raw

from tuppence_protocol.shapes import Amount, Ask, Body, Currency
from tuppence_protocol.views import BalanceView, Extensible, Money

from .kind import EVENT, QUOTE, Kind
from .pay_answer import PayAccept
from .pay_packet import PayPacket
from .pay_refund import PayRefund
from .pay_request import PayRequest
from .pay_send import PAY_SEND, PaySend
from .pay_split import PaySplit


class QuoteBody(Body, frozen=True):
    sell: Currency
    buy: Currency
    amount: Amount
    side: Literal["sell", "buy"]


class AskQuote(Ask, tag="ask.quote", kw_only=True, frozen=True):
    """A rate that holds for a while: sell so much, or buy so much, by the `side` that `amount` is of."""

    body: QuoteBody


class QuoteView(Extensible, frozen=True):
    """A rate that holds until `expires_at`: the payer gives `sell` and `fee`, the payee gets `buy`."""

    id: str
    sell: Money
    buy: Money
    rate: str
    margin: str
    fee: str
    expires_at: int


class QuoteResult(Extensible, frozen=True):
    quote: QuoteView


ASK_QUOTE: Final = Kind(
    "ask.quote", AskQuote, result=QuoteResult,
    sent={"sell": "EUR", "buy": "USD", "amount": "12.50", "side": "sell"},
)  # fmt: skip
Previewed = PaySend | PayRequest | PaySplit | PayPacket | PayAccept | PayRefund
"""The frames that can be previewed."""


class PreviewBody(Body, frozen=True):
    frame: Previewed


class AskPreview(Ask, tag="ask.preview", kw_only=True, frozen=True):
    """What would come of a frame if it were sent now: the real decision, of which nothing is kept."""

    body: PreviewBody


class PreviewResult(Extensible, frozen=True):
    """`body` is that of the event that would come; `spends` what would leave or be held, fee included."""

    kind: str
    body: Raw
    spends: list[Money]
    balances: list[BalanceView]
    fee: Money | None = None


_TRIED: Final = {"conv": "@bob", "ref": EVENT}
ASK_PREVIEW: Final = Kind(
    "ask.preview", AskPreview, result=PreviewResult,
    sent={"frame": {"kind": "pay.send", "id": QUOTE, **_TRIED, "body": PAY_SEND.sent}},
    bare={"frame": {"kind": "pay.accept", "id": QUOTE, **_TRIED}},
)  # fmt: skip
