"""Programs under measurement run in processes of their own; this starts, sizes and ends them.

A child tells where it listens by its first line on stdout, a JSON object; it ends when
its standard input is closed, so that no child outlives a measurement that was killed.
"""

import asyncio
import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STOP_TIMEOUT_S = 15.0


def raise_open_files() -> int:
    """Lift the soft limit of open files to the hard one and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def resident_bytes(pid: int) -> int:
    """Return the resident set size of a process (Linux)."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def reset_peak(pid: int) -> None:
    """Have a process's peak of resident memory begin anew (Linux)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def peak_bytes(pid: int) -> int:
    """Return the most that was resident since `reset_peak` (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, all threads, user and system (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def has_uvloop() -> bool:
    """Tell whether uvloop is installed."""
    return find_spec("uvloop") is not None


def run_loop(main: Coroutine[Any, Any, None], *, uvloop: bool) -> None:
    """Run a coroutine on uvloop or on asyncio's own event loop."""
    with asyncio.Runner(loop_factory=loop_factory(uvloop=uvloop)) as runner:
        runner.run(main)


def loop_factory(*, uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes an event loop."""
    if not uvloop:
        return asyncio.new_event_loop
    # uvloop is an extra: a machine without it can still measure on asyncio.
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory


def announce(port: int) -> None:
    """Tell the parent, as a child, on which port the program now listens."""
    print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)


async def parent_gone() -> None:
    """Wait, as a child, until the parent closes this process's standard input."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


@contextmanager
def child(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m module` with pipes on stdin and stdout; end it on leaving."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_json(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next line of a child's stdout as an object; raise if the child ended."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError(f"{process.args!r} ended without an answer")
    answer: dict[str, Any] = json.loads(line)
    return answer
