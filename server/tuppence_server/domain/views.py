"""Rows as the wire shows them; the same for every store."""

from tuppence_protocol.events import BalanceView, ConversationView, MemberView, UserView
from tuppence_protocol.money import format_amount

from .rows import Conversation, Member, User


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


def balance_view(currency: str, available: int, held: int, pos: int) -> BalanceView:
    """A balance in major units, as the ledger has it at `pos`."""
    return BalanceView(currency, format_amount(available, currency), format_amount(held, currency), pos)
