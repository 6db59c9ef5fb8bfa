"""How many deliveries a second a room gets of messages that are stored and durable first."""

from dataclasses import dataclass
from statistics import median

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_fanout
from benchmarks.process import has_uvloop
from benchmarks.results import Row, Target, interleave, paired


@dataclass(frozen=True, slots=True)
class Shape:
    """How many write, with how many messages in flight each, and what is promised."""

    senders: int
    in_flight: int
    bound: float

    def __str__(self) -> str:
        who = "1 sender" if self.senders == 1 else f"{self.senders} senders"
        return f"{who}, {self.in_flight} in flight"

    def arguments(self) -> tuple[str, ...]:
        """For the load generator."""
        return ("--senders", str(self.senders), "--in-flight", str(self.in_flight))


SHAPES = (Shape(1, 1, 0.8), Shape(10, 2, 4.0))


def run(bench: Bench) -> list[Row]:
    """Each shape between the bare servers, of which the faster counts."""
    sizes = bench.sizes
    measurements = len(SHAPES) * (sizes.fanout_rounds + (sizes.fanout_rounds + 1) * len(bare_fanout.SERVERS))
    bench.watch.part("fanout", measurements)
    seeded = bench.seed("room", sizes.room, room=True)
    return [_row(bench, seeded, shape) for shape in SHAPES]


def _row(bench: Bench, seeded: Seeded, shape: Shape) -> Row:
    sizes = bench.sizes
    floors, ours = interleave(
        sizes.fanout_rounds, lambda: _floors(bench, shape), lambda: _load(bench, seeded, shape)
    )
    by_server = {name: [floor[name] for floor in floors] for name in bare_fanout.SERVERS}
    fastest = max(by_server, key=lambda name: median(by_server[name]))
    return Row(
        part="fanout",
        name=f"stored deliveries into a room of {sizes.room:,}: {shape}",
        value=median(ours),
        unit="/s",
        floor_name=f"bare {fastest}, nothing stored",
        floor=median(by_server[fastest]),
        ratio=paired(ours, [max(floor.values()) for floor in floors]),
        target=Target("≥", shape.bound),
        note=", ".join(f"bare {name} {median(rates):,.0f} /s" for name, rates in by_server.items()),
        samples={"tuppence": ours} | by_server,
    )


def _floors(bench: Bench, shape: Shape) -> dict[str, float]:
    sizes, found = bench.sizes, {}
    for server in bare_fanout.SERVERS:
        with bench.watch.step(f"{shape}, bare {server}"):
            report = bare_fanout.measure(
                server,
                uvloop=has_uvloop(),
                connections=sizes.room,
                senders=shape.senders,
                in_flight=shape.in_flight,
                warmup=sizes.warmup_s,
                seconds=sizes.fanout_s,
            )
        found[server] = float(report["deliveries_per_s"])
        bench.watch.say(f"{shape}, bare {server} {found[server]:,.0f} /s")
    return found


def _load(bench: Bench, seeded: Seeded, shape: Shape) -> float:
    sizes = bench.sizes
    times = ("--warmup", str(sizes.warmup_s), "--seconds", str(sizes.fanout_s))
    with bench.watch.step(f"{shape}, stored"), bench.fresh(seeded) as data:
        report = bench.serve_load(data, seeded, "fanout", *shape.arguments(), *times)
    rate = float(report["deliveries_per_s"])
    cpu = report["client_cpu"]
    bench.watch.say(f"{shape}, stored {rate:,.0f} /s (load generator at {cpu:.0%} of a core)")
    return rate
