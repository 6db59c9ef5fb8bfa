"""Whether payments stay as fast on a log that already holds millions of events."""

from statistics import median

from benchmarks.bench import Bench, Seeded
from benchmarks.results import Row, Target, interleave, paired


def run(bench: Bench) -> list[Row]:
    """The same people pay on a new log and, in between, on an old one, which keeps what each round adds."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("growth", 2 * sizes.rounds + 1)
    new = bench.seed("new", sizes.connections)
    old = bench.seed("old", sizes.connections, accounts=sizes.old_accounts, events=sizes.old_events)
    floors, ours = interleave(sizes.rounds, lambda: _on_new(bench, new), lambda: _on_old(bench, old))
    return [
        Row(
            part="growth",
            name=f"durable payments behind {sizes.old_events:,} events of {sizes.old_accounts:,} other accounts",
            value=median(ours),
            unit="/s",
            floor_name="the same on a new log",
            floor=median(floors),
            ratio=paired(ours, floors),
            target=Target("≥", 0.8),
            note=f"the {sizes.connections} that pay are the same on both logs; the old accounts only lie there",
            samples={"old": ours, "new": floors},
        )
    ]


def _on_new(bench: Bench, new: Seeded) -> float:
    with bench.watch.step("new log"), bench.fresh(new) as data:
        rate = float(bench.pay(data, new)["acks_per_s"])
    bench.watch.say(f"new log {rate:,.0f} payments/s")
    return rate


def _on_old(bench: Bench, old: Seeded) -> float:
    with bench.watch.step("old log"):
        rate = float(bench.pay(old.data, old)["acks_per_s"])
    bench.watch.say(f"old log {rate:,.0f} payments/s")
    return rate
