"""Everybody comes back at once: how long until each has all that it missed.

What arrives is only collected while the clock runs, and read and checked afterwards: `resumed` must be true,
and the missed events must be there, each once, in order, with nothing else between `ready` and `synced`.
"""

import asyncio
import json
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.progress import Progress
from benchmarks.tally import EXCERPTS, percentiles
from benchmarks.wire import CLOSE, SYNCED_MARK, hello, payloads, upgrade_request

TIMEOUT_S = 60.0
BARE_CONV = "c_" + "x" * 22
BARE_EPOCH = "bare"
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Returner:
    """Who comes back, from where in the log, and how many numbered texts of one conversation they missed."""

    token: str
    conv: str
    epoch: str
    pos: int
    missed: int

    def fault(self, received: bytes) -> str | None:
        """What is wrong with all that a connection received; None if nothing is."""
        ready, *events, synced = (json.loads(payload) for payload in payloads(received))
        if ready["kind"] != "ready" or not ready["body"]["resumed"] or ready["body"]["epoch"] != self.epoch:
            return f"not resumed: {ready}"
        if synced["kind"] != "synced":
            return f"not synced: {synced}"
        if [event.get("body", {}).get("text") for event in events] != [str(n) for n in range(self.missed)]:
            return f"{len(events)} events instead of {self.missed}, or others"
        return self._order_fault(events, synced["body"]["pos"])

    def _order_fault(self, events: Sequence[dict[str, Any]], end: int) -> str | None:
        places = [self.pos, *(event["pos"] for event in events)]
        numbers = [event["seq"] for event in events]
        if any(event["conv"] != self.conv for event in events):
            return "an event of another conversation"
        if sorted(set(places)) != places or end < places[-1]:
            return f"pos out of order: {places}, synced at {end}"
        if numbers and numbers != list(range(numbers[0], numbers[0] + self.missed)):
            return f"seq with gaps: {numbers}"
        return None


def bare_returners(count: int, missed: int) -> list[Returner]:
    """Those who come back to `floors.bare_resume`."""
    return [Returner("none", BARE_CONV, BARE_EPOCH, 0, missed)] * count


class Homecoming(asyncio.Protocol):
    """One connection from its first byte to `synced`."""

    __slots__ = ("_greeting", "_port", "_transport", "_upgraded", "received", "synced")

    def __init__(self, port: int, returner: Returner) -> None:
        self._port = port
        self._greeting = hello(returner.token, epoch=returner.epoch, pos=returner.pos)
        self._upgraded = False
        self.received = bytearray()
        self.synced: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(upgrade_request(self._port))

    def data_received(self, data: bytes) -> None:
        """Say hello once upgraded, then collect until `synced`."""
        received = self.received
        seen = max(0, len(received) - len(SYNCED_MARK))
        received += data
        if not self._upgraded:
            end = received.find(_END_OF_HEAD)
            if end < 0:
                return
            self._upgraded = True
            del received[: end + len(_END_OF_HEAD)]
            self._transport.write(self._greeting)
        elif received.find(SYNCED_MARK, seen) >= 0 and not self.synced.done():
            self.synced.set_result(time.perf_counter())

    def connection_lost(self, _: Exception | None) -> None:
        """Fail unless all is here."""
        if not self.synced.done():
            said = bytes(self.received[-300:]).decode(errors="replace")
            self.synced.set_exception(ConnectionError(f"closed before synced: {said}"))

    def close(self) -> None:
        """Say goodbye and leave."""
        if not self._transport.is_closing():
            self._transport.write(CLOSE)
            self._transport.close()


async def come_back(port: int, returners: Sequence[Returner], progress: Progress) -> dict[str, Any]:
    """Connect all at once; report how long it took until all were synced, and whether all was right."""
    loop = asyncio.get_running_loop()
    progress.stage("coming back", len(returners))
    start = time.perf_counter()

    async def one(returner: Returner) -> tuple[Homecoming, float]:
        async with asyncio.timeout(TIMEOUT_S):
            _, home = await loop.create_connection(lambda: Homecoming(port, returner), "127.0.0.1", port)
            at = await home.synced
        progress.advance(1)
        return home, at

    arrived = await asyncio.gather(*(one(returner) for returner in returners), return_exceptions=True)
    faults, after_us = [], array("q")
    for returner, arrival in zip(returners, arrived, strict=True):
        if isinstance(arrival, BaseException):
            faults.append(repr(arrival))
            continue
        home, at = arrival
        after_us.append(int((at - start) * 1_000_000))
        home.close()
        fault = returner.fault(bytes(home.received))
        if fault is not None:
            faults.append(fault)
    return {
        "mode": "resume",
        "clients": len(returners),
        "events": sum(returner.missed for returner in returners),
        "synced_s": max(after_us, default=0) / 1_000_000,
        "each_ms": percentiles(after_us),
        "faults": len(faults),
        "excerpts": faults[:EXCERPTS],
        "ok": not faults,
    }
