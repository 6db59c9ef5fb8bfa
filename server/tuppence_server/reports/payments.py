"""A person's payments as they stand now: what the store found, narrowed by filters, as the wire shows it."""

from typing import Final

from msgspec import UNSET, Struct

from tuppence_protocol import codec
from tuppence_protocol.kinds import (
    Deposited,
    PacketClaimed,
    PaymentsBody,
    PaymentsResult,
    PaymentView,
    Withdrawn,
)
from tuppence_protocol.limits import PAGE_BYTES_MAX, PAGE_ROWS_MAX
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import Money
from tuppence_server.domain.pay.payments import share_view
from tuppence_server.domain.payment_from_event import payment_of
from tuppence_server.domain.rows import Payment
from tuppence_server.domain.views import money_view
from tuppence_server.store.contract import Item, MoneyReads

FILTERED_MAX: Final = PAGE_ROWS_MAX
"""Payments that one question with filters looks through: as many as one without may bring, so that a filter
that nothing fits costs no more. The page may then be short, or empty, and not the last."""


class _Filters(Struct, frozen=True):
    """What a person wants to see; `other` is a user id."""

    state: str | None
    currency: str | None
    other: str | None

    def __bool__(self) -> bool:
        return bool(self.state or self.currency or self.other)

    def fit(self, view: PaymentView, user: str) -> bool:
        """Whether a payment is one of those."""
        if self.state is not None and view.state != self.state:
            return False
        if self.currency is not None and self.currency not in _currencies(view):
            return False
        return self.other is None or self.other in _others(view, user)


async def payments_page(store: MoneyReads, user: str, body: PaymentsBody) -> PaymentsResult:
    """A page of a person's payments, latest first; a filter that names nobody or nothing finds nothing."""
    other = None
    if body.with_ is not UNSET:
        person = await store.person(body.with_)
        if person is None or not (body.with_.startswith("@") or body.with_ == person.id):
            return PaymentsResult([], (await store.head()).pos)
        other = person.id
    filters = _Filters(body.state or None, body.currency or None, other)
    before = body.before if body.before is not UNSET else None
    found = await store.payments(user, before, FILTERED_MAX if filters else body.limit)
    views: list[PaymentView] = []
    size = 0
    for item in found.items:
        view = payment_view(item)
        if filters.fit(view, user):
            views.append(view)
            size += len(codec.encode(view))
        if (len(views) == body.limit or size > PAGE_BYTES_MAX) and item is not found.items[-1]:
            return PaymentsResult(views, found.pos, item.event.pos)
    return PaymentsResult(views, found.pos, found.next)


_MADE_AT_ONCE: Final = frozenset({"pay.deposit", "pay.withdraw", "pay.faucet", "pay.claim"})


def payment_view(item: Item) -> PaymentView:
    """A payment as it stands."""
    payment = item.payment
    head = codec.decode_head(item.event.head)
    kind = str(head["kind"])
    if kind in _MADE_AT_ONCE:
        body = codec.decode_body(kind, item.event.body)
        assert isinstance(body, (Deposited, Withdrawn, PacketClaimed)), "the log's own events are known"
        return PaymentView(
            str(head["id"]), kind, item.event.conv, item.event.pos, int(head["at"]),
            body.amount, body.currency, "completed",
            *_between(body, payment),
        )  # fmt: skip
    payment = payment or payment_of(item.event)
    assert payment is not None, "what has no row is a plain payment"
    return _viewed(kind, payment, item)


def _between(
    body: Deposited | Withdrawn | PacketClaimed, payment: Payment | None
) -> tuple[str | None, str | None]:
    if isinstance(body, Withdrawn):
        return (body.payer, None)
    return (None if payment is None else payment.payer, body.payee)


def _viewed(kind: str, payment: Payment, item: Item) -> PaymentView:
    currency, packet = payment.currency, payment.kind == "packet"
    fee = format_amount(payment.fee, currency) if payment.fee else None
    refunded = payment.refunded
    return PaymentView(
        id=payment.id,
        kind=kind,
        conv=payment.conv,
        pos=payment.pos,
        at=payment.at,
        amount=format_amount(payment.amount, currency),
        currency=currency,
        state=payment.state,
        payer=payment.payer or None,
        payee=payment.payee or None,
        fee=fee,
        fee_on=payment.fee_on if fee else None,
        refunded=format_amount(refunded, payment.received_currency) if refunded else None,
        received=_received(payment),
        expires_at=payment.expires_at or None,
        shares=[share_view(share, currency) for share in item.shares] or None,
        claimed=payment.claimed if packet else None,
        count=payment.count if packet else None,
    )


def _received(payment: Payment) -> Money | None:
    currency = payment.received_currency
    return money_view(payment.received, currency) if currency not in {"", payment.currency} else None


def _currencies(view: PaymentView) -> set[str]:
    return {view.currency} | ({view.received.currency} if view.received else set())


def _others(view: PaymentView, user: str) -> set[str | None]:
    """The other side of a payment, as this person sees it: of one's own bill, all who share it."""
    if view.payer == view.payee:
        return {view.payer}
    sharers = {share.user for share in view.shares or () if view.payee == user}
    return ({view.payer, view.payee} | sharers) - {user}
