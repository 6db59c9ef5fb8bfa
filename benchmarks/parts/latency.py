"""How late an event is, to its sender and to others, at a third of the most that the server can do."""

from statistics import median
from typing import Any

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_fanout, fsync
from benchmarks.results import Row, Target, interleave, paired

SHARE = 1 / 3
MIN_KEPT = 0.95
"""A run that did not get this share of its frames answered in time was no run at that rate."""
AGES = {"own_ms": "the sender's own event", "other_ms": "the other's event"}


def run(bench: Bench) -> list[Row]:
    """An open loop at a third of the peak that `road` found; without `road` the peak is measured first."""
    sizes = bench.sizes
    bench.watch.part("latency", 2 * sizes.rounds + 1 + (bench.peak_per_s is None))
    seeded = bench.seed("latency", sizes.connections)
    rate = (bench.peak_per_s or _peak(bench, seeded)) * SHARE
    floors, ours = interleave(sizes.rounds, lambda: _floor(bench, rate), lambda: _pace(bench, seeded, rate))
    return [_row(bench, rate, ours, floors, age, quantile) for age in AGES for quantile in ("p50", "p99")]


def _peak(bench: Bench, seeded: Seeded) -> float:
    with bench.watch.step("peak"), bench.fresh(seeded) as data:
        return float(bench.pay(data, seeded)["acks_per_s"])


def _floor(bench: Bench, rate: float) -> dict[str, Any]:
    sizes = bench.sizes
    with bench.watch.step("bare picows, fdatasync"):
        report = bare_fanout.measure_paced("picows", rate, warmup=sizes.warmup_s, seconds=sizes.seconds)
        disk = fsync.measure(sizes.fsync_s, directory=bench.folder)
    bench.watch.say(
        f"bare picows at the same rate p50 {report['own_ms']['p50']:.2f} ms, p99 "
        f"{report['own_ms']['p99']:.2f} ms;"
        f" fdatasync of 4 KiB p50 {disk['p50']:.2f} ms, p99 {disk['p99']:.2f} ms"
    )
    return report | {"fsync_ms": disk}


def _pace(bench: Bench, seeded: Seeded, rate: float) -> dict[str, Any]:
    shape = ("--kind", "pay.send", "--rate", f"{rate:.0f}", *bench.closed_shape())
    with bench.watch.step(f"{rate:,.0f} payments/s"), bench.fresh(seeded) as data:
        report = bench.serve_load(data, seeded, "paced", *shape)
    if report["acks_per_s"] < MIN_KEPT * rate:
        raise RuntimeError(f"{report['acks_per_s']:,.0f} /s were answered of {rate:,.0f} /s")
    ages = ", ".join(f"{what} p99 {report[age]['p99']:.1f} ms" for age, what in AGES.items())
    bench.watch.say(f"{report['acks_per_s']:,.0f} payments/s: {ages}")
    return report


def _row(
    bench: Bench,
    rate: float,
    ours: list[dict[str, Any]],
    floors: list[dict[str, Any]],
    age: str,
    quantile: str,
) -> Row:
    last = quantile == "p99"
    found = [report[age][quantile] for report in ours]
    beside = [floor[age][quantile] for floor in floors]
    disk = [floor["fsync_ms"][quantile] for floor in floors]
    return Row(
        part="latency",
        name=f"{quantile}, payment to {AGES[age]}, at {rate:,.0f}/s over {bench.sizes.connections} "
        "connections",
        value=median(found),
        unit="ms",
        floor_name="bare picows repeating to two, same rate, nothing stored",
        floor=median(beside),
        ratio=paired(found, beside),
        target=Target("≤", 15, of="value") if last else None,
        note=f"worst {max(report[age]['max'] for report in ours):.1f} ms; one fdatasync {quantile} "
        f"{median(disk):.2f} ms",
        samples={"tuppence": found, "picows": beside, "fdatasync": disk},
    )
