"""What a server sends in the life of a payment: what the event says, its kind, its body."""

from typing import Any, Final

from tuppence_protocol.kinds.kind import ALICE, BOB, CAROL, QUOTE

Body = dict[str, Any]

_PAID: Final = {"amount": "12.50", "currency": "EUR", "payee": BOB, "alt": "@alice paid @bob 12.50 EUR"}
_SHARES: Final = [
    {"user": ALICE, "amount": "3.34", "state": "paid"},
    {"user": BOB, "amount": "3.33", "state": "open"},
    {"user": CAROL, "amount": "3.33", "state": "open"},
]
_LAST: Final = {"user": BOB, "amount": "12.50", "state": "paid"}

MOMENTS: Final[tuple[tuple[str, str, Body], ...]] = (
    ("waiting for the payee", "pay.send", _PAID | {
        "state": "pending", "accept": True, "expires_at": 1790086400123, "fee": "0.13", "fee_on": "payer",
    }),
    ("with a fee on the payee", "pay.send", _PAID | {"state": "completed", "fee": "0.13", "fee_on": "payee"}),
    ("pays a request", "pay.send", _PAID | {"state": "completed", "settles": {"state": "paid"}}),
    ("pays the last share of a split", "pay.send", _PAID | {
        "state": "completed", "settles": {"state": "settled", "share": _LAST},
    }),
    ("in another currency", "pay.send", _PAID | {
        "state": "completed", "quote": QUOTE, "rate": "162.31", "margin": "0.07",
        "received": {"amount": "2017", "currency": "JPY"},
    }),
    ("in equal shares, the cent left to the first", "pay.split", {
        "total": "10.00", "currency": "EUR", "shares": _SHARES, "state": "open", "expires_at": 1790604800123,
        "alt": "@alice split 10.00 EUR",
    }),
    ("a share that is not the last", "pay.claim", {
        "amount": "5.23", "currency": "EUR", "payee": CAROL, "share": 1, "count": 5, "state": "open",
        "alt": "@carol got 5.23 EUR",
    }),
    ("of a waiting payment or a request", "pay.decline", {
        "state": "declined", "alt": "@bob declined 12.50 EUR",
    }),
    ("of one share while others are open", "pay.decline", {
        "state": "open", "share": _SHARES[2] | {"state": "declined"},
        "alt": "@carol declined to pay 3.33 EUR",
    }),
    ("of all that is left", "pay.refund", {
        "amount": "12.50", "currency": "EUR", "payee": ALICE, "state": "refunded", "refunded": "12.50",
        "alt": "@bob gave back 12.50 EUR to @alice",
    }),
    ("of a request, which held nothing", "pay.expire", {"state": "expired", "alt": "The request expired"}),
    ("of a waiting payment", "pay.expire", {
        "state": "expired", "returned": {"amount": "12.50", "currency": "EUR"},
        "alt": "The payment expired; 12.50 EUR went back to @alice",
    }),
    ("with a state of a later server", "pay.cancel", {
        "state": "half_cancelled", "alt": "@alice took back a half",
    }),
)  # fmt: skip
