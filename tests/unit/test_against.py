"""What cannot be measured beside this tree is told in one line, with what to do."""

import subprocess
import sys

from benchmarks.target import cannot_run


def failed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return cannot_run("0abc", done.stderr)


def test_an_older_tree_that_cannot_run_here_is_told_in_one_line() -> None:
    missing = failed("import no_such_library.part")
    assert missing.startswith("0abc needs no_such_library, which is not installed here: install what its ")
    assert failed("raise ValueError('odd')") == "0abc cannot be seeded: ValueError: odd"
    assert "\n" not in missing
