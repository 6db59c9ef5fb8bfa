"""How everything stands, and the checks that frames have in common. Amounts are minor units."""

import math
from collections import defaultdict
from collections.abc import Mapping, MutableMapping, Sequence
from fractions import Fraction
from typing import Any

from tests.property.model.amounts import show
from tests.property.model.records import (
    CLOSED,
    DAY_MS,
    ENDS,
    FROZEN_IN,
    FROZEN_OUT,
    HOUR_MS,
    LASTS_MS,
    MONTH_MS,
    NAMES,
    PEOPLE,
    SLOT_MS,
    WAITING,
    Key,
    Line,
    Move,
    Outcome,
    Part,
    Payment,
    Refused,
    Room,
    Terms,
    Use,
)


class State:
    """What there is, and what everybody may."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.now = 0
        self.accounts: dict[Key, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        """Debits and credits posted, debits and credits pending."""
        self.rooms: dict[str, Room] = {}
        self.pairs: dict[frozenset[str], Room] = {}
        self.payments: dict[str, Payment] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        self.uses: dict[tuple[str, str], list[Use]] = defaultdict(list)
        self.tiers: dict[str, str] = dict.fromkeys(PEOPLE, "basic")
        self.user_flags: dict[str, int] = dict.fromkeys(PEOPLE, 0)
        self.account_flags: dict[tuple[str, str], int] = defaultdict(int)
        self.disabled: set[str] = set()
        self.past: dict[str, Outcome] = {}
        self.lines: list[Line] = []
        self.previewing = False
        self.drawn: Sequence[int] | None = None
        """The shares of the packet that is decided, where they are known."""

    def due(self) -> list[str]:
        """Payments whose time is over, the longest first."""
        waiting = [p for p in self.payments.values() if p.state in WAITING and p.expires_at <= self.now]
        return [p.id for p in sorted(waiting, key=lambda p: (p.expires_at, p.id))]

    def moments(self, kind: str) -> list[int]:
        """When something ends: a payment, a quote, an hour without reminders, a window of limits."""
        payments = self.payments.values()
        match kind:
            case "payment":
                return [payment.expires_at for payment in payments if payment.state in WAITING]
            case "quote":
                return [quote["expires_at"] for quote in self.quotes.values() if not quote["used"]]
            case "reminder":
                return [payment.reminded_at + HOUR_MS for payment in payments if payment.reminded_at]
        ends = {(use.at // SLOT_MS + 1) * SLOT_MS for uses in self.uses.values() for use in uses}
        return [end + window for end in ends for window in (HOUR_MS, DAY_MS, MONTH_MS)]

    def left(self, who: str, currency: str) -> int | None:
        """What a person may yet pay within the limits of a day and a month; None where there are none."""
        limits, uses = self.limits(who, currency), self.uses[who, currency]
        found = [
            limits[name] - sum(use.amount for use in uses if self.counts(use, self.now, window))
            for name, window in (("daily", DAY_MS), ("monthly", MONTH_MS))
            if name in limits
        ]
        return min(found) if found else None

    def available(self, who: str, currency: str) -> int:
        """What a person can spend."""
        debits, credits_, held, _ = self.accounts[who, currency, "customer"]
        return credits_ - debits - held

    def flags(self, who: str, currency: str) -> int:
        """What is set on a person or on the account."""
        return self.user_flags[who] | self.account_flags[who, currency]

    def groups(self) -> list[Room]:
        """All groups."""
        return [room for room in self.rooms.values() if room.kind == "group"]

    def person(self, named: str) -> str | None:
        name = named[1:] if named.startswith("@") else NAMES.get(named, "")
        return name if name in PEOPLE else None

    def place(self, who: str, conv: str) -> Room:
        if conv.startswith("c_"):
            room = self.rooms.get(conv)
            if room is None or who not in room.roles:
                raise Refused("not_found")
            return room
        peer = who if conv == "self" else self.person(conv)
        if peer is None:
            raise Refused("not_found")
        return self.pairs.get(frozenset({who, peer})) or Room("", "dm", {who: "member", peer: "member"})

    def room_that_is(self, who: str, conv: str) -> Room:
        room = self.place(who, conv)
        if not room.id:
            raise Refused("not_found")
        return room

    def writable(self, who: str, conv: str) -> Room:
        room = self.place(who, conv)
        if not room.id and room.peer(who) in self.disabled:
            raise Refused("not_found")
        if room.roles[who] == "reader":
            raise Refused("forbidden")
        return room

    def open_room(self, room: Room, conv: str) -> None:
        assert conv.startswith("c_")
        assert conv not in self.rooms
        room.id = conv
        self.rooms[conv] = room
        if room.kind != "group":
            assert self.pairs.setdefault(frozenset(room.roles), room) is room, "two people have one dm"

    def conv(self, who: str, conv: str) -> str:
        try:
            return conv if conv.startswith("c_") else self.place(who, conv).id or "?"
        except Refused:
            return "?"

    def may_spend(self, who: str, currency: str) -> None:
        self.barred(who, currency, FROZEN_OUT)

    def may_get(self, who: str, currency: str) -> None:
        self.barred(who, currency, FROZEN_IN)

    def barred(self, who: str, currency: str, frozen: int) -> None:
        flags = self.flags(who, currency)
        if flags & frozen:
            raise Refused("account_frozen")
        if flags & CLOSED:
            raise Refused("account_closed")

    def other_gets(self, who: str, currency: str) -> None:
        if who in self.disabled or self.flags(who, currency) & (FROZEN_IN | CLOSED):
            raise Refused("payee_unavailable")

    def other_spends(self, who: str, currency: str) -> None:
        if who in self.disabled or self.flags(who, currency) & (FROZEN_OUT | CLOSED):
            raise Refused("payee_unavailable")

    def fee(self, kind: str, currency: str, who: str, minor: int) -> tuple[int, str]:
        for rule in self.terms.fees:
            wanted = (rule["kind"], rule["currency"], rule["tier"])
            given = (kind, currency, self.tiers[who])
            if all(want in ("*", have) for want, have in zip(wanted, given, strict=True)):
                fee = rule["fixed"] + math.ceil(Fraction(minor * rule["ppm"], 1_000_000))
                fee = max(fee, rule["minimum"])
                return min(fee, rule["maximum"]) if rule["maximum"] is not None else fee, rule["on"]
        return 0, "payer"

    def limits(self, who: str, currency: str) -> Mapping[str, int]:
        return self.terms.limits.get((self.tiers[who], currency), {})

    def within(self, who: str, currency: str, minor: int) -> None:
        """The limits, in slots of time: one that lies partly in a window counts whole."""
        limits = self.limits(who, currency)
        if minor > limits.get("per_payment", minor):
            top = show(limits["per_payment"], currency)
            raise Refused("limit_per_payment", {"limit": top, "currency": currency})
        for code, name, window in (
            ("limit_daily", "daily", DAY_MS),
            ("limit_monthly", "monthly", MONTH_MS),
            ("velocity", "hourly_count", HOUR_MS),
        ):
            if name not in limits:
                continue
            inside = [use for use in self.uses[who, currency] if self.counts(use, self.now, window)]
            more, limit = (1, limits[name]) if code == "velocity" else (minor, limits[name])
            used = sum(_counted(use, code) for use in inside)
            if used + more <= limit:
                continue
            state: dict[str, Any] = {"limit": limit, "used": used}
            if code != "velocity":
                state = {"limit": show(limit, currency), "used": show(used, currency), "currency": currency}
            ends = sorted({(use.at // SLOT_MS + 1) * SLOT_MS + window for use in inside})
            for end in ends:
                left = sum(_counted(use, code) for use in inside if self.counts(use, end, window))
                if left + more <= limit:
                    state["resets_at"] = end
                    break
            raise Refused(code, state)

    @staticmethod
    def counts(use: Use, now: int, window: int) -> bool:
        return use.at // SLOT_MS >= (now - window) // SLOT_MS

    def count(self, payment: str, who: str, currency: str, minor: int) -> None:
        limits = self.limits(who, currency)
        if (self.tiers[who], currency) not in self.terms.limits:
            return
        uses = self.uses[who, currency]
        uses.append(Use(payment, self.now, minor))
        for name, window in (("daily", DAY_MS), ("monthly", MONTH_MS)):
            total = sum(use.amount for use in uses if use.at > self.now - window)
            assert total <= limits.get(name, total), f"{who} has passed the {name} limit"
        count = sum(use.count for use in uses if use.at > self.now - HOUR_MS)
        assert count <= limits.get("hourly_count", count), f"{who} has paid too often in an hour"
        assert minor <= limits.get("per_payment", minor)

    def uncount(self, payment: Payment, minor: int, *, whole: bool) -> None:
        uses = self.uses[payment.payer, payment.currency]
        for use in [use for use in uses if use.payment == payment.id]:
            use.amount -= minor
            if whole:
                uses.remove(use)

    def room_for(self, who: str, currency: str, minor: int, *, own: bool = False) -> None:
        """What an account may hold. Asked last, and in no preview of what tells of somebody else's
        balance."""
        debits, credits_, _, _ = self.accounts[who, currency, "customer"]
        balance = credits_ + minor - debits
        if balance > self.limits(who, currency).get("balance", balance) and (own or not self.previewing):
            raise Refused("balance_limit")

    def covered(self, who: str, currency: str, minor: int) -> None:
        available = self.available(who, currency)
        if available < minor:
            raise Refused(
                "insufficient_funds", {"available": show(available, currency), "currency": currency}
            )

    def acted_on(self, who: str, frame: Mapping[str, Any], *kinds: str) -> Payment:
        room = self.room_that_is(who, frame["conv"])
        payment = self.payments.get(frame["ref"])
        if payment is None or payment.room is not room or payment.kind not in kinds:
            raise Refused("not_found")
        return payment

    def by(self, who: str, rightful: str) -> None:
        if who != rightful:
            raise Refused("forbidden")

    def still_waits(self, payment: Payment, part: Part | None = None) -> None:
        state = payment.state if part is None else part.state
        if state in WAITING and payment.state in WAITING:
            if self.now < payment.expires_at:
                return
            state = "expired"
        elif state in WAITING:
            state = payment.state
        raise Refused(ENDS.get(state, "not_pending"), {"state": state})

    def settle(self, payment: Payment, part: Part | None, state: str) -> None:
        """A request, or one share of a split, comes to its end."""
        if part is None:
            payment.state = state
            return
        part.state = state
        if not payment.open_parts():
            payment.state = "settled"

    def end(self, payment: Payment, state: str) -> None:
        """All of a payment that is still open comes to its end."""
        rest = 0
        for part in payment.open_parts():
            part.state = state
            rest += part.amount
        payment.state = state
        if payment.kind == "send":
            self.uncount(payment, payment.amount, whole=True)
        elif payment.kind == "packet":
            self.uncount(payment, rest, whole=rest == payment.amount)

    def expires_at(self, frame: Mapping[str, Any]) -> int:
        lasts = 1000 * frame["body"].get("expires_s", LASTS_MS[frame["kind"]] // 1000)
        return self.now + int(lasts)

    def own(self, who: str, conv: str) -> None:
        """A new person's `self`, which is there from the start."""
        self.open_room(Room("", "self", {who: "owner"}), conv)


def transfer(accounts: MutableMapping[Key, list[int]], move: Move) -> None:
    """Move or hold money, or let a hold go."""
    amount, phase = move.amount, move.phase
    debit, credit = accounts[move.debit], accounts[move.credit]
    if phase in {"single", "post"}:
        debit[0] += amount
        credit[1] += amount
    if phase != "single":
        held = amount if phase == "pending" else -amount
        debit[2] += held
        credit[3] += held


def _counted(use: Use, code: str) -> int:
    return use.count if code == "velocity" else use.amount
