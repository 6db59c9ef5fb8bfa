"""Promised rates."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tests.property.model.amounts import exchange, read
from tests.property.model.records import ENABLED, QUOTE_MS, Refused, Verdict
from tests.property.model.state import State


def quote(model: State, _: str, command: Mapping[str, Any]) -> Verdict:
    sell, buy, who = command["sell"], command["buy"], command["owner"]
    if sell == buy:
        raise Refused("bad_frame")
    minor = read(command["amount"], sell if command["side"] == "sell" else buy)
    if sell not in ENABLED or buy not in ENABLED:
        raise Refused("unknown_currency")
    if who in model.disabled:
        raise Refused("account_disabled")
    if not command["numerator"]:
        raise Refused("rate_unavailable" if command.get("missing") else "not_found")
    rate = Fraction(command["numerator"], command["denominator"])
    sold, bought, margin = exchange(minor, command["side"], sell, buy, rate, model.terms.spread_ppm)
    fee, _ = model.fee("exchange", sell, who, sold)
    quote = {
        "owner": who, "sell": sell, "buy": buy, "sold": sold, "bought": bought, "margin": margin,
        "fee": fee, "expires_at": model.now + QUOTE_MS, "used": False, "rate": "", "true_rate": rate,
    }  # fmt: skip
    return Verdict("quoted", state=quote, done=lambda: model.quotes.__setitem__(command["quote"], quote))
