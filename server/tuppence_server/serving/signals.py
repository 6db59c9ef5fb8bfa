"""What the process is told from outside: Ctrl-C and SIGTERM end it,
SIGHUP reloads it or takes it with its terminal."""

import asyncio
import contextlib
import select
import signal
import sys
from collections.abc import Callable, Iterator

from tuppence_server.edge.timer_wheel import TimerWheel


@contextlib.contextmanager
def quiet_signals() -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more at the end; a drained server has nothing to add."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def hang_up(stop: Callable[[], None], reload: Callable[[], None], wheel: TimerWheel) -> Iterator[None]:
    """SIGHUP reloads a service; where a terminal went away, its server goes too, as after SIGTERM.

    A window's signal goes to the first program in it alone, which may wait for the server and keep it from
    it. So the terminal is looked at as well. Whoever started it with the signal ignored (nohup) wants
    neither.
    """
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        yield
        return
    loop = asyncio.get_running_loop()
    terminal = sys.stderr.isatty()
    loop.add_signal_handler(signal.SIGHUP, stop if terminal else reload)
    if terminal:
        wheel.add(_Terminal(sys.stderr.fileno(), stop))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


class _Terminal:
    """The terminal that the log goes to; `gone` is called once nobody holds its other end."""

    def __init__(self, descriptor: int, gone: Callable[[], None]) -> None:
        self._poll = select.poll()
        self._poll.register(descriptor, 0)  # a hang-up is told always, and keys that are pressed are not
        self._gone = gone

    def check(self, now: float) -> None:  # noqa: ARG002 - as all that is watched
        if any(event & select.POLLHUP for _, event in self._poll.poll(0)):
            self._gone()
