"""How the fake server decides: a durable frame becomes an event or a refusal. The rules that clients need, no more."""

from typing import Any

from msgspec import UNSET

from tuppence_protocol import kinds, payments, shapes
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_protocol.views import Extensible, UserView

from .reads import NOT_FOUND, Place, Reads, new_id, not_here, now_ms


class Book(Reads):
    """The write side of the fake server."""

    def user(self, handle: str) -> UserView:
        """The user of that handle, made if need be with 100.00 EUR."""
        if handle not in self.users:
            self.users[handle] = UserView(id=new_id("u_"), handle=handle, name=handle.title())
            self.money[self.users[handle].id, "EUR"] = 10_000
        return self.users[handle]

    def take(self, handle: str, frame: shapes.Durable) -> Event | Refusal:
        """Decide a durable frame and store the outcome under its id."""
        me = self.users[handle]
        if isinstance(frame, payments.PAYMENT_FRAMES) and not isinstance(frame, kinds.PaySend):
            self.by_id[frame.id] = refusal = not_here(frame.kind)
            return refusal
        place = self._made(me, frame) if isinstance(frame, kinds.RoomCreate) else self._place(me, frame)
        outcome: Event | Refusal = NOT_FOUND
        if place is not None:
            body = self._body(me, place, frame)
            outcome = body if isinstance(body, Refusal) else self._store(me, place, frame, body)
        self.by_id[frame.id] = outcome
        return outcome

    def _store(self, me: UserView, place: Place, frame: shapes.Durable, body: Extensible) -> Event:
        self.places[place.conv] = place
        seq = len(place.events) + 1
        for user in place.members:
            place.since.setdefault(user, seq)
        ref = getattr(frame, "ref", UNSET)
        event = Event(frame.kind, frame.id, place.conv, seq, self.pos + 1, me.id, now_ms(), body, ref)
        place.events.append(event)
        self.log.append(event)
        return event

    def _made(self, me: UserView, frame: kinds.RoomCreate) -> Place | None:
        people = [self.person(name) for name in frame.body.members]
        if None in people:
            return None
        place = Place(new_id("c_"), "group", frame.body.title, {me.id: "owner"})
        place.members.update({person.id: "member" for person in people if person is not None})
        return place

    def _place(self, me: UserView, frame: Any) -> Place | None:
        place = self.place_of(me, frame.conv)
        if place is not None or frame.conv.startswith("c_"):
            return place
        other = me if frame.conv == "self" else self.person(frame.conv)
        if other is None:
            return None
        kind = "self" if other is me else "dm"
        return Place(new_id("c_"), kind, "", dict.fromkeys((me.id, other.id), "member"))

    def _body(self, me: UserView, place: Place, frame: shapes.Durable) -> Extensible | Refusal:
        match frame:
            case kinds.ChatText(body=text):
                return kinds.TextPosted(text=text.text)
            case kinds.PaySend(body=payment):
                return self._pay(me, place, payment)
            case kinds.RoomCreate(body=room):
                members = list(place.members)
                return kinds.RoomCreated(room.title, members, "group", f"@{me.handle} made {room.title}")
            case kinds.RoomUpdate(body=change):
                place.title = change.title
                return kinds.RoomUpdated(change.title, f"@{me.handle} renamed this to {change.title}")
            case kinds.RoomInvite(body=invitation):
                return self._invite(me, place, invitation.users)
            case kinds.RoomRemove(body=removal):
                return self._remove(me, place, removal.user)
            case kinds.RoomLeave():
                self._gone(place, me.id)
                return kinds.MemberLeft(f"@{me.handle} left")
            case kinds.RoomRole(body=given):
                return self._role(me, place, given)
        return NOT_FOUND

    def _pay(self, me: UserView, place: Place, payment: kinds.SendBody) -> Extensible | Refusal:
        for member in ("accept", "expires_s", "quote"):
            if getattr(payment, member) is not UNSET:
                message = f"The fake server pays at once, without {member}: use a sandbox server."
                return Refusal("bad_frame", message, f"$.body.{member}")
        amount, currency = payment.amount, payment.currency
        if amount is UNSET or currency is UNSET:
            return not_here("what a request asks for")
        minor = parse_amount(amount, currency)
        if isinstance(minor, Refusal):
            return minor
        payee = self.person(payment.payee) if isinstance(payment.payee, str) else None
        if payee is None:
            payee = next(
                (user for user in self.users.values() if user.id in set(place.members) - {me.id}), me
            )
        if payee is me:
            return Refusal("same_account", "Payer and payee are the same.", "$.body.payee")
        mine, theirs = (me.id, currency), (payee.id, currency)
        available = self.money.get(mine, 0)
        if available < minor:
            state: dict[str, str | int] = {"available": format_amount(available, currency)}
            return Refusal("insufficient_funds", "The available balance does not cover this.", state=state)
        self.money[mine] = available - minor
        self.money[theirs] = self.money.get(theirs, 0) + minor
        amount = format_amount(minor, currency)
        alt = f"@{me.handle} paid @{payee.handle} {amount} {currency}"
        return kinds.PaymentSent(amount, currency, payee.id, "completed", alt, payment.note)

    def _invite(self, me: UserView, place: Place, names: list[str]) -> Extensible | Refusal:
        people = [person for name in names if (person := self.person(name)) is not None]
        if place.kind != "group" or len(people) < len(names):
            return NOT_FOUND
        for person in people:
            place.members[person.id] = "member"
            place.since.pop(person.id, None)
            place.until.pop(person.id, None)
        handles = ", ".join(f"@{person.handle}" for person in people)
        return kinds.MembersInvited([person.id for person in people], f"@{me.handle} invited {handles}")

    def _remove(self, me: UserView, place: Place, name: str) -> Extensible | Refusal:
        person = self.person(name)
        if place.members[me.id] != "owner":
            return Refusal("forbidden", "You may see this but not do it.")
        if person is None or person.id not in place.members:
            return Refusal("not_a_member", "That person is not in this conversation.", "$.body.user")
        self._gone(place, person.id)
        return kinds.MemberRemoved(person.id, f"@{me.handle} removed @{person.handle}")

    def _gone(self, place: Place, user: str) -> None:
        del place.members[user]
        place.until[user] = len(place.events) + 1

    def _role(self, me: UserView, place: Place, given: kinds.RoleBody) -> Extensible | Refusal:
        person = self.person(given.user)
        if person is None or person.id not in place.members:
            return Refusal("not_a_member", "That person is not in this conversation.", "$.body.user")
        place.members[person.id] = given.role
        return kinds.RoleGiven(person.id, given.role, f"@{me.handle} made @{person.handle} {given.role}")
