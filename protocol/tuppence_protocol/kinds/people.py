"""Who somebody is, and whether they are there."""

from typing import Annotated, Final

from msgspec import Meta

from tuppence_protocol import limits
from tuppence_protocol.shapes import Ask, Body, Live, Named, Person
from tuppence_protocol.views import Extensible, ServerFrame, UserView

from .kind import Kind


class UserBody(Body, frozen=True):
    handle: Named


class AskUser(Ask, tag="ask.user", kw_only=True, frozen=True):
    """A person by handle (with or without @) or by id."""

    body: UserBody


class UserResult(Extensible, frozen=True):
    user: UserView


class WatchBody(Body, frozen=True):
    users: Annotated[list[Person], Meta(max_length=limits.WATCHED_USERS_MAX)]


class LiveWatch(Live, tag="live.watch", kw_only=True, frozen=True):
    """Ask for the presence of these people; the whole set replaces the one before."""

    body: WatchBody


class PresenceBody(Extensible, frozen=True):
    user: str
    online: bool
    last_seen: int | None = None


class PresenceNotice(ServerFrame, tag="live.presence", frozen=True):
    """Somebody whom one watches came or went."""

    body: PresenceBody


ASK_USER: Final = Kind("ask.user", AskUser, result=UserResult, sent={"handle": "bob"})
LIVE_WATCH: Final = Kind("live.watch", LiveWatch, sent={"users": ["@bob"]})
LIVE_PRESENCE: Final = Kind("live.presence", notice=PresenceNotice)
