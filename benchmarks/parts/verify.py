"""How fast the whole ledger is checked, as an operator does it."""

from statistics import median

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_scan
from benchmarks.results import Row, Target, interleave, paired
from benchmarks.target import Verified, verify

DATABASE = "tuppence.db"


def run(bench: Bench) -> list[Row]:
    """`tuppence ledger verify --json` from its start to its end, between floors on the same file."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("verify", 2 * sizes.ledger_rounds + 1)
    seeded = bench.seed_ledger("ledger", sizes.ledger_accounts, sizes.ledger_transfers)
    floors, ours = interleave(
        sizes.ledger_rounds, lambda: _floor(bench, seeded), lambda: _verify(bench, seeded)
    )
    transfers, events = ours[0].transfers, ours[0].events
    if transfers < sizes.ledger_transfers:
        raise RuntimeError(f"{transfers:,} transfers were seeded instead of {sizes.ledger_transfers:,}")
    rates = [transfers / found.seconds for found in ours]
    beside = [transfers / seconds for seconds in floors]
    seconds, cpu_s = median(found.seconds for found in ours), median(found.cpu_s for found in ours)
    return [
        Row(
            part="verify",
            name=f"transfers checked by `ledger verify`, of {transfers:,} in {events:,} events",
            value=median(rates),
            unit="/s",
            floor_name="every row read once and hashed, one process",
            floor=median(beside),
            ratio=paired(rates, beside),
            target=Target("≥", 200_000, of="value"),
            note=f"the whole process took {seconds:.2f} s, {cpu_s:.2f} s of CPU",
            samples={"tuppence": rates, "scan": beside},
        )
    ]


def _floor(bench: Bench, seeded: Seeded) -> float:
    with bench.watch.step("bare scan"):
        seconds, rows = bare_scan.measure(seeded.data / DATABASE)
    bench.watch.say(f"bare scan of {rows:,} rows in {seconds:.2f} s")
    return seconds


def _verify(bench: Bench, seeded: Seeded) -> Verified:
    with bench.watch.step("ledger verify"):
        found = verify(seeded.data)
    bench.watch.say(
        f"ledger verify: {found.transfers:,} transfers in {found.seconds:.2f} s ({found.cpu_s:.2f} s of CPU),"
        f" {found.transfers / found.seconds:,.0f} /s"
    )
    return found
