"""Groups: who is in them and what they may do there."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType, field

from tuppence_protocol import limits
from tuppence_protocol.shapes import (
    Ask,
    Body,
    Durable,
    GivenRole,
    InPlace,
    Limit,
    Nothing,
    People,
    Person,
    Place,
    Title,
)
from tuppence_protocol.views import Extensible, Role, UserView

from .kind import ALICE, Kind


class CreateBody(Body, frozen=True):
    title: Title
    members: People = field(default_factory=list)
    kind: Literal["group"] = "group"


class RoomCreate(Durable, tag="room.create", kw_only=True, frozen=True):
    """Open a group with oneself as owner; the event names its `conv`."""

    body: CreateBody


class RoomCreated(Extensible, frozen=True):
    title: str
    members: list[str]
    kind: str
    alt: str


ROOM_CREATE: Final = Kind(
    "room.create", RoomCreate, RoomCreated,
    sent={"title": "Flat 3b", "members": ["@bob", ALICE], "kind": "group"},
    told={"title": "Flat 3b", "members": [ALICE], "kind": "group", "alt": "@alice opened the group"},
)  # fmt: skip


class UpdateBody(Body, frozen=True):
    title: Title


class RoomUpdate(InPlace, tag="room.update", kw_only=True, frozen=True):
    """Change what a group is called (owner, admin)."""

    body: UpdateBody


class RoomUpdated(Extensible, frozen=True):
    title: str
    alt: str


ROOM_UPDATE: Final = Kind(
    "room.update", RoomUpdate, RoomUpdated,
    sent={"title": "Flat 3c"}, told={"title": "Flat 3c", "alt": "@alice renamed the group to Flat 3c"},
)  # fmt: skip


class InviteBody(Body, frozen=True):
    users: Annotated[list[Person], Meta(min_length=1, max_length=limits.ROOM_INVITES_PER_FRAME_MAX)]


class RoomInvite(InPlace, tag="room.invite", kw_only=True, frozen=True):
    """Bring people into a group (owner, admin); they see it from this event on."""

    body: InviteBody


class MembersInvited(Extensible, frozen=True):
    users: list[str]
    alt: str


ROOM_INVITE: Final = Kind(
    "room.invite", RoomInvite, MembersInvited,
    sent={"users": ["@carol"]}, told={"users": [ALICE], "alt": "@alice invited @bob"},
)  # fmt: skip


class RemoveBody(Body, frozen=True):
    user: Person


class RoomRemove(InPlace, tag="room.remove", kw_only=True, frozen=True):
    """Take a person out of a group (owner; admin for members and readers)."""

    body: RemoveBody


class MemberRemoved(Extensible, frozen=True):
    user: str
    alt: str


ROOM_REMOVE: Final = Kind(
    "room.remove", RoomRemove, MemberRemoved,
    sent={"user": "@carol"}, told={"user": ALICE, "alt": "@alice removed @bob"},
)  # fmt: skip


class RoomLeave(InPlace, tag="room.leave", kw_only=True, frozen=True):
    """Leave a group."""

    body: Nothing = Nothing()


class MemberLeft(Extensible, frozen=True):
    alt: str


ROOM_LEAVE: Final = Kind("room.leave", RoomLeave, MemberLeft, told={"alt": "@bob left"})


class RoleBody(Body, frozen=True):
    user: Person
    role: GivenRole


class RoomRole(InPlace, tag="room.role", kw_only=True, frozen=True):
    """Give a person in a group another role (owner)."""

    body: RoleBody


class RoleGiven(Extensible, frozen=True):
    user: str
    role: Role
    alt: str


ROOM_ROLE: Final = Kind(
    "room.role", RoomRole, RoleGiven,
    sent={"user": ALICE, "role": "reader"},
    told={"user": ALICE, "role": "admin", "alt": "@alice made @bob admin"},
)  # fmt: skip


class MemberView(Extensible, frozen=True):
    user: UserView
    role: Role
    read: int
    delivered: int


class MembersBody(Body, frozen=True):
    after: Annotated[str, Meta(max_length=28)] | UnsetType = UNSET
    limit: Limit = limits.PAGE_ROWS_MAX


class AskMembers(Ask, tag="ask.members", kw_only=True, frozen=True):
    """Who is in a conversation, by user id; `after` is the last one had."""

    conv: Place
    body: MembersBody = MembersBody()


class MembersResult(Extensible, frozen=True):
    members: list[MemberView]
    complete: bool


ASK_MEMBERS: Final = Kind("ask.members", AskMembers, result=MembersResult, sent={"after": ALICE, "limit": 20})
