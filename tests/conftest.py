"""What holds for the whole suite: signals, a bound on how long a test runs, and servers to test against."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.hang import HangGuard
from tests.support.sdk import joined
from tests.support.server import Server, configured

from tuppence_client import Client
from tuppence_testing import Sandbox

TEST_SECONDS_MAX: Final = 120
"""No claim about speed: many times what the longest test takes."""


def pytest_configure(config: pytest.Config) -> None:
    """Let signals reach the programs under test, which inherit it where they are ignored (nohup, a job of a
    script)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.addinivalue_line(
        "markers", "settings(**values): of the server that a test is given, RATE_LIMITS='on'"
    )
    config.addinivalue_line(
        "markers", "seconds(most): that a test may run, where it needs longer than all others"
    )
    config.pluginmanager.register(HangGuard(TEST_SECONDS_MAX))


@pytest.fixture
async def stopped(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """A server that has not been started; its log may tell of anything."""
    marker = request.node.get_closest_marker("settings")
    server = configured(tmp_path, marker.kwargs if marker else {})
    yield server
    await server.close()


@pytest.fixture
async def faulty(stopped: Server) -> Server:
    """A server at work whose log may tell of faults."""
    await stopped.start()
    return stopped


@pytest.fixture
async def server(faulty: Server) -> AsyncIterator[Server]:
    """A server at work, of which a fault in the log fails the test."""
    yield faulty
    await faulty.close()
    assert faulty.faults() == []


@pytest.fixture
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """A server behind a network that fails on demand; @bob is there."""
    marker = request.node.get_closest_marker("settings")
    async with Sandbox(**(marker.kwargs if marker else {})) as sandbox:
        sandbox.token("bob")
        yield sandbox


@pytest.fixture
async def alice(sandbox: Sandbox) -> AsyncIterator[Client]:
    """The SDK in the sandbox, as @alice."""
    async with joined(sandbox) as me:
        yield me


@pytest.fixture
async def bob(sandbox: Sandbox) -> AsyncIterator[Client]:
    """The SDK in the sandbox, as @bob."""
    async with joined(sandbox, "bob") as me:
        yield me
