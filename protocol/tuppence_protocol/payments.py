"""The frames of money. Each is a message like any other: same envelope, same ids, same order, same history."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType, field

from . import limits
from .shapes import Amount, Ask, Body, Currency, Id, InPlace, Limit, Note, Nothing, Person, Pos

Moment = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
Seconds = Annotated[int, Meta(ge=limits.EXPIRES_S_MIN, le=limits.EXPIRES_S_MAX)]


class Acting(InPlace, kw_only=True, frozen=True):
    """A frame that acts on the payment whose event's id is `ref`, in the conversation where it is."""

    ref: Id


class SendBody(Body, frozen=True):
    amount: Amount | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    payee: Person | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    not_after: Moment | UnsetType = UNSET
    accept: Literal[True] | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET
    quote: Id | UnsetType = UNSET


STATED_ALONE: Final = ("accept", "expires_s", "quote")
"""With one of these a payment answers no request, so it says amount and currency itself."""


class RequestBody(Body, frozen=True):
    amount: Amount
    currency: Currency
    payer: Person | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET


class SplitShare(Body, frozen=True):
    user: Person
    amount: Amount | UnsetType = UNSET


class SplitBody(Body, frozen=True):
    total: Amount
    currency: Currency
    shares: Annotated[list[SplitShare], Meta(min_length=1, max_length=limits.SPLIT_SHARES_MAX)]
    note: Note | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET


class PacketBody(Body, frozen=True):
    total: Amount
    currency: Currency
    count: Annotated[int, Meta(ge=1, le=limits.PACKET_SHARES_MAX)]
    mode: Literal["equal", "lucky"]
    note: Note | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET


class DeclineBody(Body, frozen=True):
    reason: Note | UnsetType = UNSET


class RefundBody(Body, frozen=True):
    amount: Amount | UnsetType = UNSET


class WaiveBody(Body, frozen=True):
    user: Person


class FaucetBody(Body, frozen=True):
    amount: Amount
    currency: Currency


class PaySend(InPlace, tag="pay.send", kw_only=True, frozen=True):
    """Pay at once; with `accept` once the payee accepts; with `quote` in the payee's currency; with `ref` a request.

    `payee` may be left out in a DM, and all three where `ref` is a request or split, which says them; refused
    after `not_after` (ms since the epoch).
    """

    body: SendBody


class PayRequest(InPlace, tag="pay.request", kw_only=True, frozen=True):
    """Ask a person in this conversation for money; `payer` may be left out in a DM."""

    body: RequestBody


class PaySplit(InPlace, tag="pay.split", kw_only=True, frozen=True):
    """Share a bill that one has paid: all shares with an amount, or none, then as equal as can be."""

    body: SplitBody


class PayPacket(InPlace, tag="pay.packet", kw_only=True, frozen=True):
    """Put money into a red packet for whoever in this conversation claims a share first."""

    body: PacketBody


class PayClaim(Acting, tag="pay.claim", kw_only=True, frozen=True):
    """Take one share of the packet `ref`."""

    body: Nothing = Nothing()


class PayAccept(Acting, tag="pay.accept", kw_only=True, frozen=True):
    """Take the payment `ref` that waits for one's acceptance."""

    body: Nothing = Nothing()


class PayDecline(Acting, tag="pay.decline", kw_only=True, frozen=True):
    """Return the waiting payment `ref`, or refuse the request or one's share of the split `ref`."""

    body: DeclineBody = DeclineBody()


class PayCancel(Acting, tag="pay.cancel", kw_only=True, frozen=True):
    """Take back one's own waiting payment, request or split `ref`."""

    body: Nothing = Nothing()


class PayRefund(Acting, tag="pay.refund", kw_only=True, frozen=True):
    """Give back some or all of what one received by the `pay.send` `ref`; fees are not given back."""

    body: RefundBody = RefundBody()


class PayWaive(Acting, tag="pay.waive", kw_only=True, frozen=True):
    """Let a person off their share of one's split `ref`."""

    body: WaiveBody


class PayRemind(Acting, tag="pay.remind", kw_only=True, frozen=True):
    """Remind those who have not answered one's request or split `ref`."""

    body: Nothing = Nothing()


class PayFaucet(InPlace, tag="pay.faucet", kw_only=True, frozen=True):
    """Give oneself play money, in `self` and only where the server is a sandbox."""

    body: FaucetBody


PAYMENT_FRAMES: Final[tuple[type[InPlace], ...]] = (
    PaySend, PayRequest, PaySplit, PayPacket, PayClaim, PayAccept, PayDecline,
    PayCancel, PayRefund, PayWaive, PayRemind, PayFaucet,
)  # fmt: skip


# --- questions ------------------------------------------------------------------------------------------


class PaymentsBody(Body, frozen=True):
    state: Annotated[str, Meta(min_length=1, max_length=20)] | UnsetType = UNSET
    with_: Person | UnsetType = field(name="with", default=UNSET)
    currency: Currency | UnsetType = UNSET
    before: Pos | UnsetType = UNSET
    limit: Limit = limits.PAGE_EVENTS_DEFAULT


class StatementBody(Body, frozen=True):
    currency: Currency
    from_: Moment | UnsetType = field(name="from", default=UNSET)
    to: Moment | UnsetType = UNSET
    after: Pos | UnsetType = UNSET
    limit: Limit = limits.PAGE_ROWS_MAX


class QuoteBody(Body, frozen=True):
    sell: Currency
    buy: Currency
    amount: Amount
    side: Literal["sell", "buy"]


class PreviewBody(Body, frozen=True):
    frame: PaySend | PayRequest | PaySplit | PayPacket | PayAccept | PayRefund


class AskPayments(Ask, tag="ask.payments", kw_only=True, frozen=True):
    """One's payments, latest first; `before` is the `next` of the page had; filters narrow, never widen."""

    body: PaymentsBody = PaymentsBody()


class AskStatement(Ask, tag="ask.statement", kw_only=True, frozen=True):
    """What moved one's balance in a currency between two moments; `after` is the `next` of the page had."""

    body: StatementBody


class AskQuote(Ask, tag="ask.quote", kw_only=True, frozen=True):
    """A rate that holds for a while: sell so much, or buy so much, by the `side` that `amount` is of."""

    body: QuoteBody


class AskPreview(Ask, tag="ask.preview", kw_only=True, frozen=True):
    """What would come of a frame if it were sent now: the real decision, of which nothing is kept."""

    body: PreviewBody


ASK_PAYMENT_FRAMES: Final[tuple[type[Ask], ...]] = (AskPayments, AskStatement, AskQuote, AskPreview)
