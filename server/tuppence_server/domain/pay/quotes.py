"""Exchanging money at a promised rate, exact in integers and rounded in the house's favour."""

from fractions import Fraction
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tuppence_protocol.currencies import exponent
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import AMOUNT_MINOR_MAX
from tuppence_server.domain.book import Book
from tuppence_server.domain.chat.lookup import need_user
from tuppence_server.domain.commands import OpenQuote
from tuppence_server.domain.facts import Decision, Keep
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.policy import PPM
from tuppence_server.domain.rows import Quote

from .accounts import enabled_amount

RATE_DIGITS: Final = 8
NO_RATE: Final = Refusal("not_found", "Nothing is exchanged between these currencies here.", "$.body.buy")
TOO_SMALL: Final = Refusal(
    "amount_range", "That is less than one minor unit of the other currency.", "$.body.amount"
)
TOO_LARGE: Final = Refusal("amount_range", "That is more than one payment can be.", "$.body.amount")


class Exchange(Struct, frozen=True):
    """What is given, what is got, and what of the former stays with the house; minor units."""

    sell: int
    buy: int
    margin: int


def exchanged(
    minor: int, side: str, rate: Fraction, spread_ppm: int, sell: str, buy: str
) -> Exchange | Refusal:
    """An exchange of `minor` units of the side named, at `rate` units of `buy` for one of `sell`.

    The margin is `spread_ppm` millionths of what is sold, rounded up; what is bought is rounded down and,
    where it is fixed, what is sold rounded up, each by less than one minor unit.
    """
    minor_rate = rate * Fraction(10) ** ((exponent(buy) or 0) - (exponent(sell) or 0))
    if side == "sell":
        sold = minor
        margin = -(-sold * spread_ppm // PPM)
        bought = int((sold - margin) * minor_rate)
    else:
        bought = minor
        net = _up(Fraction(bought) / minor_rate)
        sold = _up(Fraction(net * PPM, PPM - spread_ppm))
        margin = sold - net
    if min(sold, bought) < 1:
        return TOO_SMALL
    return TOO_LARGE if max(sold, bought) > AMOUNT_MINOR_MAX else Exchange(sold, bought, margin)


def _up(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)


def needs_quote(book: Book, keys: Keys, _author: str, command: OpenQuote) -> None:
    """Who asks, for the fee."""
    need_user(book, keys, command.owner)


def open_quote(book: Book, _author: str, command: OpenQuote) -> Decision:
    """Work out and keep a promise."""
    policy = book.policy
    sell, buy = command.sell, command.buy
    if sell == buy:
        return Refusal("bad_frame", "Sell and buy are the same currency.", "$.body.buy")
    minor = enabled_amount(book, command.amount, sell if command.side == "sell" else buy)
    if isinstance(minor, Refusal):
        return minor if minor.code != "unknown_currency" else replace(minor, field=f"$.body.{command.side}")
    if not {sell, buy} <= policy.currencies:
        other, name = (buy, "buy") if command.side == "sell" else (sell, "sell")
        return Refusal("unknown_currency", f"{other} is not enabled on this server.", f"$.body.{name}")
    owner = book.users[command.owner]
    if owner is None or owner.disabled:
        return Refusal("account_disabled", "This user is disabled.")
    if not command.numerator:
        if command.missing is None:
            return NO_RATE
        return Refusal("rate_unavailable", command.missing, "$.body.buy")
    rate = Fraction(command.numerator, command.denominator)
    deal = exchanged(minor, command.side, rate, policy.spread_ppm, sell, buy)
    if isinstance(deal, Refusal):
        return deal
    fee, _ = policy.fee("exchange", sell, owner.tier, deal.sell)
    return [
        Keep(
            Quote(
                command.quote, command.owner, sell, buy, deal.sell, deal.buy, deal.margin, fee,
                decimal_text(rate), book.now + policy.quote_ms,
            )
        )
    ]  # fmt: skip


def decimal_text(rate: Fraction) -> str:
    """A rate for people to read, to RATE_DIGITS significant digits, rounded down;
    money is never worked out from it."""
    shift = 0
    while rate * 10**shift < 10 ** (RATE_DIGITS - 1):
        shift += 1
    if not shift:
        return str(int(rate))
    digits = str(int(rate * 10**shift)).rjust(shift + 1, "0")
    return f"{digits[:-shift]}.{digits[-shift:]}".rstrip("0").rstrip(".")
