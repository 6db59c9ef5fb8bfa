"""What must become of every frame of money. `expect` foretells one without taking it in; `take` takes it in.

Checks come as the catalogue has its families: shape, place, account, state, limits, funds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.property.model import answers, chat, operator, packets, quotes, requests, sends
from tests.property.model.amounts import minor_or_text
from tests.property.model.records import (
    ENABLED,
    LASTS_MS,
    PEOPLE,
    Effect,
    Line,
    Order,
    Outcome,
    Refused,
    Verdict,
)
from tests.property.model.state import State, transfer

RULES: Final[Mapping[str, Callable[[State, str, Mapping[str, Any]], Effect | Verdict]]] = {
    "chat.text": chat.text, "room.create": chat.create, "room.invite": chat.invite,
    "room.remove": chat.remove, "room.leave": chat.leave, "room.role": chat.role, "pay.send": sends.send,
    "pay.request": requests.request, "pay.split": requests.split, "pay.remind": requests.remind,
    "pay.waive": requests.waive, "pay.packet": packets.packet, "pay.claim": packets.claim,
    "pay.accept": answers.accept, "pay.decline": answers.decline, "pay.cancel": answers.cancel,
    "pay.refund": answers.refund, "pay.expire": answers.expire, "pay.faucet": operator.faucet,
    "pay.deposit": operator.deposit, "pay.withdraw": operator.withdraw, "pay.reverse": operator.reverse,
    "quote": quotes.quote, "user.flags": operator.set_flags, "user.tier": operator.set_tier,
    "user.disable": operator.disable,
}  # fmt: skip


class Model(State):
    """What the ledger must say."""

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
        except Refused as refused:
            return Verdict(refused.code, state=refused.state)

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
                self.past[key] = Outcome(order.author, content, verdict.word, outcome=outcome)
            return
        room = effect.room
        if not room.id:
            self.open_room(room, conv)
        room.seq += 1
        self.past[content["id"]] = Outcome(order.author, content, "stored", effect.body, outcome)
        flags = {(who, c): self.flags(who, c) for who in PEOPLE for c in ENABLED if self.flags(who, c)}
        author = effect.author or order.author
        line = Line(content, author, self.now, room.id, room.seq, effect.body, effect.moves, flags)
        self.lines.append(line)
        for move in effect.moves:
            transfer(self.accounts, move)
        if effect.made is not None:
            self.payments[effect.made.id] = effect.made
        if effect.then is not None:
            effect.then()

    def _again(self, order: Order, past: Outcome) -> Verdict:
        if past.author != order.author:
            return Verdict("id_taken")
        if past.word != "stored":
            same = _without_id(past.content) == _without_id(order.content)
            return Verdict(past.word if same else "id_reused")
        same = order.content["kind"] == past.content["kind"] and self._meaning(
            order.author, past.content, past
        ) == self._meaning(order.author, order.content, past)
        return Verdict("repeated" if same else "id_reused")

    def _meaning(self, who: str, content: Mapping[str, Any], past: Outcome) -> Any:
        """What a frame says, whichever way it says it; what it leaves open is as it then was."""
        if content["kind"] in {"pay.deposit", "pay.withdraw", "pay.reverse", "pay.expire"}:
            amount = minor_or_text(content.get("amount", ""), content.get("currency", ""))
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
                body[name] = self.person(body[name]) or body[name]
        for name in ("amount", "total"):
            if name in body:
                body[name] = minor_or_text(body[name], event.get("currency", ""))
        for name in ("members", "users"):
            if name in body:
                people = dict.fromkeys(self.person(named) or named for named in body[name])
                body[name] = [person for person in people if name == "users" or person != who]
        if "shares" in body:
            had = event.get("shares", [])
            amounts = [each["amount"] for each in had] if len(had) == len(body["shares"]) else [""] * 100
            body["shares"] = [
                (self.person(each["user"]), minor_or_text(each.get("amount", amount), event["currency"]))
                for each, amount in zip(body["shares"], amounts, strict=False)
            ]
        if content["kind"] in LASTS_MS and "expires_at" in event:
            body["expires_s"] = body.get("expires_s", LASTS_MS[content["kind"]] // 1000)
        return content["kind"], content.get("ref"), self.conv(who, content.get("conv", "")), body

    def _preview(self, order: Order) -> Verdict:
        past = self.past.get(order.content["id"])
        if past is not None:
            return Verdict("id_taken" if past.author != order.author else "id_reused")
        self.previewing = True
        try:
            found = self._decide(order, None)
        except Refused as refused:
            return Verdict(refused.code, state=refused.state)
        finally:
            self.previewing = False
        return Verdict("previewed", found.effect)

    def _decide(self, order: Order, drawn: Sequence[int] | None) -> Verdict:
        if order.author in self.disabled:
            raise Refused("account_disabled")
        self.drawn = drawn
        found = RULES[order.content["kind"]](self, order.author, order.content)
        return found if isinstance(found, Verdict) else Verdict("stored", found)


def _without_id(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "id"}
