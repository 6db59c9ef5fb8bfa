"""A peer cannot fill the log: what a library says of it comes a few times a minute, what we say always."""

import logging

from tuppence_server.telemetry.logs import LINES_PER_WINDOW_MAX, WINDOW_S, Sparing


def record(
    at: float, name: str = "uvicorn.error", line: int = 1, text: str = "Invalid HTTP request."
) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, "httptools_impl.py", line, text, (), None)
    made.created = at
    return made


def test_a_place_in_a_library_writes_a_few_lines_a_minute_and_what_was_left_out_is_told() -> None:
    sparing = Sparing()
    passed = [sparing.filter(record(100 + number / 1_000, text=f"peer {number}")) for number in range(10_000)]
    assert passed.count(True) == LINES_PER_WINDOW_MAX
    assert sparing.filter(record(100, line=2)), "another place has its own"
    later = record(100 + WINDOW_S + 1)
    assert sparing.filter(later)
    assert f"{10_000 - LINES_PER_WINDOW_MAX} more" in later.getMessage()
    quiet = record(100 + 3 * WINDOW_S)
    assert sparing.filter(quiet)
    assert "more" not in quiet.getMessage()


def test_our_own_lines_all_pass() -> None:
    sparing = Sparing()
    assert all(sparing.filter(record(100.0, "tuppence.http")) for _ in range(1_000))
