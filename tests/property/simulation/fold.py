"""The log and the transfers, folded without a line of the server's own folds."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tests.property.model.records import (
    CLOSED,
    FROZEN_IN,
    FROZEN_OUT,
    IDS,
    NAMES,
    SERVER,
    Line,
    same_json,
)

from tuppence_server.domain.effects import Balance
from tuppence_server.domain.rows import LoggedEvent, Transfer

if TYPE_CHECKING:
    from tests.property.simulation.simulation import Simulation


ENDLESS: Final = 10**12


class Fold:
    """The log and the transfers, read on from where it stopped and added up anew."""

    def __init__(self) -> None:
        self.pos = 0
        self.transfer = 0
        self.hash = bytes(32)
        self.seqs: Counter[str] = Counter()
        self.counters: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.holds: dict[int, Transfer] = {}
        self.ended: set[int] = set()
        self.ids: set[str] = set()
        self.keys: dict[int, tuple[str, str, str]] = {}
        self.posted: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """By account: where and how much, less than nothing where it went out."""

    async def read(self, simulation: "Simulation") -> None:
        """Everything that came since, each event against the model's line."""
        store = simulation.store
        accounts = self.keys = {
            account.id: (NAMES[account.owner], account.currency, account.code)
            for account in await store.accounts()
        }
        moved: dict[int, list[Transfer]] = defaultdict(list)
        async for rows in store.transfers(self.transfer, ENDLESS):
            for row in rows:
                self.transfer += 1
                assert row.id == self.transfer, "transfers are counted without a gap"
                moved[row.pos].append(row)
        async for events in store.log(self.pos, ENDLESS):
            for event in events:
                self._event(event, moved.pop(event.pos, []), accounts, simulation.model.lines)
                told = simulation.model.past[simulation.model.lines[self.pos - 1].content["id"]].outcome.event
                assert (told.head, told.body) == (event.head, event.body), "stored as its sender was told"
                for pos, balances in simulation.shown:
                    if pos == event.pos:
                        self._shown(balances, accounts)
        assert not moved, "every transfer has its event"
        simulation.shown = [each for each in simulation.shown if each[0] > self.pos]
        assert self.pos == len(simulation.model.lines), "every event was foretold"

    def _event(
        self,
        event: LoggedEvent,
        moved: list[Transfer],
        accounts: dict[int, tuple[str, str, str]],
        lines: list[Line],
    ) -> None:
        self.pos += 1
        self.seqs[event.conv] += 1
        assert (event.pos, event.seq) == (self.pos, self.seqs[event.conv]), "without a gap"
        assert event.pos <= len(lines), f"nobody foretold {event.head!r}"
        line = lines[event.pos - 1]
        head = json.loads(event.head)
        content = line.content
        author = line.author if line.author == SERVER else IDS[line.author]
        wanted = {
            "kind": content["kind"], "id": content["id"], "conv": line.conv, "seq": line.seq, "pos": self.pos,
            "from": author, "at": line.at,
        }  # fmt: skip
        ref = content.get("payment") or content.get("ref")
        if ref:
            wanted["ref"] = ref
        assert head == wanted
        assert head["id"] not in self.ids, "one event for each id"
        self.ids.add(head["id"])
        if line.body is not None:
            assert same_json(told(event.body), line.body), (told(event.body), line.body)
        found = sorted((accounts[m.debit], accounts[m.credit], m.amount, m.phase) for m in moved)
        assert found == sorted((m.debit, m.credit, m.amount, m.phase) for m in line.moves)
        self._link(event, moved)
        for row in moved:
            self._count(row)
        _nothing_of_the_frozen(moved, accounts, line)

    def _link(self, event: LoggedEvent, moved: list[Transfer]) -> None:
        """The audit chain, as it is written down in the protocol's words."""
        transfers = "".join(
            f"{m.id} {m.debit} {m.credit} {m.amount} {m.code}"
            + ("" if m.phase == "single" else f" {m.phase} {m.pending}")
            + "\n"
            for m in moved
        ).encode()
        commitment = hashlib.sha256(event.salt + event.body).digest()
        parts = len(event.head).to_bytes(4, "big") + event.head + commitment
        parts += len(transfers).to_bytes(4, "big") + transfers
        self.hash = hashlib.sha256(b"tuppence-chain-1" + self.hash + parts).digest()
        assert event.hash == self.hash

    def _count(self, row: Transfer) -> None:
        debit, credit, amount = self.counters[row.debit], self.counters[row.credit], row.amount
        if row.phase == "single":
            assert not row.pending
        elif row.phase == "pending":
            self.holds[row.id] = row
            debit[2] += amount
            credit[3] += amount
        else:
            assert row.pending not in self.ended, "a hold has one outcome"
            self.ended.add(row.pending)
            hold = self.holds.pop(row.pending)
            assert (hold.debit, hold.credit, hold.amount) == (row.debit, row.credit, amount)
            debit[2] -= amount
            credit[3] -= amount
        if row.phase in {"single", "post"}:
            debit[0] += amount
            credit[1] += amount
            self.posted[row.debit].append((row.pos, -amount))
            self.posted[row.credit].append((row.pos, amount))

    def _shown(self, balances: Sequence[Balance], accounts: dict[int, tuple[str, str, str]]) -> None:
        """A balance that a client was shown is the ledger at the `pos` it names."""
        numbers = {key: number for number, key in accounts.items()}
        for each in balances:
            debits, credits_, held, _ = self.counters[numbers[NAMES[each.owner], each.currency, "customer"]]
            assert (each.available, each.held) == (credits_ - debits - held, held)


def told(body: bytes) -> dict[str, Any]:
    """An event's body but for what only the server can know."""
    found: dict[str, Any] = json.loads(body)
    assert isinstance(found.pop("alt", ""), str)
    for name in ("proof", "seed"):
        found.pop(name, None)
    return found


def _nothing_of_the_frozen(
    moved: list[Transfer], accounts: dict[int, tuple[str, str, str]], line: Line
) -> None:
    """Nothing is spent of what is frozen out or closed, and nothing comes to what is frozen in or closed."""
    if not line.flags or line.content["kind"] in {"pay.withdraw", "pay.reverse"}:  # the operator's own word
        return
    net: Counter[tuple[str, str]] = Counter()
    for row in moved:
        for number, sign in ((row.debit, -1), (row.credit, 1)):
            who, currency, code = accounts[number]
            if code == "customer" and row.phase in {"single", "post", "pending"}:
                net[who, currency] += sign * row.amount
    for key, amount in net.items():
        flags = line.flags.get(key, 0)
        assert amount >= 0 or not flags & (FROZEN_OUT | CLOSED), f"{key} is frozen and spends"
        assert amount <= 0 or not flags & (FROZEN_IN | CLOSED), f"{key} is frozen and gets"
