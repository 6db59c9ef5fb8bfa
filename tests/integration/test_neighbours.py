"""What stands around a server and its commands: signals, proxies, servers that are silent, slow or something
else."""

import asyncio
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import termios
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.support.server import Server
from tests.support.tls import make_pair
from tests.support.waiting import WAIT_S

from tuppence_server.app import AdminAccess
from tuppence_server.cli import admin_client
from tuppence_server.cli.admin_client import Unreachable

NOWHERE = "http://127.0.0.1:9"
PROXIED = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ws_proxy"), NOWHERE)


async def test_a_suspended_server_is_told_after_a_bounded_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waits are shortened here; the bound that people meet is the sum of the two."""
    for secure in (False, True):
        pair = make_pair(tmp_path / "pair")
        tls = {"TLS_CERTIFICATE": str(pair.certificate), "TLS_KEY": str(pair.key)} if secure else {}
        server = Server(tmp_path / f"data{secure}", {f"TUPPENCE_{name}": each for name, each in tls.items()})
        try:
            await server.start()
            access = admin_client.running(server.data)
            assert access is not None
            admin_client.look(access)
            os.kill(server.pid, signal.SIGSTOP)
            # Who would wait for ever gets an answer then, and fails.
            wake = asyncio.get_running_loop().call_later(WAIT_S, os.kill, server.pid, signal.SIGCONT)
            for call in (
                lambda access=access: admin_client.look(access),
                lambda access=access: admin_client._remotely(access, "user.list", {}),
            ):
                with monkeypatch.context() as short:
                    short.setattr(admin_client, "SILENCE_S", 0.1)
                    short.setattr(admin_client, "LIFE_S_MAX", 0.3)
                    with pytest.raises(Unreachable, match=f"kill -CONT {server.pid}"):
                        await asyncio.to_thread(call)
            wake.cancel()
            os.kill(server.pid, signal.SIGCONT)
            assert await asyncio.to_thread(admin_client._remotely, access, "user.list", {}) == []
        finally:
            await server.close()


class Slow(BaseHTTPRequestHandler):
    """Answers a command only after it was asked for three signs of life."""

    signs = threading.Semaphore(0)

    def do_GET(self) -> None:
        self.signs.release()
        self.answer(b"{}")

    def do_POST(self) -> None:
        for _ in range(3):
            self.signs.acquire()
        self.answer(json.dumps({"result": "done"}).encode())

    def answer(self, body: bytes) -> None:
        """200 with this."""
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def test_a_slow_answer_is_waited_for_while_the_server_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_client, "SILENCE_S", 0.02)
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as slow:
        threading.Thread(target=slow.serve_forever, daemon=True).start()
        access = AdminAccess(f"http://127.0.0.1:{slow.server_port}", "token", 1)
        assert await asyncio.to_thread(admin_client._remotely, access, "backup", {}) == "done"
        slow.shutdown()


async def test_a_hang_up_of_the_terminal_says_bye_and_leaves_nothing(tmp_path: Path) -> None:
    """The server's log goes to a terminal that is closed under it."""
    controller, terminal = os.openpty()
    server = Server(tmp_path / "data")
    server.data.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(  # noqa: ASYNC220  # noqa: ASYNC220
        [sys.executable, "-m", "tuppence_server", "serve", "--port", "0", "--json", "--data",
        str(server.data)],
        stdout=subprocess.PIPE, stderr=terminal, stdin=terminal, env=server.env, cwd=tmp_path,
        start_new_session=True,
    )  # fmt: skip
    server.process = process
    os.close(terminal)
    try:
        assert process.stdout is not None
        server.url = json.loads(await asyncio.to_thread(process.stdout.readline))["url"]
        server.admin_token = json.loads((server.data / "admin.json").read_bytes())["token"]
        client = await server.connect(await server.person("alice"))
        os.close(controller)
        process.send_signal(signal.SIGHUP)
        assert (await client.closed())[0] == 4000
        assert await asyncio.to_thread(process.wait) == 0
        assert not (server.data / "admin.json").exists()
    finally:
        await server.close()


async def test_a_proxy_in_the_environment_is_not_used_for_this_machine(server: Server) -> None:
    await server.person("alice")
    data = ("--data", str(server.data))
    listed = await server.cli("user", "list", *data, env=PROXIED)
    assert (listed.code, "@alice" in listed.out) == (0, True), listed
    chat = await server.cli("chat", "--as", "alice", *data, stdin="/quit\n", env=PROXIED)
    assert (chat.code, chat.err) == (0, ""), chat
    assert "@alice" in chat.out


async def test_a_plain_request_to_the_socket_s_address_is_told_what_it_is(server: Server) -> None:
    answer = await server.http("GET", "/v1/ws")
    assert answer.status == 426
    assert "WebSocket" in answer.json["message"]
    assert dict(answer.headers)["upgrade"] == "websocket"


@pytest.mark.parametrize(
    ("url", "code", "text"),
    [
        ("example.org", 2, "https://pay.example.org"),
        ("127.0.0.1:8802", 2, "https://pay.example.org"),
        ("", 2, "--url"),
        ("ftp://127.0.0.1", 2, "--url"),
        ("http://127.0.0.1:notaport", 2, "--url"),
        ("http://[::1", 2, "--url"),
        (NOWHERE, 5, "onnect"),
        ("http://nobody.invalid", 5, "nobody.invalid"),
    ],
)
@pytest.mark.parametrize("secret", ["TOKEN", "PASSWORD"])
async def test_chat_with_an_address_that_is_none_is_one_line(
    url: str, code: int, text: str, secret: str, tmp_path: Path
) -> None:
    done = await Server(tmp_path / "data").cli(
        "chat", "--as", "alice", "--url", url, env={f"TUPPENCE_{secret}": "correct horse"}
    )
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1), done
    assert text in done.err
    assert "Errno" not in done.err


async def test_chat_with_a_wrong_password_or_the_wrong_scheme_is_one_line(server: Server) -> None:
    await server.admin("user.add", handle="alice", password="correct horse")
    for url, env, code, text in (
        (server.url, {"TUPPENCE_PASSWORD": "wrong horse"}, 1, "do not match"),
        (server.url, {"TUPPENCE_TOKEN": "nonsense"}, 1, "token"),
        (server.url, {}, 2, "TUPPENCE_PASSWORD"),
        (
            server.url.replace("http", "https"),
            {"TUPPENCE_PASSWORD": "correct horse"},
            5,
            "does not speak TLS",
        ),
        (server.url.replace("http", "https"), {"TUPPENCE_TOKEN": "nonsense"}, 5, "does not speak TLS"),
    ):
        done = await server.cli("chat", "--as", "alice", "--url", url, env=env)
        assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1), done
        assert text in done.err
    good = await server.cli(
        "chat", "--as", "@alice", "--url", server.url, stdin="/quit\n",
        env={"TUPPENCE_PASSWORD": "correct horse"},
    )  # fmt: skip
    assert (good.code, good.err) == (0, ""), good


async def test_the_banner_can_be_followed_from_any_directory(tmp_path: Path) -> None:
    """An address that opens, and commands that find the data directory, whatever its name."""
    server = Server(tmp_path / "a place [/] of its own")
    server.data.parent.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tuppence_server", "serve", "--host", "0.0.0.0", "--port", "0",
        "--data", str(server.data), stderr=subprocess.PIPE, env=server.env, cwd=tmp_path,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        said = (await process.stderr.readuntil(b"Stop: Ctrl-C")).decode()
        url = re.search(r"at (http://127\.0\.0\.1:\d+)", said)
        assert url is not None, said
        assert "every IPv4 address" in said
        with await asyncio.to_thread(urlopen, f"{url[1]}/healthz") as answer:
            assert answer.status == 200
        hints = re.findall(
            r"^(?:Add|Give|Talk)[^:]*: +(?:\S*/)?tuppence (.*?)(?:   .*)?$", said, re.MULTILINE
        )
        assert len(hints) == 3
        for hint, more in zip(hints, (["--no-password"], [], []), strict=True):
            (tmp_path / "elsewhere").mkdir(exist_ok=True)
            done = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tuppence_server", *shlex.split(hint), *more,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=server.env, cwd=tmp_path / "elsewhere",
            )  # fmt: skip
            out, err = await done.communicate()
            assert (done.returncode, err) == (0, b""), (hint, out, err)
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_ctrl_c_ends_a_command_quietly_at_its_beginning_and_at_a_question(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.data.parent.mkdir(exist_ok=True)
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "typer.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join((str(tmp_path / "early"), server.env["PYTHONPATH"]))
    done = await server.cli("user", "list", env={"PYTHONPATH": path})
    assert (done.code, done.out, done.err) == (130, "", "")

    controller, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tuppence_server", "user", "add", "alice", "--data", str(server.data),
        stdin=terminal, stdout=terminal, stderr=terminal, env=server.env, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(terminal)
    said = b""
    while b"Password" not in said:
        said += await asyncio.to_thread(os.read, controller, 1_024)
    os.write(controller, b"\x03")
    assert await process.wait() == 130
    os.close(controller)
    assert b"Traceback" not in said
    assert not (server.data / "tuppence.db").exists()
