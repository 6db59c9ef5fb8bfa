"""Limits on what a person spends: counted in slots of time, so that a window needs few rows.

A slot that lies partly in a window counts whole. So no true window ever passes its limit; at its edge a
person may have to wait up to SLOT_MS longer than to the millisecond.
"""

from typing import Final

from tuppence_protocol.errors import Refusal
from tuppence_protocol.money import format_amount
from tuppence_server.domain.book import Book
from tuppence_server.domain.facts import Fact, Spend
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.policy import Limits
from tuppence_server.domain.rows import Payment, User

SLOT_MS: Final = 15 * 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MONTH_MS: Final = 30 * DAY_MS


def oldest_slot(now: int) -> int:
    """The first slot that any window still counts."""
    return (now - MONTH_MS) // SLOT_MS


def need_limits(book: Book, keys: Keys, user: str, currency: str) -> None:
    """Ask for what the person has spent, where a limit may depend on it:
    a tier can change within the batch."""
    limited = any(each == currency for _, each in book.policy.limits)
    if limited and (user, currency) not in book.uses:
        keys.uses.add((user, currency))


def counts(book: Book, user: User, currency: str) -> bool:
    """True where what the person spends is counted."""
    return _limits(book, user, currency) is not None


def check_limits(
    book: Book, user: User, currency: str, minor: int, field: str = "$.body.amount"
) -> Refusal | None:
    """The limit that a payment would pass, if any."""
    limits = _limits(book, user, currency)
    if limits is None:
        return None
    if limits.per_payment is not None and minor > limits.per_payment:
        top = format_amount(limits.per_payment, currency)
        state: dict[str, str | int] = {"limit": top, "currency": currency}
        return Refusal(
            "limit_per_payment", f"One payment may be {top} {currency} at most.", field, state=state
        )
    uses = sorted(book.uses[user.id, currency].values(), key=lambda use: use.slot)
    amounts = [(use.slot, use.amount) for use in uses]
    for code, limit, window, days in (
        ("limit_daily", limits.daily, DAY_MS, "24 hours"),
        ("limit_monthly", limits.monthly, MONTH_MS, "30 days"),
    ):
        if limit is not None and (passed := _passed(amounts, minor, limit, window, book.now)):
            shown, spent = format_amount(limit, currency), format_amount(passed[0], currency)
            state = {"limit": shown, "used": spent, "currency": currency, **passed[1]}
            return Refusal(code, f"{spent} of {shown} {currency} are used in {days}.", field, state=state)
    counted, most = [(use.slot, use.count) for use in uses], limits.hourly_count
    if most is not None and (passed := _passed(counted, 1, most, HOUR_MS, book.now)):
        state = {"limit": most, "used": passed[0], **passed[1]}
        return Refusal("velocity", f"{most} payments an hour are the most.", state=state)
    return None


def _passed(
    used: list[tuple[int, int]], more: int, limit: int, window: int, now: int
) -> tuple[int, dict[str, int]] | None:
    """Where so much more would pass a limit: what is used by slot,
    and when it would fit if nothing came till then."""
    inside = [(slot, each) for slot, each in used if slot >= (now - window) // SLOT_MS]
    left = total = sum(each for _, each in inside)
    if total + more <= limit:
        return None
    for slot, each in inside:
        left -= each
        if left + more <= limit:
            return total, {"resets_at": (slot + 1) * SLOT_MS + window}
    return total, {}


def spend(book: Book, user: User, currency: str, minor: int) -> list[Fact]:
    """Count a payment towards the person's limits, with the payment and in the same commit."""
    if not counts(book, user, currency):
        return []
    return [Spend(user.id, currency, book.now // SLOT_MS, minor, 1)]


def give_back(book: Book, payment: Payment, minor: int) -> list[Fact]:
    """Count no longer what did not come to pass of a payment."""
    key, slot = (payment.payer, payment.currency), payment.at // SLOT_MS
    if not (payment.counted and minor and slot in book.uses[key]):
        return []
    return [Spend(*key, slot, -minor, -int(minor == payment.amount))]


def _limits(book: Book, user: User, currency: str) -> Limits | None:
    return book.policy.limits.get((user.tier, currency))
