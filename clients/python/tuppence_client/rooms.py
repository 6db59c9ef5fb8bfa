"""Groups: who is in, who may do what, what it is called. Each call is one durable frame."""

from collections.abc import Iterable

from tuppence_protocol import frames as fr
from tuppence_protocol import shapes
from tuppence_protocol.events import Event

from .core import Core


class Rooms:
    """The part of the client that is about groups; every call returns the stored event."""

    def __init__(self, core: Core) -> None:
        self.__core = core

    async def create_room(self, title: str, members: Iterable[str] = (), *, id: str | None = None) -> Event:  # noqa: A002
        """Open a group with oneself as owner; the event's `conv` is its id."""
        body = fr.CreateBody(title=title, members=list(members))
        return await self.__core.commit(fr.RoomCreate(id=id or self.__core.new_id(), body=body))

    async def rename(self, conv: str, title: str) -> Event:
        """Give a group another title (owner, admin)."""
        frame = fr.RoomUpdate(id=self.__core.new_id(), conv=conv, body=fr.UpdateBody(title=title))
        return await self.__core.commit(frame)

    async def invite(self, conv: str, *users: str) -> Event:
        """Bring people into a group (owner, admin); they see it from this event on."""
        frame = fr.RoomInvite(id=self.__core.new_id(), conv=conv, body=fr.InviteBody(users=list(users)))
        return await self.__core.commit(frame)

    async def remove(self, conv: str, user: str) -> Event:
        """Take a person out of a group (owner; admin for members and readers)."""
        frame = fr.RoomRemove(id=self.__core.new_id(), conv=conv, body=fr.RemoveBody(user=user))
        return await self.__core.commit(frame)

    async def leave(self, conv: str) -> Event:
        """Leave a group."""
        return await self.__core.commit(fr.RoomLeave(id=self.__core.new_id(), conv=conv))

    async def set_role(self, conv: str, user: str, role: shapes.GivenRole) -> Event:
        """Give a person in a group another role (owner)."""
        frame = fr.RoomRole(id=self.__core.new_id(), conv=conv, body=fr.RoleBody(user=user, role=role))
        return await self.__core.commit(frame)
