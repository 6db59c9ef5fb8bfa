"""Accounts: whose they are, who may use them, and what they hold."""

from typing import Final

from msgspec.structs import replace

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import BALANCE_MINOR_MAX
from tuppence_protocol.money import format_amount, parse_amount

from .batch import Keys
from .book import Book
from .policy import NO_LIMITS
from .rows import CLOSED, FROZEN_IN, FROZEN_OUT, OPERATOR, AccountCode, AccountKey, User

FROZEN: Final = Refusal("account_frozen", "Your account is frozen; ask the operator.")
SHUT: Final = Refusal("account_closed", "Your account is closed.")
UNAVAILABLE: Final = Refusal("payee_unavailable", "The other side cannot pay or receive this now.")
FULL: Final = Refusal("balance_limit", "The payee's balance would pass what an account may hold.")


def customer(user: str, currency: str) -> AccountKey:
    """A person's account in a currency."""
    return (user, currency, "customer")


def operator(code: AccountCode, currency: str) -> AccountKey:
    """One of the operator's own accounts."""
    return (OPERATOR, currency, code)


def need_account(book: Book, keys: Keys, key: AccountKey) -> None:
    """Ask for an account."""
    if key not in book.accounts:
        keys.accounts.add(key)


def enabled_amount(book: Book, amount: str, currency: str, field: str = "$.body.amount") -> int | Refusal:
    """Minor units, of a currency that the operator enabled."""
    minor = parse_amount(amount, currency, field)
    if type(minor) is not Refusal and currency not in book.policy.currencies:
        return Refusal("unknown_currency", f"{currency} is not enabled on this server.", "$.body.currency")
    return minor


def flags_of(book: Book, user: User, currency: str) -> int:
    """What is set on the person or on the account."""
    account = book.accounts.get((user.id, currency, "customer"))
    return user.flags if account is None else user.flags | account.flags


def barred_out(book: Book, user: User, currency: str) -> Refusal | None:
    """Why the author cannot pay."""
    flags = flags_of(book, user, currency)
    if not flags:
        return None
    if flags & FROZEN_OUT:
        return FROZEN
    return SHUT if flags & CLOSED else None


def barred_in(book: Book, user: User, currency: str) -> Refusal | None:
    """Why the author cannot be paid."""
    flags = flags_of(book, user, currency)
    if flags & FROZEN_IN:
        return FROZEN
    return SHUT if flags & CLOSED else None


def other_barred(book: Book, user: User, currency: str, flag: int) -> Refusal | None:
    """Why somebody else cannot take part; not told which of the reasons it is."""
    if user.disabled and flag == FROZEN_IN:
        return UNAVAILABLE
    return UNAVAILABLE if flags_of(book, user, currency) & (flag | CLOSED) else None


def room_for(
    book: Book,
    user: User,
    key: AccountKey,
    minor: int,
    field: str | None = "$.body.amount",
    *,
    capped: bool = True,
) -> Refusal | None:
    """Whether a person's account can take so much more; what is on its way to it counts."""
    account, limits = book.accounts.get(key), book.policy.limits
    coming = minor if account is None else minor + account.credits_posted + account.credits_pending
    if coming > BALANCE_MINOR_MAX:
        return replace(FULL, field=field)
    if not limits or not capped:
        return None
    most = limits.get((user.tier, key[1]), NO_LIMITS).balance
    balance = coming if account is None else coming - account.debits_posted
    return replace(FULL, field=field) if most is not None and balance > most else None


def covered(book: Book, key: AccountKey, minor: int, field: str | None = "$.body.amount") -> Refusal | None:
    """Whether an account holds so much that is free to be spent."""
    account = book.accounts.get(key)
    available = 0 if account is None else account.available
    if available >= minor:
        return None
    shown = format_amount(available, key[1])
    return Refusal(
        "insufficient_funds",
        f"You have {shown} {key[1]} available.",
        field,
        state={"available": shown, "currency": key[1]},
    )
