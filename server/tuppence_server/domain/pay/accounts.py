"""Accounts: whose they are, who may use them, and what they hold."""

from typing import Final

from msgspec.structs import replace

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import BALANCE_MINOR_MAX
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_server.domain.book import Book
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.policy import NO_LIMITS
from tuppence_server.domain.rows import CLOSED, OPERATOR, AccountCode, AccountKey, User

FROZEN: Final = Refusal("account_frozen", "Your account is frozen; ask the operator.")
SHUT: Final = Refusal("account_closed", "Your account is closed.")
UNAVAILABLE: Final = Refusal("payee_unavailable", "The other side cannot pay or receive this now.")
FULL: Final = Refusal("balance_limit", "The payee's balance would pass what an account may hold.")
OWN_FULL: Final = Refusal("balance_limit", "Your balance might pass what your account may hold.")


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
    account = book.accounts[user.id, currency, "customer"]
    return user.flags if account is None else user.flags | account.flags


def check_own(book: Book, user: User, currency: str, flag: int) -> Refusal | None:
    """Whether the author can pay (FROZEN_OUT) or be paid (FROZEN_IN)."""
    flags = flags_of(book, user, currency)
    if flags & flag:
        return FROZEN
    return SHUT if flags & CLOSED else None


def check_other(book: Book, user: User, currency: str, flag: int) -> Refusal | None:
    """Whether somebody else can take part; not told which of the reasons it is.

    Of the disabled nothing is taken and nothing reaches them: they could not answer it.
    """
    barred = user.disabled or flags_of(book, user, currency) & (flag | CLOSED)
    return UNAVAILABLE if barred else None


def check_room(
    book: Book,
    user: User,
    key: AccountKey,
    minor: int,
    field: str | None = "$.body.amount",
    *,
    capped: bool = True,
) -> Refusal | None:
    """Whether somebody else's account can take so much more at once; not judged where it would be told for
    nothing.

    `capped` is False for what is not the payee's until they accept it, and for what was the payee's own
    before.
    """
    if book.previewing:
        return None
    account = book.accounts[key]
    coming = minor if account is None else minor + account.credits_posted + account.credits_pending
    if coming > BALANCE_MINOR_MAX or (capped and book.policy.limits and _over_cap(book, user, key, minor)):
        return replace(FULL, field=field)
    return None


def check_own_room(book: Book, user: User, key: AccountKey, minor: int, held: int = 0) -> Refusal | None:
    """Whether one's own account can take so much more, of which `held` is on its way to it already."""
    account = book.accounts[key]
    there = 0 if account is None else account.credits_posted + account.credits_pending
    full = there + minor - held > BALANCE_MINOR_MAX or _over_cap(book, user, key, minor)
    return OWN_FULL if full else None


def _over_cap(book: Book, user: User, key: AccountKey, minor: int) -> bool:
    """By what is there: what others have merely offered neither fills an account nor keeps anybody from
    paying."""
    limits = book.policy.limits
    most = limits.get((user.tier, key[1]), NO_LIMITS).balance if limits else None
    if most is None:
        return False
    account = book.accounts[key]
    balance = 0 if account is None else account.credits_posted - account.debits_posted
    return balance + minor > most


def available_in(book: Book, key: AccountKey) -> int:
    """What is free to be spent."""
    account = book.accounts[key]
    return 0 if account is None else account.available


def check_funds(
    book: Book, key: AccountKey, minor: int, field: str | None = "$.body.amount"
) -> Refusal | None:
    """Whether an account holds so much that is free to be spent."""
    account = book.accounts[key]
    available = 0 if account is None else account.available
    if available >= minor:
        return None
    shown = format_amount(available, key[1])
    state: dict[str, str | int] = {"available": shown, "currency": key[1]}
    return Refusal("insufficient_funds", f"You have {shown} {key[1]} available.", field, state=state)
