"""What becomes of what waits: accepted, declined, taken back, or its time over."""

from typing import Final

from msgspec import UNSET, UnsetType

from tuppence_protocol.shapes import Acting, Body, Note, Nothing
from tuppence_protocol.views import FeeOn, Money, PaymentBody, Share, State

from .kind import BOB, SEED, Kind


class PayAccept(Acting, tag="pay.accept", kw_only=True, frozen=True):
    """Take the payment `ref` that waits for one's acceptance."""

    body: Nothing = Nothing()


class PaymentAccepted(PaymentBody, frozen=True):
    amount: str
    currency: str
    payee: str
    state: State
    alt: str
    fee: str | UnsetType = UNSET
    fee_on: FeeOn | UnsetType = UNSET


PAY_ACCEPT: Final = Kind(
    "pay.accept", PayAccept, PaymentAccepted, refusal_stays=True,
    told={
        "amount": "12.50", "currency": "EUR", "payee": BOB, "state": "completed",
        "alt": "@bob accepted 12.50 EUR from @alice", "fee": "0.13", "fee_on": "payee",
    },
)  # fmt: skip


class DeclineBody(Body, frozen=True):
    reason: Note | UnsetType = UNSET


class PayDecline(Acting, tag="pay.decline", kw_only=True, frozen=True):
    """Return the waiting payment `ref`, or refuse the request or one's share of the split `ref`."""

    body: DeclineBody = DeclineBody()


class PaymentDeclined(PaymentBody, frozen=True):
    state: State
    alt: str
    reason: str | UnsetType = UNSET
    share: Share | UnsetType = UNSET


PAY_DECLINE: Final = Kind(
    "pay.decline", PayDecline, PaymentDeclined, refusal_stays=True,
    sent={"reason": "You paid already"},
    told={
        "state": "settled", "alt": "@bob declined to pay 50.00 EUR", "reason": "You paid already",
        "share": {"user": BOB, "amount": "50.00", "state": "declined"},
    },
)  # fmt: skip


class PayCancel(Acting, tag="pay.cancel", kw_only=True, frozen=True):
    """Take back one's own waiting payment, request or split `ref`."""

    body: Nothing = Nothing()


class PaymentCancelled(PaymentBody, frozen=True):
    state: State
    alt: str


PAY_CANCEL: Final = Kind(
    "pay.cancel", PayCancel, PaymentCancelled, refusal_stays=True,
    told={"state": "cancelled", "alt": "@alice took back the request"},
)  # fmt: skip


class PaymentExpired(PaymentBody, frozen=True):
    state: State
    alt: str
    returned: Money | UnsetType = UNSET
    seed: str | UnsetType = UNSET


PAY_EXPIRE: Final = Kind(
    "pay.expire", event=PaymentExpired, acts=True,
    by_server="The time of the payment `ref` is over: what it held is given back. `from` is `server`.",
    told={
        "state": "expired", "alt": "The packet expired; 4.00 EUR went back to @alice",
        "returned": {"amount": "4.00", "currency": "EUR"}, "seed": SEED,
    },
)  # fmt: skip
