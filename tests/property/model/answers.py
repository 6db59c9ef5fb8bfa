"""What becomes of a payment that waits, by its people and by time; refunds."""

from collections.abc import Mapping
from typing import Any

from tests.property.model.amounts import read, show, told_share, well_formed
from tests.property.model.records import (
    ENDS,
    IDS,
    OPERATOR,
    SERVER,
    WAITING,
    Effect,
    Move,
    Payment,
    Refused,
    Verdict,
)
from tests.property.model.sends import paid
from tests.property.model.state import State


def _holds_end(model: State, payment: Payment, phase: str) -> list[Move]:
    return paid(model, payment, phase) if payment.kind == "send" else []


def accept(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    payment = model.acted_on(who, frame, "send")
    model.by(who, payment.payee)
    currency = payment.currency
    model.may_get(who, currency)
    model.other_spends(payment.payer, currency)
    model.still_waits(payment)
    model.room_for(who, currency, payment.received, own=True)
    moves = _holds_end(model, payment, "post")
    told = {
        "amount": show(payment.amount, currency), "currency": currency, "payee": IDS[who],
        "state": "completed",
    }  # fmt: skip
    if payment.fee:
        told |= {"fee": show(payment.fee, currency), "fee_on": payment.fee_on}
    return Effect(
        payment.room, told, moves, lambda: model.settle(payment, None, "completed"), touched=payment
    )


def decline(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    payment = model.acted_on(who, frame, "send", "request", "split")
    part = payment.part(who)
    if payment.kind == "split":
        if part is None or payment.payee == who:
            raise Refused("forbidden")
    else:
        model.by(who, payment.payee if payment.kind == "send" else payment.payer)
    model.still_waits(payment, part)
    told: dict[str, Any] = {"state": "declined"} | {
        name: frame["body"][name] for name in ("reason",) if name in frame["body"]
    }
    if part is not None:
        told["state"] = "settled" if payment.open_parts() == [part] else "open"
        told["share"] = told_share(part, payment.currency, "declined")

    def then() -> None:
        model.settle(payment, part, "declined")
        if payment.kind == "send":
            model.uncount(payment, payment.amount, whole=True)

    return Effect(payment.room, told, _holds_end(model, payment, "void"), then, touched=payment)


def cancel(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    payment = model.acted_on(who, frame, "send", "request", "split")
    model.by(who, payment.payer if payment.kind == "send" else payment.payee)
    model.still_waits(payment)

    def then() -> None:
        model.end(payment, "cancelled")

    moves = _holds_end(model, payment, "void")
    return Effect(payment.room, {"state": "cancelled"}, moves, then, touched=payment)


def refund(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    if "amount" in frame["body"]:
        well_formed(frame["body"]["amount"])
    payment = model.acted_on(who, frame, "send")
    model.by(who, payment.payee)
    if payment.payer == who:
        raise Refused("same_account")
    currency = payment.received_currency
    left = payment.received - payment.refunded
    minor = read(frame["body"]["amount"], currency) if "amount" in frame["body"] else left
    model.may_spend(who, currency)
    model.other_gets(payment.payer, currency)
    if payment.state not in {"completed", "partly_refunded"}:
        raise Refused(ENDS.get(payment.state, "not_pending"), {"state": payment.state})
    if minor > left:
        state = {"state": payment.state, "refundable": show(left, currency), "currency": currency}
        raise Refused("exceeds_refundable", state)
    model.covered(who, currency, minor)
    refunded = payment.refunded + minor
    state_after = "refunded" if refunded == payment.received else "partly_refunded"
    told = {
        "amount": show(minor, currency), "currency": currency, "payee": IDS[payment.payer],
        "state": state_after, "refunded": show(refunded, currency),
    }  # fmt: skip
    move = Move((who, currency, "customer"), (payment.payer, currency, "customer"), minor)

    def then() -> None:
        payment.state, payment.refunded = state_after, refunded

    return Effect(payment.room, told, [move], then, touched=payment)


def expire(model: State, _: str, command: Mapping[str, Any]) -> Verdict:
    payment = model.payments.get(command["payment"])
    if payment is None or payment.state not in WAITING or model.now < payment.expires_at:
        return Verdict("done")
    moves, rest = _holds_end(model, payment, "expire"), payment.received + payment.fee
    told: dict[str, Any] = {"state": "expired"}
    if payment.kind == "packet":
        left = [part.amount for part in payment.open_parts()]
        payer, kept = (
            (payment.payer, payment.currency, "customer"),
            (OPERATOR, payment.currency, "packets"),
        )
        moves, rest = [Move(payer, kept, amount, "expire") for amount in left], sum(left)
    if moves:
        told["returned"] = {"amount": show(rest, payment.currency), "currency": payment.currency}

    def then() -> None:
        model.end(payment, "expired")

    return Verdict("stored", Effect(payment.room, told, moves, then, touched=payment, author=SERVER))
