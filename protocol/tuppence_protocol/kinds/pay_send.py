"""Payments from one person to another, at once or once they are accepted."""

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from tuppence_protocol import limits
from tuppence_protocol.shapes import Amount, Body, Currency, Id, InPlace, Moment, Note, Person, Seconds
from tuppence_protocol.views import Extensible, FeeOn, Money, PaymentBody, Share, State

from .kind import BOB, MOMENT, QUOTE, Kind


class SendBody(Body, frozen=True):
    amount: Amount | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    payee: Person | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    not_after: Moment | UnsetType = UNSET
    accept: Literal[True] | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET
    quote: Id | UnsetType = UNSET


class PaySend(InPlace, tag="pay.send", kw_only=True, frozen=True):
    """Pay at once; with `accept` once the payee accepts; with `quote` in the payee's currency; with `ref` a
    request.

    `payee` may be left out in a DM, and all three where `ref` is a request or split, which says them; refused
    after `not_after` (ms since the epoch).
    """

    body: SendBody


class Settles(Extensible, frozen=True):
    """What a payment did to the request or split that it answers."""

    state: State
    share: Share | UnsetType = UNSET


class PaymentSent(PaymentBody, frozen=True):
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


STATED_ALONE: Final = ("accept", "expires_s", "quote")
"""With one of these a payment answers no request, so it says amount and currency itself."""
PAY_SEND: Final = Kind(
    "pay.send", PaySend, PaymentSent, listed=True, refusal_stays=True, lasts_s=limits.ACCEPT_S_DEFAULT,
    sent={
        "amount": "12.50", "currency": "EUR", "payee": "@bob", "note": "Lunch", "not_after": MOMENT,
        "accept": True, "expires_s": 3_600, "quote": QUOTE,
    },
    bare={"amount": "12.50", "currency": "EUR"},
    told={
        "amount": "12.50", "currency": "EUR", "payee": BOB, "state": "completed",
        "alt": "@alice paid @bob 12.50 EUR", "note": "Lunch", "not_after": MOMENT, "accept": True,
        "expires_at": 1790003600123, "quote": QUOTE, "rate": "1.0824", "margin": "0.07",
        "received": {"amount": "13.45", "currency": "USD"}, "fee": "0.13", "fee_on": "payer",
        "settles": {"state": "open", "share": {"user": BOB, "amount": "50.00", "state": "paid"}},
    },
)  # fmt: skip
