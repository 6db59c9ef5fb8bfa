"""What one commit lets out, and to whom: whoever waits for an outcome gets it, whatever else goes wrong.

The refusals are those of the road itself.
"""

from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct

from tuppence_protocol.errors import Refusal
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.effects import Balance, Outcome, Outflow
from tuppence_server.domain.request import Request

Sink = Callable[[Request, Outcome], None]
"""Where the outcome of a request goes; called after the commit, should not raise."""
Submission = tuple[Request, Sink]
BUSY: Final = Refusal("busy", "The server has too much to do; send again.", retry_ms=500)
STOPPING: Final = Refusal("busy", "The server is stopping; send again after reconnecting.", retry_ms=1_000)
UNAVAILABLE: Final = Refusal(
    "unavailable", "The server cannot store now; send again under the same id.", retry_ms=2_000
)
INTERNAL: Final = Refusal("internal", "The server failed on this frame; it was not stored.", retry_ms=2_000)
log = structlog.get_logger("tuppence.road")


class Committed(Struct, frozen=True):
    """All that one commit lets out, in order."""

    pos: int
    outflow: list[Outflow]
    balances: list[Balance]
    outcomes: list[tuple[Request, Sink, Outcome]]

    def answer(self) -> None:
        """Give everybody their outcome; a sink that raises keeps nobody else from theirs."""
        for request, sink, outcome in self.outcomes:
            try:
                sink(request, outcome)
            except Exception:
                log.exception("sink_fault", kind=type(request.frame).__name__)


def balances_of(changes: Changes, pos: int) -> list[Balance]:
    """How the people's accounts stand that a batch moved."""
    return [
        Balance(account.owner, account.currency, account.available, account.held, pos)
        for account in changes.accounts.values()
        if account.code == "customer"
    ]
