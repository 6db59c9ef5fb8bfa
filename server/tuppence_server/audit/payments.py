"""The story of each payment that somebody may act on, folded from the log and held against its rows.

A story is kept while its payment waits, and refunds until they are as much as the payment's row says. So memory is
bounded by what is open, not by the log.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import DecodeError, Struct
from msgspec.structs import replace

from tuppence_protocol.kinds import PaymentSent
from tuppence_protocol.views import PaymentBody
from tuppence_server.domain.rows import Payment, PaymentKind, Share
from tuppence_server.store.contract import AuditReads, MoneyRows, MoveRow

from .holds import Holds
from .legs import Envelope, Key, Leg, Mismatch, head_of, legs_of, said
from .range import MADE_OTHERS, Act

ACTS_PER_READ: Final = 500
GIVING_BACK: Final = frozenset({"pay.refund", "pay.reverse"})
Wrong = Callable[[str], None]


class PaymentFold(Struct):
    """A payment as the log has made it up to now."""

    payment: Payment
    shares: list[Share]


class Refunds(Struct):
    """A payment that was refunded, and how much of that the log has told; minor units."""

    payment: Payment
    told: int = 0


def unrefunded(stored: Payment) -> Payment:
    """The row of a payment as it was before anything was given back."""
    return replace(stored, state="completed", refunded=0, refund_transfer=0)


class MoneyEvent(Struct, frozen=True):
    """An act, read."""

    head: Envelope
    body: PaymentBody
    moves: list[MoveRow]


Tellers = Mapping[type[PaymentBody], Callable[["PaymentFolds", MoneyEvent], None]]


class PaymentFolds:
    """All payments that are open, and how many rows there must be of those that were."""

    def __init__(self, store: AuditReads, owners: dict[int, Key], tellers: Tellers, wrong: Wrong) -> None:
        self._store = store
        self._owners = owners
        self._tellers = tellers
        self._wrong = wrong
        self._open: dict[str, PaymentFold] = {}
        self._shares = 0
        self.refunds: dict[str, Refunds] = {}
        self.refunded: Counter[str] = Counter()
        self.kept = MoneyRows({}, {}, {}, {})
        self.payments = self.quotes = 0
        self.holds = Holds(wrong)

    async def take(self, acts: Sequence[Act]) -> None:
        """The next acts in order."""
        for start in range(0, len(acts), ACTS_PER_READ):
            deeds = [deed for act in acts[start : start + ACTS_PER_READ] if (deed := self._read(act))]
            self.kept = await self._look_up(deeds)
            for deed in deeds:
                self.holds.take(deed.moves)
                try:
                    self._tellers[type(deed.body)](self, deed)
                except Mismatch as odd:
                    self._wrong(f"pos {deed.head.pos}: {odd}")

    def _read(self, act: Act) -> MoneyEvent | None:
        try:
            head = head_of(act.head)
            return MoneyEvent(head, said(head.kind, act.body), act.moves)
        except (Mismatch, DecodeError) as odd:
            self._wrong(f"pos {act.pos}: {odd}")
            return None

    async def _look_up(self, deeds: Sequence[MoneyEvent]) -> MoneyRows:
        """The rows that these need: as they stand now, after all acts."""
        payments = {each for deed in deeds for each in (deed.head.id, deed.head.ref) if each}
        quotes = {deed.body.quote for deed in deeds if isinstance(deed.body, PaymentSent) and deed.body.quote}
        refunds = {str(deed.head.ref) for deed in deeds if deed.head.kind in GIVING_BACK}
        return await self._store.load_payments(sorted(payments), sorted(quotes), sorted(refunds))

    # For the tellers

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

    def waiting(self, deed: MoneyEvent, *kinds: PaymentKind) -> PaymentFold:
        """The open payment that an act is about."""
        story = self._open.get(deed.head.ref or "")
        if story is None or story.payment.kind not in kinds:
            raise Mismatch(f"acts on {deed.head.ref}, which does not wait for a {deed.head.kind}")
        if story.payment.conv != deed.head.conv:
            raise Mismatch("acts on a payment of another conversation")
        return story

    def moves(self, deed: MoneyEvent, legs: Sequence[Leg]) -> None:
        """An act makes these transfers and no others."""
        if legs_of(deed.moves, self._owners) != list(legs):
            raise Mismatch(f"a {deed.head.kind}: {MADE_OTHERS}")

    def end(self, story: PaymentFold, state: str) -> None:
        """Nobody can act on it any more, but to refund it."""
        story.payment = replace(story.payment, state=state)
        del self._open[story.payment.id]
        stored = self.kept.payments.get(story.payment.id)
        if state == "completed" and stored is not None and stored.refunded:
            self.refunds[stored.id] = Refunds(stored)
            self.compare(story.payment, unrefunded(stored))
        else:
            self.compare(story.payment, stored)
        self._compare_shares(story, self.kept)

    def compare(self, told: Payment, stored: Payment | None) -> None:
        """The row of a payment against what the log makes of it."""
        if stored is None:
            self._wrong(f"payment {told.id}: has no row")
            return
        told = replace(told, counted=stored.counted)  # which limits held then, the log does not tell
        if not told.fee:  # nor who would have borne it
            told = replace(told, fee_on=stored.fee_on)
        differing = [name for name in told.__struct_fields__ if getattr(told, name) != getattr(stored, name)]
        if differing:
            told_values = ", ".join(f"{name} {getattr(told, name)}" for name in differing if name != "seed")
            self._wrong(
                f"payment {told.id}: its row is not what the log makes of it: {told_values or 'seed'}"
            )

    def _compare_shares(self, story: PaymentFold, kept: MoneyRows) -> None:
        if story.shares != kept.shares.get(story.payment.id, []):
            self._wrong(f"payment {story.payment.id}: its shares are not what the log makes of them")

    # At the end of the log

    async def finish(self) -> None:
        """What is open still, and how much there is of everything."""
        ids = sorted(self._open)
        for start in range(0, len(ids), ACTS_PER_READ):
            some = ids[start : start + ACTS_PER_READ]
            kept = await self._store.load_payments(some, [], [])
            for each in some:
                self.compare(self._open[each].payment, kept.payments.get(each))
                self._compare_shares(self._open[each], kept)
        for each, refunds in self.refunds.items():
            self._wrong(
                f"payment {each}: its row says {refunds.payment.refunded} refunded, the log {refunds.told}"
            )
        tally = await self._store.tally()
        for what, told, stored in (
            ("payments", self.payments, tally.payments),
            ("shares", self._shares, tally.shares),
            ("used quotes", self.quotes, tally.used_quotes),
        ):
            if told != stored:
                self._wrong(f"the log makes {told} rows of {what}; there are {stored}")
        for currency in sorted(self.refunded.keys() | tally.refunded.keys()):
            told, stored = self.refunded[currency], tally.refunded.get(currency, 0)
            if told != stored:
                self._wrong(f"{currency}: the log refunds {told}, the rows say {stored}")
