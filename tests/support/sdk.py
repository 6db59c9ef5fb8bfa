"""The SDK against a sandbox: quick to come back, and what tests wait for."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from tuppence_client import Client, Pace, connect
from tuppence_testing import Sandbox

FAST: Final = Pace(
    retry_s=5, backoff_s=0.004, backoff_max_s=0.02, silence_s=0.05, gap_s=0.01, jitter=lambda: 0.5
)


def joined(
    server: Sandbox, handle: str = "alice", pace: Pace = FAST, **options: Any
) -> AbstractAsyncContextManager[Client]:
    """A connection of that person, who is made if need be."""
    return connect(server.url, token=server.token(handle), pace=pace, **options)


async def take(stream: Any, count: int) -> list[Any]:
    """The next items of a stream."""
    return [await anext(stream) for _ in range(count)]


async def notice_of(stream: Any, kind: type) -> Any:
    """The next notice of that class."""
    async for notice in stream:
        if isinstance(notice, kind):
            return notice
    raise AssertionError(f"the stream ended without {kind}")


def received(server: Sandbox, kind: str) -> list[Any]:
    """The frames of a kind that came, in order."""
    return [frame for frame in server.received if frame.kind == kind]


async def available(me: Any) -> str:
    """What somebody with one currency has."""
    (balance,) = await me.wallet()
    return str(balance.available)
