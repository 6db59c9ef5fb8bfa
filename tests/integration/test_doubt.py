"""An operator's command that seemed to fail and was done: it names what makes the same command safe to give
again."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Final
from urllib.request import Request, urlopen

from tests.support.server import Done, Server

IMPATIENT: Final = (
    "from tuppence_server.cli import admin_client, main; "
    "admin_client.SILENCE_S, admin_client.LIFE_S_MAX = 0.1, 0.3; main.main()"
)


def answered(status: int, body: bytes, length: int | None = None) -> bytes:
    """An answer as it is on the wire."""
    return b"HTTP/1.1 %d Told\r\ncontent-length: %d\r\n\r\n%s" % (status, length or len(body), body)


ENDINGS: Final = {
    "dropped": (5, b""),
    "cut off": (5, answered(200, b"{", 500)),
    "nonsense": (5, answered(200, b"<p>")),
    "something else": (1, answered(502, b"{}")),
    "internal": (1, answered(500, b'{"code":"internal","message":"Failed."}')),
    "unavailable": (1, answered(503, b'{"code":"unavailable","message":"No."}')),
}
"""The exit code, and what a server says that has done what it was told."""


@contextmanager
def between(server: Server, ending: bytes | None, reached: threading.Event) -> Iterator[None]:
    """Have commands meet a server that does what it is told and does not say so; with None it says nothing at
    all."""
    real = json.loads((server.data / "admin.json").read_bytes())
    over = threading.Event()

    class Between(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name: self.headers[name] for name in ("authorization", "content-type")}
            with urlopen(Request(server.url + self.path, body, headers)) as answer:
                assert answer.status == 200
            reached.set()
            if ending is None:
                over.wait()
            self.wfile.write(ending or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as false:
        threading.Thread(target=false.serve_forever, daemon=True).start()
        told = real | {"url": f"http://127.0.0.1:{false.server_port}"}
        (server.data / "admin.json").write_text(json.dumps(told))
        try:
            yield
        finally:
            over.set()
            (server.data / "admin.json").write_text(json.dumps(real))
            false.shutdown()


def full_disk() -> IO[bytes]:
    """Where nothing more can be written."""
    return Path("/dev/full").open("wb")


def named(done: Done) -> str:
    """The id that the one line of a failure says to give again."""
    assert len(done.err.splitlines()) == 1, done
    found = re.search(r"may have been done.* --id ([0-9a-f-]{36})\b", done.err)
    assert found is not None, done
    return found[1]


async def test_what_was_done_without_an_answer_is_done_once_by_the_same_command(server: Server) -> None:
    alice = await server.person("alice", "50.00")
    await server.person("bob", "10.00")
    client = await server.connect(alice)
    event = await client.submit("pay.send", "@bob", amount="4.00", currency="EUR")
    credit = ("wallet", "credit", "@bob", "5.00", "EUR")
    debit = ("wallet", "debit", "@bob", "7.00", "EUR", "--reason", "Paid out")
    reverse = ("payment", "reverse", event["id"], "--reason", "Stolen")
    steps = [("dropped", debit, -7), ("dropped", reverse, -4), *((way, credit, 5) for way in ENDINGS)]
    euros = 14
    for way, command, moved in steps:
        euros += moved
        whole = (*command, "--data", str(server.data))
        code, ending = ENDINGS[way]
        with between(server, ending, threading.Event()):
            failed = await server.cli(*whole)
        assert failed.code == code, (way, failed)
        key = named(failed)
        assert await server.available("bob") == f"{euros}.00"
        if way == "dropped":
            again = (await server.cli(*whole, "--id", key, "--json")).json
        else:
            again = await server.admin("wallet.credit", handle="bob", amount="5.00", currency="EUR", id=key)
        assert (again["id"], again["repeated"]) == (key, True), (way, again)
        assert await server.available("bob") == f"{euros}.00"


async def test_an_interrupted_wait_and_a_full_disk_name_the_id_too(server: Server) -> None:
    await server.person("bob")
    command = [sys.executable, "-m", "tuppence_server", "wallet", "credit", "bob", "5.00", "EUR"]
    reached = threading.Event()
    with between(server, None, reached):
        process = await asyncio.create_subprocess_exec(
            *command, "--data", str(server.data),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=server.env,
        )  # fmt: skip
        assert await asyncio.to_thread(reached.wait, 30)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    key = named(Done(130, out.decode(), err.decode()))
    assert process.returncode == 130
    again = await server.cli(
        "wallet", "credit", "bob", "5.00", "EUR", "--id", key, "--data", str(server.data)
    )
    assert (again.code, await server.available("bob")) == (0, "5.00")

    for more in ([], ["--json"]):
        with full_disk() as full:
            process = await asyncio.create_subprocess_exec(
                *command,
                "--data",
                str(server.data),
                *more,
                stdout=full,
                stderr=subprocess.PIPE,
                env=server.env,
            )
            _, err = await process.communicate()
        key = named(Done(process.returncode or 0, "", err.decode()))
        before = await server.available("bob")
        again = await server.cli(
            "wallet", "credit", "bob", "5.00", "EUR", "--id", key, "--data", str(server.data)
        )
        assert (again.code, await server.available("bob")) == (0, before)


async def test_a_suspended_server_pays_once_when_it_goes_on(server: Server) -> None:
    await server.person("bob")
    command = ("wallet", "credit", "bob", "5.00", "EUR", "--data", str(server.data))
    os.kill(server.pid, signal.SIGSTOP)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", IMPATIENT, *command,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=server.env,
        )  # fmt: skip
        out, err = await process.communicate()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert process.returncode == 5
    key = named(Done(5, out.decode(), err.decode()))
    again = await server.cli(*command, "--id", key)
    assert (again.code, await server.available("bob")) == (0, "5.00"), again


async def test_what_was_not_begun_or_was_refused_is_not_put_in_doubt(server: Server) -> None:
    await server.person("bob")
    command = ("wallet", "credit", "--data", str(server.data))
    for words in (("nobody", "5.00", "EUR"), ("bob", "5.00", "XAU"), ("bob", "0.001", "EUR")):
        refused = await server.cli(*command, *words)
        assert (refused.code, "may have been done" in refused.err) == (1, False), refused
    real = (server.data / "admin.json").read_text()
    gone = json.loads(real) | {"url": "http://127.0.0.1:9"}
    (server.data / "admin.json").write_text(json.dumps(gone))
    absent = await server.cli(*command, "bob", "5.00", "EUR")
    (server.data / "admin.json").write_text(real)
    assert (absent.code, "may have been done" in absent.err) == (5, False), absent
