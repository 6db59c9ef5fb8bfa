"""Groups: who is in, who may do what, what it is called. Each call is one durable frame."""

from collections.abc import Iterable

from tuppence_protocol import frames as fr
from tuppence_protocol import shapes
from tuppence_protocol.events import Event

from .engine import Core


class Rooms:
    """The part of the client that is about groups; every call returns the stored event."""

    def __init__(self, core: Core) -> None:
        self.__core = core

    async def create_room(self, title: str, members: Iterable[str] = (), *, id: str | None = None) -> Event:  # noqa: A002
        """Open a group with oneself as owner; the event's `conv` is its id, its body `RoomCreated`.

        `title` has up to 120 characters, `members` up to 200 people. Raises `ShapeError`, `PlaceError`,
        `LimitError`.
        """
        body = fr.CreateBody(title=title, members=list(members))
        return await self.__core.commit(fr.RoomCreate(id=id or self.__core.new_id(), body=body))

    async def rename(self, conv: str, title: str) -> Event:
        """Give a group another title (owner, admin) of up to 120 characters; a `RoomUpdated`.

        Raises `PlaceError`, `ShapeError`.
        """
        frame = fr.RoomUpdate(id=self.__core.new_id(), conv=conv, body=fr.UpdateBody(title=title))
        return await self.__core.commit(frame)

    async def invite(self, conv: str, *users: str) -> Event:
        """Bring up to 200 people into a group (owner, admin); they see it from this event on. A
        `MembersInvited`.

        Raises `PlaceError`, `StateError` (already_member), `LimitError` (room_full).
        """
        frame = fr.RoomInvite(id=self.__core.new_id(), conv=conv, body=fr.InviteBody(users=list(users)))
        return await self.__core.commit(frame)

    async def remove(self, conv: str, user: str) -> Event:
        """Take a person out of a group (owner; admin for members and readers); a `MemberRemoved`.

        Raises `PlaceError`.
        """
        frame = fr.RoomRemove(id=self.__core.new_id(), conv=conv, body=fr.RemoveBody(user=user))
        return await self.__core.commit(frame)

    async def leave(self, conv: str) -> Event:
        """Leave a group; a `MemberLeft`.

        Raises `PlaceError`, `StateError` (last_owner).
        """
        return await self.__core.commit(fr.RoomLeave(id=self.__core.new_id(), conv=conv))

    async def set_role(self, conv: str, user: str, role: shapes.GivenRole) -> Event:
        """Give a person in a group another role (owner): "owner", "admin", "member" or "reader"; a
        `RoleGiven`.

        Raises `PlaceError`, `StateError` (last_owner).
        """
        frame = fr.RoomRole(id=self.__core.new_id(), conv=conv, body=fr.RoleBody(user=user, role=role))
        return await self.__core.commit(frame)
