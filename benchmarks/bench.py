"""What every part is given: sizes, a folder, somebody to tell, and ways to seed and to load a server."""

import asyncio
import gc
import json
import shutil
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.process import child, cpu_seconds, has_uvloop, loop_factory, read_json
from benchmarks.seed import (
    EVENTS_PER_PERSON,
    seed,
    seed_behind,
    seed_groups,
    seed_ledger,
    seed_statements,
)
from benchmarks.sizes import Sizes
from benchmarks.tally import checked
from benchmarks.target import Running, serving
from benchmarks.watch import Watch
from tuppence_server.app import SWITCH_INTERVAL_S

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seeded:
    """A data directory and the plan of those who are to connect to it."""

    data: Path
    plan: Path


@dataclass(slots=True)
class Bench:
    """One run of the benchmarks. `peak_per_s` is what `road` found, for those who load a part of it."""

    sizes: Sizes
    folder: Path
    watch: Watch
    peak_per_s: float | None = None

    def seed(
        self, name: str, people: int, *, accounts: int = 0, events: int = 0, room: bool = False
    ) -> Seeded:
        """Fill a data directory for `people` connections, with a history of others before them."""
        total = people * EVENTS_PER_PERSON + accounts + max(events, 2 * accounts)
        with self.watch.count("seeding", total) as advance:
            made = seed(
                self.folder / name,
                people=people,
                extra_accounts=accounts,
                extra_events=events,
                room=room,
                advance=advance,
            )
            return self._planned(name, _finish(made))

    def seed_behind(self, name: str, people: int, missed: int) -> Seeded:
        """Fill a data directory for people who have missed events."""
        total = people * EVENTS_PER_PERSON + people // 2 * missed
        with self.watch.count("seeding", total) as advance:
            made = seed_behind(self.folder / name, people=people, missed=missed, advance=advance)
            return self._planned(name, _finish(made))

    def seed_statements(self, name: str, lines: Sequence[int]) -> Seeded:
        """Fill a data directory for people with statements of so many lines."""
        total = 2 * len(lines) * EVENTS_PER_PERSON + sum(lines)
        with self.watch.count("seeding", total) as advance:
            made = seed_statements(self.folder / name, lines, advance=advance)
            return self._planned(name, _finish(made))

    def seed_groups(self, name: str, counts: Sequence[int]) -> Seeded:
        """Fill a data directory for people who are in so many groups each."""
        total = (1 + len(counts)) * EVENTS_PER_PERSON + max(counts)
        with self.watch.count("seeding", total) as advance:
            made = seed_groups(self.folder / name, counts, advance=advance)
            return self._planned(name, _finish(made))

    def seed_ledger(self, name: str, accounts: int, transfers: int) -> Seeded:
        """Fill a data directory with so many transfers, for nobody to connect to."""
        with self.watch.count("seeding", accounts * EVENTS_PER_PERSON + transfers) as advance:
            made = seed_ledger(self.folder / name, accounts, transfers, advance=advance)
            return self._planned(name, _finish(made))

    def _planned(self, name: str, plan: list[dict[str, Any]]) -> Seeded:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(plan), encoding="utf-8")
        return Seeded(self.folder / name, path)

    @contextmanager
    def fresh(self, seeded: Seeded) -> Iterator[Path]:
        """A copy of a data directory, gone afterwards: the next measurement starts where this one did."""
        copy = self.folder / "fresh"
        shutil.copytree(seeded.data, copy)
        try:
            yield copy
        finally:
            shutil.rmtree(copy)

    def load(self, server: Running, seeded: Seeded, mode: str, *arguments: str) -> dict[str, Any]:
        """Run one load; its report, with the server's processor time per acknowledged frame added.

        Raises:
            RuntimeError: anything was refused, lost or unanswered.
        """
        target = ("--port", str(server.port), "--plan", str(seeded.plan))
        before = cpu_seconds(server.pid)
        with child("benchmarks.load", mode, *target, *arguments) as generator:
            report = checked(read_json(generator))
        spent_s = cpu_seconds(server.pid) - before
        return report | {
            "server_us_each": spent_s * 1_000_000 / report["acks"] if report.get("acks") else None
        }

    def pay(self, data: Path, seeded: Seeded, kind: str = "pay.send") -> dict[str, Any]:
        """As much as goes: the closed loop of `road`, into a server on `data`."""
        return self.serve_load(data, seeded, "closed", "--kind", kind, *self.closed_shape())

    def serve_load(
        self, data: Path, seeded: Seeded, mode: str, *arguments: str, tree: Path | None = None
    ) -> dict[str, Any]:
        """Start a server on `data`, run one load, stop the server; the load's report."""
        with serving(data, tree) as server:
            return self.load(server, seeded, mode, *arguments)

    def closed_shape(self) -> tuple[str, ...]:
        """The sizes of the closed loop, as arguments of the load generator."""
        sizes = self.sizes
        shape = ("--connections", str(sizes.connections), "--in-flight", str(sizes.in_flight))
        return (*shape, "--warmup", str(sizes.warmup_s), "--seconds", str(sizes.seconds))


def _finish(seeding: Coroutine[Any, Any, T]) -> T:
    """Run a seeding as the server would run: few collections,
    and a writer that need not wait for the interpreter."""
    collected, switched = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50_000, 50, 100)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with asyncio.Runner(loop_factory=loop_factory(uvloop=has_uvloop())) as runner:
            return runner.run(seeding)
    finally:
        gc.set_threshold(*collected)
        sys.setswitchinterval(switched)
