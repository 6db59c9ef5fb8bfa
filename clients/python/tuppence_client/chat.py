"""What one can say and do in conversations: one call is one frame, written once for every kind of client.

`R` is what a call gives: for `Client` a coroutine of the stored event, for `SyncClient` the event itself.
"""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from msgspec import UNSET

from tuppence_protocol import kinds, shapes

R = TypeVar("R")


class Chat(Generic[R]):
    """Texts and groups; `do` sends a frame."""

    def __init__(self, new_id: Callable[[], str], do: Callable[[shapes.Durable], R]) -> None:
        self.__new_id = new_id
        self.__do = do

    def send(self, conv: str, text: str, *, ref: str | None = None, id: str | None = None) -> R:  # noqa: A002
        """Say something in `conv` ("@handle", "c_…" or "self"); the body of the event is `TextPosted`.

        `text` has up to 8,000 characters; `ref` is the id of the event that it replies to. Raises
        `ShapeError`, `PlaceError`, `IdError` (another text was sent under that id).
        """
        body = kinds.TextBody(text=text)
        return self.__do(
            kinds.ChatText(id=id or self.__new_id(), conv=conv, ref=UNSET if ref is None else ref, body=body)
        )

    def create_room(
        self,
        title: str,
        members: Iterable[str] = (),
        *,
        id: str | None = None,  # noqa: A002
    ) -> R:
        """Open a group with oneself as owner; the event's `conv` is its id, its body `RoomCreated`.

        `title` has up to 120 characters, `members` up to 200 people. Raises `ShapeError`, `PlaceError`,
        `LimitError`.
        """
        body = kinds.CreateBody(title=title, members=list(members))
        return self.__do(kinds.RoomCreate(id=id or self.__new_id(), body=body))

    def rename(self, conv: str, title: str) -> R:
        """Give a group another title (owner, admin) of up to 120 characters; a `RoomUpdated`.

        Raises `PlaceError`, `ShapeError`.
        """
        return self.__do(kinds.RoomUpdate(id=self.__new_id(), conv=conv, body=kinds.UpdateBody(title=title)))

    def invite(self, conv: str, *users: str) -> R:
        """Bring up to 200 people into a group (owner, admin); they see it from this event on. A
        `MembersInvited`.

        Raises `PlaceError`, `StateError` (already_member), `LimitError` (room_full).
        """
        return self.__do(
            kinds.RoomInvite(id=self.__new_id(), conv=conv, body=kinds.InviteBody(users=list(users)))
        )

    def remove(self, conv: str, user: str) -> R:
        """Take a person out of a group (owner; admin for members and readers); a `MemberRemoved`.

        Raises `PlaceError`.
        """
        return self.__do(kinds.RoomRemove(id=self.__new_id(), conv=conv, body=kinds.RemoveBody(user=user)))

    def leave(self, conv: str) -> R:
        """Leave a group; a `MemberLeft`.

        Raises `PlaceError`, `StateError` (last_owner).
        """
        return self.__do(kinds.RoomLeave(id=self.__new_id(), conv=conv))

    def set_role(self, conv: str, user: str, role: shapes.GivenRole) -> R:
        """Give a person in a group another role (owner): "owner", "admin", "member" or "reader"; a
        `RoleGiven`.

        Raises `PlaceError`, `StateError` (last_owner).
        """
        return self.__do(
            kinds.RoomRole(id=self.__new_id(), conv=conv, body=kinds.RoleBody(user=user, role=role))
        )
