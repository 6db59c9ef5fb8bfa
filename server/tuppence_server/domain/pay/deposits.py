"""The rules of money that comes in: what the operator took in, and play money in a sandbox."""

from msgspec import UNSET

from tuppence_protocol import codec
from tuppence_protocol.currencies import exponent
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import Deposited, PayFaucet
from tuppence_protocol.limits import FAUCET_MAJOR_MAX
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import find_place, need_person, need_place
from tuppence_server.domain.commands import Deposit
from tuppence_server.domain.facts import Append, Decision, Fact, Move
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import Conversation, User

from .accounts import (
    UNAVAILABLE,
    check_payee,
    check_room,
    customer,
    enabled_amount,
    need_account,
    operator,
)
from .wallets import NOBODY


def needs_deposit(book: Book, keys: Keys, _author: str, frame: Deposit) -> None:
    """The person, their `self` conversation and both accounts."""
    need_account(book, keys, operator("cash", frame.currency))
    user = need_person(book, keys, "@" + frame.handle)
    if user is None:
        return
    if user.id not in book.pairs:
        keys.pairs.add(user.id)
    need_account(book, keys, customer(user.id, frame.currency))


def deposit(book: Book, _author: str, frame: Deposit) -> Decision:
    """The operator took in money and credits a person with it."""
    minor = enabled_amount(book, frame.amount, frame.currency)
    if type(minor) is Refusal:
        return minor
    user = book.user_by_handle(frame.handle)
    conversation = None if user is None else book.conversation_by_pair(user.id)
    if user is None or conversation is None:
        return NOBODY
    if check_payee(book, user, frame.currency) is not None:
        return UNAVAILABLE
    return _credit(book, conversation, user, minor, frame)


def needs_faucet(book: Book, keys: Keys, author: str, frame: PayFaucet) -> None:
    """The person's `self` conversation and both accounts."""
    need_place(book, keys, author, frame.conv)
    need_account(book, keys, operator("cash", frame.body.currency))
    need_account(book, keys, customer(author, frame.body.currency))


def faucet(book: Book, author: str, frame: PayFaucet) -> Decision:
    """Play money for oneself, in a sandbox."""
    currency = frame.body.currency
    minor = enabled_amount(book, frame.body.amount, currency)
    if isinstance(minor, Refusal):
        return minor
    most = FAUCET_MAJOR_MAX * 10 ** (exponent(currency) or 0)
    if minor > most:
        shown = format_amount(most, currency)
        return Refusal("amount_range", f"The faucet gives {shown} {currency} at a time.", "$.body.amount")
    user = book.users[author]
    assert user is not None, "the author was found before the rule ran"
    if book.policy.mode != "sandbox":
        return Refusal("forbidden", "There is no faucet where the money is real.", "$.kind")
    conversation = find_place(book, user.id, frame.conv)
    if isinstance(conversation, Refusal):
        return conversation
    if isinstance(conversation, User) or conversation.kind != "self":
        return Refusal("forbidden", "The faucet is in `self`.", "$.conv")
    barred = check_payee(book, user, currency)
    return barred or _credit(book, conversation, user, minor, frame)


def _credit(
    book: Book,
    conversation: Conversation,
    user: User,
    minor: int,
    frame: Deposit | PayFaucet,
) -> list[Fact] | Refusal:
    currency, kind = (
        (frame.currency, "pay.deposit") if isinstance(frame, Deposit) else (frame.body.currency, "pay.faucet")
    )
    refusal = check_room(book, user, customer(user.id, currency), minor)
    if refusal is not None:
        return refusal
    amount = format_amount(minor, currency)
    by = "by deposit" if kind == "pay.deposit" else "from the faucet"
    alt = f"@{user.handle} received {amount} {currency} {by}"
    note = frame.note if isinstance(frame, Deposit) and frame.note is not None else UNSET
    body = codec.encode(Deposited(amount, currency, user.id, "completed", alt, note))
    author = SERVER_AUTHOR if kind == "pay.deposit" else user.id
    move = Move(operator("cash", currency), customer(user.id, currency), minor, kind)
    ref = (frame.ref or None) if isinstance(frame, PayFaucet) else None
    return [Append(conversation.id, kind, frame.id, author, ref, body, (move,))]
