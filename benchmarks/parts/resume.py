"""How long it takes until everybody who comes back at once has what they missed."""

from statistics import median

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_resume
from benchmarks.process import has_uvloop
from benchmarks.results import Row, Target, interleave, paired


def run(bench: Bench) -> list[Row]:
    """From the first connect to the last `synced`; each must get exactly its events, in order."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("resume", 2 * sizes.rounds + 1)
    seeded = bench.seed_behind("resume", sizes.returning, sizes.missed)
    floors, ours = interleave(sizes.rounds, lambda: _floor(bench), lambda: _return(bench, seeded))
    return [
        Row(
            part="resume",
            name=f"{sizes.returning:,} clients back at once, {sizes.missed} events behind each: all synced",
            value=median(ours),
            unit="s",
            floor_name="bare websockets server, the same frames from memory",
            floor=median(floors),
            ratio=paired(ours, floors),
            target=Target("≤", 5, of="value"),
            samples={"tuppence": ours, "websockets": floors},
        )
    ]


def _floor(bench: Bench) -> float:
    sizes = bench.sizes
    with bench.watch.step("bare websockets"):
        seconds = bare_resume.measure(sizes.returning, missed=sizes.missed, uvloop=has_uvloop())
    bench.watch.say(f"bare websockets {seconds:.2f} s")
    return seconds


def _return(bench: Bench, seeded: Seeded) -> float:
    with bench.watch.step("resuming"), bench.fresh(seeded) as data:
        report = bench.serve_load(data, seeded, "resume")
    seconds = float(report["synced_s"])
    bench.watch.say(f"resumed in {seconds:.2f} s, {report['events']:,} events in order")
    return seconds
