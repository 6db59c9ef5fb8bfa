"""What a running server takes over at SIGHUP, and what it tells of itself in its log."""

import asyncio
import json
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs
from tests.support.server import ROOT, Server, serving
from tests.support.tls import make_pair
from tests.support.waiting import until

from tuppence_server.config.settings import Settings
from tuppence_server.data_dir import in_use
from tuppence_server.serving.reloading import Reloader

FILTER = re.compile(r"^failregex = (.*)$", re.MULTILINE)


pytestmark = pytest.mark.settings(LOG_FORMAT="json")


def lines(server, *events):
    """What the log says under these names, in order."""
    told = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in told if line["event"] in events]


async def reloaded(server, text):
    """Write settings, send SIGHUP; the line that tells what became of it."""
    before = len(lines(server, "reloaded", "reload_refused"))
    (server.data / "tuppence.toml").write_text(text)
    os.kill(server.pid, signal.SIGHUP)

    async def told():
        return len(lines(server, "reloaded", "reload_refused")) > before

    await until(told)
    return lines(server, "reloaded", "reload_refused")[-1]


async def test_fees_and_limits_are_taken_over_while_people_stay_connected(faulty):
    alice, _ = await faulty.people("alice", "bob", credit="100")
    client = await faulty.connect(alice)
    line = await reloaded(
        faulty,
        '[[fees]]\nkind = "send"\ncurrency = "EUR"\npercent = "1"\n[limits.basic.EUR]\nper_payment = "10"\n',
    )
    assert (line["event"], sorted(line["changed"]), line["needs_restart"]) == (
        "reloaded",
        ["fees", "limits"],
        [],
    )
    event = await client.submit("pay.send", "@bob", amount="10", currency="EUR")
    assert event["body"]["fee"] == "0.10"
    refused = await client.submit("pay.send", "@bob", amount="10.01", currency="EUR")
    assert refused["body"]["code"] == "limit_per_payment"
    await reloaded(faulty, "")
    event = await client.submit("pay.send", "@bob", amount="10.01", currency="EUR")
    assert "fee" not in event["body"]


async def test_what_cannot_be_used_changes_nothing_and_is_told(faulty):
    alice, _ = await faulty.people("alice", "bob", credit="100")
    client = await faulty.connect(alice)
    for text, word in (
        ('fees = "much"', "fees"),
        ("nonsense = 1", "nonsense"),
        ("fees = [", "tuppence.toml"),
    ):
        line = await reloaded(faulty, text)
        assert line["event"] == "reload_refused"
        assert word in line["problem"]
    event = await client.submit("pay.send", "@bob", amount="10", currency="EUR")
    assert event["kind"] == "pay.send"
    faulty.log.write_text("")  # what was refused is told as a fault, as it should be


async def test_what_only_a_start_takes_over_is_named(faulty):
    line = await reloaded(faulty, "session_days = 7\nregistration = 'closed'\n")
    assert sorted(line["needs_restart"]) == ["registration", "session_days"], "its free port is no change"
    assert (
        await faulty.http("POST", "/v1/users", {"handle": "eve", "password": "correct horse"})
    ).status == 201


@pytest.mark.parametrize(
    ("asked", "wanted", "told"),
    [(0, 0, []), (8802, 8802, []), (8802, 8803, ["port"]), (8802, 0, ["port"]), (0, 8802, ["port"])],
)
def test_another_port_needs_a_restart_and_a_free_one_that_was_asked_for_does_not(asked, wanted, told):
    pipeline, asks = SimpleNamespace(use_policy=lambda terms: None), SimpleNamespace()
    given = Settings(port=asked)
    reloader = Reloader(given, "sandbox", pipeline, asks, lambda: Settings(port=wanted), lambda: None)
    with capture_logs() as lines:
        reloader.reload()
        reloader.reload()
    assert [line["needs_restart"] for line in lines] == [told, told]


async def test_a_renewed_certificate_is_shown_to_new_connections_and_a_wrong_one_to_none(tmp_path, stopped):
    old, new = make_pair(tmp_path / "old"), make_pair(tmp_path / "new")
    stopped.data.mkdir(mode=0o700)
    settings = f'tls_certificate = "{tmp_path}/live.pem"\ntls_key = "{tmp_path}/live.key"\n'
    install(old, tmp_path)
    (stopped.data / "tuppence.toml").write_text(settings)
    await stopped.start()
    await handshake(stopped, old)
    (tmp_path / "live.pem").write_bytes(new.certificate.read_bytes())  # the key does not fit yet
    assert (await reloaded(stopped, settings))["event"] == "reload_refused"
    await handshake(stopped, old)
    install(new, tmp_path)
    assert (await reloaded(stopped, settings))["event"] == "reloaded"
    await handshake(stopped, new)
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(stopped, old)


def install(pair, folder):
    """Put a certificate where the settings name one."""
    (folder / "live.pem").write_bytes(pair.certificate.read_bytes())
    (folder / "live.key").write_bytes(pair.key.read_bytes())


async def handshake(server, pair):
    """Connect as somebody who trusts this authority alone."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=pair.client())
    writer.close()


STARTED_BY = {
    "itself": ["{serve}"],
    "a shell": ["sh", "-c", "{serve}; :"],
    "one that waits": ["sh", "-c", "trap : HUP; {serve}; :"],
    "make": ["make", "-f", "{makefile}"],
}


@pytest.mark.parametrize("by", STARTED_BY)
async def test_a_server_whose_terminal_goes_away_ends_like_after_sigterm(tmp_path, by):
    """The kernel tells the first program in a window alone; `make` waits for its child then, and tells it
    nothing."""
    data, makefile = tmp_path / "data", tmp_path / "Makefile"
    serve = [sys.executable, "-m", "tuppence_server", "serve", "--port", "0", "--data", str(data)]
    makefile.write_text(f"run:\n\t@{shlex.join(serve)}\n")
    first = [word.format(serve=shlex.join(serve), makefile=makefile) for word in STARTED_BY[by]]
    line = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])"]
    terminal = await asyncio.create_subprocess_exec(
        *line,
        *(serve if by == "itself" else first),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=Server(data).env,
    )
    access = data / "admin.json"
    await until(lambda: exists(access))
    terminal.kill()
    await terminal.wait()
    await until(lambda: exists(access, there=False))
    await until(lambda: let_go(data))


async def let_go(data):
    """Whether no process has the data any more."""
    return not in_use(data)


async def exists(path, *, there=True):
    """Whether a file is there, or is not."""
    return path.exists() == there


async def test_the_log_tells_who_did_what_by_ids_alone(faulty):
    await faulty.admin("user.add", handle="alice", name="Ada Lovelace", password="correct horse")
    credit = await faulty.admin("wallet.credit", handle="alice", amount="77.31", currency="EUR", note="Shh")
    await faulty.admin("wallet.freeze", handle="alice", outgoing=True)
    await faulty.admin("user.disable", handle="alice", disabled=True)
    await faulty.admin("user.disable", handle="alice", disabled=False)
    good = await faulty.http("POST", "/v1/sessions", {"handle": "alice", "password": "correct horse"})
    await faulty.http("POST", "/v1/sessions", {"handle": "alice", "password": "wrong horse"})
    await faulty.stop()
    told = lines(faulty, "started", "operator_did", "login", "login_failed", "stopped")
    acts = ["user.add", "wallet.credit", "wallet.freeze", "user.disable", "user.disable"]
    assert [line.get("do", line["event"]) for line in told] == [
        "started", *acts, "login", "login_failed", "stopped",
    ]  # fmt: skip
    user = good.json["user"]["id"]
    assert {line["user"] for line in told if "user" in line} == {user}
    assert told[2]["id"] == credit["id"]
    assert [line["disabled"] for line in told if line.get("do") == "user.disable"] == [True, False]
    assert {name: told[3][name] for name in ("thaw", "incoming", "outgoing")} == {
        "thaw": False, "incoming": False, "outgoing": True,
    }  # fmt: skip
    text = faulty.log.read_text()
    for secret in ("alice", "Ada", "horse", "77.31", "Shh", good.json["token"], faulty.admin_token):
        assert secret not in text, secret


@pytest.mark.parametrize("shown", ["on", "off"])
async def test_a_failed_login_tells_the_address_as_the_documented_filter_reads_it(tmp_path, shown):
    async with serving(tmp_path, LOG_FORMAT="json", LOG_ADDRESSES=shown) as server:
        await server.http("POST", "/v1/sessions", {"handle": "nobody", "password": "wrong horse"})
        (line,) = [each for each in server.log.read_text().splitlines() if "login_failed" in each]
    found = FILTER.search((ROOT / "docs" / "operating.md").read_text("utf-8"))
    assert found is not None
    match = re.search(found[1].replace("<ADDR>", r"(?P<address>[0-9a-f.:]+)"), line)
    assert (match is not None) == (shown == "on")
    assert match is None or match["address"] == "127.0.0.1"
