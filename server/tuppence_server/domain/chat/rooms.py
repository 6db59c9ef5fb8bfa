"""The rules of groups: who may bring whom in, take whom out, and call it what."""

from collections.abc import Mapping
from typing import Final

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import RoomCreate, RoomInvite, RoomLeave, RoomRemove, RoomRole, RoomUpdate
from tuppence_protocol.limits import GROUPS_PER_PERSON_MAX, ROOM_MEMBERS_MAX
from tuppence_protocol.shapes import InPlace
from tuppence_server.domain.book import Book
from tuppence_server.domain.facts import (
    Append,
    Decision,
    Fact,
    GiveRole,
    Join,
    Leave,
    OpenConversation,
    Retitle,
)
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import Conversation, Member, Role, User

from .lookup import find_person, find_place, membership, need_member, need_person, need_place, need_user

_RANK: Final[dict[Role, int]] = {"owner": 3, "admin": 2, "member": 1, "reader": 0}
_ADMIN: Final = _RANK["admin"]
_OWNER: Final = _RANK["owner"]
GROUPS_ONLY = Refusal("forbidden", "Only groups can be changed like this.", "$.conv")
ROOM_FULL = Refusal("room_full", f"A group has at most {ROOM_MEMBERS_MAX} members.", "$.body")
LAST_OWNER = Refusal("last_owner", "Make somebody else an owner first.", "$.body")


def needs_create(book: Book, keys: Keys, author: str, frame: RoomCreate) -> None:
    """The people who are to be in it."""
    need_user(book, keys, author)
    for person in frame.body.members:
        need_person(book, keys, person)


def create(book: Book, author: str, frame: RoomCreate) -> Decision:
    """Open a group."""
    people = _people(book, frame.body.members, "$.body.members")
    if isinstance(people, Refusal):
        return people
    conv = book.fresh.conversation_id()
    others = [user for user in people if user.id != author]
    members = [Member(conv, author, "owner", 1)]
    members += [Member(conv, user.id, "member", 1) for user in others]
    if len(members) > ROOM_MEMBERS_MAX:
        return ROOM_FULL
    owner = book.users[author]
    assert owner is not None, "the author was found before the rule ran"
    if full := _check_groups(owner, "$.body") or _check_all_groups(
        book, frame.body.members, "$.body.members"
    ):
        return full
    body = {
        "kind": "group",
        "title": frame.body.title,
        "members": [member.user for member in members],
        "alt": f"{_who(book, author)} opened the group {frame.body.title}",
    }
    return [
        OpenConversation(Conversation(conv, "group", frame.body.title, None, book.now), tuple(members)),
        Append(conv, "room.create", frame.id, author, None, codec.encode_body(body)),
    ]


def needs_group(
    book: Book, keys: Keys, author: str, frame: RoomUpdate | RoomInvite | RoomRemove | RoomLeave | RoomRole
) -> None:
    """The group, and the people whom the frame names with their membership."""
    conversation = need_place(book, keys, author, frame.conv)
    named: list[str] = []
    if isinstance(frame, RoomInvite):
        named = frame.body.users
    elif isinstance(frame, (RoomRemove, RoomRole)):
        named = [frame.body.user]
    for person in named:
        user = need_person(book, keys, person)
        if user is not None and conversation is not None:
            need_member(book, keys, conversation.id, user.id)


def update(book: Book, author: str, frame: RoomUpdate) -> Decision:
    """Change the title."""
    group = _group(book, author, frame.conv, _ADMIN)
    if isinstance(group, Refusal):
        return group
    title = frame.body.title
    body = {"title": title, "alt": f"{_who(book, author)} renamed the group to {title}"}
    return [Retitle(group.id, title), _event(group, author, frame, "room.update", body)]


def invite(book: Book, author: str, frame: RoomInvite) -> Decision:
    """Bring people in; they see the group from this event on."""
    group = _group(book, author, frame.conv, _ADMIN)
    if isinstance(group, Refusal):
        return group
    people = _people(book, frame.body.users, "$.body.users")
    if isinstance(people, Refusal):
        return people
    for index, person in enumerate(frame.body.users):
        user = find_person(book, person)
        if user is not None and membership(book, group, user.id) is not None:
            return Refusal("already_member", f"@{user.handle} is here already.", f"$.body.users[{index}]")
    if group.members + len(people) > ROOM_MEMBERS_MAX:
        return ROOM_FULL
    if full := _check_all_groups(book, frame.body.users, "$.body.users"):
        return full
    names = ", ".join(f"@{user.handle}" for user in people)
    body = {
        "users": [user.id for user in people],
        "alt": f"{_who(book, author)} invited {names}",
    }
    facts: list[Fact] = [Join(_newcomer(book, group, user)) for user in people]
    return [*facts, _event(group, author, frame, "room.invite", body)]


def _newcomer(book: Book, group: Conversation, user: User) -> Member:
    before = book.members.get((group.id, user.id))
    read, gone = (0, 0) if before is None else (before.read, before.gone)
    return Member(group.id, user.id, "member", group.seq + 1, None, read, read, gone)


def remove(book: Book, author: str, frame: RoomRemove) -> Decision:
    """Take somebody out; the event is the last that they see."""
    group = _group(book, author, frame.conv, _ADMIN)
    if isinstance(group, Refusal):
        return group
    found = _named(book, group, frame.body.user)
    if isinstance(found, Refusal):
        return found
    user, member = found
    if user.id == author:
        return Refusal("forbidden", "To go yourself, send room.leave.", "$.body.user")
    own = membership(book, group, author)
    assert own is not None, "the group's rank check found it"
    if own.role != "owner" and _RANK[member.role] >= _ADMIN:
        return Refusal("forbidden", "Only an owner removes owners and admins.", "$.body.user")
    body = {"user": user.id, "alt": f"{_who(book, author)} removed @{user.handle}"}
    return [_event(group, author, frame, "room.remove", body), Leave(group.id, user.id)]


def leave(book: Book, author: str, frame: RoomLeave) -> Decision:
    """Go; the last owner of a group that still has others first makes somebody else an owner."""
    group = _group(book, author, frame.conv, _RANK["reader"])
    if isinstance(group, Refusal):
        return group
    member = membership(book, group, author)
    assert member is not None, "the group's rank check found it"
    if member.role == "owner" and group.owners == 1 and group.members > 1:
        return LAST_OWNER
    body = {"alt": f"{_who(book, author)} left"}
    return [_event(group, author, frame, "room.leave", body), Leave(group.id, author)]


def role(book: Book, author: str, frame: RoomRole) -> Decision:
    """Give somebody another role."""
    group = _group(book, author, frame.conv, _OWNER)
    if isinstance(group, Refusal):
        return group
    found = _named(book, group, frame.body.user)
    if isinstance(found, Refusal):
        return found
    user, member = found
    given = frame.body.role
    if member.role == "owner" and given != "owner" and group.owners == 1:
        return LAST_OWNER
    who = _who(book, author)
    body = {"user": user.id, "role": given, "alt": f"{who} made @{user.handle} {given}"}
    return [GiveRole(group.id, user.id, given), _event(group, author, frame, "room.role", body)]


def _group(book: Book, author: str, place: str, rank: int) -> Conversation | Refusal:
    found = find_place(book, author, place)
    if isinstance(found, Refusal):
        return found
    if isinstance(found, User) or found.kind != "group":
        return GROUPS_ONLY
    member = membership(book, found, author)
    assert member is not None, "finding a group checks membership"
    if _RANK[member.role] < rank:
        who = "An owner" if rank == _OWNER else "An owner or admin"
        return Refusal("forbidden", f"{who} of the group may do this.", "$.conv")
    return found


def _people(book: Book, named: list[str], field: str) -> list[User] | Refusal:
    people: dict[str, User] = {}
    for index, person in enumerate(named):
        user = find_person(book, person)
        if user is None or user.disabled:
            return Refusal("not_found", f"There is nobody called {person}.", f"{field}[{index}]")
        people[user.id] = user
    return list(people.values())


def _check_groups(user: User, field: str) -> Refusal | None:
    """What every group costs its members at each hello is bounded by how many each may be in."""
    if user.groups < GROUPS_PER_PERSON_MAX:
        return None
    return Refusal("too_many_groups", f"@{user.handle} is in {user.groups} groups; leave one first.", field)


def _check_all_groups(book: Book, named: list[str], field: str) -> Refusal | None:
    found = (
        _check_groups(user, f"{field}[{index}]")
        for index, person in enumerate(named)
        if (user := find_person(book, person)) is not None
    )
    return next((refusal for refusal in found if refusal is not None), None)


def _named(book: Book, group: Conversation, person: str) -> tuple[User, Member] | Refusal:
    user = find_person(book, person)
    if user is None:
        return Refusal("not_found", f"There is nobody called {person}.", "$.body.user")
    member = membership(book, group, user.id)
    if member is None:
        return Refusal("not_a_member", f"@{user.handle} is not in this group.", "$.body.user")
    return user, member


def _event(group: Conversation, author: str, frame: InPlace, kind: str, body: Mapping[str, object]) -> Append:
    return Append(group.id, kind, frame.id, author, frame.ref or None, codec.encode_body(body))


def _who(book: Book, user: str) -> str:
    found = book.users.get(user)
    assert found is not None, "the author was found before the rule ran"
    return f"@{found.handle}"
