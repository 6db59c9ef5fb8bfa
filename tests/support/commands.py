"""Commands of the command line in this process, which spares the start of one, and how they end."""

import threading
from collections.abc import Mapping
from typing import Final

from tests.support.server import Done
from typer.testing import CliRunner

from tuppence_server.cli.main import app

FAILED, USAGE, CANNOT_START, PROBLEMS, UNREACHABLE = 1, 2, 3, 4, 5
"""The exit codes, as docs/operating.md has them."""
TINY_HASHES: Final = {"TUPPENCE_PASSWORD_MEMORY_KIB": "8"}
_one_at_a_time = threading.Lock()


def invoke(*arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Done:
    """Run a command."""
    with _one_at_a_time:
        done = CliRunner().invoke(app, list(arguments), input=stdin, env=TINY_HASHES | dict(env or {}))
    assert isinstance(done.exception, SystemExit | None), (arguments, done.exception)
    return Done(done.exit_code, done.stdout, done.stderr)


def is_refused(done: Done, code: int, *words: str) -> None:
    """That exit code, nothing on stdout, and on stderr these words, in one line unless a usage is told."""
    assert (done.code, done.out) == (code, ""), done
    assert all(word in done.err for word in words), done
    assert "Traceback" not in done.err
    assert code == USAGE or len(done.err.splitlines()) == 1, done
