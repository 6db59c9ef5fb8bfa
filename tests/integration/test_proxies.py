"""The documented proxy configurations, each run as it stands but for ports and places."""

import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.debian import program
from tests.support.server import ROOT, Server
from tests.support.tls import Pair, make_pair
from tests.support.waiting import until
from tests.support.wire import Client

NAME = "chat.example.org"
CLIENT = "127.0.0.2"
"""Where the client comes from: this machine answers on all of 127.0.0.0/8, and the proxy is 127.0.0.1."""
REQUESTS = 200
SETTINGS = re.compile(r"```toml\n(.*?)```", re.DOTALL)
CONFIG = re.compile(r"<!-- proxy:(\w+) -->\n```\w+\n(.*?)```", re.DOTALL)
DOC = (ROOT / "docs" / "proxies.md").read_text("utf-8")
CONFIGS = dict(CONFIG.findall(DOC))
NGINX = """
pid {folder}/nginx.pid;
error_log {folder}/proxy.log;
daemon off;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{config}}}
"""
CADDY = (
    "{{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\thttps_port {port}\n}}\n{config}"
)
APACHE = """
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/proxy.log
Listen 127.0.0.1:{port}
{modules}
{who}
ServerName localhost
{config}
"""
APACHE_MODULES = (
    "mpm_event", "authz_core", "proxy", "proxy_http", "ssl", "headers", "rewrite", "socache_shmcb",
)  # fmt: skip
# What the proxy has to keep to the operator, as somebody may spell it who wants to get there all the same.
CLOSED = (
    "/v1/admin", "/v1/admin/", "/v1/admin?x=1", "/v1/admin/statement", "/v1/admin/statement?handle=alice",
    "/v1/%61dmin", "/v1/admi%6e/statement", "/v1/admin%2fstatement", "/v1%2fadmin", "/%76%31/admin",
    "//v1/admin", "/v1//admin", "/v1/./admin", "/v1/x/../admin", "/v1/x/%2e%2e/admin", "/./metrics",
    "/metrics", "/metrics/", "/%6detrics", "//metrics", "/healthz", "/readyz", "/readyz?x", "/health%7a",
    "/v1/../metrics",
)  # fmt: skip


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs in front of a server."""

    port: int
    pair: Pair
    server: Server

    def kept(self) -> http.client.HTTPConnection:
        """A connection that is kept, from CLIENT."""
        connection = http.client.HTTPConnection(NAME, self.port)
        bare = socket.create_connection(("127.0.0.1", self.port), 30, (CLIENT, 0))
        connection.sock = self.pair.client().wrap_socket(bare, server_hostname=NAME)
        return connection

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        with closing(self.kept()) as connection:
            return await asyncio.to_thread(self._ask, connection, method, path, body, headers)

    @staticmethod
    def _ask(
        connection: http.client.HTTPConnection, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    async def socket(self, token: str) -> Client:
        """A WebSocket from a page of the server's own origin."""
        client = await Client.open(
            f"wss://{NAME}:{self.port}/v1/ws", host="127.0.0.1", ssl=self.pair.client(), server_hostname=NAME,
            local_addr=(CLIENT, 0), origin=f"https://{NAME}",
        )  # fmt: skip
        await client.hello({"token": token})
        return client


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def command(kind: str, folder: Path, port: int, config: str) -> list[str]:
    """Write the proxy's file, and how to run it in the foreground."""
    file = folder / f"{kind}.conf"
    if kind == "nginx":
        file.write_text(NGINX.format(folder=folder, config=config))
        return [
            program("nginx", "nginx-light"),
            "-p",
            str(folder),
            "-c",
            str(file),
            "-e",
            str(folder / "e.log"),
        ]
    if kind == "caddy":
        file.write_text(CADDY.format(port=port, config=config))
        return [program("caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", str(file)]
    if kind == "haproxy":
        file.write_text(config)
        return [program("haproxy", "haproxy"), "-db", "-f", str(file)]
    modules = "\n".join(
        f"LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so" for each in APACHE_MODULES
    )
    who = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    file.write_text(APACHE.format(folder=folder, port=port, modules=modules, who=who, config=config))
    return [program("apache2", "apache2"), "-f", str(file), "-DFOREGROUND"]


@asynccontextmanager
async def running(kind: str, folder: Path) -> AsyncIterator[Proxy]:
    """A server as documented, and this proxy in front of it."""
    pair, port, data = make_pair(folder / "tls", NAME), free_port(), folder / "data"
    (folder / "tls" / "both.pem").write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    data.mkdir(mode=0o700)
    settings = SETTINGS.search(DOC)
    assert settings is not None
    (data / "tuppence.toml").write_text(settings[1])
    server = Server(data, {"TUPPENCE_LOG_FORMAT": "json"})
    await server.start()
    config = CONFIGS[kind].replace("127.0.0.1:8802", f"127.0.0.1:{server.port}").replace("443", str(port))
    config = config.replace(f"/etc/ssl/{NAME}.pem", str(pair.certificate))
    config = config.replace(f"/etc/ssl/{NAME}.key", str(pair.key))
    config = config.replace(f"/etc/ssl/{NAME}.both.pem", str(folder / "tls" / "both.pem"))
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command(kind, folder, port, config), env=os.environ | home,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip

    async def listening() -> bool:
        assert process.returncode is None, (folder / "output.log").read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listening)
        yield Proxy(port, pair, server)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await server.close()


def test_each_configuration_is_run() -> None:
    assert sorted(CONFIGS) == ["apache", "caddy", "haproxy", "nginx"]


@pytest.mark.parametrize("kind", sorted(CONFIGS))
async def test_people_talk_and_pay_and_nobody_else_gets_to_the_operator(kind: str, tmp_path: Path) -> None:
    async with running(kind, tmp_path) as proxy:
        alice, bob = await proxy.server.people("alice", "bob", credit="100")
        await talks_and_pays(proxy, alice.token, bob.token)
        await asks_in_a_row(proxy, alice.token)
        await is_known_by_its_address(proxy)
        for path in CLOSED:
            for method in ("GET", "POST"):
                status, _, _ = await proxy.ask(method, path)
                assert status in {400, 403, 404}, (method, path, status)


async def talks_and_pays(proxy: Proxy, alice: str, bob: str) -> None:
    """Two people over the WebSocket."""
    one, other = await proxy.socket(alice), await proxy.socket(bob)
    await one.submit("chat.text", "@bob", text="Hello")
    await one.submit("pay.send", "@bob", amount="12.50", currency="EUR")
    assert (await other.expect(kind="pay.send"))["body"]["amount"] == "12.50"
    for client in (one, other):
        await client.ws.close()


async def asks_in_a_row(proxy: Proxy, token: str) -> None:
    """Many requests on one connection, which the proxy spreads over those that it keeps."""
    connection = proxy.kept()
    frame = {"kind": "ask.wallet", "id": "00000000-0000-4000-8000-000000000001", "body": {}}
    for _ in range(REQUESTS):
        if connection.sock is None:  # some end a connection after so many
            connection = proxy.kept()
        status, _, _ = await asyncio.to_thread(
            proxy._ask, connection, "POST", "/v1/frames", frame, {"authorization": f"Bearer {token}"}
        )
        assert status == 200
    connection.close()
    status, headers, _ = await proxy.ask("POST", "/v1/sessions/", {"handle": "alice", "password": "x"})
    assert (status, headers.get("location")) == (404, None), "no password goes where a redirect says"


async def is_known_by_its_address(proxy: Proxy) -> None:
    """What the client writes into the header counts for nothing."""
    wrong = {"handle": "alice", "password": "wrong horse"}
    forged = {"x-forwarded-for": "203.0.113.7", "forwarded": "for=203.0.113.7", "x-real-ip": "203.0.113.7"}
    assert (await proxy.ask("POST", "/v1/sessions", wrong, **forged))[0] == 401
    told = [json.loads(line) for line in proxy.server.log.read_text().splitlines() if line.startswith("{")]
    assert [line["address"] for line in told if line["event"] == "login_failed"][-1] == CLIENT
