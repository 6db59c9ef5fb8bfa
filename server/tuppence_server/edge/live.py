"""The live lane: typing, read marks, presence, heartbeats. Nothing here becomes an event."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import LiveRead, LiveTyping, LiveWatch, Ping, Pong, PongBody, TypingNotice
from tuppence_protocol.shapes import Live
from tuppence_server.domain.commands import MarkSeen
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.request import Request
from tuppence_server.hub.broker import Broker, Whisper
from tuppence_server.hub.hub import Doubt, Hub
from tuppence_server.hub.presence import Person
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.store.contract import ChatReads

from .acceptor import Acceptor
from .asks import FAILED, NO_CONVERSATION
from .presence_grace import PresenceGrace
from .rfc6455 import text_frame

if TYPE_CHECKING:
    from .connection import Socket

log = structlog.get_logger("tuppence.edge")


class LiveLane(Struct):
    """Acts on live frames, and sees people go."""

    acceptor: Acceptor
    hub: Hub
    store: ChatReads
    broker: Broker
    pipeline: Pipeline
    grace: PresenceGrace

    async def act(self, socket: "Socket", frame: Live) -> None:
        """Carry out one live frame; a refusal comes back without `ref`."""
        person = socket.person
        if person is None:
            return
        try:
            refusal = await self._act(socket, person, frame)
        except Exception:
            log.exception("live_fault", kind=frame.kind)
            refusal = FAILED
        if refusal is not None:
            socket.refuse(refusal, None)
        self.hub.flush()

    async def _act(self, socket: "Socket", person: Person, frame: Live) -> Refusal | None:
        if isinstance(frame, LiveWatch):
            socket.watches += 1
            near = await self._acquainted(person.id, frame.body.users)
            self.hub.people.watch(socket, frozenset(near))
            self.hub.show(socket, near)
            return None
        assert isinstance(frame, (LiveTyping, LiveRead)), "the lane has three kinds"
        info = await self.store.conversation(person.id, frame.conv)
        if info is None:
            return NO_CONVERSATION
        if isinstance(frame, LiveRead):
            return self._mark(info.conv, person.id, read=frame.body.seq, delivered=0)
        notice = codec.encode(TypingNotice(conv=info.conv, from_=person.id))
        self.broker.whisper(Whisper(info.conv, info.people, person.id, notice))
        return None

    async def _acquainted(self, person: str, users: Iterable[str]) -> list[str]:
        """Who of these shares a conversation with the person,
        as of a moment after which nobody has left one."""
        named = list(users)
        while True:
            partings = self.hub.partings
            near = await self.store.acquainted(person, named)
            if self.hub.partings == partings:
                return near

    def reconsider(self, doubts: list[Doubt]) -> None:
        """Find out who still shares a conversation with whom they watched; they go on watching those."""
        self.acceptor.spawn(self._reconsider(doubts))

    async def _reconsider(self, doubts: list[Doubt]) -> None:
        for outbox, users, watches in doubts:
            person = outbox.person
            if person is None or outbox not in person.outboxes:
                continue
            try:
                near = await self._acquainted(person.id, users)
            except Exception:
                log.exception("live_fault", kind="live.watch")
                continue
            if outbox.watches == watches and outbox in person.outboxes:
                self.hub.people.watch(outbox, outbox.watched | frozenset(near))
                self.hub.show(outbox, near)
        self.hub.flush()

    def beat(self, socket: "Socket", frame: Ping) -> None:
        """Answer a heartbeat; what it acknowledges moves the delivered marks."""
        socket.push_answer(text_frame(codec.encode(Pong(body=PongBody(now=self.pipeline.now_ms())))))
        person, pos = socket.person, frame.body.pos
        if person is not None and isinstance(pos, int):
            for conv, seq in person.acknowledge(pos):
                self._mark(conv, person.id, read=0, delivered=seq)

    def _mark(self, conv: str, user: str, *, read: int, delivered: int) -> Refusal | None:
        return self.pipeline.submit(Request(MarkSeen(conv, user, read, delivered), user), _unheard)

    def departed(self, socket: "Socket", *, clean: bool) -> None:
        """A connection ended: the hub forgets it, and presence follows at once or after the grace."""
        person = self.hub.detach(socket, self.pipeline.now_ms())
        if person is None:
            return
        if clean:
            self.hub.gone(person)
            self.hub.flush()
        else:
            self.grace.add(person)


def _unheard(_request: Request, _outcome: Outcome) -> None:
    """Marks only move forward; one that was refused or lost is made good by the next."""
