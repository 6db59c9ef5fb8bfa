"""Every command of the real command line, with arguments that fit it, and a way to run one in this
process."""

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from tests.support.server import Done

from tuppence_server.cli.main import app, main

PASSWORD: Final = "correct horse"
ID: Final = "0197a1c3-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Place:
    """Where a command runs: the data directory, and what it may read and write beside it."""

    folder: Path

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    def sample(self, name: str, taken_port: int) -> str:
        """A value for an argument or option of this name; a command with another name is to add it here."""
        return {
            "handle": "@alice", "as_handle": "alice", "amount": "1.00", "currency": "EUR", "tier": "basic",
            "reason": "because", "payment": ID, "id": ID, "proof": "00" * 32, "seed": "00" * 32,
            "total": "1.00", "count": "2", "port": str(taken_port), "directory": str(self.folder / "made"),
            "source": str(self.folder / "backup"), "target": str(self.folder / "restored"),
            "file": str(self.folder / "people.csv"), "batch": "opening",
        }[name]  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command and its parameters."""

    path: tuple[str, ...]
    params: tuple[Any, ...]

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(self.path)

    @property
    def on_data(self) -> bool:
        """Whether it works on a data directory."""
        return any(param.name == "data" for param in self.params)

    def line(self, place: Place, taken_port: int) -> list[str]:
        """The command with what it needs, also for a file of credits; one that would serve for ever finds its
        port taken."""
        told: list[str] = []
        for param in self.params:
            wanted = param.required or param.name in {"port", "batch"}
            if wanted and param.param_type_name == "argument":
                told.append(place.sample(param.name, taken_port))
            elif wanted:
                told += [param.opts[0], place.sample(param.name, taken_port)]
        return [*self.path, *told, *(["--data", str(place.data)] if self.on_data else [])]


def commands() -> Iterator[Command]:
    """All of them, as the command line itself has them."""

    def walk(node: Any, path: tuple[str, ...]) -> Iterator[Command]:
        if hasattr(node, "commands"):
            for name, each in node.commands.items():
                yield from walk(each, (*path, name))
        else:
            yield Command(path, tuple(node.params))

    yield from walk(typer.main.get_command(app), ())


def run(
    line: list[str], *, env: Mapping[str, str], stdout: int | None = None, stderr: int | None = None,
    encoding: str = "utf-8",
) -> Done:  # fmt: skip
    """Run a command in this process, on descriptors where they are given; an exception is a traceback and
    fails."""
    out, err = _stream(stdout, encoding), _stream(stderr, encoding)
    with _instead(line, env, out, err):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        with suppress(OSError):
            out.flush()
            err.flush()
    texts = [_written(stream, given) for stream, given in ((out, stdout), (err, stderr))]
    return Done(code, *texts)


def _stream(descriptor: int | None, encoding: str) -> io.TextIOWrapper:
    raw = io.BytesIO() if descriptor is None else os.fdopen(os.dup(descriptor), "wb")
    return io.TextIOWrapper(raw, encoding=encoding, newline="")


def _written(stream: io.TextIOWrapper, given: int | None) -> str:
    kept: Any = stream.buffer
    text = kept.getvalue().decode(stream.encoding) if given is None else ""
    with suppress(OSError):
        stream.close()
    return text


@contextmanager
def _instead(line: list[str], env: Mapping[str, str], out: Any, err: Any) -> Iterator[None]:
    before = (sys.argv, sys.stdin, sys.stdout, sys.stderr, dict(os.environ))
    sys.argv = ["tuppence", *line]
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO()), out, err
    for name in [name for name in os.environ if name.startswith("TUPPENCE_")]:
        del os.environ[name]
    os.environ.update(env)
    try:
        yield
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before[:4]
        os.environ.clear()
        os.environ.update(before[4])
