"""docs/money.md is followed to the letter: its files saved, its commands typed, its answers compared.

In what the guide shows, `…` stands for anything in a line, and alone in a line for any lines. Columns may be
wider or narrower, and it is another day.
"""

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from tests.support.server import DEFAULTS, ROOT, WAIT_S
from typer.testing import CliRunner

from tuppence_client.terminal.help import HELP
from tuppence_protocol.kinds import EVENT_BODIES
from tuppence_server.cli.main import app

ADDRESS = "http://127.0.0.1:8802"
GUIDE = (ROOT / "docs" / "money.md").read_text("utf-8")
FILES = dict(re.findall(r"<!-- guide:(\S+) -->\n```\w+\n(.*?)```", GUIDE, re.DOTALL))
CONSOLES = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
REFERENCES = re.findall(r"<!-- reference:toml -->\n```toml\n(.*?)```", GUIDE, re.DOTALL)
LISTENS = re.compile(r"http://127\.0\.0\.1:\d+")
DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")


def squeezed(text: str) -> list[str]:
    """The lines without what differs from one run to the next."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [DATE.sub("DATE", line) for line in lines if line]


def pattern_of(shown: str) -> re.Pattern[str]:
    """What one line of the guide fits."""
    return re.compile(".+".join(re.escape(part) for part in shown.split("…")))


def fits(shown: list[str], printed: list[str]) -> bool:
    """Whether what was printed is what the guide shows."""
    if not shown:
        return not printed
    if shown[0] == "…":
        return any(fits(shown[1:], printed[n:]) for n in range(len(printed) + 1))
    return (
        bool(printed)
        and pattern_of(shown[0]).fullmatch(printed[0]) is not None
        and fits(shown[1:], printed[1:])
    )


def steps(console: str) -> Iterator[tuple[str, str]]:
    """Each command of a block with what it is shown to print; `^C` is one too."""
    found: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ ") or line == "^C":
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return ((command, "\n".join(shown)) for command, shown in found)


class Reader:
    """Somebody who follows the guide in a directory of their own, with one server at a time."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "evening"
        self.home.mkdir()
        programs = directory / "bin"
        programs.mkdir()
        for name, module in (("tuppence", "-m tuppence_server "), ("python", "")):
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module}"$@"\n', "utf-8")
            script.chmod(0o755)
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("TUPPENCE_")}
        self.env |= {
            "PATH": os.pathsep.join((str(programs), os.environ["PATH"])),
            "PYTHONPATH": DEFAULTS["PYTHONPATH"],
            "TUPPENCE_PASSWORD_MEMORY_KIB": DEFAULTS["TUPPENCE_PASSWORD_MEMORY_KIB"],
            "TUPPENCE_PORT": "0",
            "TUPPENCE_LOG_FORMAT": "json",
            "COLUMNS": "400",
        }
        self.printed: list[str] = []
        self._server: asyncio.subprocess.Process | None = None
        self._log: asyncio.Task[bytes] | None = None

    def save(self, name: str, url: str = ADDRESS) -> None:
        """Save a file of the guide, with the server's address in place of the usual one."""
        (self.home / name).write_text(FILES[name].replace(ADDRESS, url), "utf-8")

    async def serve(self, command: str, shown: list[str]) -> str:
        """Start a server and wait until it has said what is shown; its address."""
        assert self._server is None
        self._server = await asyncio.create_subprocess_exec(
            *shlex.split(command), cwd=self.home, env=self.env, stderr=asyncio.subprocess.PIPE
        )
        assert self._server.stderr is not None
        said: list[str] = []
        url = ""
        while not fits([*shown, "…"], said):
            try:
                line = (await asyncio.wait_for(self._server.stderr.readline(), WAIT_S)).decode()
            except TimeoutError:
                line = ""
            assert line, f"it never said what the guide shows: {shown}, but {said}"
            if found := LISTENS.search(line):
                url = found[0]
            said += squeezed(LISTENS.sub(ADDRESS, line))
        self._log = asyncio.create_task(self._server.stderr.read())
        return url

    async def interrupt(self) -> None:
        """Ctrl-C."""
        assert self._server is not None
        self._server.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(self._server.wait(), WAIT_S) == 0
        self._server = None
        assert self._log is not None
        assert b'"level": "error"' not in await self._log

    async def run(self, command: str) -> list[str]:
        """Type a command that must succeed; its lines."""
        process = await asyncio.create_subprocess_exec(
            "sh", "-euc", command, cwd=self.home, env=self.env,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 2 * WAIT_S)
        assert process.returncode == 0, f"{command}\n{out.decode()}{err.decode()}"
        self.printed = squeezed(out.decode())
        return self.printed

    def told(self, command: str) -> str:
        """The command that the program printed last: the guide cannot know all of it."""
        return next(line for line in self.printed if pattern_of(command).fullmatch(line))

    async def close(self) -> None:
        """End what still runs."""
        if self._server is not None:
            self._server.kill()
            await self._server.wait()
        if self._log is not None:
            await self._log


@asynccontextmanager
async def reading(directory: Path) -> AsyncIterator[Reader]:
    """A reader whose server ends with the test."""
    reader = Reader(directory)
    try:
        yield reader
    finally:
        await reader.close()


async def follow(reader: Reader, console: str) -> None:
    """Type what a block shows, and compare."""
    for command, text in steps(console):
        shown = squeezed(text)
        if command == "^C":
            await reader.interrupt()
        elif command.startswith("tuppence serve"):
            url = await reader.serve(command, shown)
            reader.save("evening.py", url)
        else:
            told = command if "…" not in command else reader.told(command)
            printed = await reader.run(told)
            assert fits(shown, printed), "\n".join([f"$ {told}", *printed])


async def test_the_guide_can_be_followed_from_an_empty_directory_to_a_statement(tmp_path: Path) -> None:
    async with reading(tmp_path) as reader:
        reader.save("tuppence.toml")
        for console in CONSOLES:
            await follow(reader, console)

        statement = await reader.run("tuppence statement @alice EUR --json")
        moved = [json.loads(line) for line in statement]
        shares = [line["amount"] for line in moved if line.get("code") == "pay.packet"]
        assert sum(map(Decimal, shares)) == Decimal("-6.00")


def test_the_guide_shows_every_command_that_it_tells_of() -> None:
    typed = {command.partition("tuppence ")[2] for console in CONSOLES for command, _ in steps(console)}
    for command in (
        "serve", "user add", "wallet credit", "wallet show", "packet check", "statement @alice EUR --csv",
        "books", "wallet freeze", "wallet thaw", "user tier", "ledger verify",
    ):  # fmt: skip
        assert any(line.startswith(command) for line in typed), command


@pytest.mark.parametrize("text", REFERENCES)
def test_the_settings_of_the_guide_can_be_set(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tuppence.toml").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["config", "show", "--json"])
    assert told.exit_code == 0, told.output
    assert any(setting["from"].endswith("tuppence.toml") for setting in json.loads(told.stdout))


def test_the_guide_tells_of_every_kind_of_payment() -> None:
    kinds = {kind for kind in EVENT_BODIES if kind.startswith("pay.")}
    assert set(re.findall(r"`(pay\.[a-z]+)`", GUIDE)) == kinds


def test_the_guide_tells_of_every_command_of_the_terminal_about_money() -> None:
    lines = [line for line, _ in HELP]
    money = HELP[lines.index("/pay @bob 5 EUR lunch") : lines.index("/faucet 100 EUR") + 1]
    assert re.findall(r"^\| `(/[^`]+)` \| (.*) \|$", GUIDE, re.MULTILINE) == list(money)
