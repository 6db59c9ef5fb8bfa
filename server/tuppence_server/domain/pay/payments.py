"""Finding the payment that a frame acts on, and telling why it can no longer be acted on."""

from typing import Final

from msgspec import UNSET, UnsetType

from tuppence_protocol.errors import Refusal
from tuppence_protocol.money import format_amount
from tuppence_protocol.shapes import Acting
from tuppence_protocol.views import Share as ShareView
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import find_place, need_conversation, need_place, need_user
from tuppence_server.domain.commands import Expire, Reverse
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import WAITING, Conversation, Payment, PaymentKind, Share, User

from .accounts import customer, need_account, operator

NO_PAYMENT: Final = Refusal("not_found", "There is no such payment in this conversation.", "$.ref")
NOT_YOURS: Final = Refusal("forbidden", "This is for somebody else to do.", "$.ref")
_ENDS: Final = {
    "paid": ("already_paid", "This has been paid."),
    "declined": ("already_declined", "This has been declined."),
    "cancelled": ("already_cancelled", "This has been cancelled."),
    "expired": ("expired", "The time for this has passed."),
    "emptied": ("packet_empty", "All shares of this packet are claimed."),
    "refunded": ("already_refunded", "All of this has been refunded."),
}


def need_payment(book: Book, keys: Keys, id: str) -> Payment | None:
    """Ask for a payment. A plain send that the store does not have yet is found by its event; any other has
    its row read."""
    payment = book.payments.get(id)
    if payment is None and id not in book.no_payments:
        if book.cache_new_payment(id):
            return book.payments[id]
        keys.payments.add(id)
    return payment


def needs_payment(book: Book, keys: Keys, _author: str, command: Expire | Reverse) -> Payment | None:
    """The payment, its conversation and its parties."""
    payment = need_payment(book, keys, command.payment)
    if payment is not None:
        need_conversation(book, keys, payment.conv)
        need_parties(book, keys, payment)
    return payment


def needs_acting(book: Book, keys: Keys, author: str, frame: Acting) -> None:
    """The payment, its conversation, its parties and every account that what is done may move."""
    need_place(book, keys, author, frame.conv)
    payment = need_payment(book, keys, frame.ref)
    if payment is not None:
        need_parties(book, keys, payment)
        need_account(book, keys, customer(author, payment.currency))


def need_parties(book: Book, keys: Keys, payment: Payment) -> None:
    """Who a payment is between, and their accounts and the operator's."""
    currencies = {payment.currency, payment.received_currency or payment.currency}
    for user in filter(None, (payment.payer, payment.payee)):
        need_user(book, keys, user)
        for currency in currencies:
            need_account(book, keys, customer(user, currency))
    if payment.counted and (payment.payer, payment.currency) not in book.uses:
        keys.uses.add((payment.payer, payment.currency))  # to give back, whatever the payer's limits are now
    if payment.kind == "split":
        for share in book.shares[payment.id]:
            need_user(book, keys, share.person)
    need_account(book, keys, operator("fees", payment.currency))
    if payment.kind == "packet":
        need_account(book, keys, operator("packets", payment.currency))


def find_payment(
    book: Book, author: str, frame: Acting, *kinds: PaymentKind
) -> tuple[Conversation, Payment] | Refusal:
    """The conversation and the payment in it that the author acts on."""
    conversation = find_place(book, author, frame.conv)
    if isinstance(conversation, Refusal):
        return conversation
    payment = book.payment(frame.ref)
    if isinstance(conversation, User) or payment is None or payment.conv != conversation.id:
        return NO_PAYMENT
    return (conversation, payment) if payment.kind in kinds else NO_PAYMENT


def expiry(book: Book, seconds: int | UnsetType, default_s: int) -> int:
    """When the time of a new payment is over, ms."""
    return book.now + 1000 * (default_s if seconds is UNSET else seconds)


def share_of(book: Book, payment: Payment, person: str) -> Share | None:
    """The share that somebody bears of a split, or has of a packet."""
    shares = book.shares[payment.id] if payment.kind in {"split", "packet"} else ()
    return next((share for share in shares if share.person == person), None)


def check_open(book: Book, payment: Payment, state: str | None = None) -> Refusal | None:
    """Why nothing more can come of a payment that somebody was to answer; None while it waits.

    `state` is that of a share, where one is meant.
    """
    now = payment.state if state is None else state
    if now in WAITING and payment.state in WAITING:
        return ended("expired") if book.now >= payment.expires_at else None
    return ended(now if now not in WAITING else payment.state)


def ended(state: str) -> Refusal:
    """The refusal for a payment that has come to its end."""
    code, message = _ENDS.get(state, ("not_pending", f"This waits for nothing: it is {state}."))
    return Refusal(code, message, "$.ref", state={"state": state})


def share_view(share: Share, currency: str) -> ShareView:
    """A share of a bill as the wire shows it."""
    return ShareView(share.person, format_amount(share.amount, currency), share.state)
