"""The server under test, started as a user would, in a process of its own."""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

STOP_TIMEOUT_S = 30.0
SOURCE_ROOTS = ("protocol", "server", "clients/python")
COMMAND = (sys.executable, "-m", "tuppence_server")


@dataclass(frozen=True, slots=True)
class Running:
    """Where it listens, and its process."""

    pid: int
    port: int


@contextmanager
def serving(data: Path, tree: Path | None = None) -> Iterator[Running]:
    """Serve a data directory on a free port, by this tree or another; stop it on leaving.

    Raises:
        RuntimeError: it did not start, or did not end well; with what it said on stderr.
    """
    errors = data.with_suffix(".stderr")
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--data", str(data), "--port", "0", "--json"],
            cwd=data.parent,
            env=environment(tree),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None, "stdout is a pipe"
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start:\n{_said(errors)}")
        port = urlsplit(json.loads(line)["url"]).port
        assert port is not None, "the server names its port"
        yield Running(process.pid, port)
    finally:
        code = _stop(process)
    if code:
        raise RuntimeError(f"the server ended with {code}:\n{_said(errors)}")


@dataclass(frozen=True, slots=True)
class Verified:
    """What `ledger verify` read, and what that took, its processes' processor time included."""

    events: int
    transfers: int
    seconds: float
    cpu_s: float


def verify(data: Path) -> Verified:
    """Have the books checked from the log on; raise where they do not balance."""
    spent_s, started = _children_cpu_s(), time.perf_counter()
    done = subprocess.run(
        [*COMMAND, "ledger", "verify", "--data", str(data), "--json"],
        cwd=data.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"ledger verify: {done.stdout}{done.stderr}")
    told = json.loads(done.stdout)
    if told["problems"]:
        raise RuntimeError(f"ledger verify: {told['problems']}")
    return Verified(told["events"], told["transfers"], seconds, _children_cpu_s() - spent_s)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment(tree: Path | None = None) -> dict[str, str]:
    """This process's environment with the default settings, but no rate limits and no talk;
    imports are of `tree`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUPPENCE_")}
    if tree is not None:
        kept["PYTHONPATH"] = os.pathsep.join(str(tree / root) for root in SOURCE_ROOTS)
    return kept | {"TUPPENCE_RATE_LIMITS": "off", "TUPPENCE_LOG_LEVEL": "warning"}


def _stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        code = process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return code


def _said(errors: Path) -> str:
    return errors.read_text(encoding="utf-8", errors="replace")[-2_000:]


def cannot_run(name: str, told: str) -> str:
    """Why a tree cannot be measured, in one line, from what it wrote as it failed."""
    why = told.strip().rpartition("\n")[2]
    missing = re.search(r"No module named '([\w.]+)'", why)
    if missing is None:
        return f"{name} cannot be seeded: {why}"
    return (
        f"{name} needs {missing[1]}, which is not installed here: "
        "install what its requirements/bench.txt names, or name a later commit"
    )
