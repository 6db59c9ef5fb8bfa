"""The rules of asking for money: requests, and bills split among several."""

from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import (
    BillSplit,
    PaymentReminded,
    PaymentRequested,
    PayRemind,
    PayRequest,
    PaySend,
    PaySplit,
    PayWaive,
    RequestBody,
    Settles,
    ShareWaived,
)
from tuppence_protocol.lifecycle import WHO
from tuppence_protocol.limits import REMIND_MS_MIN, REQUEST_S_DEFAULT, REQUESTS_OPEN_PER_PAIR_MAX
from tuppence_protocol.money import format_amount, in_equal_parts
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import (
    NO_CONVERSATION,
    find_person,
    find_place,
    membership,
    name,
    need_person,
    need_person_here,
    need_place,
    peer_of,
)
from tuppence_server.domain.chat.messages import check_no_reader
from tuppence_server.domain.facts import Decision, Fact, KeepPayment, KeepShare, event
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import Conversation, Payment, Share, User

from .accounts import UNAVAILABLE, enabled_amount
from .payments import (
    NO_PAYMENT,
    check_actor,
    check_state,
    expiry,
    find_payment,
    needs_acting,
    share_of,
    share_view,
)

NO_PAYER: Final = Refusal("bad_frame", "In a group, say who is asked.", "$.body.payer")
UNKNOWN_PAYER: Final = Refusal("not_found", "There is no such person.", "$.body.payer")
ONESELF: Final = Refusal("same_account", "Nobody asks themselves for money.", "$.body.payer")
NOT_HERE: Final = Refusal("not_a_member", "That person is not in this conversation.", "$.body.payer")
PAID_PLAINLY: Final = Refusal(
    "bad_frame", "What was asked for is paid at once, in its own currency.", "$.ref"
)
ASKS: Final = frozenset(kind for kind, verb in WHO if verb == "settle")
"""Kinds that ask for money, and say what for."""
UNSAID: Final = Refusal("bad_frame", "Say it, or name in ref what asks for it.", "$.body.amount")
OTHER_AMOUNT: Final = Refusal("bad_frame", "Pay what was asked for.", "$.body.amount")
OTHER_CURRENCY: Final = Refusal("bad_frame", "Pay in the currency that was asked for.", "$.body.currency")
OTHER_PAYEE: Final = Refusal("bad_frame", "Pay the one who asked.", "$.body.payee")
UNKNOWN_SHARER: Final = Refusal("not_found", "There is no such person.", "$.body.shares")
NO_SHARER: Final = Refusal(
    "not_a_member", "Somebody of the split is not in this conversation.", "$.body.shares"
)
SHARES_TWICE: Final = Refusal("bad_frame", "Somebody is in the split twice.", "$.body.shares")
SPLIT_ALONE: Final = Refusal("bad_frame", "Somebody else has to be in a split.", "$.body.shares")


class Due(Struct, frozen=True):
    """The request, or the share of a split, that a payment answers; `refusal` where it no longer waits."""

    payment: Payment
    share: Share | None
    refusal: Refusal | None


class Settling(Struct, frozen=True):
    """What becomes of what was asked for."""

    facts: list[Fact]
    view: Settles


def complete_by_ref(book: Book, frame: PaySend, author: str) -> PaySend | Refusal:
    """The frame with the amount, currency and payee that it leaves to its ref, if that asks for any."""
    body = frame.body
    missing = "amount" if body.amount is UNSET else "currency" if body.currency is UNSET else None
    payment = book.payment(frame.ref) if frame.ref else None
    if payment is None or payment.kind not in ASKS:
        return frame if missing is None else replace(UNSAID, field=f"$.body.{missing}")
    place = find_place(book, author, frame.conv)
    if not isinstance(place, Conversation) or place.id != payment.conv:
        return frame if missing is None else NO_PAYMENT
    if body.amount is UNSET and body.currency not in {UNSET, payment.currency}:
        return OTHER_CURRENCY
    due = share_of(book, payment, author) or payment
    completed = replace(
        body,
        amount=body.amount or format_amount(due.amount, payment.currency),
        currency=body.currency or payment.currency,
        payee=body.payee or payment.payee or UNSET,
    )
    return replace(frame, body=completed)


def find_due(
    book: Book, frame: PaySend, conversation: Conversation, author: str, payee: User, minor: int
) -> Due | Refusal | None:
    """What the frame's ref asks for; None where it is a plain reply to something else."""
    payment = book.payment(frame.ref) if frame.ref else None
    if payment is None or payment.kind not in ASKS:
        return None
    if payment.conv != conversation.id:
        return NO_PAYMENT
    if frame.body.accept or frame.body.quote:
        return PAID_PLAINLY
    refusal = check_actor(book, payment, "settle", author)
    if refusal is not None:
        return refusal
    share = share_of(book, payment, author)
    if payee.id != payment.payee:
        return OTHER_PAYEE
    if frame.body.currency != payment.currency:
        return OTHER_CURRENCY
    if minor != (payment.amount if share is None else share.amount):
        return OTHER_AMOUNT
    return Due(payment, share, check_state(book, payment, "settle", share))


def settled_by(book: Book, due: Due) -> Settling:
    """What a payment does to what was asked for."""
    payment, share = due.payment, due.share
    if share is None:
        return Settling([KeepPayment(replace(payment, state="paid"))], Settles("paid"))
    facts, state, paid = share_ends(book, payment, share, "paid")
    return Settling(facts, Settles(state, share_view(paid, payment.currency)))


def share_ends(book: Book, payment: Payment, share: Share, state: str) -> tuple[list[Fact], str, Share]:
    """One share comes to its end, and with the last one the split: facts, the split's state, the share."""
    after = replace(share, state=state)
    if any(each.state == "open" for each in book.shares[payment.id] if each.n != share.n):
        return [KeepShare(after)], "open", after
    return [KeepShare(after), KeepPayment(replace(payment, state="settled"))], "settled", after


# --- requests -------------------------------------------------------------------------------------------


def needs_request(book: Book, keys: Keys, author: str, frame: PayRequest) -> None:
    """The conversation, who is asked, and what that person was asked for by the author."""
    conversation, named = need_place(book, keys, author, frame.conv), frame.body.payer
    if named is UNSET and conversation is None and frame.conv.startswith("@"):
        named = frame.conv  # a dm that a frame before this one in the batch may open
    if named is UNSET:
        payer_id = None if conversation is None else peer_of(book, conversation, author)
    else:
        payer = need_person_here(book, keys, conversation, named)
        payer_id = None if payer is None else payer.id
    if payer_id is not None and (author, payer_id) not in book.open_requests:
        keys.open_requests.add((author, payer_id))


def request_money(book: Book, author: str, frame: PayRequest) -> Decision:
    """Ask a person with whom one talks already."""
    terms, currency = frame.body, frame.body.currency
    minor = enabled_amount(book, terms.amount, currency)
    if isinstance(minor, Refusal):
        return minor
    conversation = _place_to_ask(book, author, frame.conv)
    if isinstance(conversation, Refusal):
        return conversation
    payer = _payer(book, author, conversation, terms)
    if isinstance(payer, Refusal):
        return payer
    refusal = _check_askable(book, author, payer, minor, currency)
    if refusal is not None:
        return refusal
    amount, expires_at = format_amount(minor, currency), expiry(book, terms.expires_s, REQUEST_S_DEFAULT)
    alt = f"{name(book, author)} asks @{payer.handle} for {amount} {currency}"
    body = PaymentRequested(amount, currency, payer.id, "open", expires_at, alt, terms.note)
    row = Payment(
        id=frame.id, pos=book.head.pos + 1, at=book.now, kind="request", conv=conversation.id, payer=payer.id,
        payee=author, currency=currency, amount=minor, state="open", expires_at=expires_at,
    )  # fmt: skip
    return [event(conversation.id, author, frame, body), KeepPayment(row)]


def _place_to_ask(book: Book, author: str, place: str) -> Conversation | Refusal:
    """A conversation that is there: nobody is asked for money by a stranger's first message."""
    found = find_place(book, author, place)
    if isinstance(found, Refusal):
        return found
    if isinstance(found, User):
        return NO_CONVERSATION
    refusal = check_no_reader(book, found.id, author) if found.pair is None else None
    return refusal or found


def _payer(book: Book, author: str, conversation: Conversation, body: RequestBody) -> User | Refusal:
    peer = peer_of(book, conversation, author)
    named = peer if body.payer is UNSET else body.payer
    if named is None:
        return NO_PAYER
    payer = find_person(book, named)
    if payer is None:
        return UNKNOWN_PAYER
    if payer.id == author:
        return ONESELF
    if peer is not None:
        return payer if payer.id == peer else NOT_HERE
    return NOT_HERE if membership(book, conversation.id, payer.id) is None else payer


def _check_askable(book: Book, author: str, payer: User, minor: int, currency: str) -> Refusal | None:
    if payer.disabled:
        return UNAVAILABLE
    waiting = [book.payments[id] for id in book.open_requests[author, payer.id]]
    waiting = [payment for payment in waiting if book.now < payment.expires_at]
    if any((payment.amount, payment.currency) == (minor, currency) for payment in waiting):
        return Refusal("already_requested", "You asked for this already, and it is open.", "$.body.amount")
    if len(waiting) < REQUESTS_OPEN_PER_PAIR_MAX:
        return None
    return Refusal(
        "too_many_requests",
        f"@{payer.handle} has {len(waiting)} open requests of yours.",
        state={"limit": REQUESTS_OPEN_PER_PAIR_MAX, "used": len(waiting)},
    )


# --- split bills ----------------------------------------------------------------------------------------


def needs_split(book: Book, keys: Keys, author: str, frame: PaySplit) -> None:
    """The conversation and everybody who is to bear a share."""
    conversation = need_place(book, keys, author, frame.conv)
    for share in frame.body.shares:
        need_person_here(book, keys, conversation, share.user)


def split(book: Book, author: str, frame: PaySplit) -> Decision:
    """Ask each for a share of what one has paid."""
    terms, currency = frame.body, frame.body.currency
    total = enabled_amount(book, terms.total, currency, "$.body.total")
    if isinstance(total, Refusal):
        return total
    amounts = _amounts(book, frame, total)
    if isinstance(amounts, Refusal):
        return amounts
    conversation = _place_to_ask(book, author, frame.conv)
    if isinstance(conversation, Refusal):
        return conversation
    people = _sharers(book, author, conversation, frame)
    if isinstance(people, Refusal):
        return people
    shares = [
        Share(frame.id, n, user.id, amount, "paid" if user.id == author else "open")
        for n, (user, amount) in enumerate(zip(people, amounts, strict=True), 1)
    ]
    shown, expires_at = format_amount(total, currency), expiry(book, terms.expires_s, REQUEST_S_DEFAULT)
    alt = f"{name(book, author)} splits {shown} {currency} among {len(shares)}"
    views = [share_view(share, currency) for share in shares]
    body = BillSplit(shown, currency, views, "open", expires_at, alt, terms.note)
    row = Payment(
        id=frame.id, pos=book.head.pos + 1, at=book.now, kind="split", conv=conversation.id, payer="",
        payee=author, currency=currency, amount=total, state="open", expires_at=expires_at, count=len(shares),
    )  # fmt: skip
    return [event(conversation.id, author, frame, body), KeepPayment(row), *map(KeepShare, shares)]


def _amounts(book: Book, frame: PaySplit, total: int) -> list[int] | Refusal:
    """As given where they add up; as equal as can be where none is,
    what is left over to the first of the list."""
    shares, currency = frame.body.shares, frame.body.currency
    given = [share.amount for share in shares if share.amount is not UNSET]
    if not given:
        equal = in_equal_parts(total, len(shares))
        if equal[-1] == 0:
            return Refusal("split_sum", f"{total} cannot be split among {len(shares)}.", "$.body.total")
        return equal
    if len(given) < len(shares):
        return Refusal("split_sum", "Give every share an amount, or none.", "$.body.shares")
    amounts = []
    for n, text in enumerate(given):
        minor = enabled_amount(book, text, currency, f"$.body.shares[{n}].amount")
        if isinstance(minor, Refusal):
            return minor
        amounts.append(minor)
    if sum(amounts) != total:
        shown = format_amount(sum(amounts), currency)
        return Refusal(
            "split_sum", f"The shares add up to {shown} {currency}.", "$.body.shares", state={"sum": shown}
        )
    return amounts


def _sharers(book: Book, author: str, conversation: Conversation, frame: PaySplit) -> list[User] | Refusal:
    people = []
    pair = book.people.get(conversation.id)
    for share in frame.body.shares:
        user = find_person(book, share.user)
        if user is None:
            return UNKNOWN_SHARER
        here = membership(book, conversation.id, user.id) is not None if pair is None else user.id in pair
        if not here or user in people:
            return SHARES_TWICE if here else NO_SHARER
        if user.disabled:
            return UNAVAILABLE
        people.append(user)
    return SPLIT_ALONE if all(user.id == author for user in people) else people


def needs_waive(book: Book, keys: Keys, author: str, frame: PayWaive) -> None:
    """The split, and who is let off."""
    needs_acting(book, keys, author, frame)
    need_person(book, keys, frame.body.user)


def waive(book: Book, author: str, frame: PayWaive) -> Decision:
    """Let somebody off."""
    payment = find_payment(book, author, frame, "waive")
    if isinstance(payment, Refusal):
        return payment
    user = find_person(book, frame.body.user)
    share = None if user is None else share_of(book, payment, user.id)
    if user is None or share is None:
        return Refusal("not_found", "That person has no share in this.", "$.body.user")
    refusal = check_state(book, payment, "waive", share)
    if refusal is not None:
        return refusal
    facts, state, after = share_ends(book, payment, share, "waived")
    view = share_view(after, payment.currency)
    alt = f"{name(book, author)} lets @{user.handle} off {view.amount} {payment.currency}"
    return [event(payment.conv, author, frame, ShareWaived(user.id, state, view, alt)), *facts]


def remind(book: Book, author: str, frame: PayRemind) -> Decision:
    """Remind those who have not answered."""
    payment = find_payment(book, author, frame, "remind")
    if isinstance(payment, Refusal):
        return payment
    refusal = check_state(book, payment, "remind")
    if refusal is not None:
        return refusal
    shares = book.shares[payment.id] if payment.kind == "split" else ()
    users = [share.person for share in shares if share.state == "open"] if shares else [payment.payer]
    if all(book.person(user).disabled for user in users):
        return UNAVAILABLE
    again = payment.reminded_at + REMIND_MS_MIN
    if payment.reminded_at and book.now < again:
        return Refusal("too_soon", "A reminder went out in the last hour.", state={"resets_at": again})
    shown = f"{format_amount(payment.amount, payment.currency)} {payment.currency}"
    whom = ", ".join(name(book, user) for user in users)
    body = PaymentReminded(users, payment.state, f"{name(book, author)} reminds {whom} of {shown}")
    after = replace(payment, reminded_at=book.now)
    return [event(payment.conv, author, frame, body), KeepPayment(after)]
