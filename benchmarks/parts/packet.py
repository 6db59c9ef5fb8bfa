"""A red packet in a group where everybody claims at the same instant."""

from statistics import median
from typing import Any

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_packet
from benchmarks.process import has_uvloop
from benchmarks.results import Row, Target, interleave, paired
from benchmarks.target import verify

TIMES = {
    "outcome_s": ("until the last one's own outcome", Target("≤", 1, of="value")),
    "all_s": ("until the last one has seen every claim", None),
}


def run(bench: Bench) -> list[Row]:
    """From the first claim sent; all outcomes are checked, and the books after each round."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("packet", 2 * sizes.rounds + 1)
    seeded = bench.seed("packet", sizes.claimers, room=True)
    floors, ours = interleave(sizes.rounds, lambda: _floor(bench), lambda: _claim(bench, seeded))
    return [_row(bench, ours, floors, time) for time in TIMES]


def _row(bench: Bench, ours: list[dict[str, Any]], floors: list[dict[str, Any]], time: str) -> Row:
    sizes, (what, target) = bench.sizes, TIMES[time]
    found, beside = [report[time] for report in ours], [floor[time] for floor in floors]
    sent = max(report["sent_ms"] for report in ours)
    size, bare = (median(report["received_bytes"] for report in reports) for reports in (ours, floors))
    return Row(
        part="packet",
        name=f"{sizes.claimers} claim {sizes.shares} lucky shares at once: {what}",
        value=median(found),
        unit="s",
        floor_name="bare websockets server, no money, nothing stored",
        floor=median(beside),
        ratio=paired(found, beside),
        target=target,
        note=f"worst {max(found):.2f} s; all claims were sent within {sent:.0f} ms; {size / 1e6:.1f} MB "
        "received,"
        f" from the floor {bare / 1e6:.1f} MB; winners, shares, seed and books checked after each",
        samples={"tuppence": found, "websockets": beside},
    )


def _floor(bench: Bench) -> dict[str, Any]:
    sizes = bench.sizes
    with bench.watch.step("bare websockets"):
        report = bare_packet.measure(sizes.claimers, shares=sizes.shares, uvloop=has_uvloop())
    bench.watch.say(f"bare websockets {_told(report)}")
    return report


def _claim(bench: Bench, seeded: Seeded) -> dict[str, Any]:
    with bench.watch.step("claiming"), bench.fresh(seeded) as data:
        report = bench.serve_load(data, seeded, "packet", "--shares", str(bench.sizes.shares))
        verify(data)
    bench.watch.say(f"claimed {_told(report)}")
    return report


def _told(report: dict[str, Any]) -> str:
    each = report["each_ms"]
    return (
        f"all outcomes {report['outcome_s']:.3f} s (p50 {each['p50']:.0f} ms), all claims "
        f"{report['all_s']:.3f} s"
        f" (load generator at {report['client_cpu']:.0%} of a core)"
    )
