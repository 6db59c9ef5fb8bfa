"""The operator's books: trial balance, income statement and balance sheet, by currency, as of any moment.

All are sums of transfers, by code of account; nothing is kept beside the ledger. Every debit is somebody's
credit, so they balance, and they say so themselves. Amounts are decimal strings in major units, moments ms
since the epoch.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from msgspec import Struct

from tuppence_protocol import codec
from tuppence_protocol.money import format_amount
from tuppence_server.store.contract import MoneyReads, Total

from .statement import MOMENT_MAX

Period = Literal["day", "month", "year"]
PERIODS_MAX: Final = 1_200
YEAR_MAX: Final = 9_999
ASSETS: Final = {"cash": "cash"}
LIABILITIES: Final = {"customer": "customers", "packets": "red packets", "suspense": "suspense"}
POSITION: Final = {"fx": "exchange position"}
INCOME: Final = {"fees": "fees", "margin": "exchange margin", "losses": "losses borne"}
OCCASIONAL: Final = frozenset({INCOME["losses"]})
"""What is left out where there was none."""
RETAINED: Final = "retained income"
_KNOWN: Final = frozenset(ASSETS | LIABILITIES | POSITION | INCOME)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class TrialLine(Struct, frozen=True):
    """What was posted to all accounts of one code; `balance` is debits minus credits."""

    code: str
    debits: str
    credits: str
    balance: str


class Entry(Struct, frozen=True):
    """One line of a statement or sheet."""

    name: str
    amount: str


class CurrencyBooks(Struct, frozen=True):
    """The books of one currency. `balanced`: debits are credits, and assets are liabilities and equity."""

    currency: str
    trial: list[TrialLine]
    debits: str
    credits: str
    income: list[Entry]
    net_income: str
    assets: list[Entry]
    liabilities: list[Entry]
    equity: list[Entry]
    total_assets: str
    total_liabilities: str
    total_equity: str
    balanced: bool


class Books(Struct, frozen=True):
    """The books as of `pos`; the income is that since the position `since_pos`."""

    pos: int
    since_pos: int
    currencies: list[CurrencyBooks]
    balanced: bool


class Earned(Struct, frozen=True):
    """What was earned in a currency from one moment (inclusive) to another (exclusive)."""

    since: int
    until: int
    currency: str
    income: list[Entry]
    net_income: str


class Income(Struct, frozen=True):
    """What was earned period by period; one in which no money moved is left out.

    `balanced`: in each period debits are credits.
    """

    periods: list[Earned]
    balanced: bool


class _Sums:
    """Debits and credits of one currency by code of account; minor units."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.debits: Counter[str] = Counter()
        self.credits: Counter[str] = Counter()

    def add(self, total: Total) -> None:
        self.debits[total.code] += total.debits
        self.credits[total.code] += total.credits

    @property
    def even(self) -> bool:
        return self.debits.total() == self.credits.total()

    def codes(self) -> list[str]:
        return sorted(self.debits.keys() | self.credits.keys())

    def owed(self, names: dict[str, str]) -> dict[str, int]:
        """Credits minus debits, by name."""
        return {name: self.credits[code] - self.debits[code] for code, name in names.items()}

    def income(self) -> dict[str, int]:
        """What was earned and lost, by name."""
        return {
            name: amount for name, amount in self.owed(INCOME).items() if amount or name not in OCCASIONAL
        }

    def text(self, minor: int) -> str:
        return format_amount(minor, self.currency)

    def entries(self, amounts: dict[str, int]) -> list[Entry]:
        return [Entry(name, self.text(amount)) for name, amount in amounts.items()]


def _summed(totals: Iterable[Total], currency: str | None) -> list[_Sums]:
    sums: dict[str, _Sums] = {}
    for total in totals:
        if currency in {None, total.currency}:
            sums.setdefault(total.currency, _Sums(total.currency)).add(total)
    return [sums[each] for each in sorted(sums)]


async def books(
    store: MoneyReads,
    since: int | None = None,
    until: int | None = None,
    currency: str | None = None,
    *,
    pos: int | None = None,
) -> Books:
    """All books as of a `pos`, of the last event before `until`, or of now; the income from `since` on."""
    end = await store.position(pos, until)
    start = await store.position(0 if since is None else None, since)
    first = min(start.transfer, end.transfer)
    before = await store.totals(0, first)
    within = await store.totals(first, end.transfer)
    earned = {sums.currency: sums for sums in _summed(within, currency)}
    found = [
        _booked(sums, earned.get(sums.currency) or _Sums(sums.currency))
        for sums in _summed([*before, *within], currency)
    ]
    return Books(end.pos, min(start.pos, end.pos), found, all(each.balanced for each in found))


def _booked(sums: _Sums, earned: _Sums) -> CurrencyBooks:
    others = {code: code for code in sums.codes() if code not in _KNOWN}
    assets = {name: -amount for name, amount in sums.owed(ASSETS).items()}
    liabilities = sums.owed(LIABILITIES | others)
    equity = sums.owed(POSITION) | {RETAINED: sum(sums.owed(INCOME).values())}
    income = earned.income()
    owned, owed, own = (sum(side.values()) for side in (assets, liabilities, equity))
    return CurrencyBooks(
        currency=sums.currency,
        trial=[_line(sums, code) for code in sums.codes()],
        debits=sums.text(sums.debits.total()),
        credits=sums.text(sums.credits.total()),
        income=sums.entries(income),
        net_income=sums.text(sum(income.values())),
        assets=sums.entries(assets),
        liabilities=sums.entries(liabilities),
        equity=sums.entries(equity),
        total_assets=sums.text(owned),
        total_liabilities=sums.text(owed),
        total_equity=sums.text(own),
        balanced=sums.even and owned == owed + own,
    )


def _line(sums: _Sums, code: str) -> TrialLine:
    debits, credits = sums.debits[code], sums.credits[code]  # noqa: A001 - the books' word
    return TrialLine(code, sums.text(debits), sums.text(credits), sums.text(debits - credits))


# --- by periods -------------------------------------------------------------------------------------------


async def income_by(
    store: MoneyReads,
    period: Period,
    since: int | None = None,
    until: int | None = None,
    currency: str | None = None,
) -> Income:
    """What was earned by days, months or years in UTC,
    from the first event to the last where no moment is given.

    Raises:
        ValueError: there would be more than PERIODS_MAX periods.
    """
    head = await store.head()
    since = await _committed_at(store, 1) if since is None else min(since, MOMENT_MAX)
    until = await _committed_at(store, head.pos) + 1 if until is None else min(until, MOMENT_MAX)
    edges = _edges(since, until, period)
    transfers = [(await store.position(None, edge)).transfer for edge in edges]
    earned: list[Earned] = []
    even = True
    for (begin, end), (after, upto) in zip(pairwise(edges), pairwise(transfers), strict=True):
        for sums in _summed(await store.totals(after, upto), currency):
            income = sums.income()
            net = sums.text(sum(income.values()))
            earned.append(Earned(begin, end, sums.currency, sums.entries(income), net))
            even = even and sums.even
    return Income(earned, even)


async def _committed_at(store: MoneyReads, pos: int) -> int:
    """When an event was committed; 0 where there is none."""
    async for events in store.log(pos - 1, pos):
        return int(codec.decode_head(events[0].head)["at"])
    return 0


def _edges(since: int, until: int, period: Period) -> list[int]:
    """Where the periods between two moments begin and end."""
    edges = [since]
    for edge in _beginnings(since, period):
        if edge >= until:
            break
        edges.append(edge)
        if len(edges) > PERIODS_MAX:
            raise ValueError(f"There are more than {PERIODS_MAX} periods; choose longer ones or less time.")
    return [*edges, until] if until > since else edges


def _beginnings(since: int, period: Period) -> Iterator[int]:
    """The beginnings of the days, months or years after a moment, as far as the calendar goes."""
    now = _EPOCH + since * _MS
    while now.year < YEAR_MAX:
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if period == "day":
            now = day + timedelta(days=1)
        elif period == "month":
            now = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        else:
            now = day.replace(year=day.year + 1, month=1, day=1)
        yield (now - _EPOCH) // _MS
