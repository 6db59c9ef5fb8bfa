"""The composition root: the only module that names concrete stores and brokers."""

import asyncio
import contextlib
import gc
import os
import random
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import uvicorn

from tuppence_protocol.errors import CLOSES

from . import ids
from .admin.passwords import Passwords
from .admin.service import AdminService
from .audit.running import Audits
from .config.money import policy
from .config.settings import Settings
from .data_dir import ADMIN_ACCESS, DATABASE
from .domain.policy import Policy
from .domain.rows import LogHead
from .edge.addresses import Counted
from .edge.connection import Socket, connect
from .edge.http import Api, crowded
from .edge.http_protocol import http_protocol
from .edge.live import reconsider
from .edge.rate_limits import LIMITED, UNLIMITED
from .edge.rfc6455 import text_frame
from .edge.services import Services
from .edge.timer_wheel import Wheel
from .edge.tls import behind_door
from .exchange.sources import make_rates
from .hub.broker import LocalBroker
from .hub.hub import Hub
from .opening import opened_store
from .pipeline.clock import Clock
from .pipeline.pipeline import Pipeline
from .pipeline.sweep import keep_sweeping
from .serving.certificates import check_pair
from .serving.listening import bind
from .serving.reloading import Reloader
from .store.contract import Store, StoreFault
from .telemetry.metrics import Metrics

DRAIN_S_MAX: Final = 4.0
KEEP_ALIVE_S: Final = 130
"""Longer than proxies keep idle connections (nginx 60 s, Go's and Caddy's 90 to 120): who closes first
decides whether a request meets a connection that is going."""
RETRY_MS_RANGE: Final = (500, 5_000)
SWITCH_INTERVAL_S: Final = 0.0002
"""The writer's thread waits at most so long to get the interpreter's lock back from a busy event loop; Python's
default of 5 ms, several times per commit, would be most of a commit's time under load."""
log = structlog.get_logger("tuppence.app")


class AdminAccess(msgspec.Struct):
    """What `admin.json` in the data directory tells the command line: where the server is, and the token."""

    url: str
    token: str
    pid: int
    mode: str = "live"


@asynccontextmanager
async def opened_admin(
    settings: Settings, *, make: bool = False
) -> AsyncIterator[tuple[AdminService, Store]]:
    """The administration over the road in this process, while no server runs."""
    async with opened_store(
        settings.data, settings.mode, make=make, damaged_log=settings.damaged_log
    ) as store:
        head = await store.head()
        terms = policy(settings, head.mode)
        clock = await _clock(store, terms)
        pipeline = Pipeline(store, terms, ids.Randomness(), lambda _: None, Metrics(), lambda: None, clock)
        pipeline.start(head)
        passwords = Passwords(settings.password_workers, settings.password_memory_kib)
        try:
            yield AdminService(pipeline, store, passwords, settings.session_days, clock.now_ms), store
        finally:
            await pipeline.stop()
            passwords.close()


async def _clock(store: Store, terms: Policy) -> Clock:
    """A clock that goes on from all that was committed, with an event or without."""
    clock = Clock()
    clock.begin(max((await store.head()).at, await store.latest(terms.quote_ms)))
    return clock


class Server(uvicorn.Server):
    """uvicorn's server, which drains the road before it says goodbye."""

    def __init__(self, config: uvicorn.Config, services: Services, started: Callable[[int], None]) -> None:
        super().__init__(config)
        self._services = services
        self._on_started = started
        self.failed = False

    def fail(self) -> None:
        """Stop at once: what is on disk is in doubt, and a supervisor is to start anew."""
        self.failed = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell where. The door shakes hands, and not the loop's server."""
        config = self.config
        context, config.ssl = config.ssl, None
        if context is not None:
            inner = config.http_protocol_class
            config.http_protocol_class = behind_door(self._services, context, inner)  # type: ignore[assignment]
        try:
            await super().startup(sockets)
        finally:
            config.ssl = context
        if self.started:
            self._services.wheel.start()
            self._on_started(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, commit what is in the inbox, say goodbye to everybody, end."""
        services = self._services
        services.draining = True
        for server in self.servers:
            server.close()
        await services.pipeline.stop()
        loop = asyncio.get_running_loop()
        for open_socket in _sockets(services):
            retry_ms = random.randint(*RETRY_MS_RANGE)  # noqa: S311 - jitter
            open_socket.close(CLOSES["shutdown"], retry_ms=retry_ms)
        deadline = loop.time() + DRAIN_S_MAX
        while _sockets(services) and loop.time() < deadline:  # noqa: ASYNC110 - sockets end one by one
            await asyncio.sleep(0.02)
        for open_socket in _sockets(services):
            if open_socket.transport is not None:
                open_socket.transport.abort()
        services.wheel.stop()
        await super().shutdown(sockets)


def _sockets(services: Services) -> list[Socket]:
    return [watched for watched in services.wheel.watched() if isinstance(watched, Socket)]


async def serve(
    settings: Settings, announce: Callable[[AdminAccess], None], reread: Callable[[], Settings]
) -> int:
    """Run the server until it is told to stop; the exit code.

    `announce` is called once it listens; `reread` brings the settings as they are now, at SIGHUP.

    Raises:
        SettingsError: certificate or key cannot be used.
        CannotListen: the address cannot be listened on.
        DataInUse, WrongData: as `opened_store`.
    """
    if settings.tls_certificate is not None and settings.tls_key is not None:
        check_pair(settings.tls_certificate, settings.tls_key)
    code: int | None = None
    try:
        async with opened_store(
            settings.data, settings.mode, make=True, damaged_log=settings.damaged_log
        ) as store:
            sockets = bind(settings.host, settings.port)
            try:
                code = await _serve(settings, store, sockets, announce, reread)
            finally:
                for each in sockets:
                    each.close()
    except StoreFault as fault:
        if code is None:
            raise
        log.error("store_fault", error=str(fault), fatal=fault.fatal)
        code = 1
    return code


async def _serve(
    settings: Settings,
    store: Store,
    sockets: list[socket.socket],
    announce: Callable[[AdminAccess], None],
    reread: Callable[[], Settings],
) -> int:
    servers: list[Server] = []

    def fail() -> None:
        for server in servers:
            server.fail()

    head = await store.head()
    services = await _services(settings, store, head, fail)
    passwords = Passwords(settings.password_workers, settings.password_memory_kib)
    passwords.learn(await store.password_kinds())
    audits = Audits(settings.data / DATABASE, services.metrics)
    admin = AdminService(
        services.pipeline, store, passwords, settings.session_days, services.clock_ms, audits
    )
    access = AdminAccess(settings.base_url, ids.token(), os.getpid(), head.mode)
    _gauges(services)
    api = Api(services, admin, access.token)
    config = _config(settings, services, Counted(api.app(), services.addresses, crowded))
    server = Server(config, services, partial(_started, services, head, access, announce))
    servers.append(server)
    reloader = Reloader(
        services, head.mode, settings.port, reread, lambda: config.ssl if config.loaded else None
    )
    try:
        async with _under_way(services, head, audits, passwords):
            with _quiet_signals(), _hang_up(server, reloader, services.wheel):
                await server.serve(sockets)
    finally:
        (settings.data / ADMIN_ACCESS).unlink(missing_ok=True)
        log.info("stopped", pid=access.pid, failed=server.failed)
    return 1 if server.failed or not server.started else 0


async def _services(settings: Settings, store: Store, head: LogHead, fail: Callable[[], None]) -> Services:
    """The road, the hub behind it, and what the edge calls."""
    metrics = Metrics()
    broker = LocalBroker()
    hub = Hub(text_frame, metrics)
    broker.listen(hub)
    terms = policy(settings, head.mode)
    clock = await _clock(store, terms)
    pipeline = Pipeline(store, terms, ids.Randomness(), broker.commit, metrics, fail, clock, hub.flush)
    rates = UNLIMITED if settings.rate_limits == "off" else LIMITED
    services = Services(
        settings, store, pipeline, hub, broker, metrics, rates, make_rates(settings), head.mode, clock.now_ms
    )
    hub.doubt = partial(reconsider, services)
    return services


@asynccontextmanager
async def _under_way(
    services: Services, head: LogHead, audits: Audits, passwords: Passwords
) -> AsyncIterator[None]:
    """The road, and what goes on beside it: begun together, and ended in order."""
    pipeline = services.pipeline
    pipeline.start(head)
    loop = asyncio.get_running_loop()
    sweeping = loop.create_task(keep_sweeping(services.store, pipeline), name="sweep")
    checking = loop.create_task(audits.keep(services.settings.verify_every_hours), name="audits")
    try:
        yield
    finally:
        sweeping.cancel()
        checking.cancel()
        await audits.stop()
        await pipeline.stop()
        passwords.close()


def _started(
    services: Services, head: LogHead, access: AdminAccess, announce: Callable[[AdminAccess], None], port: int
) -> None:
    """Tell where the server listens, now that it does."""
    services.settings = msgspec.structs.replace(services.settings, port=port)
    access.url = services.settings.base_url
    _write_access(services.settings.data, access)
    gc.freeze()
    announce(access)
    log.info("started", pid=access.pid, url=access.url, mode=head.mode, epoch=head.epoch, pos=head.pos)


def _config(settings: Settings, services: Services, app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http_protocol(services),
        ws=connect(services),
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


def _gauges(services: Services) -> None:
    clock = services.pipeline.clock
    metrics, hub, wheel = services.metrics, services.hub, services.wheel
    metrics.gauge("inbox_frames", "Frames waiting on the road.", lambda: services.pipeline.depth)
    metrics.gauge("connections", "Open WebSockets.", lambda: len(_sockets(services)))
    metrics.gauge(
        "clock_behind_seconds",
        "How far the machine's clock is behind commit time.",
        lambda: clock.behind_ms() / 1000,
    )
    metrics.counter(
        "clock_jumps", "How often the machine's clock was found set by minutes.", lambda: clock.jumps
    )
    metrics.gauge(
        "exchange_currencies_refused",
        "Currencies whose rates in the file contradict the fixed ones.",
        lambda: len(services.exchange_rates.refused()),
    )
    metrics.gauge("people", "People connected here.", lambda: len(hub.people))
    metrics.gauge(
        "outbox_bytes",
        "Bytes waiting for slow readers.",
        lambda: sum(watched.unread_bytes for watched in wheel.watched() if isinstance(watched, Socket)),
    )


def _write_access(data: Path, access: AdminAccess) -> None:
    path = data / ADMIN_ACCESS
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(access))


@contextlib.contextmanager
def _quiet_signals() -> Any:
    """uvicorn raises the signal that stopped it once more at the end; a drained server has nothing to add."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _hang_up(server: Server, reloader: Reloader, wheel: Wheel) -> Iterator[None]:
    """SIGHUP reloads a service; where a terminal went away, its server goes too, as after SIGTERM.

    A window's signal goes to the first program in it alone, which may wait for the server and keep it from
    it. So the terminal is looked at as well. Whoever started it with the signal ignored (nohup) wants
    neither.
    """
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        yield
        return

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    terminal = sys.stderr.isatty()
    loop.add_signal_handler(signal.SIGHUP, stop if terminal else reloader.reload)
    if terminal:
        wheel.add(_Terminal(sys.stderr.fileno(), stop))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


class _Terminal:
    """The terminal that the log goes to, watched on the wheel; `gone` is called once nobody holds its other
    end."""

    def __init__(self, descriptor: int, gone: Callable[[], None]) -> None:
        self._poll = select.poll()
        self._poll.register(descriptor, 0)  # a hang-up is told always, and keys that are pressed are not
        self._gone = gone

    def check(self, now: float) -> None:  # noqa: ARG002 - as all that is watched
        if any(event & select.POLLHUP for _, event in self._poll.poll(0)):
            self._gone()


def run(settings: Settings, announce: Callable[[AdminAccess], None], reread: Callable[[], Settings]) -> int:
    """Run the server in this process, on uvloop where it is installed."""
    gc.set_threshold(50_000, 50, 100)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve(settings, announce, reread))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
