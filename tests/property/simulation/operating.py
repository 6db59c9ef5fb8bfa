"""Orders of the operator and of the server's own clock; groups."""

from dataclasses import replace
from typing import Any

from tests.contract.stores import event_id
from tests.property.model.amounts import show
from tests.property.model.records import CLOSED, ENABLED, OPERATOR, PEOPLE, WAITING, Order
from tests.property.simulation import new
from tests.property.simulation.orders import OrderGenerator
from tests.property.simulation.step import FLAGS, Step

GROUPS_MIN, GROUPS_MAX = 2, 5


def withdraw(orders: OrderGenerator, step: Step) -> Order:
    """Out of somebody's balance, and now and then more than there is."""
    order = new.deposit(
        orders, replace(step, twist=step.twist if step.twist in {"bad_amount", "unknown"} else "")
    )
    minor = orders.minor(step, orders.who(step))
    amount = order.content["amount"] if step.twist == "bad_amount" else show(minor, step.currency)
    force = step.pick % 3 == 0
    return _taken_back(
        orders, step, {**order.content, "kind": "pay.withdraw", "amount": amount, "force": force}
    )


def reverse(orders: OrderGenerator, step: Step) -> Order:
    """All that is left of a payment goes back to who paid it."""
    payment, _ = orders.target(step, "refund")
    named = event_id(9_999_999) if payment is None or step.twist == "unknown" else payment.id
    content = {"kind": "pay.reverse", "id": orders.key(), "payment": named, "note": None}
    return _taken_back(orders, step, {**content, "force": step.pick % 2 == 0})


def _taken_back(orders: OrderGenerator, step: Step, content: dict[str, Any]) -> Order:
    return Order(OPERATOR, {**content, "reason": f"mistake {step.pick % 2}"}, step.verb)


def expire(orders: OrderGenerator, step: Step) -> Order:
    """The server's own order for one payment, due or not."""
    due = orders.model.due()
    names = due if due and step.aim == "apt" else list(orders.model.payments) or [event_id(1)]
    waiting = [p for p in orders.model.payments.values() if p.state in WAITING and p.id not in due]
    if waiting and step.aim != "any" and not due:
        return orders.expiry(min(waiting, key=lambda p: p.expires_at).id)
    return orders.expiry(names[-1 - step.pick % len(names)])


def flags(orders: OrderGenerator, step: Step) -> Order:
    model, who = orders.model, orders.who(step)
    currency = step.currency if step.place % 3 else None
    given, taken = FLAGS[step.amount % len(FLAGS)], 0
    barred = orders.barred()
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


def tier(orders: OrderGenerator, step: Step) -> Order:
    if orders.model.disabled and step.pick % 4:
        return disable(orders, replace(step, verb="disable"))
    tiers = ("basic", "tight", "vip", "tight", "loose")
    who = "nobody" if step.twist == "unknown" else orders.who(step)
    content = {"kind": "user.tier", "handle": who, "tier": tiers[step.amount % len(tiers)]}
    return Order(OPERATOR, content, step.verb)


def disable(orders: OrderGenerator, step: Step) -> Order:
    """Shut somebody out, or let in who is."""
    out = sorted(orders.model.disabled)
    who, disabled = (out[0], False) if out else (orders.who(step), True)
    return Order(OPERATOR, {"kind": "user.disable", "handle": who, "disabled": disabled}, step.verb)


def room(orders: OrderGenerator, step: Step) -> Order:
    """A new group, or another membership in one that is there; its owner's act, where the step is apt."""
    groups = [room for room in orders.model.groups() if len(room.roles) > 1]
    if len(groups) < GROUPS_MIN or (step.amount == 4 and len(groups) < GROUPS_MAX):
        others = [orders.named(step, each) for each in (*PEOPLE, PEOPLE[0])[step.pick % 3 : step.pick + 1]]
        content = {"kind": "room.create", "id": orders.key(), "body": {"title": "Club", "members": others}}
        return Order(orders.who(step), content, step.verb)
    room = groups[step.place % len(groups)]
    owners = [who for who, role in room.roles.items() if role == "owner"]
    who = orders.who(step) if step.aim == "any" else owners[step.who % len(owners)]
    other = who if step.twist == "oneself" else orders.other(step, who)
    conv = f"@{other}" if step.twist == "nowhere" else room.id
    if step.amount in {3, 11}:
        return orders.frame(step, (who, other)[step.pick % 2], "room.leave", conv, {})
    if (other not in room.roles) != (step.twist in {"elsewhere", "odd"}):
        return orders.frame(step, who, "room.invite", conv, {"users": [orders.named(step, other)]})
    if step.amount % 3 == 0:
        return orders.frame(step, who, "room.remove", conv, {"user": orders.named(step, other)})
    role = {1: "owner", 2: "admin"}.get(step.amount % 8, "member" if step.amount % 2 else "reader")
    return orders.frame(step, who, "room.role", conv, {"user": orders.named(step, other), "role": role})
