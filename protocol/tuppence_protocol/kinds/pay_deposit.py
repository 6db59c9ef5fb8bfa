"""Money that comes in and goes out: by the operator, and play money."""

from typing import Final

from msgspec import UNSET, UnsetType

from tuppence_protocol.shapes import Amount, Body, Currency, InPlace
from tuppence_protocol.views import PaymentBody, State

from .kind import ALICE, Kind


class FaucetBody(Body, frozen=True):
    amount: Amount
    currency: Currency


class PayFaucet(InPlace, tag="pay.faucet", kw_only=True, frozen=True):
    """Give oneself play money, in `self` and only where the server is a sandbox."""

    body: FaucetBody


class Deposited(PaymentBody, frozen=True):
    amount: str
    currency: str
    payee: str
    state: State
    alt: str
    note: str | UnsetType = UNSET


class Withdrawn(PaymentBody, frozen=True):
    """The operator took out `amount`; `shortfall` of it was not there and is borne by the operator."""

    amount: str
    currency: str
    payer: str
    state: State
    alt: str
    reason: str
    note: str | UnsetType = UNSET
    shortfall: str | UnsetType = UNSET


PAY_FAUCET: Final = Kind(
    "pay.faucet", PayFaucet, Deposited, listed=True, refusal_stays=True,
    sent={"amount": "100.00", "currency": "EUR"},
    told={
        "amount": "100.00", "currency": "EUR", "payee": ALICE, "state": "completed",
        "alt": "@alice took 100.00 EUR of play money", "note": "Play money",
    },
)  # fmt: skip
PAY_DEPOSIT: Final = Kind(
    "pay.deposit", event=Deposited, listed=True, refusal_stays=True,
    by_server="Money came in over a rail; nobody's frame, so `from` is `server`.",
    told={
        "amount": "100.00", "currency": "EUR", "payee": ALICE, "state": "completed",
        "alt": "@bob received 100.00 EUR by deposit", "note": "Opening balance",
    },
)  # fmt: skip
PAY_WITHDRAW: Final = Kind(
    "pay.withdraw", event=Withdrawn, listed=True, refusal_stays=True,
    by_server="The operator took money out of the balance; `from` is `server`.",
    told={
        "amount": "40.00", "currency": "EUR", "payer": ALICE, "state": "completed",
        "alt": "40.00 EUR were taken out of the balance of @alice", "reason": "Paid out in cash",
        "note": "Receipt 17", "shortfall": "2.00",
    },
)  # fmt: skip
