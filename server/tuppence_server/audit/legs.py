"""What transfers an event of money calls for, told from its body and the payment that it refers to.

Written from the specification and not from the rules, so that a mistake of the rules does not verify itself.
"""

from collections.abc import Callable
from typing import Final

from msgspec import UNSET, DecodeError, Struct, UnsetType, field, json

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PAYMENT_BODIES, Deposited, PaymentSent, Withdrawn
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_protocol.views import PaymentBody
from tuppence_server.domain.rows import OPERATOR, Payment, Share
from tuppence_server.store.contract import MoveRow

Key = tuple[str, str, str]
"""(owner, currency, code of account)"""
Leg = tuple[Key, Key, int, str, str, int]
"""Debit, credit, minor units, code, phase, and the hold that it ends."""


class Mismatch(Exception):
    """An event that is not as it must be; the message says how."""


class Envelope(Struct, gc=False):
    """The envelope of an event."""

    kind: str
    id: str
    conv: str
    seq: int
    pos: int
    from_: str = field(name="from")
    at: int
    ref: str | None = None


decode_envelope: Final = json.Decoder(Envelope).decode
_bodies: Final[dict[str, Callable[[bytes], PaymentBody]]] = {
    kind: json.Decoder(body).decode for kind, body in PAYMENT_BODIES.items()
}


def decode_body(kind: str, body: bytes) -> PaymentBody:
    """The body of an event of that kind."""
    try:
        return _bodies[kind](body)
    except DecodeError as fault:
        raise Mismatch(f"the body is not that of a {kind}: {fault}") from None


def must_be(found: object, expected: object) -> None:
    """What an event says is what follows from the log."""
    if found != expected:
        raise Mismatch(f"says {shown(found)} where it is {shown(expected)}")


def shown(value: object) -> str:
    """A value for a person to read."""
    return "nothing" if value is UNSET or value is None else str(value)


def minor(amount: str, currency: str) -> int:
    """Minor units of an amount in its one spelling; zero is one here."""
    found = parse_amount(amount, currency)
    if isinstance(found, Refusal):
        found = 0
    try:
        if format_amount(found, currency) == amount:
            return found
    except ValueError:
        pass
    raise Mismatch(f"{amount!r} is no amount of {currency}")


def legs_of(moves: list[MoveRow], owners: dict[int, Key]) -> list[Leg]:
    """The transfers that an event made, by whose accounts they moved."""
    legs = []
    for _, _, debit, credit, amount, other in moves:
        code, phase, pending = ("pay.send", "single", "0") if other is None else other.split(" ")
        nobody = ("", "", "")
        legs.append(
            (owners.get(debit, nobody), owners.get(credit, nobody), amount, code, phase, int(pending))
        )
    return legs


def single(debit: Key, credit: Key, amount: int, code: str) -> Leg:
    """Money that moves at once."""
    return (debit, credit, amount, code, "single", 0)


def customer(user: str, currency: str) -> Key:
    """A person's account."""
    return (user, currency, "customer")


def operator(code: str, currency: str) -> Key:
    """One of the operator's."""
    return (OPERATOR, currency, code)


# --- what needs nothing but its body ----------------------------------------------------------------------


def sent(envelope: Envelope, body: PaymentSent) -> list[Leg]:
    """A payment: at once, held until it is accepted, or exchanged.
    What the payee bears never reaches the payee."""
    currency, amount = body.currency, minor(body.amount, body.currency)
    fee = minor(body.fee, currency) if body.fee else 0
    source, phase = customer(envelope.from_, currency), "pending" if body.accept else "single"
    if body.received:
        legs = _exchanged(source, body, amount)
    else:
        arrives = amount - fee if body.fee_on == "payee" else amount
        legs = [(source, customer(body.payee, currency), arrives, envelope.kind, phase, 0)]
    return [*legs, (source, operator("fees", currency), fee, "fee", phase, 0)] if fee else legs


def _exchanged(source: Key, body: PaymentSent, amount: int) -> list[Leg]:
    assert body.received, "an exchange says what was received"
    bought = body.received
    pool, other = operator("fx", body.currency), operator("fx", bought.currency)
    target = customer(body.payee, bought.currency)
    legs = [
        single(source, pool, amount, "exchange"),
        single(other, target, minor(bought.amount, bought.currency), "exchange"),
    ]
    margin = minor(body.margin, body.currency) if body.margin else 0
    return [*legs, single(pool, operator("margin", body.currency), margin, "margin")] if margin else legs


def credited(envelope: Envelope, body: Deposited) -> list[Leg]:
    """Money from outside, or from the faucet."""
    amount = minor(body.amount, body.currency)
    return [
        single(operator("cash", body.currency), customer(body.payee, body.currency), amount, envelope.kind)
    ]


def withdrawn(body: Withdrawn) -> list[Leg]:
    """Money that went out; what was not there came from the operator."""
    target = operator("cash", body.currency)
    return given_back(
        customer(body.payer, body.currency), target, body.amount, body.shortfall, "pay.withdraw"
    )


def given_back(source: Key, target: Key, amount: str, shortfall: str | UnsetType, code: str) -> list[Leg]:
    """An amount by the operator's word: from whoever had it, and the shortfall from the operator."""
    currency = source[1]
    missing = 0 if shortfall is UNSET else minor(shortfall, currency)
    parts = ((source, minor(amount, currency) - missing), (operator("losses", currency), missing))
    return [single(account, target, part, code) for account, part in parts if part]


# --- what ends what was held --------------------------------------------------------------------------------


def held(payment: Payment, phase: str, code: str) -> list[Leg]:
    """The outcome of the holds of a payment that waits to be accepted."""
    if payment.kind != "send":
        return []
    currency, source = payment.currency, customer(payment.payer, payment.currency)
    legs = [(source, customer(payment.payee, currency), payment.received, code, phase, payment.hold)]
    if payment.fee_hold:
        legs.append((source, operator("fees", currency), payment.fee, "fee", phase, payment.fee_hold))
    return legs


def claimed(payment: Payment, share: Share, claimer: str) -> list[Leg]:
    """One share of a packet reaches who claimed it."""
    kept, source = operator("packets", payment.currency), customer(payment.payer, payment.currency)
    return [
        (source, kept, share.amount, "pay.packet", "post", share.hold),
        single(kept, customer(claimer, payment.currency), share.amount, "pay.claim"),
    ]


def unclaimed(payment: Payment, shares: list[Share]) -> list[Leg]:
    """What nobody claimed goes back."""
    kept, source = operator("packets", payment.currency), customer(payment.payer, payment.currency)
    return [(source, kept, share.amount, "pay.expire", "expire", share.hold) for share in shares]
