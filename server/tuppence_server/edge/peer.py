"""What admission, asks and live frames may do with a connection, whatever carries it."""

import asyncio
from collections import deque
from typing import Final

from tuppence_protocol.errors import Refusal
from tuppence_protocol.session import ServerSession
from tuppence_protocol.shapes import Ask
from tuppence_server.hub.outbox import Outbox

from .rate_limits import Pace

NO_PACE: Final = Pace()
"""Shared by all connections that are not admitted, which take nothing from it."""


class Peer(Outbox):
    """A connection as the lanes see it."""

    __slots__ = (
        "address",
        "answering",
        "asks",
        "closing_at",
        "device",
        "expires_at",
        "pace",
        "session",
        "transport",
    )

    def __init__(self, touched: list[Outbox]) -> None:
        super().__init__(touched)
        self.session = ServerSession()
        self.address = ""
        self.transport: asyncio.Transport | None = None
        self.closing_at: float | None = None
        self.device: str | None = None
        self.expires_at = 0
        self.pace = NO_PACE
        self.asks: deque[Ask] | None = None
        self.answering = False

    @property
    def open(self) -> bool:
        """True while something can still be sent."""
        return self.transport is not None and self.closing_at is None

    def refuse(self, refusal: Refusal, ref: str | None) -> None:
        """Answer with an `error` frame."""
        raise NotImplementedError
