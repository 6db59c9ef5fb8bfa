"""Money in a few dictionaries: what must become of every frame of it. No rule is shared with the server.

`Model.expect` foretells a frame without taking it in; `Model.take` takes it in. Amounts are minor units. Checks come
as the catalogue has its families: shape, place, account, state, limits, funds.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, Literal

from tests.contract.stores import wire_id

PEOPLE: Final = ("alice", "bob", "carol", "dave", "erin")
IDS: Final = {who: wire_id("u_", number + 1) for number, who in enumerate(PEOPLE)}
NAMES: Final = {user: who for who, user in IDS.items()}
OPERATOR: Final = "operator"
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


class No(Exception):
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
class Past:
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
    """What somebody sends: a frame or a command as plain members, by name; `ask` where it is only a preview."""

    author: str
    content: Mapping[str, Any]
    verb: str
    ask: bool = False


def show(minor: int, currency: str) -> str:
    """An amount as the wire has it."""
    digits = DIGITS[currency]
    whole, rest = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"


def well_formed(text: str) -> None:
    """Hold an amount against its form, which is the same in all currencies."""
    whole, dot, rest = text.partition(".")
    fine = whole.isascii() and whole.isdigit() and len(whole) <= 15 and (whole == "0" or whole[0] != "0")
    if not fine or (dot and not (rest.isascii() and rest.isdigit() and len(rest) <= 8)):
        raise No("amount_format")


def read(text: str, currency: str) -> int:
    """An amount of the wire in minor units."""
    if currency not in DIGITS:
        raise No("unknown_currency")
    well_formed(text)
    whole, _, rest = text.partition(".")
    minor = int(whole + rest.ljust(DIGITS[currency], "0"))
    if len(rest) > DIGITS[currency] or not 1 <= minor <= AMOUNT_MAX:
        raise No("amount_range")
    if currency not in ENABLED:
        raise No("unknown_currency")
    return minor


def exchange(
    minor: int, side: str, sell: str, buy: str, rate: Fraction, spread_ppm: int
) -> tuple[int, int, int]:
    """Sold, bought and kept as the margin; what is not whole is rounded in favour of the house."""
    spread = Fraction(spread_ppm, 1_000_000)
    fine = rate * Fraction(10) ** (DIGITS[buy] - DIGITS[sell])
    if side == "sell":
        sold, margin = minor, math.ceil(minor * spread)
        bought = math.floor((sold - margin) * fine)
    else:
        bought, net = minor, math.ceil(minor / fine)
        sold = math.ceil(net / (1 - spread))
        margin = sold - net
    if min(sold, bought) < 1 or max(sold, bought) > AMOUNT_MAX:
        raise No("amount_range")
    return sold, bought, margin


class Model:
    """What the ledger must say."""

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
        self.past: dict[str, Past] = {}
        self.lines: list[Line] = []
        self._previewing = False

    # --- what is asked of it ----------------------------------------------------------------------------

    def expect(self, order: Order, drawn: Sequence[int] | None = None) -> Verdict:
        """What must become of an order; `drawn` are the shares of a packet, where they are known."""
        content = order.content
        if order.ask:
            return self._preview(order)
        past = self.past.get(content.get("id", ""))
        if past is not None:
            return self._again(order, past)
        try:
            return self._decide(order, drawn)
        except No as no:
            return Verdict(no.code, state=no.state)

    def take(self, order: Order, verdict: Verdict, conv: str, outcome: Any) -> None:
        """Let what was foretold be so; `conv` is where the event is."""
        content = order.content
        key = content.get("id")
        if verdict.done is not None:
            verdict.done()
        if order.ask or verdict.word in {"repeated", "id_taken", "id_reused", "done", "quoted"}:
            return
        effect = verdict.effect
        if effect is None:
            if key is not None and content["kind"].startswith("pay.") and key not in self.past:
                self.past[key] = Past(order.author, content, verdict.word, outcome=outcome)
            return
        room = effect.room
        if not room.id:
            self._open(room, conv)
        room.seq += 1
        self.past[content["id"]] = Past(order.author, content, "stored", effect.body, outcome)
        flags = {(who, c): self.flags(who, c) for who in PEOPLE for c in ENABLED if self.flags(who, c)}
        author = effect.author or order.author
        line = Line(content, author, self.now, room.id, room.seq, effect.body, effect.moves, flags)
        self.lines.append(line)
        for move in effect.moves:
            self._move(move)
        if effect.made is not None:
            self.payments[effect.made.id] = effect.made
        if effect.then is not None:
            effect.then()

    def own(self, who: str, conv: str) -> None:
        """A new person's `self`, which is there from the start."""
        self._open(Room("", "self", {who: "owner"}), conv)

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
        limits, uses = self._limits(who, currency), self.uses[who, currency]
        found = [
            limits[name] - sum(use.amount for use in uses if self._counts(use, self.now, window))
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

    # --- ids --------------------------------------------------------------------------------------------

    def _again(self, order: Order, past: Past) -> Verdict:
        if past.author != order.author:
            return Verdict("id_taken")
        if past.word != "stored":
            same = _without_id(past.content) == _without_id(order.content)
            return Verdict(past.word if same else "id_reused")
        same = order.content["kind"] == past.content["kind"] and self._meaning(
            order.author, past.content, past
        ) == self._meaning(order.author, order.content, past)
        return Verdict("repeated" if same else "id_reused")

    def _meaning(self, who: str, content: Mapping[str, Any], past: Past) -> Any:
        """What a frame says, whichever way it says it; what it leaves open is as it then was."""
        if content["kind"] in {"pay.deposit", "pay.withdraw", "pay.reverse", "pay.expire"}:
            amount = _minor_or_text(content.get("amount", ""), content.get("currency", ""))
            return {**content, "amount": amount, "force": None}  # how much was there then, the event tells
        event, body = past.body or {}, dict(content.get("body", {}))
        for name in ("payee", "payer"):
            if name in event:
                body.setdefault(name, event[name])
        if content["kind"] == "pay.refund" or "settles" in event:
            for name in ("amount", "currency") if "settles" in event else ("amount",):
                body.setdefault(name, event[name])
        for name in ("payee", "payer", "user"):
            if name in body:
                body[name] = self._person(body[name]) or body[name]
        for name in ("amount", "total"):
            if name in body:
                body[name] = _minor_or_text(body[name], event.get("currency", ""))
        if "shares" in body:
            had = event.get("shares", [])
            amounts = [each["amount"] for each in had] if len(had) == len(body["shares"]) else [""] * 100
            body["shares"] = [
                (self._person(each["user"]), _minor_or_text(each.get("amount", amount), event["currency"]))
                for each, amount in zip(body["shares"], amounts, strict=False)
            ]
        if content["kind"] in LASTS_MS and "expires_at" in event:
            body["expires_s"] = body.get("expires_s", LASTS_MS[content["kind"]] // 1000)
        return content["kind"], content.get("ref"), self._conv(who, content.get("conv", "")), body

    def _conv(self, who: str, conv: str) -> str:
        try:
            return conv if conv.startswith("c_") else self._place(who, conv).id or "?"
        except No:
            return "?"

    # --- people and places ------------------------------------------------------------------------------

    def _person(self, named: str) -> str | None:
        name = named[1:] if named.startswith("@") else NAMES.get(named, "")
        return name if name in PEOPLE else None

    def _place(self, who: str, conv: str) -> Room:
        if conv.startswith("c_"):
            room = self.rooms.get(conv)
            if room is None or who not in room.roles:
                raise No("not_found")
            return room
        peer = who if conv == "self" else self._person(conv)
        if peer is None:
            raise No("not_found")
        return self.pairs.get(frozenset({who, peer})) or Room("", "dm", {who: "member", peer: "member"})

    def _room_that_is(self, who: str, conv: str) -> Room:
        room = self._place(who, conv)
        if not room.id:
            raise No("not_found")
        return room

    def _writable(self, who: str, conv: str) -> Room:
        room = self._place(who, conv)
        if not room.id and room.peer(who) in self.disabled:
            raise No("not_found")
        if room.roles[who] == "reader":
            raise No("forbidden")
        return room

    def _open(self, room: Room, conv: str) -> None:
        assert conv.startswith("c_")
        assert conv not in self.rooms
        room.id = conv
        self.rooms[conv] = room
        if room.kind != "group":
            assert self.pairs.setdefault(frozenset(room.roles), room) is room, "two people have one dm"

    # --- accounts ---------------------------------------------------------------------------------------

    def _move(self, move: Move) -> None:
        amount, phase = move.amount, move.phase
        debit, credit = self.accounts[move.debit], self.accounts[move.credit]
        if phase in {"single", "post"}:
            debit[0] += amount
            credit[1] += amount
        if phase != "single":
            held = amount if phase == "pending" else -amount
            debit[2] += held
            credit[3] += held

    def _may_spend(self, who: str, currency: str) -> None:
        self._barred(who, currency, FROZEN_OUT)

    def _may_get(self, who: str, currency: str) -> None:
        self._barred(who, currency, FROZEN_IN)

    def _barred(self, who: str, currency: str, frozen: int) -> None:
        flags = self.flags(who, currency)
        if flags & frozen:
            raise No("account_frozen")
        if flags & CLOSED:
            raise No("account_closed")

    def _other_gets(self, who: str, currency: str) -> None:
        if who in self.disabled or self.flags(who, currency) & (FROZEN_IN | CLOSED):
            raise No("payee_unavailable")

    def _other_spends(self, who: str, currency: str) -> None:
        if who in self.disabled or self.flags(who, currency) & (FROZEN_OUT | CLOSED):
            raise No("payee_unavailable")

    def _fee(self, kind: str, currency: str, who: str, minor: int) -> tuple[int, str]:
        for rule in self.terms.fees:
            wanted = (rule["kind"], rule["currency"], rule["tier"])
            given = (kind, currency, self.tiers[who])
            if all(want in ("*", have) for want, have in zip(wanted, given, strict=True)):
                fee = rule["fixed"] + math.ceil(Fraction(minor * rule["ppm"], 1_000_000))
                fee = max(fee, rule["minimum"])
                return min(fee, rule["maximum"]) if rule["maximum"] is not None else fee, rule["on"]
        return 0, "payer"

    def _limits(self, who: str, currency: str) -> Mapping[str, int]:
        return self.terms.limits.get((self.tiers[who], currency), {})

    def _within(self, who: str, currency: str, minor: int) -> None:
        """The limits, in slots of time: one that lies partly in a window counts whole."""
        limits = self._limits(who, currency)
        if minor > limits.get("per_payment", minor):
            top = show(limits["per_payment"], currency)
            raise No("limit_per_payment", {"limit": top, "currency": currency})
        for code, name, window in (
            ("limit_daily", "daily", DAY_MS),
            ("limit_monthly", "monthly", MONTH_MS),
            ("velocity", "hourly_count", HOUR_MS),
        ):
            if name not in limits:
                continue
            inside = [use for use in self.uses[who, currency] if self._counts(use, self.now, window)]
            more, limit = (1, limits[name]) if code == "velocity" else (minor, limits[name])
            used = sum(_counted(use, code) for use in inside)
            if used + more <= limit:
                continue
            state: dict[str, Any] = {"limit": limit, "used": used}
            if code != "velocity":
                state = {"limit": show(limit, currency), "used": show(used, currency), "currency": currency}
            ends = sorted({(use.at // SLOT_MS + 1) * SLOT_MS + window for use in inside})
            for end in ends:
                left = sum(_counted(use, code) for use in inside if self._counts(use, end, window))
                if left + more <= limit:
                    state["resets_at"] = end
                    break
            raise No(code, state)

    @staticmethod
    def _counts(use: Use, now: int, window: int) -> bool:
        return use.at // SLOT_MS >= (now - window) // SLOT_MS

    def _count(self, payment: str, who: str, currency: str, minor: int) -> None:
        limits = self._limits(who, currency)
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

    def _uncount(self, payment: Payment, minor: int, *, whole: bool) -> None:
        uses = self.uses[payment.payer, payment.currency]
        for use in [use for use in uses if use.payment == payment.id]:
            use.amount -= minor
            if whole:
                uses.remove(use)

    def _room_for(self, who: str, currency: str, minor: int, *, own: bool = False) -> None:
        """What an account may hold. Asked last, and in no preview of what tells of somebody else's balance."""
        debits, credits_, _, _ = self.accounts[who, currency, "customer"]
        balance = credits_ + minor - debits
        if balance > self._limits(who, currency).get("balance", balance) and (own or not self._previewing):
            raise No("balance_limit")

    def _covered(self, who: str, currency: str, minor: int) -> None:
        available = self.available(who, currency)
        if available < minor:
            raise No("insufficient_funds", {"available": show(available, currency), "currency": currency})

    # --- deciding ---------------------------------------------------------------------------------------

    def _decide(self, order: Order, drawn: Sequence[int] | None) -> Verdict:
        who, content = order.author, order.content
        kind = content["kind"]
        commands: dict[str, Callable[[Mapping[str, Any]], Verdict]] = {
            "user.flags": self._set_flags, "user.tier": self._set_tier, "user.disable": self._disable,
            "quote": self._quote, "pay.expire": self._expire,
        }  # fmt: skip
        if kind in commands:
            return commands[kind](content)
        orders = {"pay.deposit": self._deposit, "pay.withdraw": self._withdraw, "pay.reverse": self._reverse}
        if kind in orders:
            return Verdict("stored", orders[kind](content))
        if who in self.disabled:
            raise No("account_disabled")
        if kind == "pay.packet":
            return Verdict("stored", self._packet(who, content, drawn))
        frames: dict[str, Callable[[str, Mapping[str, Any]], Effect]] = {
            "chat.text": self._text, "pay.send": self._send, "pay.request": self._request,
            "pay.split": self._split, "pay.claim": self._claim, "pay.accept": self._accept,
            "pay.decline": self._decline, "pay.cancel": self._cancel, "pay.refund": self._refund,
            "pay.waive": self._waive, "pay.remind": self._remind, "pay.faucet": self._faucet,
            "room.create": self._room_create, "room.invite": self._room_invite,
            "room.remove": self._room_remove, "room.role": self._room_role,
        }  # fmt: skip
        return Verdict("stored", frames[kind](who, content))

    def _preview(self, order: Order) -> Verdict:
        past = self.past.get(order.content["id"])
        if past is not None:
            return Verdict("id_taken" if past.author != order.author else "id_reused")
        self._previewing = True
        try:
            found = self._decide(order, None)
        except No as no:
            return Verdict(no.code, state=no.state)
        finally:
            self._previewing = False
        return Verdict("previewed", found.effect)

    def _text(self, who: str, frame: Mapping[str, Any]) -> Effect:
        return Effect(self._writable(who, frame["conv"]), dict(frame["body"]))

    # --- groups: only what their owners may do ----------------------------------------------------------

    def _room_create(self, who: str, frame: Mapping[str, Any]) -> Effect:
        others = [person for named in frame["body"]["members"] if (person := self._person(named))]
        roles = {who: "owner"} | dict.fromkeys((other for other in others if other != who), "member")
        return Effect(Room("", "group", roles), None)

    def _owned(self, who: str, conv: str) -> Room:
        room = self._room_that_is(who, conv)
        self._by(room.roles[who], "owner")
        return room

    def _room_invite(self, who: str, frame: Mapping[str, Any]) -> Effect:
        room, user = self._owned(who, frame["conv"]), self._person(frame["body"]["users"][0])
        assert user is not None
        if user in self.disabled:
            raise No("not_found")
        if user in room.roles:
            raise No("already_member")
        return Effect(room, None, then=lambda: room.roles.__setitem__(user, "member"))

    def _room_remove(self, who: str, frame: Mapping[str, Any]) -> Effect:
        room, user = self._owned(who, frame["conv"]), self._person(frame["body"]["user"])
        assert user != who
        if user not in room.roles:
            raise No("not_a_member")
        return Effect(room, None, then=lambda: room.roles.__delitem__(user))

    def _room_role(self, who: str, frame: Mapping[str, Any]) -> Effect:
        room, user = self._owned(who, frame["conv"]), self._person(frame["body"]["user"])
        if user not in room.roles:
            raise No("not_a_member")
        role = frame["body"]["role"]
        return Effect(room, None, then=lambda: room.roles.__setitem__(user, role))

    # --- money that comes in ----------------------------------------------------------------------------

    def _deposit(self, command: Mapping[str, Any]) -> Effect:
        currency = command["currency"]
        minor = read(command["amount"], currency)
        who = command["handle"]
        if who not in PEOPLE:
            raise No("not_found")
        if self.flags(who, currency) & (FROZEN_IN | CLOSED):
            raise No("payee_unavailable")
        effect = self._credit(who, minor, currency)
        effect.author = SERVER
        if command["note"] is not None and effect.body is not None:
            effect.body["note"] = command["note"]
        return effect

    def _faucet(self, who: str, frame: Mapping[str, Any]) -> Effect:
        currency = frame["body"]["currency"]
        minor = read(frame["body"]["amount"], currency)
        if minor > 1_000 * 10 ** DIGITS[currency]:
            raise No("amount_range")
        if self.terms.mode != "sandbox":
            raise No("forbidden")
        if self._place(who, frame["conv"]).kind != "self":
            raise No("forbidden")
        self._may_get(who, currency)
        return self._credit(who, minor, currency)

    def _credit(self, who: str, minor: int, currency: str) -> Effect:
        self._room_for(who, currency, minor)
        move = Move((OPERATOR, currency, "cash"), (who, currency, "customer"), minor)
        body = {
            "amount": show(minor, currency), "currency": currency, "payee": IDS[who], "state": "completed",
        }  # fmt: skip
        return Effect(self.pairs[frozenset({who})], body, [move])

    # --- paying -----------------------------------------------------------------------------------------

    def _send(self, who: str, frame: Mapping[str, Any]) -> Effect:
        body, accept = frame["body"], "accept" in frame["body"]
        if ("expires_s" in body and not accept) or (accept and "quote" in body):
            raise No("bad_frame")
        body = self._completed(who, frame)
        frame = {**frame, "body": body}
        currency = body["currency"]
        minor = read(body["amount"], currency)
        room = self._writable(who, frame["conv"])
        payee = self._payee(who, room, body)
        asked = self._asked(who, frame, room, payee, minor)
        quote = self._quoted(who, body, minor)
        fee, fee_on, received, received_currency = self._comes_to(who, currency, minor, quote)
        self._may_spend(who, currency)
        self._other_gets(payee, received_currency)
        if quote is None and payee == who:
            raise No("same_account")
        if self.now > body.get("not_after", self.now):
            raise No("expired")
        if quote is not None and quote["used"]:
            raise No("quote_used")
        if quote is not None and self.now >= quote["expires_at"]:
            raise No("quote_expired")
        if asked is not None:
            self._still_waits(asked, asked.part(who))
        self._within(who, currency, minor)
        self._covered(who, currency, minor + (fee if fee_on == "payer" else 0))
        if not accept:
            self._room_for(payee, received_currency, received, own=payee == who)
        payment = Payment(
            frame["id"], "send", room, who, payee, currency, minor, "completed", self.now, 0, fee, fee_on,
            received, received_currency,
        )  # fmt: skip
        if accept:
            payment.state = "pending"
            payment.expires_at = self._expires_at(frame)
        told = self._told(body, payment, quote, asked)
        moves = (
            self._paid_by_quote(payment, quote)
            if quote
            else self._paid(payment, "pending" if accept else "single")
        )

        def then() -> None:
            self._count(payment.id, who, currency, minor)
            if quote is not None:
                quote["used"] = True
            if asked is not None:
                self._settle(asked, asked.part(who), "paid")

        return Effect(room, told, moves, then, payment, asked)

    def _completed(self, who: str, frame: Mapping[str, Any]) -> Mapping[str, Any]:
        """With what the frame leaves to its ref, where that asks for money in the same place."""
        body, asked = frame["body"], self.payments.get(frame.get("ref", ""))
        whole = "amount" in body and "currency" in body
        if asked is None or asked.kind not in {"request", "split"}:
            if not whole:
                raise No("bad_frame")
            return body
        if self._conv(who, frame["conv"]) != asked.room.id:
            if not whole:
                raise No("not_found")
            return body
        if "amount" not in body and body.get("currency", asked.currency) != asked.currency:
            raise No("bad_frame")
        part = asked.part(who)
        amount = show(asked.amount if part is None else part.amount, asked.currency)
        return {"amount": amount, "currency": asked.currency, "payee": f"@{asked.payee}", **body}

    def _payee(self, who: str, room: Room, body: Mapping[str, Any]) -> str:
        peer = room.peer(who)
        if "payee" not in body and peer is None:
            raise No("bad_frame")
        payee = self._person(body["payee"]) if "payee" in body else peer
        if payee is None:
            raise No("not_found")
        if payee not in room.roles:
            raise No("not_a_member")
        return payee

    def _asked(
        self, who: str, frame: Mapping[str, Any], room: Room, payee: str, minor: int
    ) -> Payment | None:
        asked = self.payments.get(frame.get("ref", ""))
        if asked is None or asked.kind not in {"request", "split"}:
            return None
        if asked.room is not room:
            raise No("not_found")
        if "accept" in frame["body"] or "quote" in frame["body"]:
            raise No("bad_frame")
        part = asked.part(who)
        if asked.payee == who or (part is None if asked.kind == "split" else asked.payer != who):
            raise No("forbidden")
        wanted = (asked.payee, asked.currency, asked.amount if part is None else part.amount)
        if (payee, frame["body"]["currency"], minor) != wanted:
            raise No("bad_frame")
        return asked

    def _quoted(self, who: str, body: Mapping[str, Any], minor: int) -> dict[str, Any] | None:
        if "quote" not in body:
            return None
        quote = self.quotes.get(body["quote"])
        if quote is None or quote["owner"] != who:
            raise No("not_found")
        if (quote["sell"], quote["sold"]) != (body["currency"], minor):
            raise No("bad_frame")
        return quote

    def _comes_to(
        self, who: str, currency: str, minor: int, quote: dict[str, Any] | None
    ) -> tuple[int, str, int, str]:
        """The fee, who bears it, and what arrives."""
        if quote is not None:
            return quote["fee"], "payer", quote["bought"], quote["buy"]
        fee, on = self._fee("send", currency, who, minor)
        if on == "payer":
            return fee, on, minor, currency
        fee = min(fee, minor - 1)
        return fee, on, minor - fee, currency

    def _told(
        self,
        body: Mapping[str, Any],
        payment: Payment,
        quote: dict[str, Any] | None,
        asked: Payment | None,
    ) -> dict[str, Any]:
        currency = payment.currency
        told: dict[str, Any] = {
            "amount": show(payment.amount, currency), "currency": currency, "payee": IDS[payment.payee],
            "state": payment.state,
        }  # fmt: skip
        told |= {name: body[name] for name in ("note", "not_after", "accept", "quote") if name in body}
        if payment.expires_at:
            told["expires_at"] = payment.expires_at
        if payment.fee:
            told |= {"fee": show(payment.fee, currency), "fee_on": payment.fee_on}
        if quote is not None:
            bought = {"amount": show(quote["bought"], quote["buy"]), "currency": quote["buy"]}
            told |= {"rate": quote["rate"], "margin": show(quote["margin"], currency), "received": bought}
        if asked is not None and asked.kind == "request":
            told["settles"] = {"state": "paid"}
        elif asked is not None:
            part = asked.part(payment.payer)
            assert part is not None
            state = "settled" if asked.open_parts() == [part] else "open"
            told["settles"] = {"state": state, "share": _share(part, asked.currency, "paid")}
        return told

    def _paid(self, payment: Payment, phase: str = "single") -> list[Move]:
        """What reaches the payee, and the fee; the payer gives both, whoever bears it."""
        currency = payment.currency
        payer = (payment.payer, currency, "customer")
        moves = [Move(payer, (payment.payee, currency, "customer"), payment.received, phase)]
        if payment.fee:
            moves.append(Move(payer, (OPERATOR, currency, "fees"), payment.fee, phase))
        return moves

    def _paid_by_quote(self, payment: Payment, quote: dict[str, Any]) -> list[Move]:
        sell, buy = quote["sell"], quote["buy"]
        payer, pool = (payment.payer, sell, "customer"), (OPERATOR, sell, "fx")
        moves = [
            Move(payer, pool, payment.amount),
            Move((OPERATOR, buy, "fx"), (payment.payee, buy, "customer"), quote["bought"]),
            Move(pool, (OPERATOR, sell, "margin"), quote["margin"]),
            Move(payer, (OPERATOR, sell, "fees"), payment.fee),
        ]
        return [move for move in moves if move.amount]

    def _quote(self, command: Mapping[str, Any]) -> Verdict:
        sell, buy, who = command["sell"], command["buy"], command["owner"]
        if sell == buy:
            raise No("bad_frame")
        minor = read(command["amount"], sell if command["side"] == "sell" else buy)
        if sell not in ENABLED or buy not in ENABLED:
            raise No("unknown_currency")
        if who in self.disabled:
            raise No("account_disabled")
        if not command["numerator"]:
            raise No("rate_unavailable" if command.get("missing") else "not_found")
        rate = Fraction(command["numerator"], command["denominator"])
        sold, bought, margin = exchange(minor, command["side"], sell, buy, rate, self.terms.spread_ppm)
        fee, _ = self._fee("exchange", sell, who, sold)
        quote = {
            "owner": who, "sell": sell, "buy": buy, "sold": sold, "bought": bought, "margin": margin,
            "fee": fee, "expires_at": self.now + QUOTE_MS, "used": False, "rate": "", "true_rate": rate,
        }  # fmt: skip
        return Verdict("quoted", state=quote, done=lambda: self.quotes.__setitem__(command["quote"], quote))

    # --- asking -----------------------------------------------------------------------------------------

    def _place_to_ask(self, who: str, conv: str) -> Room:
        room = self._room_that_is(who, conv)
        if room.roles[who] == "reader":
            raise No("forbidden")
        return room

    def _expires_at(self, frame: Mapping[str, Any]) -> int:
        lasts = 1000 * frame["body"].get("expires_s", LASTS_MS[frame["kind"]] // 1000)
        return self.now + int(lasts)

    def _request(self, who: str, frame: Mapping[str, Any]) -> Effect:
        body = frame["body"]
        currency = body["currency"]
        minor = read(body["amount"], currency)
        room = self._place_to_ask(who, frame["conv"])
        peer = room.peer(who)
        if "payer" not in body and peer is None:
            raise No("bad_frame")
        payer = self._person(body["payer"]) if "payer" in body else peer
        if payer is None:
            raise No("not_found")
        if payer == who:
            raise No("same_account")
        if payer not in room.roles:
            raise No("not_a_member")
        if payer in self.disabled:
            raise No("payee_unavailable")
        waiting = [
            p for p in self.payments.values()
            if (p.kind, p.payee, p.payer, p.state) == ("request", who, payer, "open") and self.now < p.expires_at
        ]  # fmt: skip
        if any((p.amount, p.currency) == (minor, currency) for p in waiting):
            raise No("already_requested")
        if len(waiting) >= 5:
            raise No("too_many_requests", {"limit": 5, "used": len(waiting)})
        until = self._expires_at(frame)
        payment = Payment(frame["id"], "request", room, payer, who, currency, minor, "open", self.now, until)
        told = {
            "amount": show(minor, currency), "currency": currency, "payer": IDS[payer], "state": "open",
            "expires_at": until, **_note(body),
        }  # fmt: skip
        return Effect(room, told, made=payment)

    def _split(self, who: str, frame: Mapping[str, Any]) -> Effect:
        body = frame["body"]
        currency = body["currency"]
        total = read(body["total"], currency)
        amounts = self._shares(body, total, currency)
        room = self._place_to_ask(who, frame["conv"])
        people: list[str] = []
        for share in body["shares"]:
            user = self._person(share["user"])
            if user is None:
                raise No("not_found")
            if user not in room.roles:
                raise No("not_a_member")
            if user in people:
                raise No("bad_frame")
            if user in self.disabled:
                raise No("payee_unavailable")
            people.append(user)
        if people == [who]:
            raise No("bad_frame")
        until = self._expires_at(frame)
        parts = [
            Part(user, amount, "paid" if user == who else "open")
            for user, amount in zip(people, amounts, strict=True)
        ]
        payment = Payment(
            frame["id"], "split", room, "", who, currency, total, "open", self.now, until, parts=parts
        )
        told = {
            "total": show(total, currency), "currency": currency, "state": "open", "expires_at": until,
            "shares": [_share(part, currency, part.state) for part in parts], **_note(body),
        }  # fmt: skip
        return Effect(room, told, made=payment)

    def _shares(self, body: Mapping[str, Any], total: int, currency: str) -> list[int]:
        given = [share["amount"] for share in body["shares"] if "amount" in share]
        count = len(body["shares"])
        if len(given) not in (0, count):
            raise No("split_sum")
        amounts = [read(text, currency) for text in given] or [
            total // count + (n < total % count) for n in range(count)
        ]
        if sum(amounts) != total or min(amounts) < 1:
            raise No("split_sum")
        return amounts

    def _remind(self, who: str, frame: Mapping[str, Any]) -> Effect:
        payment = self._acted_on(who, frame, "request", "split")
        self._by(who, payment.payee)
        self._still_waits(payment)
        users = [part.person for part in payment.open_parts()] if payment.parts else [payment.payer]
        if self.disabled.issuperset(users):
            raise No("payee_unavailable")
        again = payment.reminded_at + HOUR_MS
        if payment.reminded_at and self.now < again:
            raise No("too_soon", {"resets_at": again})
        told = {"users": [IDS[user] for user in users], "state": "open"}

        def then() -> None:
            payment.reminded_at = self.now

        return Effect(payment.room, told, then=then, touched=payment)

    def _waive(self, who: str, frame: Mapping[str, Any]) -> Effect:
        payment = self._acted_on(who, frame, "split")
        self._by(who, payment.payee)
        user = self._person(frame["body"]["user"])
        part = None if user is None else payment.part(user)
        if user is None or part is None:
            raise No("not_found")
        self._still_waits(payment, part)
        state = "settled" if payment.open_parts() == [part] else "open"
        told = {"user": IDS[user], "state": state, "share": _share(part, payment.currency, "waived")}
        return Effect(payment.room, told, then=lambda: self._settle(payment, part, "waived"), touched=payment)

    # --- packets ----------------------------------------------------------------------------------------

    def _packet(self, who: str, frame: Mapping[str, Any], drawn: Sequence[int] | None) -> Effect:
        body = frame["body"]
        currency, count, mode = body["currency"], body["count"], body["mode"]
        total = read(body["total"], currency)
        if total < count:
            raise No("split_sum")
        room = self._writable(who, frame["conv"])
        if room.kind == "self":
            raise No("forbidden")
        if room.kind == "dm" and count > 1:
            raise No("bad_frame")
        fee, _ = self._fee("packet", currency, who, total)
        self._may_spend(who, currency)
        if room.kind == "dm" and room.peer(who) in self.disabled:
            raise No("payee_unavailable")
        self._within(who, currency, total)
        self._covered(who, currency, total + fee)
        equal = [total // count + (n < total % count) for n in range(count)]
        amounts = equal if drawn is None or mode == "equal" else list(drawn)
        assert len(amounts) == count
        assert sum(amounts) == total
        assert min(amounts) >= 1
        until = self._expires_at(frame)
        payment = Payment(
            frame["id"], "packet", room, who, "", currency, total, "open", self.now, until, fee,
            parts=[Part("", amount, "open") for amount in amounts], mode=mode,
        )  # fmt: skip
        told = {
            "total": show(total, currency), "currency": currency, "count": count, "mode": mode,
            "state": "open", "expires_at": until, **_note(body),
        }  # fmt: skip
        payer = (who, currency, "customer")
        moves = [Move(payer, (OPERATOR, currency, "packets"), amount, "pending") for amount in amounts]
        if fee:
            told["fee"] = show(fee, currency)
            moves.append(Move(payer, (OPERATOR, currency, "fees"), fee))
        return Effect(room, told, moves, lambda: self._count(payment.id, who, currency, total), made=payment)

    def _claim(self, who: str, frame: Mapping[str, Any]) -> Effect:
        payment = self._acted_on(who, frame, "packet")
        room, currency = payment.room, payment.currency
        if (room.kind == "dm" and who == payment.payer) or room.roles[who] == "reader":
            raise No("forbidden")
        self._may_get(who, currency)
        self._other_spends(payment.payer, currency)
        had = payment.part(who)
        if payment.state == "expired":
            self._still_waits(payment)
        if had is not None and (payment.state != "open" or self.now < payment.expires_at):
            state = {"amount": show(had.amount, currency), "currency": currency}
            raise No("already_claimed", state | {"share": payment.parts.index(had) + 1})
        self._still_waits(payment)
        part = payment.parts[payment.claimed]
        equal, left = payment.mode == "equal", payment.parts[payment.claimed :]
        most = part.amount if equal else sum(each.amount for each in left) - (len(left) - 1)
        self._room_for(who, currency, most, own=True)
        state_after = "open" if payment.claimed + 1 < len(payment.parts) else "emptied"
        told = {
            "amount": show(part.amount, currency), "currency": currency, "payee": IDS[who],
            "share": payment.claimed + 1, "count": len(payment.parts), "state": state_after,
        }  # fmt: skip
        kept = (OPERATOR, currency, "packets")
        moves = [
            Move((payment.payer, currency, "customer"), kept, part.amount, "post"),
            Move(kept, (who, currency, "customer"), part.amount),
        ]

        def then() -> None:
            part.person, part.state = who, "claimed"
            payment.claimed += 1
            payment.state = state_after

        return Effect(room, told, moves, then, touched=payment)

    # --- answering --------------------------------------------------------------------------------------

    def _acted_on(self, who: str, frame: Mapping[str, Any], *kinds: str) -> Payment:
        room = self._room_that_is(who, frame["conv"])
        payment = self.payments.get(frame["ref"])
        if payment is None or payment.room is not room or payment.kind not in kinds:
            raise No("not_found")
        return payment

    def _by(self, who: str, rightful: str) -> None:
        if who != rightful:
            raise No("forbidden")

    def _still_waits(self, payment: Payment, part: Part | None = None) -> None:
        state = payment.state if part is None else part.state
        if state in WAITING and payment.state in WAITING:
            if self.now < payment.expires_at:
                return
            state = "expired"
        elif state in WAITING:
            state = payment.state
        raise No(ENDS.get(state, "not_pending"), {"state": state})

    def _settle(self, payment: Payment, part: Part | None, state: str) -> None:
        """A request, or one share of a split, comes to its end."""
        if part is None:
            payment.state = state
            return
        part.state = state
        if not payment.open_parts():
            payment.state = "settled"

    def _holds_end(self, payment: Payment, phase: str) -> list[Move]:
        return self._paid(payment, phase) if payment.kind == "send" else []

    def _accept(self, who: str, frame: Mapping[str, Any]) -> Effect:
        payment = self._acted_on(who, frame, "send")
        self._by(who, payment.payee)
        currency = payment.currency
        self._may_get(who, currency)
        self._other_spends(payment.payer, currency)
        self._still_waits(payment)
        self._room_for(who, currency, payment.received, own=True)
        moves = self._holds_end(payment, "post")
        told = {
            "amount": show(payment.amount, currency), "currency": currency, "payee": IDS[who],
            "state": "completed",
        }  # fmt: skip
        if payment.fee:
            told |= {"fee": show(payment.fee, currency), "fee_on": payment.fee_on}
        return Effect(
            payment.room, told, moves, lambda: self._settle(payment, None, "completed"), touched=payment
        )

    def _decline(self, who: str, frame: Mapping[str, Any]) -> Effect:
        payment = self._acted_on(who, frame, "send", "request", "split")
        part = payment.part(who)
        if payment.kind == "split":
            if part is None or payment.payee == who:
                raise No("forbidden")
        else:
            self._by(who, payment.payee if payment.kind == "send" else payment.payer)
        self._still_waits(payment, part)
        told: dict[str, Any] = {"state": "declined"} | {
            name: frame["body"][name] for name in ("reason",) if name in frame["body"]
        }
        if part is not None:
            told["state"] = "settled" if payment.open_parts() == [part] else "open"
            told["share"] = _share(part, payment.currency, "declined")

        def then() -> None:
            self._settle(payment, part, "declined")
            if payment.kind == "send":
                self._uncount(payment, payment.amount, whole=True)

        return Effect(payment.room, told, self._holds_end(payment, "void"), then, touched=payment)

    def _cancel(self, who: str, frame: Mapping[str, Any]) -> Effect:
        payment = self._acted_on(who, frame, "send", "request", "split")
        self._by(who, payment.payer if payment.kind == "send" else payment.payee)
        self._still_waits(payment)

        def then() -> None:
            self._end(payment, "cancelled")

        moves = self._holds_end(payment, "void")
        return Effect(payment.room, {"state": "cancelled"}, moves, then, touched=payment)

    def _end(self, payment: Payment, state: str) -> None:
        """All of a payment that is still open comes to its end."""
        rest = 0
        for part in payment.open_parts():
            part.state = state
            rest += part.amount
        payment.state = state
        if payment.kind == "send":
            self._uncount(payment, payment.amount, whole=True)
        elif payment.kind == "packet":
            self._uncount(payment, rest, whole=rest == payment.amount)

    def _refund(self, who: str, frame: Mapping[str, Any]) -> Effect:
        if "amount" in frame["body"]:
            well_formed(frame["body"]["amount"])
        payment = self._acted_on(who, frame, "send")
        self._by(who, payment.payee)
        if payment.payer == who:
            raise No("same_account")
        currency = payment.received_currency
        left = payment.received - payment.refunded
        minor = read(frame["body"]["amount"], currency) if "amount" in frame["body"] else left
        self._may_spend(who, currency)
        self._other_gets(payment.payer, currency)
        if payment.state not in {"completed", "partly_refunded"}:
            raise No(ENDS.get(payment.state, "not_pending"), {"state": payment.state})
        if minor > left:
            state = {"state": payment.state, "refundable": show(left, currency), "currency": currency}
            raise No("exceeds_refundable", state)
        self._covered(who, currency, minor)
        refunded = payment.refunded + minor
        state_after = "refunded" if refunded == payment.received else "partly_refunded"
        told = {
            "amount": show(minor, currency), "currency": currency, "payee": IDS[payment.payer],
            "state": state_after, "refunded": show(refunded, currency),
        }  # fmt: skip
        move = Move((who, currency, "customer"), (payment.payer, currency, "customer"), minor)

        def then() -> None:
            payment.state, payment.refunded = state_after, refunded

        return Effect(payment.room, told, [move], then, touched=payment)

    # --- what the server and the operator do ------------------------------------------------------------

    def _expire(self, command: Mapping[str, Any]) -> Verdict:
        payment = self.payments.get(command["payment"])
        if payment is None or payment.state not in WAITING or self.now < payment.expires_at:
            return Verdict("done")
        moves, rest = self._holds_end(payment, "expire"), payment.received + payment.fee
        told: dict[str, Any] = {"state": "expired"}
        if payment.kind == "packet":
            left = [part.amount for part in payment.open_parts()]
            payer, kept = (
                (payment.payer, payment.currency, "customer"),
                (OPERATOR, payment.currency, "packets"),
            )
            moves, rest = [Move(payer, kept, amount, "expire") for amount in left], sum(left)
        if moves:
            told["returned"] = {"amount": show(rest, payment.currency), "currency": payment.currency}

        def then() -> None:
            self._end(payment, "expired")

        return Verdict("stored", Effect(payment.room, told, moves, then, touched=payment, author=SERVER))

    def _withdraw(self, command: Mapping[str, Any]) -> Effect:
        currency = command["currency"]
        minor = read(command["amount"], currency)
        who = command["handle"]
        if who not in PEOPLE:
            raise No("not_found")
        told = {
            "amount": show(minor, currency), "currency": currency, "payer": IDS[who], "state": "completed",
            "reason": command["reason"],
        }  # fmt: skip
        moves = self._taken(command, who, (OPERATOR, currency, "cash"), minor, told)
        return Effect(self.pairs[frozenset({who})], told, moves, author=SERVER)

    def _reverse(self, command: Mapping[str, Any]) -> Effect:
        payment = self.payments.get(command["payment"])
        if payment is None or payment.kind != "send":
            raise No("not_found")
        if payment.state not in {"completed", "partly_refunded"}:
            raise No(ENDS.get(payment.state, "not_pending"), {"state": payment.state})
        if payment.payer == payment.payee:
            raise No("same_account")
        currency, minor = payment.received_currency, payment.received - payment.refunded
        if self.flags(payment.payer, currency) & CLOSED:
            raise No("account_closed")
        told = {
            "amount": show(minor, currency), "currency": currency, "payer": IDS[payment.payee],
            "payee": IDS[payment.payer], "state": "refunded", "refunded": show(payment.received, currency),
            "reason": command["reason"],
        }  # fmt: skip
        moves = self._taken(command, payment.payee, (payment.payer, currency, "customer"), minor, told)

        def then() -> None:
            payment.state, payment.refunded = "refunded", payment.received

        return Effect(payment.room, told, moves, then, touched=payment, author=SERVER)

    def _taken(
        self, command: Mapping[str, Any], who: str, target: Key, minor: int, told: dict[str, Any]
    ) -> list[Move]:
        """What a person has of it, and by force the rest from the operator."""
        currency = target[1]
        if not command["force"]:
            self._covered(who, currency, minor)
        there = min(minor, self.available(who, currency))
        if there < minor:
            told["shortfall"] = show(minor - there, currency)
        sources = (((who, currency, "customer"), there), ((OPERATOR, currency, "losses"), minor - there))
        return [Move(source, target, part) for source, part in sources if part]

    def _set_flags(self, command: Mapping[str, Any]) -> Verdict:
        who, currency = command["handle"], command["currency"]
        if who not in PEOPLE:
            raise No("not_found")
        if command["set"] & CLOSED:
            for each in ENABLED if currency is None else (currency,):
                debits, credits_, held, coming = self.accounts[who, each, "customer"]
                if credits_ != debits or held or coming:
                    raise No("not_empty")

        def done() -> None:
            if currency is None:
                self.user_flags[who] = (self.user_flags[who] | command["set"]) & ~command["clear"]
            else:
                had = self.account_flags[who, currency]
                self.account_flags[who, currency] = (had | command["set"]) & ~command["clear"]

        return Verdict("done", done=done)

    def _set_tier(self, command: Mapping[str, Any]) -> Verdict:
        named = {rule["tier"] for rule in self.terms.fees if rule["tier"] != "*"} | {"basic"}
        if command["handle"] not in PEOPLE or command["tier"] not in named | {
            t for t, _ in self.terms.limits
        }:
            raise No("not_found")
        return Verdict("done", done=lambda: self.tiers.__setitem__(command["handle"], command["tier"]))

    def _disable(self, command: Mapping[str, Any]) -> Verdict:
        change = self.disabled.add if command["disabled"] else self.disabled.discard
        return Verdict("done", done=lambda: change(command["handle"]))


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same on the wire."""
    return bool(json.loads(json.dumps(one)) == json.loads(json.dumps(other)))


def _without_id(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "id"}


def _minor_or_text(text: str, currency: str) -> int | str:
    try:
        return read(text, currency)
    except No:
        return text


def _counted(use: Use, code: str) -> int:
    return use.count if code == "velocity" else use.amount


def _share(part: Part, currency: str, state: str) -> dict[str, str]:
    return {"user": IDS[part.person], "amount": show(part.amount, currency), "state": state}


def _note(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: body[name] for name in ("note",) if name in body}


def windows(uses: Sequence[Use]) -> Iterator[tuple[int, int, int]]:
    """Slot, amount and count, as the store must have them."""
    slots = sorted({use.at // SLOT_MS for use in uses})
    for slot in slots:
        inside = [use for use in uses if use.at // SLOT_MS == slot]
        yield slot, sum(use.amount for use in inside), sum(use.count for use in inside)
