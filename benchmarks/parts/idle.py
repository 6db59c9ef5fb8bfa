"""What an idle connection that has logged in costs the server, in resident bytes."""

from statistics import median

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_idle
from benchmarks.process import has_uvloop
from benchmarks.results import Row, Target, interleave, paired
from benchmarks.target import serving

KIB = 1024


def run(bench: Bench) -> list[Row]:
    """As many people as connections, one each; the first 200 pay for what all share and do not count."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("idle", 2 * sizes.idle_rounds + 1)
    seeded = bench.seed("idle", sizes.idle + bare_idle.FIRST_CONNECTIONS)
    floors, ours = interleave(sizes.idle_rounds, lambda: _floor(bench), lambda: _hold(bench, seeded))
    return [
        Row(
            part="idle",
            name=f"resident memory per idle connection, {sizes.idle:,} logged in",
            value=median(ours),
            unit="KiB",
            floor_name="bare websockets server, no login",
            floor=median(floors),
            ratio=paired(ours, floors),
            target=Target("≤", 10, of="value"),
            samples={"tuppence": ours, "websockets": floors},
        )
    ]


def _floor(bench: Bench) -> float:
    with bench.watch.step("bare websockets"):
        size = bare_idle.measure(bench.sizes.idle, uvloop=has_uvloop()) / KIB
    bench.watch.say(f"bare websockets {size:.1f} KiB per connection")
    return size


def _hold(bench: Bench, seeded: Seeded) -> float:
    plan = ("--plan", str(seeded.plan))
    with bench.watch.step("logged in"), bench.fresh(seeded) as data, serving(data) as server:
        size = bare_idle.bytes_per_connection(server.pid, server.port, bench.sizes.idle, *plan) / KIB
    bench.watch.say(f"logged in {size:.1f} KiB per connection")
    return size
