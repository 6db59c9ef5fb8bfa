"""The shapes of load: closed loop, a given pace, fan-out into one room, and idle connections."""

import asyncio
import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.players import Opening, Receiver, Sender
from benchmarks.progress import Progress
from benchmarks.tally import Mark, Tally, percentiles, rates, troubles
from benchmarks.wire import FrameMaker, command_maker, event_maker, hello, monotonic_us, upgrade_request

HEARTBEAT_S = 20.0
DRAIN_S = 10.0
OPENING_AT_ONCE = 64
OPENING_TIMEOUT_S = 30.0
TICK_S = 0.2
PACE_S = 0.001  # below it uvloop does not sleep at all
WITNESSES = 10


@dataclass(frozen=True, slots=True)
class Seat:
    """One connection's part in the plan: who logs in, and where it writes to."""

    token: str
    conv: str


@dataclass(frozen=True, slots=True)
class Load:
    """What to do, for how long, with how much; without seats the server is a bare one.

    `rate` is for the pace alone: frames per second of all connections together.
    """

    mode: str
    port: int
    connections: int
    in_flight: int
    senders: int
    kind: str
    body: dict[str, Any]
    warmup_s: float
    seconds: float
    seats: Sequence[Seat] = ()
    rate: float = 0.0

    def seat(self, number: int) -> Seat | None:
        """Return the seat of a connection; seats are shared when there are too few."""
        return self.seats[number % len(self.seats)] if self.seats else None

    def maker(self, number: int) -> FrameMaker:
        """Return what makes a connection's frames."""
        seat = self.seat(number)
        if seat is None:
            return event_maker(number, self.kind, self.body)
        return command_maker(number, self.kind, seat.conv, self.body)


class Crowd:
    """The open connections of a run, kept alive by heartbeats."""

    def __init__(self, load: Load, progress: Progress) -> None:
        self._load = load
        self._progress = progress
        self._members: list[Receiver] = []
        self._heart: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._members)

    async def join(self, newcomers: Sequence[Receiver]) -> None:
        """Open a connection for each newcomer."""
        gate = asyncio.Semaphore(OPENING_AT_ONCE)
        self._progress.stage("connecting", len(newcomers))
        first = len(self._members)
        async with asyncio.TaskGroup() as group:
            for number, receiver in enumerate(newcomers, first):
                group.create_task(self._open(receiver, number, gate))
        self._members.extend(newcomers)
        if self._heart is None and self._load.seats:
            self._heart = asyncio.create_task(self._beat())

    async def leave(self) -> None:
        """Close all connections."""
        if self._heart is not None:
            self._heart.cancel()
        for member in self._members:
            member.close()
        await asyncio.sleep(TICK_S)

    async def _open(self, receiver: Receiver, number: int, gate: asyncio.Semaphore) -> None:
        load, seat = self._load, self._load.seat(number)
        greeting = hello(seat.token) if seat else None
        loop = asyncio.get_running_loop()
        async with gate, asyncio.timeout(OPENING_TIMEOUT_S):
            _, opening = await loop.create_connection(
                lambda: Opening(upgrade_request(load.port), greeting, receiver),
                "127.0.0.1",
                load.port,
            )
            await opening.opened
        self._progress.advance(1)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for number, member in enumerate(self._members):
                member.ping()
                if number % 100 == 99:
                    await asyncio.sleep(0)


async def run(load: Load, progress: Progress) -> dict[str, Any]:
    """Run the closed loop, the pace or the fan-out; return the report (`ok` tells if it counts)."""
    tally = Tally()
    windows = _windows(load)
    players: list[Receiver] = [
        Receiver(tally) if window is None else Sender(tally, load.maker(number), window)
        for number, window in enumerate(windows)
    ]
    senders = [player for player in players if isinstance(player, Sender)]
    crowd = Crowd(load, progress)
    await crowd.join(players)
    # Nothing that a run makes is cyclic, and a collection would show up as latency.
    gc.disable()
    measured = await _measure(load, tally, senders, progress)
    unanswered = await _drain(load, tally, senders)
    await crowd.leave()
    report = _shape(load) | measured | {"acks": tally.acks} | troubles(tally) | unanswered
    return report | {"ok": not (tally.failed or any(unanswered.values()))}


def _windows(load: Load) -> list[int | None]:
    # None is a connection that only counts; 0 one that takes ages but sends nothing.
    if load.mode == "closed":
        return [load.in_flight] * load.connections
    if load.mode == "paced":
        return [0] * load.connections
    passive = load.connections - load.senders
    witnesses = min(WITNESSES, passive)
    silent: list[int | None] = [None] * (passive - witnesses)
    return [*[load.in_flight] * load.senders, *[0] * witnesses, *silent]


def _shape(load: Load) -> dict[str, Any]:
    return {
        "mode": load.mode,
        "target": "real" if load.seats else "bare",
        "kind": load.kind,
        "connections": load.connections,
        "senders": load.senders if load.mode == "fanout" else load.connections,
        "in_flight": load.in_flight,
        "rate": load.rate,
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
    }


async def _measure(load: Load, tally: Tally, senders: Sequence[Sender], progress: Progress) -> dict[str, Any]:
    for sender in senders:
        sender.start()
    pacer = asyncio.create_task(_pace(load.rate, tally, senders)) if load.rate else None
    await _pass("warming up", load.warmup_s, tally, progress)
    del tally.own_us[:], tally.other_us[:]
    start = Mark.of(tally)
    await _pass("measuring", load.seconds, tally, progress)
    measured = rates(start, Mark.of(tally))
    tally.running = False
    if pacer is not None:
        await pacer
    ages = {"own_ms": percentiles(tally.own_us), "other_ms": percentiles(tally.other_us)}
    return measured | ages


async def _pass(stage: str, seconds: float, tally: Tally, progress: Progress) -> None:
    progress.stage(stage, seconds)
    end = asyncio.get_running_loop().time() + seconds
    while (left := end - asyncio.get_running_loop().time()) > 0 and not tally.failed:
        await asyncio.sleep(min(TICK_S, left))
        progress.advance(TICK_S)


async def _pace(rate: float, tally: Tally, senders: Sequence[Sender]) -> None:
    """Send at `rate` in turn, whatever comes back: an open loop.

    A frame's age counts from when it was due, so a late generator or a stalled server shows as latency.
    """
    start_us, sent = monotonic_us(), 0
    while tally.running and not tally.failed:
        due = 1 + int((monotonic_us() - start_us) * rate / 1_000_000)  # the first is due at the start
        for number in range(sent, due):
            senders[number % len(senders)].send(1, start_us + int(number * 1_000_000 / rate))
        sent = due
        await asyncio.sleep(PACE_S)


async def _drain(load: Load, tally: Tally, senders: Sequence[Sender]) -> dict[str, int]:
    # In a room everybody must have had every event by the end, or something was lost.
    def owed() -> dict[str, int]:
        unanswered = sum(sender.unanswered for sender in senders)
        due = tally.acks * load.connections if load.mode == "fanout" else tally.deliveries
        return {"unanswered": unanswered, "undelivered": due - tally.deliveries}

    patience = DRAIN_S
    while patience > 0 and any(owed().values()) and not tally.failed:
        await asyncio.sleep(TICK_S)
        patience -= TICK_S
    return owed()


async def hold(load: Load, progress: Progress) -> None:
    """Open idle connections: as many as asked, then as many more as each line of stdin says.

    After each step a line of JSON tells how many are open; the end of stdin ends it.
    """
    tally = Tally()
    crowd = Crowd(load, progress)

    async def open_more(count: int) -> None:
        await crowd.join([Receiver(tally) for _ in range(count)])
        print(json.dumps({"mode": "idle", "open": len(crowd), "lost": tally.lost}), flush=True)

    if load.connections:
        await open_more(load.connections)
    if load.seconds:
        await asyncio.sleep(load.seconds)
    else:
        async for line in await _stdin():
            await open_more(int(line))
    await crowd.leave()


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader
