"""Rows as the wire shows them; the same for every store."""

from tuppence_protocol.events import ConversationView, MemberView, UserView
from tuppence_server.domain.rows import Conversation, Member, User

from .base import Place


def user_view(user: User) -> UserView:
    """A person as others see them."""
    return UserView(user.id, user.handle, user.name)


def member_view(member: Member, user: User) -> MemberView:
    """A person in a conversation."""
    return MemberView(user_view(user), member.role, member.read, member.delivered)


def conversation_view(conversation: Conversation, member: Member, peer: User | None) -> ConversationView:
    """A conversation as one member sees it."""
    return ConversationView(
        conv=conversation.id,
        kind=conversation.kind,
        seq=conversation.seq,
        pos=conversation.pos,
        role=member.role,
        since=member.since,
        read=member.read,
        members=conversation.members,
        title=conversation.title,
        peer=None if peer is None else user_view(peer),
    )


def place_of(conversation: Conversation) -> Place:
    """A conversation as the hub needs to know it."""
    people = None if conversation.pair is None else tuple(conversation.pair.split("|"))
    return Place(conversation.id, people, conversation.members)
