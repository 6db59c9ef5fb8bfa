"""Steps that people and the operator take with money, and the orders that they become where the model stands.

A step is a few small numbers, so that a driver can draw it and Hypothesis can shrink it. Most aim at something that
can be done; the others are late, a stranger's, somewhere else, or wrong.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from hypothesis import strategies as st
from tests.contract.stores import event_id
from tests.property.money_model import (
    CLOSED,
    DIGITS,
    ENABLED,
    FROZEN_IN,
    FROZEN_OUT,
    IDS,
    OPERATOR,
    PEOPLE,
    WAITING,
    Model,
    Order,
    Payment,
    Room,
    show,
)

MINORS: Final = (1, 1, 2, 3, 7, 10, 33, 100, 250, 999, 1_001, 2_500, 5_000, 5_001, 9_999, 25_000)
BAD_AMOUNTS: Final = (
    "0", "x", "-1", "1.", "01", "1e3", "+1", "0.00", "0.0001", "1.123456789", "1000000000000000", "",
)  # fmt: skip
FLAGS: Final = (FROZEN_IN, FROZEN_OUT, CLOSED, FROZEN_IN | FROZEN_OUT, CLOSED)
RATES: Final = ((162, 1), (1, 162), (34, 100), (1_000, 3), (9_999, 10_000))
VERBS: Final = {
    "deposit": 7, "faucet": 5, "pay": 12, "offer": 8, "exchange": 8, "answer": 9, "request": 9, "split": 6,
    "packet": 6, "claim": 11, "accept": 7, "decline": 5, "cancel": 4, "refund": 7, "waive": 3, "remind": 4,
    "chat": 3, "flags": 4, "tier": 4, "disable": 1, "room": 2, "expire": 3, "retry": 4, "respell": 4,
    "reuse": 4, "steal": 2, "recycle": 9, "misname": 3, "withdraw": 3, "reverse": 4,
}  # fmt: skip
"""What can be done, and how often it is."""
ON_ITS_OWN: Final = frozenset({"exchange"})
"""Verbs that take two orders, so that they are not previewed."""
NO_IDS: Final = frozenset({"flags", "tier", "disable"})
"""Verbs without an id."""
OLD_IDS: Final = frozenset({"retry", "respell", "reuse", "steal", "recycle"})
"""Verbs that use an id once more."""
ACTING: Final = ("refund", "refund", "accept", "claim", "decline", "cancel", "waive", "remind", "answer")
ACTS: Final[Mapping[str, Sequence[str]]] = {
    "send": ("refund", "refund", "refund", "reverse", "accept", "decline", "cancel"),
    "request": ("answer", "decline", "cancel", "remind"),
    "split": ("answer", "decline", "cancel", "remind", "waive"),
    "packet": ("claim",),
}  # fmt: skip
"""What is tried with a payment whose id was just used for something else."""
NEAR_IDS: Final = 12
PREVIEWED: Final = frozenset(
    {"pay.send", "pay.request", "pay.split", "pay.packet", "pay.accept", "pay.refund"}
)
TWISTS: Final = (
    *("",) * 20, "bad_amount", "currency", "stranger", "elsewhere", "nowhere", "note", "late", "by_id",
    "by_id", "short", "short", "odd", "odd", "unknown", "oneself", "all", "all", "too_much",
    "barred", "barred", "barred", "barred", "edge", "edge",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """Who does what with whom, as numbers that are taken modulo what there is."""

    verb: str
    who: int = 0
    other: int = 0
    place: int = 0
    pick: int = 0
    aim: str = "apt"
    amount: int = 0
    currency: str = "EUR"
    twist: str = ""


CHOICES: Final[Mapping[str, Sequence[Any]]] = {
    "verb": [verb for verb, often in VERBS.items() for _ in range(often)],
    "who": range(5),
    "other": range(4),
    "place": range(12),
    "pick": range(8),
    "aim": ("apt", "apt", "apt", "near", "over", "any"),
    "amount": range(len(MINORS)),
    "currency": ("EUR", "EUR", "EUR", "JPY", "KWD"),
    "twist": TWISTS,
}


def steps(*, without: Iterable[str] = ()) -> st.SearchStrategy[Step]:
    """Any step, as Hypothesis draws it."""
    choices = {**CHOICES, "verb": [verb for verb in CHOICES["verb"] if verb not in without]}
    return st.builds(Step, **{name: st.sampled_from(options) for name, options in choices.items()})


def random_step(chance: random.Random, without: Iterable[str] = ()) -> Step:
    """Any step, as a driver with a seed draws it."""
    step = Step(**{name: chance.choice(options) for name, options in CHOICES.items()})
    return random_step(chance, without) if step.verb in without else step


class Composer:
    """Makes orders of steps. `planned` are payments of the same burst, which can be acted on already.

    `near` are the ids that the latest orders carried or named; a step that aims "near" acts on what they are.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.keys = 0
        self.orders: list[Order] = []
        self.planned: list[Payment] = []
        self.near: deque[str] = deque(maxlen=NEAR_IDS)
        self._recycled: Payment | None = None
        self._aim: Payment | None = None

    def key(self) -> str:
        """An id that was not used yet."""
        self.keys += 1
        return event_id(self.keys)

    def order(self, step: Step) -> Order:
        """What a step is where the model stands now."""
        barred = self._barred()
        if step.twist == "barred" and barred:
            who, currency = barred[step.pick % len(barred)]
            step = replace(step, who=PEOPLE.index(who), currency=currency)
        self._aim, self._recycled = self._recycled if step.place % 4 else None, None
        if self._aim is not None:
            acts = ACTS[self._aim.kind]
            step = replace(step, verb=acts[step.pick % len(acts)], aim="near")
        order = _COMPOSE[step.verb](self, step)
        if step.twist == "stranger" and order.author in PEOPLE:
            order = replace(order, author=self._other(step))
        if order.verb not in NO_IDS | OLD_IDS:
            self.orders.append(order)
        self.near.extend(order.content[name] for name in ("id", "ref", "payment") if order.content.get(name))
        return order

    def quote(self, step: Step) -> Order:
        """The order for a promised rate that goes before an exchange."""
        buy = ENABLED[(ENABLED.index(step.currency) + 1 + step.place % 2) % 3]
        numerator, denominator = RATES[step.other % len(RATES)]
        content: dict[str, Any] = {
            "kind": "quote", "quote": self.key(), "owner": self._who(step), "sell": step.currency, "buy": buy,
            "amount": self._amount(step), "side": ("sell", "sell", "buy")[step.place % 3],
            "numerator": numerator, "denominator": denominator,
        }  # fmt: skip
        if step.twist == "currency":
            content["buy"] = "CHF"
        if step.place >= 10:
            content |= {"numerator": 0, "missing": "The rates are too old." if step.pick % 2 else None}
        return Order(OPERATOR, content, "quote")

    def _barred(self) -> list[tuple[str, str]]:
        """Whose accounts are frozen or closed, and in which currency."""
        return [(who, currency) for who in PEOPLE for currency in ENABLED if self.model.flags(who, currency)]

    # --- what steps name --------------------------------------------------------------------------------

    def _who(self, step: Step) -> str:
        return PEOPLE[step.who]

    def _other(self, step: Step, who: str = "") -> str:
        """Somebody else."""
        first = PEOPLE.index(who or self._who(step))
        return PEOPLE[(first + 1 + step.other) % len(PEOPLE)]

    def _named(self, step: Step, person: str) -> str:
        if step.twist == "unknown":
            return "@nobody"
        return IDS[person] if step.twist == "by_id" else f"@{person}"

    def _places(self, step: Step, who: str) -> str:
        """Where something new is done: mostly a DM, often a group, now and then `self`."""
        groups = self.model.groups()
        if step.twist == "nowhere":
            return "@nobody" if step.place % 2 else f"@{self._other(step, who)}"
        if step.place == 11:
            return "self"
        if step.place >= 6:
            room = groups[step.place % len(groups)]
            mine = [room for room in groups if who in room.roles]
            return (mine[step.place % len(mine)] if mine else room).id
        return f"@{self._other(step, who)}"

    def _conv_of(self, step: Step, payment: Payment, who: str) -> str:
        room = payment.room
        if step.twist == "elsewhere":
            others = [other for other in self.model.rooms.values() if other is not room]
            return others[step.place % len(others)].id
        if room.id and (room.kind == "group" or step.place % 2):
            return room.id
        peer = room.peer(who) if who in room.roles else payment.payer
        return "self" if peer == who else f"@{peer}"

    def _minor(self, step: Step, who: str) -> int:
        available = self.model.available(who, step.currency)
        if step.twist == "all" and available:
            return available
        left = self.model.left(who, step.currency) if step.twist == "edge" else None
        if left is not None and left > 0:
            return left + step.pick % 2
        if step.twist == "too_much":
            return available + 1
        return MINORS[step.amount]

    def _amount(self, step: Step) -> str:
        if step.twist == "bad_amount":
            return BAD_AMOUNTS[(step.amount + step.pick) % len(BAD_AMOUNTS)]
        return show(self._minor(step, self._who(step)), step.currency)

    def _currency(self, step: Step) -> str:
        return ("CHF", "XXX")[step.pick % 2] if step.twist == "currency" else step.currency

    def _frame(
        self, step: Step, who: str, kind: str, conv: str, body: dict[str, Any], ref: str | None = None
    ) -> Order:
        if step.twist == "note" and kind in {"pay.send", "pay.request", "pay.split", "pay.packet"}:
            body["note"] = f"note {step.pick}"
        content = {"kind": kind, "id": self.key(), "conv": conv, "body": body}
        if ref is not None:
            content["ref"] = ref
        return Order(who, content, step.verb)

    # --- what one does by oneself -----------------------------------------------------------------------

    def deposit(self, step: Step) -> Order:
        minor = 10 * MINORS[step.amount] + 5_000
        content: dict[str, Any] = {
            "kind": "pay.deposit", "id": self.key(), "handle": self._who(step),
            "amount": show(minor, step.currency), "currency": self._currency(step), "note": None,
        }  # fmt: skip
        if step.twist == "bad_amount":
            content["amount"] = BAD_AMOUNTS[step.amount % len(BAD_AMOUNTS)]
        if step.twist == "unknown":
            content["handle"] = "nobody"
        if step.twist == "note":
            content["note"] = "cash"
        return Order(OPERATOR, content, step.verb)

    def faucet(self, step: Step) -> Order:
        who = self._who(step)
        minor = MINORS[step.amount] * (1 if step.twist != "too_much" else 1_000)
        amount = self._amount(step) if step.twist == "bad_amount" else show(minor, step.currency)
        conv = f"@{self._other(step)}" if step.twist in {"elsewhere", "nowhere"} else "self"
        body = {"amount": amount, "currency": self._currency(step)}
        ref = event_id(1) if step.twist == "odd" else None
        return self._frame(step, who, "pay.faucet", conv, body, ref)

    def chat(self, step: Step) -> Order:
        who = self._who(step)
        return self._frame(step, who, "chat.text", self._places(step, who), {"text": f"hello {step.pick}"})

    def pay(self, step: Step) -> Order:
        who = self._who(step)
        conv = self._places(step, who)
        body: dict[str, Any] = {"amount": self._amount(step), "currency": self._currency(step)}
        self._to_whom(step, who, conv, body, "payee")
        if step.twist == "late":
            body["not_after"] = self.model.now + step.pick % 3 - 1
        if step.twist == "odd" and step.pick % 2:
            body["expires_s"] = 60
        ref = None
        if step.twist == "odd" and not step.pick % 2:
            ref = event_id(max(1, self.keys - step.pick))
        return self._frame(step, who, "pay.send", conv, body, ref)

    def _to_whom(self, step: Step, who: str, conv: str, body: dict[str, Any], name: str) -> None:
        """Name the payee or payer where one is needed, and now and then where not."""
        group = self.model.rooms.get(conv)
        if step.twist == "oneself":
            body[name] = self._named(step, who)
        elif step.twist in {"unknown", "by_id"} or (group is not None and step.twist != "odd"):
            members = [] if group is None else [other for other in group.roles if other != who]
            inside = members and step.twist != "elsewhere"
            other = members[step.other % len(members)] if inside else self._other(step, who)
            body[name] = self._named(step, other)
        elif step.twist == "elsewhere":
            body[name] = f"@{PEOPLE[(step.who + 2 + step.other) % 5]}"

    def offer(self, step: Step) -> Order:
        order = self.pay(replace(step, twist="") if step.twist in {"late", "odd"} else step)
        body = order.content["body"]
        body["accept"] = True
        if step.twist == "short":
            body["expires_s"] = (1, 60, 3_600)[step.pick % 3]
        if step.twist == "odd":
            body["quote"] = event_id(1)
        return order

    def exchange(self, step: Step) -> Order:
        """Pay by the latest quote, or by one of long ago."""
        model = self.model
        names = list(model.quotes)
        latest = names[-1] if step.aim == "apt" or not names else names[-1 - step.pick % len(names)]
        quote = model.quotes[latest]
        who = quote["owner"] if step.aim != "any" else self._who(step)
        conv = self._places(step, who)
        body: dict[str, Any] = {
            "amount": show(quote["sold"], quote["sell"]), "currency": quote["sell"], "quote": latest,
        }  # fmt: skip
        self._to_whom(step, who, conv, body, "payee")
        if step.twist == "odd":
            body["amount"] = show(quote["sold"] + 1, quote["sell"])
        if step.twist == "unknown":
            body |= {"quote": event_id(1), "payee": f"@{self._other(step, who)}"}
        if step.twist == "late":
            body["accept"] = True
        return self._frame(step, who, "pay.send", conv, body)

    def request(self, step: Step) -> Order:
        who = self._who(step)
        conv = self._places(step, who)
        body: dict[str, Any] = {"amount": self._amount(step), "currency": self._currency(step)}
        self._to_whom(step, who, conv, body, "payer")
        if step.twist == "short":
            body["expires_s"] = (1, 60, 3_600)[step.pick % 3]
        if step.aim != "apt":
            return self._request_more(step) or self._frame(step, who, "pay.request", conv, body)
        return self._frame(step, who, "pay.request", conv, body)

    def _request_more(self, step: Step) -> Order | None:
        """Another request where there are most, or once more what is asked for already."""
        asked = [p for p in self.model.payments.values() if (p.kind, p.state) == ("request", "open")]
        if not asked:
            return None
        pairs = Counter((p.payee, p.payer) for p in asked)
        (who, payer), _ = pairs.most_common(1)[0]
        latest = next(p for p in reversed(asked) if (p.payee, p.payer) == (who, payer))
        body = {"amount": self._amount(replace(step, twist="")), "currency": step.currency}
        if step.pick == 0:
            body = {"amount": show(latest.amount, latest.currency), "currency": latest.currency}
        body["payer"] = f"@{payer}"
        return self._frame(step, who, "pay.request", self._conv_of(step, latest, who), body)

    def split(self, step: Step) -> Order:
        who = self._who(step)
        conv = self._places(step, who)
        room = self.model.rooms.get(conv)
        people = list(room.roles) if room is not None else [who, self._other(step, who)]
        start = step.pick % len(people)
        people = (people[start:] + people[:start])[: 1 + (step.other + step.pick) % 4]
        minor = self._minor(step, who)
        total, shares = minor, [{"user": self._named(step, person)} for person in people]
        if step.pick % 2 and minor >= len(people):
            amounts = [1 + (minor - len(people)) // len(people)] * len(people)
            amounts[-1] += minor - sum(amounts)
            if step.twist == "odd":
                amounts[0] += 1
            for share, part in zip(shares, amounts, strict=True):
                share["amount"] = show(part, step.currency)
        elif step.twist == "odd":
            if step.other % 2:
                shares[0]["amount"] = show(1, step.currency)
            else:
                shares.append(shares[0])
        amount = self._amount(step) if step.twist == "bad_amount" else show(total, step.currency)
        body: dict[str, Any] = {"total": amount, "currency": self._currency(step), "shares": shares}
        if step.twist == "elsewhere":
            outside = [p for p in PEOPLE if room is not None and p not in room.roles] or [self._other(step)]
            shares[-1]["user"] = f"@{outside[0]}"
        if step.twist == "short":
            body["expires_s"] = (1, 60, 3_600)[step.pick % 3]
        return self._frame(step, who, "pay.split", conv, body)

    def packet(self, step: Step) -> Order:
        who = self._who(step)
        place = step.place if step.twist == "odd" or step.place == 11 else 6 + step.place % 5
        conv = self._places(replace(step, place=place if step.pick else step.place % 6), who)
        minor = max(self._minor(step, who), 1 if step.twist == "odd" else 5)
        body: dict[str, Any] = {
            "total": self._amount(step) if step.twist == "bad_amount" else show(minor, step.currency),
            "currency": self._currency(step),
            "count": 1 + step.other if conv.startswith("c_") or step.twist == "odd" else 1,
            "mode": ("lucky", "equal")[step.who % 2],
        }
        if step.twist == "short":
            body["expires_s"] = (1, 60, 3_600)[step.pick % 3]
        return self._frame(step, who, "pay.packet", conv, body)

    # --- what one does with what is there ---------------------------------------------------------------

    def _acting(self, step: Step, kind: str, **body: Any) -> Order:
        payment, who = self._target(step, step.verb)
        if payment is None:
            return self._make(step)
        ref = event_id(9_999_999) if step.twist == "unknown" else payment.id
        return self._frame(step, who, kind, self._conv_of(step, payment, who), body, ref)

    def _make(self, step: Step) -> Order:
        """Where there is nothing to act on, make something."""
        verb = _MAKERS[step.verb]
        return _COMPOSE[verb](self, replace(step, verb=verb))

    def _target(self, step: Step, verb: str) -> tuple[Payment | None, str]:
        """A payment to act on, of the latest ones, and who may."""
        payments = [*list(self.model.payments.values())[-150:], *self.planned]
        if step.aim == "any":
            return (payments[-1 - step.pick % len(payments)] if payments else None), self._who(step)
        if step.aim == "near":
            every = self.model.payments
            payments = [*(every[key] for key in self.near if key in every), *self.planned]
            payments = payments if self._aim is None else [self._aim]
        now = self.model.now if step.aim == "apt" else None
        found = [(payment, who) for payment in payments for who in actors(verb, payment, now)]
        if not found:
            return None, self._who(step)
        return found[-1 - (step.pick * 5 + step.who) % len(found)]

    def misname(self, step: Step) -> Order:
        """Act on an id that is something else: a text, a refund, a deposit, a refusal, a quote."""
        used = [key for key in (*self.model.past, *self.model.quotes) if key not in self.model.payments]
        verb = ACTING[step.place % len(ACTING)]
        order = _COMPOSE[verb](self, replace(step, verb=verb, aim="any"))
        if not used or order.verb != verb or "ref" not in order.content:
            return order
        back = step.pick * 23 + step.other if step.amount % 2 else step.pick
        return replace(order, content={**order.content, "ref": used[-1 - back % len(used)]}, verb="misname")

    def answer(self, step: Step) -> Order:
        payment, who = self._target(step, "answer")
        if payment is None or payment.kind not in {"request", "split"}:
            return self._make(step)
        part = payment.part(who)
        minor = payment.amount if part is None else part.amount
        currency = payment.currency
        payee = payment.payee
        if step.twist == "odd":
            minor, currency = (minor + 1, currency) if step.pick % 2 else (minor, "JPY")
            if currency == "JPY" and payment.currency != "JPY":
                minor = 1
        if step.twist == "oneself":
            payee, who = (self._other(step, payee), who) if step.pick % 2 else (payee, payee)
        body: dict[str, Any] = {"amount": show(minor, currency), "currency": currency}
        conv = self._conv_of(step, payment, who)
        if payment.room.kind == "group" or step.twist in {"by_id", "oneself", "elsewhere"}:
            body["payee"] = IDS[payee] if step.twist == "by_id" else f"@{payee}"
        if step.twist == "late":
            body["accept"] = True
        if step.twist == "short":
            for name in (("amount", "currency", "payee"), ("amount",), ("currency",), ("payee",))[
                step.pick % 4
            ]:
                body.pop(name, None)
        return self._frame(step, who, "pay.send", conv, body, payment.id)

    def claim(self, step: Step) -> Order:
        return self._acting(step, "pay.claim")

    def accept(self, step: Step) -> Order:
        return self._acting(step, "pay.accept")

    def decline(self, step: Step) -> Order:
        return self._acting(step, "pay.decline", **({"reason": "no"} if step.twist == "note" else {}))

    def cancel(self, step: Step) -> Order:
        return self._acting(step, "pay.cancel")

    def remind(self, step: Step) -> Order:
        return self._acting(step, "pay.remind")

    def refund(self, step: Step) -> Order:
        order = self._acting(step, "pay.refund")
        payment = self._find(order)
        if order.verb != "refund" or payment is None or payment.kind != "send":
            return order
        currency, left = payment.received_currency, payment.received - payment.refunded
        body = order.content["body"]
        if step.twist == "bad_amount":
            body["amount"] = BAD_AMOUNTS[step.amount % len(BAD_AMOUNTS)]
        elif step.twist == "too_much" or step.place == 9:
            body["amount"] = show(left + 1, currency)
        elif step.place % 2:
            body["amount"] = show(max(1, left // (1 + step.other)), currency)
        return order

    def waive(self, step: Step) -> Order:
        order = self._acting(step, "pay.waive", user="")
        if order.verb != "waive":
            return order
        payment = self._find(order)
        bearers = [] if payment is None else [part.person for part in payment.parts if part.person]
        still = [part.person for part in payment.open_parts() if part.person] if payment else []
        chosen = (still if step.aim == "apt" and still else bearers) or list(PEOPLE)
        user = PEOPLE[step.other] if step.twist == "odd" else chosen[step.other % len(chosen)]
        order.content["body"]["user"] = self._named(step, user)
        return order

    def _find(self, order: Order) -> Payment | None:
        ref = order.content.get("ref", "")
        planned = next((payment for payment in self.planned if payment.id == ref), None)
        return self.model.payments.get(ref, planned)

    # --- what the operator does -------------------------------------------------------------------------

    def withdraw(self, step: Step) -> Order:
        """Out of somebody's balance, and now and then more than there is."""
        order = self.deposit(
            replace(step, twist=step.twist if step.twist in {"bad_amount", "unknown"} else "")
        )
        minor = self._minor(step, self._who(step))
        amount = order.content["amount"] if step.twist == "bad_amount" else show(minor, step.currency)
        force = step.pick % 3 == 0
        return self._taken_back(
            step, {**order.content, "kind": "pay.withdraw", "amount": amount, "force": force}
        )

    def reverse(self, step: Step) -> Order:
        """All that is left of a payment goes back to who paid it."""
        payment, _ = self._target(step, "refund")
        named = event_id(9_999_999) if payment is None or step.twist == "unknown" else payment.id
        content = {"kind": "pay.reverse", "id": self.key(), "payment": named, "note": None}
        return self._taken_back(step, {**content, "force": step.pick % 2 == 0})

    def _taken_back(self, step: Step, content: dict[str, Any]) -> Order:
        return Order(OPERATOR, {**content, "reason": f"mistake {step.pick % 2}"}, step.verb)

    def expire(self, step: Step) -> Order:
        """The server's own order for one payment, due or not."""
        due = self.model.due()
        names = due if due and step.aim == "apt" else list(self.model.payments) or [event_id(1)]
        waiting = [p for p in self.model.payments.values() if p.state in WAITING and p.id not in due]
        if waiting and step.aim != "any" and not due:
            return self.expiry(min(waiting, key=lambda p: p.expires_at).id)
        return self.expiry(names[-1 - step.pick % len(names)])

    def expiry(self, payment: str) -> Order:
        """The order that ends a payment's time."""
        content = {"kind": "pay.expire", "id": self.key(), "payment": payment}
        return Order(OPERATOR, content, "expire")

    def flags(self, step: Step) -> Order:
        model, who = self.model, self._who(step)
        currency = step.currency if step.place % 3 else None
        given, taken = FLAGS[step.amount % len(FLAGS)], 0
        barred = self._barred()
        if len(barred) > 2 or (barred and step.pick % 2):
            who, one = barred[step.amount % len(barred)]
            currency = None if model.user_flags[who] else one
            given, taken = 0, 7 if step.other else FLAGS[step.amount % len(FLAGS)]
        elif given == CLOSED and step.aim == "apt":
            empty = [(p, c) for p in PEOPLE for c in ENABLED if not any(model.accounts[p, c, "customer"])]
            who, currency = empty[step.pick % len(empty)] if empty else (who, currency)
        elif given == CLOSED:
            coming = [key[:2] for key, (d, c, h, more) in model.accounts.items() if more and d == c and not h]
            who, currency = coming[-1] if coming else (who, currency)
        if step.twist == "unknown":
            who = "nobody"
        content = {"kind": "user.flags", "handle": who, "currency": currency, "set": given, "clear": taken}
        return Order(OPERATOR, content, step.verb)

    def tier(self, step: Step) -> Order:
        if self.model.disabled and step.pick % 4:
            return self.disable(replace(step, verb="disable"))
        tiers = ("basic", "tight", "vip", "tight", "loose")
        who = "nobody" if step.twist == "unknown" else self._who(step)
        content = {"kind": "user.tier", "handle": who, "tier": tiers[step.amount % len(tiers)]}
        return Order(OPERATOR, content, step.verb)

    def disable(self, step: Step) -> Order:
        """Shut somebody out, or let in who is."""
        out = sorted(self.model.disabled)
        who, disabled = (out[0], False) if out else (self._who(step), True)
        return Order(OPERATOR, {"kind": "user.disable", "handle": who, "disabled": disabled}, step.verb)

    def room(self, step: Step) -> Order:
        groups = self.model.groups()
        room = groups[step.place % len(groups)]
        owner = next(who for who, role in room.roles.items() if role == "owner")
        others = [who for who in PEOPLE if who != owner]
        other = others[step.other % len(others)]
        if other not in room.roles:
            return self._frame(step, owner, "room.invite", room.id, {"users": [f"@{other}"]})
        if step.pick % 3 == 0:
            return self._frame(step, owner, "room.remove", room.id, {"user": f"@{other}"})
        role = "reader" if room.roles[other] == "member" else "member"
        return self._frame(step, owner, "room.role", room.id, {"user": f"@{other}", "role": role})

    # --- ids that were used -----------------------------------------------------------------------------

    def _earlier(self, step: Step) -> Order | None:
        """An order of before, lately or long ago."""
        orders = self.orders
        if not orders:
            return None
        back = step.pick if step.aim == "apt" else step.pick * 37 + step.other
        return orders[-1 - back % len(orders)]

    def retry(self, step: Step) -> Order:
        """The same once more."""
        order = self._earlier(step)
        return self.chat(step) if order is None else replace(order, verb="retry")

    def respell(self, step: Step) -> Order:
        """The same, written otherwise."""
        order = self._earlier(step)
        if order is None or "body" not in order.content:
            return self.retry(step)
        content = {**order.content, "body": dict(order.content["body"])}
        body, conv = content["body"], content["conv"]
        if conv.startswith("@") and conv[1:] in PEOPLE and order.author in PEOPLE:
            room = self.model.pairs.get(frozenset({order.author, conv[1:]}))
            content["conv"] = room.id if room is not None and room.id else conv
        for name in ("payee", "payer", "user"):
            if body.get(name, "").removeprefix("@") in PEOPLE:
                body[name] = IDS[body[name][1:]]
        for name in ("amount", "total"):
            currency = body.get("currency", "JPY")
            if "." in body.get(name, "") and DIGITS.get(currency):
                body[name] = body[name].rstrip("0").removesuffix(".")
        return replace(order, content=content, verb="respell")

    def reuse(self, step: Step) -> Order:
        """Something else under the same id."""
        order = self._earlier(step)
        if order is None:
            return self.chat(step)
        content = dict(order.content)
        if content["kind"] == "pay.expire":
            return replace(order, content={**content, "payment": event_id(1)}, verb="reuse")
        if content["kind"] == "pay.reverse":
            return replace(order, content={**content, "reason": "another"}, verb="reuse")
        if "body" not in content:
            content["currency"] = "KWD" if content.get("currency") != "KWD" else "EUR"
            return replace(order, content=content, verb="reuse")
        body = content["body"] = dict(content["body"])
        other = event_id(step.amount + 1)
        match step.amount % 4:
            case 0 if "amount" in body:
                body["amount"] = "77"
            case 1 if "currency" in body:
                body["currency"] = "KWD" if body["currency"] != "KWD" else "EUR"
            case 2 if "ref" in content:
                content["ref"] = other
            case 3 if content["kind"] in {"pay.accept", "pay.claim", "pay.cancel", "pay.remind"}:
                content |= {"kind": "pay.decline", "ref": content["ref"]}
            case _ if content["kind"] == "chat.text":
                body["text"] = "other"
            case _ if content["kind"] in {"pay.send", "pay.request", "pay.split", "pay.packet"}:
                body["note"] = "another note"
            case _:
                content = {
                    "kind": "chat.text", "id": content["id"], "conv": content["conv"],
                    "body": {"text": "I am not what I was"},
                }  # fmt: skip
        return replace(order, content=content, verb="reuse")

    def recycle(self, step: Step) -> Order:
        """Anything under an id that was anything, of anybody: lately, long ago, or of a payment that may be over."""
        verb = CHOICES["verb"][(step.amount * 8 + step.pick) * 5 % len(CHOICES["verb"])]
        if verb in NO_IDS | OLD_IDS | ON_ITS_OWN or step.place < 4:
            verb = "chat"
        order = _COMPOSE[verb](self, replace(step, verb=verb))
        ids = self._old_ids(step)
        if not ids or "id" not in order.content:
            return order
        back = step.pick * 31 + step.other if step.aim == "any" else step.pick
        content = {**order.content, "id": ids[-1 - back % len(ids)]}
        self._recycled = self.model.payments.get(content["id"])
        return replace(order, content=content, verb="recycle")

    def _old_ids(self, step: Step) -> list[str]:
        model = self.model
        if step.aim == "near" and self.near:
            return list(self.near)
        if step.aim == "any":
            return [*model.quotes, *model.past]
        over = [p.id for p in model.payments.values() if p.refunded or p.state not in {*WAITING, "completed"}]
        return over or list(model.past)

    def steal(self, step: Step) -> Order:
        """Somebody else's id."""
        order = self._earlier(step)
        if order is None or order.author not in PEOPLE:
            return self.retry(step)
        return replace(order, author=self._other(step, order.author), verb="steal")


def actors(verb: str, payment: Payment, now: int | None) -> list[str]:
    """Who may do that with a payment; with `now` only where it can still be done."""
    kind, room = payment.kind, payment.room
    waits = now is None or (payment.state in WAITING and now < payment.expires_at)
    bearers = [p.person for p in payment.parts if now is None or p.state == "open"]
    bearers = [person for person in bearers if person != payment.payee]
    match verb, kind:
        case "accept", "send":
            return [payment.payee] if waits else []
        case "decline", "send":
            return [payment.payee] if waits else []
        case (("decline" | "answer"), "request"):
            return [payment.payer] if waits else []
        case (("decline" | "answer"), "split"):
            return bearers if waits else []
        case "cancel", "send":
            return [payment.payer] if waits else []
        case (("cancel" | "remind"), ("request" | "split")):
            return [payment.payee] if waits else []
        case "waive", "split":
            return [payment.payee] if waits else []
        case "claim", "packet":
            return _claimers(payment, room, now) if waits else []
        case "refund", "send":
            can = now is None or payment.state in {"completed", "partly_refunded"}
            return [payment.payee] if can else []
    return []


def _claimers(payment: Payment, room: Room, now: int | None) -> list[str]:
    here = [who for who in room.roles if room.kind == "group" or who != payment.payer]
    return here if now is None else [who for who in here if payment.part(who) is None]


_MAKERS: Final = {
    "claim": "packet", "accept": "offer", "cancel": "offer", "decline": "offer", "answer": "request",
    "remind": "request", "waive": "split", "refund": "pay",
}  # fmt: skip
_COMPOSE: Final[dict[str, Callable[[Composer, Step], Order]]] = {
    verb: getattr(Composer, verb) for verb in VERBS
}
assert {each.name for each in fields(Step)} == set(CHOICES)
