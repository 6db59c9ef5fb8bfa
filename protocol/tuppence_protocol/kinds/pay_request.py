"""Requests for money, and being reminded of one."""

from typing import Final

from msgspec import UNSET, UnsetType

from tuppence_protocol import limits
from tuppence_protocol.shapes import Acting, Amount, Body, Currency, InPlace, Note, Nothing, Person, Seconds
from tuppence_protocol.views import PaymentBody, State

from .kind import BOB, CAROL, Kind


class RequestBody(Body, frozen=True):
    amount: Amount
    currency: Currency
    payer: Person | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET


class PayRequest(InPlace, tag="pay.request", kw_only=True, frozen=True):
    """Ask a person in this conversation for money; `payer` may be left out in a DM."""

    body: RequestBody


class PaymentRequested(PaymentBody, frozen=True):
    amount: str
    currency: str
    payer: str
    state: State
    expires_at: int
    alt: str
    note: str | UnsetType = UNSET


PAY_REQUEST: Final = Kind(
    "pay.request", PayRequest, PaymentRequested,
    listed=True, refusal_stays=True, lasts_s=limits.REQUEST_S_DEFAULT,
    sent={"amount": "12.50", "currency": "EUR", "payer": "@bob", "note": "Lunch", "expires_s": 3_600},
    told={
        "amount": "12.50", "currency": "EUR", "payer": BOB, "state": "open", "expires_at": 1790604800123,
        "alt": "@alice asked @bob for 12.50 EUR", "note": "Lunch",
    },
)  # fmt: skip


class PayRemind(Acting, tag="pay.remind", kw_only=True, frozen=True):
    """Remind those who have not answered one's request or split `ref`."""

    body: Nothing = Nothing()


class PaymentReminded(PaymentBody, frozen=True):
    users: list[str]
    state: State
    alt: str


PAY_REMIND: Final = Kind(
    "pay.remind", PayRemind, PaymentReminded, refusal_stays=True,
    told={"users": [BOB, CAROL], "state": "open", "alt": "@alice reminded @bob and @carol"},
)  # fmt: skip
