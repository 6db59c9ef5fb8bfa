"""A terminal with a screen that tests can read: a real pty, and an emulator behind it."""

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import pyte
from tests.support.waiting import WAIT_S


class Screen:
    """One program on one terminal of `columns` by `rows`."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, columns: int, rows: int) -> None:
        self.process = process
        self._master = master
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self._screen.write_process_input = self._answer
        self.said = b""
        asyncio.get_running_loop().add_reader(master, self._read)

    def _answer(self, text: str) -> None:
        os.write(self._master, text.encode())

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.said += data
        self._stream.feed(data)
        self._changed.set()

    @property
    def rows(self) -> list[str]:
        """What is to be seen, without spaces at the ends."""
        return [row.rstrip() for row in self._screen.display]

    @property
    def text(self) -> str:
        """What is to be seen, as one text."""
        return "\n".join(self.rows)

    def type(self, text: str, *, enter: bool = True) -> None:
        """Press keys."""
        os.write(self._master, text.encode() + b"\r" * enter)

    async def until(self, seen: Callable[[list[str]], bool] | str) -> list[str]:
        """Wait until a text, or something else, is to be seen; the rows then."""

        def found() -> bool:
            return seen in self.text if isinstance(seen, str) else seen(self.rows)

        try:
            async with asyncio.timeout(WAIT_S):
                while not found():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not seen: {seen}\n{self.text}") from None
        return self.rows

    async def end(self) -> int:
        """Wait until the program has ended; its exit code."""
        return await asyncio.to_thread(self.process.wait, WAIT_S)


@asynccontextmanager
async def on_screen(
    command: Sequence[str], env: Mapping[str, str], columns: int = 80, rows: int = 24
) -> AsyncIterator[Screen]:
    """Run a program on a terminal; it is killed at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(  # noqa: ASYNC220 - it is started, not waited for
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**env, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
    )  # fmt: skip
    os.close(slave)
    screen = Screen(process, master, columns, rows)
    try:
        yield screen
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
        with suppress(ValueError, OSError):
            asyncio.get_running_loop().remove_reader(master)
        os.close(master)
