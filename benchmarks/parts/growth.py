"""Whether payments stay as fast on a log that holds millions of events,
and looking back behind a long history."""

import json
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.bench import Bench, Seeded
from benchmarks.looking_back import ask_ms, hello_ms
from benchmarks.results import Row, Target, interleave, paired
from benchmarks.returning import Returner
from benchmarks.target import Running, serving


def run(bench: Bench) -> list[Row]:
    """The same people pay on a new log and, in between, on an old one, which keeps what each round adds."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("growth", 2 * sizes.rounds + 4)
    new = bench.seed("new", sizes.connections)
    old = bench.seed("old", sizes.connections, accounts=sizes.old_accounts, events=sizes.old_events)
    floors, ours = interleave(sizes.rounds, lambda: _on_new(bench, new), lambda: _on_old(bench, old))
    return [
        Row(
            part="growth",
            name=f"durable payments behind {sizes.old_events:,} events of {sizes.old_accounts:,} other "
            "accounts",
            value=median(ours),
            unit="/s",
            floor_name="the same on a new log",
            floor=median(floors),
            ratio=paired(ours, floors),
            target=Target("≥", 0.8),
            note=f"the {sizes.connections} that pay are the same on both logs; the old accounts only "
            "lie there",
            samples={"old": ours, "new": floors},
        ),
        *_looking_back(bench),
    ]


def _looking_back(bench: Bench) -> list[Row]:
    """What a question and a hello take of who has much behind them, against who has little."""
    sizes = bench.sizes
    lines, fewer = sizes.statement_lines, sizes.statement_fewer
    paid = bench.seed_statements("paid", (lines, fewer))
    groups = bench.seed_groups("groups", (sizes.groups, sizes.groups_fewer))
    last = 2 * (lines + fewer)  # a deposit for each of four people, and a transfer for each other line
    half = {"currency": "EUR", "after": last // 4, "limit": 1}
    nothing = {"state": "expired", "limit": 50}
    cases: list[tuple[str, str, Seeded, Callable[[Running, dict[str, Any]], float]]] = [
        (
            f"ask.statement from the middle of {lines:,} lines", f"{fewer:,} lines", paid,
            lambda server, who: ask_ms(server.port, who["token"], "ask.statement", half),
        ),
        (
            f"ask.payments that nothing fits, of {lines:,}", f"{fewer:,} payments", paid,
            lambda server, who: ask_ms(server.port, who["token"], "ask.payments", nothing),
        ),
        (
            f"hello to synced, in {sizes.groups:,} groups", f"in {sizes.groups_fewer:,} groups", groups,
            lambda server, who: hello_ms(server.port, Returner(**who)),
        ),
    ]  # fmt: skip
    return [_compared(bench, *case) for case in cases]


def _compared(
    bench: Bench,
    name: str,
    little: str,
    seeded: Seeded,
    taken: Callable[[Running, dict[str, Any]], float],
) -> Row:
    much, less = json.loads(seeded.plan.read_text(encoding="utf-8"))
    with bench.watch.step(name), serving(seeded.data) as server:
        taken(server, less)  # what only the first one pays for
        floors, ours = interleave(
            bench.sizes.rounds, lambda: taken(server, less), lambda: taken(server, much)
        )
    bench.watch.say(f"{name}: {median(ours):.2f} ms")
    return Row(
        part="growth",
        name=name,
        value=median(ours),
        unit="ms",
        floor_name=little,
        floor=median(floors),
        ratio=paired(ours, floors),
        samples={"much": ours, "little": floors},
    )


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
