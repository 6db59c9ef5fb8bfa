"""The session without I/O, both sides. Bytes go in, decisions come out; no clock, no socket, no randomness.

The server side says what a received frame may do now. The client side keeps the resume cursor, the frames
that have not been settled yet, and the rule that turns what arrives into every event once, in order and
without a gap.
"""

from enum import Enum
from typing import Final

from msgspec import UNSET, Raw, Struct

from . import codec, kinds
from . import events as ev
from .errors import CLOSES, CloseCode, Refusal
from .kinds import Hello
from .limits import PAGE_EVENTS_MAX, PROTOCOL_VERSION
from .shapes import Durable, Frame


class Phase(Enum):
    """Where a session stands. It moves down this list only; a new connection starts a new session."""

    NEW = 1
    ADMITTING = 2
    READY = 3
    CLOSED = 4


class Refused(Struct, frozen=True):
    """A frame that gets an `error`; the session lives on."""

    refusal: Refusal
    ref: str | None


_READY: Final = Phase.READY
"""A name of its own, as Python looks members of an enum up slowly, and this one for every frame."""
_NOT_READY: Final = Refusal("not_ready", "Say hello first.", "$.kind")
_ONE_HELLO: Final = Refusal("bad_frame", "One hello for each connection.", "$.kind")
_ADMITTING: Final = Refusal("not_ready", "Wait for ready.", "$.kind", retry_ms=100)


class ServerSession:
    """The server's side of one connection."""

    __slots__ = ("phase",)

    def __init__(self) -> None:
        self.phase = Phase.NEW

    def receive(self, raw: bytes) -> codec.Decoded | Refused | CloseCode:
        """Judge one text message: a frame to act on, an error to answer, or the code to close with."""
        decoded = codec.decode_client(raw)
        if type(decoded) is Refusal:
            return Refused(decoded, codec.claimed_id(raw))
        if self.phase is _READY:
            if type(decoded.frame) is Hello:
                return Refused(_ONE_HELLO, None)
            return decoded
        return self._before_ready(decoded)

    def _before_ready(self, decoded: codec.Decoded) -> codec.Decoded | Refused | CloseCode:
        frame = decoded.frame
        if self.phase is Phase.NEW and isinstance(frame, Hello):
            if frame.body.version != PROTOCOL_VERSION:
                return CLOSES["version"]
            self.phase = Phase.ADMITTING
            return decoded
        refusal = _ADMITTING if self.phase is Phase.ADMITTING else _NOT_READY
        return Refused(refusal, getattr(frame, "id", None))

    def admitted(self) -> None:
        """The hello was good; everything may come now."""
        self.phase = Phase.READY

    def closed(self) -> None:
        """Nothing may come any more."""
        self.phase = Phase.CLOSED


# --- client ---------------------------------------------------------------------------------------


class Opened(Struct, frozen=True):
    """The session is ready; `resumed` tells whether the missed events follow."""

    ready: kinds.ReadyBody


class Deliver(Struct, frozen=True):
    """An event to show, in order and once."""

    event: ev.Event


class Settled(Struct, frozen=True):
    """The outcome of a durable frame: its event, or the refusal."""

    id: str
    outcome: ev.Event | kinds.ErrorBody


class Answered(Struct, frozen=True):
    """The outcome of an ask."""

    ref: str
    outcome: Raw | kinds.ErrorBody


class Noticed(Struct, frozen=True):
    """A live frame, a pong, `synced`, or an error that names no frame."""

    message: codec.ServerMessage


class Gap(Struct, frozen=True):
    """Events are missing: unless they arrive within GAP_WAIT_MS, send `ClientSession.gap_frame`."""

    conv: str


class Ended(Struct, frozen=True):
    """The server said goodbye."""

    bye: kinds.ByeBody


Effect = Opened | Deliver | Settled | Answered | Noticed | Gap | Ended


class ClientSession:
    """The client's side, over many connections.

    Call `hello` on each new connection and send what it returns; once `caught_up` send everything in
    `unsettled`; feed every message to `receive`; call `lost` when a connection ends.
    """

    def __init__(self, token: str, device: str, client: str) -> None:
        self.token = token
        self.device = device
        self.client = client
        self.epoch: str | None = None
        self.pos = 0
        self.user: str | None = None
        self.ready = False
        self.caught_up = False
        self.unsettled: dict[str, bytes] = {}
        self._last: dict[str, int] = {}
        self._held: dict[str, dict[int, ev.Event]] = {}
        self._seen_pos = 0

    def resume(self, epoch: str | None, pos: int) -> None:
        """Take up a cursor that was saved; before the first hello."""
        self.epoch = epoch
        self.pos = self._seen_pos = pos

    def hello(self) -> bytes:
        """The first frame of a connection, with the cursor if there is one."""
        cursor = (UNSET, UNSET) if self.epoch is None else (self.epoch, self.pos)
        body = kinds.HelloBody(
            token=self.token, device=self.device, client=self.client, epoch=cursor[0], pos=cursor[1]
        )
        return codec.encode(Hello(body=body))

    def ping(self) -> bytes:
        """The heartbeat, which acknowledges what was delivered."""
        return codec.encode(kinds.Ping(body=kinds.PingBody(pos=self.pos)))

    def submit(self, frame: Durable) -> bytes:
        """Keep a durable frame until it is settled; send the bytes now if `caught_up`, else then.

        Not before: the answer to a frame re-sent during the replay could overtake the events before it, and
        the cursor would pass what has not come yet.
        """
        raw = codec.encode(frame)
        self.unsettled[frame.id] = raw
        return raw

    def forget(self, id: str) -> None:
        """Stop re-sending a frame; whether it was stored is then unknown."""
        self.unsettled.pop(id, None)

    def lost(self) -> None:
        """The connection is gone; what was held comes again with the replay, so the cursor stays behind."""
        self.ready = self.caught_up = False
        self._held.clear()
        self._seen_pos = self.pos

    def gap_frame(self, conv: str, id: str) -> Frame | None:
        """The ask that fills the gap in `conv`; None if it has closed by itself."""
        held = self._held.get(conv)
        if not held:
            return None
        body = kinds.HistoryBody(after=self._last[conv], limit=PAGE_EVENTS_MAX)
        return kinds.AskHistory(id=id, conv=conv, body=body)

    def fill(self, events: list[ev.RawEvent]) -> list[Effect]:
        """Take in events that `gap_frame` brought."""
        effects: list[Effect] = []
        for event in events:
            effects += self._apply(codec.open_event(event))
        return effects

    def skip(self, conv: str) -> list[Effect]:
        """Deliver what is held in `conv` although events before it are missing: the server has none."""
        held = self._held.get(conv)
        return self._release(held.pop(min(held))) if held else []

    def receive(self, raw: bytes | str) -> list[Effect]:
        """Take one message from the server.

        Raises:
            ValueError: where it is not a frame at all.
        """
        message = codec.decode_server(raw)
        match message:
            case None:
                return []
            case ev.Event():
                return self._event(message)
            case kinds.Ready():
                return [self._open(message.body)]
            case kinds.Error():
                return [self._error(message)]
            case kinds.Result():
                return [Answered(message.ref, message.body)]
            case kinds.Bye():
                return [Ended(message.body)]
            case kinds.Synced():
                self.caught_up = True
                self._advance(message.body.pos)
        return [Noticed(message)]

    def _open(self, ready: kinds.ReadyBody) -> Opened:
        self.ready = True
        self.caught_up = not ready.resumed
        self.user = ready.user.id
        self.epoch = ready.epoch
        if not ready.resumed:
            self.pos = self._seen_pos = ready.pos
            self._held.clear()
            self._last = {view.conv: view.seq for view in ready.conversations}
        return Opened(ready)

    def _error(self, message: kinds.Error) -> Effect:
        ref = message.ref
        if ref is None:
            return Noticed(message)
        if ref not in self.unsettled:
            return Answered(ref, message.body)
        if message.body.final:
            del self.unsettled[ref]
        return Settled(ref, message.body)

    def _event(self, event: ev.Event) -> list[Effect]:
        effects: list[Effect] = []
        if self.unsettled.pop(event.id, None) is not None:
            effects.append(Settled(event.id, event))
        return effects + self._apply(event)

    def _apply(self, event: ev.Event) -> list[Effect]:
        last = self._last.get(event.conv)
        if last is not None and event.seq <= last:
            return []
        if last is not None and event.seq > last + 1 and not self._comes_back(event):
            held = self._held.setdefault(event.conv, {})
            held[event.seq] = event
            self._seen_pos = max(self._seen_pos, event.pos)
            return [Gap(event.conv)] if len(held) == 1 else []
        return self._release(event)

    def _comes_back(self, event: ev.Event) -> bool:
        """Who comes back to a group sees it from the invitation on."""
        return isinstance(event.body, kinds.MembersInvited) and self.user in event.body.users

    def _release(self, event: ev.Event) -> list[Effect]:
        effects: list[Effect] = [self._deliver(event)]
        held = self._held.get(event.conv, {})
        for seq in sorted(held):
            if seq > self._last[event.conv] + 1:
                break
            following = held.pop(seq)
            if seq > self._last[event.conv]:
                effects.append(self._deliver(following))
        if not held:
            self._held.pop(event.conv, None)
        self._advance(event.pos)
        return effects

    def _deliver(self, event: ev.Event) -> Deliver:
        self._last[event.conv] = event.seq
        return Deliver(event)

    def _advance(self, pos: int) -> None:
        """Move the cursor; never past an event that is still missing."""
        self._seen_pos = max(self._seen_pos, pos)
        if not self._held:
            self.pos = max(self.pos, self._seen_pos)
