"""How fast a long statement is sent, and that the server does not grow by its length."""

import http.client
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.bench import Bench, Seeded
from benchmarks.floors import bare_csv
from benchmarks.process import peak_bytes, reset_peak, resident_bytes
from benchmarks.results import Row, Target, interleave, paired
from benchmarks.target import Running, serving

MIB = 1 << 20
READ_BYTES = 1 << 16
AROUND = 3  # records that are no lines: the header, the opening and the closing balance


def run(bench: Bench) -> list[Row]:
    """The long one and one of a tenth, each from a server just started, between floors."""
    sizes, watch = bench.sizes, bench.watch
    watch.part("statement", 3 * sizes.rounds + 1)
    seeded = bench.seed_statements("statement", (sizes.statement_lines, sizes.statement_fewer))
    long, fewer = (_getter(bench, seeded, number) for number in (0, 1))
    floors, pairs = interleave(sizes.rounds, lambda: _floor(bench), lambda: (long(), fewer()))
    return _rows(bench, [pair[0] for pair in pairs], [pair[1] for pair in pairs], floors)


def _rows(
    bench: Bench, long: list[dict[str, float]], fewer: list[dict[str, float]], floors: list[float]
) -> list[Row]:
    sizes = bench.sizes
    rates, tenth = [found["rate"] for found in long], [found["rate"] for found in fewer]
    grown, little = [found["grown"] for found in long], [found["grown"] for found in fewer]
    count = f"{sizes.statement_lines:,} lines"
    against = f"{sizes.statement_fewer:,} lines"
    first_ms = median(found["first_ms"] for found in long)
    return [
        Row(
            part="statement", name=f"CSV of {count}, lines sent", value=median(rates), unit="/s",
            floor_name="ready-made lines from bare SQLite through csv, not sent", floor=median(floors),
            ratio=paired(rates, floors), note=f"the first bytes after {first_ms:.0f} ms",
            samples={"tuppence": rates, "csv": floors},
        ),
        Row(
            part="statement", name="the same", value=median(rates), unit="/s", floor_name=against,
            floor=median(tenth), ratio=median(one / other for one, other in zip(rates, tenth, strict=True)),
            samples={"long": rates, "fewer": tenth},
        ),
        Row(
            part="statement", name=f"growth of the server's resident memory while it sends {count}, peak",
            value=max(grown), unit="MiB", floor_name=against, floor=max(little),
            target=Target("≤", 32, of="value"), note="the worst of all rounds",
            samples={"long": grown, "fewer": little},
        ),
    ]  # fmt: skip


def _floor(bench: Bench) -> float:
    with bench.watch.step("bare SQLite and csv"):
        rate = bare_csv.measure(bench.sizes.statement_lines, directory=bench.folder)
    bench.watch.say(f"bare SQLite and csv {rate:,.0f} lines/s")
    return rate


def _getter(bench: Bench, seeded: Seeded, number: int) -> Callable[[], dict[str, float]]:
    person = json.loads(seeded.plan.read_text(encoding="utf-8"))[number]
    what = f"{person['lines']:,} lines"

    def get() -> dict[str, float]:
        with bench.watch.step(what), bench.fresh(seeded) as data, serving(data) as server:
            _get(server, person["token"], 0, to="1")  # what only the first statement pays for
            reset_peak(server.pid)
            before = resident_bytes(server.pid)
            found = _get(server, person["token"], person["lines"])
            found["grown"] = (peak_bytes(server.pid) - before) / MIB
        bench.watch.say(f"{what}: {found['rate']:,.0f} lines/s, the server grew by {found['grown']:.1f} MiB")
        return found

    return get


def _get(server: Running, token: str, lines: int, **more: str) -> dict[str, float]:
    """Read a statement; lines per second, from asking to the last byte."""
    asked = "&".join(
        f"{name}={value}" for name, value in ({"currency": "EUR", "format": "csv"} | more).items()
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        started = time.perf_counter()
        connection.request("GET", f"/v1/statement?{asked}", headers={"authorization": f"Bearer {token}"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"the statement was refused: {response.read()[:300]!r}")
        records, end, first = 0, b"", 0.0
        while data := response.read1(READ_BYTES):
            first = first or time.perf_counter()
            records += data.count(b"\r\n")
            end = (end + data)[-READ_BYTES:]
        seconds = time.perf_counter() - started
    finally:
        connection.close()
    _check(records, lines, end)
    return {"rate": lines / seconds, "first_ms": (first - started) * 1000}


def _check(records: int, lines: int, end: bytes) -> None:
    """All lines, and the closing balance is what the last line came to."""
    if records != lines + AROUND:
        raise RuntimeError(f"{records - AROUND} lines instead of {lines}")
    last: list[Any] = [record.split(b",") for record in end.split(b"\r\n")[-3:-1]]
    if last[1][4] != b"closing" or last[0][-1] != last[1][-1]:
        raise RuntimeError(f"the statement does not add up: {last}")
