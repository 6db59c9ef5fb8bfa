"""Requests and split bills, reminders, and shares that are waived."""

from collections.abc import Mapping
from typing import Any

from tests.property.model.amounts import read, show, told_share
from tests.property.model.records import HOUR_MS, IDS, Effect, Part, Payment, Refused, Room, told_note
from tests.property.model.state import State


def _place_to_ask(model: State, who: str, conv: str) -> Room:
    room = model.room_that_is(who, conv)
    if room.roles[who] == "reader":
        raise Refused("forbidden")
    return room


def request(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    body = frame["body"]
    currency = body["currency"]
    minor = read(body["amount"], currency)
    room = _place_to_ask(model, who, frame["conv"])
    peer = room.peer(who)
    if "payer" not in body and peer is None:
        raise Refused("bad_frame")
    payer = model.person(body["payer"]) if "payer" in body else peer
    if payer is None:
        raise Refused("not_found")
    if payer == who:
        raise Refused("same_account")
    if payer not in room.roles:
        raise Refused("not_a_member")
    if payer in model.disabled:
        raise Refused("payee_unavailable")
    waiting = [
        p for p in model.payments.values()
        if (p.kind, p.payee, p.payer, p.state) == ("request", who, payer, "open") and model.now < p.expires_at
    ]  # fmt: skip
    if any((p.amount, p.currency) == (minor, currency) for p in waiting):
        raise Refused("already_requested")
    if len(waiting) >= 5:
        raise Refused("too_many_requests", {"limit": 5, "used": len(waiting)})
    until = model.expires_at(frame)
    payment = Payment(frame["id"], "request", room, payer, who, currency, minor, "open", model.now, until)
    told = {
        "amount": show(minor, currency), "currency": currency, "payer": IDS[payer], "state": "open",
        "expires_at": until, **told_note(body),
    }  # fmt: skip
    return Effect(room, told, made=payment)


def split(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    body = frame["body"]
    currency = body["currency"]
    total = read(body["total"], currency)
    amounts = _shares(model, body, total, currency)
    room = _place_to_ask(model, who, frame["conv"])
    people: list[str] = []
    for share in body["shares"]:
        user = model.person(share["user"])
        if user is None:
            raise Refused("not_found")
        if user not in room.roles:
            raise Refused("not_a_member")
        if user in people:
            raise Refused("bad_frame")
        if user in model.disabled:
            raise Refused("payee_unavailable")
        people.append(user)
    if people == [who]:
        raise Refused("bad_frame")
    until = model.expires_at(frame)
    parts = [
        Part(user, amount, "paid" if user == who else "open")
        for user, amount in zip(people, amounts, strict=True)
    ]
    payment = Payment(
        frame["id"], "split", room, "", who, currency, total, "open", model.now, until, parts=parts
    )
    told = {
        "total": show(total, currency), "currency": currency, "state": "open", "expires_at": until,
        "shares": [told_share(part, currency, part.state) for part in parts], **told_note(body),
    }  # fmt: skip
    return Effect(room, told, made=payment)


def _shares(model: State, body: Mapping[str, Any], total: int, currency: str) -> list[int]:
    given = [share["amount"] for share in body["shares"] if "amount" in share]
    count = len(body["shares"])
    if len(given) not in (0, count):
        raise Refused("split_sum")
    amounts = [read(text, currency) for text in given] or [
        total // count + (n < total % count) for n in range(count)
    ]
    if sum(amounts) != total or min(amounts) < 1:
        raise Refused("split_sum")
    return amounts


def remind(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    payment = model.acted_on(who, frame, "request", "split")
    model.by(who, payment.payee)
    model.still_waits(payment)
    users = [part.person for part in payment.open_parts()] if payment.parts else [payment.payer]
    if model.disabled.issuperset(users):
        raise Refused("payee_unavailable")
    again = payment.reminded_at + HOUR_MS
    if payment.reminded_at and model.now < again:
        raise Refused("too_soon", {"resets_at": again})
    told = {"users": [IDS[user] for user in users], "state": "open"}

    def then() -> None:
        payment.reminded_at = model.now

    return Effect(payment.room, told, then=then, touched=payment)


def waive(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    payment = model.acted_on(who, frame, "split")
    model.by(who, payment.payee)
    user = model.person(frame["body"]["user"])
    part = None if user is None else payment.part(user)
    if user is None or part is None:
        raise Refused("not_found")
    model.still_waits(payment, part)
    state = "settled" if payment.open_parts() == [part] else "open"
    told = {"user": IDS[user], "state": state, "share": told_share(part, payment.currency, "waived")}
    return Effect(payment.room, told, then=lambda: model.settle(payment, part, "waived"), touched=payment)
