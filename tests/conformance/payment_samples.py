"""The bodies of money: a whole one of every kind, and events as they come in the life of a payment."""

from typing import Any, Final

Body = dict[str, Any]

ALICE: Final = "u_3kq5abcdefghijklmnopqrstuv"
BOB: Final = "u_6zx4abcdefghijklmnopqrstuv"
CAROL: Final = "u_5cc2abcdefghijklmnopqrstuv"
ID: Final = "3f2b8c1e-94d7-4a06-8e21-fedcba987654"
QUOTE: Final = "0197a1c5-0c11-7d20-a4f3-8f90a1b2c3d4"
MOMENT: Final = 1790000000123

FRAME_BODIES: Final[dict[str, Body]] = {
    "pay.send": {
        "amount": "12.50",
        "currency": "EUR",
        "payee": "@bob",
        "note": "Lunch",
        "not_after": MOMENT,
        "accept": True,
        "expires_s": 3_600,
        "quote": QUOTE,
    },
    "pay.request": {
        "amount": "12.50",
        "currency": "EUR",
        "payer": "@bob",
        "note": "Lunch",
        "expires_s": 3_600,
    },
    "pay.split": {
        "total": "90.00",
        "currency": "EUR",
        "shares": [{"user": "@bob", "amount": "50.00"}, {"user": ALICE, "amount": "40.00"}],
        "note": "Dinner",
        "expires_s": 3_600,
    },
    "pay.packet": {
        "total": "20.00",
        "currency": "EUR",
        "count": 5,
        "mode": "lucky",
        "note": "Happy New Year",
        "expires_s": 3_600,
    },
    "pay.claim": {},
    "pay.accept": {},
    "pay.decline": {"reason": "You paid already"},
    "pay.cancel": {},
    "pay.refund": {"amount": "2.00"},
    "pay.waive": {"user": "@bob"},
    "pay.remind": {},
    "pay.faucet": {"amount": "100.00", "currency": "EUR"},
}
ASK_BODIES: Final[dict[str, Body]] = {
    "ask.payments": {"state": "open", "with": "@bob", "currency": "EUR", "before": 90210, "limit": 20},
    "ask.statement": {
        "currency": "EUR",
        "from": 1789000000000,
        "to": MOMENT,
        "after": 90100,
        "limit": 20,
    },
    "ask.quote": {"sell": "EUR", "buy": "USD", "amount": "12.50", "side": "sell"},
    "ask.preview": {
        "frame": {
            "kind": "pay.send",
            "id": QUOTE,
            "conv": "@bob",
            "ref": ID,
            "body": FRAME_BODIES["pay.send"],
        }
    },
}
ACTING: Final = frozenset(
    {"pay.claim", "pay.accept", "pay.decline", "pay.cancel", "pay.refund", "pay.waive", "pay.remind"}
)
PREVIEWED: Final = ("pay.send", "pay.request", "pay.split", "pay.packet", "pay.accept", "pay.refund")
NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "pay.send": ("amount", "currency"),
    "pay.request": ("amount", "currency"),
    "pay.packet": ("total", "currency", "count", "mode"),
    "ask.statement": ("currency",),
}
BARE_BODIES: Final[dict[str, Body]] = {
    "pay.split": {"total": "90.00", "currency": "EUR", "shares": [{"user": "@bob"}]},
    "ask.preview": {"frame": {"kind": "pay.accept", "id": QUOTE, "conv": "@bob", "ref": ID}},
}
NOT_NEEDED_BODIES: Final = (ACTING - {"pay.waive"}) | {"ask.payments"}

_SHARE: Final = {"user": BOB, "amount": "50.00", "state": "paid"}
_PROOF: Final = "9f2c4d6e8a0b1c3d5e7f9a1b2c3d4e5f60718293a4b5c6d7e8f9012345678901"
_SEED: Final = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

EVENT_BODIES: Final[dict[str, Body]] = {
    "pay.send": {
        "amount": "12.50",
        "currency": "EUR",
        "payee": BOB,
        "state": "completed",
        "alt": "@alice paid @bob 12.50 EUR",
        "note": "Lunch",
        "not_after": MOMENT,
        "accept": True,
        "expires_at": 1790003600123,
        "quote": QUOTE,
        "rate": "1.0824",
        "margin": "0.07",
        "received": {"amount": "13.45", "currency": "USD"},
        "fee": "0.13",
        "fee_on": "payer",
        "settles": {"state": "open", "share": _SHARE},
    },
    "pay.deposit": {
        "amount": "100.00",
        "currency": "EUR",
        "payee": ALICE,
        "state": "completed",
        "alt": "@bob received 100.00 EUR by deposit",
        "note": "Opening balance",
    },
    "pay.withdraw": {
        "amount": "40.00",
        "currency": "EUR",
        "payer": ALICE,
        "state": "completed",
        "alt": "40.00 EUR were taken out of the balance of @alice",
        "reason": "Paid out in cash",
        "note": "Receipt 17",
        "shortfall": "2.00",
    },
    "pay.reverse": {
        "amount": "12.50",
        "currency": "EUR",
        "payer": BOB,
        "payee": ALICE,
        "state": "refunded",
        "refunded": "12.50",
        "alt": "12.50 EUR that @alice paid @bob were given back by the operator",
        "reason": "Paid by a stolen telephone",
        "note": "Case 5",
        "shortfall": "1.50",
    },
    "pay.faucet": {
        "amount": "100.00",
        "currency": "EUR",
        "payee": ALICE,
        "state": "completed",
        "alt": "@alice took 100.00 EUR of play money",
        "note": "Play money",
    },
    "pay.request": {
        "amount": "12.50",
        "currency": "EUR",
        "payer": BOB,
        "state": "open",
        "expires_at": 1790604800123,
        "alt": "@alice asked @bob for 12.50 EUR",
        "note": "Lunch",
    },
    "pay.split": {
        "total": "90.00",
        "currency": "EUR",
        "shares": [
            {"user": BOB, "amount": "50.00", "state": "open"},
            _SHARE | {"user": ALICE, "amount": "40.00"},
        ],
        "state": "open",
        "expires_at": 1790604800123,
        "alt": "@alice split 90.00 EUR",
        "note": "Dinner",
    },
    "pay.packet": {
        "total": "20.00",
        "currency": "EUR",
        "count": 5,
        "mode": "lucky",
        "state": "open",
        "expires_at": 1790086400123,
        "proof": _PROOF,
        "alt": "@alice put 20.00 EUR into a packet of 5",
        "note": "Happy New Year",
        "fee": "0.20",
    },
    "pay.claim": {
        "amount": "3.08",
        "currency": "EUR",
        "payee": BOB,
        "share": 5,
        "count": 5,
        "state": "emptied",
        "alt": "@bob got 3.08 EUR",
        "seed": _SEED,
    },
    "pay.accept": {
        "amount": "12.50",
        "currency": "EUR",
        "payee": BOB,
        "state": "completed",
        "alt": "@bob accepted 12.50 EUR from @alice",
        "fee": "0.13",
        "fee_on": "payee",
    },
    "pay.decline": {
        "state": "settled",
        "alt": "@bob declined to pay 50.00 EUR",
        "reason": "You paid already",
        "share": _SHARE | {"state": "declined"},
    },
    "pay.cancel": {"state": "cancelled", "alt": "@alice took back the request"},
    "pay.expire": {
        "state": "expired",
        "alt": "The packet expired; 4.00 EUR went back to @alice",
        "returned": {"amount": "4.00", "currency": "EUR"},
        "seed": _SEED,
    },
    "pay.refund": {
        "amount": "2.00",
        "currency": "EUR",
        "payee": ALICE,
        "state": "partly_refunded",
        "refunded": "5.00",
        "alt": "@bob gave back 2.00 EUR to @alice",
    },
    "pay.waive": {
        "user": BOB,
        "state": "settled",
        "share": _SHARE | {"state": "waived"},
        "alt": "@alice let @bob off 50.00 EUR",
    },
    "pay.remind": {"users": [BOB, CAROL], "state": "open", "alt": "@alice reminded @bob and @carol"},
}

_PAID: Final = {"amount": "12.50", "currency": "EUR", "payee": BOB, "alt": "@alice paid @bob 12.50 EUR"}
_SHARES: Final = [
    {"user": ALICE, "amount": "3.34", "state": "paid"},
    {"user": BOB, "amount": "3.33", "state": "open"},
    {"user": CAROL, "amount": "3.33", "state": "open"},
]

# What a server sends in the life of a payment: what it says, its kind, its body.
MOMENTS: Final[tuple[tuple[str, str, Body], ...]] = (
    (
        "waiting for the payee",
        "pay.send",
        _PAID
        | {"state": "pending", "accept": True, "expires_at": 1790086400123, "fee": "0.13", "fee_on": "payer"},
    ),
    ("with a fee on the payee", "pay.send", _PAID | {"state": "completed", "fee": "0.13", "fee_on": "payee"}),
    ("pays a request", "pay.send", _PAID | {"state": "completed", "settles": {"state": "paid"}}),
    (
        "pays the last share of a split",
        "pay.send",
        _PAID
        | {"state": "completed", "settles": {"state": "settled", "share": _SHARE | {"amount": "12.50"}}},
    ),
    (
        "in another currency",
        "pay.send",
        _PAID
        | {
            "state": "completed",
            "quote": QUOTE,
            "rate": "162.31",
            "margin": "0.07",
            "received": {"amount": "2017", "currency": "JPY"},
        },
    ),
    (
        "in equal shares, the cent left to the first",
        "pay.split",
        {
            "total": "10.00",
            "currency": "EUR",
            "shares": _SHARES,
            "state": "open",
            "expires_at": 1790604800123,
            "alt": "@alice split 10.00 EUR",
        },
    ),
    (
        "a share that is not the last",
        "pay.claim",
        {
            "amount": "5.23",
            "currency": "EUR",
            "payee": CAROL,
            "share": 1,
            "count": 5,
            "state": "open",
            "alt": "@carol got 5.23 EUR",
        },
    ),
    (
        "of a waiting payment or a request",
        "pay.decline",
        {"state": "declined", "alt": "@bob declined 12.50 EUR"},
    ),
    (
        "of one share while others are open",
        "pay.decline",
        {
            "state": "open",
            "share": _SHARES[2] | {"state": "declined"},
            "alt": "@carol declined to pay 3.33 EUR",
        },
    ),
    (
        "of all that is left",
        "pay.refund",
        {
            "amount": "12.50",
            "currency": "EUR",
            "payee": ALICE,
            "state": "refunded",
            "refunded": "12.50",
            "alt": "@bob gave back 12.50 EUR to @alice",
        },
    ),
    ("of a request, which held nothing", "pay.expire", {"state": "expired", "alt": "The request expired"}),
    (
        "of a waiting payment",
        "pay.expire",
        {
            "state": "expired",
            "returned": {"amount": "12.50", "currency": "EUR"},
            "alt": "The payment expired; 12.50 EUR went back to @alice",
        },
    ),
    (
        "with a state of a later server",
        "pay.cancel",
        {"state": "half_cancelled", "alt": "@alice took back a half"},
    ),
)
