"""How the command line reaches the office: through the running server, or in process when there is none.

Never beside a running server: the data directory's lock decides.
"""

import asyncio
import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from filelock import FileLock, Timeout

from tuppence_protocol.errors import CODES, Refusal

from .app import ADMIN_ACCESS, LOCK, AdminAccess, opened_office
from .backup import BackupError
from .office import Refused
from .settings import Settings


class Unreachable(Exception):
    """A server has the data directory but does not answer."""


def do(settings: Settings, action: str, **arguments: Any) -> Any:
    """Carry out an office action and return its plain result.

    Raises:
        Refused, BackupError, Unreachable, DataInUse: see there.
    """
    access = running(settings.data)
    if access is not None:
        return _remotely(access, action, arguments)
    return asyncio.run(_locally(settings, action, arguments))


def running(data: Path) -> AdminAccess | None:
    """Where the server of this data directory is; None without one, even where one crashed and left its address."""
    try:
        access = msgspec.json.decode((data / ADMIN_ACCESS).read_bytes(), type=AdminAccess)
        with FileLock(data / LOCK, mode=0o600).acquire(timeout=0):
            return None
    except Timeout:
        return access
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


async def _locally(settings: Settings, action: str, arguments: dict[str, Any]) -> Any:
    async with opened_office(settings) as (office, _):
        return await office.do(action, arguments)


def _remotely(access: AdminAccess, action: str, arguments: dict[str, Any]) -> Any:
    target = urlsplit(access.url)
    if target.scheme == "https":
        connection: http.client.HTTPConnection = _https(target.hostname, target.port)
    else:
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=600)
    body = json.dumps({"do": action, "arguments": arguments})
    headers = {"authorization": f"Bearer {access.token}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/admin", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise Unreachable(
            f"The server (process {access.pid}) at {access.url} does not answer: {fault}."
        ) from fault
    finally:
        connection.close()
    if response.status == 200:
        return answer["result"]
    if answer.get("field") == "$.arguments.path":
        raise BackupError(answer["message"])
    code = answer["code"] if answer["code"] in CODES else "internal"
    raise Refused(Refusal(code, answer["message"], answer.get("field")))


def _https(host: str | None, port: int | None) -> http.client.HTTPSConnection:
    """The server's own certificate names its public host, not this address; the token file is the trust."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host or "", port, timeout=600, context=context)
