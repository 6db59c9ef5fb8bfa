"""How the command line reaches the administration: through the running server,
or in process when there is none.

Never beside a running server: the data directory's lock decides.
"""

import asyncio
import http.client
import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Final, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec

from tuppence_protocol.errors import CODES, Refusal
from tuppence_server.admin.backup import BackupError
from tuppence_server.admin.refusals import NOBODY, Refused
from tuppence_server.app import AdminAccess, opened_admin
from tuppence_server.config.settings import Settings
from tuppence_server.data_dir import ADMIN_ACCESS, WrongData, in_use
from tuppence_server.reports.statement import RENDERERS, open_statement

PIECE_BYTES: Final = 65_536
_BEGINNERS: Final = frozenset({"user.add"})
"""Actions that begin a data directory where there is none; a mistyped path makes nothing elsewhere."""
SILENCE_S: Final = 5.0
"""After so long without an answer the server is asked for a sign of life."""
LIFE_S_MAX: Final = 10.0
"""How long it may take to give one, or to take a request."""
PIECE_S_MAX: Final = 60.0
"""How long the next piece of an answer that has begun may take."""


class Writes(Protocol):
    """Where a file goes, piece by piece."""

    def write(self, piece: bytes, /) -> object: ...


class Unreachable(Exception):
    """A server has the data directory but does not answer; `sent` where it may have the command all the
    same."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


def do(settings: Settings, action: str, **arguments: Any) -> Any:
    """Carry out an action of the administration and return its plain result.

    Raises:
        Refused, BackupError, Unreachable, DataInUse, WrongData: see there.
    """
    access = running(settings.data)
    if access is not None:
        return _remotely(access, action, arguments)
    return asyncio.run(_locally(settings, action, arguments))


def running(data: Path) -> AdminAccess | None:
    """Where the server of this data directory is; None without one,
    even where one crashed and left its address."""
    try:
        access = msgspec.json.decode((data / ADMIN_ACCESS).read_bytes(), type=AdminAccess)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None
    except OSError as fault:
        raise WrongData(f"{data / ADMIN_ACCESS} cannot be read: {fault.strerror}.") from fault
    return access if in_use(data) else None


async def _locally(settings: Settings, action: str, arguments: dict[str, Any]) -> Any:
    async with opened_admin(settings, make=action in _BEGINNERS) as (admin, _):
        return await admin.do(action, arguments)


def statement(settings: Settings, wanted: dict[str, Any], out: Writes) -> None:
    """Write a person's statement to `out` as it comes; `wanted` has the names of the endpoint's parameters.

    Raises:
        Refused, Unreachable, DataInUse: see there.
    """
    access = running(settings.data)
    if access is None:
        asyncio.run(_write_statement(settings, wanted, out))
        return
    given = {name: value for name, value in wanted.items() if value is not None}
    with _answer(access, "GET", f"/v1/admin/statement?{urlencode(given)}") as response:
        if response.status != 200:
            raise _refused(json.loads(response.read()))
        while piece := response.read(PIECE_BYTES):
            out.write(piece)


async def _write_statement(settings: Settings, wanted: dict[str, Any], out: Writes) -> None:
    async with opened_admin(settings) as (_, store):
        user = await store.user(wanted["handle"])
        if user is None:
            raise Refused(NOBODY)
        opened = await open_statement(store, user.id, wanted["currency"], wanted["from"], wanted["to"])
        if isinstance(opened, Refusal):
            raise Refused(opened)
        async for piece in RENDERERS[wanted["format"]](store, opened):
            out.write(piece)


def _remotely(access: AdminAccess, action: str, arguments: dict[str, Any]) -> Any:
    body = json.dumps({"do": action, "arguments": arguments})
    with _answer(access, "POST", "/v1/admin", body) as response:
        answer = json.loads(response.read())
    if response.status == 200:
        return answer["result"]
    if answer.get("field") == "$.arguments.path":
        raise BackupError(answer["message"])
    raise _refused(answer)


def _refused(answer: dict[str, Any]) -> Refused:
    code = answer["code"] if answer["code"] in CODES else "internal"
    return Refused(Refusal(code, answer["message"], answer.get("field")))


@contextmanager
def _answer(
    access: AdminAccess, method: str, path: str, body: str | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request, however long it takes, as long as the server shows signs of life."""
    connection = _connection(access)
    headers = {"authorization": f"Bearer {access.token}", "content-type": "application/json"}
    try:
        connection.connect()
    except OSError as fault:
        raise _unreachable(access, fault, sent=False) from fault
    try:
        connection.request(method, path, body, headers)
        yield _awaited(connection, access)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise _unreachable(access, fault) from fault
    finally:
        connection.close()


def _awaited(connection: http.client.HTTPConnection, access: AdminAccess) -> http.client.HTTPResponse:
    """A backup may take an hour, and a stopped server for ever: who waits asks now and then whether it
    lives."""
    connection.sock.settimeout(None)
    answer: Queue[http.client.HTTPResponse | Exception] = Queue(1)

    def wait() -> None:
        try:
            answer.put(connection.getresponse())
        except Exception as fault:  # noqa: BLE001 - raised again where it is waited for
            answer.put(fault)

    sock = connection.sock
    Thread(target=wait, daemon=True).start()
    while True:
        try:
            found = answer.get(timeout=SILENCE_S)
        except Empty:
            look(access)
            continue
        if isinstance(found, Exception):
            raise found
        with suppress(OSError):  # all of a short answer is here, and the socket closed
            sock.settimeout(PIECE_S_MAX)
        return found


def look(access: AdminAccess) -> None:
    """See that the server answers at all.

    Raises:
        Unreachable: it does not.
    """
    connection = _connection(access)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as fault:
        raise _unreachable(access, fault) from fault
    finally:
        connection.close()


def _unreachable(access: AdminAccess, fault: Exception, *, sent: bool = True) -> Unreachable:
    why = getattr(fault, "strerror", None) or str(fault).strip() or type(fault).__name__
    why = "it is silent" if isinstance(fault, TimeoutError) else why
    return Unreachable(
        f"The server (process {access.pid}) at {access.url} does not answer: {why}. "
        "It is starting, stopping, stuck or suspended; see its log. "
        f"A suspended one goes on with: kill -CONT {access.pid}",
        sent=sent,
    )


def _connection(access: AdminAccess) -> http.client.HTTPConnection:
    """Straight to the server, by no proxy.

    Its own certificate names its public host, not this address; the token file is the trust.
    """
    target = urlsplit(access.url)
    host = target.hostname or ""
    if target.scheme != "https":
        return http.client.HTTPConnection(host, target.port, timeout=LIFE_S_MAX)
    return http.client.HTTPSConnection(host, target.port, timeout=LIFE_S_MAX, context=trusting())


def trusting() -> ssl.SSLContext:
    """For the server of this machine alone: whoever wrote the token file is trusted, whatever its
    certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def without_proxy() -> None:
    """Let nothing in this process use a proxy: there is none between a machine and itself."""
    os.environ["no_proxy"] = "*"
