"""Giving money back, by whoever received it or by the operator."""

from typing import Final

from msgspec import UNSET, UnsetType

from tuppence_protocol.shapes import Acting, Amount, Body
from tuppence_protocol.views import PaymentBody, State

from .kind import ALICE, BOB, Kind


class RefundBody(Body, frozen=True):
    amount: Amount | UnsetType = UNSET


class PayRefund(Acting, tag="pay.refund", kw_only=True, frozen=True):
    """Give back some or all of what one received by the `pay.send` `ref`; fees are not given back."""

    body: RefundBody = RefundBody()


class PaymentRefunded(PaymentBody, frozen=True):
    amount: str
    currency: str
    payee: str
    state: State
    refunded: str
    alt: str


PAY_REFUND: Final = Kind(
    "pay.refund", PayRefund, PaymentRefunded, refusal_stays=True,
    sent={"amount": "2.00"},
    told={
        "amount": "2.00", "currency": "EUR", "payee": ALICE, "state": "partly_refunded", "refunded": "5.00",
        "alt": "@bob gave back 2.00 EUR to @alice",
    },
)  # fmt: skip


class PaymentReversed(PaymentBody, frozen=True):
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


PAY_REVERSE: Final = Kind(
    "pay.reverse", event=PaymentReversed, acts=True, refusal_stays=True,
    by_server="The operator gave back all that was left of the payment `ref`. `from` is `server`.",
    told={
        "amount": "12.50", "currency": "EUR", "payer": BOB, "payee": ALICE, "state": "refunded",
        "refunded": "12.50", "alt": "12.50 EUR that @alice paid @bob were given back by the operator",
        "reason": "Paid by a stolen telephone", "note": "Case 5", "shortfall": "1.50",
    },
)  # fmt: skip
