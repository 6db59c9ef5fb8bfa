"""What one has, and what became of it."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType, field

from tuppence_protocol import limits
from tuppence_protocol.shapes import Ask, Body, Currency, Limit, Moment, Nothing, Person, Pos
from tuppence_protocol.views import BalanceView, Extensible, FeeOn, Money, ServerFrame, Share, State

from .kind import MOMENT, Kind


class AskWallet(Ask, tag="ask.wallet", kw_only=True, frozen=True):
    """One's balances."""

    body: Nothing = Nothing()


class WalletResult(Extensible, frozen=True):
    balances: list[BalanceView]


class BalanceNotice(ServerFrame, tag="live.balance", frozen=True):
    """One's balance after a commit that moved it."""

    body: BalanceView


ASK_WALLET: Final = Kind("ask.wallet", AskWallet, result=WalletResult)
LIVE_BALANCE: Final = Kind("live.balance", notice=BalanceNotice)


class PaymentsBody(Body, frozen=True):
    state: Annotated[str, Meta(min_length=1, max_length=20)] | UnsetType = UNSET
    with_: Person | UnsetType = field(name="with", default=UNSET)
    currency: Currency | UnsetType = UNSET
    before: Pos | UnsetType = UNSET
    limit: Limit = limits.PAGE_EVENTS_DEFAULT


class AskPayments(Ask, tag="ask.payments", kw_only=True, frozen=True):
    """One's payments, latest first; `before` is the `next` of the page had; filters narrow, never widen."""

    body: PaymentsBody = PaymentsBody()


class PaymentView(Extensible, frozen=True):
    """A payment as it stands at the answer's `pos`; who paid, who was paid, and what became of it."""

    id: str
    kind: str
    conv: str
    pos: int
    at: int
    amount: str
    currency: str
    state: State
    payer: str | None = None
    payee: str | None = None
    fee: str | None = None
    fee_on: FeeOn | None = None
    refunded: str | None = None
    received: Money | None = None
    expires_at: int | None = None
    shares: list[Share] | None = None
    claimed: int | None = None
    count: int | None = None


class PaymentsResult(Extensible, frozen=True):
    payments: list[PaymentView]
    pos: int
    next: int | None = None


ASK_PAYMENTS: Final = Kind(
    "ask.payments", AskPayments, result=PaymentsResult,
    sent={"state": "open", "with": "@bob", "currency": "EUR", "before": 90210, "limit": 20},
)  # fmt: skip


class StatementBody(Body, frozen=True):
    currency: Currency
    from_: Moment | UnsetType = field(name="from", default=UNSET)
    to: Moment | UnsetType = UNSET
    after: Pos | UnsetType = UNSET
    limit: Limit = limits.PAGE_ROWS_MAX


class AskStatement(Ask, tag="ask.statement", kw_only=True, frozen=True):
    """What moved one's balance in a currency between two moments; `after` is the `next` of the page had."""

    body: StatementBody


class StatementLine(Extensible, frozen=True):
    """One movement of a posted balance: `amount` is negative where money went out; `note` is its event's."""

    pos: int
    at: int
    id: str
    conv: str
    kind: str
    code: str
    amount: str
    balance: str
    with_: str | None = field(name="with", default=None)
    note: str | UnsetType = UNSET


class StatementResult(Extensible, frozen=True):
    currency: str
    opening: str
    lines: list[StatementLine]
    closing: str
    pos: int
    next: int | None = None


ASK_STATEMENT: Final = Kind(
    "ask.statement", AskStatement, result=StatementResult,
    sent={"currency": "EUR", "from": 1789000000000, "to": MOMENT, "after": 90100, "limit": 20},
)  # fmt: skip
