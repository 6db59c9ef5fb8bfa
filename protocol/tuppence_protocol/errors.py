"""The catalogue of refusals and close codes.

One code per refusal. Where several apply, the one with the lowest number is told: shape, session, id,
place, account, state, limits, funds, server. Numbers and names are never used again for anything else.
"""

from enum import StrEnum
from typing import Final, final

import msgspec


class Family(StrEnum):
    """What a refusal is about; a client library raises one error class per family."""

    SHAPE = "shape"
    SESSION = "session"
    ID = "id"
    PLACE = "place"
    ACCOUNT = "account"
    STATE = "state"
    LIMITS = "limits"
    FUNDS = "funds"
    SERVER = "server"


class Code(msgspec.Struct, frozen=True):
    """One entry of the catalogue: `number` orders precedence, `final` says that a retry cannot help."""

    name: str
    number: int
    status: int
    final: bool
    meaning: str

    @property
    def family(self) -> Family:
        """The hundreds of its number, in the order of the families."""
        return _FAMILIES[self.number // 100 - 1]


_FAMILIES: Final = tuple(Family)
CODES: Final = {
    code.name: code
    for code in (
        Code("bad_json", 101, 400, True, "The text is not one JSON object in UTF-8."),
        Code("bad_frame", 102, 400, True, "A member is missing, unknown or of the wrong type."),
        Code("unknown_kind", 103, 400, True, "This server knows no such kind of frame."),
        Code("too_big", 104, 400, True, "The frame or one of its members is too long."),
        Code("bad_id", 105, 400, True, "The id is not a lower-case UUID of version 4 or 7."),
        Code("amount_format", 106, 400, True, "The amount is not a decimal string in major units."),
        Code("amount_range", 107, 400, True, "The amount is zero, too large or too finely divided."),
        Code("unknown_currency", 108, 400, True, "The currency is unknown or not enabled here."),
        Code("split_sum", 109, 400, True, "The shares do not add up to the total, or are too many for it."),
        Code("not_ready", 201, 401, False, "Say hello first."),
        Code("bad_token", 202, 401, True, "The token is unknown, expired or revoked."),
        Code("bad_credentials", 203, 401, True, "Handle and password do not match."),
        Code("rate_limited", 204, 429, False, "Too many frames; wait retry_ms and send again."),
        Code("busy", 205, 503, False, "The server's inbox is full; wait retry_ms and send again."),
        Code("id_reused", 301, 409, True, "This id was used with other content."),
        Code("id_taken", 302, 409, True, "This id belongs to somebody else's frame."),
        Code("handle_taken", 303, 409, True, "The handle, or one that looks like it, is taken."),
        Code("not_found", 401, 404, True, "There is no such thing, or it is not yours to see."),
        Code("forbidden", 402, 403, True, "You may see this but not do it."),
        Code("not_a_member", 403, 403, True, "That person is not in this conversation."),
        Code("account_disabled", 501, 403, True, "The user is disabled."),
        Code("account_frozen", 502, 403, True, "Your account is frozen; ask the operator."),
        Code("account_closed", 503, 403, True, "Your account is closed."),
        Code("payee_unavailable", 504, 409, True, "The payee cannot receive this now."),
        Code("same_account", 505, 400, True, "Payer and payee are the same."),
        Code("expired", 601, 409, True, "The time for this has passed."),
        Code("already_member", 602, 409, True, "That person is in this conversation already."),
        Code("last_owner", 603, 409, True, "A group keeps at least one owner."),
        Code("not_pending", 604, 409, True, "This waits for nothing; `state` tells how it stands."),
        Code("already_paid", 605, 409, True, "This has been paid."),
        Code("already_declined", 606, 409, True, "This has been declined."),
        Code("already_cancelled", 607, 409, True, "This has been cancelled."),
        Code("already_claimed", 608, 409, True, "You have had your share of this packet."),
        Code("already_refunded", 609, 409, True, "All of this has been refunded."),
        Code("already_requested", 610, 409, True, "The same request to this person is still open."),
        Code("packet_empty", 611, 409, True, "All shares of this packet are claimed."),
        Code("exceeds_refundable", 612, 409, True, "That is more than is left to refund."),
        Code("quote_expired", 613, 409, True, "The quote's time is over; ask for another."),
        Code("quote_used", 614, 409, True, "The quote has been used; ask for another."),
        Code("not_empty", 615, 409, True, "The account still holds money, or money waits for it."),
        Code("room_full", 701, 409, True, "The conversation has as many members as it may."),
        Code("limit_per_payment", 703, 403, True, "That is more than one payment may be."),
        Code("limit_daily", 704, 403, True, "That would pass the limit of 24 hours; `state` tells more."),
        Code("limit_monthly", 705, 403, True, "That would pass the limit of 30 days; `state` tells more."),
        Code("velocity", 706, 403, True, "That would be too many payments in an hour."),
        Code("too_many_requests", 707, 409, True, "Too many requests to this person are still open."),
        Code("too_soon", 708, 409, True, "A reminder was sent a short while ago."),
        Code("too_many_groups", 709, 409, True, "That person is in as many groups as anybody may be."),
        Code("insufficient_funds", 801, 402, True, "The available balance does not cover this."),
        Code("balance_limit", 802, 409, True, "The payee's balance would pass what an account may hold."),
        Code("unavailable", 901, 503, False, "The server cannot store now; retry with the same id."),
        Code("rate_unavailable", 903, 503, False, "There is no exchange rate for this now."),
        Code("internal", 902, 500, False, "The server failed; retry with the same id."),
    )
}


@final
class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """An expected "no": a value, never an exception. `field` is a JSON path, `state` what now is.

    What every frame passes asks `type(x) is Refusal`: for anything else, `isinstance` with a msgspec class
    takes several times as long.
    """

    code: str
    message: str
    field: str | None = None
    retry_ms: int | None = None
    state: dict[str, str | int] | None = None

    @property
    def final(self) -> bool:
        """True where sending the same again cannot succeed."""
        return CODES[self.code].final

    @property
    def status(self) -> int:
        """The HTTP status that fits this refusal."""
        return CODES[self.code].status

    def body(self) -> dict[str, object]:
        """The body of an `error` frame, the same object on WebSocket and HTTP."""
        return {
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "final": self.final,
            "retry_ms": self.retry_ms,
            "state": self.state,
        }


class CloseCode(msgspec.Struct, frozen=True):
    """Why a socket ends. The band is the behaviour: below 4500 reconnect and resume, from 4500 on stop."""

    name: str
    number: int
    meaning: str

    @property
    def reconnect(self) -> bool:
        """True where the client should come back and resume."""
        return reconnects(self.number)


def reconnects(number: int) -> bool:
    """True where a client comes back after this close code, also one that it does not know."""
    return number < 4500 and number not in _STOPS


CLOSES: Final = {
    close.name: close
    for close in (
        CloseCode("shutdown", 4000, "The server stops; come back after retry_ms."),
        CloseCode("server_error", 4001, "The server failed on this connection."),
        CloseCode("slow_consumer", 4002, "The client reads too slowly; all it missed comes with resume."),
        CloseCode("no_heartbeat", 4003, "Nothing was heard for too long."),
        CloseCode("rate_limited", 4005, "The client kept sending after it was told to wait."),
        CloseCode("auth_timeout", 4006, "No hello came in time."),
        CloseCode("token_expired", 4007, "The token's time is over; log in again, then reconnect."),
        CloseCode("bad_token", 4500, "The token is unknown or revoked."),
        CloseCode("protocol_error", 4501, "The client broke the protocol."),
        CloseCode("version", 4502, "This server does not speak that version."),
        CloseCode("replaced", 4503, "The same device connected again."),
        CloseCode("account_disabled", 4504, "The user is disabled."),
        CloseCode("too_many_connections", 4505, "The user or the address has too many connections."),
    )
}
CLOSE_NAMES: Final = {close.number: close.name for close in CLOSES.values()}
RFC6455_CLOSES: Final = {
    1000: "The peer is done.",
    1001: "The peer goes away.",
    1002: "A WebSocket frame was malformed.",
    1003: "A binary message came; only text is spoken here.",
    1007: "A text message was not UTF-8.",
    1008: "The control frame or fragment budget was spent.",
    1009: "A message was longer than FRAME_BYTES_MAX.",
    1010: "An extension was asked for; none is spoken here.",
    1011: "The server, or a proxy before it, failed.",
    1012: "The service restarts.",
    1013: "The service is overloaded; come back later.",
    1014: "A proxy got no good answer from the server.",
}
_STOPS: Final = frozenset({1002, 1003, 1007, 1008, 1009, 1010})
"""Of RFC 6455: the client did what is wrong, and would do it again."""
