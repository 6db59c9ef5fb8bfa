"""What the operator can watch. Counting is adding to plain integers;
Prometheus reads them when it scrapes."""

from collections import Counter
from collections.abc import Callable, Iterator
from platform import python_version
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from tuppence_protocol.errors import CLOSES, CODES, RFC6455_CLOSES
from tuppence_protocol.kinds import CLIENT_FRAMES
from tuppence_server import __version__

_COMMIT_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0)
_KINDS: Final = tuple(str(cls.__struct_config__.tag) for cls in CLIENT_FRAMES)
_REASONS: Final = (
    *CLOSES,
    *(RFC6455_CLOSES[number] for number in (1002, 1003, 1007, 1008, 1009)),
    "tls_handshake",
)
"""Every series is there from the start, at 0, so that an alert on a rise sees the first."""


class Metrics:
    """All counters of one server. `gauge` and `counter` add a figure that is read at the scrape."""

    def __init__(self) -> None:
        self.frames = Counter(dict.fromkeys(_KINDS, 0))
        self.refusals = Counter(dict.fromkeys(CODES, 0))
        self.closes = Counter(dict.fromkeys(_REASONS, 0))
        self.malformed_requests = 0
        self.batches = 0
        self.committed = 0
        self.deliveries = 0
        self.cursors_ahead = 0
        self._read: list[tuple[Any, str, str, Callable[[], float]]] = []
        self.registry = CollectorRegistry()
        self.commit_seconds = Histogram(
            "tuppence_commit_seconds",
            "Time to commit one batch.",
            buckets=_COMMIT_BUCKETS_S,
            registry=self.registry,
        )
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a figure under `tuppence_<name>`."""
        self._read.append((GaugeMetricFamily, f"tuppence_{name}", meaning, read))

    def counter(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a figure that only grows under `tuppence_<name>_total`."""
        self._read.append((CounterMetricFamily, f"tuppence_{name}", meaning, read))

    def describe(self) -> list[Metric]:
        """Nothing ahead of the scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        labelled = (
            ("frames", "Frames received, by kind.", "kind", self.frames),
            ("refusals", "Frames refused, by code.", "code", self.refusals),
            ("closes", "Connections closed by the server, by reason.", "reason", self.closes),
        )
        for name, meaning, label, counter in labelled:
            family = CounterMetricFamily(f"tuppence_{name}", meaning, labels=[label])
            for key, count in sorted(counter.items()):
                family.add_metric([key], count)
            yield family
        for name, meaning, value in (
            ("malformed_requests", "Requests that were no HTTP.", self.malformed_requests),
            ("batches", "Batches committed.", self.batches),
            ("events", "Events committed.", self.committed),
            ("deliveries", "Events handed to connections.", self.deliveries),
            ("cursors_ahead", "Clients that held events which the log does not have.", self.cursors_ahead),
        ):
            yield CounterMetricFamily(f"tuppence_{name}", meaning, value=value)
        build = {"version": __version__, "python": python_version()}
        yield InfoMetricFamily("tuppence_build", "What runs here.", value=build)
        for cls, name, meaning, read in self._read:
            yield cls(name, meaning, value=read())

    def text(self) -> bytes:
        """The Prometheus exposition."""
        return generate_latest(self.registry)
