"""The live lane: typing, read marks, presence, heartbeats. Nothing here becomes an event."""

from collections.abc import Iterable

import structlog

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import LiveRead, LiveTyping, LiveWatch, Ping, Pong, PongBody, TypingNotice
from tuppence_protocol.shapes import Live
from tuppence_server.domain.commands import MarkSeen
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.request import Request
from tuppence_server.hub.broker import Whisper
from tuppence_server.hub.hub import Doubt
from tuppence_server.hub.presence import Person

from .asks import FAILED, NO_CONVERSATION
from .peer import Peer
from .rfc6455 import text_frame
from .services import Services

log = structlog.get_logger("tuppence.edge")


async def act(services: Services, socket: Peer, frame: Live) -> None:
    """Carry out one live frame; a refusal comes back without `ref`."""
    person = socket.person
    if person is None:
        return
    try:
        refusal = await _act(services, socket, person, frame)
    except Exception:
        log.exception("live_fault", kind=frame.kind)
        refusal = FAILED
    if refusal is not None:
        socket.refuse(refusal, None)
    services.hub.flush()


async def _act(services: Services, socket: Peer, person: Person, frame: Live) -> Refusal | None:
    if isinstance(frame, LiveWatch):
        socket.watches += 1
        near = await _acquainted(services, person.id, frame.body.users)
        services.hub.people.watch(socket, frozenset(near))
        services.hub.show(socket, near)
        return None
    assert isinstance(frame, (LiveTyping, LiveRead)), "the lane has three kinds"
    place = await services.store.place(person.id, frame.conv)
    if place is None:
        return NO_CONVERSATION
    if isinstance(frame, LiveRead):
        return _mark(services, place.conv, person.id, read=frame.body.seq, delivered=0)
    notice = codec.encode(TypingNotice(conv=place.conv, from_=person.id))
    services.broker.whisper(Whisper(place.conv, place.people, person.id, notice))
    return None


async def _acquainted(services: Services, person: str, users: Iterable[str]) -> list[str]:
    """Who of these shares a conversation with the person, as of a moment after which nobody has left one."""
    named = list(users)
    while True:
        partings = services.hub.partings
        near = await services.store.acquainted(person, named)
        if services.hub.partings == partings:
            return near


def reconsider(services: Services, doubts: list[Doubt]) -> None:
    """Find out who still shares a conversation with whom they watched; they go on watching those."""
    services.spawn(_reconsider(services, doubts))


async def _reconsider(services: Services, doubts: list[Doubt]) -> None:
    for outbox, users, watches in doubts:
        person = outbox.person
        if person is None or outbox not in person.outboxes:
            continue
        try:
            near = await _acquainted(services, person.id, users)
        except Exception:
            log.exception("live_fault", kind="live.watch")
            continue
        if outbox.watches == watches and outbox in person.outboxes:
            services.hub.people.watch(outbox, outbox.watched | frozenset(near))
            services.hub.show(outbox, near)
    services.hub.flush()


def beat(services: Services, socket: Peer, frame: Ping) -> None:
    """Answer a heartbeat; what it acknowledges moves the delivered marks."""
    socket.push_answer(text_frame(codec.encode(Pong(body=PongBody(now=services.clock_ms())))))
    person, pos = socket.person, frame.body.pos
    if person is not None and isinstance(pos, int):
        for conv, seq in person.acknowledge(pos):
            _mark(services, conv, person.id, read=0, delivered=seq)


def _mark(services: Services, conv: str, user: str, *, read: int, delivered: int) -> Refusal | None:
    return services.pipeline.submit(Request(MarkSeen(conv, user, read, delivered), user), _unheard)


def _unheard(_request: Request, _outcome: Outcome) -> None:
    """Marks only move forward; one that was refused or lost is made good by the next."""


def departed(services: Services, socket: Peer, *, clean: bool) -> None:
    """A connection ended: the hub forgets it, and presence follows at once or after the grace."""
    person = services.hub.detach(socket, services.clock_ms())
    if person is None:
        return
    if clean:
        services.hub.gone(person)
        services.hub.flush()
    else:
        services.departures.add(person)
