"""All benchmarks, each beside floors measured in the same run: `python -m benchmarks` (`make bench`).

Figures go to stdout, progress to stderr. Targets are for full sizes on a machine that does nothing else;
`--quick` only shows that everything works. Exit codes: 0 measured (whether or not targets are met, which the
table says), 1 a part could not be measured, 2 wrong usage.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import against
from benchmarks.bench import Bench
from benchmarks.machine import file_system, machine
from benchmarks.parts import fanout, growth, idle, latency, packet, resume, road, statement, verify
from benchmarks.process import raise_open_files
from benchmarks.progress import QUIET
from benchmarks.report import markdown, table
from benchmarks.results import Row, failure
from benchmarks.sizes import FULL, QUICK, Sizes
from benchmarks.watch import Watch

PARTS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "road": road.run,
    "fanout": fanout.run,
    "idle": idle.run,
    "latency": latency.run,
    "growth": growth.run,
    "resume": resume.run,
    "packet": packet.run,
    "statement": statement.run,
    "verify": verify.run,
}


def main() -> None:
    """Measure what was asked for and print it."""
    options = _parser().parse_args()
    # A plain SIGTERM would skip the clean-up and leave servers behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    os.environ[QUIET] = "1"
    raise_open_files()
    started = datetime.now(UTC)
    folder = Path(tempfile.mkdtemp(prefix="tuppence-bench-", dir=options.directory))
    folder.chmod(0o711)  # PostgreSQL refuses to run as root, and then has to reach its own folder as nobody
    try:
        line = machine(folder)
        if file_system(folder) in ("tmpfs", "ramfs"):
            print(f"{folder} is in memory, where nothing is durable; see --directory", file=sys.stderr)
        with Watch() as watch:
            bench = Bench(_sizes(options), folder, watch)
            rows = measure(bench, options.only) if options.against is None else _compared(bench, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(rows, line, started, options)
    sys.exit(any(row.value is None for row in rows))


def _sizes(options: argparse.Namespace) -> Sizes:
    sizes = QUICK if options.quick else FULL
    return sizes if options.rounds is None else replace(sizes, rounds=options.rounds)


def _compared(bench: Bench, options: argparse.Namespace) -> list[Row]:
    names = [name for name in options.only if name in against.PARTS]
    try:
        with against.checked_out(options.against, bench.folder) as (tree, name):
            return against.Comparison(bench, tree, name).run(names)
    except RuntimeError as fault:
        sys.exit(f"--against: {fault}")


def measure(bench: Bench, names: Sequence[str]) -> list[Row]:
    """Run these parts; one that fails is a row that says why, and the others go on."""
    rows: list[Row] = []
    for name in names:
        try:
            rows += PARTS[name](bench)
        except Exception as error:  # noqa: BLE001 - told, and the exit code says it
            bench.watch.say(f"failed: {error}")
            rows.append(failure(name, error))
        for left in bench.folder.iterdir():
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
    return rows


def _print(rows: list[Row], line: str, started: datetime, options: argparse.Namespace) -> None:
    when = f"{started:%Y-%m-%d %H:%M} UTC" + (", tiny sizes" if options.quick else "")
    show = markdown if options.markdown else table
    show(rows, f"{when} · {line}", judged=not options.quick)
    if options.json is not None:
        found = {
            "machine": line,
            "started": started.isoformat(timespec="seconds"),
            "quick": options.quick,
            "rows": [row.as_json() for row in rows],
        }
        options.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=_names, default=tuple(PARTS), metavar="PART,…", help=f"some of {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--against",
        type=_revision,
        metavar="REV",
        help=f"beside an older commit as the floor: {', '.join(against.PARTS)}",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of floor, ours, floor (default: 3)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; the figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows with their samples")
    parser.add_argument("--markdown", action="store_true", help="print the table as in benchmarks/README.md")
    parser.add_argument("--directory", type=Path, help="where the data lives; a real disk (default: TMPDIR)")
    return parser


def _revision(text: str) -> str:
    if against.short_name(text) is None:
        raise argparse.ArgumentTypeError(f"there is no revision {text!r} here")
    return text


def _names(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(PARTS))
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in names)


if __name__ == "__main__":
    main()
