"""The rules of users, their logins and how far they have read."""

import re
from typing import Final

from msgspec.structs import replace

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import DEVICE_CHARS_MAX, NAME_CHARS_MAX
from tuppence_protocol.names import fit_name
from tuppence_protocol.shapes import HANDLE_PATTERN
from tuppence_server.domain.book import Book
from tuppence_server.domain.commands import (
    CreateUser,
    DisableUser,
    MarkSeen,
    OpenSession,
    RevokeSession,
    SetPassword,
    StartEpoch,
)
from tuppence_server.domain.facts import (
    AddSession,
    AddUser,
    BeginEpoch,
    ChangeUser,
    EndSession,
    EndSessions,
    Fact,
    OpenConversation,
    ReadMark,
    Touch,
)
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import OPERATOR, Conversation, Member, Session, User

from .lookup import NO_CONVERSATION, belongs, need_member, need_person, need_user

RESERVED_HANDLES: Final = frozenset(
    {"self", "server", "system", "admin", "tuppence", "all", "here", OPERATOR}
)
NO_SUCH_HANDLE = Refusal("not_found", "There is nobody with that handle.", "$.handle")
_handle = re.compile(HANDLE_PATTERN[1:-1], re.ASCII).fullmatch


def skeleton(handle: str) -> str:
    """What a handle looks like: two handles with one skeleton cannot be told apart at a glance.

    The confusables of Unicode TR 39 that exist within `[a-z0-9_]`, and `w` as two `v`. Each character by
    itself becomes what it is drawn of, so that it does not matter where in a row of strokes one begins to
    read.
    """
    return handle.translate(_LOOKALIKES)


_LOOKALIKES: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "m": "rn", "w": "vv"})
_RESERVED: Final = frozenset(map(skeleton, RESERVED_HANDLES))


def needs_create(book: Book, keys: Keys, request: Request) -> None:
    """Whoever has that handle or one that looks like it."""
    command = request.frame
    assert isinstance(command, CreateUser)
    if skeleton(command.handle) not in book.skeletons:
        keys.skeletons.add(skeleton(command.handle))


def create(book: Book, request: Request) -> list[Fact] | Refusal:
    """Register a person, with the `self` conversation that holds what concerns nobody else."""
    command = request.frame
    assert isinstance(command, CreateUser)
    handle = command.handle
    if _handle(handle) is None:
        return Refusal("bad_frame", "A handle is 2 to 32 of a-z, 0-9 and _.", "$.handle")
    unfit = fit_name(command.name, NAME_CHARS_MAX, "$.name")
    if unfit is not None:
        return unfit
    if skeleton(handle) in _RESERVED or book.skeletons.get(skeleton(handle)) is not None:
        return Refusal("handle_taken", "This handle, or one that looks like it, is taken.", "$.handle")
    user = User(command.user, handle, skeleton(handle), command.name, command.password, False, book.now)
    own = Conversation(command.conv, "self", "", user.id, book.now)
    return [AddUser(user), OpenConversation(own, (Member(own.id, user.id, "owner", 1),))]


def needs_handle(book: Book, keys: Keys, request: Request) -> None:
    """The person."""
    command = request.frame
    assert isinstance(command, (SetPassword, DisableUser))
    need_person(book, keys, "@" + command.handle)


def set_password(book: Book, request: Request) -> list[Fact] | Refusal:
    """Another password; every login ends."""
    command = request.frame
    assert isinstance(command, SetPassword)
    user = book.user_by_handle(command.handle)
    if user is None:
        return NO_SUCH_HANDLE
    return [ChangeUser(replace(user, password=command.password)), EndSessions(user.id, book.now)]


def disable(book: Book, request: Request) -> list[Fact] | Refusal:
    """Shut a person out or let them in; every login ends."""
    command = request.frame
    assert isinstance(command, DisableUser)
    user = book.user_by_handle(command.handle)
    if user is None:
        return NO_SUCH_HANDLE
    return [ChangeUser(replace(user, disabled=command.disabled)), EndSessions(user.id, book.now)]


def needs_open(book: Book, keys: Keys, request: Request) -> None:
    """The person."""
    command = request.frame
    assert isinstance(command, OpenSession)
    need_user(book, keys, command.user)


def open_session(book: Book, request: Request) -> list[Fact] | Refusal:
    """Log a device in, unless the password changed or the person was disabled since it was checked."""
    command = request.frame
    assert isinstance(command, OpenSession)
    unfit = fit_name(command.device, DEVICE_CHARS_MAX, "$.device")
    if unfit is not None:
        return unfit
    user = book.users.get(command.user)
    if user is None or user.password != command.proof:
        return Refusal("bad_credentials", "Handle and password do not match.")
    if user.disabled:
        return Refusal("account_disabled", "This user is disabled.")
    session = Session(
        command.session, user.id, command.token_hash, command.device, book.now, command.expires_at
    )
    renewed = command.renewed
    hashed: list[Fact] = [] if renewed is None else [ChangeUser(replace(user, password=renewed))]
    return [*hashed, AddSession(session)]


def needs_revoke(book: Book, keys: Keys, request: Request) -> None:
    """The login."""
    command = request.frame
    assert isinstance(command, RevokeSession)
    if command.session not in book.sessions:
        keys.sessions.add(command.session)


def revoke(book: Book, request: Request) -> list[Fact] | Refusal:
    """Log a device out; again is no error."""
    command = request.frame
    assert isinstance(command, RevokeSession)
    session = book.sessions.get(command.session)
    if session is None or session.user != command.user:
        return Refusal("not_found", "There is no such session.", "$.session")
    return [] if session.revoked_at is not None else [EndSession(session.id, book.now)]


def needs_nothing(_book: Book, _keys: Keys, _request: Request) -> None:
    """No rows."""


def probe(_book: Book, _request: Request) -> list[Fact] | Refusal:
    """Touch the store."""
    return [Touch()]


def start_epoch(book: Book, request: Request) -> list[Fact] | Refusal:
    """Another epoch, once for each that is found not to be what clients hold."""
    command = request.frame
    assert isinstance(command, StartEpoch)
    return [BeginEpoch(command.epoch)] if book.head.epoch == command.instead_of else []


def needs_seen(book: Book, keys: Keys, request: Request) -> None:
    """The conversation and the membership."""
    command = request.frame
    assert isinstance(command, MarkSeen)
    if command.conv not in book.conversations:
        keys.conversations.add(command.conv)
    need_member(book, keys, command.conv, command.user)


def seen(book: Book, request: Request) -> list[Fact] | Refusal:
    """Move the marks forward; what is not forward changes nothing and tells nobody."""
    command = request.frame
    assert isinstance(command, MarkSeen)
    conversation = book.conversations.get(command.conv)
    member = book.members.get((command.conv, command.user))
    if conversation is None or member is None or not belongs(book, conversation, command.user):
        return NO_CONVERSATION
    read, delivered = min(command.read, conversation.seq), min(command.delivered, conversation.seq)
    if read <= member.read and delivered <= member.delivered:
        return []
    return [ReadMark(command.conv, command.user, read, delivered)]
