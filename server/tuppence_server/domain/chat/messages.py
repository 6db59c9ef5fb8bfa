"""The rules of talking."""

from typing import Final

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import ChatText
from tuppence_server.domain.book import Book
from tuppence_server.domain.facts import Append, Decision, Fact, OpenConversation
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import Conversation, Member, User, pair_of

from .lookup import NO_HANDLE, find_place, membership, need_place

READERS_WATCH: Final = Refusal("forbidden", "Readers of this conversation cannot write.", "$.conv")


def needs_text(book: Book, keys: Keys, author: str, frame: ChatText) -> None:
    """The conversation."""
    need_place(book, keys, author, frame.conv)


def text(book: Book, author: str, frame: ChatText) -> Decision:
    """Say something."""
    place = writable(book, author, frame.conv)
    if type(place) is Refusal:
        return place
    conversation, facts = place
    body = codec.encode(frame.body)
    facts.append(Append(conversation.id, "chat.text", frame.id, author, frame.ref or None, body))
    return facts


def writable(book: Book, author: str, place: str) -> tuple[Conversation, list[Fact]] | Refusal:
    """The conversation to write to, and the facts that open it where it is a new dm."""
    found = find_place(book, author, place)
    if isinstance(found, Conversation):
        refusal = check_no_reader(book, found.id, author) if found.pair is None else None
        return refusal or (found, [])
    if isinstance(found, User):
        return NO_HANDLE if found.disabled else open_dm(book, author, found)
    return found


def check_no_reader(book: Book, group: str, author: str) -> Refusal | None:
    """Readers of a group watch."""
    member = membership(book, group, author)
    return READERS_WATCH if member is None or member.role == "reader" else None


def open_dm(book: Book, author: str, peer: User) -> tuple[Conversation, list[Fact]]:
    """A dm between two people who never wrote to each other."""
    conv = book.fresh.conversation_id()
    conversation = Conversation(conv, "dm", "", pair_of(author, peer.id), book.now)
    members = (Member(conv, author, "member", 1), Member(conv, peer.id, "member", 1))
    return conversation, [OpenConversation(conversation, members)]
