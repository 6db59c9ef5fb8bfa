"""The bodies of the events of money, and what is answered to questions about it. Amounts are decimal strings.

A card is the fold of these: an event that acts on a payment tells that payment's new `state`.
"""

from typing import Final

from msgspec import UNSET, Raw, UnsetType, field

from .views import Extensible, FeeOn, State


class Money(Extensible, frozen=True):
    """An amount of a currency, in major units."""

    amount: str
    currency: str


class Share(Extensible, frozen=True):
    """One person's part of a split bill."""

    user: str
    amount: str
    state: State


class Settles(Extensible, frozen=True):
    """What a payment did to the request or split that it answers."""

    state: State
    share: Share | UnsetType = UNSET


class PaymentSent(Extensible, frozen=True):
    amount: str
    currency: str
    payee: str
    state: State
    alt: str
    note: str | UnsetType = UNSET
    not_after: int | UnsetType = UNSET
    accept: bool | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    quote: str | UnsetType = UNSET
    rate: str | UnsetType = UNSET
    margin: str | UnsetType = UNSET
    received: Money | UnsetType = UNSET
    fee: str | UnsetType = UNSET
    fee_on: FeeOn | UnsetType = UNSET
    settles: Settles | UnsetType = UNSET


class Deposited(Extensible, frozen=True):
    amount: str
    currency: str
    payee: str
    state: State
    alt: str
    note: str | UnsetType = UNSET


class Withdrawn(Extensible, frozen=True):
    """The operator took out `amount`; `shortfall` of it was not there and is borne by the operator."""

    amount: str
    currency: str
    payer: str
    state: State
    alt: str
    reason: str
    note: str | UnsetType = UNSET
    shortfall: str | UnsetType = UNSET


class PaymentRequested(Extensible, frozen=True):
    amount: str
    currency: str
    payer: str
    state: State
    expires_at: int
    alt: str
    note: str | UnsetType = UNSET


class BillSplit(Extensible, frozen=True):
    total: str
    currency: str
    shares: list[Share]
    state: State
    expires_at: int
    alt: str
    note: str | UnsetType = UNSET


class PacketMade(Extensible, frozen=True):
    total: str
    currency: str
    count: int
    mode: str
    state: State
    expires_at: int
    proof: str
    alt: str
    note: str | UnsetType = UNSET
    fee: str | UnsetType = UNSET


class PacketClaimed(Extensible, frozen=True):
    amount: str
    currency: str
    payee: str
    share: int
    count: int
    state: State
    alt: str
    seed: str | UnsetType = UNSET


class PaymentAccepted(Extensible, frozen=True):
    amount: str
    currency: str
    payee: str
    state: State
    alt: str
    fee: str | UnsetType = UNSET
    fee_on: FeeOn | UnsetType = UNSET


class PaymentDeclined(Extensible, frozen=True):
    state: State
    alt: str
    reason: str | UnsetType = UNSET
    share: Share | UnsetType = UNSET


class PaymentCancelled(Extensible, frozen=True):
    state: State
    alt: str


class PaymentExpired(Extensible, frozen=True):
    state: State
    alt: str
    returned: Money | UnsetType = UNSET
    seed: str | UnsetType = UNSET


class PaymentRefunded(Extensible, frozen=True):
    amount: str
    currency: str
    payee: str
    state: State
    refunded: str
    alt: str


class PaymentReversed(Extensible, frozen=True):
    """The operator gave back to `payee` all that was left of a payment; `shortfall` of it the operator
    bears."""

    amount: str
    currency: str
    payer: str
    payee: str
    state: State
    refunded: str
    alt: str
    reason: str
    note: str | UnsetType = UNSET
    shortfall: str | UnsetType = UNSET


class ShareWaived(Extensible, frozen=True):
    user: str
    state: State
    share: Share
    alt: str


class PaymentReminded(Extensible, frozen=True):
    users: list[str]
    state: State
    alt: str


PaymentBody = (
    PaymentSent | Deposited | Withdrawn | PaymentRequested | BillSplit | PacketMade | PacketClaimed
    | PaymentAccepted | PaymentDeclined | PaymentCancelled | PaymentExpired | PaymentRefunded
    | PaymentReversed | ShareWaived | PaymentReminded
)  # fmt: skip

PAYMENT_BODIES: Final[dict[str, type[PaymentBody]]] = {
    "pay.send": PaymentSent,
    "pay.request": PaymentRequested,
    "pay.split": BillSplit,
    "pay.packet": PacketMade,
    "pay.claim": PacketClaimed,
    "pay.accept": PaymentAccepted,
    "pay.decline": PaymentDeclined,
    "pay.cancel": PaymentCancelled,
    "pay.refund": PaymentRefunded,
    "pay.waive": ShareWaived,
    "pay.remind": PaymentReminded,
    "pay.faucet": Deposited,
    "pay.deposit": Deposited,
    "pay.withdraw": Withdrawn,
    "pay.reverse": PaymentReversed,
    "pay.expire": PaymentExpired,
}


# --- answers ----------------------------------------------------------------------------------------


class BalanceView(Extensible, frozen=True):
    """Decimal strings in major units; what the ledger says at `pos`."""

    currency: str
    available: str
    held: str
    pos: int


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


class QuoteView(Extensible, frozen=True):
    """A rate that holds until `expires_at`: the payer gives `sell` and `fee`, the payee gets `buy`."""

    id: str
    sell: Money
    buy: Money
    rate: str
    margin: str
    fee: str
    expires_at: int


class PaymentsResult(Extensible, frozen=True):
    payments: list[PaymentView]
    pos: int
    next: int | None = None


class StatementResult(Extensible, frozen=True):
    currency: str
    opening: str
    lines: list[StatementLine]
    closing: str
    pos: int
    next: int | None = None


class QuoteResult(Extensible, frozen=True):
    quote: QuoteView


class PreviewResult(Extensible, frozen=True):
    """`body` is that of the event that would come; `spends` what would leave or be held, fee included."""

    kind: str
    body: Raw
    spends: list[Money]
    balances: list[BalanceView]
    fee: Money | None = None


PAYMENT_RESULTS: Final[dict[str, type[Extensible]]] = {
    "ask.payments": PaymentsResult,
    "ask.statement": StatementResult,
    "ask.quote": QuoteResult,
    "ask.preview": PreviewResult,
}
