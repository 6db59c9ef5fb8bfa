"""Payments at once, offers, exchanges by a quote, and answers to requests."""

from collections.abc import Mapping
from typing import Any

from tests.property.model.amounts import read, show, told_share
from tests.property.model.records import IDS, OPERATOR, Effect, Move, Payment, Refused, Room
from tests.property.model.state import State


def send(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    body, accept = frame["body"], "accept" in frame["body"]
    if ("expires_s" in body and not accept) or (accept and "quote" in body):
        raise Refused("bad_frame")
    body = _completed(model, who, frame)
    frame, currency = {**frame, "body": body}, body["currency"]
    minor = read(body["amount"], currency)
    room = model.writable(who, frame["conv"])
    payee = _payee(model, who, room, body)
    asked = _asked(model, who, frame, room, payee, minor)
    quote = _quoted(model, who, body, minor)
    fee, fee_on, received, arrives_in = _comes_to(model, who, currency, minor, quote)
    model.may_spend(who, currency)
    model.other_gets(payee, arrives_in)
    if quote is None and payee == who:
        raise Refused("same_account")
    _in_time(model, body, quote)
    if asked is not None:
        model.still_waits(asked, asked.part(who))
    model.within(who, currency, minor)
    model.covered(who, currency, minor + (fee if fee_on == "payer" else 0))
    if not accept:
        model.room_for(payee, arrives_in, received, own=payee == who)
    state, until = ("pending", model.expires_at(frame)) if accept else ("completed", 0)
    payment = Payment(
        frame["id"], "send", room, who, payee, currency, minor, state, model.now, until, fee, fee_on,
        received, arrives_in,
    )  # fmt: skip
    told = _told(model, body, payment, quote, asked)
    phase = "pending" if accept else "single"
    moves = _paid_by_quote(model, payment, quote) if quote else paid(model, payment, phase)

    def then() -> None:
        model.count(payment.id, who, currency, minor)
        if quote is not None:
            quote["used"] = True
        if asked is not None:
            model.settle(asked, asked.part(who), "paid")

    return Effect(room, told, moves, then, payment, asked)


def _in_time(model: State, body: Mapping[str, Any], quote: dict[str, Any] | None) -> None:
    if model.now > body.get("not_after", model.now):
        raise Refused("expired")
    if quote is not None and quote["used"]:
        raise Refused("quote_used")
    if quote is not None and model.now >= quote["expires_at"]:
        raise Refused("quote_expired")


def _completed(model: State, who: str, frame: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what the frame leaves to its ref, where that asks for money in the same place."""
    body, asked = frame["body"], model.payments.get(frame.get("ref", ""))
    whole = "amount" in body and "currency" in body
    if asked is None or asked.kind not in {"request", "split"}:
        if not whole:
            raise Refused("bad_frame")
        return body
    if model.conv(who, frame["conv"]) != asked.room.id:
        if not whole:
            raise Refused("not_found")
        return body
    if "amount" not in body and body.get("currency", asked.currency) != asked.currency:
        raise Refused("bad_frame")
    part = asked.part(who)
    amount = show(asked.amount if part is None else part.amount, asked.currency)
    return {"amount": amount, "currency": asked.currency, "payee": f"@{asked.payee}", **body}


def _payee(model: State, who: str, room: Room, body: Mapping[str, Any]) -> str:
    peer = room.peer(who)
    if "payee" not in body and peer is None:
        raise Refused("bad_frame")
    payee = model.person(body["payee"]) if "payee" in body else peer
    if payee is None:
        raise Refused("not_found")
    if payee not in room.roles:
        raise Refused("not_a_member")
    return payee


def _asked(
    model: State, who: str, frame: Mapping[str, Any], room: Room, payee: str, minor: int
) -> Payment | None:
    asked = model.payments.get(frame.get("ref", ""))
    if asked is None or asked.kind not in {"request", "split"}:
        return None
    if asked.room is not room:
        raise Refused("not_found")
    if "accept" in frame["body"] or "quote" in frame["body"]:
        raise Refused("bad_frame")
    part = asked.part(who)
    if asked.payee == who or (part is None if asked.kind == "split" else asked.payer != who):
        raise Refused("forbidden")
    wanted = (asked.payee, asked.currency, asked.amount if part is None else part.amount)
    if (payee, frame["body"]["currency"], minor) != wanted:
        raise Refused("bad_frame")
    return asked


def _quoted(model: State, who: str, body: Mapping[str, Any], minor: int) -> dict[str, Any] | None:
    if "quote" not in body:
        return None
    quote = model.quotes.get(body["quote"])
    if quote is None or quote["owner"] != who:
        raise Refused("not_found")
    if (quote["sell"], quote["sold"]) != (body["currency"], minor):
        raise Refused("bad_frame")
    return quote


def _comes_to(
    model: State, who: str, currency: str, minor: int, quote: dict[str, Any] | None
) -> tuple[int, str, int, str]:
    """The fee, who bears it, and what arrives."""
    if quote is not None:
        return quote["fee"], "payer", quote["bought"], quote["buy"]
    fee, on = model.fee("send", currency, who, minor)
    if on == "payer":
        return fee, on, minor, currency
    fee = min(fee, minor - 1)
    return fee, on, minor - fee, currency


def _told(
    model: State,
    body: Mapping[str, Any],
    payment: Payment,
    quote: dict[str, Any] | None,
    asked: Payment | None,
) -> dict[str, Any]:
    currency = payment.currency
    told: dict[str, Any] = {
        "amount": show(payment.amount, currency), "currency": currency, "payee": IDS[payment.payee],
        "state": payment.state,
    }  # fmt: skip
    told |= {name: body[name] for name in ("note", "not_after", "accept", "quote") if name in body}
    if payment.expires_at:
        told["expires_at"] = payment.expires_at
    if payment.fee:
        told |= {"fee": show(payment.fee, currency), "fee_on": payment.fee_on}
    if quote is not None:
        bought = {"amount": show(quote["bought"], quote["buy"]), "currency": quote["buy"]}
        told |= {"rate": quote["rate"], "margin": show(quote["margin"], currency), "received": bought}
    if asked is not None and asked.kind == "request":
        told["settles"] = {"state": "paid"}
    elif asked is not None:
        part = asked.part(payment.payer)
        assert part is not None
        state = "settled" if asked.open_parts() == [part] else "open"
        told["settles"] = {"state": state, "share": told_share(part, asked.currency, "paid")}
    return told


def paid(model: State, payment: Payment, phase: str = "single") -> list[Move]:
    """What reaches the payee, and the fee; the payer gives both, whoever bears it."""
    currency = payment.currency
    payer = (payment.payer, currency, "customer")
    moves = [Move(payer, (payment.payee, currency, "customer"), payment.received, phase)]
    if payment.fee:
        moves.append(Move(payer, (OPERATOR, currency, "fees"), payment.fee, phase))
    return moves


def _paid_by_quote(model: State, payment: Payment, quote: dict[str, Any]) -> list[Move]:
    sell, buy = quote["sell"], quote["buy"]
    payer, pool = (payment.payer, sell, "customer"), (OPERATOR, sell, "fx")
    moves = [
        Move(payer, pool, payment.amount),
        Move((OPERATOR, buy, "fx"), (payment.payee, buy, "customer"), quote["bought"]),
        Move(pool, (OPERATOR, sell, "margin"), quote["margin"]),
        Move(payer, (OPERATOR, sell, "fees"), payment.fee),
    ]
    return [move for move in moves if move.amount]
