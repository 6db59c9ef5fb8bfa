"""Every waiting time of the client in one place, in seconds."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tuppence_protocol.limits import GAP_WAIT_MS


@dataclass(frozen=True)
class Pace:
    """How patient the client is; the defaults suit everything but tests.

    `retry_s`: how long a refusal that is not final is retried before it is raised. `backoff_s` and
    `backoff_max_s`: a reconnect waits up to `backoff_s * 2**n`, full jitter. `silence_s`: how much over
    1.5 heartbeats nothing may be heard before the connection is given up. `open_s`: from socket to `ready`.
    `token_s`: how long a function that makes tokens may take.
    """

    retry_s: float = 30.0
    backoff_s: float = 0.5
    backoff_max_s: float = 30.0
    silence_s: float = 10.0
    open_s: float = 10.0
    token_s: float = 30.0
    gap_s: float = GAP_WAIT_MS / 1000
    jitter: Callable[[], float] = random.random

    def backoff(self, attempt: int, retry_ms: int | None = None) -> float:
        """The pause before attempt number `attempt` (from 0); never shorter than the server asked for."""
        spread = min(self.backoff_max_s, self.backoff_s * 2.0 ** min(attempt, 30))
        return (retry_ms or 0) / 1000 + self.jitter() * spread
