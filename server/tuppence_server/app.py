"""The composition root: builds one server of its parts, each of which gets what it needs."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog

from . import ids
from .admin.passwords import Passwords
from .admin.service import AdminService
from .audit.running import Audits
from .config.money import policy
from .config.networks import Networks
from .config.settings import Settings
from .data_dir import ADMIN_ACCESS, DATABASE
from .domain.policy import Policy
from .domain.rows import LogHead
from .edge.acceptor import Acceptor
from .edge.addresses import Addresses, Counted
from .edge.admission import Admission
from .edge.asks import AskLane
from .edge.auth import Auth
from .edge.guests import Guests
from .edge.handshake import origins_of
from .edge.http import Api, crowded
from .edge.lanes import Lanes
from .edge.live import LiveLane
from .edge.presence_grace import PresenceGrace
from .edge.rate_limits import LIMITED, UNLIMITED, Paces
from .edge.readiness import Readiness
from .edge.rfc6455 import text_frame
from .edge.statements import Statements
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
from .serving.server import Server, add_gauges, configured
from .serving.signals import hang_up, quiet_signals
from .store.contract import Store, StoreFault
from .telemetry.metrics import Metrics

SWITCH_INTERVAL_S: Final = 0.0002
"""The writer's thread waits at most so long to get the interpreter's lock back from a busy event loop;
Python's default of 5 ms, several times per commit, would be most of a commit's time under load."""
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
        clock = await _clock(store, head, terms)
        pipeline = Pipeline(store, terms, ids.Randomness(), lambda _: None, Metrics(), lambda: None, clock)
        pipeline.start(head)
        passwords = Passwords(settings.password_workers, settings.password_memory_kib)
        try:
            yield AdminService(pipeline, store, passwords, settings.session_days, clock.now_ms), store
        finally:
            await pipeline.stop()
            passwords.close()


async def _clock(store: Store, head: LogHead, terms: Policy) -> Clock:
    """A clock that goes on from all that was committed, with an event or without."""
    clock = Clock()
    clock.begin(max(head.at, await store.latest(terms.quote_ms)))
    return clock


class App:
    """One server's parts. `fail` ends it where what is on disk is in doubt;
    `settings.port` is the one it has."""

    def __init__(
        self, settings: Settings, store: Store, head: LogHead, clock: Clock, fail: Callable[[], None]
    ) -> None:
        self.settings = settings
        self.store = store
        self.head = head
        self.access = AdminAccess(settings.base_url, ids.token(), os.getpid(), head.mode)
        metrics = Metrics()
        broker = LocalBroker()
        self.hub = Hub(text_frame, metrics)
        broker.listen(self.hub)
        self.pipeline = Pipeline(
            store, policy(settings, head.mode), ids.Randomness(), broker.commit, metrics, fail, clock,
            self.hub.flush
        )  # fmt: skip
        self.passwords = Passwords(settings.password_workers, settings.password_memory_kib)
        self.audits = Audits(settings.data / DATABASE, metrics)
        admin = AdminService(
            self.pipeline, store, self.passwords, settings.session_days, clock.now_ms, self.audits
        )
        self._wire_edge(admin, metrics, broker)

    def _wire_edge(self, admin: AdminService, metrics: Metrics, broker: LocalBroker) -> None:
        settings, store, pipeline, hub = self.settings, self.store, self.pipeline, self.hub
        limited = settings.rate_limits == "on"
        limits, paces = LIMITED if limited else UNLIMITED, Paces()
        trusted = Networks(settings.trusted_proxies)
        self.acceptor = Acceptor(
            Addresses(settings.connections_per_address if limited else 0, trusted), metrics
        )
        now_ms = pipeline.clock.now_ms
        auth = Auth(store, now_ms, self.access.token)
        guests = Guests(self.acceptor, on=limited)
        self.asks = AskLane(self.acceptor, hub, store, pipeline, make_rates(settings))
        grace = PresenceGrace(hub, self.acceptor.now)
        self.acceptor.wheel.add(grace)
        live = LiveLane(self.acceptor, hub, store, broker, pipeline, grace)
        hub.doubt = live.reconsider
        most = settings.connections_per_user if limited else 0
        admission = Admission(
            self.acceptor, auth, guests, hub, store, pipeline, paces, limits, self.head.mode, most
        )
        origins = origins_of(settings)
        self.lanes = Lanes(hub, pipeline.submit, admission, self.asks, live, limits, origins, now_ms)
        api = Api(
            settings, self.acceptor, auth, guests, paces, limits, self.asks, store, pipeline, admin,
            Readiness(store, pipeline, settings.data), Statements(store),
        )  # fmt: skip
        self.routes = Counted(api.app(), self.acceptor.addresses, crowded)
        add_gauges(self.acceptor, hub, pipeline, lambda: len(self.asks.rates.refused()))

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[None]:
        """The road, and what goes on beside it: begun together, and ended in order."""
        self.pipeline.start(self.head)
        loop = asyncio.get_running_loop()
        sweeping = loop.create_task(keep_sweeping(self.store, self.pipeline), name="sweep")
        checking = loop.create_task(self.audits.keep(self.settings.verify_every_hours), name="audits")
        try:
            yield
        finally:
            sweeping.cancel()
            checking.cancel()
            await self.audits.stop()
            await self.pipeline.stop()
            self.passwords.close()


async def built(settings: Settings, store: Store, fail: Callable[[], None]) -> App:
    """A server that goes on from what is stored."""
    head = await store.head()
    app = App(settings, store, head, await _clock(store, head, policy(settings, head.mode)), fail)
    app.passwords.learn(await store.password_kinds())
    return app


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
    def fail() -> None:
        server.fail()

    app = await built(msgspec.structs.replace(settings, port=sockets[0].getsockname()[1]), store, fail)
    head, access = app.head, app.access

    def started() -> None:
        _write_access(settings.data, access)
        gc.freeze()
        announce(access)
        log.info("started", pid=access.pid, url=access.url, mode=head.mode, epoch=head.epoch, pos=head.pos)

    def stop() -> None:
        server.should_exit = True

    config = configured(settings, app.acceptor, app.lanes, app.routes)
    server = Server(config, app.acceptor, app.pipeline, started)
    reloader = Reloader(
        settings, head.mode, app.pipeline, app.asks, reread, lambda: config.ssl if config.loaded else None
    )
    try:
        async with app.under_way():
            with quiet_signals(), hang_up(stop, reloader.reload, app.acceptor.wheel):
                await server.serve(sockets)
    finally:
        (settings.data / ADMIN_ACCESS).unlink(missing_ok=True)
        log.info("stopped", pid=access.pid, failed=server.failed)
    return 1 if server.failed or not server.started else 0


def _write_access(data: Path, access: AdminAccess) -> None:
    """Tell where the server listens, and whoever may read the directory how to be the operator."""
    path = data / ADMIN_ACCESS
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(access))


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
