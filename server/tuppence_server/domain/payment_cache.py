"""The payments that the book holds: a row where there is one, and for a plain send without one its event.

What neither this batch nor the one on its way made is asked of the store first, whatever else is known of it:
an event does not tell what was given back since.
"""

from collections.abc import Sequence

from .payment_from_event import payment_of
from .rows import IdempotencyRecord, LoggedEvent, PairKey, Payment, Share


class PaymentCache:
    """The part of the book that is about payments."""

    receipts: dict[str, IdempotencyRecord | None]
    events: dict[int, LoggedEvent | None]
    payments: dict[str, Payment]
    shares: dict[str, list[Share]]
    open_requests: dict[PairKey, set[str]]
    no_payments: set[str]
    stored_pos: int
    """Events behind it are of this batch or of the one on its way, which the store need not have yet."""

    def payment(self, id: str) -> Payment | None:
        """A payment that was asked for, if it is one."""
        payment = self.payments.get(id)
        if payment is None and id not in self.no_payments:
            raise KeyError(id)
        return payment

    def cache_payment(self, payment: Payment, shares: Sequence[Share] = ()) -> None:
        """Take in a loaded payment with its shares."""
        self.payments[payment.id] = payment
        if payment.kind in {"split", "packet"}:
            self.shares[payment.id] = sorted(shares, key=lambda share: share.n)
        self._index_request(payment)

    def mark_absent_payments(self, ids: set[str]) -> None:
        """Of the payments that the store was asked for, take in those without a row, and note what is
        none."""
        for id in ids - self.payments.keys():
            if not self._cache_plain_payment(id, after=0):
                self.no_payments.add(id)

    def cache_new_payment(self, id: str) -> bool:
        """Take in a plain send that this batch made, or the one on its way; False where it is none.

        An older one may have been refunded since, which its event does not tell: only its row, or that it has
        none.
        """
        return self._cache_plain_payment(id, after=self.stored_pos)

    def _cache_plain_payment(self, id: str, after: int) -> bool:
        """Take in a send that has no row, from its event behind `after`; False where there is none."""
        receipt = self.receipts.get(id)
        pos = 0 if receipt is None or receipt.pos is None else receipt.pos
        event = self.events.get(pos) if pos > after else None
        payment = None if event is None else payment_of(event)
        if payment is None:
            return False
        self.payments[id] = payment
        return True

    def cache_open_requests(self, pair: PairKey, payments: Sequence[Payment]) -> None:
        """Take in all open requests between two people."""
        self.open_requests[pair] = set()
        for payment in payments:
            self.cache_payment(self.payments.get(payment.id, payment))

    def _index_request(self, payment: Payment) -> None:
        pair = self.open_requests.get((payment.payee, payment.payer)) if payment.kind == "request" else None
        if pair is not None:
            (pair.add if payment.state == "open" else pair.discard)(payment.id)
