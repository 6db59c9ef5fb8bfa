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
    Probe,
    RevokeSession,
    SetPassword,
    SetTier,
    StartEpoch,
)
from tuppence_server.domain.facts import (
    AddSession,
    BeginEpoch,
    Decision,
    EndSession,
    EndSessions,
    Fact,
    KeepUser,
    OpenConversation,
    ReadMark,
    Touch,
)
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import OPERATOR, Conversation, Member, Session, User

from .lookup import NO_CONVERSATION, NOBODY, belongs, need_conversation, need_member, need_person, need_user

RESERVED_HANDLES: Final = frozenset(
    {"self", "server", "system", "admin", "tuppence", "all", "here", OPERATOR}
)
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


def needs_create(book: Book, keys: Keys, _author: str, command: CreateUser) -> None:
    """Whoever has that handle or one that looks like it."""
    if skeleton(command.handle) not in book.skeletons:
        keys.skeletons.add(skeleton(command.handle))


def create(book: Book, _author: str, command: CreateUser) -> Decision:
    """Register a person, with the `self` conversation that holds what concerns nobody else."""
    handle = command.handle
    if _handle(handle) is None:
        return Refusal("bad_frame", "A handle is 2 to 32 of a-z, 0-9 and _.", "$.handle")
    unfit = fit_name(command.name, NAME_CHARS_MAX, "$.name")
    if unfit is not None:
        return unfit
    if skeleton(handle) in _RESERVED or book.skeletons[skeleton(handle)] is not None:
        return Refusal("handle_taken", "This handle, or one that looks like it, is taken.", "$.handle")
    user = User(command.user, handle, skeleton(handle), command.name, command.password, False, book.now)
    own = Conversation(command.conv, "self", "", user.id, book.now)
    return [KeepUser(user), OpenConversation(own, (Member(own.id, user.id, "owner", 1),))]


def needs_handle(book: Book, keys: Keys, _author: str, command: SetPassword | DisableUser | SetTier) -> None:
    """The person."""
    need_person(book, keys, "@" + command.handle)


def set_password(book: Book, _author: str, command: SetPassword) -> Decision:
    """Another password; every login ends."""
    user = book.user_by_handle(command.handle)
    if user is None:
        return NOBODY
    return [KeepUser(replace(user, password=command.password)), EndSessions(user.id, book.now)]


def disable(book: Book, _author: str, command: DisableUser) -> Decision:
    """Shut a person out or let them in; every login ends."""
    user = book.user_by_handle(command.handle)
    if user is None:
        return NOBODY
    return [KeepUser(replace(user, disabled=command.disabled)), EndSessions(user.id, book.now)]


def needs_open(book: Book, keys: Keys, _author: str, command: OpenSession) -> None:
    """The person."""
    need_user(book, keys, command.user)


def open_session(book: Book, _author: str, command: OpenSession) -> Decision:
    """Log a device in, unless the password changed or the person was disabled since it was checked."""
    unfit = fit_name(command.device, DEVICE_CHARS_MAX, "$.device")
    if unfit is not None:
        return unfit
    user = book.users[command.user]
    if user is None or user.password != command.proof:
        return Refusal("bad_credentials", "Handle and password do not match.")
    if user.disabled:
        return Refusal("account_disabled", "This user is disabled.")
    session = Session(
        command.session, user.id, command.token_hash, command.device, book.now, command.expires_at
    )
    renewed = command.renewed
    hashed: list[Fact] = [] if renewed is None else [KeepUser(replace(user, password=renewed))]
    return [*hashed, AddSession(session)]


def needs_revoke(book: Book, keys: Keys, _author: str, command: RevokeSession) -> None:
    """The login."""
    if command.session not in book.sessions:
        keys.sessions.add(command.session)


def revoke(book: Book, _author: str, command: RevokeSession) -> Decision:
    """Log a device out; again is no error."""
    session = book.sessions[command.session]
    if session is None or session.user != command.user:
        return Refusal("not_found", "There is no such session.", "$.session")
    return [] if session.revoked_at is not None else [EndSession(session.id, book.now)]


def needs_nothing(_book: Book, _keys: Keys, _author: str, _command: Probe | StartEpoch) -> None:
    """No rows."""


def probe(_book: Book, _author: str, _command: Probe) -> Decision:
    """Touch the store."""
    return [Touch()]


def start_epoch(book: Book, _author: str, command: StartEpoch) -> Decision:
    """Another epoch, once for each that is found not to be what clients hold."""
    return [BeginEpoch(command.epoch)] if book.head.epoch == command.instead_of else []


def needs_seen(book: Book, keys: Keys, _author: str, command: MarkSeen) -> None:
    """The conversation and the membership."""
    need_conversation(book, keys, command.conv)
    need_member(book, keys, command.conv, command.user)


def seen(book: Book, _author: str, command: MarkSeen) -> Decision:
    """Move the marks forward; what is not forward changes nothing and tells nobody."""
    conversation, member = book.conversations[command.conv], book.members[command.conv, command.user]
    if conversation is None or member is None or not belongs(book, conversation, command.user):
        return NO_CONVERSATION
    read, delivered = min(command.read, conversation.seq), min(command.delivered, conversation.seq)
    if read <= member.read and delivered <= member.delivered:
        return []
    return [ReadMark(command.conv, command.user, read, delivered)]
