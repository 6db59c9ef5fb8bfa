"""The rules of what the operator takes back: out of a balance, or from who was paid to who paid.

Frozen accounts can be corrected, since a freeze is often why; closed ones cannot, since nothing moves there.
No balance falls below zero: by force the operator bears what is missing, on the account `losses`.
"""

from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PaymentReversed, Withdrawn
from tuppence_protocol.lifecycle import WHO
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import name
from tuppence_server.domain.commands import Reverse, Withdraw
from tuppence_server.domain.facts import Decision, KeepPayment, Move, event
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import CLOSED, AccountKey, Payment

from .accounts import available_in, check_funds, check_room, customer, flags_of, need_account, operator
from .answers import SELF_REFUND
from .deposits import find_balance, needs_deposit
from .payments import check_state, needs_payment

NO_PAYMENT: Final = Refusal("not_found", "No payment of one person to another has that id.", "$.payment")


def needs_withdraw(book: Book, keys: Keys, author: str, command: Withdraw) -> None:
    """As for a deposit, and what bears a loss."""
    needs_deposit(book, keys, author, command)
    need_account(book, keys, operator("losses", command.currency))


def withdraw(book: Book, _author: str, command: Withdraw) -> Decision:
    """The operator paid out money, or corrects a credit."""
    found = find_balance(book, command, "$.amount")
    if isinstance(found, Refusal):
        return found
    minor, user, conversation = found
    currency = command.currency
    source, target = customer(user.id, currency), operator("cash", currency)
    moves = _taken(book, source, target, minor, command)
    if isinstance(moves, Refusal):
        return moves
    amount = format_amount(minor, currency)
    body = Withdrawn(
        amount, currency, user.id, "completed",
        f"{amount} {currency} were taken out of the balance of @{user.handle}",
        command.reason, command.note or UNSET, _shortfall(moves, currency),
    )  # fmt: skip
    return [event(conversation.id, SERVER_AUTHOR, command, body, moves)]


def needs_reverse(book: Book, keys: Keys, author: str, command: Reverse) -> None:
    """The payment, its conversation, its parties and what bears a loss."""
    payment = needs_payment(book, keys, author, command)
    if payment is not None and payment.received_currency:
        need_account(book, keys, operator("losses", payment.received_currency))


def reverse(book: Book, _author: str, command: Reverse) -> Decision:
    """The operator gives back what is left of a payment, in the currency that was received; fees stay."""
    payment = book.payment(command.payment)
    if payment is None or (payment.kind, "reverse") not in WHO:
        return NO_PAYMENT
    refusal = check_state(book, payment, "reverse")
    if refusal is None and payment.payer == payment.payee:
        refusal = SELF_REFUND
    return _reversed(book, command, payment) if refusal is None else replace(refusal, field="$.payment")


def _reversed(book: Book, command: Reverse, payment: Payment) -> Decision:
    currency, payer = payment.received_currency, book.person(payment.payer)
    minor = payment.received - payment.refunded
    source, target = customer(payment.payee, currency), customer(payment.payer, currency)
    if flags_of(book, payer, currency) & CLOSED:
        return Refusal("account_closed", f"The account of @{payer.handle} is closed; reopen it first.")
    moves = check_room(book, payer, target, minor, None, capped=False) or _taken(
        book, source, target, minor, command
    )
    if isinstance(moves, Refusal):
        return moves
    amount, payee = format_amount(minor, currency), name(book, payment.payee)
    body = PaymentReversed(
        amount, currency, payment.payee, payment.payer, "refunded", format_amount(payment.received, currency),
        f"{amount} {currency} that @{payer.handle} paid {payee} were given back by the operator",
        command.reason, command.note or UNSET, _shortfall(moves, currency),
    )  # fmt: skip
    transfer = book.head.transfer_id + len(moves)
    after = replace(payment, state="refunded", refunded=payment.received, refund_transfer=transfer)
    return [event(payment.conv, SERVER_AUTHOR, command, body, moves), KeepPayment(after)]


def _taken(
    book: Book, source: AccountKey, target: AccountKey, minor: int, command: Withdraw | Reverse
) -> list[Move] | Refusal:
    """What a person has of it, and by force the rest from the operator."""
    refusal = check_funds(book, source, minor, None)
    if refusal is None:
        return [Move(source, target, minor, command.kind)]
    there, currency = available_in(book, source), source[1]
    if not command.force:
        shown = format_amount(there, currency)
        return replace(refusal, message=f"Only {shown} {currency} are available there.")
    rest = Move(operator("losses", currency), target, minor - there, command.kind)
    return [Move(source, target, there, command.kind), rest] if there else [rest]


def _shortfall(moves: list[Move], currency: str) -> str | UnsetType:
    borne = sum(move.amount for move in moves if move.debit[2] == "losses")
    return format_amount(borne, currency) if borne else UNSET
