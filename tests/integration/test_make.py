"""`make` on machines that lack something, and after a step that failed: it says what is missing, and then
works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.server import ROOT

STUB = """#!/bin/sh
# Stands for a Python: makes virtual environments of stubs like itself, and fails where a file tells it to.
case "$1" in
-c) exec {python} "$@" ;;
-m)
  if [ "$2" = venv ]; then
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    if [ -e fail-venv ]; then echo "the disk is full" >&2; exit 1; fi
    printf '#!/bin/sh\\necho "the demo runs"\\n' > "$3/bin/tuppence"
    chmod +x "$3/bin/tuppence"
  elif [ -e fail-pip ]; then echo "no network" >&2; exit 1
  else echo "$@" >> pip.log
  fi ;;
esac
"""


class Clone:
    """A clone with a stub for Python, in which the real Makefile runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        shutil.copy(ROOT / "Makefile", folder)
        shutil.copy(ROOT / "pyproject.toml", folder)
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        self.python = folder / "stub-python"
        self.python.write_text(STUB.format(python=sys.executable))
        self.python.chmod(0o755)

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.folder / ".venv"

    def make(self, **env: str) -> subprocess.CompletedProcess[str]:
        """`make demo`."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            ["make", f"PYTHON={env.pop('PYTHON', str(self.python))}", "demo"],
            cwd=self.folder, env=clean | env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def works(self) -> None:
        """See that the demo runs."""
        done = self.make()
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the demo runs"), done


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh one, in a directory with a space in its name."""
    return Clone(tmp_path / "clone")


def without(tmp_path: Path, *modules: str) -> dict[str, str]:
    """An environment in which Python lacks these modules, as where a package is not installed."""
    lacking = tmp_path / "lacking"
    lacking.mkdir()
    for module in modules:
        (lacking / f"{module}.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": str(lacking)}


def test_without_python3_venv_the_package_is_named_and_nothing_is_left(clone: Clone, tmp_path: Path) -> None:
    lacking = without(tmp_path, "ensurepip")
    for _ in range(2):
        done = clone.make(**lacking)
        assert done.returncode != 0
        assert "sudo apt install python3-venv" in done.stderr
        assert "ensurepip is missing" in done.stderr
        assert "Traceback" not in done.stderr
        assert not clone.venv.exists()
    clone.works()


def test_what_else_is_missing_is_named(clone: Clone, tmp_path: Path) -> None:
    assert "There is no no-such-python" in clone.make(PYTHON="no-such-python").stderr
    assert "was built without sqlite3" in clone.make(**without(tmp_path, "sqlite3")).stderr
    old = clone.folder / "old-python"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9); $2"\n')
    old.chmod(0o755)
    assert "needs Python 3.11 or newer; this is 3.9" in clone.make(PYTHON=str(old)).stderr
    assert not clone.venv.exists()


@pytest.mark.parametrize("step", ["fail-venv", "fail-pip"])
def test_a_step_that_fails_leaves_nothing_behind(step: str, clone: Clone) -> None:
    (clone.folder / step).touch()
    for _ in range(2):
        done = clone.make()
        assert done.returncode != 0
        assert ("the disk is full" if step == "fail-venv" else "Installing failed") in done.stderr
        assert not clone.venv.exists()
    (clone.folder / step).unlink()
    clone.works()


def test_an_update_that_fails_keeps_what_is_there_and_is_tried_again(clone: Clone) -> None:
    clone.works()
    (clone.folder / "fail-pip").touch()
    os.utime(clone.folder / "requirements" / "run.txt", (2**31, 2**31))
    assert clone.make().returncode != 0
    assert clone.venv.exists()
    (clone.folder / "fail-pip").unlink()
    clone.works()


def test_a_half_made_environment_and_one_from_elsewhere_are_made_anew(clone: Clone) -> None:
    (clone.venv / "bin").mkdir(parents=True)
    (clone.venv / "bin" / "python").symlink_to("/usr/bin/false")
    clone.works()
    moved = clone.folder.with_name("moved")
    clone.folder.rename(moved)
    clone.folder, clone.python = moved, moved / "stub-python"
    (clone.venv / "from-elsewhere").touch()
    clone.works()
    assert not (clone.venv / "from-elsewhere").exists()


def test_what_is_there_is_not_made_again(clone: Clone) -> None:
    clone.works()
    (clone.venv / "still-there").touch()
    (clone.folder / "pip.log").unlink()
    clone.works()
    assert (clone.venv / "still-there").exists()
    assert not (clone.folder / "pip.log").exists()
