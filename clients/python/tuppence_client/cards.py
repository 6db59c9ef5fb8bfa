"""Cards: what became of each payment, folded from its events. Pure, for whoever draws them.

A card's state is that of the last event about it, in whatever order the events are given; one given again
changes nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from tuppence_protocol import kinds
from tuppence_protocol.events import Event
from tuppence_protocol.lifecycle import By, Verb, ways
from tuppence_protocol.views import Money, PaymentBody, Share

CARDS_MAX: Final = 10_000
_TOLD: Final = ("note", "expires_at", "fee", "fee_on", "received", "rate", "count", "mode", "proof")


class Claim(Struct, frozen=True):
    """Who took which share of a packet; `place` counts from 1."""

    user: str
    amount: str
    place: int
    at: int


class Card(Struct, frozen=True, kw_only=True):
    """A payment as it stands; amounts are decimal strings, `at` and `expires_at` ms since the epoch.

    `kind` is that of the event that began it. Who asks for money (`pay.request`, `pay.split`) is the `payee`;
    the money of a packet comes from the `payer`. `last_pos` is where the last event about it stands.
    """

    id: str
    conv: str
    kind: str
    pos: int
    at: int
    amount: str
    currency: str
    state: str
    last_pos: int
    payer: str | None = None
    payee: str | None = None
    note: str | None = None
    expires_at: int | None = None
    fee: str | None = None
    fee_on: str | None = None
    received: Money | None = None
    rate: str | None = None
    refunded: str | None = None
    settles: str | None = None
    settled_by: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()
    claims: tuple[Claim, ...] = ()
    claimed: int = 0
    count: int | None = None
    mode: str | None = None
    proof: str | None = None
    seed: str | None = None
    returned: Money | None = None
    reason: str | None = None
    reminded_at: int | None = None

    def share_of(self, user: str) -> Share | None:
        """That person's share of a split bill."""
        return next((share for share in self.shares if share.user == user), None)

    def due(self, user: str) -> str | None:
        """What this asks that person for, paid or not; None for nothing."""
        if self.kind == "pay.request":
            return self.amount if self.payer == user else None
        share = self.share_of(user)
        return None if share is None or self.payee == user else share.amount

    def may(self, user: str) -> frozenset[Verb]:
        """What that person can do with it now, as far as the card tells; the server decides."""
        now = ways(self.kind, self.state)
        return frozenset(verb for verb, way in now.items() if self._is_for(user, way.by, verb))

    def _is_for(self, user: str, by: By, verb: Verb) -> bool:
        match by:
            case "payer":
                return user == self.payer
            case "anyone":
                return all(claim.user != user for claim in self.claims)
        others = (share for share in self.shares if share.user != self.payee)
        open_to = {share.user for share in others if verb in ways("share", share.state)}
        if by == "sharer":
            return user in open_to
        return by == "payee" and user == self.payee and (not self.shares or bool(open_to))


# --- from events and lists ------------------------------------------------------------------------


def payment_of(event: Event) -> str:
    """The id of the payment that an event began or acts on."""
    acts = isinstance(event.body, PaymentBody) and _begun(event) is None
    return event.ref if acts and event.ref else event.id


def fold(events: Iterable[Event]) -> dict[str, Card]:
    """The cards of these events by the id of the payment; what is not about money is passed over."""
    cards = Cards()
    for event in events:
        cards.add(event)
    return {card.id: card for card in cards}


def card_of(payment: Event | kinds.PaymentView | Card) -> Card | None:
    """The card that an event begins, or that a line of `payments()` tells; None where it begins none."""
    match payment:
        case Card():
            return payment
        case Event():
            return _begun(payment)
    view = payment
    return Card(
        id=view.id, conv=view.conv, kind=view.kind, pos=view.pos, at=view.at, amount=view.amount,
        currency=view.currency, state=view.state, last_pos=view.pos, payer=view.payer, payee=view.payee,
        expires_at=view.expires_at, fee=view.fee, fee_on=view.fee_on, received=view.received,
        refunded=view.refunded, shares=tuple(view.shares or ()), claimed=view.claimed or 0, count=view.count,
    )  # fmt: skip


class Cards:
    """Cards that are kept as events come; the oldest beyond `cards_max` are let go."""

    def __init__(self, cards_max: int = CARDS_MAX) -> None:
        self._cards_max = cards_max
        self._events: dict[str, dict[str, Event]] = {}
        self._cards: dict[str, Card] = {}

    def __iter__(self) -> Iterator[Card]:
        return iter(self._cards.values())

    def get(self, id: str) -> Card | None:  # noqa: A002 - the wire's name
        """The card of a payment; None where its first event has not been seen."""
        return self._cards.get(id)

    def of(self, conv: str) -> list[Card]:
        """The cards of a conversation, latest payment first."""
        return sorted((card for card in self if card.conv == conv), key=lambda card: -card.pos)

    def add(self, event: Event) -> list[Card]:
        """Take in an event; the cards that it changed, its own first."""
        changed = (self._about(payment, event) for payment in _concerned(event))
        return [card for card in changed if card is not None]

    def _about(self, payment: str, event: Event) -> Card | None:
        known = self._events.setdefault(payment, {})
        if event.id in known:
            return None
        known[event.id] = event
        card = self._cards.get(payment)
        in_order = card is not None and event.pos > card.last_pos
        card = _after(card, event) if card is not None and in_order else _folded(payment, known)
        if card is not None:
            self._cards[payment] = card
        while len(self._events) > self._cards_max:
            oldest = next(iter(self._events))
            del self._events[oldest]
            self._cards.pop(oldest, None)
        return card


def _concerned(event: Event) -> tuple[str, ...]:
    """The payments that an event says something about."""
    match event.body:
        case kinds.PaymentSent(settles=kinds.Settles()) if event.ref:
            return (event.id, event.ref)
    return (payment_of(event),) if isinstance(event.body, PaymentBody) else ()


def _folded(payment: str, events: dict[str, Event]) -> Card | None:
    if payment not in events:
        return None
    card = _begun(events[payment])
    for event in sorted(events.values(), key=lambda event: event.pos):
        if card is not None and event.id != payment:
            card = _after(card, event)
    return card


def _begun(event: Event) -> Card | None:
    """The card that an event begins."""
    body = event.body
    begun: dict[str, Any] = {}
    match body:
        case kinds.PaymentSent(amount=amount):
            begun = {"payer": event.from_, "payee": body.payee, "settles": body.settles and event.ref}
        case kinds.Deposited(amount=amount):
            begun = {"payee": body.payee}
        case kinds.Withdrawn(amount=amount):
            begun = {"payer": body.payer}
        case kinds.PaymentRequested(amount=amount):
            begun = {"payer": body.payer, "payee": event.from_}
        case kinds.BillSplit(total=amount):
            begun = {"payee": event.from_, "shares": tuple(body.shares)}
        case kinds.PacketMade(total=amount):
            begun = {"payer": event.from_}
        case _:
            return None
    begun |= {name: getattr(body, name, None) for name in _TOLD}
    return Card(
        id=event.id, conv=event.conv, kind=event.kind, pos=event.pos, at=event.at, amount=amount,
        currency=body.currency, state=body.state, last_pos=event.pos,
        **{name: value for name, value in begun.items() if value is not None and value is not UNSET},
    )  # fmt: skip


def _after(card: Card, event: Event) -> Card:
    """The card after an event about it."""
    body = event.body
    assert isinstance(body, PaymentBody)
    card = replace(card, last_pos=event.pos)
    match body:
        case kinds.PaymentSent(settles=kinds.Settles() as settles):
            card = _with_share(card, settles.share or None)
            return replace(card, state=settles.state, settled_by=(*card.settled_by, event.id))
        case kinds.PacketClaimed():
            claim = Claim(body.payee, body.amount, body.share, event.at)
            card = replace(card, claims=(*card.claims, claim), claimed=card.claimed + 1)
            card = replace(card, seed=body.seed or card.seed)
        case kinds.PaymentAccepted():
            card = replace(card, fee=body.fee or card.fee, fee_on=body.fee_on or card.fee_on)
        case kinds.PaymentDeclined():
            card = replace(_with_share(card, body.share or None), reason=body.reason or card.reason)
        case kinds.PaymentCancelled():
            card = _ended(card, body.state)
        case kinds.PaymentExpired():
            card = replace(_ended(card, body.state), returned=body.returned or None, seed=body.seed or None)
        case kinds.PaymentRefunded() | kinds.PaymentReversed():
            card = replace(card, refunded=body.refunded)
        case kinds.ShareWaived():
            card = _with_share(card, body.share)
        case kinds.PaymentReminded():
            card = replace(card, reminded_at=event.at)
    return replace(card, state=body.state)


def _with_share(card: Card, now: Share | None) -> Card:
    if now is None:
        return card
    return replace(card, shares=tuple(now if share.user == now.user else share for share in card.shares))


def _ended(card: Card, state: str) -> Card:
    """What was still open of a bill ends with it."""
    shares = (replace(share, state=state) if share.state == "open" else share for share in card.shares)
    return replace(card, shares=tuple(shares))
