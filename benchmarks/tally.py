"""What a run of the load generator counts, and the report that is made of it."""

from __future__ import annotations  # array cannot be subscripted at run time before 3.12

import time
from array import array
from dataclasses import dataclass, field
from typing import Any

EXCERPTS = 5


@dataclass(slots=True)
class Tally:
    """Counters that all connections of one run share; latencies in microseconds."""

    running: bool = True
    acks: int = 0
    deliveries: int = 0
    received_bytes: int = 0
    refusals: int = 0
    unexpected: int = 0
    lost: int = 0
    excerpts: list[str] = field(default_factory=list)
    own_us: array[int] = field(default_factory=lambda: array("q"))
    other_us: array[int] = field(default_factory=lambda: array("q"))

    def note(self, data: bytes, mark: bytes) -> None:
        """Keep the first few frames that tell why a run fails."""
        if len(self.excerpts) < EXCERPTS:
            start = data.find(mark)
            self.excerpts.append(data[start : start + 300].decode(errors="replace"))

    @property
    def failed(self) -> bool:
        """Whether anything happened that makes the figures worthless."""
        return bool(self.refusals or self.unexpected or self.lost)


@dataclass(frozen=True, slots=True)
class Mark:
    """The counters at one moment."""

    at_s: float
    cpu_s: float
    acks: int
    deliveries: int
    received_bytes: int

    @classmethod
    def of(cls, tally: Tally) -> Mark:
        """Take the moment now."""
        counted = (tally.acks, tally.deliveries, tally.received_bytes)
        return cls(time.perf_counter(), time.process_time(), *counted)


def rates(start: Mark, end: Mark) -> dict[str, Any]:
    """Return what happened between two moments, per second."""
    seconds = end.at_s - start.at_s
    deliveries = end.deliveries - start.deliveries
    received = end.received_bytes - start.received_bytes
    return {
        "seconds": round(seconds, 3),
        "acks_per_s": round((end.acks - start.acks) / seconds, 1),
        "deliveries_per_s": round(deliveries / seconds, 1),
        "bytes_per_delivery": round(received / deliveries, 1) if deliveries else None,
        # Near 1.0 the figures tell of the load generator, not of the server.
        "client_cpu": round((end.cpu_s - start.cpu_s) / seconds, 3),
    }


def percentiles(latencies_us: array[int]) -> dict[str, float] | None:
    """Return p50, p99 and the maximum in milliseconds; None of nothing."""
    if not latencies_us:
        return None
    ranked = sorted(latencies_us)
    last = len(ranked) - 1
    return {
        "p50": ranked[round(last * 0.50)] / 1000,
        "p99": ranked[round(last * 0.99)] / 1000,
        "max": ranked[last] / 1000,
        "count": len(ranked),
    }


def troubles(tally: Tally) -> dict[str, Any]:
    """Return what must all be zero for a run to count."""
    return {
        "refusals": tally.refusals,
        "unexpected": tally.unexpected,
        "lost_connections": tally.lost,
        "excerpts": tally.excerpts,
    }


def checked(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report whose figures count.

    Raises:
        RuntimeError: anything was refused, lost or unanswered.
    """
    if not report["ok"]:
        raise RuntimeError(f"the load's figures do not count: {report}")
    return report
