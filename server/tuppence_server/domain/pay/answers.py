"""The rules of answering a payment: accept, decline, cancel, give back, and the end of its time."""

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from tuppence_protocol import codec
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
from tuppence_protocol.money import amount_form, format_amount, parse_amount
from tuppence_protocol.views import SERVER_AUTHOR, Money
from tuppence_server.domain.book import Book
from tuppence_server.domain.commands import Expire
from tuppence_server.domain.facts import Append, Decision, Fact, KeepPayment, KeepShare, Move
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import FROZEN_IN, FROZEN_OUT, WAITING, Payment, Phase, Share, User

from .accounts import (
    check_funds,
    check_other,
    check_own_room,
    check_payee,
    check_payer,
    check_room,
    customer,
    operator,
)
from .limits import give_back
from .packets import unclaimed
from .payments import NOT_YOURS, check_open, ended, find_payment, name, need_parties, need_payment, share_view
from .requests import share_ends

SELF_REFUND: Final = Refusal("same_account", "What one exchanged with oneself is not refunded.", "$.ref")
NEVER_PAID: Final = frozenset({"declined", "cancelled", "expired"})


def accept(book: Book, author: str, frame: PayAccept) -> Decision:
    """Take a payment that waits: what was held is posted, so that this cannot fail for want of money."""
    found = find_payment(book, author, frame, "send")
    if isinstance(found, Refusal):
        return found
    conversation, payment = found
    if payment.payee != author:
        return NOT_YOURS
    payer, payee = _user(book, payment.payer), _user(book, author)
    refusal = (
        check_payee(book, payee, payment.currency)
        or check_other(book, payer, payment.currency, FROZEN_OUT)
        or check_open(book, payment)
        or check_own_room(book, payee, customer(author, payment.currency), payment.received, payment.received)
    )
    if refusal is not None:
        return refusal
    currency, fee = payment.currency, payment.fee
    amount = format_amount(payment.amount, currency)
    alt = f"@{payee.handle} accepted {amount} {currency} from @{payer.handle}"
    text = codec.encode(
        PaymentAccepted(
            amount, currency, author, "completed", alt,
            format_amount(fee, currency) if fee else UNSET, payment.fee_on if fee else UNSET,
        )
    )  # fmt: skip
    moves = _end_holds(payment, "post", "pay.accept")
    return [
        Append(conversation.id, "pay.accept", frame.id, author, frame.ref, text, tuple(moves)),
        KeepPayment(replace(payment, state="completed")),
    ]


def decline(book: Book, author: str, frame: PayDecline) -> Decision:
    """Return a payment that waits, or refuse what was asked for."""
    found = find_payment(book, author, frame, "send", "request", "split")
    if isinstance(found, Refusal):
        return found
    conversation, payment = found
    share = _share_of(book, payment, author)
    if not _is_asked(payment, share, author):
        return NOT_YOURS
    refusal = check_open(book, payment, None if share is None else share.state)
    if refusal is not None:
        return refusal
    what = f"{_amount(payment, share)} {payment.currency}"
    alt = f"{name(book, author)} declined {what}"
    view, state = UNSET, "declined"
    facts: list[Fact]
    if share is not None:
        facts, state, after = share_ends(book, payment, share, "declined")
        view = share_view(after, payment.currency)  # type: ignore[assignment]
    else:
        facts = [KeepPayment(replace(payment, state="declined"))]
    moves = _end_holds(payment, "void", "pay.decline")
    text = codec.encode(PaymentDeclined(state, alt, frame.body.reason, view))
    append = Append(conversation.id, "pay.decline", frame.id, author, frame.ref, text, tuple(moves))
    return [append, *facts, *_unspent(book, payment)]


def cancel(book: Book, author: str, frame: PayCancel) -> Decision:
    """Take back what one has sent or asked for, as long as it waits."""
    found = find_payment(book, author, frame, "send", "request", "split")
    if isinstance(found, Refusal):
        return found
    conversation, payment = found
    if author != (payment.payer if payment.kind == "send" else payment.payee):
        return NOT_YOURS
    refusal = check_open(book, payment)
    if refusal is not None:
        return refusal
    alt = f"{name(book, author)} cancelled {_amount(payment, None)} {payment.currency}"
    text = codec.encode(PaymentCancelled("cancelled", alt))
    moves = _end_holds(payment, "void", "pay.cancel")
    return [
        Append(conversation.id, "pay.cancel", frame.id, author, frame.ref, text, tuple(moves)),
        KeepPayment(replace(payment, state="cancelled")),
        *_end_shares(book, payment, "cancelled"),
        *_unspent(book, payment),
    ]


def refund(book: Book, author: str, frame: PayRefund) -> Decision:
    """Give back some or all of what one received, in the currency that one received; fees stay where they are."""
    formless = None if frame.body.amount is UNSET else amount_form(frame.body.amount)
    if formless is not None:
        return formless
    found = find_payment(book, author, frame, "send")
    if isinstance(found, Refusal):
        return found
    conversation, payment = found
    if payment.payee != author:
        return NOT_YOURS
    if payment.payer == author:
        return SELF_REFUND
    currency = payment.received_currency
    minor = payment.received - payment.refunded
    if frame.body.amount is not UNSET:
        asked = parse_amount(frame.body.amount, currency)
        if isinstance(asked, Refusal):
            return asked
        minor = asked
    payer, payee = _user(book, payment.payer), _user(book, author)
    debit, credit = customer(author, currency), customer(payment.payer, currency)
    refusal = (
        check_payer(book, payee, currency)
        or check_other(book, payer, currency, FROZEN_IN)
        or _check_refundable(payment, minor)
        or check_funds(book, debit, minor)
        or check_room(book, payer, credit, minor, capped=False)
    )
    if refusal is not None:
        return refusal
    refunded = payment.refunded + minor
    state = "refunded" if refunded == payment.received else "partly_refunded"
    amount = format_amount(minor, currency)
    alt = f"@{payee.handle} refunded {amount} {currency} to @{payer.handle}"
    text = codec.encode(
        PaymentRefunded(amount, currency, payer.id, state, format_amount(refunded, currency), alt)
    )
    move = Move(debit, credit, minor, "pay.refund")
    return [
        Append(conversation.id, "pay.refund", frame.id, author, frame.ref, text, (move,)),
        KeepPayment(
            replace(payment, state=state, refunded=refunded, refund_transfer=book.head.transfer_id + 1)
        ),
    ]


def _check_refundable(payment: Payment, minor: int) -> Refusal | None:
    if payment.state in NEVER_PAID or payment.state in {"refunded", "pending"}:
        return ended(payment.state)
    left = payment.received - payment.refunded
    if minor <= left:
        return None
    shown = format_amount(left, payment.received_currency)
    state: dict[str, str | int] = {
        "state": payment.state, "refundable": shown, "currency": payment.received_currency,
    }  # fmt: skip
    return Refusal(
        "exceeds_refundable",
        f"{shown} {payment.received_currency} are left to refund.",
        "$.body.amount",
        state=state,
    )


# --- the end of a payment's time ---------------------------------------------------------------------------


def needs_expire(book: Book, keys: Keys, _author: str, frame: Expire) -> None:
    """The payment and its parties."""
    payment = need_payment(book, keys, frame.payment)
    if payment is None:
        return
    if payment.conv not in book.conversations:
        keys.conversations.add(payment.conv)
    need_parties(book, keys, payment)


def expire(book: Book, _author: str, frame: Expire) -> Decision:
    """Give back what a payment holds when its time is over; nothing where it is not, or somebody was faster."""
    payment = book.payments.get(frame.payment)
    if payment is None or payment.state not in WAITING or book.now < payment.expires_at:
        return []
    amount = format_amount(payment.amount, payment.currency)
    what = {"send": "The offer", "request": "The request", "split": "The split", "packet": "The packet"}
    returned = payment.received + payment.fee if payment.kind == "send" else 0
    moves, facts = _end_holds(payment, "expire", "pay.expire"), _end_shares(book, payment, "expired")
    if payment.kind == "packet":
        moves, facts, returned = unclaimed(book, payment)
    alt = f"{what[payment.kind]} of {amount} {payment.currency} has expired"
    back = Money(format_amount(returned, payment.currency), payment.currency) if returned else UNSET
    seed = payment.seed.hex() if payment.kind == "packet" else UNSET
    text = codec.encode(PaymentExpired("expired", alt, back, seed))
    append = Append(payment.conv, "pay.expire", frame.id, SERVER_AUTHOR, payment.id, text, tuple(moves))
    after = KeepPayment(replace(payment, state="expired"))
    rest = _unspent(book, payment)
    if payment.kind == "packet":
        rest = give_back(book, payment, returned)
    return [append, after, *facts, *rest]


# --- what they share ------------------------------------------------------------------------------------


def _end_holds(payment: Payment, phase: Phase, code: str) -> list[Move]:
    """The outcome of the holds of a payment that waits; none where nothing is held."""
    if not payment.hold:
        return []
    currency, amount = payment.currency, payment.received
    debit, credit = customer(payment.payer, currency), customer(payment.payee, currency)
    moves = [Move(debit, credit, amount, code, phase, payment.hold, amount)]
    if payment.fee_hold:
        fees = operator("fees", currency)
        moves.append(Move(debit, fees, payment.fee, "fee", phase, payment.fee_hold, payment.fee))
    return moves


def _end_shares(book: Book, payment: Payment, state: str) -> list[Fact]:
    if payment.kind != "split":
        return []
    open_shares = (share for share in book.shares[payment.id] if share.state == "open")
    return [KeepShare(replace(share, state=state)) for share in open_shares]


def _unspent(book: Book, payment: Payment) -> list[Fact]:
    """The limits that a payment which came to nothing had used."""
    if payment.kind != "send":
        return []
    return give_back(book, payment, payment.amount)


def _is_asked(payment: Payment, share: Share | None, author: str) -> bool:
    if payment.kind == "split":
        return share is not None and payment.payee != author
    return author == (payment.payee if payment.kind == "send" else payment.payer)


def _share_of(book: Book, payment: Payment, person: str) -> Share | None:
    shares = book.shares[payment.id] if payment.kind == "split" else []
    return next((share for share in shares if share.person == person), None)


def _amount(payment: Payment, share: Share | None) -> str:
    return format_amount(payment.amount if share is None else share.amount, payment.currency)


def _user(book: Book, id: str) -> User:
    user = book.users[id]
    assert user is not None, "a payment's parties are users"
    return user
