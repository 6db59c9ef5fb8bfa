"""Refunds: of what a payment brought its payee, never more than that, and as much as its row says."""

from tuppence_protocol.kinds import PAYMENT_BODIES, PaymentRefunded, PaymentReversed, PaymentSent
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR

from .legs import Mismatch, customer, given_back, head_of, minor, must_be, said, single
from .openings import payment_of
from .payments import MoneyEvent, PaymentFolds, Refunds, unrefunded


def refunded(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """Who was paid gives back some or all of it."""
    head, body = deed.head, deed.body
    assert isinstance(body, PaymentRefunded), "each kind has its class"
    known = stories.refunds.get(head.ref or "") or _first(stories, deed)
    payment = known.payment
    currency, amount = payment.received_currency, minor(body.amount, body.currency)
    if (head.from_, head.conv) != (payment.payee, payment.conv):
        raise Mismatch("is not for its author to do there")
    debit, credit = customer(payment.payee, currency), customer(payment.payer, currency)
    stories.moves(deed, [single(debit, credit, amount, "pay.refund")])
    must_be((body.payee, body.currency), (payment.payer, currency))
    _told(stories, known, amount, deed)


def reversed_by_operator(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """The operator gives back all that is left."""
    head, body = deed.head, deed.body
    assert isinstance(body, PaymentReversed), "each kind has its class"
    known = stories.refunds.get(head.ref or "") or _first(stories, deed)
    payment = known.payment
    currency, amount = payment.received_currency, minor(body.amount, body.currency)
    must_be((head.from_, head.conv), (SERVER_AUTHOR, payment.conv))
    must_be((body.payer, body.payee, body.currency), (payment.payee, payment.payer, currency))
    must_be(amount, payment.received - known.told)
    debit, credit = customer(payment.payee, currency), customer(payment.payer, currency)
    stories.moves(deed, given_back(debit, credit, body.amount, body.shortfall, "pay.reverse"))
    _told(stories, known, amount, deed)


def _told(stories: PaymentFolds, known: Refunds, amount: int, deed: MoneyEvent) -> None:
    body = deed.body
    assert isinstance(body, (PaymentRefunded, PaymentReversed)), "these two give back"
    payment, currency = known.payment, known.payment.received_currency
    known.told += amount
    stories.refunded[currency] += amount
    if known.told > payment.received:
        raise Mismatch(f"{known.told} of {payment.received} are refunded")
    state = "refunded" if known.told == payment.received else "partly_refunded"
    must_be((body.state, body.refunded), (state, format_amount(known.told, currency)))
    if known.told >= payment.refunded:
        must_be((payment.state, payment.refunded), (state, known.told))
        must_be(payment.refund_transfer, deed.moves[-1][1])
        stories.refunds.pop(payment.id, None)


def _first(stories: PaymentFolds, deed: MoneyEvent) -> Refunds:
    """The first refund of a plain payment, which has a row from then on."""
    ref = deed.head.ref or ""
    event, stored = stories.kept.events.get(ref), stories.kept.payments.get(ref)
    if event is None or event.pos >= deed.head.pos:
        raise Mismatch(f"refunds {ref}, which is not there")
    if stored is None or not stored.refunded:
        raise Mismatch(f"refunds {ref}, whose row knows nothing of it")
    head = head_of(event.head)
    body = said(head.kind, event.body) if PAYMENT_BODIES.get(head.kind) is PaymentSent else None
    if not isinstance(body, PaymentSent) or body.state != "completed":
        raise Mismatch(f"refunds {ref}, which was not paid, or less of it")
    stories.compare(payment_of(head, body), unrefunded(stored))
    stories.payments += 1
    known = stories.refunds[ref] = Refunds(stored)
    return known
