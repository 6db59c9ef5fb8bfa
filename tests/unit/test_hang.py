"""A test that hangs fails, is named, and says where it waited."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.server import ROOT

CONFTEST = """
from tests.support.hang import HangGuard

def pytest_configure(config):
    config.pluginmanager.register(HangGuard(0.5))
"""
WAITS = {
    "a task": "async def test_waits():\n    await __import__('asyncio').Event().wait()\n",
    "a thread": "def test_waits():\n    __import__('threading').Event().wait()\n",
    "a fixture": (
        "import asyncio, pytest\n\n@pytest.fixture\nasync def late():\n    await asyncio.Event().wait()\n\n"
        "async def test_waits(late):\n    pass\n"
    ),
}


@pytest.mark.parametrize("what", WAITS)
def test_a_test_that_hangs_fails_with_its_name_and_where_it_waits(tmp_path: Path, what: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(WAITS[what] + "\n\ndef test_after():\n    pass\n")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), "-c", str(ROOT / "pyproject.toml"),
            "--import-mode=importlib", "-p", "no:cacheprovider", str(tmp_path),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done
    assert "test_waits hangs" in done.stdout, done
    assert ".wait()" in done.stdout, "where it waits"
    assert "1 passed" in done.stdout, "and the others run"
