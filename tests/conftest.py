"""What holds for the whole suite."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs under test: a shell starts what runs in its background with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
