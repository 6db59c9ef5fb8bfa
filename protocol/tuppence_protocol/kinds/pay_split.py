"""Bills that are split among several people."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tuppence_protocol import limits
from tuppence_protocol.shapes import Acting, Amount, Body, Currency, InPlace, Note, Person, Seconds
from tuppence_protocol.views import PaymentBody, Share, State

from .kind import ALICE, BOB, Kind


class SplitShare(Body, frozen=True):
    user: Person
    amount: Amount | UnsetType = UNSET


class SplitBody(Body, frozen=True):
    total: Amount
    currency: Currency
    shares: Annotated[list[SplitShare], Meta(min_length=1, max_length=limits.SPLIT_SHARES_MAX)]
    note: Note | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET


class PaySplit(InPlace, tag="pay.split", kw_only=True, frozen=True):
    """Share a bill that one has paid: all shares with an amount, or none, then as equal as can be."""

    body: SplitBody


class BillSplit(PaymentBody, frozen=True):
    total: str
    currency: str
    shares: list[Share]
    state: State
    expires_at: int
    alt: str
    note: str | UnsetType = UNSET


PAY_SPLIT: Final = Kind(
    "pay.split", PaySplit, BillSplit, listed=True, refusal_stays=True, lasts_s=limits.REQUEST_S_DEFAULT,
    sent={
        "total": "90.00", "currency": "EUR",
        "shares": [{"user": "@bob", "amount": "50.00"}, {"user": ALICE, "amount": "40.00"}],
        "note": "Dinner", "expires_s": 3_600,
    },
    bare={"total": "90.00", "currency": "EUR", "shares": [{"user": "@bob"}]},
    told={
        "total": "90.00", "currency": "EUR",
        "shares": [
            {"user": BOB, "amount": "50.00", "state": "open"},
            {"user": ALICE, "amount": "40.00", "state": "paid"},
        ],
        "state": "open", "expires_at": 1790604800123, "alt": "@alice split 90.00 EUR", "note": "Dinner",
    },
)  # fmt: skip


class WaiveBody(Body, frozen=True):
    user: Person


class PayWaive(Acting, tag="pay.waive", kw_only=True, frozen=True):
    """Let a person off their share of one's split `ref`."""

    body: WaiveBody


class ShareWaived(PaymentBody, frozen=True):
    user: str
    state: State
    share: Share
    alt: str


PAY_WAIVE: Final = Kind(
    "pay.waive", PayWaive, ShareWaived, refusal_stays=True,
    sent={"user": "@bob"},
    told={
        "user": BOB, "state": "settled", "share": {"user": BOB, "amount": "50.00", "state": "waived"},
        "alt": "@alice let @bob off 50.00 EUR",
    },
)  # fmt: skip
