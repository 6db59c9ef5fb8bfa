"""Red packets and their claims."""

from collections.abc import Mapping
from typing import Any

from tests.property.model.amounts import read, show
from tests.property.model.records import IDS, OPERATOR, Effect, Move, Part, Payment, Refused, told_note
from tests.property.model.state import State


def packet(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    body = frame["body"]
    currency, count, mode = body["currency"], body["count"], body["mode"]
    total = read(body["total"], currency)
    if total < count:
        raise Refused("split_sum")
    room = model.writable(who, frame["conv"])
    if room.kind == "self":
        raise Refused("forbidden")
    if room.kind == "dm" and count > 1:
        raise Refused("bad_frame")
    fee, _ = model.fee("packet", currency, who, total)
    model.may_spend(who, currency)
    if room.kind == "dm" and room.peer(who) in model.disabled:
        raise Refused("payee_unavailable")
    model.within(who, currency, total)
    model.covered(who, currency, total + fee)
    equal = [total // count + (n < total % count) for n in range(count)]
    amounts = equal if model.drawn is None or mode == "equal" else list(model.drawn)
    assert len(amounts) == count
    assert sum(amounts) == total
    assert min(amounts) >= 1
    until = model.expires_at(frame)
    payment = Payment(
        frame["id"], "packet", room, who, "", currency, total, "open", model.now, until, fee,
        parts=[Part("", amount, "open") for amount in amounts], mode=mode,
    )  # fmt: skip
    told = {
        "total": show(total, currency), "currency": currency, "count": count, "mode": mode,
        "state": "open", "expires_at": until, **told_note(body),
    }  # fmt: skip
    payer = (who, currency, "customer")
    moves = [Move(payer, (OPERATOR, currency, "packets"), amount, "pending") for amount in amounts]
    if fee:
        told["fee"] = show(fee, currency)
        moves.append(Move(payer, (OPERATOR, currency, "fees"), fee))
    return Effect(room, told, moves, lambda: model.count(payment.id, who, currency, total), made=payment)


def claim(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    payment = model.acted_on(who, frame, "packet")
    room, currency = payment.room, payment.currency
    if (room.kind == "dm" and who == payment.payer) or room.roles[who] == "reader":
        raise Refused("forbidden")
    model.may_get(who, currency)
    model.other_spends(payment.payer, currency)
    had = payment.part(who)
    if payment.state == "expired":
        model.still_waits(payment)
    if had is not None and (payment.state != "open" or model.now < payment.expires_at):
        state = {"amount": show(had.amount, currency), "currency": currency}
        raise Refused("already_claimed", state | {"share": payment.parts.index(had) + 1})
    model.still_waits(payment)
    part = payment.parts[payment.claimed]
    equal, left = payment.mode == "equal", payment.parts[payment.claimed :]
    most = part.amount if equal else sum(each.amount for each in left) - (len(left) - 1)
    model.room_for(who, currency, most, own=True)
    state_after = "open" if payment.claimed + 1 < len(payment.parts) else "emptied"
    told = {
        "amount": show(part.amount, currency), "currency": currency, "payee": IDS[who],
        "share": payment.claimed + 1, "count": len(payment.parts), "state": state_after,
    }  # fmt: skip
    kept = (OPERATOR, currency, "packets")
    moves = [
        Move((payment.payer, currency, "customer"), kept, part.amount, "post"),
        Move(kept, (who, currency, "customer"), part.amount),
    ]

    def then() -> None:
        part.person, part.state = who, "claimed"
        payment.claimed += 1
        payment.state = state_after

    return Effect(room, told, moves, then, touched=payment)
