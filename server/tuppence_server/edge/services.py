"""What the edge works with; built once, in `app`."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tuppence_server.config.networks import Networks
from tuppence_server.config.settings import Settings
from tuppence_server.exchange.quotes import Rates as ExchangeRates
from tuppence_server.hub.broker import Broker
from tuppence_server.hub.hub import Hub
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import Store
from tuppence_server.telemetry.metrics import Metrics

from .addresses import Addresses
from .arrivals import Arrivals
from .presence_grace import Departures
from .rate_limits import Paces, Rates
from .timer_wheel import Wheel
from .unread import Pressure


class Services:
    """The parts of one running server that the edge calls."""

    __slots__ = (
        "addresses", "arrivals", "broker", "clock_ms", "departures", "draining", "epoch_doubted",
        "exchange_rates", "hub", "loop", "metrics", "mode", "paces", "pipeline", "pressure", "rates",
        "settings", "store", "tasks", "wheel",
    )  # fmt: skip

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pipeline: Pipeline,
        hub: Hub,
        broker: Broker,
        metrics: Metrics,
        rates: Rates,
        exchange_rates: ExchangeRates,
        mode: str,
        clock_ms: Callable[[], int],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self.store = store
        self.pipeline = pipeline
        self.hub = hub
        self.broker = broker
        self.metrics = metrics
        self.rates = rates
        self.exchange_rates = exchange_rates
        self.mode = mode
        self.clock_ms = clock_ms
        self.wheel = Wheel(self.loop)
        self.addresses = Addresses(
            0 if settings.rate_limits == "off" else settings.connections_per_address,
            Networks(settings.trusted_proxies),
        )
        self.arrivals = None if settings.rate_limits == "off" else Arrivals()
        self.paces = Paces()
        self.pressure = Pressure()
        self.wheel.add(self.pressure)
        self.departures = Departures(self.hub, self.loop)
        self.wheel.add(self.departures)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.draining = False
        self.epoch_doubted = False

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a short piece of work beside the sockets, and keep it from being collected."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
