"""The rules of money. Checks come in the catalogue's order: shape, place, account, state, limits, funds."""

from msgspec import UNSET

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import SERVER_AUTHOR, Deposited, PaymentSent
from tuppence_protocol.frames import PaySend, SendBody
from tuppence_protocol.limits import BALANCE_MINOR_MAX
from tuppence_protocol.money import format_amount, parse_amount

from .book import Book, Keys
from .chat import writable
from .facts import Append, Fact, Move, OpenConversation
from .office import Deposit
from .places import find_person, membership, need_member, need_person, need_place, peer_of
from .request import Request
from .rows import OPERATOR, AccountKey, Conversation, User

SAME_ACCOUNT = Refusal("same_account", "Payer and payee are the same.", "$.body.payee")
NO_PAYEE = Refusal("bad_frame", "In a group, say who is to be paid.", "$.body.payee")
UNKNOWN_PAYEE = Refusal("not_found", "There is no such person.", "$.body.payee")
GONE_PAYEE = Refusal("payee_unavailable", "The payee cannot receive money now.", "$.body.payee")
NOT_HERE = Refusal("not_a_member", "The payee is not in this conversation.", "$.body.payee")
EXPIRED = Refusal("expired", "The payment came after its not_after.", "$.body.not_after")
FULL = Refusal("balance_limit", "The payee's balance would pass what an account may hold.", "$.body.amount")


def customer(user: str, currency: str) -> AccountKey:
    """A person's account in a currency."""
    return (user, currency, "customer")


def need_account(book: Book, keys: Keys, key: AccountKey) -> None:
    """Ask for an account."""
    if key not in book.accounts:
        keys.accounts.add(key)


def needs_send(book: Book, keys: Keys, request: Request) -> None:
    """The conversation, the payee and both accounts."""
    frame, author = request.frame, request.author
    assert isinstance(frame, PaySend)
    body = frame.body
    need_account(book, keys, (author, body.currency, "customer"))
    conversation = need_place(book, keys, author, frame.conv)
    if body.payee is not UNSET:
        payee = need_person(book, keys, body.payee)
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
    need_account(book, keys, (payee_id, body.currency, "customer"))


def send(book: Book, request: Request) -> list[Fact] | Refusal:
    """Pay at once: the money moves in the commit that stores the message."""
    frame = request.frame
    assert isinstance(frame, PaySend)
    body = frame.body
    minor = enabled_amount(book, body.amount, body.currency)
    if type(minor) is Refusal:
        return minor
    author, currency = request.author, body.currency
    place = writable(book, author, frame.conv)
    if type(place) is Refusal:
        return place
    conversation, facts = place
    payee = _payee(book, author, conversation, facts, body)
    if type(payee) is Refusal:
        return payee
    if body.not_after is not UNSET and book.now > body.not_after:
        return EXPIRED
    debit, credit = (author, currency, "customer"), (payee.id, currency, "customer")
    refusal = _room_for(book, credit, minor) or _covered(book, debit, minor)
    if refusal is not None:
        return refusal
    text = _sent(book, author, payee, body, minor)
    move = Move(debit, credit, minor, "pay.send")
    facts.append(Append(conversation.id, "pay.send", frame.id, author, frame.ref or None, text, (move,)))
    return facts


def needs_deposit(book: Book, keys: Keys, request: Request) -> None:
    """The person, their `self` conversation and both accounts."""
    frame = request.frame
    assert isinstance(frame, Deposit)
    need_account(book, keys, (OPERATOR, frame.currency, "cash"))
    user = need_person(book, keys, "@" + frame.handle)
    if user is None:
        return
    if user.id not in book.pairs:
        keys.pairs.add(user.id)
    need_account(book, keys, customer(user.id, frame.currency))


def deposit(book: Book, request: Request) -> list[Fact] | Refusal:
    """The operator took in money and credits a person with it."""
    frame = request.frame
    assert isinstance(frame, Deposit)
    minor = enabled_amount(book, frame.amount, frame.currency)
    if type(minor) is Refusal:
        return minor
    user = book.user_by_handle(frame.handle)
    conversation = None if user is None else book.conversation_by_pair(user.id)
    if user is None or conversation is None:
        return Refusal("not_found", "There is nobody with that handle.", "$.handle")
    debit, credit = (OPERATOR, frame.currency, "cash"), customer(user.id, frame.currency)
    refusal = _room_for(book, credit, minor)
    if refusal is not None:
        return refusal
    amount = format_amount(minor, frame.currency)
    alt = f"@{user.handle} received {amount} {frame.currency} by deposit"
    note = UNSET if frame.note is None else frame.note
    body = codec.encode(Deposited(amount, frame.currency, user.id, "completed", alt, note))
    move = Move(debit, credit, minor, "pay.deposit")
    return [Append(conversation.id, "pay.deposit", frame.id, SERVER_AUTHOR, None, body, (move,))]


def enabled_amount(book: Book, amount: str, currency: str) -> int | Refusal:
    """Minor units, of a currency that the operator enabled."""
    minor = parse_amount(amount, currency, "$.body.amount")
    if type(minor) is not Refusal and currency not in book.policy.currencies:
        return Refusal("unknown_currency", f"{currency} is not enabled on this server.", "$.body.currency")
    return minor


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
    if payee.disabled:
        return GONE_PAYEE
    return SAME_ACCOUNT if payee.id == author else payee


def _room_for(book: Book, key: AccountKey, minor: int) -> Refusal | None:
    account = book.accounts.get(key)
    if account is not None and account.credits_posted + minor > BALANCE_MINOR_MAX:
        return FULL
    return None


def _covered(book: Book, key: AccountKey, minor: int) -> Refusal | None:
    account = book.accounts.get(key)
    available = 0 if account is None else account.available
    if available >= minor:
        return None
    shown = format_amount(available, key[1])
    return Refusal(
        "insufficient_funds",
        f"You have {shown} {key[1]} available.",
        "$.body.amount",
        state={"available": shown, "currency": key[1]},
    )


def _sent(book: Book, author: str, payee: User, body: SendBody, minor: int) -> bytes:
    amount = format_amount(minor, body.currency)
    payer = book.users[author]
    assert payer is not None, "the author was found before the rule ran"
    currency = body.currency
    alt = f"@{payer.handle} paid @{payee.handle} {amount} {currency}"
    return codec.encode(PaymentSent(amount, currency, payee.id, "completed", alt, body.note, body.not_after))
