"""The rules of red packets. The shares are drawn when the packet is made and held until they are claimed."""

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from tuppence_protocol import packets
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PacketClaimed, PacketMade, PayClaim, PayPacket
from tuppence_protocol.limits import ACCEPT_S_DEFAULT
from tuppence_protocol.money import format_amount
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import name, need_place, peer_of
from tuppence_server.domain.chat.messages import check_no_reader, writable
from tuppence_server.domain.facts import Decision, Fact, KeepPayment, KeepShare, Move, event
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import FROZEN_IN, FROZEN_OUT, Conversation, Payment, Phase, Share, User

from .accounts import (
    UNAVAILABLE,
    check_funds,
    check_other,
    check_own,
    check_own_room,
    customer,
    enabled_amount,
    need_account,
    operator,
)
from .limits import check_limits, counts, need_limits, spend
from .payments import NOT_YOURS, check_state, expiry, find_payment, share_of

ALONE: Final = Refusal("forbidden", "There is nobody here to claim a packet.", "$.conv")
TOO_FINE: Final = Refusal("split_sum", "That is less than one minor unit for each.", "$.body.count")
ONE_OTHER: Final = Refusal("bad_frame", "Between two people a packet has one share.", "$.body.count")


def needs_packet(book: Book, keys: Keys, author: str, frame: PayPacket) -> None:
    """The conversation and the accounts that the money and the fee come from and go to."""
    currency = frame.body.currency
    need_place(book, keys, author, frame.conv)
    need_account(book, keys, customer(author, currency))
    need_account(book, keys, operator("packets", currency))
    need_account(book, keys, operator("fees", currency))
    need_limits(book, keys, author, currency)


def packet(book: Book, author: str, frame: PayPacket) -> Decision:
    """Hold the money of a packet, share by share."""
    body, currency = frame.body, frame.body.currency
    total = enabled_amount(book, body.total, currency, "$.body.total")
    if isinstance(total, Refusal):
        return total
    if total < body.count:
        return TOO_FINE
    place = writable(book, author, frame.conv)
    if isinstance(place, Refusal):
        return place
    conversation, facts = place
    if conversation.kind == "self":
        return ALONE
    if conversation.kind == "dm" and body.count > 1:
        return ONE_OTHER
    payer = book.person(author)
    fee, _ = book.policy.fee("packet", currency, payer.tier, total)
    refusal = (
        check_own(book, payer, currency, FROZEN_OUT)
        or _check_peer(book, author, conversation, facts)
        or check_limits(book, payer, currency, total, "$.body.total")
        or check_funds(book, customer(author, currency), total + fee, "$.body.total")
    )
    return refusal or [*facts, *_made(book, payer, conversation.id, frame, total, fee)]


def _check_peer(book: Book, author: str, conversation: Conversation, facts: list[Fact]) -> Refusal | None:
    """Whether somebody can claim: in a dm there is one other; who is written to for the first time is not
    disabled."""
    peer = None if facts else peer_of(book, conversation, author)
    return UNAVAILABLE if peer is not None and book.person(peer).disabled else None


def _made(book: Book, payer: User, conv: str, frame: PayPacket, total: int, fee: int) -> list[Fact]:
    terms, currency, seed = frame.body, frame.body.currency, book.fresh.seed()
    shares = packets.draw(seed, total, terms.count, terms.mode)
    shown, expires_at = format_amount(total, currency), expiry(book, terms.expires_s, ACCEPT_S_DEFAULT)
    shares_text = "1 share" if terms.count == 1 else f"{terms.count} {terms.mode} shares"
    body = PacketMade(
        shown, currency, terms.count, terms.mode, "open", expires_at, packets.proof(seed, frame.id, shares),
        f"@{payer.handle} put {shown} {currency} into a packet of {shares_text}", terms.note,
        format_amount(fee, currency) if fee else UNSET,
    )  # fmt: skip
    row = Payment(
        id=frame.id, pos=book.head.pos + 1, at=book.now, kind="packet", conv=conv, payer=payer.id, payee="",
        currency=currency, amount=total, state="open", fee=fee, expires_at=expires_at, mode=terms.mode,
        count=terms.count, seed=seed, counted=int(counts(book, payer, currency)),
    )  # fmt: skip
    debit, hold = customer(payer.id, currency), book.head.transfer_id
    moves = [Move(debit, operator("packets", currency), share, frame.kind, "pending") for share in shares]
    if fee:
        moves.append(Move(debit, operator("fees", currency), fee, "fee"))
    held = [KeepShare(Share(frame.id, n, "", share, "open", hold + n)) for n, share in enumerate(shares, 1)]
    made = event(conv, payer.id, frame, body, moves)
    return [made, KeepPayment(row), *held, *spend(book, payer, currency, total)]


def claim(book: Book, author: str, frame: PayClaim) -> Decision:
    """Take the next share."""
    payment = find_payment(book, author, frame, "claim")
    if isinstance(payment, Refusal):
        return payment
    claimer, currency = book.person(author), payment.currency
    refusal = (
        _check_claimer(book, payment, author)
        or check_own(book, claimer, currency, FROZEN_IN)
        or check_other(book, book.person(payment.payer), currency, FROZEN_OUT)
    )
    if refusal is not None:
        return refusal
    had, refusal = share_of(book, payment, author), check_state(book, payment, "claim")
    if had is not None and (refusal is None or refusal.code != "expired"):
        return _had(payment, had)
    if refusal is not None:
        return refusal
    shares = book.shares[payment.id]
    refusal = check_own_room(book, claimer, customer(author, currency), _share_at_most(payment, shares))
    return refusal or _claimed(book, frame, payment, shares[payment.claimed], author)


def _share_at_most(payment: Payment, shares: list[Share]) -> int:
    """What the next share can be by what everybody has seen; by the share itself, one's room would tell
    it."""
    if payment.mode == "equal":
        return shares[payment.claimed].amount
    left = payment.count - payment.claimed
    return payment.amount - sum(share.amount for share in shares[: payment.claimed]) - (left - 1)


def _had(payment: Payment, share: Share) -> Refusal:
    amount = format_amount(share.amount, payment.currency)
    state: dict[str, str | int] = {"amount": amount, "currency": payment.currency, "share": share.n}
    return Refusal("already_claimed", "You have had your share of this packet.", "$.ref", state=state)


def _check_claimer(book: Book, payment: Payment, author: str) -> Refusal | None:
    if payment.conv in book.people:
        return NOT_YOURS if payment.payer == author else None
    return check_no_reader(book, payment.conv, author)


def _claimed(book: Book, frame: PayClaim, payment: Payment, share: Share, author: str) -> list[Fact]:
    claimed, currency = payment.claimed + 1, payment.currency
    state = "emptied" if claimed == payment.count else "open"
    amount = format_amount(share.amount, currency)
    body = PacketClaimed(
        amount, currency, author, claimed, payment.count, state,
        f"{name(book, author)} got {amount} {currency} of {name(book, payment.payer)}'s packet",
        payment.seed.hex() if state == "emptied" else UNSET,
    )  # fmt: skip
    pool = operator("packets", currency)
    moves = (
        _end_hold(payment, share, "pay.packet", "post"),
        Move(pool, customer(author, currency), share.amount, frame.kind),
    )
    return [
        event(payment.conv, author, frame, body, moves),
        KeepShare(replace(share, person=author, state="claimed")),
        KeepPayment(replace(payment, claimed=claimed, state=state)),
    ]


def _end_hold(payment: Payment, share: Share, code: str, phase: Phase) -> Move:
    debit, pool = customer(payment.payer, payment.currency), operator("packets", payment.currency)
    return Move(debit, pool, share.amount, code, phase, share.hold, share.amount)


def unclaimed(book: Book, payment: Payment) -> tuple[list[Move], list[Fact], int]:
    """What goes back when a packet's time is over: moves, facts, and the sum in minor units."""
    left = [share for share in book.shares[payment.id] if share.state == "open"]
    moves = [_end_hold(payment, share, "pay.expire", "expire") for share in left]
    facts: list[Fact] = [KeepShare(replace(share, state="expired")) for share in left]
    return moves, facts, sum(share.amount for share in left)
