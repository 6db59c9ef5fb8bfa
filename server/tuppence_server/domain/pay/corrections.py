"""The rules of what the operator takes back: out of a balance, or from who was paid to who paid.

Frozen accounts can be corrected, since a freeze is often why; closed ones cannot, since nothing moves there.
No balance falls below zero: by force the operator bears what is missing, on the account `losses`.
"""

from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PaymentReversed, Withdrawn
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import need_person
from tuppence_server.domain.commands import Reverse, Withdraw
from tuppence_server.domain.facts import Append, Decision, Fact, KeepPayment, Move
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import CLOSED, AccountKey, Payment

from .accounts import check_funds, check_room, customer, enabled_amount, flags_of, need_account, operator
from .answers import NEVER_PAID, SELF_REFUND
from .payments import ended, name, need_parties, need_payment
from .wallets import NOBODY

NO_PAYMENT: Final = Refusal("not_found", "No payment of one person to another has that id.", "$.payment")


def needs_withdraw(book: Book, keys: Keys, _author: str, frame: Withdraw) -> None:
    """The person, their `self` conversation, their account and the operator's two."""
    need_account(book, keys, operator("cash", frame.currency))
    need_account(book, keys, operator("losses", frame.currency))
    user = need_person(book, keys, "@" + frame.handle)
    if user is None:
        return
    if user.id not in book.pairs:
        keys.pairs.add(user.id)
    need_account(book, keys, customer(user.id, frame.currency))


def withdraw(book: Book, _author: str, frame: Withdraw) -> Decision:
    """The operator paid out money, or corrects a credit."""
    currency = frame.currency
    minor = enabled_amount(book, frame.amount, currency, "$.amount")
    if isinstance(minor, Refusal):
        return minor
    user = book.user_by_handle(frame.handle)
    conversation = None if user is None else book.conversation_by_pair(user.id)
    if user is None or conversation is None:
        return NOBODY
    source, target = customer(user.id, currency), operator("cash", currency)
    moves = _taken(book, source, target, minor, "pay.withdraw", force=frame.force)
    if isinstance(moves, Refusal):
        return moves
    amount = format_amount(minor, currency)
    body = Withdrawn(
        amount, currency, user.id, "completed",
        f"{amount} {currency} were taken out of the balance of @{user.handle}",
        frame.reason, frame.note or UNSET, _shortfall(moves, currency),
    )  # fmt: skip
    text = codec.encode(body)
    return [Append(conversation.id, "pay.withdraw", frame.id, SERVER_AUTHOR, None, text, tuple(moves))]


def needs_reverse(book: Book, keys: Keys, _author: str, frame: Reverse) -> None:
    """The payment, its conversation, its parties and what bears a loss."""
    payment = need_payment(book, keys, frame.payment)
    if payment is None:
        return
    if payment.conv not in book.conversations:
        keys.conversations.add(payment.conv)
    need_parties(book, keys, payment)
    if payment.received_currency:
        need_account(book, keys, operator("losses", payment.received_currency))


def reverse(book: Book, _author: str, frame: Reverse) -> Decision:
    """The operator gives back what is left of a payment, in the currency that was received; fees stay."""
    payment = book.payments.get(frame.payment)
    if payment is None or payment.kind != "send":
        return NO_PAYMENT
    if payment.state in NEVER_PAID or payment.state in {"refunded", "pending"}:
        return replace(ended(payment.state), field="$.payment")
    if payment.payer == payment.payee:
        return replace(SELF_REFUND, field="$.payment")
    return _reversed(book, frame, payment)


def _reversed(book: Book, frame: Reverse, payment: Payment) -> list[Fact] | Refusal:
    currency, minor = payment.received_currency, payment.received - payment.refunded
    source, target = customer(payment.payee, currency), customer(payment.payer, currency)
    payer = book.users[payment.payer]
    assert payer is not None, "a payment's parties are users"
    if flags_of(book, payer, currency) & CLOSED:
        return Refusal("account_closed", f"The account of @{payer.handle} is closed; reopen it first.")
    moves = check_room(book, payer, target, minor, None, capped=False) or _taken(
        book, source, target, minor, "pay.reverse", force=frame.force
    )
    if isinstance(moves, Refusal):
        return moves
    amount, back, kept = format_amount(minor, currency), name(book, payment.payer), name(book, payment.payee)
    body = PaymentReversed(
        amount, currency, payment.payee, payment.payer, "refunded", format_amount(payment.received, currency),
        f"{amount} {currency} that {back} paid {kept} were given back by the operator",
        frame.reason, frame.note or UNSET, _shortfall(moves, currency),
    )  # fmt: skip
    text = codec.encode(body)
    return [
        Append(payment.conv, "pay.reverse", frame.id, SERVER_AUTHOR, payment.id, text, tuple(moves)),
        KeepPayment(
            replace(
                payment,
                state="refunded",
                refunded=payment.received,
                refund_transfer=book.head.transfer_id + len(moves),
            )
        ),
    ]


def _taken(
    book: Book, source: AccountKey, target: AccountKey, minor: int, code: str, *, force: bool
) -> list[Move] | Refusal:
    """What a person has of it, and by force the rest from the operator."""
    refusal = check_funds(book, source, minor, None)
    if refusal is None:
        return [Move(source, target, minor, code)]
    account = book.accounts.get(source)
    there = 0 if account is None else account.available
    if not force:
        shown = format_amount(there, source[1])
        return replace(refusal, message=f"Only {shown} {source[1]} are available there.")
    rest = Move(operator("losses", source[1]), target, minor - there, code)
    return [Move(source, target, there, code), rest] if there else [rest]


def _shortfall(moves: list[Move], currency: str) -> str | UnsetType:
    borne = sum(move.amount for move in moves if move.debit[2] == "losses")
    return format_amount(borne, currency) if borne else UNSET
