"""The rules of paying. Checks come in the catalogue's order: shape, place, account, state, limits, funds."""

from typing import Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PaymentSent, PaySend, SendBody, Settles
from tuppence_protocol.limits import ACCEPT_S_DEFAULT
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import Money
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import find_person, membership, need_person_here, need_place, peer_of
from tuppence_server.domain.chat.messages import writable
from tuppence_server.domain.facts import (
    Append,
    Decision,
    Fact,
    Keep,
    KeepPayment,
    Move,
    OpenConversation,
)
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import (
    FROZEN_IN,
    FROZEN_OUT,
    AccountKey,
    Conversation,
    Payment,
    Phase,
    Quote,
    User,
)

from .accounts import (
    check_funds,
    check_other,
    check_own,
    check_own_room,
    check_room,
    customer,
    enabled_amount,
    need_account,
    operator,
)
from .limits import check_limits, counts, need_limits, spend
from .payments import expiry, need_parties, need_payment
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

    payer: User
    payee: User
    currency: str
    amount: int
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
        currency, named = _need_due(book, keys, frame, conversation)
    payee_id = None
    if named is UNSET and conversation is not None:
        payee_id = peer_of(book, conversation, author) or author
    elif named is not UNSET or frame.conv.startswith("@"):  # maybe a dm that is yet to be opened
        payee = need_person_here(book, keys, conversation, frame.conv if named is UNSET else named)
        payee_id = None if payee is None else payee.id
    if currency is UNSET:
        return  # what says it comes with the next wave, or is not there
    need_account(book, keys, (author, currency, "customer"))
    if book.policy.fees:
        need_account(book, keys, operator("fees", currency))
    if book.policy.limits:
        need_limits(book, keys, author, currency)
    if payee_id is not None:
        need_account(book, keys, (payee_id, currency, "customer"))
        if body.quote:
            _need_quote(book, keys, body.quote, payee_id)


def _need_due(
    book: Book, keys: Keys, frame: PaySend, conversation: Conversation | None
) -> tuple[str | UnsetType, str | UnsetType]:
    """Currency and payee, where what the ref is asks for money in this conversation; it may be anything
    else."""
    body = frame.body
    due = need_payment(book, keys, frame.ref or "")
    if due is None:
        return body.currency, body.payee
    need_parties(book, keys, due)
    here = due.kind in ASKS and conversation is not None and due.conv == conversation.id
    return body.currency or due.currency, body.payee or (due.payee if here else UNSET)


def _need_quote(book: Book, keys: Keys, id: str, payee: str) -> None:
    quote = book.need(keys, Quote, id)
    if quote is not None:
        need_account(book, keys, customer(payee, quote.buy))
        for code in ("fees", "fx", "margin"):
            need_account(book, keys, operator(code, quote.sell))
        need_account(book, keys, operator("fx", quote.buy))


def send(book: Book, author: str, frame: PaySend) -> Decision:
    """Pay: the money moves, or is held, in the commit that stores the message."""
    completed = _complete(book, frame, author)
    if type(completed) is Refusal:
        return completed
    frame, currency, minor = completed
    body, place = frame.body, writable(book, author, frame.conv)
    if type(place) is Refusal:
        return place
    conversation, facts = place
    payee = _payee(book, author, conversation, facts, body)
    if type(payee) is Refusal:
        return payee
    due = find_due(book, frame, conversation, author, payee, minor) if frame.ref else None
    if type(due) is Refusal:
        return due
    terms = _terms(book, author, payee, minor, currency, body)
    if type(terms) is Refusal:
        return terms
    debit, credit = (author, currency, "customer"), (payee.id, terms.received_currency, "customer")
    refusal = (
        _check_parties(book, terms, debit, credit)
        or _check_time(book, body, terms.quote, due)
        or (check_limits(book, terms.payer, currency, minor) if book.policy.limits else None)
        or check_funds(book, debit, terms.spent)
        or _check_room(book, terms, credit, body)
    )
    if refusal is not None:
        return refusal
    settling = None if due is None else settled_by(book, due)
    text = _sent(book, body, terms, None if settling is None else settling.view)
    moves = _moves(debit, credit, body, terms)
    facts.append(Append(conversation.id, "pay.send", frame.id, author, frame.ref or None, text, moves))
    if body.accept is not UNSET:
        facts.append(KeepPayment(_waiting(book, frame, conversation.id, terms)))
    if terms.quote is not None:
        facts.append(Keep(replace(terms.quote, used_by=frame.id)))
    if settling is not None:
        facts += settling.facts
    return facts + spend(book, terms.payer, currency, minor) if book.policy.limits else facts


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


def _payee(
    book: Book, author: str, conversation: Conversation, facts: list[Fact], body: SendBody
) -> User | Refusal:
    if facts:  # a dm that this payment opens
        opened = facts[0]
        assert isinstance(opened, OpenConversation), "writable opens a dm and nothing else"
        peer: str | None = opened.members[1].user
    else:
        peer = peer_of(book, conversation, author)
    if body.payee is not UNSET:
        payee = find_person(book, body.payee)
    elif peer is None:
        return NO_PAYEE
    else:
        payee = book.users[peer]
    if payee is None:
        return UNKNOWN_PAYEE
    if peer is None:
        return NOT_HERE if membership(book, conversation.id, payee.id) is None else payee
    return payee if payee.id in (peer, author) else NOT_HERE


def _terms(
    book: Book, author: str, payee: User, minor: int, currency: str, body: SendBody
) -> _Terms | Refusal:
    payer = book.users[author]
    assert payer is not None, "the author was found before the rule ran"
    if body.quote is not UNSET:
        quote = book.find(Quote, body.quote)
        if quote is None or quote.owner != author:
            return NO_QUOTE
        if quote.sell != currency:
            return OTHER_CURRENCY
        if quote.sell_amount != minor:
            return OTHER_QUOTE
        spent, fee = minor + quote.fee, quote.fee
        return _Terms(payer, payee, currency, minor, spent, quote.buy_amount, quote.buy, fee, "payer", quote)
    if not book.policy.fees:
        return _Terms(payer, payee, currency, minor, minor, minor, currency)
    fee, fee_on = book.policy.fee("send", currency, payer.tier, minor)
    if fee_on == "payer":
        return _Terms(payer, payee, currency, minor, minor + fee, minor, currency, fee)
    fee = min(fee, minor - 1)
    return _Terms(payer, payee, currency, minor, minor, minor - fee, currency, fee, "payee")


def _check_time(book: Book, body: SendBody, quote: Quote | None, due: Due | None) -> Refusal | None:
    """Whether it is not too late for this."""
    if body.not_after is not UNSET and book.now > body.not_after:
        return EXPIRED
    if due is not None:
        return due.refusal
    if quote is None:
        return None
    if quote.used_by:  # which it stays, whatever the time is
        return QUOTE_USED
    return QUOTE_EXPIRED if book.now >= quote.expires_at else None


def _check_parties(book: Book, terms: _Terms, debit: AccountKey, credit: AccountKey) -> Refusal | None:
    """Whether the two may do this; mostly nothing is set on anybody."""
    payer, payee = terms.payer, terms.payee
    pays, gets = book.accounts[debit], book.accounts[credit]
    if (
        (payer.flags or payee.flags or payee.disabled)
        or (pays is not None and pays.flags)
        or (gets is not None and gets.flags)
    ):
        refusal = check_own(book, payer, debit[1], FROZEN_OUT)
        refusal = refusal or check_other(book, payee, credit[1], FROZEN_IN)
        if refusal is not None:
            return refusal
    return SAME_ACCOUNT if debit == credit else None


def _check_room(book: Book, terms: _Terms, credit: AccountKey, body: SendBody) -> Refusal | None:
    """Whether it can arrive; a cap on what is only offered is judged when they accept."""
    if terms.payer.id == terms.payee.id:
        refusal = check_own_room(book, terms.payee, credit, terms.received)
        return None if refusal is None else replace(refusal, field="$.body.amount")
    return check_room(book, terms.payee, credit, terms.received, capped=body.accept is UNSET)


def _moves(debit: AccountKey, credit: AccountKey, body: SendBody, terms: _Terms) -> tuple[Move, ...]:
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
            Move(debit, pool, terms.amount, "exchange"),
            Move(bought, credit, quote.buy_amount, "exchange"),
        ]
        if quote.margin:
            moves.append(Move(pool, operator("margin", quote.sell), quote.margin, "margin"))
    if terms.fee:  # what the payee bears never reaches the payee
        moves.append(Move(debit, operator("fees", terms.currency), terms.fee, "fee", phase))
    return tuple(moves)


def _waiting(book: Book, frame: PaySend, conv: str, terms: _Terms) -> Payment:
    """The row of a payment that is to be accepted; its holds are the next transfers to be made."""
    hold = book.head.transfer_id + 1
    return Payment(
        id=frame.id, pos=book.head.pos + 1, at=book.now, kind="send", conv=conv,
        payer=terms.payer.id, payee=terms.payee.id, currency=terms.currency, amount=terms.amount,
        state="pending", fee=terms.fee, fee_on=terms.fee_on,
        received=terms.received, received_currency=terms.received_currency,
        hold=hold, fee_hold=hold + 1 if terms.fee else 0,
        expires_at=expiry(book, frame.body.expires_s, ACCEPT_S_DEFAULT),
        counted=int(counts(book, terms.payer, terms.currency)),
    )  # fmt: skip


def _sent(book: Book, body: SendBody, terms: _Terms, settles: Settles | None) -> bytes:
    payer, payee = terms.payer, terms.payee
    currency, quote = terms.currency, terms.quote
    amount, fee = format_amount(terms.amount, currency), terms.fee
    waits = body.accept is not UNSET
    verb = "offers" if waits else "paid"
    alt = f"@{payer.handle} {verb} @{payee.handle} {amount} {currency}"
    state = "pending" if waits else "completed"
    if not (waits or fee or quote or settles):
        return codec.encode(PaymentSent(amount, currency, payee.id, state, alt, body.note, body.not_after))
    received = None
    if quote is not None:
        received = Money(format_amount(quote.buy_amount, quote.buy), quote.buy)
        alt += f", received as {received.amount} {received.currency}"
    return codec.encode(
        PaymentSent(
            amount, currency, payee.id, state, alt, body.note, body.not_after,
            accept=body.accept,
            expires_at=expiry(book, body.expires_s, ACCEPT_S_DEFAULT) if waits else UNSET,
            quote=body.quote,
            rate=UNSET if quote is None else quote.rate,
            margin=UNSET if quote is None else format_amount(quote.margin, quote.sell),
            received=received or UNSET,
            fee=format_amount(fee, currency) if fee else UNSET,
            fee_on=terms.fee_on if fee else UNSET,
            settles=settles or UNSET,
        )
    )  # fmt: skip
