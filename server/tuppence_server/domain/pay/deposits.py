"""The rules of money that comes in: what the operator took in, and play money in a sandbox."""

from msgspec import UNSET

from tuppence_protocol.currencies import exponent
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import Deposited, PayFaucet
from tuppence_protocol.limits import FAUCET_MAJOR_MAX
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import NOBODY, find_place, need_pair, need_person, need_place
from tuppence_server.domain.commands import Deposit, Withdraw
from tuppence_server.domain.facts import Decision, Move, event
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import FROZEN_IN, Conversation, User

from .accounts import UNAVAILABLE, check_own, check_room, customer, enabled_amount, need_account, operator


def needs_deposit(book: Book, keys: Keys, _author: str, command: Deposit | Withdraw) -> None:
    """The person, their `self` conversation and both accounts."""
    need_account(book, keys, operator("cash", command.currency))
    user = need_person(book, keys, "@" + command.handle)
    if user is not None:
        need_pair(book, keys, user.id)
        need_account(book, keys, customer(user.id, command.currency))


def find_balance(
    book: Book, command: Deposit | Withdraw, field: str = "$.body.amount"
) -> tuple[int, User, Conversation] | Refusal:
    """How much, in minor units, for whom, and where that is told: the person's `self` conversation."""
    minor = enabled_amount(book, command.amount, command.currency, field)
    if type(minor) is Refusal:
        return minor
    user = book.user_by_handle(command.handle)
    conversation = None if user is None else book.conversation_by_pair(user.id)
    return NOBODY if user is None or conversation is None else (minor, user, conversation)


def deposit(book: Book, _author: str, command: Deposit) -> Decision:
    """The operator took in money and credits a person with it."""
    found = find_balance(book, command)
    if type(found) is Refusal:
        return found
    minor, user, conversation = found
    if check_own(book, user, command.currency, FROZEN_IN) is not None:
        return UNAVAILABLE
    return _credit(book, conversation, user, minor, command)


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
    if book.policy.mode != "sandbox":
        return Refusal("forbidden", "There is no faucet where the money is real.", "$.kind")
    conversation = find_place(book, author, frame.conv)
    if isinstance(conversation, Refusal):
        return conversation
    if isinstance(conversation, User) or conversation.kind != "self":
        return Refusal("forbidden", "The faucet is in `self`.", "$.conv")
    user = book.person(author)
    frozen = check_own(book, user, currency, FROZEN_IN)
    return frozen or _credit(book, conversation, user, minor, frame)


def _credit(
    book: Book, conversation: Conversation, user: User, minor: int, frame: Deposit | PayFaucet
) -> Decision:
    if isinstance(frame, Deposit):
        author, currency, note, how = SERVER_AUTHOR, frame.currency, frame.note or UNSET, "by deposit"
    else:
        author, currency, note, how = user.id, frame.body.currency, UNSET, "from the faucet"
    account = customer(user.id, currency)
    refusal = check_room(book, user, account, minor)
    if refusal is not None:
        return refusal
    amount = format_amount(minor, currency)
    alt = f"@{user.handle} received {amount} {currency} {how}"
    body = Deposited(amount, currency, user.id, "completed", alt, note)
    move = Move(operator("cash", currency), account, minor, frame.kind)
    return [event(conversation.id, author, frame, body, (move,))]
