"""Orders under an id that was used."""

from dataclasses import replace

from tests.contract.stores import event_id
from tests.property.model.records import DIGITS, IDS, PEOPLE, WAITING, Order
from tests.property.simulation import new
from tests.property.simulation.orders import OrderGenerator
from tests.property.simulation.step import NO_IDS, OLD_IDS, ON_ITS_OWN, Step


def retry(orders: OrderGenerator, step: Step) -> Order:
    """The same once more."""
    order = orders.earlier(step)
    return new.chat(orders, step) if order is None else replace(order, verb="retry")


def respell(orders: OrderGenerator, step: Step) -> Order:
    """The same, written otherwise."""
    order = orders.earlier(step)
    if order is None or "body" not in order.content:
        return retry(orders, step)
    content = {**order.content, "body": dict(order.content["body"])}
    body, conv = content["body"], content.get("conv", "")
    if conv.startswith("@") and conv[1:] in PEOPLE and order.author in PEOPLE:
        room = orders.model.pairs.get(frozenset({order.author, conv[1:]}))
        content["conv"] = room.id if room is not None and room.id else conv
    for name in ("payee", "payer", "user"):
        if body.get(name, "").removeprefix("@") in PEOPLE:
            body[name] = IDS[body[name][1:]]
    if "members" in body:
        body["members"] = [*(IDS.get(named[1:], named) for named in body["members"]), IDS[order.author]]
    for name in ("amount", "total"):
        currency = body.get("currency", "JPY")
        if "." in body.get(name, "") and DIGITS.get(currency):
            body[name] = body[name].rstrip("0").removesuffix(".")
    return replace(order, content=content, verb="respell")


def reuse(orders: OrderGenerator, step: Step) -> Order:
    """Something else under the same id."""
    order = orders.earlier(step)
    if order is None:
        return new.chat(orders, step)
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
                "kind": "chat.text", "id": content["id"], "conv": content.get("conv", "self"),
                "body": {"text": "I am not what I was"},
            }  # fmt: skip
    return replace(order, content=content, verb="reuse")


def recycle(orders: OrderGenerator, step: Step) -> Order:
    """Anything under an id that was anything, of anybody: lately, long ago, or of a payment that may be
    over."""
    verb = orders.often[(step.amount * 8 + step.pick) * 5 % len(orders.often)]
    if verb in NO_IDS | OLD_IDS | ON_ITS_OWN or step.place < 4:
        verb = "chat"
    order = orders.compose(replace(step, verb=verb))
    ids = _old_ids(orders, step)
    if not ids or "id" not in order.content:
        return order
    back = step.pick * 31 + step.other if step.aim == "any" else step.pick
    content = {**order.content, "id": ids[-1 - back % len(ids)]}
    orders.recycled = orders.model.payments.get(content["id"])
    return replace(order, content=content, verb="recycle")


def _old_ids(orders: OrderGenerator, step: Step) -> list[str]:
    model = orders.model
    if step.aim == "near" and orders.near:
        return list(orders.near)
    if step.aim == "any":
        return [*model.quotes, *model.past]
    over = [p.id for p in model.payments.values() if p.refunded or p.state not in {*WAITING, "completed"}]
    return over or list(model.past)


def steal(orders: OrderGenerator, step: Step) -> Order:
    """Somebody else's id."""
    order = orders.earlier(step)
    if order is None or order.author not in PEOPLE:
        return retry(orders, step)
    return replace(order, author=orders.other(step, order.author), verb="steal")
