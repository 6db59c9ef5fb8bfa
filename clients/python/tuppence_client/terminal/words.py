"""Plain words: what a refusal or the end of a connection means to somebody who only wants to talk and pay."""

from datetime import datetime
from typing import Final

from tuppence_client.errors import ConnectionEnded, TuppenceError
from tuppence_protocol.errors import reconnects

from .sanitize import clean

_REFUSED: Final = {
    "bad_json": "that text cannot be sent as it is",
    "bad_frame": "that cannot be sent as it is written",
    "unknown_kind": "this server does not know how to do that",
    "too_big": "that is too long: a message has at most 8,000 characters, a note or reason 500, a title 120",
    "bad_id": "that cannot be sent as it is written",
    "amount_format": "write the amount in figures with a point, such as 5 or 5.50",
    "amount_range": "that amount is zero, too large, or has more decimals than its currency",
    "unknown_currency": "that currency is not in use here",
    "split_sum": "the shares do not add up to the total",
    "not_ready": "not connected yet; try again in a moment",
    "bad_token": "this login has ended; leave and log in again",
    "bad_credentials": "name and password do not match",
    "rate_limited": "that was too fast; wait a moment and send it again",
    "busy": "the server is very busy; send it again in a moment",
    "id_reused": "something else was sent under the same number before",
    "id_taken": "something else was sent under the same number before",
    "not_pending": "nothing is waiting there any more",
    "limit_daily": "that would pass your limit of 24 hours",
    "limit_monthly": "that would pass your limit of 30 days",
    "unavailable": "the server cannot store anything now; look with /history later whether it arrived",
    "internal": "the server failed; look with /history whether it arrived",
    "rate_unavailable": "there is no exchange rate for this now; try again later",
    "overflow": "too much came at once; /history shows it",
}
_ENDED: Final = {
    1000: "the server closed the connection",
    1001: "the server closed the connection",
    4000: "the server is restarting",
    4001: "the server had a fault",
    4002: "the connection was too slow for what came",
    4003: "the server had heard nothing from here for too long",
    4005: "too much was sent too fast",
    4006: "logging in took too long",
    4007: "this login has run out; start again to log in",
    4500: "this login has ended: the password was changed, or it was logged out; start again to log in",
    4501: "this program and the server do not understand each other; an update may help",
    4502: "this program and the server do not understand each other; an update may help",
    4503: "you have come in from another window as the same device, so this one stops",
    4504: "your account is disabled; ask whoever runs the server",
    4505: "you are connected too often at once; leave one of the others first",
}
_LABELS: Final = {
    "available": "available",
    "limit": "limit",
    "used": "used",
    "refundable": "at most",
    "resets_at": "possible from",
}


def refused(error: TuppenceError) -> str:
    """A refusal in a sentence."""
    if isinstance(error, ConnectionEnded):
        return ended(error)
    text = _REFUSED.get(error.code) or clean(error.message).rstrip(".")
    state = error.state or {}
    told = [(label, _told(name, state[name], state)) for name, label in _LABELS.items() if name in state]
    details = [f"{label} {value}" for label, value in told if value not in text]
    return f"{text} ({', '.join(details)})" if details else text


def ended(reason: ConnectionEnded) -> str:
    """Why there is no connection, in a sentence."""
    code = reason.close_code
    if code in _ENDED:
        return _ENDED[code]
    if not reconnects(code):
        return "the server turned this program away; an update may help"
    if reason.reason.startswith("could not connect"):
        return "the server cannot be reached"
    return "the connection was lost"


def _told(name: str, value: str | int, state: dict[str, str | int]) -> str:
    if name.endswith("_at") and isinstance(value, int):
        return f"{datetime.fromtimestamp(value / 1000).astimezone():%d %b %H:%M}"
    money = name in {"available", "limit", "used", "refundable"} and isinstance(value, str)
    currency = f" {clean(str(state['currency']))}" if money and "currency" in state else ""
    return clean(str(value)) + currency
