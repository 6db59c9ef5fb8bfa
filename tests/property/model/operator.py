"""What the operator does with money, accounts and people; the faucet."""

from collections.abc import Mapping
from typing import Any

from tests.property.model.amounts import read, show
from tests.property.model.records import (
    CLOSED,
    DIGITS,
    ENABLED,
    ENDS,
    FROZEN_IN,
    IDS,
    OPERATOR,
    PEOPLE,
    SERVER,
    Effect,
    Key,
    Move,
    Refused,
    Verdict,
)
from tests.property.model.state import State


def deposit(model: State, _: str, command: Mapping[str, Any]) -> Effect:
    currency = command["currency"]
    minor = read(command["amount"], currency)
    who = command["handle"]
    if who not in PEOPLE:
        raise Refused("not_found")
    if model.flags(who, currency) & (FROZEN_IN | CLOSED):
        raise Refused("payee_unavailable")
    effect = _credit(model, who, minor, currency)
    effect.author = SERVER
    if command["note"] is not None and effect.body is not None:
        effect.body["note"] = command["note"]
    return effect


def faucet(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    currency = frame["body"]["currency"]
    minor = read(frame["body"]["amount"], currency)
    if minor > 1_000 * 10 ** DIGITS[currency]:
        raise Refused("amount_range")
    if model.terms.mode != "sandbox":
        raise Refused("forbidden")
    if model.place(who, frame["conv"]).kind != "self":
        raise Refused("forbidden")
    model.may_get(who, currency)
    return _credit(model, who, minor, currency)


def _credit(model: State, who: str, minor: int, currency: str) -> Effect:
    model.room_for(who, currency, minor)
    move = Move((OPERATOR, currency, "cash"), (who, currency, "customer"), minor)
    body = {
        "amount": show(minor, currency), "currency": currency, "payee": IDS[who], "state": "completed",
    }  # fmt: skip
    return Effect(model.pairs[frozenset({who})], body, [move])


def withdraw(model: State, _: str, command: Mapping[str, Any]) -> Effect:
    currency = command["currency"]
    minor = read(command["amount"], currency)
    who = command["handle"]
    if who not in PEOPLE:
        raise Refused("not_found")
    told = {
        "amount": show(minor, currency), "currency": currency, "payer": IDS[who], "state": "completed",
        "reason": command["reason"],
    }  # fmt: skip
    moves = _taken(model, command, who, (OPERATOR, currency, "cash"), minor, told)
    return Effect(model.pairs[frozenset({who})], told, moves, author=SERVER)


def reverse(model: State, _: str, command: Mapping[str, Any]) -> Effect:
    payment = model.payments.get(command["payment"])
    if payment is None or payment.kind != "send":
        raise Refused("not_found")
    if payment.state not in {"completed", "partly_refunded"}:
        raise Refused(ENDS.get(payment.state, "not_pending"), {"state": payment.state})
    if payment.payer == payment.payee:
        raise Refused("same_account")
    currency, minor = payment.received_currency, payment.received - payment.refunded
    if model.flags(payment.payer, currency) & CLOSED:
        raise Refused("account_closed")
    told = {
        "amount": show(minor, currency), "currency": currency, "payer": IDS[payment.payee],
        "payee": IDS[payment.payer], "state": "refunded", "refunded": show(payment.received, currency),
        "reason": command["reason"],
    }  # fmt: skip
    moves = _taken(model, command, payment.payee, (payment.payer, currency, "customer"), minor, told)

    def then() -> None:
        payment.state, payment.refunded = "refunded", payment.received

    return Effect(payment.room, told, moves, then, touched=payment, author=SERVER)


def _taken(
    model: State, command: Mapping[str, Any], who: str, target: Key, minor: int, told: dict[str, Any]
) -> list[Move]:
    """What a person has of it, and by force the rest from the operator."""
    currency = target[1]
    if not command["force"]:
        model.covered(who, currency, minor)
    there = min(minor, model.available(who, currency))
    if there < minor:
        told["shortfall"] = show(minor - there, currency)
    sources = (((who, currency, "customer"), there), ((OPERATOR, currency, "losses"), minor - there))
    return [Move(source, target, part) for source, part in sources if part]


def set_flags(model: State, _: str, command: Mapping[str, Any]) -> Verdict:
    who, currency = command["handle"], command["currency"]
    if who not in PEOPLE:
        raise Refused("not_found")
    if command["set"] & CLOSED:
        for each in ENABLED if currency is None else (currency,):
            debits, credits_, held, coming = model.accounts[who, each, "customer"]
            if credits_ != debits or held or coming:
                raise Refused("not_empty")

    def done() -> None:
        if currency is None:
            model.user_flags[who] = (model.user_flags[who] | command["set"]) & ~command["clear"]
        else:
            had = model.account_flags[who, currency]
            model.account_flags[who, currency] = (had | command["set"]) & ~command["clear"]

    return Verdict("done", done=done)


def set_tier(model: State, _: str, command: Mapping[str, Any]) -> Verdict:
    named = {rule["tier"] for rule in model.terms.fees if rule["tier"] != "*"} | {"basic"}
    if command["handle"] not in PEOPLE or command["tier"] not in named | {t for t, _ in model.terms.limits}:
        raise Refused("not_found")
    return Verdict("done", done=lambda: model.tiers.__setitem__(command["handle"], command["tier"]))


def disable(model: State, _: str, command: Mapping[str, Any]) -> Verdict:
    change = model.disabled.add if command["disabled"] else model.disabled.discard
    return Verdict("done", done=lambda: change(command["handle"]))
