"""What the model remembers and foretells: people, payments, moves, events. No rule is shared with the
server."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.contract.stores import wire_id

PEOPLE: Final = ("alice", "bob", "carol", "dave", "erin")
IDS: Final = {who: wire_id("u_", number + 1) for number, who in enumerate(PEOPLE)}
OPERATOR: Final = "operator"
NAMES: Final = {user: who for who, user in IDS.items()} | {OPERATOR: OPERATOR}
SERVER: Final = "server"
ENABLED: Final = ("EUR", "JPY", "KWD")
DIGITS: Final = {"EUR": 2, "JPY": 0, "KWD": 3, "CHF": 2}
"""Currencies that there are; CHF is not enabled, and XXX is none."""
FROZEN_IN, FROZEN_OUT, CLOSED = 1, 2, 4
WAITING: Final = ("pending", "open")
SLOT_MS: Final = 15 * 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MONTH_MS: Final = 30 * DAY_MS
LASTS_MS: Final = {
    "pay.send": DAY_MS, "pay.packet": DAY_MS, "pay.request": 7 * DAY_MS, "pay.split": 7 * DAY_MS,
}  # fmt: skip
QUOTE_MS: Final = 60_000
AMOUNT_MAX: Final = 10**15
ENDS: Final = {
    "paid": "already_paid", "declined": "already_declined", "cancelled": "already_cancelled",
    "expired": "expired", "emptied": "packet_empty", "refunded": "already_refunded",
}  # fmt: skip
Key = tuple[str, str, str]
"""(owner, currency, code) of an account; people by their names."""


@dataclass(frozen=True)
class Terms:
    """What the operator decided, in plain values: see `money_town.policy_of`."""

    mode: Literal["sandbox", "live"] = "sandbox"
    fees: tuple[Mapping[str, Any], ...] = ()
    limits: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    spread_ppm: int = 0


class Refused(Exception):
    """A refusal: its code, and what `state` must tell."""

    def __init__(self, code: str, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.state = state


@dataclass
class Room:
    """A conversation; `id` is empty while it is not there yet."""

    id: str
    kind: str
    roles: dict[str, str]
    seq: int = 0

    def peer(self, who: str) -> str | None:
        """The other person of a DM, oneself in `self`, nobody in a group."""
        if self.kind == "group":
            return None
        return next((other for other in self.roles if other != who), who)


@dataclass
class Part:
    """A share of a split bill or a packet."""

    person: str
    amount: int
    state: str


@dataclass
class Payment:
    """A send, request, split or packet, as it stands."""

    id: str
    kind: str
    room: Room
    payer: str
    payee: str
    currency: str
    amount: int
    state: str
    at: int
    expires_at: int = 0
    fee: int = 0
    fee_on: str = "payer"
    received: int = 0
    received_currency: str = ""
    refunded: int = 0
    parts: list[Part] = field(default_factory=list)
    claimed: int = 0
    mode: str = ""
    proof: str = ""
    reminded_at: int = 0

    def part(self, who: str) -> Part | None:
        """The share of a person."""
        return next((part for part in self.parts if part.person == who), None)

    def open_parts(self) -> list[Part]:
        """The shares that are still open."""
        return [part for part in self.parts if part.state == "open"]


@dataclass
class Use:
    """What a payment counts towards its payer's limits."""

    payment: str
    at: int
    amount: int
    count: int = 1


@dataclass(frozen=True)
class Move:
    """One transfer."""

    debit: Key
    credit: Key
    amount: int
    phase: str = "single"


@dataclass
class Effect:
    """An event that must come, what it moves, and what is then different."""

    room: Room
    body: dict[str, Any] | None
    moves: list[Move] = field(default_factory=list)
    then: Callable[[], None] | None = None
    made: Payment | None = None
    touched: Payment | None = None
    author: str = ""


@dataclass(frozen=True)
class Verdict:
    """What must be said: "stored", "repeated", "done", "quoted", "previewed" or the code of a refusal."""

    word: str
    effect: Effect | None = None
    state: Mapping[str, Any] | None = None
    done: Callable[[], None] | None = None


@dataclass
class Outcome:
    """What became of an id."""

    author: str
    content: Mapping[str, Any]
    word: str
    body: dict[str, Any] | None = None
    outcome: Any = None


@dataclass(frozen=True)
class Line:
    """An event as it must be in the log, with the flags of that moment."""

    content: Mapping[str, Any]
    author: str
    at: int
    conv: str
    seq: int
    body: dict[str, Any] | None
    moves: list[Move]
    flags: dict[tuple[str, str], int]


@dataclass(frozen=True)
class Order:
    """What somebody sends: a frame or a command as plain members, by name; `ask` where it is only a
    preview."""

    author: str
    content: Mapping[str, Any]
    verb: str
    ask: bool = False


def told_note(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: body[name] for name in ("note",) if name in body}


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same on the wire."""
    return bool(json.loads(json.dumps(one)) == json.loads(json.dumps(other)))


def windows(uses: Sequence[Use]) -> Iterator[tuple[int, int, int]]:
    """Slot, amount and count, as the store must have them."""
    slots = sorted({use.at // SLOT_MS for use in uses})
    for slot in slots:
        inside = [use for use in uses if use.at // SLOT_MS == slot]
        yield slot, sum(use.amount for use in inside), sum(use.count for use in inside)
