"""The rules of answering a payment: accept, decline, cancel, give back, and the end of its time."""

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import (
    PayAccept,
    PayCancel,
    PayDecline,
    PaymentAccepted,
    PaymentCancelled,
    PaymentDeclined,
    PaymentExpired,
    PaymentRefunded,
    PayRefund,
)
from tuppence_protocol.lifecycle import WAITING
from tuppence_protocol.money import amount_form, format_amount, parse_amount
from tuppence_protocol.views import SERVER_AUTHOR, Money
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import name
from tuppence_server.domain.commands import Expire
from tuppence_server.domain.facts import Decision, Fact, KeepPayment, KeepShare, Move, event
from tuppence_server.domain.rows import FROZEN_IN, FROZEN_OUT, Payment, Phase

from .accounts import check_funds, check_other, check_own, check_own_room, check_room, customer, operator
from .limits import give_back
from .packets import unclaimed
from .payments import check_state, find_payment, share_of, share_view
from .requests import share_ends

SELF_REFUND: Final = Refusal("same_account", "What one exchanged with oneself is not refunded.", "$.ref")
_WHAT: Final = {"send": "The offer", "request": "The request", "split": "The split", "packet": "The packet"}


def accept(book: Book, author: str, frame: PayAccept) -> Decision:
    """Take a payment that waits: what was held is posted, so that this cannot fail for want of money."""
    payment = find_payment(book, author, frame, "accept")
    if isinstance(payment, Refusal):
        return payment
    currency, payer, payee = payment.currency, book.person(payment.payer), book.person(author)
    refusal = (
        check_own(book, payee, currency, FROZEN_IN)
        or check_other(book, payer, currency, FROZEN_OUT)
        or check_state(book, payment, "accept")
        or check_own_room(book, payee, customer(author, currency), payment.received, payment.received)
    )
    if refusal is not None:
        return refusal
    amount, fee = format_amount(payment.amount, currency), payment.fee
    body = PaymentAccepted(
        amount, currency, author, "completed",
        f"@{payee.handle} accepted {amount} {currency} from @{payer.handle}",
        format_amount(fee, currency) if fee else UNSET, payment.fee_on if fee else UNSET,
    )  # fmt: skip
    return [
        event(payment.conv, author, frame, body, _end_holds(payment, "post", frame.kind)),
        KeepPayment(replace(payment, state="completed")),
    ]


def decline(book: Book, author: str, frame: PayDecline) -> Decision:
    """Return a payment that waits, or refuse what was asked for."""
    payment = find_payment(book, author, frame, "decline")
    if isinstance(payment, Refusal):
        return payment
    share = share_of(book, payment, author)
    refusal = check_state(book, payment, "decline", share)
    if refusal is not None:
        return refusal
    view, state = UNSET, "declined"
    facts: list[Fact] = [KeepPayment(replace(payment, state="declined"))]
    if share is not None:
        facts, state, after = share_ends(book, payment, share, "declined")
        view = share_view(after, payment.currency)  # type: ignore[assignment]
    what = format_amount(payment.amount if share is None else share.amount, payment.currency)
    alt = f"{name(book, author)} declined {what} {payment.currency}"
    body = PaymentDeclined(state, alt, frame.body.reason, view)
    append = event(payment.conv, author, frame, body, _end_holds(payment, "void", frame.kind))
    return [append, *facts, *_unspent(book, payment)]


def cancel(book: Book, author: str, frame: PayCancel) -> Decision:
    """Take back what one has sent or asked for, as long as it waits."""
    payment = find_payment(book, author, frame, "cancel")
    if isinstance(payment, Refusal):
        return payment
    refusal = check_state(book, payment, "cancel")
    if refusal is not None:
        return refusal
    amount = format_amount(payment.amount, payment.currency)
    body = PaymentCancelled("cancelled", f"{name(book, author)} cancelled {amount} {payment.currency}")
    return [
        event(payment.conv, author, frame, body, _end_holds(payment, "void", frame.kind)),
        KeepPayment(replace(payment, state="cancelled")),
        *_end_shares(book, payment, "cancelled"),
        *_unspent(book, payment),
    ]


def refund(book: Book, author: str, frame: PayRefund) -> Decision:
    """Give back some or all of what one received, in the currency that one received;
    fees stay where they are."""
    formless = None if frame.body.amount is UNSET else amount_form(frame.body.amount)
    if formless is not None:
        return formless
    payment = find_payment(book, author, frame, "refund")
    if isinstance(payment, Refusal):
        return payment
    if payment.payer == author:
        return SELF_REFUND
    minor = payment.received - payment.refunded
    if frame.body.amount is not UNSET:
        given = parse_amount(frame.body.amount, payment.received_currency)
        if isinstance(given, Refusal):
            return given
        minor = given
    return _check_refund(book, payment, minor) or _refunded(book, payment.conv, frame, payment, minor)


def _check_refund(book: Book, payment: Payment, minor: int) -> Refusal | None:
    currency, payer, payee = payment.received_currency, book.person(payment.payer), book.person(payment.payee)
    return (
        check_own(book, payee, currency, FROZEN_OUT)
        or check_other(book, payer, currency, FROZEN_IN)
        or check_state(book, payment, "refund")
        or _check_left(payment, minor)
        or check_funds(book, customer(payee.id, currency), minor)
        or check_room(book, payer, customer(payer.id, currency), minor, capped=False)
    )


def _check_left(payment: Payment, minor: int) -> Refusal | None:
    left, currency = payment.received - payment.refunded, payment.received_currency
    if minor <= left:
        return None
    shown = format_amount(left, currency)
    state: dict[str, str | int] = {"state": payment.state, "refundable": shown, "currency": currency}
    return Refusal(
        "exceeds_refundable", f"{shown} {currency} are left to refund.", "$.body.amount", state=state
    )


def _refunded(book: Book, conv: str, frame: PayRefund, payment: Payment, minor: int) -> list[Fact]:
    currency, payer, payee = payment.received_currency, payment.payer, payment.payee
    refunded = payment.refunded + minor
    state = "refunded" if refunded == payment.received else "partly_refunded"
    amount = format_amount(minor, currency)
    alt = f"{name(book, payee)} refunded {amount} {currency} to {name(book, payer)}"
    body = PaymentRefunded(amount, currency, payer, state, format_amount(refunded, currency), alt)
    move = Move(customer(payee, currency), customer(payer, currency), minor, frame.kind)
    transfer = book.head.transfer_id + 1
    after = replace(payment, state=state, refunded=refunded, refund_transfer=transfer)
    return [event(conv, payee, frame, body, (move,)), KeepPayment(after)]


# --- the end of a payment's time ---------------------------------------------------------------------------


def expire(book: Book, _author: str, command: Expire) -> Decision:
    """Give back what a payment holds when its time is over; nothing where it is not,
    or somebody was faster."""
    payment = book.payment(command.payment)
    if payment is None or payment.state not in WAITING or book.now < payment.expires_at:
        return []
    currency, seed = payment.currency, ""
    returned = payment.received + payment.fee if payment.kind == "send" else 0
    moves, facts = _end_holds(payment, "expire", command.kind), _end_shares(book, payment, "expired")
    rest = _unspent(book, payment)
    if payment.kind == "packet":
        moves, facts, returned = unclaimed(book, payment)
        rest, seed = give_back(book, payment, returned), payment.seed.hex()
    alt = f"{_WHAT[payment.kind]} of {format_amount(payment.amount, currency)} {currency} has expired"
    back = Money(format_amount(returned, currency), currency) if returned else UNSET
    body = PaymentExpired("expired", alt, back, seed or UNSET)
    append = event(payment.conv, SERVER_AUTHOR, command, body, moves)
    return [append, KeepPayment(replace(payment, state="expired")), *facts, *rest]


# --- what they share ------------------------------------------------------------------------------------


def _end_holds(payment: Payment, phase: Phase, code: str) -> list[Move]:
    """The outcome of the holds of a payment that waits; none where nothing is held."""
    if not payment.hold:
        return []
    currency, amount, fee = payment.currency, payment.received, payment.fee
    debit, credit = customer(payment.payer, currency), customer(payment.payee, currency)
    moves = [Move(debit, credit, amount, code, phase, payment.hold, amount)]
    if payment.fee_hold:
        moves.append(Move(debit, operator("fees", currency), fee, "fee", phase, payment.fee_hold, fee))
    return moves


def _end_shares(book: Book, payment: Payment, state: str) -> list[Fact]:
    shares = book.shares[payment.id] if payment.kind == "split" else ()
    return [KeepShare(replace(share, state=state)) for share in shares if share.state == "open"]


def _unspent(book: Book, payment: Payment) -> list[Fact]:
    """The limits that a payment which came to nothing had used."""
    return give_back(book, payment, payment.amount) if payment.kind == "send" else []
