"""Everybody claims a share of one red packet at once: how long until each knows, and has seen who got what.

What arrives is only collected while the clock runs, and read and checked afterwards: as many winners as
shares, no two of them the same, the same claims in the same order for all, a refusal for everybody else, and
not a cent left or made.
"""

import asyncio
import gc
import json
import time
from array import array
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.players import Receiver
from benchmarks.progress import Progress
from benchmarks.runs import Crowd, Load
from benchmarks.tally import EXCERPTS, Tally, percentiles
from benchmarks.wire import ID_BYTES, command_maker, monotonic_us, payloads
from tuppence_protocol import packets

TIMEOUT_S = 60.0
QUIET_S = 0.5
TOTAL: Final = "1000.00"
BARE_CONV: Final = "c_" + "x" * 22
BARE_PACKET: Final = "0197a1c6-3d52-7e19-8b40-90a1b2c3d4e5"
MADE_MARK: Final = b'{"kind":"pay.packet"'
CLAIM_MARK: Final = b'"kind":"pay.claim"'
_CARRY: Final = max(len(CLAIM_MARK), len(MADE_MARK)) - 1


class Claimer(Receiver):
    """One connection that claims, and waits for its own outcome and for all claims."""

    __slots__ = ("_claims", "_shares", "complete", "identity", "outcome", "received", "told")

    def __init__(self, tally: Tally, shares: int) -> None:
        super().__init__(tally)
        loop = asyncio.get_running_loop()
        self._shares, self._claims = shares, 0
        self.identity = b""
        self.received = bytearray()
        self.told: asyncio.Future[None] = loop.create_future()
        self.outcome: asyncio.Future[float] = loop.create_future()
        self.complete: asyncio.Future[float] = loop.create_future()

    def data_received(self, data: bytes) -> None:
        """Collect, and take the time of what was waited for."""
        now = time.perf_counter()
        received = self.received
        size = len(received)
        received += data
        seen = max(0, size - _CARRY)
        if not self.told.done() and received.find(MADE_MARK, seen) >= 0:
            self.told.set_result(None)
        if not self.identity:
            return
        if not self.outcome.done() and received.find(self.identity, max(0, size - ID_BYTES + 1)) >= 0:
            self.outcome.set_result(now)
        # What is carried over is one byte too short to hold a mark that was counted before.
        self._claims += received.count(CLAIM_MARK, max(0, size - len(CLAIM_MARK) + 1))
        if self._claims >= self._shares and not self.complete.done():
            self.complete.set_result(now)

    def forget(self) -> None:
        """Drop what came before the claims; nothing may be under way."""
        self.received.clear()

    def write(self, frame: bytes) -> None:
        """Send a whole frame."""
        self._transport.write(frame)


async def claim(load: Load, shares: int, progress: Progress) -> dict[str, Any]:
    """Make a packet, have all claim at once; report how long it took, and whether all was right."""
    tally = Tally()
    claimers = [Claimer(tally, shares) for _ in range(load.connections)]
    crowd = Crowd(load, progress)
    await crowd.join(claimers)
    made = await _make(load, shares, claimers)
    frames = [_ready(load, number, claimer, made["id"]) for number, claimer in enumerate(claimers)]
    progress.stage("claiming", 1)
    gc.collect()
    gc.disable()  # a collection would show up as latency
    cpu_s, start = time.process_time(), time.perf_counter()
    for claimer, frame in zip(claimers, frames, strict=True):
        claimer.write(frame)
    sent = time.perf_counter()
    async with asyncio.timeout(TIMEOUT_S):
        outcomes = await asyncio.gather(*(claimer.outcome for claimer in claimers))
        completed = await asyncio.gather(*(claimer.complete for claimer in claimers))
    cpu_s = time.process_time() - cpu_s
    gc.enable()
    await asyncio.sleep(QUIET_S)  # a frame too many has to be seen as well
    faults = _faults(claimers, shares, made, lost=tally.lost)
    await crowd.leave()
    outcome_s, all_s = max(outcomes) - start, max(completed) - start
    return {
        "mode": "packet",
        "target": "real" if load.seats else "bare",
        "clients": len(claimers),
        "shares": shares,
        "sent_ms": round((sent - start) * 1000, 2),
        "outcome_s": outcome_s,
        "all_s": all_s,
        "each_ms": percentiles(array("q", (int((at - start) * 1_000_000) for at in outcomes))),
        "received_bytes": sum(len(claimer.received) for claimer in claimers),
        "client_cpu": round(cpu_s / max(outcome_s, all_s), 3),
        "faults": len(faults),
        "excerpts": faults[:EXCERPTS],
        "ok": not faults,
    }


def _ready(load: Load, number: int, claimer: Claimer, packet: str) -> bytes:
    """The frame by which somebody is going to claim, whose outcome they know from now on."""
    seat = load.seat(number)
    conv = seat.conv if seat else BARE_CONV
    (claimer.identity,), frame = command_maker(number, "pay.claim", conv, {}, ref=packet).make(
        1, monotonic_us()
    )
    claimer.forget()
    return frame


async def _make(load: Load, shares: int, claimers: Sequence[Claimer]) -> dict[str, Any]:
    """The packet's event, once everybody has it; a bare server has one that needs no making."""
    seat = load.seat(0)
    if seat is None:
        return {"id": BARE_PACKET, "body": {}}
    body = {"total": TOTAL, "currency": "EUR", "count": shares, "mode": "lucky"}
    _, frame = command_maker(len(claimers), "pay.packet", seat.conv, body).make(1, monotonic_us())
    claimers[0].write(frame)
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(claimer.told for claimer in claimers))
    await asyncio.sleep(QUIET_S)
    text = bytes(claimers[0].received)
    made, _ = json.JSONDecoder().raw_decode(text[text.index(MADE_MARK) :].decode(errors="replace"))
    found: dict[str, Any] = made
    return found


def _faults(claimers: Sequence[Claimer], shares: int, made: dict[str, Any], *, lost: int) -> list[str]:
    faults = [f"{lost} connections were lost"] if lost else []
    told: list[dict[str, Any]] = []
    for claimer in claimers:
        identity = claimer.identity.decode()
        frames = [json.loads(payload) for payload in payloads(bytes(claimer.received))]
        claims = [frame for frame in frames if frame["kind"] == "pay.claim"]
        others = [frame for frame in frames if frame["kind"] not in ("pay.claim", "live.balance", "pong")]
        told = told or claims
        if claims != told:
            faults.append(f"{len(claims)} claims, or others than the first client saw")
        refused = [(frame["kind"], frame.get("ref"), frame["body"].get("code")) for frame in others]
        won = any(event["id"] == identity for event in claims)
        if refused != ([] if won else [("error", identity, "packet_empty")]):
            faults.append(f"an outcome that cannot be: won {won}, refused {refused}")
    known = {claimer.identity.decode() for claimer in claimers}
    return faults + _packet_faults(told, known, shares, made)


def _packet_faults(
    claims: Sequence[dict[str, Any]], known: set[str], shares: int, made: dict[str, Any]
) -> list[str]:
    bodies = [event["body"] for event in claims]
    amounts = [_cents(body["amount"]) for body in bodies]
    winners = {event["from"] for event in claims}
    states = ["open"] * (shares - 1) + ["emptied"]
    wanted = {
        f"{len(claims)} claims of {len(winners)} winners": len(claims) == len(winners) == shares,
        "a claim that nobody here made": {event["id"] for event in claims} <= known,
        "somebody else was paid": all(event["from"] == event["body"]["payee"] for event in claims),
        "shares out of order": [body["share"] for body in bodies] == list(range(1, shares + 1)),
        "states out of order": [body["state"] for body in bodies] == states,
        f"shares of {sum(amounts)} cents in all": sum(amounts) == _cents(TOTAL),
        "shares that were not promised": not made["body"] or _kept(made, bodies, amounts),
    }
    return [fault for fault, good in wanted.items() if not good]


def _kept(made: dict[str, Any], bodies: Sequence[dict[str, Any]], amounts: list[int]) -> bool:
    """Whether the shares are those of the seed that the packet promised."""
    seed = bytes.fromhex(bodies[-1].get("seed", "")) if bodies else b""
    total, count = _cents(TOTAL), len(amounts)
    fair = packets.is_fair(made["id"], total, count, "lucky", made["body"]["proof"], seed)
    return fair and packets.draw(seed, total, count, "lucky") == amounts


def _cents(amount: str) -> int:
    return int(amount.replace(".", ""))
