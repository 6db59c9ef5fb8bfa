"""Finding the payment that a frame acts on, and telling why it can no longer be acted on."""

from typing import Final

from msgspec import UNSET, UnsetType

from tuppence_protocol.errors import Refusal
from tuppence_protocol.lifecycle import LIFE, REFUSED, WHO, Verb
from tuppence_protocol.money import format_amount
from tuppence_protocol.shapes import Acting
from tuppence_protocol.views import Share as ShareView
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import find_place, need_conversation, need_place, need_user
from tuppence_server.domain.commands import Expire, Reverse
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import Payment, Share, User

from .accounts import customer, need_account, operator

NO_PAYMENT: Final = Refusal("not_found", "There is no such payment in this conversation.", "$.ref")
NOT_YOURS: Final = Refusal("forbidden", "This is for somebody else to do.", "$.ref")


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


def find_payment(book: Book, author: str, frame: Acting, verb: Verb) -> Payment | Refusal:
    """The payment that the author acts on, where it is in that conversation and theirs to act on."""
    conversation = find_place(book, author, frame.conv)
    if isinstance(conversation, Refusal):
        return conversation
    payment = book.payment(frame.ref)
    if isinstance(conversation, User) or payment is None or payment.conv != conversation.id:
        return NO_PAYMENT
    return check_actor(book, payment, verb, author) or payment


def check_actor(book: Book, payment: Payment, verb: Verb, author: str) -> Refusal | None:
    """Whether it is the author who does that with such a payment, in whatever state it is."""
    match WHO.get((payment.kind, verb)):
        case None:
            return NO_PAYMENT
        case "payer":
            mine = author == payment.payer
        case "payee":
            mine = author == payment.payee
        case "sharer":
            mine = author != payment.payee and share_of(book, payment, author) is not None
        case by:
            mine = by == "anyone"
    return None if mine else NOT_YOURS


def expiry(book: Book, seconds: int | UnsetType, default_s: int) -> int:
    """When the time of a new payment is over, ms."""
    return book.now + 1000 * (default_s if seconds is UNSET else seconds)


def share_of(book: Book, payment: Payment, person: str) -> Share | None:
    """The share that somebody bears of a split, or has of a packet."""
    shares = book.shares[payment.id] if payment.kind in {"split", "packet"} else ()
    return next((share for share in shares if share.person == person), None)


def check_state(book: Book, payment: Payment, verb: Verb, share: Share | None = None) -> Refusal | None:
    """Whether that can be done as the payment stands, and the share of a split that is meant."""
    if share is not None and verb not in LIFE["share"][share.state]:
        return _ended(share.state)
    ways = LIFE[payment.kind][payment.state]
    if verb not in ways:
        return _ended(payment.state)
    return _ended("expired") if "expire" in ways and book.now >= payment.expires_at else None


def _ended(state: str) -> Refusal:
    code, message = REFUSED.get(state, ("not_pending", f"This waits for nothing: it is {state}."))
    return Refusal(code, message, "$.ref", state={"state": state})


def share_view(share: Share, currency: str) -> ShareView:
    """A share of a bill as the wire shows it."""
    return ShareView(share.person, format_amount(share.amount, currency), share.state)
