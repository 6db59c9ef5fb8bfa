"""Orders as the road has them, and what becomes of them against what was foretold."""

import hashlib
import json
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.contract.stores import command, frame
from tests.property.model.records import (
    IDS,
    Order,
    Verdict,
    same_json,
)
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
    after: dict[str, list[int]] = {}
    fee = 0
    for move in effect.moves:
        for key, sign in ((move.debit, -1), (move.credit, 1)):
            if key[0] == who and key[2] == "customer":
                debits, credits_, held, _ = simulation.model.accounts[key]
                stands = after.setdefault(key[1], [credits_ - debits - held, held])
                _effect_on(stands, move.phase, sign * move.amount)
        if move.debit[0] == who and move.phase in {"single", "pending"}:
            spends[move.debit[1]] += move.amount
        fee += move.amount if move.credit[2] == "fees" else 0
    assert found.spends == dict(spends)
    assert found.after == {currency: tuple(stands) for currency, stands in after.items()}
    assert (found.fee or ("", 0))[1] == fee
    assert found.pos == len(simulation.model.lines)


def request_of(order: Order) -> Request:
    content = order.content
    match content["kind"]:
        case "pay.deposit":
            named = (content["handle"], content["amount"], content["currency"], content["note"])
            return command(commands.Deposit(content["id"], *named))
        case "pay.withdraw":
            named = (content["handle"], content["amount"], content["currency"], content["reason"])
            return command(commands.Withdraw(content["id"], *named, content["note"], content["force"]))
        case "pay.reverse":
            told = (content["payment"], content["reason"], content["note"], content["force"])
            return command(commands.Reverse(content["id"], *told))
        case "pay.expire":
            return command(commands.Expire(content["id"], content["payment"]))
        case "user.flags":
            flags = (content["set"], content["clear"])
            return command(commands.SetFlags(content["handle"], content["currency"], *flags))
        case "user.tier":
            return command(commands.SetTier(content["handle"], content["tier"]))
        case "user.disable":
            return command(commands.DisableUser(content["handle"], content["disabled"]))
        case "quote":
            given = {name: value for name, value in content.items() if name not in {"kind", "owner"}}
            return command(commands.OpenQuote(owner=IDS[content["owner"]], **given))
    who = IDS[order.author]
    made = frame(
        who, content["kind"], content.get("conv"), content["id"], content.get("ref"), **content["body"]
    )
    return Request(commands.Preview(made.frame), who) if order.ask else made  # type: ignore[arg-type]


def _effect_on(stands: list[int], phase: str, amount: int) -> None:
    """What a move does to what is available and what is held of one side; negative amounts are debits."""
    if amount > 0:
        stands[0] += amount if phase in {"single", "post"} else 0
        return
    if phase in {"single", "pending"}:
        stands[0] += amount
    if phase == "pending":
        stands[1] -= amount
    elif phase != "single":
        stands[1] += amount
        stands[0] -= 0 if phase == "post" else amount


def check_quote(outcome: Quoted, verdict: Verdict) -> None:
    quote = outcome.quote
    wanted = verdict.state
    assert isinstance(wanted, dict)
    assert (quote.sell_amount, quote.buy_amount, quote.margin, quote.fee, quote.expires_at) == (
        wanted["sold"], wanted["bought"], wanted["margin"], wanted["fee"], wanted["expires_at"],
    )  # fmt: skip
    assert 0 <= 1 - Fraction(quote.rate) / wanted["true_rate"] < Fraction(1, 10**7)
    wanted["rate"] = quote.rate
