"""What holds for the whole suite."""

import signal


def pytest_configure() -> None:
    """Let signals reach the programs under test, which inherit it where they are ignored (nohup, a job of a script)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
