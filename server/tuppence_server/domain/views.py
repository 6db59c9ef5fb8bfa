"""Rows as the wire shows them; the same for every store."""

from tuppence_protocol.kinds import ConversationView, MemberView, QuoteView
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import BalanceView, Money, UserView

from .rows import Conversation, Member, Quote, User


def user_view(user: User) -> UserView:
    """A person as others see them."""
    return UserView(user.id, user.handle, user.name)


def member_view(member: Member, user: User) -> MemberView:
    """A person in a conversation."""
    return MemberView(user_view(user), member.role, member.read, member.delivered)


def conversation_view(conversation: Conversation, member: Member, peer: User | None) -> ConversationView:
    """A conversation as one member sees it."""
    return ConversationView(
        conv=conversation.id, kind=conversation.kind, seq=conversation.seq, pos=conversation.pos,
        role=member.role, since=member.since, read=member.read, members=conversation.members,
        title=conversation.title, peer=None if peer is None else user_view(peer),
    )  # fmt: skip


def balance_view(currency: str, available: int, held: int, pos: int) -> BalanceView:
    """A balance in major units, as the ledger has it at `pos`."""
    return BalanceView(currency, format_amount(available, currency), format_amount(held, currency), pos)


def money_view(minor: int, currency: str) -> Money:
    """An amount in major units."""
    return Money(format_amount(minor, currency), currency)


def quote_view(quote: Quote) -> QuoteView:
    """A quote as its owner sees it."""
    return QuoteView(
        quote.id, money_view(quote.sell_amount, quote.sell), money_view(quote.buy_amount, quote.buy),
        quote.rate,
        format_amount(quote.margin, quote.sell), format_amount(quote.fee, quote.sell), quote.expires_at,
    )  # fmt: skip
