"""The rules of red packets. The shares are drawn when the packet is made and held until they are claimed."""

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from tuppence_protocol import codec, packets
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PacketClaimed, PacketMade, PayClaim, PayPacket
from tuppence_protocol.limits import ACCEPT_S_DEFAULT
from tuppence_protocol.money import format_amount
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import membership, need_place, peer_of
from tuppence_server.domain.chat.messages import READERS_WATCH, writable
from tuppence_server.domain.facts import Append, Decision, Fact, KeepPayment, KeepShare, Move
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import FROZEN_OUT, Conversation, Payment, Share

from .accounts import (
    UNAVAILABLE,
    check_funds,
    check_other,
    check_own_room,
    check_payee,
    check_payer,
    customer,
    enabled_amount,
    need_account,
    operator,
)
from .limits import check_limits, counts, need_limits, spend
from .payments import NOT_YOURS, check_open, find_payment, name

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
    body = frame.body
    currency = body.currency
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
    payer = book.users[author]
    assert payer is not None, "the author was found before the rule ran"
    fee, _ = book.policy.fee("packet", currency, payer.tier, total)
    debit = customer(author, currency)
    refusal = (
        check_payer(book, payer, currency)
        or _check_peer(book, author, conversation, facts)
        or check_limits(book, payer, currency, total, "$.body.total")
        or check_funds(book, debit, total + fee, "$.body.total")
    )
    if refusal is not None:
        return refusal
    seed = book.fresh.seed()
    drawn = packets.draw(seed, total, body.count, body.mode)
    shown = format_amount(total, currency)
    expires_at = book.now + 1000 * (body.expires_s if body.expires_s is not UNSET else ACCEPT_S_DEFAULT)
    shares_text = "1 share" if body.count == 1 else f"{body.count} {body.mode} shares"
    alt = f"@{payer.handle} put {shown} {currency} into a packet of {shares_text}"
    promise = packets.proof(seed, frame.id, drawn)
    text = codec.encode(
        PacketMade(
            shown, currency, body.count, body.mode, "open", expires_at, promise, alt, body.note,
            format_amount(fee, currency) if fee else UNSET,
        )
    )  # fmt: skip
    moves = [Move(debit, operator("packets", currency), share, "pay.packet", "pending") for share in drawn]
    if fee:
        moves.append(Move(debit, operator("fees", currency), fee, "fee"))
    row = Payment(
        id=frame.id, pos=book.head.pos + 1, at=book.now, kind="packet", conv=conversation.id,
        payer=author, payee="", currency=currency, amount=total, state="open", fee=fee,
        expires_at=expires_at, mode=body.mode, count=body.count, seed=seed,
        counted=int(counts(book, payer, currency)),
    )  # fmt: skip
    hold = book.head.transfer_id
    facts.append(
        Append(conversation.id, "pay.packet", frame.id, author, frame.ref or None, text, tuple(moves))
    )
    facts.append(KeepPayment(row))
    facts += [KeepShare(Share(frame.id, n, "", share, "open", hold + n)) for n, share in enumerate(drawn, 1)]
    if book.policy.limits:
        facts += spend(book, payer, currency, total)
    return facts


def _check_peer(book: Book, author: str, conversation: Conversation, facts: list[Fact]) -> Refusal | None:
    """Why nobody could claim: in a dm there is one other; who is written to for the first time is not
    disabled."""
    peer = None if facts else book.users.get(peer_of(book, conversation, author) or "")
    return UNAVAILABLE if peer is not None and peer.disabled else None


def claim(book: Book, author: str, frame: PayClaim) -> Decision:
    """Take the next share."""
    found = find_payment(book, author, frame, "packet")
    if isinstance(found, Refusal):
        return found
    conversation, payment = found
    claimer, owner = book.users[author], book.users[payment.payer]
    assert claimer is not None, "the author was found before the rule ran"
    assert owner is not None, "a packet's owner is a user"
    barred = _check_claimer(book, conversation, payment, author)
    barred = barred or check_payee(book, claimer, payment.currency)
    barred = barred or check_other(book, owner, payment.currency, FROZEN_OUT)
    if barred is not None:
        return barred
    shares = book.shares[payment.id]
    had = next((share for share in shares if share.person == author), None)
    refusal = check_open(book, payment)
    if had is not None and (refusal is None or refusal.code != "expired"):
        return _had(payment, had)
    if refusal is not None:
        return refusal
    share = shares[payment.claimed]
    most = _share_at_most(payment, shares)
    refusal = check_own_room(book, claimer, customer(author, payment.currency), most)
    return refusal or _claimed(book, frame, conversation, payment, share, author)


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


def _check_claimer(book: Book, conversation: Conversation, payment: Payment, author: str) -> Refusal | None:
    if conversation.kind == "dm":
        return NOT_YOURS if payment.payer == author else None
    member = membership(book, conversation, author)
    return READERS_WATCH if member is not None and member.role == "reader" else None


def _claimed(
    book: Book, frame: PayClaim, conversation: Conversation, payment: Payment, share: Share, author: str
) -> list[Fact]:
    claimed = payment.claimed + 1
    state = "emptied" if claimed == payment.count else "open"
    currency = payment.currency
    amount = format_amount(share.amount, currency)
    alt = f"{name(book, author)} got {amount} {currency} of {name(book, payment.payer)}'s packet"
    text = codec.encode(
        PacketClaimed(
            amount, currency, author, claimed, payment.count, state, alt,
            payment.seed.hex() if state == "emptied" else UNSET,
        )
    )  # fmt: skip
    kept = operator("packets", currency)
    moves = (
        Move(
            customer(payment.payer, currency),
            kept,
            share.amount,
            "pay.packet",
            "post",
            share.hold,
            share.amount,
        ),
        Move(kept, customer(author, currency), share.amount, "pay.claim"),
    )
    return [
        Append(conversation.id, "pay.claim", frame.id, author, frame.ref, text, moves),
        KeepShare(replace(share, person=author, state="claimed")),
        KeepPayment(replace(payment, claimed=claimed, state=state)),
    ]


def unclaimed(book: Book, payment: Payment) -> tuple[list[Move], list[Fact], int]:
    """What goes back when a packet's time is over: moves, facts, and the sum in minor units."""
    left = [share for share in book.shares[payment.id] if share.state == "open"]
    debit, kept = customer(payment.payer, payment.currency), operator("packets", payment.currency)
    moves = [
        Move(debit, kept, share.amount, "pay.expire", "expire", share.hold, share.amount) for share in left
    ]
    facts: list[Fact] = [KeepShare(replace(share, state="expired")) for share in left]
    return moves, facts, sum(share.amount for share in left)
