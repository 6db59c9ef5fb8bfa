"""What each command does; everything shown goes through `Screen`, every refusal becomes one line."""

from collections.abc import Callable, Iterable
from typing import Final, cast

from tuppence_client.client import Client
from tuppence_client.errors import PlaceError, TuppenceError
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import ConversationView
from tuppence_protocol.shapes import GivenRole
from tuppence_protocol.views import SERVER_AUTHOR, UserView

from . import commands as cmd
from .help import HELP, TOPIC_OF, TOPICS, Complaint
from .money_commands import MoneyCommand
from .payments import NO_PLACE, PaymentActions, Stuck
from .render import balance_line, error_line, event_lines, handle_style, place_line, place_title
from .sanitize import clean
from .style import Line

WIDE_COLUMNS: Final = 100
"""Beside a command in its column the longest explanation has room from here on."""
NARROW_COLUMNS: Final = 60
Show = Callable[[Line], None]


class Actions:
    """The state of one terminal: the current conversation, and what to do with a line."""

    def __init__(
        self, me: Client, show: Show, size: Callable[[], tuple[int, int]] = lambda: (24, 80)
    ) -> None:
        """`size` tells rows and columns of the screen."""
        self._me = me
        self._size = size
        self._show = show
        self.place: str | None = None
        self._watched: str | None = None
        self.payments = PaymentActions(me, show, self)

    def rows(self) -> int:
        """How many rows the screen has."""
        return self._size()[0]

    def wide(self) -> bool:
        """Whether a command and what it does stand beside each other."""
        return self._size()[1] >= WIDE_COLUMNS

    # --- the current conversation -------------------------------------------------------------------

    @property
    def view(self) -> ConversationView | None:
        """What is known of the current conversation."""
        return self.view_of(self.place) if self.place else None

    def view_of(self, place: str) -> ConversationView | None:
        """What is known of a place: an id, a @handle or self."""
        found = self._me.conversations.get(place)
        return found or next((v for v in self._me.conversations.values() if place_title(v) == place), None)

    @property
    def peer(self) -> UserView | None:
        """Who the other one of the current conversation is, also where nothing has been said yet."""
        if (view := self.view) is not None:
            return view.peer
        people = self._me.people.values()
        return next((user for user in people if f"@{user.handle}" == self.place), None)

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
        if self._me.mode == "sandbox":
            self._show([("class:sandbox", "sandbox: play money, all of it; /faucet 100 EUR gives you some")])
        for number, view in enumerate(self._sorted(), 1):
            if view.seq > view.read:
                self._show(place_line(number, view, current=False))

    # --- names ------------------------------------------------------------------------------------------

    def name(self, user: str) -> str:
        """The handle of a user id, or the beginning of the id."""
        known = self._me.people.get(user)
        return clean(known.handle) if known else clean(user[:8]) + "…"

    async def meet(self, users: Iterable[str | None]) -> None:
        """Learn the handles of these people."""
        for user in set(users) - {None, "", SERVER_AUTHOR}:
            if user not in self._me.people:
                try:
                    await self._me.find_user(str(user))
                except TuppenceError:
                    continue  # shown by the beginning of the id

    async def _lines(self, event: Event, place: str | None = None) -> None:
        self.payments.cards.add(event)
        people = (getattr(event.body, member, None) for member in ("payee", "payer"))
        await self.meet([event.from_, *people])
        card = self.payments.cards.get(event.id)
        for line in event_lines(event, self._me.user.id, self.name, place, card):
            self._show(line)

    async def show_event(self, event: Event) -> None:
        """Print an event and, in the current conversation, mark it as read."""
        view = await self._me.conversation(event.conv)
        current = self.is_current(event)
        await self._lines(event, None if current else place_title(view) if view else clean(event.conv[:8]))
        if current:
            self._watch()  # a server tells of those with whom one has a conversation, which may be new
            self._me.read(event.conv, event.seq)

    # --- commands ---------------------------------------------------------------------------------------

    async def run(self, command: cmd.Command, *, hurried: bool = False) -> None:
        """Do it; a refusal is shown, never raised. `hurried` lines came faster than anybody types."""
        try:
            if not await self._answered(command, hurried=hurried):
                await self._do(command, hurried=hurried)
        except Stuck as stuck:
            self._show([("class:error", f"✗ {stuck}")])
        except TuppenceError as error:
            self._show(error_line(error))

    async def _answered(self, command: cmd.Command, *, hurried: bool) -> bool:
        """Take a y or n for the question that is open; anything else drops it and is done as it stands."""
        question, self.payments.question = self.payments.question, None
        if question is None:
            return False
        word = command.text.casefold() if isinstance(command, cmd.Say) else ""
        if word in {"y", "yes"} and not hurried:
            await question.act()
            return True
        self._show([("class:soft", f"── not paid: {question.text} ──")])
        return word in {"n", "no", "y", "yes"}

    async def _do(self, command: cmd.Command, *, hurried: bool) -> None:
        match command:
            case Complaint(text):
                self._show([("class:error", f"✗ {text}")])
            case cmd.To(place):
                await self._go(place)
            case cmd.Group(title, members):
                self.place = (await self._me.create_room(title, members)).conv
            case cmd.Plain("help"):
                self._topics()
            case cmd.Help(topic, page):
                self._help(topic, page)
            case cmd.Plain("list"):
                await self._list()
            case cmd.Plain("wallet"):
                for view in await self._me.wallet():
                    self._show(balance_line(view))
            case MoneyCommand():
                await self.payments.run(command, hurried=hurried)
            case _:
                await self._here(command, self.place)

    def _topics(self) -> None:
        self._show([("class:soft", "/help and one of these:")])
        if self._size()[1] < NARROW_COLUMNS:
            self._show([("class:me", f"  {', '.join(TOPICS)}")])
            return
        for name, about in TOPICS.items():
            self._show([("class:me", f"  /help {name:<9}"), ("class:soft", about)])

    def _help(self, topic: str, page: int) -> None:
        """A topic, no longer than the screen."""
        lines = [line for line in HELP if TOPIC_OF[line[0].split()[0]] == topic]
        rows = max(2, self.rows() - 4)
        at_once = rows if self.wide() else max(1, rows // 3)
        pages = -(-len(lines) // at_once)
        page = min(page, pages)
        for line, meaning in lines[(page - 1) * at_once : page * at_once]:
            if self.wide():
                self._show([("class:me", f"  {line:<36} "), ("class:soft", meaning)])
            else:
                self._show([("class:me", f"  {line}")])
                self._show([("class:soft", f"  {meaning}")])
        if page < pages:
            self._show([("class:soft", f"  more: /help {topic} {page + 1}")])

    async def _here(self, command: cmd.Command, place: str | None) -> None:
        """Do what needs a conversation to be in."""
        if place is None:
            raise Stuck(NO_PLACE)
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

    async def _go(self, wanted: str) -> None:
        place = self._find(wanted)
        if place.startswith("@") and self.view_of(place) is None:
            await self._me.find_user(place)
        self.place = place
        self._watch()
        self._show([("class:soft", f"── {self.title()} ──")])
        try:
            await self._history(place, 12)
        except PlaceError:
            self._show([("class:soft", "   nothing said yet")])
        view = self.view
        if view is not None and view.seq > view.read:
            self._me.read(view.conv, view.seq)

    def _watch(self) -> None:
        """Ask for the presence of the one who is talked with."""
        view = self.view
        wanted = view.peer.id if view is not None and view.peer is not None else None
        if wanted != self._watched:
            self._watched = wanted
            self._me.watch(*([wanted] if wanted else []))

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
        events = await self._me.history(place, limit=count)
        for event in events:
            self.payments.cards.add(event)  # all of them first: what is over by now asks for nothing
        for event in events:
            await self._lines(event)

    async def _who(self, place: str) -> None:
        for member in await self._me.members(place):
            handle = clean(member.user.handle)
            head = (handle_style(handle), f"  @{handle:<20}")
            self._show([head, ("class:soft", f"{member.role:<8}"), ("", clean(member.user.name))])
