"""Orders for something new: money that comes in, payments, offers, requests, splits, packets."""

from collections import Counter
from dataclasses import replace
from typing import Any

from tests.contract.stores import event_id
from tests.property.model.amounts import show
from tests.property.model.records import ENABLED, OPERATOR, PEOPLE, Order
from tests.property.simulation.orders import OrderGenerator
from tests.property.simulation.step import BAD_AMOUNTS, MINORS, RATES, Step


def deposit(orders: OrderGenerator, step: Step) -> Order:
    minor = 10 * MINORS[step.amount] + 5_000
    content: dict[str, Any] = {
        "kind": "pay.deposit", "id": orders.key(), "handle": orders.who(step),
        "amount": show(minor, step.currency), "currency": orders.currency(step), "note": None,
    }  # fmt: skip
    if step.twist == "bad_amount":
        content["amount"] = BAD_AMOUNTS[step.amount % len(BAD_AMOUNTS)]
    if step.twist == "unknown":
        content["handle"] = "nobody"
    if step.twist == "note":
        content["note"] = "cash"
    return Order(OPERATOR, content, step.verb)


def faucet(orders: OrderGenerator, step: Step) -> Order:
    who = orders.who(step)
    minor = MINORS[step.amount] * (1 if step.twist != "too_much" else 1_000)
    amount = orders.amount(step) if step.twist == "bad_amount" else show(minor, step.currency)
    conv = f"@{orders.other(step)}" if step.twist in {"elsewhere", "nowhere"} else "self"
    body = {"amount": amount, "currency": orders.currency(step)}
    ref = event_id(1) if step.twist == "odd" else None
    return orders.frame(step, who, "pay.faucet", conv, body, ref)


def chat(orders: OrderGenerator, step: Step) -> Order:
    who = orders.who(step)
    return orders.frame(step, who, "chat.text", orders.places(step, who), {"text": f"hello {step.pick}"})


def pay(orders: OrderGenerator, step: Step) -> Order:
    who = orders.who(step)
    conv = orders.places(step, who)
    body: dict[str, Any] = {"amount": orders.amount(step), "currency": orders.currency(step)}
    _to_whom(orders, step, who, conv, body, "payee")
    if step.twist == "late":
        body["not_after"] = orders.model.now + step.pick % 3 - 1
    if step.twist == "odd" and step.pick % 2:
        body["expires_s"] = 60
    ref = None
    if step.twist == "odd" and not step.pick % 2:
        ref = event_id(max(1, orders.keys - step.pick))
    return orders.frame(step, who, "pay.send", conv, body, ref)


def _to_whom(
    orders: OrderGenerator, step: Step, who: str, conv: str, body: dict[str, Any], name: str
) -> None:
    """Name the payee or payer where one is needed, and now and then where not."""
    group = orders.model.rooms.get(conv)
    if step.twist == "oneself":
        body[name] = orders.named(step, who)
    elif step.twist in {"unknown", "by_id"} or (group is not None and step.twist != "odd"):
        members = [] if group is None else [other for other in group.roles if other != who]
        inside = members and step.twist != "elsewhere"
        other = members[step.other % len(members)] if inside else orders.other(step, who)
        body[name] = orders.named(step, other)
    elif step.twist == "elsewhere":
        body[name] = f"@{PEOPLE[(step.who + 2 + step.other) % 5]}"


def offer(orders: OrderGenerator, step: Step) -> Order:
    order = pay(orders, replace(step, twist="") if step.twist in {"late", "odd"} else step)
    body = order.content["body"]
    body["accept"] = True
    if step.twist == "short":
        body["expires_s"] = (1, 60, 3_600)[step.pick % 3]
    if step.twist == "odd":
        body["quote"] = event_id(1)
    return order


def quote(orders: OrderGenerator, step: Step) -> Order:
    """The order for a promised rate that goes before an exchange."""
    buy = ENABLED[(ENABLED.index(step.currency) + 1 + step.place % 2) % 3]
    numerator, denominator = RATES[step.other % len(RATES)]
    content: dict[str, Any] = {
        "kind": "quote", "quote": orders.key(), "owner": orders.who(step), "sell": step.currency, "buy": buy,
        "amount": orders.amount(step), "side": ("sell", "sell", "buy")[step.place % 3],
        "numerator": numerator, "denominator": denominator,
    }  # fmt: skip
    if step.twist == "currency":
        content["buy"] = "CHF"
    if step.place >= 10:
        content |= {"numerator": 0, "missing": "The rates are too old." if step.pick % 2 else None}
    return Order(OPERATOR, content, "quote")


def exchange(orders: OrderGenerator, step: Step) -> Order:
    """Pay by the latest quote, or by one of long ago."""
    model = orders.model
    names = list(model.quotes)
    latest = names[-1] if step.aim == "apt" or not names else names[-1 - step.pick % len(names)]
    quote = model.quotes[latest]
    who = quote["owner"] if step.aim != "any" else orders.who(step)
    conv = orders.places(step, who)
    body: dict[str, Any] = {
        "amount": show(quote["sold"], quote["sell"]), "currency": quote["sell"], "quote": latest,
    }  # fmt: skip
    _to_whom(orders, step, who, conv, body, "payee")
    if step.twist == "odd":
        body["amount"] = show(quote["sold"] + 1, quote["sell"])
    if step.twist == "unknown":
        body |= {"quote": event_id(1), "payee": f"@{orders.other(step, who)}"}
    if step.twist == "late":
        body["accept"] = True
    return orders.frame(step, who, "pay.send", conv, body)


def request(orders: OrderGenerator, step: Step) -> Order:
    who = orders.who(step)
    conv = orders.places(step, who)
    body: dict[str, Any] = {"amount": orders.amount(step), "currency": orders.currency(step)}
    _to_whom(orders, step, who, conv, body, "payer")
    if step.aim != "apt":
        return _request_more(orders, step) or orders.frame(step, who, "pay.request", conv, body)
    return orders.frame(step, who, "pay.request", conv, body)


def _request_more(orders: OrderGenerator, step: Step) -> Order | None:
    """Another request where there are most, or once more what is asked for already."""
    asked = [p for p in orders.model.payments.values() if (p.kind, p.state) == ("request", "open")]
    if not asked:
        return None
    pairs = Counter((p.payee, p.payer) for p in asked)
    (who, payer), _ = pairs.most_common(1)[0]
    latest = next(p for p in reversed(asked) if (p.payee, p.payer) == (who, payer))
    body = {"amount": orders.amount(replace(step, twist="")), "currency": step.currency}
    if step.pick == 0:
        body = {"amount": show(latest.amount, latest.currency), "currency": latest.currency}
    body["payer"] = f"@{payer}"
    return orders.frame(step, who, "pay.request", orders.conv_of(step, latest, who), body)


def split(orders: OrderGenerator, step: Step) -> Order:
    who = orders.who(step)
    conv = orders.places(step, who)
    room = orders.model.rooms.get(conv)
    people = list(room.roles) if room is not None else [who, orders.other(step, who)]
    start = step.pick % len(people)
    people = (people[start:] + people[:start])[: 1 + (step.other + step.pick) % 4]
    minor = orders.minor(step, who)
    total, shares = minor, [{"user": orders.named(step, person)} for person in people]
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
    amount = orders.amount(step) if step.twist == "bad_amount" else show(total, step.currency)
    body: dict[str, Any] = {"total": amount, "currency": orders.currency(step), "shares": shares}
    if step.twist == "elsewhere":
        outside = [p for p in PEOPLE if room is not None and p not in room.roles] or [orders.other(step)]
        shares[-1]["user"] = f"@{outside[0]}"
    return orders.frame(step, who, "pay.split", conv, body)


def packet(orders: OrderGenerator, step: Step) -> Order:
    who = orders.who(step)
    place = step.place if step.twist == "odd" or step.place == 11 else 6 + step.place % 5
    conv = orders.places(replace(step, place=place if step.pick else step.place % 6), who)
    minor = max(orders.minor(step, who), 1 if step.twist == "odd" else 5)
    body: dict[str, Any] = {
        "total": orders.amount(step) if step.twist == "bad_amount" else show(minor, step.currency),
        "currency": orders.currency(step),
        "count": 1 + step.other if conv.startswith("c_") or step.twist == "odd" else 1,
        "mode": ("lucky", "equal")[step.who % 2],
    }
    return orders.frame(step, who, "pay.packet", conv, body)
