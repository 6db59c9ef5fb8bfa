"""What connections of every kind have in common: where they are counted, watched and bounded."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tuppence_server.telemetry.metrics import Metrics

from .addresses import Addresses
from .timer_wheel import TimerWheel
from .unread import Pressure


class Acceptor:
    """One server's table of addresses, its timer and its counters, on the loop that runs."""

    __slots__ = ("addresses", "draining", "loop", "metrics", "now", "pressure", "tasks", "wheel")

    def __init__(self, addresses: Addresses, metrics: Metrics) -> None:
        self.addresses = addresses
        self.metrics = metrics
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.wheel = TimerWheel(self.loop)
        self.pressure = Pressure()
        self.wheel.add(self.pressure)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.draining = False

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a short piece of work beside the sockets, and keep it from being collected."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
