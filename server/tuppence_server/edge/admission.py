"""From hello to ready: who is it, join the hub first, read the log second, drain third; nothing lost or doubled."""

import structlog
from msgspec import UNSET

from tuppence_protocol import codec, limits
from tuppence_protocol.errors import CLOSES, CloseCode
from tuppence_protocol.kinds import Hello, LimitsView, RateView, Ready, ReadyBody, Synced, SyncedBody
from tuppence_server.config.networks import key
from tuppence_server.domain.commands import StartEpoch
from tuppence_server.domain.request import Request as Submission
from tuppence_server.domain.rows import OPERATOR
from tuppence_server.domain.views import balance_view, user_view
from tuppence_server.ids import epoch, token_hash
from tuppence_server.store.contract import Cursor, Identity, Snapshot

from .peer import Peer
from .rate_limits import Rate, Rates
from .rfc6455 import text_frame
from .services import Services

log = structlog.get_logger("tuppence.edge")


async def admit(services: Services, socket: Peer, hello: Hello) -> None:
    """Let a connection in, or close it with the reason."""
    if _too_soon(socket, _address_wait_ms(services, socket.address)):
        return
    try:
        identity = await services.store.identify(token_hash(hello.body.token))
        refused = _judge(services, identity)
        if refused is not None or identity is None:
            socket.close(refused or CLOSES["bad_token"])
            return
        if _too_soon(socket, _person_wait_ms(services, identity.user.id)):
            return
        if socket.transport is not None:
            await _join(services, socket, identity, hello)
    except Exception:
        log.exception("admission_fault")
        socket.close(CLOSES["server_error"], retry_ms=1_000)


def _address_wait_ms(services: Services, address: str) -> int:
    arrivals = services.arrivals
    if arrivals is None or not services.addresses.counts(address):
        return 0
    return arrivals.of_address(key(address), services.loop.time())


def _person_wait_ms(services: Services, user: str) -> int:
    arrivals = services.arrivals
    return 0 if arrivals is None else arrivals.of_person(user, services.loop.time())


def _too_soon(socket: Peer, wait_ms: int) -> bool:
    if wait_ms:
        socket.close(CLOSES["rate_limited"], retry_ms=wait_ms)
    return bool(wait_ms)


def _judge(services: Services, identity: Identity | None) -> CloseCode | None:
    if identity is None or identity.session.revoked_at is not None:
        return CLOSES["bad_token"]
    if identity.user.disabled:
        return CLOSES["account_disabled"]
    if identity.session.expires_at <= services.clock_ms():
        return CLOSES["token_expired"]
    return None


async def _join(services: Services, socket: Peer, identity: Identity, hello: Hello) -> None:
    user, hub = identity.user, services.hub
    groups = await services.store.groups(user.id)
    if socket.transport is None:
        return
    device = hello.body.device or None
    _make_room(services, user.id, device)
    person = hub.people.get(user.id)
    if person is not None and services.settings.rate_limits == "on":
        open_now = [other for other in person.outboxes if isinstance(other, Peer) and other.open]
        if len(open_now) >= services.settings.connections_per_user:
            socket.close(CLOSES["too_many_connections"])
            return
    socket.session_id, socket.device = identity.session.id, device
    socket.expires_at = identity.session.expires_at
    socket.pace = services.paces.of(user.id, services.loop.time())
    socket.pace.holders += 1
    hub.attach(socket, user.id, user.handle, groups)
    body = hello.body
    cursor = Cursor(body.epoch, body.pos) if body.epoch and isinstance(body.pos, int) else None
    snapshot = await services.store.snapshot(user.id, identity.session.id, cursor)
    if cursor is not None and cursor.epoch == snapshot.epoch and cursor.pos > snapshot.pos:
        await _note_loss(services, user.id, cursor, snapshot)
        snapshot = await services.store.snapshot(user.id, identity.session.id, cursor)
    while socket.transport is not None and hub.enter(socket, snapshot.groups):
        snapshot = await services.store.snapshot(user.id, identity.session.id, cursor)
    if not socket.open:
        return
    if not snapshot.alive:
        socket.close(CLOSES["bad_token"])
        return
    socket.session.admitted()
    hub.admit(socket, snapshot.pos, snapshot.groups, _greeting(services, identity, snapshot))


async def _note_loss(services: Services, user: str, cursor: Cursor, snapshot: Snapshot) -> None:
    """A client holds events that the log does not have: some were lost, so what others hold may be others by
    now.

    A new epoch makes everybody read anew. Once in the life of a server, since a cursor can also be made up.
    """
    services.metrics.cursors_ahead += 1
    begin, services.epoch_doubted = not services.epoch_doubted, True
    log.warning("cursor_ahead", user=user, cursor=cursor.pos, pos=snapshot.pos, new_epoch=begin)
    if begin:
        await services.pipeline.ask(Submission(StartEpoch(epoch(), cursor.epoch), OPERATOR))


def _make_room(services: Services, user: str, device: str | None) -> None:
    """The same device again: the newer connection wins."""
    person = services.hub.people.get(user)
    if person is None or device is None:
        return
    for other in person.outboxes:
        if isinstance(other, Peer) and other.device == device:
            other.close(CLOSES["replaced"])


def _greeting(services: Services, identity: Identity, snapshot: Snapshot) -> list[bytes]:
    missed, why = snapshot.missed, snapshot.why
    body = ReadyBody(
        user=user_view(identity.user),
        session=identity.session.id,
        epoch=snapshot.epoch,
        pos=snapshot.pos,
        resumed=missed is not None,
        heartbeat_ms=limits.HEARTBEAT_MS,
        now=services.clock_ms(),
        limits=_limits(services.rates),
        conversations=snapshot.conversations,
        balances=[balance_view(f.currency, f.available, f.held, snapshot.pos) for f in snapshot.funds],
        mode=services.mode,
        why=UNSET if why is None else why,
    )
    frames = [codec.encode(Ready(body=body))]
    frames += [event.wire for event in missed or ()]
    frames.append(codec.encode(Synced(body=SyncedBody(pos=snapshot.pos))))
    return [b"".join([text_frame(frame) for frame in frames])]


def _limits(rates: Rates) -> LimitsView:
    return LimitsView(
        frame_bytes=limits.FRAME_BYTES_MAX,
        text_chars=limits.TEXT_CHARS_MAX,
        page_events=limits.PAGE_EVENTS_MAX,
        durable=_view(rates.durable),
        live=_view(rates.live),
        ask=_view(rates.ask),
    )


def _view(rate: Rate | None) -> RateView | None:
    return None if rate is None else rate.view()
