"""Fees, limits and rates as the operator writes them;
every mistake is told with its place and what is expected.

Numbers stay the text that they were written as, so that they can be shown; the methods tell what they mean.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from fractions import Fraction
from functools import partial
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.limits import BALANCE_MINOR_MAX
from tuppence_protocol.money import format_amount
from tuppence_server.domain.pay.quotes import decimal_text
from tuppence_server.domain.policy import PPM, FeeKind, FeeRule, Limits

ANY: Final = "*"
KINDS: Final = (ANY, "send", "packet", "exchange")
PAID_BY: Final = ("payer", "payee")
PERCENT_DECIMALS_MAX: Final = 4
_DECIMAL: Final = 'a decimal in quotes such as "1.50", without sign or exponent'
_decimal = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,12})?", re.ASCII).fullmatch
_pair = re.compile(r"([A-Z]{3})/([A-Z]{3})", re.ASCII).fullmatch
_tier = re.compile(r"[a-z0-9_-]{1,32}", re.ASCII).fullmatch


class Mistake(ValueError):
    """What is wrong with what the operator wrote, and what is expected."""


class Fee(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One table of `fees`; amounts in major units of `currency`."""

    kind: FeeKind | Literal["*"] = "*"
    currency: str = ANY
    tier: str = ANY
    fixed: str = "0"
    percent: str = "0"
    minimum: str = "0"
    maximum: str | None = None
    paid_by: Literal["payer", "payee"] = "payer"

    def rule(self, place: str = "fees") -> FeeRule:
        """The fee in minor units and millionths.

        Raises:
            Mistake: an amount that the currency cannot have.
        """
        currency = self.currency
        amounts = {} if currency == ANY else {"fixed": self.fixed, "minimum": self.minimum}
        if currency != ANY and self.maximum is not None:
            amounts["maximum"] = self.maximum
        minor = {name: _minor(text, currency, f"{place}: {name}") for name, text in amounts.items()}
        return FeeRule(
            kind=self.kind, currency=currency, tier=self.tier, fixed=minor.get("fixed", 0),
            ppm=ppm(self.percent, f"{place}: percent"), minimum=minor.get("minimum", 0),
            maximum=minor.get("maximum"), on=self.paid_by,
        )  # fmt: skip

    def covers(self, other: "Fee") -> bool:
        """Whether this fits every payment that the other fits."""
        mine = (self.kind, self.currency, self.tier)
        theirs = (other.kind, other.currency, other.tier)
        return all(one in (ANY, another) for one, another in zip(mine, theirs, strict=True))


class TierLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One table of `limits`; amounts in major units of the currency that it stands under."""

    per_payment: str | None = None
    daily: str | None = None
    monthly: str | None = None
    hourly_count: int | None = None
    balance: str | None = None

    def limits(self, currency: str, place: str = "limits") -> Limits:
        """The limits in minor units.

        Raises:
            Mistake: an amount that the currency cannot have.
        """
        minor = {
            name: _minor(text, currency, f"{place}: {name}")
            for name in ("per_payment", "daily", "monthly", "balance")
            if (text := getattr(self, name)) is not None
        }
        return Limits(**minor, hourly_count=self.hourly_count)


TiersLimits = dict[str, dict[str, TierLimits]]
"""By tier, then currency."""


# --- reading ------------------------------------------------------------------------------------------


def read_fees(value: Any) -> tuple[Fee, ...]:
    """The tables of `fees`, in their order.

    Raises:
        Mistake: as everywhere here.
    """
    if not isinstance(value, list):
        raise Mistake(f"fees is {value!r}; expected a list of tables, [[fees]] in a file.")
    fees = tuple(_fee(each, f"fees, table {n}") for n, each in enumerate(value, 1))
    for n, fee in enumerate(fees, 1):
        for earlier in range(1, n):
            if fees[earlier - 1].covers(fee):
                raise Mistake(
                    f"fees, table {n} never counts: table {earlier} comes before it and fits all that it"
                    " fits; expected the special case before the general one."
                )
    return fees


def read_limits(value: Any) -> TiersLimits:
    """The tables of `limits`."""
    expected = "tables such as [limits.basic.EUR]"
    found: TiersLimits = {}
    for tier, currencies in _table(value, "limits", expected).items():
        if not _tier(tier):
            raise Mistake(f"limits: {tier!r} is no tier; expected a name of small letters such as basic.")
        place = f"limits.{tier}"
        found[tier] = {
            _currency(currency, place): _limits(table, currency, f"{place}.{currency}")
            for currency, table in _table(currencies, place, expected).items()
        }
    return found


def read_rates(value: Any) -> dict[str, str]:
    """The pairs of `exchange_rates`."""
    expected = 'a table of pairs such as {"EUR/USD" = "1.0842"}, units of the second for one of the first'
    found = {}
    for name, rate in _table(value, "exchange_rates", expected).items():
        match = _pair(name)
        if match is None:
            raise Mistake(f"exchange_rates: {name!r} is no pair of currencies; expected one such as EUR/USD.")
        for currency in match.groups():
            _currency(currency, f"exchange_rates, {name}")
        base, other = match.groups()
        if base == other:
            raise Mistake(f"exchange_rates: {name} is a currency and itself; expected two.")
        if f"{other}/{base}" in found:
            raise Mistake(f"exchange_rates: {name} is there as {other}/{base} too; expected one of them.")
        text = _number(rate, f"exchange_rates: {name}")
        if not Fraction(text):
            raise Mistake(f"exchange_rates: {name} is {text!r}; expected more than zero.")
        found[name] = text
    return found


def read_spread(value: Any) -> str:
    """`exchange_spread_percent`, at least 0 and below 100."""
    text = _number(value, "exchange_spread_percent")
    ppm(text, "exchange_spread_percent")
    return text


def _fee(value: Any, place: str) -> Fee:
    table = _members(value, place, Fee)
    checks: dict[str, Callable[[Any, str], str]] = {
        "kind": partial(_one_of, KINDS), "paid_by": partial(_one_of, PAID_BY),
        "currency": _currency_or_any, "tier": _tier_or_any,
    }  # fmt: skip
    read = {name: checks.get(name, _number)(given, f"{place}: {name}") for name, given in table.items()}
    fee = msgspec.convert(read, Fee)
    if fee.paid_by == "payee" and fee.kind != "send":
        raise Mistake(f"{place}: paid_by is 'payee'; only a fee of kind \"send\" can be paid by the payee.")
    if fee.currency == ANY:
        for name in ("fixed", "minimum", "maximum"):
            if name in table:
                raise Mistake(f"{place}: {name} is an amount; expected a currency with it, or percent alone.")
    rule = fee.rule(place)
    if rule.maximum is not None and rule.minimum > rule.maximum:
        raise Mistake(
            f"{place}: minimum is {fee.minimum!r}; expected no more than the maximum, {fee.maximum!r}."
        )
    return fee


def _limits(value: Any, currency: str, place: str) -> TierLimits:
    table = dict(_members(value, place, TierLimits))
    count = table.pop("hourly_count", None)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise Mistake(f"{place}: hourly_count is {count!r}; expected a whole number of at least 1.")
    texts = {name: _number(number, f"{place}: {name}") for name, number in table.items()}
    limits = TierLimits(**texts, hourly_count=count)
    limits.limits(currency, place)
    return limits


# --- what the numbers mean ----------------------------------------------------------------------------


def ppm(text: str, place: str) -> int:
    """A percentage as millionths.

    Raises:
        Mistake: 100 or more, or finer than a millionth.
    """
    found = _scaled(text, PERCENT_DECIMALS_MAX)
    if found is None:
        raise Mistake(f"{place} is {text!r}; expected {PERCENT_DECIMALS_MAX} decimals at most.")
    if found >= PPM:
        raise Mistake(f"{place} is {text!r}; expected at least 0 and less than 100.")
    return found


def pairs(rates: Mapping[str, str]) -> dict[tuple[str, str], Fraction]:
    """Rates by (base, other): units of the other for one of the base."""
    return {(name[:3], name[4:]): Fraction(text) for name, text in rates.items()}


def check_round_trips(rates: Mapping[str, str], spread_ppm: int) -> None:
    """See that nobody gains by going round through several currencies.

    A pair that also follows from others may differ from them by half the spread: a quote goes over two pairs
    at most and costs the spread once.

    Raises:
        Mistake: a pair that differs by more.
    """
    table = pairs(rates)
    worth = _worth(table)
    for (base, other), rate in table.items():
        follows = worth[base] / worth[other]
        gain = max(rate / follows, follows / rate)
        if gain * gain * (PPM - spread_ppm) > PPM:
            raise Mistake(
                f"exchange_rates: {base}/{other} is {rates[f'{base}/{other}']!r}, and {decimal_text(follows)}"
                " by way of the other pairs; people would gain by going round."
                " Expected rates that fit, or one pair less."
            )


def _worth(table: Mapping[tuple[str, str], Fraction]) -> dict[str, Fraction]:
    """What one unit of each currency is worth, in a currency that it is connected with."""
    steps: dict[str, list[tuple[str, Fraction]]] = {}
    for (base, other), rate in table.items():
        steps.setdefault(other, []).append((base, rate))
        steps.setdefault(base, []).append((other, 1 / rate))
    worth: dict[str, Fraction] = {}
    for start in steps:
        ahead = [] if start in worth else [(start, Fraction(1))]
        while ahead:
            currency, value = ahead.pop()
            if currency not in worth:
                worth[currency] = value
                ahead += [(base, rate * value) for base, rate in steps[currency]]
    return worth


def _minor(text: str, currency: str, place: str) -> int:
    digits = EXPONENTS[currency]
    found = _scaled(text, digits)
    if found is None:
        raise Mistake(f"{place} is {text!r}; expected {digits} decimals at most, as {currency} has.")
    if found > BALANCE_MINOR_MAX:
        top = format_amount(BALANCE_MINOR_MAX, currency)
        raise Mistake(f"{place} is {text!r}; expected {top} {currency} at most.")
    return found


def _scaled(text: str, digits: int) -> int | None:
    """A decimal times ten to the power of `digits`; None where that is not whole."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(digits, "0")) if len(fraction) <= digits else None


# --- shapes -------------------------------------------------------------------------------------------


def nearest(name: str, names: Iterable[str]) -> str:
    """A question whether another name was meant, to end a sentence with; empty where none is near."""
    close = get_close_matches(name, names, 1)
    return f"; did you mean {close[0]!r}" if close else ""


def _table(value: Any, place: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Mistake(f"{place} is {value!r}; expected {expected}.")
    return value


def _members(value: Any, place: str, kind: type[Struct]) -> dict[str, Any]:
    names = [field.name for field in msgspec.structs.fields(kind)]
    expected = "a table with some of " + ", ".join(names)
    table = _table(value, place, expected)
    for name in table:
        if name not in names:
            raise Mistake(f"{place}: there is no {name!r}{nearest(name, names) or f'; expected {expected}'}.")
    return table


def _number(value: Any, place: str) -> str:
    if isinstance(value, float):
        raise Mistake(
            f'{place} is {value!r}, a float, which cannot hold every decimal; quote the number: "{value!r}".'
        )
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _decimal(text):
        raise Mistake(f"{place} is {value!r}; expected {_DECIMAL}.")
    return text


def _one_of(choices: tuple[str, ...], value: Any, place: str) -> str:
    if value not in choices:
        near = nearest(value, choices) if isinstance(value, str) else ""
        raise Mistake(f"{place} is {value!r}; expected one of {', '.join(choices)}{near}.")
    return str(value)


def _currency(value: Any, place: str) -> str:
    if isinstance(value, str) and value in EXPONENTS:
        return value
    meant = value.strip().upper()[:3] if isinstance(value, str) else ""
    near = f"; did you mean {meant!r}" if meant in EXPONENTS else ""
    raise Mistake(f"{place}: {value!r} is not an ISO 4217 code such as EUR{near}.")


def _currency_or_any(value: Any, place: str) -> str:
    return ANY if value == ANY else _currency(value, place)


def _tier_or_any(value: Any, place: str) -> str:
    if value != ANY and not (isinstance(value, str) and _tier(value)):
        raise Mistake(f"{place} is {value!r}; expected a name of small letters such as basic, or *.")
    return str(value)
