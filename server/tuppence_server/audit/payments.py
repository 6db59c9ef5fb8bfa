"""Each payment that somebody may act on, folded from the log and held against its rows.

It is kept while its payment waits, and refunds until they are as much as the payment's row says. So memory is
bounded by what is open, not by the log.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from msgspec import DecodeError, Struct
from msgspec.structs import replace

from tuppence_protocol.kinds import PaymentSent
from tuppence_protocol.views import PaymentBody
from tuppence_server.domain.rows import Payment, PaymentKind, Share
from tuppence_server.store.contract import AuditReads, MoneyRows, MoveRow

from .holds import Holds
from .legs import Envelope, Key, Leg, Mismatch, decode_body, decode_envelope, legs_of
from .range import MADE_OTHERS, RawEvent

EVENTS_PER_READ: Final = 500
GIVING_BACK: Final = frozenset({"pay.refund", "pay.reverse"})


class PaymentFold(Struct):
    """A payment as the log has made it up to now."""

    payment: Payment
    shares: list[Share]


class Refunds(Struct):
    """A payment that was refunded, and how much of that the log has shown; minor units."""

    payment: Payment
    found: int = 0


def unrefunded(stored: Payment) -> Payment:
    """The row of a payment as it was before anything was given back."""
    return replace(stored, state="completed", refunded=0, refund_transfer=0)


Body = TypeVar("Body", bound=PaymentBody)


class MoneyEvent(Struct, Generic[Body], frozen=True):
    """An event of money, decoded, with the transfers that it made."""

    envelope: Envelope
    body: Body
    moves: list[MoveRow]


EventChecks = Mapping[type[PaymentBody], Callable[["PaymentFolds", MoneyEvent[Any]], None]]


class PaymentFolds:
    """All payments that are open, and how many rows there must be of those that were."""

    def __init__(
        self, store: AuditReads, owners: dict[int, Key], checks: EventChecks, report: Callable[[str], None]
    ) -> None:
        self._store = store
        self._owners = owners
        self._checks = checks
        self._report = report
        self._open: dict[str, PaymentFold] = {}
        self._shares = 0
        self.refunds: dict[str, Refunds] = {}
        self.refunded: Counter[str] = Counter()
        self.kept = MoneyRows({}, {}, {}, {})
        self.payments = self.quotes = 0
        self.holds = Holds(report)

    async def take(self, raw: Sequence[RawEvent]) -> None:
        """The next events in order."""
        for start in range(0, len(raw), EVENTS_PER_READ):
            some = raw[start : start + EVENTS_PER_READ]
            events = [event for each in some if (event := self._decode(each))]
            self.kept = await self._look_up(events)
            for event in events:
                self.holds.take(event.moves)
                try:
                    self._checks[type(event.body)](self, event)
                except Mismatch as odd:
                    self._report(f"pos {event.envelope.pos}: {odd}")

    def _decode(self, raw: RawEvent) -> MoneyEvent[Any] | None:
        try:
            envelope = decode_envelope(raw.envelope)
            return MoneyEvent(envelope, decode_body(envelope.kind, raw.body), raw.moves)
        except (Mismatch, DecodeError) as odd:
            self._report(f"pos {raw.pos}: {odd}")
            return None

    async def _look_up(self, events: Sequence[MoneyEvent[Any]]) -> MoneyRows:
        """The rows that these need: as they stand now, after all events."""
        payments = {each for event in events for each in (event.envelope.id, event.envelope.ref) if each}
        quotes = {
            event.body.quote for event in events if isinstance(event.body, PaymentSent) and event.body.quote
        }
        refunds = {str(event.envelope.ref) for event in events if event.envelope.kind in GIVING_BACK}
        return await self._store.load_payments(sorted(payments), sorted(quotes), sorted(refunds))

    # For the checks of events

    def begin(self, payment: Payment, shares: list[Share]) -> None:
        """From here on somebody may act on it."""
        if payment.expires_at <= payment.at:
            raise Mismatch("expires before it begins")
        self._open[payment.id] = PaymentFold(payment, shares)
        self.payments += 1
        self._shares += len(shares)

    def is_open(self, id: str | None, *kinds: PaymentKind) -> bool:  # noqa: A002
        """Whether a payment of one of the kinds waits under that id."""
        return id in self._open and self._open[id].payment.kind in kinds

    def waiting(self, event: MoneyEvent[Any], *kinds: PaymentKind) -> PaymentFold:
        """The open payment that an event is about, before its time is over."""
        fold = self.find(event, *kinds)
        if event.envelope.at >= fold.payment.expires_at:
            raise Mismatch("comes after the payment's time")
        return fold

    def find(self, event: MoneyEvent[Any], *kinds: PaymentKind) -> PaymentFold:
        """The open payment that an event is about."""
        fold = self._open.get(event.envelope.ref or "")
        if fold is None or fold.payment.kind not in kinds:
            raise Mismatch(f"acts on {event.envelope.ref}, which does not wait for a {event.envelope.kind}")
        if fold.payment.conv != event.envelope.conv:
            raise Mismatch("acts on a payment of another conversation")
        return fold

    def moves(self, event: MoneyEvent[Any], legs: Sequence[Leg]) -> None:
        """An event makes these transfers and no others."""
        if legs_of(event.moves, self._owners) != list(legs):
            raise Mismatch(f"a {event.envelope.kind}: {MADE_OTHERS}")

    def end(self, fold: PaymentFold, state: str) -> None:
        """Nobody can act on it any more, but to refund it."""
        fold.payment = replace(fold.payment, state=state)
        del self._open[fold.payment.id]
        stored = self.kept.payments.get(fold.payment.id)
        if state == "completed" and stored is not None and stored.refunded:
            self.refunds[stored.id] = Refunds(stored)
            self.compare(fold.payment, unrefunded(stored))
        else:
            self.compare(fold.payment, stored)
        self._compare_shares(fold, self.kept)

    def compare(self, expected: Payment, stored: Payment | None) -> None:
        """The row of a payment against what the log makes of it."""
        if stored is None:
            self._report(f"payment {expected.id}: has no row")
            return
        expected = replace(expected, counted=stored.counted)  # which limits held then, the log does not tell
        if not expected.fee:  # nor who would have borne it
            expected = replace(expected, fee_on=stored.fee_on)
        differing = [
            name for name in expected.__struct_fields__ if getattr(expected, name) != getattr(stored, name)
        ]
        if differing:
            values = ", ".join(f"{name} {getattr(expected, name)}" for name in differing if name != "seed")
            self._report(
                f"payment {expected.id}: its row is not what the log makes of it: {values or 'seed'}"
            )

    def _compare_shares(self, fold: PaymentFold, kept: MoneyRows) -> None:
        if fold.shares != kept.shares.get(fold.payment.id, []):
            self._report(f"payment {fold.payment.id}: its shares are not what the log makes of them")

    # At the end of the log

    async def finish(self) -> None:
        """What is open still, and how much there is of everything."""
        ids = sorted(self._open)
        for start in range(0, len(ids), EVENTS_PER_READ):
            some = ids[start : start + EVENTS_PER_READ]
            kept = await self._store.load_payments(some, [], [])
            for each in some:
                self.compare(self._open[each].payment, kept.payments.get(each))
                self._compare_shares(self._open[each], kept)
        for each, refunds in self.refunds.items():
            self._report(
                f"payment {each}: its row says {refunds.payment.refunded} refunded, the log {refunds.found}"
            )
        tally = await self._store.tally()
        for what, expected, stored in (
            ("payments", self.payments, tally.payments),
            ("shares", self._shares, tally.shares),
            ("used quotes", self.quotes, tally.used_quotes),
        ):
            if expected != stored:
                self._report(f"the log makes {expected} rows of {what}; there are {stored}")
        for currency in sorted(self.refunded.keys() | tally.refunded.keys()):
            expected, stored = self.refunded[currency], tally.refunded.get(currency, 0)
            if expected != stored:
                self._report(f"{currency}: the log refunds {expected}, the rows say {stored}")
