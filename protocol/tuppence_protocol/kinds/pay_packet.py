"""Red packets, and the claims of their shares."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from tuppence_protocol import limits
from tuppence_protocol.shapes import Acting, Amount, Body, Currency, InPlace, Note, Nothing, Seconds
from tuppence_protocol.views import PaymentBody, State

from .kind import BOB, SEED, Kind


class PacketBody(Body, frozen=True):
    total: Amount
    currency: Currency
    count: Annotated[int, Meta(ge=1, le=limits.PACKET_SHARES_MAX)]
    mode: Literal["equal", "lucky"]
    note: Note | UnsetType = UNSET
    expires_s: Seconds | UnsetType = UNSET


class PayPacket(InPlace, tag="pay.packet", kw_only=True, frozen=True):
    """Put money into a red packet for whoever in this conversation claims a share first."""

    body: PacketBody


class PacketMade(PaymentBody, frozen=True):
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


PAY_PACKET: Final = Kind(
    "pay.packet", PayPacket, PacketMade, listed=True, refusal_stays=True, lasts_s=limits.ACCEPT_S_DEFAULT,
    sent={
        "total": "20.00", "currency": "EUR", "count": 5, "mode": "lucky", "note": "Happy New Year",
        "expires_s": 3_600,
    },
    told={
        "total": "20.00", "currency": "EUR", "count": 5, "mode": "lucky", "state": "open",
        "expires_at": 1790086400123,
        "proof": "9f2c4d6e8a0b1c3d5e7f9a1b2c3d4e5f60718293a4b5c6d7e8f9012345678901",
        "alt": "@alice put 20.00 EUR into a packet of 5", "note": "Happy New Year", "fee": "0.20",
    },
)  # fmt: skip


class PayClaim(Acting, tag="pay.claim", kw_only=True, frozen=True):
    """Take one share of the packet `ref`."""

    body: Nothing = Nothing()


class PacketClaimed(PaymentBody, frozen=True):
    amount: str
    currency: str
    payee: str
    share: int
    count: int
    state: State
    alt: str
    seed: str | UnsetType = UNSET


PAY_CLAIM: Final = Kind(
    "pay.claim", PayClaim, PacketClaimed, listed=True, refusal_stays=True,
    told={
        "amount": "3.08", "currency": "EUR", "payee": BOB, "share": 5, "count": 5, "state": "emptied",
        "alt": "@bob got 3.08 EUR", "seed": SEED,
    },
)  # fmt: skip
