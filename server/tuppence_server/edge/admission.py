"""From hello to ready: who is it, join the hub first, read the log second, drain third;
nothing lost or doubled."""

from typing import TYPE_CHECKING

import structlog
from msgspec import UNSET, Struct

from tuppence_protocol import codec, limits
from tuppence_protocol.errors import CLOSES
from tuppence_protocol.kinds import Hello, LimitsView, RateView, Ready, ReadyBody, Synced, SyncedBody
from tuppence_server.domain.commands import StartEpoch
from tuppence_server.domain.request import Request as Submission
from tuppence_server.domain.rows import OPERATOR
from tuppence_server.domain.views import balance_view, user_view
from tuppence_server.hub.hub import Hub
from tuppence_server.ids import epoch
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import Cursor, Identity, SessionReads, Snapshot

from .acceptor import Acceptor
from .auth import Auth
from .guests import Guests
from .rate_limits import Paces, RateLimits
from .rfc6455 import text_frame

if TYPE_CHECKING:
    from .connection import Socket

log = structlog.get_logger("tuppence.edge")


class Admission(Struct):
    """Lets connections in, `connections_max` of one person at most; 0 for as many as they like."""

    acceptor: Acceptor
    auth: Auth
    guests: Guests
    hub: Hub
    store: SessionReads
    pipeline: Pipeline
    paces: Paces
    limits: RateLimits
    mode: str
    connections_max: int
    epoch_doubted: bool = False

    async def admit(self, socket: "Socket", hello: Hello) -> None:
        """Let a connection in, or close it with the reason."""
        try:
            await self._judge(socket, hello)
        except Exception:
            log.exception("admission_fault")
            socket.close(CLOSES["server_error"], retry_ms=1_000)

    async def _judge(self, socket: "Socket", hello: Hello) -> None:
        if _too_soon(socket, self.guests.says_hello(socket.address)):
            return
        identity = await self.auth.judge(hello.body.token)
        if isinstance(identity, str):
            socket.close(CLOSES[identity])
        elif not _too_soon(socket, self.guests.is_admitted(identity.user.id)) and socket.open:
            await self._join(socket, identity, hello)

    async def _join(self, socket: "Socket", identity: Identity, hello: Hello) -> None:
        user, hub, store = identity.user, self.hub, self.store
        groups = await store.groups(user.id)
        if socket.transport is None:
            return
        device = hello.body.device or None
        self._make_room(user.id, device)
        person = hub.people.get(user.id)
        if person is not None and 0 < self.connections_max <= sum(other.open for other in person.outboxes):
            socket.close(CLOSES["too_many_connections"])
            return
        socket.session_id, socket.device = identity.session.id, device
        socket.expires_at = identity.session.expires_at
        socket.pace = self.paces.of(user.id, self.acceptor.now())
        socket.pace.holders += 1
        hub.attach(socket, user.id, user.handle, groups)
        body = hello.body
        cursor = Cursor(body.epoch, body.pos) if body.epoch and isinstance(body.pos, int) else None
        snapshot = await store.snapshot(user.id, identity.session.id, cursor)
        if cursor is not None and cursor.epoch == snapshot.epoch and cursor.pos > snapshot.pos:
            await self._note_loss(user.id, cursor, snapshot)
            snapshot = await store.snapshot(user.id, identity.session.id, cursor)
        while socket.transport is not None and hub.enter(socket, snapshot.groups):
            snapshot = await store.snapshot(user.id, identity.session.id, cursor)
        if not socket.open:
            return
        if not snapshot.alive:
            socket.close(CLOSES["bad_token"])
            return
        socket.session.admitted()
        hub.admit(socket, snapshot.pos, snapshot.groups, self._greeting(identity, snapshot))

    async def _note_loss(self, user: str, cursor: Cursor, snapshot: Snapshot) -> None:
        """A client holds events that the log does not have: some were lost,
        so what others hold may be others by now.

        A new epoch makes everybody read anew. Once in the life of a server,
        since a cursor can also be made up.
        """
        self.acceptor.metrics.cursors_ahead += 1
        begin, self.epoch_doubted = not self.epoch_doubted, True
        log.warning("cursor_ahead", user=user, cursor=cursor.pos, pos=snapshot.pos, new_epoch=begin)
        if begin:
            await self.pipeline.ask(Submission(StartEpoch(epoch(), cursor.epoch), OPERATOR))

    def _make_room(self, user: str, device: str | None) -> None:
        """The same device again: the newer connection wins."""
        person = self.hub.people.get(user)
        if person is None or device is None:
            return
        for other in person.outboxes:
            if other.device == device:
                other.close(CLOSES["replaced"])

    def _greeting(self, identity: Identity, snapshot: Snapshot) -> list[bytes]:
        missed, why = snapshot.missed, snapshot.why
        body = ReadyBody(
            user=user_view(identity.user),
            session=identity.session.id,
            epoch=snapshot.epoch,
            pos=snapshot.pos,
            resumed=missed is not None,
            heartbeat_ms=limits.HEARTBEAT_MS,
            now=self.pipeline.now_ms(),
            limits=_limits(self.limits),
            conversations=snapshot.conversations,
            balances=[balance_view(f.currency, f.available, f.held, snapshot.pos) for f in snapshot.funds],
            mode=self.mode,
            why=UNSET if why is None else why,
        )
        frames = [codec.encode(Ready(body=body))]
        frames += [event.wire for event in missed or ()]
        frames.append(codec.encode(Synced(body=SyncedBody(pos=snapshot.pos))))
        return [b"".join([text_frame(frame) for frame in frames])]


def _too_soon(socket: "Socket", wait_ms: int) -> bool:
    if wait_ms:
        socket.close(CLOSES["rate_limited"], retry_ms=wait_ms)
    return bool(wait_ms)


def _limits(rates: RateLimits) -> LimitsView:
    durable, live, ask = (None if each is None else RateView(each.per_s, each.burst) for each in rates.lanes)
    return LimitsView(
        limits.FRAME_BYTES_MAX, limits.TEXT_CHARS_MAX, limits.PAGE_EVENTS_MAX, durable, live, ask
    )
