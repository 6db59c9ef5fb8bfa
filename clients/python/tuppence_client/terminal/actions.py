"""What each command does; everything shown goes through `Screen`, every refusal becomes one line."""

from collections.abc import Callable
from typing import cast

from tuppence_client.client import Client
from tuppence_client.errors import PlaceError, TuppenceError
from tuppence_protocol.events import ConversationView, Event
from tuppence_protocol.frames import GivenRole

from . import commands as cmd
from .clean import clean
from .lines import Line, balance_line, error_line, event_lines, handle_style, place_line, place_title

Show = Callable[[Line], None]
_NO_PLACE = "nobody is listening yet: choose a conversation with /to @handle"


class Actions:
    """The state of one terminal: the current conversation, and what to do with a line."""

    def __init__(self, me: Client, show: Show) -> None:
        self._me = me
        self._show = show
        self.place: str | None = None

    # --- the current conversation -------------------------------------------------------------------

    @property
    def view(self) -> ConversationView | None:
        """What is known of the current conversation."""
        return self.view_of(self.place) if self.place else None

    def view_of(self, place: str) -> ConversationView | None:
        """What is known of a place: an id, a @handle or self."""
        found = self._me.conversations.get(place)
        return found or next((v for v in self._me.conversations.values() if place_title(v) == place), None)

    def title(self) -> str:
        """What the current conversation is called."""
        view = self.view
        return place_title(view) if view else self.place or ""

    def is_current(self, event: Event) -> bool:
        """True where the event is in the current conversation."""
        view = self.view
        return view is not None and view.conv == event.conv

    def greet(self) -> None:
        """The first lines: who one is, and what is unread."""
        self._show(
            [("class:soft", f"Hello @{self._me.user.handle}. /to @handle, then type; /help shows all.")]
        )
        for number, view in enumerate(self._sorted(), 1):
            if view.seq > view.read:
                self._show(place_line(number, view, current=False))

    # --- names ------------------------------------------------------------------------------------------

    def name(self, user: str) -> str:
        """The handle of a user id, or the beginning of the id."""
        known = self._me.people.get(user)
        return clean(known.handle) if known else clean(user[:8]) + "…"

    async def meet(self, event: Event) -> None:
        """Learn the handles that an event needs."""
        payee = getattr(event.body, "payee", None)
        for user in {event.from_, payee} - {None, "server"}:
            if user not in self._me.people:
                try:
                    await self._me.find_user(str(user))
                except TuppenceError:
                    continue  # shown by the beginning of the id

    async def show_event(self, event: Event) -> None:
        """Print an event and, in the current conversation, mark it as read."""
        await self.meet(event)
        view = await self._me.conversation(event.conv)
        current = self.is_current(event)
        place = None if current else place_title(view) if view else clean(event.conv[:8])
        for line in event_lines(event, self._me.user.id, self.name, place):
            self._show(line)
        if current:
            self._me.read(event.conv, event.seq)

    # --- commands ---------------------------------------------------------------------------------------

    async def run(self, command: cmd.Command) -> None:
        """Do it; a refusal is shown, never raised."""
        try:
            await self._do(command)
        except TuppenceError as error:
            self._show(error_line(error))

    async def _do(self, command: cmd.Command) -> None:
        match command:
            case cmd.Complaint(text):
                self._show([("class:error", f"✗ {text}")])
            case cmd.To(place):
                await self._go(place)
            case cmd.Group(title, members):
                self.place = (await self._me.create_room(title, members)).conv
            case cmd.Plain("help"):
                for line, meaning in cmd.HELP:
                    self._show([("class:me", f"  {line:<28}"), ("class:soft", meaning)])
            case cmd.Plain("list"):
                await self._list()
            case cmd.Plain("wallet"):
                for view in await self._me.wallet():
                    self._show(balance_line(view))
            case cmd.Pay(payee=payee) if payee is not None or self.place is not None:
                await self._pay(command)
            case _:
                await self._here(command, self.place)

    async def _here(self, command: cmd.Command, place: str | None) -> None:
        """Do what needs a conversation to be in."""
        if place is None:
            self._show([("class:error", f"✗ {_NO_PLACE}")])
            return
        match command:
            case cmd.Say(text):
                await self._me.send(place, text)
            case cmd.Invite(users):
                await self._me.invite(place, *users)
            case cmd.Remove(user):
                await self._me.remove(place, user)
            case cmd.Role(user, role):
                await self._me.set_role(place, user, cast("GivenRole", role))
            case cmd.Rename(title):
                await self._me.rename(place, title)
            case cmd.History(count):
                await self._history(place, count)
            case cmd.Plain("leave"):
                await self._me.leave(place)
                self.place = None
            case cmd.Plain("who"):
                await self._who(place)
            case cmd.Plain("read") if view := self.view:
                self._me.read(view.conv, view.seq)

    async def _pay(self, pay: cmd.Pay) -> None:
        view = self.view
        in_group = view is not None and view.kind == "group"
        place = self.place if in_group or pay.payee is None else pay.payee
        assert place is not None
        money = f"{pay.amount} {pay.currency}"
        await self._me.pay(place, money, note=pay.note, payee=pay.payee if in_group else None)

    async def _go(self, wanted: str) -> None:
        place = self._find(wanted)
        if place.startswith("@") and self.view_of(place) is None:
            await self._me.find_user(place)
        self.place = place
        self._show([("class:soft", f"── {self.title()} ──")])
        try:
            await self._history(place, 12)
        except PlaceError:
            self._show([("class:soft", "   nothing said yet")])
        view = self.view
        if view is not None and view.seq > view.read:
            self._me.read(view.conv, view.seq)

    def _find(self, wanted: str) -> str:
        views = self._sorted()
        if wanted.isdecimal() and 1 <= int(wanted) <= len(views):
            return views[int(wanted) - 1].conv
        for view in views:
            if place_title(view).casefold() == wanted.casefold():
                return view.conv
        return wanted if wanted.startswith(("@", "c_")) or wanted == "self" else f"@{wanted}"

    def _sorted(self) -> list[ConversationView]:
        return sorted(self._me.conversations.values(), key=lambda view: -view.pos)

    async def _list(self) -> None:
        await self._me.list_conversations()
        current = self.view
        for number, view in enumerate(self._sorted(), 1):
            self._show(place_line(number, view, current=current is not None and view.conv == current.conv))
        if not self._me.conversations:
            self._show([("class:soft", "   no conversations yet: /to @handle")])

    async def _history(self, place: str, count: int) -> None:
        for event in await self._me.history(place, limit=count):
            await self.meet(event)
            for line in event_lines(event, self._me.user.id, self.name):
                self._show(line)

    async def _who(self, place: str) -> None:
        for member in await self._me.members(place):
            handle = clean(member.user.handle)
            head = (handle_style(handle), f"  @{handle:<20}")
            self._show([head, ("class:soft", f"{member.role:<8}"), ("", clean(member.user.name))])
