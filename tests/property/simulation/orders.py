"""The orders that steps become where the model stands: what all of them name.

Most aim at something that can be done; the others are late, a stranger's, somewhere else, or wrong.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.contract.stores import event_id
from tests.property.model.amounts import show
from tests.property.model.model import Model
from tests.property.model.records import ENABLED, IDS, OPERATOR, PEOPLE, Order, Payment, Room
from tests.property.simulation.step import ACTS, BAD_AMOUNTS, MINORS, NEAR_IDS, NO_IDS, OLD_IDS, Step

from tuppence_protocol.lifecycle import WHO, ways


class OrderGenerator:
    """Makes orders of steps. `planned` are payments of the same burst, which can be acted on already.

    `near` are the ids that the latest orders carried or named; a step that aims "near" acts on what they are.
    """

    def __init__(self, model: Model, verbs: "Verbs") -> None:
        self.model = model
        self.verbs = verbs
        self.often = [verb for verb, (often, _) in verbs.items() for _ in range(often)]
        self.keys = 0
        self.orders: list[Order] = []
        self.planned: list[Payment] = []
        self.near: deque[str] = deque(maxlen=NEAR_IDS)
        self.recycled: Payment | None = None
        self.aim: Payment | None = None

    def key(self) -> str:
        """An id that was not used yet."""
        self.keys += 1
        return event_id(self.keys)

    def order(self, step: Step) -> Order:
        """What a step is where the model stands now."""
        barred = self.barred()
        if step.twist == "barred" and barred:
            who, currency = barred[step.pick % len(barred)]
            step = replace(step, who=PEOPLE.index(who), currency=currency)
        self.aim, self.recycled = self.recycled if step.place % 4 else None, None
        if self.aim is not None:
            acts = ACTS[self.aim.kind]
            step = replace(step, verb=acts[step.pick % len(acts)], aim="near")
        order = self.compose(step)
        if step.twist == "stranger" and order.author in PEOPLE:
            order = replace(order, author=self.other(step))
        if order.verb not in NO_IDS | OLD_IDS:
            self.orders.append(order)
        self.near.extend(order.content[name] for name in ("id", "ref", "payment") if order.content.get(name))
        return order

    def compose(self, step: Step) -> Order:
        """What the step's verb makes of it."""
        return self.verbs[step.verb][1](self, step)

    def barred(self) -> list[tuple[str, str]]:
        """Whose accounts are frozen or closed, and in which currency."""
        return [(who, currency) for who in PEOPLE for currency in ENABLED if self.model.flags(who, currency)]

    def who(self, step: Step) -> str:
        return PEOPLE[step.who]

    def other(self, step: Step, who: str = "") -> str:
        """Somebody else."""
        first = PEOPLE.index(who or self.who(step))
        return PEOPLE[(first + 1 + step.other) % len(PEOPLE)]

    def named(self, step: Step, person: str) -> str:
        if step.twist == "unknown":
            return "@nobody"
        return IDS[person] if step.twist == "by_id" else f"@{person}"

    def places(self, step: Step, who: str) -> str:
        """Where something new is done: mostly a DM, often a group, now and then `self`."""
        groups = self.model.groups()
        if step.twist == "nowhere":
            return "@nobody" if step.place % 2 else f"@{self.other(step, who)}"
        if step.place == 11:
            return "self"
        if step.place >= 6:
            room = groups[step.place % len(groups)]
            mine = [room for room in groups if who in room.roles]
            return (mine[step.place % len(mine)] if mine else room).id
        return f"@{self.other(step, who)}"

    def conv_of(self, step: Step, payment: Payment, who: str) -> str:
        room = payment.room
        if step.twist == "elsewhere":
            others = [other for other in self.model.rooms.values() if other is not room]
            return others[step.place % len(others)].id
        if room.id and (room.kind == "group" or step.place % 2):
            return room.id
        peer = room.peer(who) if who in room.roles else payment.payer
        return "self" if peer == who else f"@{peer}"

    def minor(self, step: Step, who: str) -> int:
        available = self.model.available(who, step.currency)
        if step.twist == "all" and available:
            return available
        left = self.model.left(who, step.currency) if step.twist == "edge" else None
        if left is not None and left > 0:
            return left + step.pick % 2
        if step.twist == "too_much":
            return available + 1
        return MINORS[step.amount]

    def amount(self, step: Step) -> str:
        if step.twist == "bad_amount":
            return BAD_AMOUNTS[(step.amount + step.pick) % len(BAD_AMOUNTS)]
        return show(self.minor(step, self.who(step)), step.currency)

    def currency(self, step: Step) -> str:
        return ("CHF", "XXX")[step.pick % 2] if step.twist == "currency" else step.currency

    def frame(
        self, step: Step, who: str, kind: str, conv: str, body: dict[str, Any], ref: str | None = None
    ) -> Order:
        if step.twist == "note" and kind in {"pay.send", "pay.request", "pay.split", "pay.packet"}:
            body["note"] = f"note {step.pick}"
        if step.twist == "short" and kind in {"pay.request", "pay.split", "pay.packet"}:
            body["expires_s"] = (1, 60, 3_600)[step.pick % 3]
        content = {"kind": kind, "id": self.key(), "conv": conv, "body": body}
        if ref is not None:
            content["ref"] = ref
        return Order(who, content, step.verb)

    def find(self, order: Order) -> Payment | None:
        ref = order.content.get("ref", "")
        planned = next((payment for payment in self.planned if payment.id == ref), None)
        return self.model.payments.get(ref, planned)

    def target(self, step: Step, verb: str) -> tuple[Payment | None, str]:
        """A payment to act on, of the latest ones, and who may."""
        payments = [*list(self.model.payments.values())[-150:], *self.planned]
        if step.aim == "any":
            return (payments[-1 - step.pick % len(payments)] if payments else None), self.who(step)
        if step.aim == "near":
            every = self.model.payments
            payments = [*(every[key] for key in self.near if key in every), *self.planned]
            payments = payments if self.aim is None else [self.aim]
        now = self.model.now if step.aim == "apt" else None
        found = [(payment, who) for payment in payments for who in actors(verb, payment, now)]
        if not found:
            return None, self.who(step)
        return found[-1 - (step.pick * 5 + step.who) % len(found)]

    def expiry(self, payment: str) -> Order:
        """The order that ends a payment's time."""
        content = {"kind": "pay.expire", "id": self.key(), "payment": payment}
        return Order(OPERATOR, content, "expire")

    def earlier(self, step: Step) -> Order | None:
        """An order of before, lately or long ago."""
        orders = self.orders
        if not orders:
            return None
        back = step.pick if step.aim == "apt" else step.pick * 37 + step.other
        return orders[-1 - back % len(orders)]


Verbs = Mapping[str, tuple[int, Callable[[OrderGenerator, Step], Order]]]
"""What can be done, how often it is, and the order that a step becomes."""


def actors(verb: str, payment: Payment, now: int | None) -> list[str]:
    """Who may do that with a payment; with `now` only where it can still be done."""
    verb = "settle" if verb == "answer" else verb
    life = ways(payment.kind, payment.state)
    if now is not None and (verb not in life or ("expire" in life and now >= payment.expires_at)):
        return []
    parts = [part for part in payment.parts if now is None or part.state == "open"]
    match WHO.get((payment.kind, verb)):
        case "payer":
            return [payment.payer]
        case "payee":
            return [payment.payee]
        case "sharer":
            return [part.person for part in parts if part.person != payment.payee]
        case "anyone":
            return _claimers(payment, payment.room, now)
    return []


def _claimers(payment: Payment, room: Room, now: int | None) -> list[str]:
    here = [who for who in room.roles if room.kind == "group" or who != payment.payer]
    return here if now is None else [who for who in here if payment.part(who) is None]
