"""A plain send as a payment: it has no row of its own as long as its event tells all."""

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import EVENT_BODIES, PaymentSent
from tuppence_protocol.money import parse_amount

from .rows import LoggedEvent, Payment


def payment_of(event: LoggedEvent) -> Payment | None:
    """The payment that an event of a completed send is; None for any other event."""
    head = codec.decode_head(event.head)
    kind = str(head["kind"])
    if EVENT_BODIES.get(kind) is not PaymentSent:
        return None
    body = codec.decode_body(kind, event.body)
    assert isinstance(body, PaymentSent), "the log's own events are known"
    if body.state != "completed":
        return None
    amount = _minor(body.amount, body.currency)
    fee = _minor(body.fee, body.currency) if body.fee else 0
    fee_on = body.fee_on or "payer"
    if body.received:
        received, currency = _minor(body.received.amount, body.received.currency), body.received.currency
    else:
        received, currency = amount - (fee if fee_on == "payee" else 0), body.currency
    return Payment(
        id=str(head["id"]), pos=event.pos, at=int(head["at"]), kind="send", conv=event.conv,
        payer=str(head["from"]), payee=body.payee, currency=body.currency, amount=amount, state="completed",
        fee=fee, fee_on=fee_on, received=received, received_currency=currency,
    )  # fmt: skip


def _minor(amount: str, currency: str) -> int:
    minor = parse_amount(amount, currency)
    assert not isinstance(minor, Refusal), "the log's own amounts are canonical"
    return minor
