"""What the disk takes to make one small write durable: no acknowledged frame can be faster."""

import argparse
import json
import os
import tempfile
import time
from array import array
from pathlib import Path

from benchmarks.tally import percentiles

WRITE_BYTES = 4_096


def measure(seconds: float = 2.0, *, directory: Path | None = None) -> dict[str, float]:
    """Return p50, p99 and the maximum of append and fdatasync, in milliseconds."""
    spent_us = array("q")
    with tempfile.TemporaryFile(prefix="fsyncfloor-", dir=directory) as file:
        end = time.perf_counter() + seconds
        while not spent_us or time.perf_counter() < end:
            started_us = time.perf_counter_ns() // 1000
            os.write(file.fileno(), os.urandom(WRITE_BYTES))
            os.fdatasync(file.fileno())
            spent_us.append(time.perf_counter_ns() // 1000 - started_us)
    found = percentiles(spent_us)
    assert found is not None, "at least one write was timed"
    return found


def main() -> None:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--directory", type=Path, help="where the file lives (a real disk)")
    options = parser.parse_args()
    print(json.dumps({"floor": "fsync"} | measure(options.seconds, directory=options.directory)))


if __name__ == "__main__":
    main()
