"""What can be wrong around a command: its data directory, the server at its address, and its streams."""

import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from tuppence_server.app import AdminAccess, _write_access
from tuppence_server.data_dir import held


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


@contextmanager
def as_somebody_else(data: Path) -> Iterator[None]:
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


@contextmanager
def closed_pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)
