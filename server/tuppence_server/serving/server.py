"""uvicorn's server with our connections, which drains the road before it says goodbye."""

import asyncio
import random
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import uvicorn

from tuppence_protocol.errors import CLOSES
from tuppence_server.config.settings import Settings
from tuppence_server.edge.acceptor import Acceptor
from tuppence_server.edge.connection import Socket
from tuppence_server.edge.http_protocol import http_protocol
from tuppence_server.edge.lanes import Lanes
from tuppence_server.edge.tls import Door
from tuppence_server.hub.hub import Hub
from tuppence_server.pipeline.pipeline import Pipeline

DRAIN_S_MAX: Final = 4.0
KEEP_ALIVE_S: Final = 130
"""Longer than proxies keep idle connections (nginx 60 s, Go's and Caddy's 90 to 120): who closes first
decides whether a request meets a connection that is going."""
RETRY_MS_RANGE: Final = (500, 5_000)


def configured(settings: Settings, acceptor: Acceptor, lanes: Lanes, app: Any) -> uvicorn.Config:
    """uvicorn's settings for HTTP by `app` and WebSockets by `lanes`."""

    def web_socket(**_: Any) -> Socket:  # uvicorn passes its own state, which is not needed
        return Socket(acceptor, lanes)

    return uvicorn.Config(
        app,
        http=http_protocol(acceptor),
        ws=web_socket,  # type: ignore[arg-type]
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=3,
        backlog=4096,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


class Server(uvicorn.Server):
    """Serves until it is told to stop; `started` is called once it listens."""

    def __init__(
        self, config: uvicorn.Config, acceptor: Acceptor, pipeline: Pipeline, started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._acceptor = acceptor
        self._pipeline = pipeline
        self._on_started = started
        self.failed = False

    def fail(self) -> None:
        """Stop at once: what is on disk is in doubt, and a supervisor is to start anew."""
        self.failed = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell so. The door shakes hands, and not the loop's server."""
        config = self.config
        context, config.ssl = config.ssl, None
        if context is not None:
            door = partial(Door, self._acceptor, context, config.http_protocol_class)
            config.http_protocol_class = door  # type: ignore[assignment]
        try:
            await super().startup(sockets)
        finally:
            config.ssl = context
        if self.started:
            self._acceptor.wheel.start()
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, commit what is in the inbox, say goodbye to everybody, end."""
        acceptor = self._acceptor
        acceptor.draining = True
        for server in self.servers:
            server.close()
        await self._pipeline.stop()
        for connection in _connections(acceptor):
            retry_ms = random.randint(*RETRY_MS_RANGE)  # noqa: S311 - jitter
            connection.close(CLOSES["shutdown"], retry_ms=retry_ms)
        deadline = acceptor.now() + DRAIN_S_MAX
        while _connections(acceptor) and acceptor.now() < deadline:  # noqa: ASYNC110 - they end one by one
            await asyncio.sleep(0.02)
        for connection in _connections(acceptor):
            if connection.transport is not None:
                connection.transport.abort()
        acceptor.wheel.stop()
        await super().shutdown(sockets)


def add_gauges(acceptor: Acceptor, hub: Hub, pipeline: Pipeline, refused: Callable[[], int]) -> None:
    """Show what is read at the scrape; `refused` counts currencies."""
    clock, metrics = pipeline.clock, acceptor.metrics
    for name, meaning, read in (
        ("inbox_frames", "Frames waiting on the road.", lambda: pipeline.depth),
        ("connections", "Open WebSockets.", lambda: len(_connections(acceptor))),
        ("clock_behind_seconds", "How far the machine's clock is behind commit time.",
         lambda: clock.behind_ms() / 1000),
        ("exchange_currencies_refused", "Currencies whose rates in the file contradict the fixed ones.",
         refused),
        ("people", "People connected here.", lambda: len(hub.people)),
        ("outbox_bytes", "Bytes waiting for slow readers.",
         lambda: sum(each.unread_bytes for each in _connections(acceptor))),
    ):  # fmt: skip
        metrics.gauge(name, meaning, read)
    metrics.counter(
        "clock_jumps", "How often the machine's clock was found set by minutes.", lambda: clock.jumps
    )


def _connections(acceptor: Acceptor) -> list[Socket]:
    return [watched for watched in acceptor.wheel.watched() if isinstance(watched, Socket)]
