"""The rules of groups: who may bring whom in, take whom out, and call it what."""

from typing import Final

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import RoomCreate, RoomInvite, RoomLeave, RoomRemove, RoomRole, RoomUpdate
from tuppence_protocol.limits import GROUPS_PER_PERSON_MAX, ROOM_MEMBERS_MAX
from tuppence_server.domain.book import Book
from tuppence_server.domain.facts import Decision, GiveRole, Join, Leave, OpenConversation, Retitle, event
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import Conversation, Member, Role, User

from .lookup import (
    find_person,
    find_place,
    membership,
    name,
    need_person,
    need_person_here,
    need_place,
    need_user,
)

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
    title, named = frame.body.title, frame.body.members
    people = _people(book, named, "$.body.members")
    if isinstance(people, Refusal):
        return people
    conv = book.fresh.conversation_id()
    members = [Member(conv, author, "owner", 1)]
    members += [Member(conv, user.id, "member", 1) for user in people if user.id != author]
    if len(members) > ROOM_MEMBERS_MAX:
        return ROOM_FULL
    owner = book.person(author)
    if full := _check_groups(owner, "$.body") or _check_all_groups(book, named, "$.body.members"):
        return full
    body = {
        "kind": "group",
        "title": title,
        "members": [member.user for member in members],
        "alt": f"@{owner.handle} opened the group {title}",
    }
    group = Conversation(conv, "group", title, None, book.now)
    return [OpenConversation(group, tuple(members)), event(conv, author, frame, body)]


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
        need_person_here(book, keys, conversation, person)


def update(book: Book, author: str, frame: RoomUpdate) -> Decision:
    """Change the title."""
    found = _group(book, author, frame.conv, _ADMIN)
    if isinstance(found, Refusal):
        return found
    group, title = found[0], frame.body.title
    body = {"title": title, "alt": f"{name(book, author)} renamed the group to {title}"}
    return [Retitle(group.id, title), event(group.id, author, frame, body)]


def invite(book: Book, author: str, frame: RoomInvite) -> Decision:
    """Bring people in; they see the group from this event on."""
    found = _group(book, author, frame.conv, _ADMIN)
    if isinstance(found, Refusal):
        return found
    group, named = found[0], frame.body.users
    people = _people(book, named, "$.body.users")
    if isinstance(people, Refusal):
        return people
    for index, person in enumerate(named):
        user = find_person(book, person)
        if user is not None and membership(book, group.id, user.id) is not None:
            return Refusal("already_member", f"@{user.handle} is here already.", f"$.body.users[{index}]")
    if group.members + len(people) > ROOM_MEMBERS_MAX:
        return ROOM_FULL
    if full := _check_all_groups(book, named, "$.body.users"):
        return full
    names = ", ".join(f"@{user.handle}" for user in people)
    body = {"users": [user.id for user in people], "alt": f"{name(book, author)} invited {names}"}
    joins = [Join(_newcomer(book, group, user)) for user in people]
    return [*joins, event(group.id, author, frame, body)]


def _newcomer(book: Book, group: Conversation, user: User) -> Member:
    before = book.members[group.id, user.id]
    read, gone = (0, 0) if before is None else (before.read, before.gone)
    return Member(group.id, user.id, "member", group.seq + 1, None, read, read, gone)


def remove(book: Book, author: str, frame: RoomRemove) -> Decision:
    """Take somebody out; the event is the last that they see."""
    found = _group_and_other(book, author, frame, _ADMIN)
    if isinstance(found, Refusal):
        return found
    group, own, user, member = found
    if user.id == author:
        return Refusal("forbidden", "To go yourself, send room.leave.", "$.body.user")
    if own.role != "owner" and _RANK[member.role] >= _ADMIN:
        return Refusal("forbidden", "Only an owner removes owners and admins.", "$.body.user")
    body = {"user": user.id, "alt": f"{name(book, author)} removed @{user.handle}"}
    return [event(group.id, author, frame, body), Leave(group.id, user.id)]


def leave(book: Book, author: str, frame: RoomLeave) -> Decision:
    """Go; the last owner of a group that still has others first makes somebody else an owner."""
    found = _group(book, author, frame.conv, _RANK["reader"])
    if isinstance(found, Refusal):
        return found
    group, member = found
    if member.role == "owner" and group.owners == 1 and group.members > 1:
        return LAST_OWNER
    body = {"alt": f"{name(book, author)} left"}
    return [event(group.id, author, frame, body), Leave(group.id, author)]


def role(book: Book, author: str, frame: RoomRole) -> Decision:
    """Give somebody another role."""
    found = _group_and_other(book, author, frame, _OWNER)
    if isinstance(found, Refusal):
        return found
    group, _, user, member = found
    given = frame.body.role
    if member.role == "owner" and given != "owner" and group.owners == 1:
        return LAST_OWNER
    body = {"user": user.id, "role": given, "alt": f"{name(book, author)} made @{user.handle} {given}"}
    return [GiveRole(group.id, user.id, given), event(group.id, author, frame, body)]


def _group(book: Book, author: str, place: str, rank: int) -> tuple[Conversation, Member] | Refusal:
    """The group, and the author's membership, which has at least that rank."""
    found = find_place(book, author, place)
    if isinstance(found, Refusal):
        return found
    if isinstance(found, User) or found.kind != "group":
        return GROUPS_ONLY
    member = membership(book, found.id, author)
    assert member is not None, "finding a group checks membership"
    if _RANK[member.role] < rank:
        who = "An owner" if rank == _OWNER else "An owner or admin"
        return Refusal("forbidden", f"{who} of the group may do this.", "$.conv")
    return found, member


def _group_and_other(
    book: Book, author: str, frame: RoomRemove | RoomRole, rank: int
) -> tuple[Conversation, Member, User, Member] | Refusal:
    """The group with the author's membership, and whom the frame names with theirs."""
    found = _group(book, author, frame.conv, rank)
    if isinstance(found, Refusal):
        return found
    user = find_person(book, frame.body.user)
    if user is None:
        return Refusal("not_found", f"There is nobody called {frame.body.user}.", "$.body.user")
    member = membership(book, found[0].id, user.id)
    if member is None:
        return Refusal("not_a_member", f"@{user.handle} is not in this group.", "$.body.user")
    return *found, user, member


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
    for index, person in enumerate(named):
        user = find_person(book, person)
        if user is not None and (full := _check_groups(user, f"{field}[{index}]")):
            return full
    return None
