"""What may be done about a payment that waits, by whom and when, and what becomes of it."""

from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tuppence_protocol.kinds import (
    PacketClaimed,
    PaymentAccepted,
    PaymentCancelled,
    PaymentDeclined,
    PaymentExpired,
    PaymentReminded,
    PaymentSent,
    Settles,
    ShareWaived,
)
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR, Money
from tuppence_protocol.views import Share as ShareView
from tuppence_server.domain.rows import Share

from .legs import Mismatch, claimed, held, minor, must_be, unclaimed
from .payments import MoneyEvent, PaymentFold, PaymentFolds

OPEN: Final = "open"


def _by(event: MoneyEvent[Any], person: str) -> None:
    if event.envelope.from_ != person:
        raise Mismatch(f"is not for {event.envelope.from_} to do")


def _money(amount: int, currency: str) -> Money:
    return Money(format_amount(amount, currency), currency)


# --- answers to what was asked for ------------------------------------------------------------------------


def settled(folds: PaymentFolds, event: MoneyEvent[PaymentSent], settles: Settles) -> None:
    """A payment answers a request, or one's share of a split."""
    body, fold = event.body, folds.waiting(event, "request", "split")
    payment = fold.payment
    paid = (body.payee, minor(body.amount, body.currency), body.currency)
    if payment.kind == "request":
        _by(event, payment.payer)
        must_be(paid, (payment.payee, payment.amount, payment.currency))
        must_be(settles, Settles("paid"))
        folds.end(fold, "paid")
        return
    share = _share_of(fold, event.envelope.from_)
    must_be(paid, (payment.payee, share.amount, payment.currency))
    must_be(settles, Settles(_end_share(fold, share, "paid"), _view(fold, share, "paid")))
    _end_with_shares(folds, fold)


def _share_of(fold: PaymentFold, person: str) -> Share:
    share = next((each for each in fold.shares if each.person == person), None)
    if share is None or share.state != OPEN:
        raise Mismatch(f"{person} has no open share")
    return share


def _end_share(fold: PaymentFold, share: Share, state: str) -> str:
    """The state of the split after one of its shares has come to its end."""
    fold.shares[share.n - 1] = replace(share, state=state)
    return OPEN if any(each.state == OPEN for each in fold.shares) else "settled"


def _end_with_shares(folds: PaymentFolds, fold: PaymentFold) -> None:
    if all(each.state != OPEN for each in fold.shares):
        folds.end(fold, "settled")


def _view(fold: PaymentFold, share: Share, state: str) -> ShareView:
    return ShareView(share.person, format_amount(share.amount, fold.payment.currency), state)


def waived(folds: PaymentFolds, event: MoneyEvent[ShareWaived]) -> None:
    """Who split the bill lets somebody off."""
    body = event.body
    folds.moves(event, [])
    fold = folds.waiting(event, "split")
    _by(event, fold.payment.payee)
    share = _share_of(fold, body.user)
    must_be(body.share, _view(fold, share, "waived"))
    must_be(body.state, _end_share(fold, share, "waived"))
    _end_with_shares(folds, fold)


def reminded(folds: PaymentFolds, event: MoneyEvent[PaymentReminded]) -> None:
    """Who asked reminds those who have not answered."""
    body = event.body
    folds.moves(event, [])
    fold = folds.waiting(event, "request", "split")
    _by(event, fold.payment.payee)
    still = [share.person for share in fold.shares if share.state == OPEN] or [fold.payment.payer]
    must_be(body.users, still)
    must_be(body.state, OPEN)
    fold.payment = replace(fold.payment, reminded_at=event.envelope.at)


# --- answers to what was offered --------------------------------------------------------------------------


def accepted(folds: PaymentFolds, event: MoneyEvent[PaymentAccepted]) -> None:
    """Who was offered money takes it."""
    body = event.body
    fold = folds.waiting(event, "send")
    payment = fold.payment
    _by(event, payment.payee)
    currency, fee = payment.currency, payment.fee
    folds.moves(event, held(payment, "post", "pay.accept"))
    must_be((body.amount, body.currency), (format_amount(payment.amount, currency), currency))
    must_be((body.payee, body.state), (payment.payee, "completed"))
    borne = (format_amount(fee, currency), payment.fee_on) if fee else (UNSET, UNSET)
    must_be((body.fee, body.fee_on), borne)
    folds.end(fold, "completed")


def declined(folds: PaymentFolds, event: MoneyEvent[PaymentDeclined]) -> None:
    """Who was offered or asked for money refuses."""
    body = event.body
    fold = folds.waiting(event, "send", "request", "split")
    payment = fold.payment
    folds.moves(event, held(payment, "void", "pay.decline"))
    if payment.kind == "split":
        share = _share_of(fold, event.envelope.from_)
        must_be(body.share, _view(fold, share, "declined"))
        must_be(body.state, _end_share(fold, share, "declined"))
        _end_with_shares(folds, fold)
        return
    _by(event, payment.payee if payment.kind == "send" else payment.payer)
    must_be((body.state, body.share), ("declined", UNSET))
    folds.end(fold, "declined")


def cancelled(folds: PaymentFolds, event: MoneyEvent[PaymentCancelled]) -> None:
    """Who offered or asked takes it back."""
    body = event.body
    fold = folds.waiting(event, "send", "request", "split")
    payment = fold.payment
    _by(event, payment.payer if payment.kind == "send" else payment.payee)
    folds.moves(event, held(payment, "void", "pay.cancel"))
    must_be(body.state, "cancelled")
    _end_open_shares(fold, "cancelled")
    folds.end(fold, "cancelled")


def expired(folds: PaymentFolds, event: MoneyEvent[PaymentExpired]) -> None:
    """The time of a payment is over; what it held goes back."""
    body = event.body
    fold = folds.find(event, "send", "request", "split", "packet")
    payment = fold.payment
    if event.envelope.at < payment.expires_at:
        raise Mismatch("comes before the payment's time is over")
    _by(event, SERVER_AUTHOR)
    back: Money | UnsetType = UNSET
    if payment.kind == "packet":
        left = [share for share in fold.shares if share.state == OPEN]
        folds.moves(event, unclaimed(payment, left))
        back = _money(sum(share.amount for share in left), payment.currency)
    else:
        folds.moves(event, held(payment, "expire", "pay.expire"))
        if payment.kind == "send":
            back = _money(payment.received + payment.fee, payment.currency)
    must_be((body.state, body.returned), ("expired", back))
    must_be(body.seed, payment.seed.hex() if payment.kind == "packet" else UNSET)
    _end_open_shares(fold, "expired")
    folds.end(fold, "expired")


def _end_open_shares(fold: PaymentFold, state: str) -> None:
    fold.shares = [replace(each, state=state) if each.state == OPEN else each for each in fold.shares]


# --- red packets ------------------------------------------------------------------------------------------


def took(folds: PaymentFolds, event: MoneyEvent[PacketClaimed]) -> None:
    """Somebody takes the next share of a packet, one each; the last tells the seed."""
    body, claimer = event.body, event.envelope.from_
    fold = folds.waiting(event, "packet")
    payment = fold.payment
    if any(share.person == claimer for share in fold.shares):
        raise Mismatch(f"{claimer} has two shares of a packet")
    share = fold.shares[payment.claimed]
    folds.moves(event, claimed(payment, share, claimer))
    state = "emptied" if share.n == payment.count else OPEN
    amount = format_amount(share.amount, payment.currency)
    must_be((body.amount, body.currency, body.payee), (amount, payment.currency, claimer))
    must_be((body.share, body.count, body.state), (share.n, payment.count, state))
    must_be(body.seed, payment.seed.hex() if state == "emptied" else UNSET)
    fold.shares[share.n - 1] = replace(share, person=claimer, state="claimed")
    fold.payment = replace(payment, claimed=share.n)
    if state == "emptied":
        folds.end(fold, state)
