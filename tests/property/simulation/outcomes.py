"""Orders as the road has them, and what becomes of them against what was foretold."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from tests.contract.stores import command, frame
from tests.property.model.records import (
    IDS,
    Order,
    Verdict,
    same_json,
)
from tests.property.model.state import transfer
from tests.property.simulation.fold import told

from tuppence_protocol.errors import Refusal
from tuppence_protocol.packets import Mode, is_fair
from tuppence_server.domain import commands
from tuppence_server.domain.effects import Previewed, Quoted, Stored
from tuppence_server.domain.request import Request

if TYPE_CHECKING:
    from tests.property.simulation.simulation import Simulation


def check_refusal(simulation: "Simulation", outcome: Refusal, verdict: Verdict, past: Any) -> None:
    simulation.refusals[outcome.code] += 1
    if verdict.state is not None:
        assert outcome.state == dict(verdict.state), (outcome, verdict.state)
    if past is not None and outcome.code not in {"id_reused", "id_taken"}:
        assert past.outcome == outcome, "refused as it was then"


def look_at(simulation: "Simulation", order: Order, outcome: Stored, verdict: Verdict) -> None:
    """What the payments of an event are now to be looked at; a packet's seed must keep its promise."""
    effect = verdict.effect
    assert effect is not None
    for payment in (effect.made, effect.touched):
        if payment is not None:
            simulation.touched[payment.id] = payment
    body = json.loads(outcome.event.body)
    if order.content["kind"] == "pay.packet":
        assert effect.made is not None
        effect.made.proof = body["proof"]
    packet = effect.touched
    if packet is not None and packet.kind == "packet":
        assert ("seed" in body) == (body["state"] != "open")
    if "seed" in body:
        assert packet is not None
        listed = ",".join(str(part.amount) for part in packet.parts)
        promised = b"tuppence-packet-1\n" + bytes.fromhex(body["seed"]) + f"\n{packet.id}\n{listed}".encode()
        assert hashlib.sha256(promised).hexdigest() == packet.proof
        mode: Mode = "lucky" if packet.mode == "lucky" else "equal"
        count, seed = len(packet.parts), bytes.fromhex(body["seed"])
        assert is_fair(packet.id, packet.amount, count, mode, packet.proof, seed)


def check_preview(simulation: "Simulation", who: str, found: Previewed, verdict: Verdict) -> None:
    """A preview against the effect that the model foretells."""
    effect = verdict.effect
    assert effect is not None
    if found.kind != "pay.packet" or effect.body is not None:
        assert same_json(told(found.body), effect.body), (told(found.body), effect.body)
    spends: Counter[str] = Counter()
    touched = [key for move in effect.moves for key in (move.debit, move.credit)]
    accounts = {key: list(simulation.model.accounts[key]) for key in touched}
    for move in effect.moves:
        transfer(accounts, move)
        if move.debit[0] == who and move.phase in {"single", "pending"}:
            spends[move.debit[1]] += move.amount
    after = {
        currency: (credits_ - debits - held, held)
        for (owner, currency, code), (debits, credits_, held, _) in accounts.items()
        if (owner, code) == (who, "customer")
    }
    fee = sum(move.amount for move in effect.moves if move.credit[2] == "fees")
    assert found.spends == dict(spends)
    assert (found.after, (found.fee or ("", 0))[1]) == (after, fee)
    assert found.pos == len(simulation.model.lines)


COMMANDS: Final[Mapping[str, tuple[Callable[..., Any], str]]] = {
    "pay.deposit": (commands.Deposit, "id handle amount currency note"),
    "pay.withdraw": (commands.Withdraw, "id handle amount currency reason note force"),
    "pay.reverse": (commands.Reverse, "id payment reason note force"),
    "pay.expire": (commands.Expire, "id payment"),
    "user.flags": (commands.SetFlags, "handle currency set clear"),
    "user.tier": (commands.SetTier, "handle tier"),
    "user.disable": (commands.DisableUser, "handle disabled"),
}


def request_of(order: Order) -> Request:
    """An order as the road has it."""
    content, kind = order.content, order.content["kind"]
    if kind in COMMANDS:
        made, names = COMMANDS[kind]
        return command(made(*(content[name] for name in names.split())))
    if kind == "quote":
        given = {name: value for name, value in content.items() if name not in {"kind", "owner"}}
        return command(commands.OpenQuote(owner=IDS[content["owner"]], **given))
    who, place, ref = IDS[order.author], content.get("conv"), content.get("ref")
    sent = frame(who, kind, place, content["id"], ref, **content["body"])
    return Request(commands.Preview(sent.frame), who) if order.ask else sent  # type: ignore[arg-type]


def check_quote(outcome: Quoted, verdict: Verdict) -> None:
    quote = outcome.quote
    wanted = verdict.state
    assert isinstance(wanted, dict)
    assert (quote.sell_amount, quote.buy_amount, quote.margin, quote.fee, quote.expires_at) == (
        wanted["sold"], wanted["bought"], wanted["margin"], wanted["fee"], wanted["expires_at"],
    )  # fmt: skip
    assert 0 <= 1 - Fraction(quote.rate) / wanted["true_rate"] < Fraction(1, 10**7)
    wanted["rate"] = quote.rate
