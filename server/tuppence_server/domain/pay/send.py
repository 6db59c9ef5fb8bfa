"""The rules of paying. Checks come in the catalogue's order: shape, place, account, state, limits, funds."""

from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PaymentSent, PaySend, SendBody
from tuppence_protocol.limits import ACCEPT_S_DEFAULT
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import Money
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import (
    find_person,
    membership,
    need_member,
    need_person,
    need_place,
    peer_of,
)
from tuppence_server.domain.chat.messages import writable
from tuppence_server.domain.facts import (
    Append,
    Decision,
    Fact,
    KeepPayment,
    KeepQuote,
    Move,
    OpenConversation,
)
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import FROZEN_IN, AccountKey, Conversation, Payment, Phase, Quote, User

from .accounts import (
    check_funds,
    check_other,
    check_own_room,
    check_payer,
    check_room,
    customer,
    enabled_amount,
    need_account,
    operator,
)
from .limits import check_limits, counts, need_limits, spend
from .payments import need_parties, need_payment
from .requests import ASKS, Due, complete_by_ref, find_due, settled_by

SAME_ACCOUNT: Final = Refusal("same_account", "Payer and payee are the same.", "$.body.payee")
NO_PAYEE: Final = Refusal("bad_frame", "In a group, say who is to be paid.", "$.body.payee")
UNKNOWN_PAYEE: Final = Refusal("not_found", "There is no such person.", "$.body.payee")
NOT_HERE: Final = Refusal("not_a_member", "The payee is not in this conversation.", "$.body.payee")
EXPIRED: Final = Refusal("expired", "The payment came after its not_after.", "$.body.not_after")
ACCEPT_ALONE: Final = Refusal("bad_frame", "A payment to be accepted has no quote.", "$.body.accept")
EXPIRES_ALONE: Final = Refusal("bad_frame", "Only a payment to be accepted expires.", "$.body.expires_s")
NO_QUOTE: Final = Refusal("not_found", "You have no such quote.", "$.body.quote")
OTHER_CURRENCY: Final = Refusal("bad_frame", "The quote sells another currency.", "$.body.currency")
OTHER_QUOTE: Final = Refusal("bad_frame", "The quote is for another amount.", "$.body.amount")
QUOTE_EXPIRED: Final = Refusal("quote_expired", "The quote's time is over; ask for another.", "$.body.quote")
QUOTE_USED: Final = Refusal("quote_used", "The quote has been used; ask for another.", "$.body.quote")


class _Terms(Struct, frozen=True, gc=False):
    """What a send comes to: what leaves the payer or is held, fee included, and what arrives; minor units."""

    spent: int
    received: int
    received_currency: str
    fee: int = 0
    fee_on: str = "payer"
    quote: Quote | None = None


def needs_send(book: Book, keys: Keys, author: str, frame: PaySend) -> None:
    """The conversation, the payee, their accounts, and what the payment answers or is exchanged by."""
    body, currency, named = frame.body, frame.body.currency, frame.body.payee
    conversation = need_place(book, keys, author, frame.conv)
    if frame.ref:
        currency, named = _said_by_ref(book, keys, frame, conversation)
    if currency is UNSET:
        return  # what says it comes with the next wave, or is not there
    need_account(book, keys, (author, currency, "customer"))
    if book.policy.fees:
        need_account(book, keys, operator("fees", currency))
    if book.policy.limits:
        need_limits(book, keys, author, currency)
    if named is not UNSET:
        payee = need_person(book, keys, named)
        if payee is None:
            return
        payee_id = payee.id
        if conversation is not None and conversation.pair is None:
            need_member(book, keys, conversation.id, payee_id)
    elif conversation is not None:
        payee_id = peer_of(book, conversation, author) or author
    else:
        payee = find_person(book, frame.conv)
        if payee is None:
            return
        payee_id = payee.id
    need_account(book, keys, (payee_id, currency, "customer"))
    if body.quote:
        _need_quote(book, keys, body.quote, payee_id)


def _said_by_ref(
    book: Book, keys: Keys, frame: PaySend, conversation: Conversation | None
) -> tuple[str | UnsetType, str | UnsetType]:
    """Currency and payee, where what the ref is asks for money in this conversation; it may be anything
    else."""
    body = frame.body
    asked = need_payment(book, keys, frame.ref or "")
    if asked is None:
        return body.currency, body.payee
    need_parties(book, keys, asked)
    here = asked.kind in ASKS and conversation is not None and asked.conv == conversation.id
    return body.currency or asked.currency, body.payee or (asked.payee if here else UNSET)


def _need_quote(book: Book, keys: Keys, id: str, payee: str) -> None:
    if id not in book.quotes:
        keys.quotes.add(id)
    quote = book.quotes.get(id)
    if quote is not None:
        need_account(book, keys, customer(payee, quote.buy))
        for code in ("fees", "fx", "margin"):
            need_account(book, keys, operator(code, quote.sell))
        need_account(book, keys, operator("fx", quote.buy))


def send(book: Book, author: str, frame: PaySend) -> Decision:
    """Pay: the money moves, or is held, in the commit that stores the message."""
    told = _complete(book, frame, author)
    if type(told) is Refusal:
        return told
    frame, currency, minor = told
    body = frame.body
    place = writable(book, author, frame.conv)
    if type(place) is Refusal:
        return place
    conversation, facts = place
    payee = _payee(book, author, conversation, facts, body)
    if type(payee) is Refusal:
        return payee
    asked = find_due(book, frame, conversation, author, payee, minor) if frame.ref else None
    if type(asked) is Refusal:
        return asked
    payer = book.users[author]
    assert payer is not None, "the author was found before the rule ran"
    terms = _terms(book, payer, minor, body, currency)
    if type(terms) is Refusal:
        return terms
    debit, credit = (author, currency, "customer"), (payee.id, terms.received_currency, "customer")
    refusal = _check_parties(book, payer, payee, debit, credit) or _check_time(book, body, terms.quote, asked)
    if refusal is None and book.policy.limits:
        refusal = check_limits(book, payer, currency, minor)
    if refusal is None:
        refusal = check_funds(book, debit, terms.spent) or _check_room(
            book, author, payee, credit, body, terms.received
        )
    if refusal is not None:
        return refusal
    settling = None if asked is None else settled_by(book, asked)
    settles = None if settling is None else settling.view
    text = _sent(payer, payee, body, currency, minor, terms, book.now, settles)
    moves = _moves(debit, credit, minor, currency, body, terms)
    facts.append(Append(conversation.id, "pay.send", frame.id, author, frame.ref or None, text, moves))
    if body.accept is not UNSET:
        facts.append(KeepPayment(_waiting(book, frame, currency, conversation, payer, payee, minor, terms)))
    if terms.quote is not None:
        facts.append(KeepQuote(replace(terms.quote, used_by=frame.id)))
    if settling is not None:
        facts += settling.facts
    return facts + spend(book, payer, currency, minor) if book.policy.limits else facts


def _complete(book: Book, frame: PaySend, author: str) -> tuple[PaySend, str, int] | Refusal:
    """The frame with all that its ref says for it, the currency and minor units, where its members go
    together."""
    body = frame.body
    if body.accept is UNSET:
        if body.expires_s is not UNSET:
            return EXPIRES_ALONE
    elif body.quote is not UNSET:
        return ACCEPT_ALONE
    amount, currency = body.amount, body.currency
    if amount is UNSET or currency is UNSET or (frame.ref is not UNSET and body.payee is UNSET):
        completed = complete_by_ref(book, frame, author)
        if type(completed) is Refusal:
            return completed
        frame, amount, currency = completed, completed.body.amount, completed.body.currency
        assert amount is not UNSET, "complete_by_ref has filled it in"
        assert currency is not UNSET, "complete_by_ref has filled it in"
    minor = enabled_amount(book, amount, currency)
    return minor if type(minor) is Refusal else (frame, currency, minor)


def _terms(book: Book, payer: User, minor: int, body: SendBody, currency: str) -> _Terms | Refusal:
    if body.quote is not UNSET:
        quote = book.quotes.get(body.quote)
        if quote is None or quote.owner != payer.id:
            return NO_QUOTE
        if quote.sell != currency:
            return OTHER_CURRENCY
        if quote.sell_amount != minor:
            return OTHER_QUOTE
        return _Terms(minor + quote.fee, quote.buy_amount, quote.buy, quote.fee, "payer", quote)
    if not book.policy.fees:
        return _Terms(minor, minor, currency)
    fee, fee_on = book.policy.fee("send", currency, payer.tier, minor)
    if fee_on == "payer":
        return _Terms(minor + fee, minor, currency, fee)
    fee = min(fee, minor - 1)
    return _Terms(minor, minor - fee, currency, fee, "payee")


def _check_time(book: Book, body: SendBody, quote: Quote | None, asked: Due | None) -> Refusal | None:
    """Why it is too late for this."""
    if body.not_after is not UNSET and book.now > body.not_after:
        return EXPIRED
    if asked is not None:
        return asked.refusal
    if quote is None:
        return None
    if quote.used_by:  # which it stays, whatever the time is
        return QUOTE_USED
    return QUOTE_EXPIRED if book.now >= quote.expires_at else None


def _check_parties(
    book: Book, payer: User, payee: User, debit: AccountKey, credit: AccountKey
) -> Refusal | None:
    """Why the two may not do this; mostly nothing is set on anybody."""
    pays, gets = book.accounts.get(debit), book.accounts.get(credit)
    if (
        (payer.flags or payee.flags or payee.disabled)
        or (pays is not None and pays.flags)
        or (gets is not None and gets.flags)
    ):
        refusal = check_payer(book, payer, debit[1]) or check_other(book, payee, credit[1], FROZEN_IN)
        if refusal is not None:
            return refusal
    return SAME_ACCOUNT if debit == credit else None


def _check_room(
    book: Book, payer: str, payee: User, credit: AccountKey, body: SendBody, received: int
) -> Refusal | None:
    """Whether it can arrive; a cap on what is only offered is judged when they accept."""
    if payer == payee.id:
        refusal = check_own_room(book, payee, credit, received)
        return None if refusal is None else replace(refusal, field="$.body.amount")
    return check_room(book, payee, credit, received, capped=body.accept is UNSET)


def _moves(
    debit: AccountKey, credit: AccountKey, minor: int, currency: str, body: SendBody, terms: _Terms
) -> tuple[Move, ...]:
    quote = terms.quote
    phase: Phase = "single" if body.accept is UNSET else "pending"
    if quote is None:
        paid = Move(debit, credit, terms.received, "pay.send", phase)
        if not terms.fee:
            return (paid,)
        moves = [paid]
    else:
        pool, bought = operator("fx", quote.sell), operator("fx", quote.buy)
        moves = [
            Move(debit, pool, minor, "exchange"),
            Move(bought, credit, quote.buy_amount, "exchange"),
        ]
        if quote.margin:
            moves.append(Move(pool, operator("margin", quote.sell), quote.margin, "margin"))
    if terms.fee:  # what the payee bears never reaches the payee
        moves.append(Move(debit, operator("fees", currency), terms.fee, "fee", phase))
    return tuple(moves)


def _waiting(
    book: Book,
    frame: PaySend,
    currency: str,
    conversation: Conversation,
    payer: User,
    payee: User,
    minor: int,
    terms: _Terms,
) -> Payment:
    """The row of a payment that is to be accepted; its holds are the next transfers to be made."""
    hold = book.head.transfer_id + 1
    return Payment(
        id=frame.id,
        pos=book.head.pos + 1,
        at=book.now,
        kind="send",
        conv=conversation.id,
        payer=payer.id,
        payee=payee.id,
        currency=currency,
        amount=minor,
        state="pending",
        fee=terms.fee,
        fee_on=terms.fee_on,
        received=terms.received,
        received_currency=terms.received_currency,
        hold=hold,
        fee_hold=hold + 1 if terms.fee else 0,
        expires_at=_expiry(frame.body, book.now),
        counted=int(counts(book, payer, currency)),
    )


def _expiry(body: SendBody, now: int) -> int:
    return now + 1000 * (body.expires_s if body.expires_s is not UNSET else ACCEPT_S_DEFAULT)


def _sent(
    payer: User,
    payee: User,
    body: SendBody,
    currency: str,
    minor: int,
    terms: _Terms,
    now: int,
    settles: Any,
) -> bytes:
    amount = format_amount(minor, currency)
    waits = body.accept is not UNSET
    verb = "offers" if waits else "paid"
    alt = f"@{payer.handle} {verb} @{payee.handle} {amount} {currency}"
    state = "pending" if waits else "completed"
    if not (waits or terms.fee or terms.quote or settles):
        return codec.encode(PaymentSent(amount, currency, payee.id, state, alt, body.note, body.not_after))
    quote, fee = terms.quote, terms.fee
    received = None
    if quote is not None:
        received = Money(format_amount(quote.buy_amount, quote.buy), quote.buy)
        alt += f", received as {received.amount} {received.currency}"
    return codec.encode(
        PaymentSent(
            amount, currency, payee.id, state, alt, body.note, body.not_after,
            accept=body.accept,
            expires_at=_expiry(body, now) if waits else UNSET,
            quote=body.quote,
            rate=UNSET if quote is None else quote.rate,
            margin=UNSET if quote is None else format_amount(quote.margin, quote.sell),
            received=received or UNSET,
            fee=format_amount(fee, currency) if fee else UNSET,
            fee_on=terms.fee_on if fee else UNSET,
            settles=settles or UNSET,
        )
    )  # fmt: skip


def _payee(
    book: Book, author: str, conversation: Conversation, facts: list[Fact], body: SendBody
) -> User | Refusal:
    if facts:  # a dm that this payment opens
        opened = facts[0]
        assert isinstance(opened, OpenConversation), "writable opens a dm and nothing else"
        peer: str | None = opened.members[1].user
    else:
        peer = peer_of(book, conversation, author)
    payee = find_person(book, body.payee) if body.payee is not UNSET else book.users.get(peer or "")
    if payee is None:
        return NO_PAYEE if body.payee is UNSET and peer is None else UNKNOWN_PAYEE
    if peer is None:
        if membership(book, conversation, payee.id) is None:
            return NOT_HERE
    elif payee.id not in (peer, author):
        return NOT_HERE
    return payee
