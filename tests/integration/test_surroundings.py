"""Every command, in every way that what is around it can be wrong: one clear line, and a documented exit code.

The commands are those that the command line has: a new one is in this table by itself.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from tests.integration.command_tree import PASSWORD, Command, Ended, Place, commands, run
from tests.support.server import ROOT, Server

from tuppence_server import data_dir
from tuppence_server.app import AdminAccess, _write_access
from tuppence_server.cli import admin_client
from tuppence_server.data_dir import held

COMMANDS = list(commands())
ENV = {"TUPPENCE_PASSWORD": PASSWORD, "TUPPENCE_PASSWORD_MEMORY_KIB": "8", "TUPPENCE_PASSWORD_WORKERS": "1"}
DOCUMENTED = {
    int(code)
    for code in re.findall(r"^\| (\d+) \| ", (ROOT / "docs/operating.md").read_text("utf-8"), re.MULTILINE)
}
FAILED, USAGE, CANNOT_START, PROBLEMS, UNREACHABLE = 1, 2, 3, 4, 5
BEGINNERS = {"serve", "demo", "user add"}
"""What makes a data directory where there is none."""
ON_SETTINGS = {"config show", "doctor", "chat"}
"""What reads the settings and takes the rest as it comes: a doctor tells of it, and chat asks for a server first."""


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


def well_ended(done: Ended, *, code: int | set[int] | None = None) -> None:
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
    command: Command, place: Place, taken: int
) -> None:
    """Ports are taken, alice is there already, the payment and the packet are made up."""
    expected = {
        "serve": CANNOT_START, "demo": CANNOT_START, "chat": UNREACHABLE, "user add": FAILED,
        "payment reverse": FAILED, "payment show": FAILED, "packet check": PROBLEMS, "wallet close": FAILED,
    }  # fmt: skip
    done = run(command.line(place, taken), env=ENV)
    well_ended(done, code=expected.get(command.name, 0))


@every_command
def test_as_json_it_ends_the_same_way(command: Command, place: Place, taken: int) -> None:
    if all(param.name != "as_json" for param in command.params):
        return
    other = place.folder.with_name("other")
    shutil.copytree(place.folder, other)
    plain = run(command.line(place, taken), env=ENV)
    done = run([*command.line(Place(other), taken), "--json"], env=ENV)
    well_ended(done, code=plain.code)


@every_command
def test_with_nobody_to_ask_nothing_is_asked(command: Command, place: Place, taken: int) -> None:
    """Standard input is no terminal, and no variable has the password."""
    done = run(command.line(place, taken), env=ENV | {"TUPPENCE_PASSWORD": ""})
    well_ended(done, code=USAGE if command.name in ("user add", "user passwd") else None)


# --- the data directory --------------------------------------------------------------------------------


def _absent(data: Path) -> None:
    shutil.rmtree(data)


def _a_file(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("not a directory")


def _below_a_file(data: Path) -> None:
    shutil.rmtree(data)
    data.symlink_to(data.with_name("people.csv") / "below")


def _a_loop(data: Path) -> None:
    shutil.rmtree(data)
    data.symlink_to(data.name)


def _without_database(data: Path) -> None:
    for each in data.iterdir():
        each.unlink()


def _content(raw: bytes) -> Callable[[Path], None]:
    def put(data: Path) -> None:
        _without_database(data)
        (data / "tuppence.db").write_bytes(raw)

    return put


def _half(data: Path) -> None:
    raw = (data / "tuppence.db").read_bytes()
    _content(raw[: len(raw) // 2])(data)


def _torn(data: Path) -> None:
    raw = bytearray((data / "tuppence.db").read_bytes())
    raw[4_096:12_288] = b"\xa5" * 8_192
    _content(bytes(raw))(data)


def _a_directory(data: Path) -> None:
    _without_database(data)
    (data / "tuppence.db").mkdir()


def _of_another_program(data: Path) -> None:
    _without_database(data)
    with closing(sqlite3.connect(data / "tuppence.db")) as other:
        other.execute("CREATE TABLE bookmark (url TEXT)")
        other.commit()


def _from_the_future(data: Path) -> None:
    with closing(sqlite3.connect(data / "tuppence.db")) as ours:
        ours.execute("INSERT INTO migration VALUES (9999, 'from the future', 'x', 1)")
        ours.commit()


NO_DATA = {"absent": _absent, "without a database": _without_database}
BAD_DATA = {
    "a file": _a_file, "below a file": _below_a_file, "a loop": _a_loop, "an empty database": _content(b""),
    "junk": _content(b"\xde\xad\xbe\xef" * 4_096), "half": _half, "torn": _torn, "a directory": _a_directory,
    "another program's": _of_another_program, "from the future": _from_the_future,
}  # fmt: skip


@pytest.mark.parametrize("wrong", NO_DATA)
@every_command
def test_without_data_nothing_is_made_but_by_what_begins(
    command: Command, wrong: str, place: Place, taken: int
) -> None:
    NO_DATA[wrong](place.data)
    done = run(command.line(place, taken), env=ENV)
    if command.on_data and command.name not in BEGINNERS | ON_SETTINGS:
        well_ended(done, code=CANNOT_START)
        assert not (place.data / "tuppence.db").exists()
    well_ended(done)


@pytest.mark.parametrize("wrong", BAD_DATA)
@every_command
def test_with_data_that_cannot_be_used_it_says_so(
    command: Command, wrong: str, place: Place, taken: int
) -> None:
    BAD_DATA[wrong](place.data)
    done = run(command.line(place, taken), env=ENV)
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
def test_data_that_this_user_may_not_read_is_told(command: Command, place: Place, taken: int) -> None:
    with _as_somebody_else(place.data):
        done = run(command.line(place, taken), env=ENV)
    if command.on_data and command.name not in ON_SETTINGS:
        well_ended(done, code={CANNOT_START, FAILED} if command.name == "import" else CANNOT_START)
    well_ended(done)


@contextmanager
def _as_somebody_else(data: Path) -> Iterator[None]:
    """Close the directory; root, whom nothing is closed to, becomes nobody for a while."""
    data.chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if was == 0:
            os.seteuid(0)
        data.chmod(0o700)


@every_command
def test_a_directory_in_use_is_told(command: Command, place: Place, taken: int) -> None:
    with held(place.data):
        done = run(command.line(place, taken), env=ENV)
    if command.on_data and command.name not in ON_SETTINGS:
        well_ended(done, code=UNREACHABLE)
    well_ended(done)


# --- the server -----------------------------------------------------------------------------------------


@contextmanager
def _junk_access(data: Path) -> Iterator[None]:
    (data / "admin.json").write_bytes(b'{"url": 5')
    with held(data):
        yield


@contextmanager
def _dead_address(data: Path) -> Iterator[None]:
    _write_access(data, AdminAccess("http://127.0.0.1:9", "token", os.getpid()))
    with held(data):
        yield


@contextmanager
def _something_else(data: Path) -> Iterator[None]:
    """A program at that address that answers with something else, at once and for ever."""
    with socket.create_server(("127.0.0.1", 0)) as there, held(data):
        _write_access(data, AdminAccess(f"http://127.0.0.1:{there.getsockname()[1]}", "token", os.getpid()))

        def answer() -> None:
            while True:
                try:
                    guest, _ = there.accept()
                except OSError:
                    return
                with guest:
                    guest.recv(65_536)
                    guest.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield
        there.shutdown(socket.SHUT_RDWR)


@contextmanager
def _silent(data: Path) -> Iterator[None]:
    """One that takes connections and says nothing, as a suspended one does."""
    with socket.create_server(("127.0.0.1", 0)) as there, held(data):
        _write_access(data, AdminAccess(f"http://127.0.0.1:{there.getsockname()[1]}", "token", os.getpid()))
        yield


SERVERS: dict[str, Callable[[Path], AbstractContextManager[None]]] = {
    "a broken address": _junk_access, "nobody at its address": _dead_address,
    "something else at its address": _something_else, "silence at its address": _silent,
}  # fmt: skip


@pytest.mark.parametrize("wrong", SERVERS)
@every_command
def test_a_server_that_cannot_be_reached_is_told(
    command: Command, wrong: str, place: Place, taken: int
) -> None:
    with SERVERS[wrong](place.data):
        done = run(command.line(place, taken), env=ENV)
    if command.on_data and command.name not in ("config show", "doctor"):
        well_ended(done, code=UNREACHABLE)
    well_ended(done)


def test_beside_a_good_server_and_a_suspended_one(place: Place, taken: int) -> None:
    server = Server(place.data)
    asyncio.run(server.start())
    try:
        for command in COMMANDS:
            well_ended(run(command.line(place, taken), env=ENV))
        os.kill(server.pid, signal.SIGSTOP)
        for command in COMMANDS:
            done = run(command.line(place, taken), env=ENV)
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
    command: Command, wrong: str, place: Place, taken: int
) -> None:
    text, env = SETTINGS[wrong]
    (place.data / "tuppence.toml").write_text(text)
    done = run(command.line(place, taken), env=ENV | env)
    if command.on_data:
        well_ended(done, code=USAGE)
        assert len(done.err.splitlines()) == 1, done
    well_ended(done)


# --- streams and the rest of the process --------------------------------------------------------------------


@contextmanager
def _closed_pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@every_command
def test_a_pipe_that_nobody_reads_changes_nothing(command: Command, place: Place, taken: int) -> None:
    other = place.folder.with_name("other")
    shutil.copytree(place.folder, other)
    read = run(command.line(place, taken), env=ENV)
    with _closed_pipe() as pipe:
        done = run(command.line(Place(other), taken), env=ENV, stdout=pipe)
        assert (done.code, done.err) == (read.code, read.err.replace(str(place.folder), str(other)))
        assert run(command.line(Place(other), taken), env=ENV, stderr=pipe).code in DOCUMENTED
        assert run(command.line(Place(other), taken), env=ENV, stdout=pipe, stderr=pipe).code in DOCUMENTED


@every_command
def test_a_full_disk_under_the_output_is_told(command: Command, place: Place, taken: int) -> None:
    other = place.folder.with_name("other")
    shutil.copytree(place.folder, other)
    read = run(command.line(place, taken), env=ENV)
    with Path("/dev/full").open("wb") as full:
        done = run(command.line(Place(other), taken), env=ENV, stdout=full.fileno())
    well_ended(done, code=FAILED if read.out else read.code)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@every_command
def test_a_terminal_without_unicode_gets_escapes(
    command: Command, encoding: str, place: Place, taken: int
) -> None:
    with closing(sqlite3.connect(place.data / "tuppence.db")) as ours:
        ours.execute("UPDATE user SET name = 'Zoë 山田 \x1b[2J\u202e [/] :smile: ' || char(10)")
        ours.commit()
    line = [*command.line(place, taken)]
    for more in ([], ["--json"] if any(param.name == "as_json" for param in command.params) else []):
        done = run([*line, *more], env=ENV, encoding=encoding)
        well_ended(done)
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err


@every_command
def test_a_working_directory_that_is_gone_is_told_or_does_not_matter(
    command: Command, place: Place, taken: int
) -> None:
    gone = place.folder.with_name("gone")
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        well_ended(run(command.line(place, taken), env=ENV))
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
