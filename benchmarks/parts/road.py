"""How many durable payments, and durable messages, are acknowledged a second."""

from statistics import median
from typing import Any

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_sqlite, pgbench
from benchmarks.results import Row, Target, interleave, paired
from benchmarks.target import verify

PAYMENTS, CHAT = "pay.send", "chat.text"


def run(bench: Bench) -> list[Row]:
    """Closed loop over all connections, between floors;
    the books are checked after each round of payments."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("road", 4 * sizes.rounds + 2)
    seeded = bench.seed("road", sizes.connections)
    kinds = [PAYMENTS, CHAT]

    def ours() -> dict[str, dict[str, Any]]:
        reports = {kind: _load(bench, seeded, kind) for kind in kinds}
        kinds.reverse()  # so that neither always comes second
        return reports

    with pgbench.filled(scale=sizes.pgbench_scale, directory=bench.folder) as cluster:
        floors, reports = interleave(sizes.rounds, lambda: _floors(bench, cluster), ours)
    tps, bare = [list(column) for column in zip(*floors, strict=True)]
    payments = [report[PAYMENTS]["acks_per_s"] for report in reports]
    chat = [report[CHAT]["acks_per_s"] for report in reports]
    bench.peak_per_s = median(payments)
    notes = [_cpu(reports, kind) for kind in (PAYMENTS, CHAT)]
    return _rows(bench, payments, chat, tps, bare, notes)


def _floors(bench: Bench, cluster: pgbench.Cluster) -> tuple[float, float]:
    sizes, watch = bench.sizes, bench.watch
    with watch.step("pgbench"):
        tps = pgbench.timed(cluster, sizes.pgbench_s, warmup_seconds=sizes.pgbench_warmup_s)
    watch.say(f"pgbench TPC-B-like {tps:,.0f} /s")
    with watch.step("bare SQLite"):
        bare = bare_sqlite.measure(sizes.sqlite_s, directory=bench.folder)
    watch.say(f"bare SQLite {bare:,.0f} /s")
    return tps, bare


def _load(bench: Bench, seeded: Seeded, kind: str) -> dict[str, Any]:
    with bench.watch.step(kind), bench.fresh(seeded) as data:
        report = bench.pay(data, seeded, kind)
        if kind == PAYMENTS:
            verify(data)
    bench.watch.say(
        f"{kind} {report['acks_per_s']:,.0f} /s (server {report['server_us_each']:.0f} µs of CPU for each,"
        f" load generator at {report['client_cpu']:.0%} of a core)"
    )
    return report


def _cpu(reports: list[dict[str, dict[str, Any]]], kind: str) -> str:
    each = median(report[kind]["server_us_each"] for report in reports)
    highest = max(report[kind]["client_cpu"] for report in reports)
    return f"server {each:.0f} µs of CPU for each; load generator at most {highest:.0%} of a core"


def _rows(
    bench: Bench,
    payments: list[float],
    chat: list[float],
    tps: list[float],
    bare: list[float],
    notes: list[str],
) -> list[Row]:
    shape = f"{bench.sizes.connections} connections, {bench.sizes.in_flight} in flight"
    above_pgbench = Row(
        part="road",
        name=f"durable payments, {shape}",
        value=median(payments),
        unit="/s",
        floor_name="pgbench TPC-B-like, 16 clients, prepared",
        floor=median(tps),
        ratio=paired(payments, tps),
        target=Target("≥", 6),
        note=f"{notes[0]}; books verified after each run",
        samples={"tuppence": payments, "pgbench": tps},
    )
    beside_sqlite = Row(
        part="road",
        name="the same payments",
        value=median(payments),
        unit="/s",
        floor_name="the same rows into bare SQLite, batches of 256",
        floor=median(bare),
        ratio=paired(payments, bare),
        samples={"tuppence": payments, "sqlite": bare},
    )
    return [above_pgbench, beside_sqlite, _chat_row(shape, payments, chat, notes[1])]


def _chat_row(shape: str, payments: list[float], chat: list[float], note: str) -> Row:
    return Row(
        part="road",
        name=f"durable messages, {shape}",
        value=median(chat),
        unit="/s",
        floor_name="payments in the same round",
        floor=median(payments),
        ratio=median(text / payment for text, payment in zip(chat, payments, strict=True)),
        target=Target("≥", 1),
        note=note,
        samples={"chat": chat, "payments": payments},
    )
