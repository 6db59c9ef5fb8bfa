"""What the fake server knows, and what of it each user may read. Plain lists, no limits, no I/O."""

import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import UNSET, Struct

from tuppence_protocol import codec, kinds, limits, payments, shapes
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import BalanceView, UserView

NOT_FOUND = Refusal("not_found", "There is no such thing, or it is not yours to see.")


def not_here(kind: str) -> Refusal:
    """The refusal of a kind that this server does not play, so that no test takes it for the real thing."""
    message = f"The fake server plays chat and plain payments, not {kind}: use a sandbox server."
    return Refusal("unknown_kind", message, "$.kind")


@dataclass
class Place:
    """A conversation. By user id: the role, the first seq seen, the last seq seen (who has left), the mark."""

    conv: str
    kind: str
    title: str = ""
    members: dict[str, str] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    until: dict[str, int] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class Reads:
    """The state of the fake server and its read side."""

    def __init__(self) -> None:
        self.mode = "live"
        self.epoch = secrets.token_hex(4)
        self.users: dict[str, UserView] = {}
        self.places: dict[str, Place] = {}
        self.log: list[Event] = []
        self.by_id: dict[str, Event | Refusal] = {}
        self.money: dict[tuple[str, str], int] = {}

    @property
    def pos(self) -> int:
        """The end of the log."""
        return len(self.log)

    def person(self, name: str) -> UserView | None:
        """A user by handle, with or without @, or by id."""
        found = self.users.get(name.removeprefix("@"))
        return found or next((user for user in self.users.values() if user.id == name), None)

    def place_of(self, me: UserView, name: str) -> Place | None:
        """The conversation that a user calls `name`, if it exists and is theirs."""
        if name.startswith("c_"):
            place = self.places.get(name)
            return place if place and me.id in place.members else None
        other = me if name == "self" else self.person(name)
        pair = {me.id, other.id} if other else None
        for place in self.places.values():
            if place.kind != "group" and set(place.members) == pair:
                return place
        return None

    # --- what a member sees --------------------------------------------------------------------------

    def sees(self, handle: str, event: Event) -> bool:
        """True where the event is for that user: a member then, or the one it removes."""
        me = self.users[handle].id
        place = self.places[event.conv]
        since, until = place.since.get(me), place.until.get(me, event.seq)
        return since is not None and since <= event.seq <= until

    def visible(self, handle: str, after: int = 0) -> list[Event]:
        """The part of the log behind a cursor that is for that user."""
        return [event for event in self.log[after:] if self.sees(handle, event)]

    def ready(self, handle: str, heartbeat_ms: int, *, resumed: bool, epoch: object) -> kinds.Ready:
        """The answer to a good hello."""
        bounds = kinds.LimitsView(limits.FRAME_BYTES_MAX, limits.TEXT_CHARS_MAX, limits.PAGE_EVENTS_MAX)
        body = kinds.ReadyBody(
            user=self.users[handle],
            session=new_id("s_"),
            epoch=self.epoch,
            pos=self.pos,
            resumed=resumed,
            heartbeat_ms=heartbeat_ms,
            now=now_ms(),
            limits=bounds,
            conversations=self.views(handle),
            balances=self.wallet(handle),
            mode=self.mode,
            why=UNSET if resumed else self._why(epoch),
        )
        return kinds.Ready(body=body)

    def _why(self, epoch: object) -> str:
        return "first" if epoch is UNSET else "too_far" if epoch == self.epoch else "epoch"

    def views(self, handle: str) -> list[kinds.ConversationView]:
        """That user's conversations, latest first."""
        me = self.users[handle].id
        places = [place for place in self.places.values() if me in place.members]
        return sorted((self._view(place, me) for place in places), key=lambda view: -view.pos)

    def _view(self, place: Place, me: str) -> kinds.ConversationView:
        others = [user for user in self.users.values() if user.id in place.members and user.id != me]
        last = place.events[-1] if place.events else None
        return kinds.ConversationView(
            conv=place.conv,
            kind=place.kind,
            seq=last.seq if last else 0,
            pos=last.pos if last else 0,
            role=place.members[me],
            since=place.since[me],
            read=place.read.get(me, 0),
            members=len(place.members),
            title=place.title,
            peer=others[0] if place.kind == "dm" else None,
        )

    def wallet(self, handle: str) -> list[BalanceView]:
        """That user's balances."""
        me = self.users[handle].id
        return [
            BalanceView(currency, format_amount(minor, currency), format_amount(0, currency), self.pos)
            for (user, currency), minor in self.money.items()
            if user == me
        ]

    def moved(self, handle: str, event: Event) -> list[BalanceView]:
        """The balances of that user that the event moved."""
        if not isinstance(event.body, kinds.PaymentSent):
            return []
        if self.users[handle].id not in {event.from_, event.body.payee}:
            return []
        return [view for view in self.wallet(handle) if view.currency == event.body.currency]

    # --- asks and live frames ------------------------------------------------------------------------

    def answer(self, handle: str, frame: shapes.Ask) -> bytes:
        """The result, or the error, to a question."""
        if isinstance(frame, payments.ASK_PAYMENT_FRAMES):
            return codec.encode_error(not_here(frame.kind), frame.id)
        members = self._members(handle, frame)
        if members is None:
            return codec.encode_error(NOT_FOUND, frame.id)
        return codec.encode_result(frame.id, **members)

    def _members(self, handle: str, frame: shapes.Ask) -> dict[str, object] | None:
        me = self.users[handle]
        match frame:
            case kinds.AskHistory(conv=conv, body=body):
                place = self.place_of(me, conv)
                return self._history(handle, place, body) if place else None
            case kinds.AskConversations():
                return {"conversations": self.views(handle), "complete": True}
            case kinds.AskEvent(body=wanted):
                found = self.by_id.get(wanted.id)
                seen = isinstance(found, Event) and self.sees(handle, found)
                return {"event": found} if seen else None
            case kinds.AskMembers(conv=conv):
                place = self.place_of(me, conv)
                return {"members": self._people(place), "complete": True} if place else None
            case kinds.AskUser(body=named):
                person = self.person(named.handle)
                return {"user": person} if person else None
            case kinds.AskWallet():
                return {"balances": self.wallet(handle)}
        return None

    def _history(self, handle: str, place: Place, body: kinds.HistoryBody) -> dict[str, object]:
        seen = [event for event in place.events if self.sees(handle, event)]
        if isinstance(body.after, int):
            after = [event for event in seen if event.seq > body.after]
            return {"events": after[: body.limit], "complete": len(after) <= body.limit}
        if isinstance(body.before, int):
            seen = [event for event in seen if event.seq < body.before]
        return {"events": seen[-body.limit :], "complete": len(seen) <= body.limit}

    def _people(self, place: Place) -> list[kinds.MemberView]:
        return [
            kinds.MemberView(user, place.members[user.id], place.read.get(user.id, 0), len(place.events))
            for user in sorted(self.users.values(), key=lambda user: user.id)
            if user.id in place.members
        ]

    def notices(self, me: UserView, frame: shapes.Live) -> Iterator[tuple[Struct, str]]:
        """What a live frame makes the server tell, and to whom (handle)."""
        if isinstance(frame, kinds.LiveWatch):
            for name in frame.body.users:
                person = self.person(name)
                if person is not None:
                    yield (
                        kinds.PresenceNotice(body=kinds.PresenceBody(user=person.id, online=True)),
                        me.handle,
                    )
            return
        assert isinstance(frame, (kinds.LiveTyping, kinds.LiveRead))
        place = self.place_of(me, frame.conv)
        if place is None:
            return
        notice: Struct = kinds.TypingNotice(conv=place.conv, from_=me.id)
        if isinstance(frame, kinds.LiveRead):
            place.read[me.id] = mark = max(place.read.get(me.id, 0), frame.body.seq)
            body = kinds.ReceiptBody(delivered=len(place.events), read=mark)
            notice = kinds.ReceiptNotice(conv=place.conv, from_=me.id, body=body)
        for user in self.users.values():
            if user.id in place.members and user is not me:
                yield notice, user.handle


def new_id(prefix: str) -> str:
    """A server id: 128 random bits in base32."""
    return prefix + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def now_ms() -> int:
    """The wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000
