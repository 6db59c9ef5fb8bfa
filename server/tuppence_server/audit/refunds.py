"""Refunds: of what a payment brought its payee, never more than that, and as much as its row says."""

from typing import Any

from tuppence_protocol.kinds import PAYMENT_BODIES, PaymentRefunded, PaymentReversed, PaymentSent
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR

from .legs import Mismatch, customer, decode_body, decode_envelope, given_back, minor, must_be, single
from .openings import payment_of
from .payments import MoneyEvent, PaymentFolds, Refunds, unrefunded


def refunded(folds: PaymentFolds, event: MoneyEvent[PaymentRefunded]) -> None:
    """Who was paid gives back some or all of it."""
    envelope, body = event.envelope, event.body
    known = folds.refunds.get(envelope.ref or "") or _first(folds, event)
    payment = known.payment
    currency, amount = payment.received_currency, minor(body.amount, body.currency)
    if (envelope.from_, envelope.conv) != (payment.payee, payment.conv):
        raise Mismatch("is not for its author to do there")
    debit, credit = customer(payment.payee, currency), customer(payment.payer, currency)
    folds.moves(event, [single(debit, credit, amount, "pay.refund")])
    must_be((body.payee, body.currency), (payment.payer, currency))
    _give_back(folds, known, amount, event)


def reversed_by_operator(folds: PaymentFolds, event: MoneyEvent[PaymentReversed]) -> None:
    """The operator gives back all that is left."""
    envelope, body = event.envelope, event.body
    known = folds.refunds.get(envelope.ref or "") or _first(folds, event)
    payment = known.payment
    currency, amount = payment.received_currency, minor(body.amount, body.currency)
    must_be((envelope.from_, envelope.conv), (SERVER_AUTHOR, payment.conv))
    must_be((body.payer, body.payee, body.currency), (payment.payee, payment.payer, currency))
    must_be(amount, payment.received - known.found)
    debit, credit = customer(payment.payee, currency), customer(payment.payer, currency)
    folds.moves(event, given_back(debit, credit, body.amount, body.shortfall, "pay.reverse"))
    _give_back(folds, known, amount, event)


def _give_back(
    folds: PaymentFolds,
    known: Refunds,
    amount: int,
    event: MoneyEvent[PaymentRefunded] | MoneyEvent[PaymentReversed],
) -> None:
    body, payment, currency = event.body, known.payment, known.payment.received_currency
    known.found += amount
    folds.refunded[currency] += amount
    if known.found > payment.received:
        raise Mismatch(f"{known.found} of {payment.received} are refunded")
    state = "refunded" if known.found == payment.received else "partly_refunded"
    must_be((body.state, body.refunded), (state, format_amount(known.found, currency)))
    if known.found >= payment.refunded:
        must_be((payment.state, payment.refunded), (state, known.found))
        must_be(payment.refund_transfer, event.moves[-1][1])
        folds.refunds.pop(payment.id, None)


def _first(folds: PaymentFolds, event: MoneyEvent[Any]) -> Refunds:
    """The first refund of a plain payment, which has a row from then on."""
    ref = event.envelope.ref or ""
    paid, stored = folds.kept.events.get(ref), folds.kept.payments.get(ref)
    if paid is None or paid.pos >= event.envelope.pos:
        raise Mismatch(f"refunds {ref}, which is not there")
    if stored is None or not stored.refunded:
        raise Mismatch(f"refunds {ref}, whose row knows nothing of it")
    envelope = decode_envelope(paid.head)
    is_sent = PAYMENT_BODIES.get(envelope.kind) is PaymentSent
    body = decode_body(envelope.kind, paid.body) if is_sent else None
    if not isinstance(body, PaymentSent) or body.state != "completed":
        raise Mismatch(f"refunds {ref}, which was not paid, or less of it")
    folds.compare(payment_of(envelope, body), unrefunded(stored))
    folds.payments += 1
    known = folds.refunds[ref] = Refunds(stored)
    return known
