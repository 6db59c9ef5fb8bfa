"""One WebSocket: uvicorn's transport below, websockets' Sans-I/O engine for RFC 6455, our session above.

No task and no timer belongs to a connection. Texts go to the lane that the frame's class names; whatever a
hostile peer does costs it a bounded budget and us bounded memory.
"""

import asyncio
from collections import deque
from typing import Final, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from tuppence_protocol import codec, limits
from tuppence_protocol.errors import CLOSES, RFC6455_CLOSES, CloseCode, Refusal
from tuppence_protocol.kinds import Bye, ByeBody, Hello, Ping
from tuppence_protocol.session import Phase, Refused, ServerSession
from tuppence_protocol.shapes import Ask, Durable, Live
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.request import Request
from tuppence_server.hub.outbox import OUTBOX_WRITE_BYTES_MAX, Outbox

from .acceptor import Acceptor
from .handshake import client_address, judge, make_engine, word_on_no_request
from .lanes import Lanes
from .rate_limits import (
    ASK,
    DURABLE,
    LIVE,
    NO_PACE,
    PENALTY_REFUSALS_MAX,
    PENALTY_WINDOW_S,
    UNLIMITED,
    RateLimit,
)
from .rfc6455 import WHOLE_TEXT, frame_end, is_utf8, text_frame, text_of
from .unread import Unread

CLOSE_WAIT_S: Final = 5.0
_CONTROL: Final = RateLimit(limits.CONTROL_FRAMES_PER_S_MAX, limits.CONTROL_FRAMES_BURST_MAX)
_CONNECTING: Final = State.CONNECTING
"""A name of its own, as Python looks members of an enum up slowly, and this one for whatever comes."""


class Socket(Outbox, asyncio.Protocol):
    """The server's end of one WebSocket. The outbox comes first:
    its `pause_writing` is the one that counts."""

    __slots__ = (
        "acceptor", "address", "answering", "asks", "closing_at", "control_at", "engine", "expires_at",
        "fragments", "heard", "lanes", "needed", "opened_at", "pace", "parts", "penalties", "penalty_at",
        "pinged_at", "rest", "session", "slot", "started_at", "transport", "unread",
    )  # fmt: skip

    def __init__(self, acceptor: Acceptor, lanes: Lanes) -> None:
        super().__init__(lanes.hub.touched)
        self.acceptor = acceptor
        self.lanes = lanes
        self.session = ServerSession()
        self.engine: ServerProtocol = make_engine(lanes.origins)
        self.transport: asyncio.Transport | None = None
        self.address = ""
        self.slot = 0
        self.heard = self.opened_at = self.started_at = acceptor.now()
        self.closing_at: float | None = None
        self.control_at = self.pinged_at = 0.0
        self.expires_at = 0
        self.pace = NO_PACE
        self.penalties = 0
        self.penalty_at = 0.0
        self.asks: deque[Ask] | None = None
        self.answering = False
        self.parts: list[bytes] | None = None
        self.rest: bytearray | None = None
        self.needed = 0
        self.fragments = 0
        self.unread: Unread | None = None

    @property
    def open(self) -> bool:
        """True while something can still be sent."""
        return self.transport is not None and self.closing_at is None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The HTTP side hands the connection over."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=OUTBOX_WRITE_BYTES_MAX)
        self.address = client_address(transport)
        self.slot = self.acceptor.wheel.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: read the frames in them and act on what they say."""
        self.heard = self.acceptor.now()
        if self.engine.state is _CONNECTING:
            self._engine_reads(data)
        elif self.rest is None:
            self._read(data)
        else:
            self.rest += data
            if len(self.rest) >= self.needed:
                whole, self.rest = self.rest, None
                self._read(whole)
        if self.touched:
            self.lanes.hub.flush()

    def _read(self, data: bytes | bytearray) -> None:
        """Take whole frames out of the data; keep what is left of one for later."""
        at, size = 0, len(data)
        while at < size:
            end = frame_end(data, at)
            if end < 0:
                self._engine_reads(bytes(data[at:]))
                return
            if not 0 < end <= size:
                self.rest, self.needed = bytearray(data[at:]), end - at if end else 0
                if self.parts is None:
                    self.started_at = self.heard
                return
            if self.closing_at is not None:
                if data[at] & 0x0F == Opcode.CLOSE:  # nothing else counts any more
                    self._engine_reads(bytes(data[at:end]))
            elif data[at] == WHOLE_TEXT and self.parts is None:
                self._text(text_of(data, at, end))
            else:
                self._engine_reads(bytes(data[at:end]))
            at = end

    def _engine_reads(self, data: bytes) -> None:
        engine = self.engine
        engine.receive_data(data)
        for event in engine.events_received():
            if isinstance(event, Frame):
                self._frame(event)
            else:
                self._handshake(cast("Handshake", event))
        if engine.writes:
            self._engine_output()

    def eof_received(self) -> None:
        """The peer sends nothing more."""
        self.engine.receive_eof()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, however it ended."""
        clean = self.engine.close_rcvd is not None and self.engine.close_rcvd.code in (1000, 1001)
        self.session.closed()
        self.discard()
        self.transport = None
        self.acceptor.wheel.remove(self, self.slot)
        self.acceptor.addresses.leave(self.address)
        if self.pace is not NO_PACE:
            self.pace.holders -= 1
        self.lanes.live.departed(self, clean=clean)

    # Outbox

    def transmit(self, data: bytes) -> None:
        """Hand bytes to the socket."""
        if self.transport is not None and self.closing_at is None:
            self.transport.write(data)

    def resume_writing(self) -> None:
        """The peer took everything; more may come."""
        self.unread = None
        super().resume_writing()
        self.lanes.asks.go_on(self)

    # Reading

    def _handshake(self, request: Handshake) -> None:
        addresses = self.acceptor.addresses
        forwarded = ", ".join(request.headers.get_all("X-Forwarded-For"))
        client = addresses.trusted.behind(self.address, forwarded)
        addresses.leave(self.address)
        addresses.enter(client)
        self.address = client
        response = judge(self.acceptor, self.engine, request, client)
        self.engine.send_response(response)
        self.engine.handshake_exc = None

    def _frame(self, frame: Frame) -> None:
        if self.closing_at is not None:
            return
        opcode = frame.opcode
        if opcode is Opcode.TEXT and frame.fin:
            self._text(bytes(frame.data))
        elif opcode is Opcode.TEXT or opcode is Opcode.CONT:
            self._fragment(frame)
        elif opcode is Opcode.BINARY:
            self._fail(1003)
        elif opcode is not Opcode.CLOSE:
            self._control()

    def _fragment(self, frame: Frame) -> None:
        if self.parts is None:
            self.parts, self.fragments, self.started_at = [], 0, self.heard
        self.fragments += 1
        if self.fragments > limits.FRAME_FRAGMENTS_MAX:
            self._fail(1008)
            return
        self.parts.append(bytes(frame.data))
        if frame.fin:
            text, self.parts = b"".join(self.parts), None
            self._text(text)

    def _control(self) -> None:
        """A ping or pong costs budget; the engine has answered it already."""
        state = _CONTROL.take(self.control_at, self.heard)
        if state < 0:
            self._fail(1008)
            return
        self.control_at = state

    def _text(self, raw: bytes) -> None:
        verdict = self.session.receive(raw)
        if isinstance(verdict, codec.Decoded):
            self._accept(verdict)
        elif isinstance(verdict, CloseCode):
            self.close(verdict)
        elif verdict.refusal.code == "bad_json" and not is_utf8(raw):
            self._fail(1007)
        else:
            self._refused(verdict)

    def _accept(self, decoded: codec.Decoded) -> None:
        """Send a frame down its lane."""
        frame = decoded.frame
        lanes, acceptor = self.lanes, self.acceptor
        acceptor.metrics.frames[frame.kind] += 1
        person = self.person
        if person is None:
            assert isinstance(frame, Hello), "a session is ready once its person is known"
            acceptor.spawn(lanes.admission.admit(self, frame))
        elif isinstance(frame, Durable):
            if wait := lanes.limits.wait_ms(DURABLE, self.pace, self.heard):
                self._slow_down(wait, frame.id)
                return
            refusal = lanes.submit(Request(frame, person.id, decoded.content), self.decided)
            if refusal is not None:
                self.refuse(refusal, frame.id)
        elif isinstance(frame, Ask):
            if wait := lanes.limits.wait_ms(ASK, self.pace, self.heard):
                self._slow_down(wait, frame.id)
            else:
                lanes.asks.ask(self, frame)
        elif wait := lanes.limits.wait_ms(LIVE, self.pace, self.heard):
            self._slow_down(wait, None)
        elif isinstance(frame, Live):
            acceptor.spawn(lanes.live.act(self, frame))
        else:
            lanes.live.beat(self, cast("Ping", frame))

    # Answering

    def decided(self, request: Request, outcome: Outcome) -> None:
        """The road is done with a frame; its event has gone to every member, the sender too."""
        if isinstance(outcome, Stored):
            if outcome.repeated and self.joining is None:
                self.push_answer(text_frame(codec.splice(outcome.event.head, outcome.event.body)))
        elif isinstance(outcome, Refusal):
            self.refuse(outcome, getattr(request.frame, "id", None))

    def refuse(self, refusal: Refusal, ref: str | None) -> None:
        """Answer with an `error` frame."""
        if not self.open:
            return
        self.acceptor.metrics.refusals[refusal.code] += 1
        self.push_answer(text_frame(codec.encode_error(refusal, ref)))

    def _refused(self, verdict: Refused) -> None:
        """A malformed frame costs pace as well, since it costs us work."""
        if self.person is not None:
            if wait := self.lanes.limits.wait_ms(DURABLE, self.pace, self.heard):
                self._slow_down(wait, verdict.ref)
                return
        elif self.lanes.limits is not UNLIMITED:
            self._penalise()
        self.refuse(verdict.refusal, verdict.ref)

    def _slow_down(self, wait_ms: int, ref: str | None) -> None:
        self.refuse(Refusal("rate_limited", "Too fast; wait retry_ms.", retry_ms=wait_ms), ref)
        self._penalise()

    def _penalise(self) -> None:
        if self.heard - self.penalty_at > PENALTY_WINDOW_S:
            self.penalty_at, self.penalties = self.heard, 0
        self.penalties += 1
        if self.penalties > PENALTY_REFUSALS_MAX:
            self.close(CLOSES["rate_limited"], retry_ms=int(PENALTY_WINDOW_S * 1000))

    def _left_unread(self, now: float) -> bool:
        waits = self.unread_bytes
        self.acceptor.pressure.note(waits, self)
        if self.unread is None:
            self.unread = Unread()
        return self.unread.late(waits - self.backlog_bytes, now)

    def cut(self) -> None:
        """End it at once, with what waits for it."""
        self.close(CLOSES["slow_consumer"])
        if self.transport is not None:
            self.transport.abort()

    def _ping(self, now: float) -> None:
        self.pinged_at = now
        self.engine.send_ping(b"")
        self._engine_output()

    # Ending

    def close(self, code: CloseCode, retry_ms: int | None = None) -> None:
        """Say goodbye and begin to close; what the peer still has to get goes first."""
        self._end(code.number, code.name, retry_ms)

    def _fail(self, number: int) -> None:
        """The peer broke RFC 6455 or its budget."""
        self._end(number, RFC6455_CLOSES[number], None)

    @property
    def unread_bytes(self) -> int:
        """What the peer has not taken yet, in the transport and behind it."""
        waits = 0 if self.transport is None else self.transport.get_write_buffer_size()
        return waits + self.backlog_bytes

    def _end(self, number: int, reason: str, retry_ms: int | None) -> None:
        transport = self.transport
        if transport is None or self.closing_at is not None:
            return
        self.flush()
        if self.closing_at is not None:  # the flush found the outbox full and closed
            return
        self.closing_at = self.acceptor.now()
        self.acceptor.metrics.closes[reason] += 1
        self.discard()
        if self.engine.state is not State.OPEN:
            transport.close()
            return
        body = ByeBody(code=number, reason=reason, retry_ms=retry_ms)
        self.engine.send_close(number, reason)
        output = self.engine.data_to_send()
        transport.write(text_frame(codec.encode(Bye(body=body))) + b"".join(output))
        self.session.closed()

    def _engine_output(self) -> None:
        """Write what the engine answered by itself: handshake, pongs, closing."""
        transport = self.transport
        output = self.engine.data_to_send()
        if transport is None or transport.is_closing():
            return
        sent = self.engine.close_sent
        if self.engine.parser_exc is not None and sent is not None and self.closing_at is None:
            reason = RFC6455_CLOSES.get(int(sent.code), "protocol_error")
            self.acceptor.metrics.closes[reason] += 1
            self.flush()
            bye = Bye(body=ByeBody(code=int(sent.code), reason=reason, retry_ms=None))
            self.transmit(text_frame(codec.encode(bye)))
        transport.write(word_on_no_request(self.acceptor, self.engine) + b"".join(output))
        if output and output[-1] == b"":
            self.closing_at = self.closing_at or self.acceptor.now()
            transport.close()

    # Deadlines

    def check(self, now: float) -> None:
        """Judge every deadline of this connection."""
        if self.closing_at is not None:
            if now - self.closing_at > CLOSE_WAIT_S and self.transport is not None:
                self.transport.abort()
        elif self.session.phase is not Phase.READY:
            if now - self.opened_at > limits.HELLO_MS_MAX / 1000:
                self.close(CLOSES["auth_timeout"])
        elif (
            self.parts is not None or self.rest is not None
        ) and now - self.started_at > limits.MESSAGE_COMPLETION_MS_MAX / 1000:
            self._fail(1008)
        elif self.paused and self._left_unread(now):
            self.close(CLOSES["slow_consumer"])
        elif now - self.heard > limits.SILENCE_MS_MAX / 1000:
            self.close(CLOSES["no_heartbeat"])
        elif now - self.heard > limits.SILENCE_PING_MS / 1000 and self.pinged_at < self.heard:
            self._ping(now)
        elif self.lanes.clock_ms() >= self.expires_at:
            self.close(CLOSES["token_expired"])
