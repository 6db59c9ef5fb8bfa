"""Finding the conversation and the people that a frame names.

`need_*` ask for rows and read what is there already; `find_*` read what was asked for, and nothing else.
"""

from typing import Final

from tuppence_protocol.errors import Refusal
from tuppence_server.domain.book import Book
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import Conversation, Member, User, pair_of

NO_CONVERSATION: Final = Refusal("not_found", "There is no such conversation.", "$.conv")
NO_HANDLE: Final = Refusal("not_found", "There is nobody with that handle.", "$.conv")
NOBODY: Final = Refusal("not_found", "There is nobody with that handle.", "$.handle")


def need_user(book: Book, keys: Keys, user: str) -> User | None:
    """Ask for a person by id."""
    if user not in book.users:
        keys.users.add(user)
    return book.users.get(user)


def need_person(book: Book, keys: Keys, person: str) -> User | None:
    """Ask for a person by "@handle" or id."""
    if not person.startswith("@"):
        return need_user(book, keys, person)
    if person[1:] in book.handles:
        return book.user_by_handle(person[1:])
    keys.handles.add(person[1:])
    return None


def find_person(book: Book, person: str) -> User | None:
    """The person that "@handle" or an id names."""
    return book.user_by_handle(person[1:]) if person.startswith("@") else book.users[person]


def name(book: Book, user: str) -> str:
    """ "@handle" of somebody whom the rule asked for."""
    return f"@{book.person(user).handle}"


def need_member(book: Book, keys: Keys, conv: str, user: str) -> None:
    """Ask for somebody's membership."""
    if (conv, user) not in book.members:
        keys.members.add((conv, user))


def need_person_here(book: Book, keys: Keys, conversation: Conversation | None, person: str) -> User | None:
    """Ask for a person, and where the conversation is a group for their membership."""
    user = need_person(book, keys, person)
    if user is not None and conversation is not None and conversation.pair is None:
        need_member(book, keys, conversation.id, user.id)
    return user


def need_place(book: Book, keys: Keys, author: str, place: str) -> Conversation | None:
    """Ask for a conversation, its peer if it is a dm, and the author's membership if it is a group."""
    conversation = book.conversations.get(place)
    if conversation is None:
        conversation = _look_for(book, keys, author, place)
    if author not in book.users:
        keys.users.add(author)
    if conversation is None:
        return None
    people = book.people.get(conversation.id)
    if people is None:
        need_member(book, keys, conversation.id, author)
        return conversation
    for user in people:
        if user not in book.users:
            keys.users.add(user)
    return conversation


def need_conversation(book: Book, keys: Keys, conv: str) -> None:
    """Ask for a conversation by id."""
    if conv not in book.conversations:
        keys.conversations.add(conv)


def _look_for(book: Book, keys: Keys, author: str, place: str) -> Conversation | None:
    if place.startswith("c_"):
        need_conversation(book, keys, place)
        return None
    peer = need_person(book, keys, place) if place.startswith("@") else None
    if peer is None and place != "self":
        return None
    return need_pair(book, keys, author if peer is None else pair_of(author, peer.id))


def need_pair(book: Book, keys: Keys, pair: str) -> Conversation | None:
    """Ask for the dm or self of these people."""
    if pair in book.pairs:
        return book.conversation_by_pair(pair)
    keys.pairs.add(pair)
    return None


def find_place(book: Book, author: str, place: str) -> Conversation | User | Refusal:
    """The conversation that the author means; a person where it is a dm that does not exist yet."""
    if place.startswith("c_"):
        conversation = book.conversations[place]
        if conversation is None or not belongs(book, conversation, author):
            return NO_CONVERSATION
        return conversation
    if place == "self":
        return book.conversation_by_pair(author) or NO_CONVERSATION
    peer = find_person(book, place) if place.startswith("@") else None
    if peer is None:
        return NO_HANDLE
    return book.conversation_by_pair(pair_of(author, peer.id)) or peer


def belongs(book: Book, conversation: Conversation, user: str) -> bool:
    """True where the person is in the conversation now."""
    people = book.people.get(conversation.id)
    if people is not None:
        return user in people
    return membership(book, conversation.id, user) is not None


def membership(book: Book, conv: str, user: str) -> Member | None:
    """The person's membership, unless it has ended."""
    member = book.members[conv, user]
    return member if member is not None and member.until is None else None


def peer_of(book: Book, conversation: Conversation, user: str) -> str | None:
    """The other person of a dm; oneself in `self`; None in a group."""
    people = book.people.get(conversation.id)
    if people is None:
        return None
    return people[-1] if people[0] == user else people[0]
