"""This tree beside an older commit of it: the older one is the floor, on the same machine in the same run.

The older tree is checked out into a folder of its own and seeds its own data, so that neither has to know the
other's. What is loaded are the figures that a large change may cost: payments, messages, deliveries, ages.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bench import Bench, Seeded
from benchmarks.parts.fanout import SHAPES, Shape
from benchmarks.parts.latency import AGES, SHARE
from benchmarks.process import ROOT
from benchmarks.results import Row, Target, interleave, paired
from benchmarks.target import cannot_run, environment

PARTS = ("road", "fanout", "latency")
KEPT_MIN = 0.97
"""A change that costs more has to say why."""
SEED = """
import asyncio, json, sys
from pathlib import Path
from benchmarks.seed import seed
plan = asyncio.run(seed(Path(sys.argv[1]), people=int(sys.argv[2]), room=sys.argv[3] == "room"))
Path(sys.argv[4]).write_text(json.dumps(plan))
"""


@dataclass(frozen=True, slots=True)
class Side:
    """A tree that is measured, with its own data; `tree` is None for this one."""

    name: str
    tree: Path | None


class Comparison:
    """Both sides, each measured in turn."""

    def __init__(self, bench: Bench, tree: Path, revision: str) -> None:
        self._bench = bench
        self._older = Side(revision, tree)
        self._newer = Side("this tree", None)

    def run(self, names: Sequence[str]) -> list[Row]:
        """These parts, one after the other."""
        parts = {"road": self._road, "fanout": self._fanout, "latency": self._latency}
        return [row for name in names for row in parts[name]()]

    def _road(self) -> list[Row]:
        self._bench.watch.part("road", 2 * (2 * self._bench.sizes.rounds + 1))
        seeded = self._seeded("road", self._bench.sizes.connections)
        return [
            self._rates("road", kind, seeded, "closed", *self._closed(kind))
            for kind in ("pay.send", "chat.text")
        ]

    def _fanout(self) -> list[Row]:
        sizes = self._bench.sizes
        self._bench.watch.part("fanout", len(SHAPES) * (2 * sizes.rounds + 1))
        seeded = self._seeded("room", sizes.room, room=True)
        times = ("--warmup", str(sizes.warmup_s), "--seconds", str(sizes.fanout_s))

        def row(shape: Shape) -> Row:
            return self._rates("fanout", str(shape), seeded, "fanout", *shape.arguments(), *times)

        return [row(shape) for shape in SHAPES]

    def _latency(self) -> list[Row]:
        bench = self._bench
        bench.watch.part("latency", 2 * bench.sizes.rounds + 2)
        seeded = self._seeded("latency", bench.sizes.connections)
        peak = float(self._load(self._older, seeded, "closed", *self._closed("pay.send"))["acks_per_s"])
        rate = peak * SHARE
        paced = ("--kind", "pay.send", "--rate", f"{rate:.0f}", *bench.closed_shape())
        older, newer = interleave(
            bench.sizes.rounds,
            lambda: self._load(self._older, seeded, "paced", *paced),
            lambda: self._load(self._newer, seeded, "paced", *paced),
        )
        return [
            self._row("latency", f"{quantile}, payment to {what}, at {rate:,.0f}/s", "ms", None,
                      [report[age][quantile] for report in newer],
                      [report[age][quantile] for report in older])
            for age, what in AGES.items()
            for quantile in ("p50", "p99")
        ]  # fmt: skip

    def _rates(self, part: str, what: str, seeded: dict[str, Seeded], mode: str, *shape: str) -> Row:
        figure = "deliveries_per_s" if mode == "fanout" else "acks_per_s"

        def measured(side: Side) -> float:
            report = self._load(side, seeded, mode, *shape)
            found = float(report[figure])
            self._bench.watch.say(f"{what}, {side.name}: {found:,.0f} /s")
            return found

        older, newer = interleave(
            self._bench.sizes.rounds, lambda: measured(self._older), lambda: measured(self._newer)
        )
        return self._row(part, what, "/s", Target("≥", KEPT_MIN), newer, older)

    def _row(
        self, part: str, what: str, unit: str, target: Target | None, newer: list[float], older: list[float]
    ) -> Row:
        return Row(
            part=part, name=what, value=median(newer), unit=unit, floor_name=self._older.name,
            floor=median(older), ratio=paired(newer, older), target=target,
            samples={"this tree": newer, self._older.name: older},
        )  # fmt: skip

    def _closed(self, kind: str) -> tuple[str, ...]:
        return ("--kind", kind, *self._bench.closed_shape())

    def _seeded(self, name: str, people: int, *, room: bool = False) -> dict[str, Seeded]:
        """Each side's data by its name."""
        return {side.name: self._seed(side, name, people, room=room) for side in (self._older, self._newer)}

    def _seed(self, side: Side, name: str, people: int, *, room: bool) -> Seeded:
        folder = self._bench.folder / ("newer" if side.tree is None else "older")
        folder.mkdir(exist_ok=True)
        made = Seeded(folder / name, folder / f"{name}.json")
        self._bench.watch.say(f"seeding {name} for {side.name}")
        done = subprocess.run(
            [sys.executable, "-c", SEED, str(made.data), str(people), "room" if room else "", str(made.plan)],
            cwd=side.tree or ROOT, env=environment(side.tree or ROOT),
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(cannot_run(side.name, done.stderr))
        return made

    def _load(self, side: Side, seeded: dict[str, Seeded], mode: str, *shape: str) -> dict[str, Any]:
        bench, own = self._bench, seeded[side.name]
        with bench.watch.step(side.name), bench.fresh(own) as data:
            return bench.serve_load(data, own, mode, *shape, tree=side.tree)


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """The tree of a revision in a folder of its own, and its short name.

    Raises:
        RuntimeError: it cannot be checked out.
    """
    name = short_name(revision) or revision
    tree = folder / "tree"
    if _git("worktree", "add", "--detach", "--quiet", str(tree), name) is None:
        raise RuntimeError(f"{name} cannot be checked out")
    try:
        yield tree, name
    finally:
        _git("worktree", "remove", "--force", str(tree))


def short_name(revision: str) -> str | None:
    """What git calls a revision in short; None where there is none."""
    return _git("rev-parse", "--verify", "--quiet", "--short", f"{revision}^{{commit}}")


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
