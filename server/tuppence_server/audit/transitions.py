"""What may be done about a payment that waits, by whom and when, and what becomes of it."""

from typing import Final

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


def _in_time(deed: MoneyEvent, story: PaymentFold) -> None:
    if deed.head.at >= story.payment.expires_at:
        raise Mismatch("comes after the payment's time")


def _by(deed: MoneyEvent, person: str) -> None:
    if deed.head.from_ != person:
        raise Mismatch(f"is not for {deed.head.from_} to do")


def _money(amount: int, currency: str) -> Money:
    return Money(format_amount(amount, currency), currency)


# --- answers to what was asked for ------------------------------------------------------------------------


def settled(stories: PaymentFolds, deed: MoneyEvent, body: PaymentSent, settles: Settles) -> None:
    """A payment answers a request, or one's share of a split."""
    story = stories.waiting(deed, "request", "split")
    _in_time(deed, story)
    payment = story.payment
    paid = (body.payee, minor(body.amount, body.currency), body.currency)
    if payment.kind == "request":
        _by(deed, payment.payer)
        must_be(paid, (payment.payee, payment.amount, payment.currency))
        must_be(settles, Settles("paid"))
        stories.end(story, "paid")
        return
    share = _share_of(story, deed.head.from_)
    must_be(paid, (payment.payee, share.amount, payment.currency))
    must_be(settles, Settles(_end_share(story, share, "paid"), _view(story, share, "paid")))
    _end_with_shares(stories, story)


def _share_of(story: PaymentFold, person: str) -> Share:
    share = next((each for each in story.shares if each.person == person), None)
    if share is None or share.state != OPEN:
        raise Mismatch(f"{person} has no open share")
    return share


def _end_share(story: PaymentFold, share: Share, state: str) -> str:
    """The state of the split after one of its shares has come to its end."""
    story.shares[share.n - 1] = replace(share, state=state)
    return OPEN if any(each.state == OPEN for each in story.shares) else "settled"


def _end_with_shares(stories: PaymentFolds, story: PaymentFold) -> None:
    if all(each.state != OPEN for each in story.shares):
        stories.end(story, "settled")


def _view(story: PaymentFold, share: Share, state: str) -> ShareView:
    return ShareView(share.person, format_amount(share.amount, story.payment.currency), state)


def waived(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """Who split the bill lets somebody off."""
    body = deed.body
    assert isinstance(body, ShareWaived), "each kind has its class"
    stories.moves(deed, [])
    story = stories.waiting(deed, "split")
    _in_time(deed, story)
    _by(deed, story.payment.payee)
    share = _share_of(story, body.user)
    must_be(body.share, _view(story, share, "waived"))
    must_be(body.state, _end_share(story, share, "waived"))
    _end_with_shares(stories, story)


def reminded(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """Who asked reminds those who have not answered."""
    body = deed.body
    assert isinstance(body, PaymentReminded), "each kind has its class"
    stories.moves(deed, [])
    story = stories.waiting(deed, "request", "split")
    _in_time(deed, story)
    _by(deed, story.payment.payee)
    still = [share.person for share in story.shares if share.state == OPEN] or [story.payment.payer]
    must_be(body.users, still)
    must_be(body.state, OPEN)
    story.payment = replace(story.payment, reminded_at=deed.head.at)


# --- answers to what was offered --------------------------------------------------------------------------


def accepted(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """Who was offered money takes it."""
    body = deed.body
    assert isinstance(body, PaymentAccepted), "each kind has its class"
    story = stories.waiting(deed, "send")
    payment = story.payment
    _in_time(deed, story)
    _by(deed, payment.payee)
    currency, fee = payment.currency, payment.fee
    stories.moves(deed, held(payment, "post", "pay.accept"))
    must_be((body.amount, body.currency), (format_amount(payment.amount, currency), currency))
    must_be((body.payee, body.state), (payment.payee, "completed"))
    borne = (format_amount(fee, currency), payment.fee_on) if fee else (UNSET, UNSET)
    must_be((body.fee, body.fee_on), borne)
    stories.end(story, "completed")


def declined(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """Who was offered or asked for money refuses."""
    body = deed.body
    assert isinstance(body, PaymentDeclined), "each kind has its class"
    story = stories.waiting(deed, "send", "request", "split")
    payment = story.payment
    _in_time(deed, story)
    stories.moves(deed, held(payment, "void", "pay.decline"))
    if payment.kind == "split":
        share = _share_of(story, deed.head.from_)
        must_be(body.share, _view(story, share, "declined"))
        must_be(body.state, _end_share(story, share, "declined"))
        _end_with_shares(stories, story)
        return
    _by(deed, payment.payee if payment.kind == "send" else payment.payer)
    must_be((body.state, body.share), ("declined", UNSET))
    stories.end(story, "declined")


def cancelled(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """Who offered or asked takes it back."""
    body = deed.body
    assert isinstance(body, PaymentCancelled), "each kind has its class"
    story = stories.waiting(deed, "send", "request", "split")
    payment = story.payment
    _in_time(deed, story)
    _by(deed, payment.payer if payment.kind == "send" else payment.payee)
    stories.moves(deed, held(payment, "void", "pay.cancel"))
    must_be(body.state, "cancelled")
    _end_open_shares(story, "cancelled")
    stories.end(story, "cancelled")


def expired(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """The time of a payment is over; what it held goes back."""
    body = deed.body
    assert isinstance(body, PaymentExpired), "each kind has its class"
    story = stories.waiting(deed, "send", "request", "split", "packet")
    payment = story.payment
    if deed.head.at < payment.expires_at:
        raise Mismatch("comes before the payment's time is over")
    _by(deed, SERVER_AUTHOR)
    back: Money | UnsetType = UNSET
    if payment.kind == "packet":
        left = [share for share in story.shares if share.state == OPEN]
        stories.moves(deed, unclaimed(payment, left))
        back = _money(sum(share.amount for share in left), payment.currency)
    else:
        stories.moves(deed, held(payment, "expire", "pay.expire"))
        if payment.kind == "send":
            back = _money(payment.received + payment.fee, payment.currency)
    must_be((body.state, body.returned), ("expired", back))
    must_be(body.seed, payment.seed.hex() if payment.kind == "packet" else UNSET)
    _end_open_shares(story, "expired")
    stories.end(story, "expired")


def _end_open_shares(story: PaymentFold, state: str) -> None:
    story.shares = [replace(each, state=state) if each.state == OPEN else each for each in story.shares]


# --- red packets ------------------------------------------------------------------------------------------


def took(stories: PaymentFolds, deed: MoneyEvent) -> None:
    """Somebody takes the next share of a packet, one each; the last tells the seed."""
    body, claimer = deed.body, deed.head.from_
    assert isinstance(body, PacketClaimed), "each kind has its class"
    story = stories.waiting(deed, "packet")
    payment = story.payment
    _in_time(deed, story)
    if any(share.person == claimer for share in story.shares):
        raise Mismatch(f"{claimer} has two shares of a packet")
    share = story.shares[payment.claimed]
    stories.moves(deed, claimed(payment, share, claimer))
    state = "emptied" if share.n == payment.count else OPEN
    amount = format_amount(share.amount, payment.currency)
    must_be((body.amount, body.currency, body.payee), (amount, payment.currency, claimer))
    must_be((body.share, body.count, body.state), (share.n, payment.count, state))
    must_be(body.seed, payment.seed.hex() if state == "emptied" else UNSET)
    story.shares[share.n - 1] = replace(share, person=claimer, state="claimed")
    story.payment = replace(payment, claimed=share.n)
    if state == "emptied":
        stories.end(story, state)
