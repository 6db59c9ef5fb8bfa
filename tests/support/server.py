"""A real server process and clients over real sockets, for every test that wants them.

    async with serving(tmp_path) as server:
        alice, bob = await server.people("alice", "bob", credit="100.00")
        client = await server.connect(alice)
        event = await client.submit("pay.send", "@bob", amount="12.50", currency="EUR")

Everything waits on conditions. What was opened through a `Server` is closed with it, and a server whose log
tells of a fault fails the test.
"""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.waiting import WAIT_S
from tests.support.wire import Answer, Client, Frame, Raw, parse_answer

ROOT: Final = Path(__file__).parents[2]
DEFAULTS: Final = {
    "TUPPENCE_RATE_LIMITS": "off",
    "TUPPENCE_PASSWORD_MEMORY_KIB": "8",
    "PYTHONPATH": os.pathsep.join(str(ROOT / root) for root in ("protocol", "server", "clients/python")),
}
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Account:
    """A person with one open session."""

    handle: str
    id: str
    token: str
    session: str


@dataclass(frozen=True)
class Done:
    """How a command of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


class Refused(Exception):
    """The administration endpoint refused; `body` is the error object."""

    def __init__(self, status: int, body: Frame) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Server:
    """One server on one data directory; may be stopped or killed and started again. `env` adds TUPPENCE_*."""

    def __init__(self, data: Path, env: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.log = data.with_name(data.name + ".log")
        ours = {key: value for key, value in os.environ.items() if not key.startswith("TUPPENCE_")}
        self.env = {**ours, **DEFAULTS, **(env or {})}
        self.program: tuple[str, ...] = ("-m", "tuppence_server")
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.admin_token = ""
        self._opened: list[Client | Raw] = []

    # The process

    async def start(self) -> None:
        """Start, and wait until it listens."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, *self.program, "serve", "--port", "0", "--json"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220
                [*command, "--data", str(self.data)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.env,
                cwd=self.data.parent,
            )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), WAIT_S)
        assert line, f"it did not start:\n{self.log.read_text()}"
        self.url = json.loads(line)["url"]
        self.admin_token = json.loads((self.data / "admin.json").read_bytes())["token"]

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return await asyncio.to_thread(process.wait, WAIT_S)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    async def kill(self) -> None:
        """SIGKILL."""
        await self.stop(signal.SIGKILL)

    async def close(self) -> None:
        """End every client and the process."""
        for each in self._opened:
            with suppress(Exception):
                await each.drop()
        self._opened.clear()
        if self.process is not None:
            await self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def ws_url(self) -> str:
        """The address of the WebSocket."""
        return self.url.replace("http", "ws", 1) + "/v1/ws"

    def resident_bytes(self) -> int:
        """The process's resident memory."""
        with Path(f"/proc/{self.pid}/status").open(encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def open_files(self) -> int:
        """The process's open file descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def faults(self) -> list[str]:
        """Lines of the log that tell of a fault."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return [
            line
            for line in lines
            if not line.startswith("{") or '"level": "error"' in line or "Traceback" in line
        ]

    # HTTP

    async def http(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: Headers = ()
    ) -> Answer:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = [
            ("host", f"127.0.0.1:{self.port}"),
            ("connection", "close"),
            ("content-length", str(len(data))),
        ]
        sent += [("authorization", f"Bearer {token}")] if token else []
        text = "".join(f"{name}: {value}\r\n" for name, value in [*sent, *headers])
        raw = await Raw.open(self.port)
        try:
            await raw.send(f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1") + data)
            return parse_answer(await raw.rest(WAIT_S))
        finally:
            await raw.drop()

    async def admin(self, do: str, **arguments: Any) -> Any:
        """An action of the administration."""
        answer = await self.http("POST", "/v1/admin", {"do": do, "arguments": arguments}, self.admin_token)
        if answer.status != 200:
            raise Refused(answer.status, answer.json)
        return answer.json["result"]

    async def person(self, handle: str, credit: str | None = None, currency: str = "EUR") -> Account:
        """Add somebody, log them in and give them money."""
        await self.admin("user.add", handle=handle, password=None)
        if credit is not None:
            await self.admin("wallet.credit", handle=handle, amount=credit, currency=currency)
        return await self.log_in(handle)

    async def people(self, *handles: str, credit: str | None = None) -> list[Account]:
        """Add several."""
        return [await self.person(handle, credit) for handle in handles]

    async def log_in(self, handle: str) -> Account:
        """One more session for somebody."""
        opened = await self.admin("session.open", handle=handle)
        return Account(handle, opened["user"]["id"], opened["token"], opened["session"])

    async def metrics(self) -> dict[str, float]:
        """Every figure of /metrics by its name with labels."""
        lines = (await self.http("GET", "/metrics")).body.decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    async def metric(self, name: str) -> float:
        """One figure; 0 where it is not there yet."""
        return (await self.metrics()).get(f"tuppence_{name}", 0.0)

    async def has_sockets(self, number: int) -> bool:
        """Whether so many WebSockets are open."""
        return await self.metric("connections") == number

    # Sockets

    async def connect(
        self, account: Account, device: str | None = None, cursor: Frame | None = None
    ) -> Client:
        """A WebSocket that is ready and synced; `cursor` has epoch and pos."""
        client = await self.dial()
        body: Frame = {"token": account.token, **(cursor or {})}
        await client.hello(body if device is None else body | {"device": device})
        client.account = account
        return client

    async def clients(self, *handles: str, credit: str | None = None) -> list[Client]:
        """Add several people, each with a WebSocket that is ready."""
        return [await self.connect(account) for account in await self.people(*handles, credit=credit)]

    async def purse(self, handle: str, currency: str = "EUR") -> tuple[str, str] | None:
        """What somebody can spend and what is held; None without an account."""
        balances = (await self.admin("wallet.show", handle=handle))["balances"]
        found = (each for each in balances if each["currency"] == currency)
        return next(((each["available"], each["held"]) for each in found), None)

    async def available(self, handle: str, currency: str = "EUR") -> str | None:
        """What somebody can spend."""
        purse = await self.purse(handle, currency)
        return None if purse is None else purse[0]

    async def dial(self, headers: Headers = (), **options: Any) -> Client:
        """A WebSocket that has not said hello."""
        client = await Client.open(self.ws_url, additional_headers=list(headers), **options)
        self._opened.append(client)
        return client

    async def raw(self, receive_buffer: int | None = None) -> Raw:
        """A TCP connection."""
        raw = await Raw.open(self.port, receive_buffer)
        self._opened.append(raw)
        return raw

    async def raw_socket(self, account: Account | None = None, receive_buffer: int | None = None) -> Raw:
        """A WebSocket for malformed bytes; with an account it has said hello and is ready."""
        raw = await self.raw(receive_buffer)
        assert (await raw.handshake()).startswith("HTTP/1.1 101 ")
        if account is not None:
            await raw.text({"kind": "hello", "body": {"token": account.token}})
            while (await raw.json())["kind"] != "synced":
                pass
        return raw

    # Data

    async def cli(self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Done:
        """Run the command line on its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tuppence_server", *arguments,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.env | dict(env or {}), cwd=self.data.parent,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 4 * WAIT_S)
        return Done(process.returncode or 0, out.decode(), err.decode())

    async def verify(self) -> Frame:
        """Check the ledger of the stopped server; the report."""
        assert self.process is None, "stop the server first"
        done = await self.cli("ledger", "verify", "--json", "--data", str(self.data))
        assert done.code == 0, done.out + done.err
        report: Frame = done.json
        assert report["problems"] == []
        return report

    async def stop_and_verify(self) -> Frame:
        """Stop in good order and check the ledger."""
        assert await self.stop() == 0
        return await self.verify()

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Read the database beside the server."""
        with closing(sqlite3.connect(f"file:{self.data / 'tuppence.db'}?mode=ro", uri=True)) as db:
            return db.execute(sql, arguments).fetchall()


def configured(directory: Path, settings: Mapping[str, str]) -> Server:
    """A server on `directory`/data with these settings, `RATE_LIMITS="on"`; not started."""
    return Server(directory / "data", {f"TUPPENCE_{name}": value for name, value in settings.items()})


@asynccontextmanager
async def serving(directory: Path, **settings: str) -> AsyncIterator[Server]:
    """A server at work on `directory`/data with these settings; a fault in its log fails the test."""
    server = configured(directory, settings)
    await server.start()
    try:
        yield server
    finally:
        await server.close()
    assert server.faults() == []
