"""The commands about money, read without a connection: each line becomes one of these or a complaint."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, cast

from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.errors import Refusal
from tuppence_protocol.lifecycle import Verb
from tuppence_protocol.limits import PACKET_SHARES_MAX
from tuppence_protocol.money import format_amount, parse_amount, parse_money

from .help import Complaint, usage
from .sanitize import clean

HANDLE: Final = re.compile(r"@[a-z0-9_]{2,32}", re.ASCII)
DAYS_MAX: Final = 3_650
_SHARE: Final = re.compile(r"(@[a-z0-9_]{2,32})(?:=(\S+))?", re.ASCII)
_NUMBER: Final = re.compile(r"#?([1-9][0-9]{0,2})", re.ASCII)
_STATE: Final = re.compile(r"[a-z_]{1,20}", re.ASCII)


class MoneyCommand:
    """A command about money."""


@dataclass(frozen=True)
class _Sum(MoneyCommand):
    """`person` is None where only the amount was typed: the other person of the current DM."""

    person: str | None
    amount: str
    currency: str
    note: str | None

    @property
    def money(self) -> str:
        """ "5.00 EUR"."""
        return f"{self.amount} {self.currency}"


class Pay(_Sum):
    """Pay at once."""


class Offer(_Sum):
    """Pay once the other accepts."""


class Request(_Sum):
    """Ask for money."""


@dataclass(frozen=True)
class Exchange(_Sum):
    """Pay so much of `currency` in `other`."""

    other: str


@dataclass(frozen=True)
class Split(MoneyCommand):
    """`shares` are people with or without an amount."""

    money: str
    shares: tuple[tuple[str, str | None], ...]
    note: str | None


@dataclass(frozen=True)
class Packet(MoneyCommand):
    money: str
    count: int
    mode: Literal["equal", "lucky"]
    note: str | None


@dataclass(frozen=True)
class Act(MoneyCommand):
    """Do something with the last payment for which it fits, or with a number of the list."""

    verb: Verb
    number: int | None = None


@dataclass(frozen=True)
class Decline(MoneyCommand):
    reason: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class Refund(MoneyCommand):
    """All that is left where there is no `money`."""

    money: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class Waive(MoneyCommand):
    user: str
    number: int | None = None


@dataclass(frozen=True)
class Faucet(MoneyCommand):
    money: str


@dataclass(frozen=True)
class AskFrom(MoneyCommand):
    """Ask before so much is paid at a time; without `money` tell what is set."""

    money: str | None = None


@dataclass(frozen=True)
class Payments(MoneyCommand):
    state: str | None = None
    person: str | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Statement(MoneyCommand):
    currency: str
    days: int = 30


@dataclass(frozen=True)
class Preview(MoneyCommand):
    command: MoneyCommand


@dataclass(frozen=True)
class Check(MoneyCommand):
    number: int | None = None


Read = MoneyCommand | Complaint
PREVIEWED: Final = ("pay", "offer", "request", "split", "packet", "settle", "accept", "refund")


def money_command(name: str, rest: str) -> Read | None:
    """Read a command about money; None where the name is none of theirs."""
    reader = _READERS.get(name)
    return None if reader is None else reader(rest)


def handles(rest: str) -> bool:
    """True for one @handle or more."""
    return bool(rest) and all(HANDLE.fullmatch(word) for word in rest.split())


def _money(name: str, rest: str, *, person: bool = False) -> tuple[str, str, str] | Complaint:
    """Amount, currency and what follows them; `person` where one may stand before them, and none does."""
    amount, _, tail = rest.partition(" ")
    currency, _, tail = tail.strip().partition(" ")
    found = parse_money(f"{amount} {currency}")
    if isinstance(found, Refusal):
        return _not_money(name, amount, currency, found, person=person)
    return format_amount(*found), found[1], tail.strip()


def _not_money(name: str, amount: str, currency: str, refusal: Refusal, *, person: bool = False) -> Complaint:
    """What is wrong with a sum, in words for whoever typed it."""
    joined = re.fullmatch(r"([0-9]+(?:[.,][0-9]+)?)([A-Za-z]{3})", amount, re.ASCII)
    comma = re.fullmatch(r"([0-9]+),([0-9]+)", amount, re.ASCII)
    if joined is not None:
        example = f"{joined[1].replace(',', '.')} {joined[2].upper()}"
        return Complaint(f"leave a space between amount and currency: {example}")
    if comma is not None:
        return Complaint(f"write the amount with a point: {comma[1]}.{comma[2]}, not {clean(amount)}")
    if re.search(r"[€$£¥]", amount + currency):
        return Complaint("write the currency in its three letters: 5 EUR")
    named = re.fullmatch(r"[a-z_][a-z0-9_]{1,31}", amount, re.ASCII)
    if person and named and currency.upper() not in EXPONENTS:
        return Complaint(f"a person is written with an @: /{name} @{amount} 5 EUR")
    if not amount or not currency:
        return usage(name)
    if refusal.code == "unknown_currency":
        return Complaint(f"there is no currency {clean(currency.upper()[:12])}; write it like: 5 EUR")
    if refusal.code == "amount_range":
        return Complaint(
            f"{clean(amount[:30])} {clean(currency.upper())} cannot be paid: too fine, too large, or nothing"
        )
    return Complaint(f"{clean(amount[:30])} is no amount; write it in figures, such as 5 or 5.50")


def _sum(kind: type[_Sum], name: str, rest: str) -> Read:
    person, _, tail = rest.partition(" ") if rest.startswith("@") else (None, "", rest)
    if person is not None and (not tail.strip() or not HANDLE.fullmatch(person)):
        return usage(name)
    found = _money(name, tail.strip(), person=person is None)
    if isinstance(found, Complaint):
        return found
    amount, currency, note = found
    if kind is not Exchange:
        return kind(person, amount, currency, note or None)
    to, _, tail = note.partition(" ")
    other, _, note = tail.strip().partition(" ")
    if to != "to" or not other:
        return usage(name)
    if other.upper() not in EXPONENTS:
        return Complaint(f"there is no currency {clean(other.upper()[:12])}; write it like: 10 EUR to JPY")
    return Exchange(person, amount, currency, note.strip() or None, other.upper())


def _split(rest: str) -> Read:
    found = _money("split", rest)
    if isinstance(found, Complaint):
        return found
    amount, currency, tail = found
    shares: list[tuple[str, str | None]] = []
    while (word := tail.split(maxsplit=1)) and (share := _SHARE.fullmatch(word[0])):
        part = None if share[2] is None else parse_amount(share[2], currency)
        if isinstance(part, Refusal):
            return _not_money("split", share[2], currency, part)
        shares.append((share[1], None if part is None else format_amount(part, currency)))
        tail = word[1] if len(word) > 1 else ""
    if not shares or tail.startswith("@"):
        return usage("split")
    return Split(f"{amount} {currency}", tuple(shares), tail or None)


def _packet(rest: str) -> Read:
    found = _money("packet", rest)
    if isinstance(found, Complaint):
        return found
    amount, currency, tail = found
    count, _, tail = tail.partition(" ")
    if not re.fullmatch(r"[1-9][0-9]{0,2}", count, re.ASCII) or int(count) > PACKET_SHARES_MAX:
        return usage("packet") if not count else Complaint(f"a packet has 1 to {PACKET_SHARES_MAX} shares")
    first, _, others = tail.strip().partition(" ")
    mode = first if first in {"lucky", "equal"} else None
    note = others.strip() if mode else tail.strip()
    return Packet(
        f"{amount} {currency}", int(count), cast("Literal['equal', 'lucky']", mode or "lucky"), note or None
    )


def _act(verb: Verb, rest: str) -> Read:
    number = _number(rest)
    if rest and number is None:
        return Complaint(f"/{verb} takes nothing, or a number of /payments: /{verb} #2")
    return Act(verb, number)


def _decline(rest: str) -> Read:
    number, reason = _numbered(rest)
    return Decline(reason or None, number)


def _refund(rest: str) -> Read:
    number, tail = _numbered(rest)
    if not tail:
        return Refund(None, number)
    found = _money("refund", tail)
    if isinstance(found, Complaint):
        return found
    return usage("refund") if found[2] else Refund(f"{found[0]} {found[1]}", number)


def _waive(rest: str) -> Read:
    number, user = _numbered(rest)
    return Waive(user, number) if HANDLE.fullmatch(user) else usage("waive")


def _faucet(rest: str) -> Read:
    found = _money("faucet", rest)
    if isinstance(found, Complaint):
        return found
    return usage("faucet") if found[2] else Faucet(f"{found[0]} {found[1]}")


def _ask_from(rest: str) -> Read:
    found = _money("ask", rest) if rest else None
    if isinstance(found, Complaint):
        return found
    if found is None:
        return AskFrom()
    return usage("ask") if found[2] else AskFrom(f"{found[0]} {found[1]}")


def _payments(rest: str) -> Read:
    state = person = currency = None
    for word in rest.split():
        if HANDLE.fullmatch(word) and person is None:
            person = word
        elif word.upper() in EXPONENTS and currency is None:
            currency = word.upper()
        elif _STATE.fullmatch(word) and state is None:
            state = word
        else:
            return usage("payments")
    return Payments(state, person, currency)


def _statement(rest: str) -> Read:
    currency, _, days = rest.partition(" ")
    if currency.upper() not in EXPONENTS:
        return usage("statement")
    if not days.strip():
        return Statement(currency.upper())
    if not re.fullmatch(r"[1-9][0-9]{0,3}", days.strip(), re.ASCII) or int(days) > DAYS_MAX:
        return Complaint(f"/statement takes 1 to {DAYS_MAX} days")
    return Statement(currency.upper(), int(days))


def _preview(rest: str) -> Read:
    name, _, tail = rest.removeprefix("/").partition(" ")
    found = money_command(name, tail.strip())
    if isinstance(found, Complaint):
        return found
    return usage("preview") if found is None or name not in PREVIEWED else Preview(found)


def _check(rest: str) -> Read:
    number = _number(rest)
    return usage("check") if rest and number is None else Check(number)


def _number(rest: str) -> int | None:
    """ "#2" or "2", where nothing else is written."""
    found = _NUMBER.fullmatch(rest)
    return int(found[1]) if found else None


def _numbered(rest: str) -> tuple[int | None, str]:
    """ "#2 …": the number needs its # where something else may follow."""
    first, _, tail = rest.partition(" ")
    if first.startswith("#") and (number := _number(first)) is not None:
        return number, tail.strip()
    return None, rest


_ACTS: Final[tuple[Verb, ...]] = ("settle", "claim", "accept", "cancel", "remind")
_READERS: Final[dict[str, Callable[[str], Read]]] = {
    "pay": partial(_sum, Pay, "pay"),
    "offer": partial(_sum, Offer, "offer"),
    "request": partial(_sum, Request, "request"),
    "exchange": partial(_sum, Exchange, "exchange"),
    "split": _split,
    "packet": _packet,
    "decline": _decline,
    "refund": _refund,
    "waive": _waive,
    "faucet": _faucet,
    "ask": _ask_from,
    "payments": _payments,
    "statement": _statement,
    "preview": _preview,
    "check": _check,
    **{verb: partial(_act, verb) for verb in _ACTS},
}
