"""Orders that act on a payment that is there."""

from dataclasses import replace
from typing import Any, Final

from tests.contract.stores import event_id
from tests.property.model.amounts import show
from tests.property.model.records import IDS, PEOPLE, Order
from tests.property.simulation.orders import OrderGenerator
from tests.property.simulation.step import ACTING, BAD_AMOUNTS, Step


def _acting(orders: OrderGenerator, step: Step, kind: str, **body: Any) -> Order:
    payment, who = orders.target(step, step.verb)
    if payment is None:
        return _make(orders, step)
    ref = event_id(9_999_999) if step.twist == "unknown" else payment.id
    return orders.frame(step, who, kind, orders.conv_of(step, payment, who), body, ref)


def _make(orders: OrderGenerator, step: Step) -> Order:
    """Where there is nothing to act on, make something."""
    verb = _MAKERS[step.verb]
    return orders.compose(replace(step, verb=verb))


def misname(orders: OrderGenerator, step: Step) -> Order:
    """Act on an id that is something else: a text, a refund, a deposit, a refusal, a quote."""
    used = [key for key in (*orders.model.past, *orders.model.quotes) if key not in orders.model.payments]
    verb = ACTING[step.place % len(ACTING)]
    order = orders.compose(replace(step, verb=verb, aim="any"))
    if not used or order.verb != verb or "ref" not in order.content:
        return order
    back = step.pick * 23 + step.other if step.amount % 2 else step.pick
    return replace(order, content={**order.content, "ref": used[-1 - back % len(used)]}, verb="misname")


def answer(orders: OrderGenerator, step: Step) -> Order:
    payment, who = orders.target(step, "answer")
    if payment is None or payment.kind not in {"request", "split"}:
        return _make(orders, step)
    part = payment.part(who)
    minor = payment.amount if part is None else part.amount
    currency = payment.currency
    payee = payment.payee
    if step.twist == "odd":
        minor, currency = (minor + 1, currency) if step.pick % 2 else (minor, "JPY")
        if currency == "JPY" and payment.currency != "JPY":
            minor = 1
    if step.twist == "oneself":
        payee, who = (orders.other(step, payee), who) if step.pick % 2 else (payee, payee)
    body: dict[str, Any] = {"amount": show(minor, currency), "currency": currency}
    conv = orders.conv_of(step, payment, who)
    if payment.room.kind == "group" or step.twist in {"by_id", "oneself", "elsewhere"}:
        body["payee"] = IDS[payee] if step.twist == "by_id" else f"@{payee}"
    if step.twist == "late":
        body["accept"] = True
    if step.twist == "short":
        for name in (("amount", "currency", "payee"), ("amount",), ("currency",), ("payee",))[step.pick % 4]:
            body.pop(name, None)
    return orders.frame(step, who, "pay.send", conv, body, payment.id)


def plain(orders: OrderGenerator, step: Step) -> Order:
    return _acting(orders, step, f"pay.{step.verb}")


def decline(orders: OrderGenerator, step: Step) -> Order:
    return _acting(orders, step, "pay.decline", **({"reason": "no"} if step.twist == "note" else {}))


def refund(orders: OrderGenerator, step: Step) -> Order:
    order = _acting(orders, step, "pay.refund")
    payment = orders.find(order)
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


def waive(orders: OrderGenerator, step: Step) -> Order:
    order = _acting(orders, step, "pay.waive", user="")
    if order.verb != "waive":
        return order
    payment = orders.find(order)
    bearers = [] if payment is None else [part.person for part in payment.parts if part.person]
    still = [part.person for part in payment.open_parts() if part.person] if payment else []
    chosen = (still if step.aim == "apt" and still else bearers) or list(PEOPLE)
    user = PEOPLE[step.other] if step.twist == "odd" else chosen[step.other % len(chosen)]
    order.content["body"]["user"] = orders.named(step, user)
    return order


_MAKERS: Final = {
    "claim": "packet", "accept": "offer", "cancel": "offer", "decline": "offer", "answer": "request",
    "remind": "request", "waive": "split", "refund": "pay",
}  # fmt: skip
