"""What is told beside events: it is fleeting, about now, and never stored."""

from dataclasses import dataclass
from enum import StrEnum

from tuppence_protocol.kinds import BalanceNotice, Error, PresenceNotice, ReceiptNotice, TypingNotice

from .errors import ConnectionEnded


class State(StrEnum):
    """Where the connection stands; ENDED is for good."""

    CONNECTING = "connecting"
    CATCHING_UP = "catching up"
    ONLINE = "online"
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True)
class StateChanged:
    """The connection's state; `retry_s` until the next attempt and `ended` (why) while WAITING."""

    state: State
    retry_s: float | None = None
    ended: ConnectionEnded | None = None


@dataclass(frozen=True)
class Resumed:
    """After a reconnect all missed events have been given; `events` of them."""

    events: int


@dataclass(frozen=True)
class Reset:
    """After a reconnect the missed events could not be replayed (`why`): page history for what matters."""

    why: str


Notice = (
    TypingNotice | ReceiptNotice | PresenceNotice | BalanceNotice | Error | StateChanged | Resumed | Reset
)
