"""What the client knows without asking: who one is, one's balances and conversations, the people met so far.

Folded from `ready`, events and notices in the order they arrive; answers to asks only ever move it forward.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from tuppence_protocol import kinds
from tuppence_protocol.events import Event
from tuppence_protocol.views import BalanceView, UserView


class KnownState:
    """A copy of what the server last said."""

    def __init__(self) -> None:
        self.user = UserView(id="", handle="")
        self.mode = "live"
        self.balances: dict[str, BalanceView] = {}
        self.conversations: dict[str, kinds.ConversationView] = {}
        self.people: dict[str, UserView] = {}

    def open(self, ready: kinds.ReadyBody) -> None:
        """Start from what `ready` says."""
        self.user = ready.user
        self.mode = ready.mode
        self.balances = {view.currency: view for view in ready.balances}
        self.conversations = {}
        self.meet([ready.user])
        self.place(ready.conversations)

    def meet(self, people: Iterable[UserView]) -> None:
        """Remember people by id."""
        self.people.update((person.id, person) for person in people)

    def place(self, views: Iterable[kinds.ConversationView]) -> None:
        """Take in conversations as the server lists them."""
        for view in views:
            known = self.conversations.get(view.conv)
            if known is None or view.pos >= known.pos:
                read = max(view.read, known.read if known else 0)
                self.conversations[view.conv] = replace(view, read=read)
            if view.peer is not None:
                self.meet([view.peer])

    def balance(self, view: BalanceView) -> None:
        """Take in a balance, unless a later one is known."""
        known = self.balances.get(view.currency)
        if known is None or view.pos >= known.pos:
            self.balances[view.currency] = view

    def receipt(self, notice: kinds.ReceiptNotice) -> None:
        """Another device of one's own has read."""
        if notice.from_ == self.user.id:
            self.read(notice.conv, notice.body.read)

    def read(self, conv: str, seq: int) -> None:
        """One has read up to `seq`; forward only."""
        view = self.conversations.get(conv)
        if view is not None and seq > view.read:
            self.conversations[conv] = replace(view, read=seq)

    def event(self, event: Event) -> bool:
        """Take in an event; False where the conversation is not known yet, or changed beyond the event."""
        view = self.conversations.get(event.conv)
        if view is None or event.seq <= view.seq:
            return view is not None
        mine = event.from_ == self.user.id
        read = event.seq if mine and view.read == event.seq - 1 else view.read
        view = replace(view, seq=event.seq, pos=event.pos, read=read)
        match event.body:
            case kinds.RoomUpdated(title=title):
                view = replace(view, title=title)
            case kinds.MembersInvited(users=users):
                view = replace(view, members=view.members + len(users))
            case kinds.MemberRemoved(user=user):
                return self._left(view, user)
            case kinds.MemberLeft():
                return self._left(view, event.from_)
            case kinds.RoleGiven(user=self.user.id, role=role):
                view = replace(view, role=role)
        self.conversations[event.conv] = view
        return True

    def _left(self, view: kinds.ConversationView, user: str) -> bool:
        if user == self.user.id:
            del self.conversations[view.conv]
        else:
            self.conversations[view.conv] = replace(view, members=view.members - 1)
        return True

    def conv_with(self, handle: str) -> str | None:
        """The id of the DM with a handle, or of `self`, if it is known."""
        name = handle.removeprefix("@")
        for conv, view in self.conversations.items():
            if view.kind == handle == "self" or (view.peer is not None and view.peer.handle == name):
                return conv
        return None
