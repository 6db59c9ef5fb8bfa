"""Every command, in every way that what is around it can be wrong: one clear line, and a documented exit
code.

The commands are those that the command line has: a new one is in this table by itself.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.integration.command_tree import PASSWORD, Command, Place, commands, run
from tests.support.commands import CANNOT_START, FAILED, PROBLEMS, UNREACHABLE, USAGE
from tests.support.server import ROOT, Done, Server
from tests.support.surroundings import BAD_DATA, NO_DATA, SERVERS, as_somebody_else, closed_pipe

from tuppence_server import data_dir
from tuppence_server.cli import admin_client
from tuppence_server.data_dir import held

COMMANDS = list(commands())
Run = Callable[..., Done]
ENV = {"TUPPENCE_PASSWORD": PASSWORD, "TUPPENCE_PASSWORD_MEMORY_KIB": "8", "TUPPENCE_PASSWORD_WORKERS": "1"}
DOCUMENTED = {
    int(code)
    for code in re.findall(r"^\| (\d+) \| ", (ROOT / "docs/operating.md").read_text("utf-8"), re.MULTILINE)
}
BEGINNERS = {"serve", "demo", "user add"}
"""What makes a data directory where there is none."""
ON_SETTINGS = {"config show", "doctor", "chat"}
"""What reads the settings and takes the rest as it comes: a doctor tells of it, and chat asks for a server
first."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two people and some money, a backup of it, and a file of people."""
    folder = tmp_path_factory.mktemp("world")
    place = Place(folder)
    at = ["--data", str(place.data)]
    for line in (
        ["user", "add", "alice", *at],
        ["user", "add", "bob", "--no-password", *at],
        ["wallet", "credit", "alice", "10.00", "EUR", *at],
        ["backup", str(folder / "backup"), *at],
    ):
        done = run(line, env=ENV)
        assert done.code == 0, done
    (folder / "people.csv").write_text("handle,amount,currency\ncarol,5.00,EUR\n")
    return folder


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that somebody has, so that nothing serves for ever."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        yield there.getsockname()[1]


@pytest.fixture
def place(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of that world, with nothing else around."""
    shutil.copytree(world, tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(admin_client, "SILENCE_S", 0.05)
    monkeypatch.setattr(admin_client, "LIFE_S_MAX", 0.1)
    monkeypatch.setattr(data_dir, "HOLD_WAIT_S", 0.01)
    return Place(tmp_path / "here")


@pytest.fixture
def carry_out(place: Place, taken: int) -> Run:
    """Run a command on that copy, or on another one."""

    def carried_out(command: Command, *more: str, at: Place = place, **streams: Any) -> Done:
        return run([*command.line(at, taken), *more], env=ENV | streams.pop("env", {}), **streams)

    return carried_out


def well_ended(done: Done, *, code: int | set[int] | None = None) -> None:
    """A documented exit code, no traceback, and one line of error where it is one."""
    assert done.code in DOCUMENTED, done
    assert "Traceback" not in done.out + done.err, done
    assert "fault of Tuppence" not in done.err, done
    assert "Errno" not in done.err, done
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    if done.code in (FAILED, CANNOT_START, UNREACHABLE):
        assert len(errors) == 1, done
        assert done.out == "" or done.err.splitlines()[0] == errors[0], done
    if code is not None:
        assert done.code in (code if isinstance(code, set) else {code}), done


every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name.replace(" ", "-"))


@every_command
def test_where_all_is_well_nothing_is_wrong_but_what_is_meant_to_be(
    command: Command, taken: int, carry_out: Run
) -> None:
    """Ports are taken, alice is there already, the payment and the packet are made up."""
    expected = {
        "serve": CANNOT_START, "demo": CANNOT_START, "chat": UNREACHABLE, "user add": FAILED,
        "payment reverse": FAILED, "payment show": FAILED, "packet check": PROBLEMS, "wallet close": FAILED,
    }  # fmt: skip
    done = carry_out(command)
    well_ended(done, code=expected.get(command.name, 0))


@every_command
def test_as_json_it_ends_the_same_way(command: Command, place: Place, carry_out: Run) -> None:
    if all(param.name != "as_json" for param in command.params):
        return
    other = place.folder.with_name("other")
    shutil.copytree(place.folder, other)
    plain = carry_out(command)
    done = carry_out(command, "--json", at=Place(other))
    well_ended(done, code=plain.code)


@every_command
def test_with_nobody_to_ask_nothing_is_asked(command: Command, carry_out: Run) -> None:
    """Standard input is no terminal, and no variable has the password."""
    done = carry_out(command, env={"TUPPENCE_PASSWORD": ""})
    well_ended(done, code=USAGE if command.name in ("user add", "user passwd") else None)


# --- the data directory --------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", NO_DATA)
@every_command
def test_without_data_nothing_is_made_but_by_what_begins(
    command: Command, wrong: str, place: Place, carry_out: Run
) -> None:
    NO_DATA[wrong](place.data)
    done = carry_out(command)
    if command.on_data and command.name not in BEGINNERS | ON_SETTINGS:
        well_ended(done, code=CANNOT_START)
        assert not (place.data / "tuppence.db").exists()
    well_ended(done)


@pytest.mark.parametrize("wrong", BAD_DATA)
@every_command
def test_with_data_that_cannot_be_used_it_says_so(
    command: Command, wrong: str, place: Place, carry_out: Run
) -> None:
    BAD_DATA[wrong](place.data)
    done = carry_out(command)
    if not command.on_data or command.name == "config show":
        well_ended(done)
    elif command.name == "doctor":
        well_ended(done, code={PROBLEMS, CANNOT_START})
    elif command.name == "chat":
        well_ended(done, code={UNREACHABLE, CANNOT_START})
    elif wrong == "torn":
        well_ended(done, code={CANNOT_START, PROBLEMS, FAILED})
    else:
        well_ended(done, code=CANNOT_START)


@every_command
def test_data_that_this_user_may_not_read_is_told(command: Command, place: Place, carry_out: Run) -> None:
    with as_somebody_else(place.data):
        done = carry_out(command)
    if command.on_data and command.name not in ON_SETTINGS:
        well_ended(done, code={CANNOT_START, FAILED} if command.name == "import" else CANNOT_START)
    well_ended(done)


@every_command
def test_a_directory_in_use_is_told(command: Command, place: Place, carry_out: Run) -> None:
    with held(place.data):
        done = carry_out(command)
    if command.on_data and command.name not in ON_SETTINGS:
        well_ended(done, code=UNREACHABLE)
    well_ended(done)


# --- the server -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", SERVERS)
@every_command
def test_a_server_that_cannot_be_reached_is_told(
    command: Command, wrong: str, place: Place, carry_out: Run
) -> None:
    with SERVERS[wrong](place.data):
        done = carry_out(command)
    if command.on_data and command.name not in ("config show", "doctor"):
        well_ended(done, code=UNREACHABLE)
    well_ended(done)


def test_beside_a_good_server_and_a_suspended_one(place: Place, carry_out: Run) -> None:
    server = Server(place.data)
    asyncio.run(server.start())
    try:
        for command in COMMANDS:
            well_ended(carry_out(command))
        os.kill(server.pid, signal.SIGSTOP)
        for command in COMMANDS:
            done = carry_out(command)
            if command.on_data and command.name not in ("config show", "doctor"):
                well_ended(done, code=UNREACHABLE)
            well_ended(done)
    finally:
        os.kill(server.pid, signal.SIGCONT)
        asyncio.run(server.close())


# --- settings ---------------------------------------------------------------------------------------------


SETTINGS: dict[str, tuple[str, dict[str, str]]] = {
    "no TOML": ("port = \n", {}),
    "no text": ("\x00\x01", {}),
    "an unknown name": ("prot = 1\n", {}),
    "a wrong value": ("port = 'many'\n", {}),
    "half of a pair": ("tls_key = 'k.pem'\n", {}),
    "an amount that is none": ("[limits.basic.EUR]\ndaily = 'much'\n", {}),
    "an empty variable": ("", {"TUPPENCE_HOST": ""}),
    "an unknown variable": ("", {"TUPPENCE_HOSTS": "x"}),
    "nonsense in a variable": ("", {"TUPPENCE_LIMITS": "{"}),
    "an origin without scheme": ("", {"TUPPENCE_ORIGINS": "chat.example"}),
    "a proxy that is none": ("", {"TUPPENCE_TRUSTED_PROXIES": "*"}),
}


@pytest.mark.parametrize("wrong", SETTINGS)
@every_command
def test_a_setting_that_cannot_be_used_is_told(
    command: Command, wrong: str, place: Place, carry_out: Run
) -> None:
    text, env = SETTINGS[wrong]
    (place.data / "tuppence.toml").write_text(text)
    done = carry_out(command, env=env)
    if command.on_data:
        well_ended(done, code=USAGE)
        assert len(done.err.splitlines()) == 1, done
    well_ended(done)


# --- streams and the rest of the process --------------------------------------------------------------------


@every_command
def test_a_pipe_that_nobody_reads_changes_nothing(command: Command, place: Place, carry_out: Run) -> None:
    other = place.folder.with_name("other")
    shutil.copytree(place.folder, other)
    read = carry_out(command)
    with closed_pipe() as pipe:
        done = carry_out(command, at=Place(other), stdout=pipe)
        assert (done.code, done.err) == (read.code, read.err.replace(str(place.folder), str(other)))
        assert carry_out(command, at=Place(other), stderr=pipe).code in DOCUMENTED
        assert carry_out(command, at=Place(other), stdout=pipe, stderr=pipe).code in DOCUMENTED


@every_command
def test_a_full_disk_under_the_output_is_told(command: Command, place: Place, carry_out: Run) -> None:
    other = place.folder.with_name("other")
    shutil.copytree(place.folder, other)
    read = carry_out(command)
    with Path("/dev/full").open("wb") as full:
        done = carry_out(command, at=Place(other), stdout=full.fileno())
    well_ended(done, code=FAILED if read.out else read.code)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@every_command
def test_a_terminal_without_unicode_gets_escapes(
    command: Command, encoding: str, place: Place, carry_out: Run
) -> None:
    with closing(sqlite3.connect(place.data / "tuppence.db")) as ours:
        ours.execute("UPDATE user SET name = 'Zoë 山田 \x1b[2J\u202e [/] :smile: ' || char(10)")
        ours.commit()
    for more in ([], ["--json"] if any(param.name == "as_json" for param in command.params) else []):
        done = carry_out(command, *more, encoding=encoding)
        well_ended(done)
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err


@every_command
def test_a_working_directory_that_is_gone_is_told_or_does_not_matter(
    command: Command, place: Place, carry_out: Run
) -> None:
    gone = place.folder.with_name("gone")
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        well_ended(carry_out(command))
    finally:
        os.chdir(place.folder)


@every_command
def test_arguments_that_are_not_text_are_told(command: Command, place: Place, taken: int) -> None:
    """Bytes that are not UTF-8, orders to the terminal, and markup, in each argument and as the directory."""
    good = command.line(place, taken)
    for odd in (os.fsdecode(b"\xff\xfe"), "\x1b[2J\u202e", "[/]", "", "\U000e0001", "x" * 5_000):
        for at in range(len(command.path), len(good)):
            if good[at].startswith("--"):
                continue
            line = [*good[:at], odd, *good[at + 1 :]]
            if command.name in ("serve", "demo") and good[at - 1] == "--port":
                continue  # no number is no port, which the library tells
            done = run(line, env=ENV)
            assert done.code in DOCUMENTED, (line, done)
            assert "Traceback" not in done.err, done
            assert "fault of Tuppence" not in done.err, (line, done)
            assert "\x1b" not in done.out + (done.err if done.code != USAGE else ""), (line, done)


def test_a_command_is_in_this_table_by_itself() -> None:
    names = {command.name for command in COMMANDS}
    assert {"serve", "user list", "ledger verify"} <= names
    assert len(names) == len(COMMANDS) > 25
