"""A ledger in a few dictionaries that says what must become of every frame. It shares no code with the server."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st
from tests.contract.stores import START_MS, command, event_id, frame, head_of, said, wire_id
from tests.support.road import IDS, PEOPLE

from tuppence_server.domain.commands import Deposit
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.request import Request

NAMES: Final = {user: who for who, user in IDS.items()}
CURRENCIES: Final = {"EUR": 100, "JPY": 1}
RANK: Final = {"owner": 3, "admin": 2, "member": 1, "reader": 0}
BAD_AMOUNTS: Final = {"0": "amount_range", "x": "amount_format", "-1": "amount_format"}


@dataclass(frozen=True)
class Step:
    """What somebody does; `place` is a handle, "self" or the number of a group; `key` picks the id."""

    kind: str
    who: str
    key: int
    place: str | int = "self"
    other: str | None = None
    amount: str = "1"
    currency: str = "EUR"
    late: bool = False
    role: str = "member"
    text: str = "x"


@dataclass
class Model:
    """What the ledger must say."""

    balances: Counter[tuple[str, str]] = field(default_factory=Counter)
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    places: dict[frozenset[str], str] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    done: dict[str, tuple[str, Any, str, bytes]] = field(default_factory=dict)
    """By id: sender, content, what was said, and the event."""
    pos: int = 0
    deposited: Counter[str] = field(default_factory=Counter)

    def request(self, step: Step) -> Request:
        """The frame or order that a step is."""
        key = event_id(step.key)
        other = None if step.other is None else f"@{step.other}"
        if step.kind == "pay.deposit":
            return command(Deposit(key, step.who, step.amount, step.currency, None))
        body: dict[str, Any] = {
            "chat.text": {"text": step.text},
            "pay.send": {"amount": step.amount, "currency": step.currency},
            "room.create": {"title": "Club", "members": [] if other is None else [other]},
            "room.invite": {"users": [other]},
            "room.remove": {"user": other},
            "room.leave": {},
            "room.role": {"user": other, "role": step.role},
        }[step.kind]
        if step.kind == "pay.send" and other is not None:
            body["payee"] = other
        if step.kind == "pay.send" and step.late:
            body["not_after"] = START_MS - 1
        conv: str | None = step.place if isinstance(step.place, str) else self.group(step.place)
        if conv in PEOPLE:
            conv = f"@{conv}"
        return frame(
            IDS[step.who], step.kind, None if step.kind == "room.create" else conv, key, None, **body
        )

    def group(self, number: int) -> str:
        """One of the groups there are, or none."""
        groups = list(self.groups)
        return groups[number % len(groups)] if groups else wire_id("c_", 7)

    def expect(self, request: Request) -> str:
        """What must be said to a request: "stored", "repeated" or the code of a refusal."""
        said_now = json.loads(request.content)
        known = self.done.get(said_now["id"])
        if known is not None:
            sender, content, outcome, _ = known
            if sender != request.author:
                return "id_taken"
            same = (
                _same(NAMES.get(sender, ""), content, said_now)
                if outcome == "stored"
                else content == said_now
            )
            if not same:
                return "id_reused"
            return "repeated" if outcome == "stored" else outcome
        if "command" in said_now:
            return BAD_AMOUNTS.get(said_now["amount"], "stored")
        return self._judge(NAMES[request.author], said_now)

    def _judge(self, who: str, said_now: dict[str, Any]) -> str:
        kind, body = said_now["kind"], said_now["body"]
        if kind == "room.create":
            return "stored"
        if kind == "pay.send" and body["amount"] in BAD_AMOUNTS:
            return BAD_AMOUNTS[body["amount"]]
        if kind == "pay.send" and body["currency"] not in CURRENCIES:
            return "unknown_currency"
        conv = said_now["conv"]
        group = self.groups.get(conv)
        if conv.startswith("c_") and (group is None or who not in group):
            return "not_found"
        if kind.startswith("room."):
            return "forbidden" if group is None else self._judge_room(who, kind, body, group)
        if group is not None and group[who] == "reader":
            return "forbidden"
        if kind == "chat.text":
            return "stored"
        peer = None if group is not None else who if conv == "self" else conv[1:]
        payee = body["payee"][1:] if "payee" in body else peer
        if payee is None:
            return "bad_frame"
        if payee not in (group if group is not None else (who, peer)):
            return "not_a_member"
        if payee == who:
            return "same_account"
        if "not_after" in body:
            return "expired"
        covered = self.balances[who, body["currency"]] >= _minor(body)
        return "stored" if covered else "insufficient_funds"

    def _judge_room(self, who: str, kind: str, body: dict[str, Any], group: dict[str, str]) -> str:
        needed = {"room.invite": 2, "room.remove": 2, "room.role": 3, "room.leave": 0}[kind]
        owners = sum(role == "owner" for role in group.values())
        if RANK[group[who]] < needed:
            return "forbidden"
        if kind == "room.leave":
            return "last_owner" if group[who] == "owner" and owners == 1 and len(group) > 1 else "stored"
        other = (body["users"][0] if kind == "room.invite" else body["user"])[1:]
        if kind == "room.invite":
            return "already_member" if other in group else "stored"
        if other not in group:
            return "not_a_member"
        if kind == "room.remove":
            below = group[who] == "owner" or RANK[group[other]] < 2
            return "stored" if below and other != who else "forbidden"
        last = group[other] == "owner" and body["role"] != "owner" and owners == 1
        return "last_owner" if last else "stored"

    def learn(self, request: Request, outcome: Outcome) -> None:
        """Take in what became of a request, after it was compared with what was expected."""
        said_now = json.loads(request.content)
        key, kind = said_now["id"], said_now.get("kind", "pay.deposit")
        if isinstance(outcome, Stored):
            wire = outcome.event.head + outcome.event.body
            if outcome.repeated:
                assert self.done[key][3] == wire, "a repeated frame has the event of then"
                return
            self.done[key] = (request.author, said_now, "stored", wire)
            self._store(request.author, said_now, kind, head_of(outcome))
        elif key not in self.done and kind.startswith("pay.") and not _of_the_id(said(outcome)):
            self.done[key] = (request.author, said_now, said(outcome), b"")

    def _store(self, author: str, said_now: dict[str, Any], kind: str, head: dict[str, Any]) -> None:
        conv, body = head["conv"], said_now.get("body", {})
        self.pos += 1
        self.lines[conv].append(head["id"])
        assert (head["pos"], head["seq"], head["kind"]) == (self.pos, len(self.lines[conv]), kind)
        if kind == "pay.deposit":
            minor = _minor(said_now)
            self.balances[said_now["handle"], said_now["currency"]] += minor
            self.deposited[said_now["currency"]] += minor
            return
        who = NAMES[author]
        group = (
            self.groups.setdefault(conv, {who: "owner"}) if kind == "room.create" else self.groups.get(conv)
        )
        if group is None:
            pair = frozenset({who, who if said_now["conv"] == "self" else said_now["conv"][1:]})
            assert self.places.setdefault(pair, conv) == conv, "two people have one dm"
        match kind, group:
            case "pay.send", _:
                payee = body["payee"][1:] if "payee" in body else said_now["conv"][1:]
                self.balances[who, body["currency"]] -= _minor(body)
                self.balances[payee, body["currency"]] += _minor(body)
            case "room.create", dict():
                group |= {other[1:]: "member" for other in body["members"] if other[1:] != who}
            case "room.invite", dict():
                group[body["users"][0][1:]] = "member"
            case "room.remove", dict():
                del group[body["user"][1:]]
            case "room.leave", dict():
                del group[who]
            case "room.role", dict():
                group[body["user"][1:]] = body["role"]


def _minor(body: dict[str, Any]) -> int:
    return int(body["amount"]) * CURRENCIES[body["currency"]]


def _same(who: str, before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether two frames mean the same, however they name places and people."""
    one, other = _meaning(who, before), _meaning(who, now)
    if "payee" not in other.get("body", {}) and before.get("kind") == "pay.send":
        one["body"].pop("payee", None)
    return one == other


def _meaning(who: str, said_now: dict[str, Any]) -> dict[str, Any]:
    conv, body = said_now.get("conv", ""), dict(said_now.get("body", {}))
    if conv == f"@{who}":
        conv = "self"
    if said_now.get("kind") == "pay.send" and not conv.startswith("c_"):
        body.setdefault("payee", f"@{who}" if conv == "self" else conv)
    if "members" in body:
        body["members"] = [other for other in body["members"] if other != f"@{who}"]
    return {**said_now, "conv": conv, "body": body}


def _of_the_id(code: str) -> bool:
    return code in {"id_reused", "id_taken"}


def _step(kinds: Sequence[str], people: Sequence[str] = PEOPLE) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        kind=st.sampled_from(kinds),
        who=st.sampled_from(people),
        key=st.integers(1, 40),
        place=st.one_of(st.sampled_from((*PEOPLE, "self")), st.integers(0, 2)),
        other=st.sampled_from(PEOPLE),
        amount=st.sampled_from(("1", "1", "2", "3", "9")),
        currency=st.sampled_from(("EUR", "EUR", "JPY")),
        role=st.sampled_from(tuple(RANK)),
        text=st.sampled_from(("x", "y")),
    )


def _odd_payments() -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        kind=st.just("pay.send"),
        who=st.sampled_from(PEOPLE),
        key=st.integers(1, 40),
        place=st.one_of(st.sampled_from((*PEOPLE, "self")), st.integers(0, 2)),
        other=st.sampled_from((None, None, *PEOPLE)),
        amount=st.sampled_from(("1", "2", "9", *BAD_AMOUNTS)),
        currency=st.sampled_from(("EUR", "EUR", "JPY", "CHF")),
        late=st.sampled_from((False, False, False, True)),
    )


def _dm_payments() -> st.SearchStrategy[Step]:
    pairs = st.sampled_from([(one, other) for one in PEOPLE for other in PEOPLE if one != other])
    return st.builds(
        lambda pair, key, amount: Step("pay.send", pair[0], key, pair[1], None, amount),
        pairs, st.integers(1, 40), st.sampled_from(("1", "2", "3", "9")),
    )  # fmt: skip


STEPS: Final[st.SearchStrategy[Step]] = st.one_of(
    _dm_payments(),
    _odd_payments(),
    _step(("pay.deposit",)),
    _step(("chat.text",)),
    _step(("room.create", "room.invite", "room.remove", "room.leave", "room.role")),
)
