"""One exception class per family of refusals, all below `TuppenceError`; the code tells which it is."""

from typing import Final

from tuppence_protocol.errors import CLOSE_NAMES, CLOSES, CODES, Family, Refusal, reconnects
from tuppence_protocol.kinds import ErrorBody


class TuppenceError(Exception):
    """What the server refused, or what happened to the connection.

    `code` is from the catalogue in `tuppence_protocol.errors`; `field` is a JSON path; `final` says that the
    same again cannot succeed; `retry_ms` is how long to wait; `state` is what now is.
    """

    def __init__(
        self,
        code: str,
        message: str,
        field: str | None = None,
        *,
        final: bool = True,
        retry_ms: int | None = None,
        state: dict[str, str | int] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.field = field
        self.final = final
        self.retry_ms = retry_ms
        self.state = state


class ShapeError(TuppenceError):
    """The frame itself is wrong: a bug of the caller, or an amount that is none."""


class SessionError(TuppenceError):
    """Login, rate or queue: who sends, and how fast."""


class IdError(TuppenceError):
    """The id or the handle is in use for something else."""


class PlaceError(TuppenceError):
    """The conversation, person or event is not there, or not for this user."""


class AccountError(TuppenceError):
    """The account of payer or payee cannot do this."""


class StateError(TuppenceError):
    """Things are no longer as this frame needs them."""


class LimitError(TuppenceError):
    """A limit would be passed."""


class FundsError(TuppenceError):
    """The available balance does not cover it."""


class ServerError(TuppenceError):
    """The server could not; the outcome is unknown until the same id is sent again."""


TOKEN_EXPIRED: Final = CLOSES["token_expired"].number


class ConnectionEnded(TuppenceError):
    """There is no connection: `close_code` and `reason` tell why; `final` says that the same login gets none
    again.

    Where the function that makes tokens was refused, `code` is that refusal's own, such as
    `bad_credentials`.
    """

    def __init__(self, close_code: int, reason: str, *, refused: str | None = None) -> None:
        self.close_code = close_code
        self.reason = reason
        if refused is not None:
            super().__init__(refused, reason, final=_stops(close_code))
            return
        code = CLOSE_NAMES.get(close_code, "connection_ended")
        said = CLOSES[code].meaning if reason == code and code in CLOSES else reason
        super().__init__(code, f"{said} (close code {close_code})", final=_stops(close_code))


def _stops(close_code: int) -> bool:
    return close_code == TOKEN_EXPIRED or not reconnects(close_code)


class StateFileError(TuppenceError):
    """The file given as `state` cannot be used: `state_in_use`, `state_not_ours`, `state_of_another`,
    `state_file`."""


class StreamOverflow(TuppenceError):
    """A stream was not read fast enough: `missed` items were dropped here; page history for them."""

    def __init__(self, missed: int) -> None:
        self.missed = missed
        super().__init__(
            "overflow", f"{missed} events were dropped, since this stream was not read", final=True
        )


FAMILIES: Final[dict[Family, type[TuppenceError]]] = {
    Family.SHAPE: ShapeError,
    Family.SESSION: SessionError,
    Family.ID: IdError,
    Family.PLACE: PlaceError,
    Family.ACCOUNT: AccountError,
    Family.STATE: StateError,
    Family.LIMITS: LimitError,
    Family.FUNDS: FundsError,
    Family.SERVER: ServerError,
}


def error_of(body: ErrorBody | Refusal) -> TuppenceError:
    """The exception for a refusal; plain `TuppenceError` for a code this library does not know."""
    code = CODES.get(body.code)
    cls = TuppenceError if code is None else FAMILIES[code.family]
    return cls(
        body.code, body.message, body.field, final=body.final, retry_ms=body.retry_ms, state=body.state
    )
