"""Waiting for conditions, and randomness that can be repeated."""

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
WAIT_S: Final = 30.0
"""How long any wait may take before a test fails; not a claim about speed."""


async def until(condition: Callable[[], Awaitable[T]], what: str = "", within: float = WAIT_S) -> T:
    """Wait until a condition holds, and return what it gave."""
    deadline = time.monotonic() + within
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what or condition}"
        await asyncio.sleep(0.02)
    return found


async def turn_until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)


def seeded() -> random.Random:
    """Randomness whose seed is printed; TUPPENCE_TEST_SEED repeats a run."""
    seed = int(os.environ.get("TUPPENCE_TEST_SEED", random.randrange(2**32)))
    sys.stdout.write(f"TUPPENCE_TEST_SEED={seed}\n")
    return random.Random(seed)


async def elapsed(work: Awaitable[Any]) -> float:
    """Seconds that something takes."""
    started = time.monotonic()
    await work
    return time.monotonic() - started
