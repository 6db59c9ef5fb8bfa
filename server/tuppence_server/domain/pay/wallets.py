"""The rules of what the operator does to accounts: freeze, thaw, close, and the tier that limits go by."""

from msgspec.structs import replace

from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.errors import Refusal
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import NOBODY, need_person
from tuppence_server.domain.commands import SetFlags, SetTier
from tuppence_server.domain.facts import Decision, Flag, KeepUser
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.rows import CLOSED

from .accounts import customer, need_account


def needs_flags(book: Book, keys: Keys, _author: str, command: SetFlags) -> None:
    """The person and every account that may have to be empty."""
    user = need_person(book, keys, "@" + command.handle)
    if user is not None:
        for currency in _currencies(command.currency):
            need_account(book, keys, customer(user.id, currency))


def set_flags(book: Book, _author: str, command: SetFlags) -> Decision:
    """Freeze, thaw or close; only what is empty can be closed."""
    user = book.user_by_handle(command.handle)
    if user is None:
        return NOBODY
    accounts = [book.accounts[customer(user.id, each)] for each in _currencies(command.currency)]
    if command.set & CLOSED:
        for account in accounts:
            if account is not None and (account.available or account.held or account.credits_pending):
                return Refusal(
                    "not_empty", f"@{user.handle} still has {account.currency}, or some is on its way."
                )
    if command.currency is None:
        return [KeepUser(replace(user, flags=(user.flags | command.set) & ~command.clear))]
    if command.currency not in book.policy.currencies:
        return Refusal("unknown_currency", f"{command.currency} is not enabled on this server.", "$.currency")
    had = 0 if accounts[0] is None else accounts[0].flags
    return [Flag(customer(user.id, command.currency), (had | command.set) & ~command.clear)]


def _currencies(currency: str | None) -> list[str]:
    """All that there are, where none is named: money may be left in one that is enabled no more."""
    return sorted(EXPONENTS) if currency is None else [currency]


def set_tier(book: Book, _author: str, command: SetTier) -> Decision:
    """Give a person other limits and fees."""
    user = book.user_by_handle(command.handle)
    if user is None:
        return NOBODY
    tiers = book.policy.tiers()
    if command.tier not in tiers:
        return Refusal(
            "not_found", f"No fee or limit names that tier; there are {', '.join(sorted(tiers))}.", "$.tier"
        )
    return [KeepUser(replace(user, tier=command.tier))]
