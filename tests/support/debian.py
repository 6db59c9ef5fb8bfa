"""Programs of other people that tests run: found where they are, installed where that is allowed, else
named."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

INSTALL_S_MAX: Final = 300
_PLACES: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_LOCK: Final = Path("/var/lock/tuppence-tests-apt.lock")


def program(name: str, package: str) -> str:
    """The path of a program; its Debian package is installed where it is missing and this process may."""
    found = shutil.which(name, path=_PLACES)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with _LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = shutil.which(name, path=_PLACES) or _install(name, package)
    if found is None:
        pytest.fail(f"{name} is missing. Install it: apt-get install {package}", pytrace=False)
    return found


def _install(name: str, package: str) -> str | None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # nothing is to be started
    for line in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        done = subprocess.run(
            ["apt-get", *line], env=quiet, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False
        )
        if done.returncode:
            pytest.fail(f"apt-get {' '.join(line)} failed: {done.stderr.strip()}", pytrace=False)
    return shutil.which(name, path=_PLACES)
