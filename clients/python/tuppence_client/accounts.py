"""Accounts go over plain HTTP, once, before there is a session: register and log in. No library is needed."""

import asyncio
import http.client
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tuppence_protocol.kinds import ErrorBody
from tuppence_protocol.views import Extensible, UserView

from .errors import ConnectionEnded, error_of
from .loops import need_asyncio
from .urls import http_url

ANSWER_BYTES_MAX: Final = 65_536
TIMEOUT_S: Final = 15.0


class Session(Extensible, frozen=True):
    """What a login gives; `expires_at` is in ms since the epoch. The token is a secret: it is not shown."""

    token: str
    user: UserView
    expires_at: int

    def __repr__(self) -> str:
        return f"Session(user={self.user!r}, expires_at={self.expires_at})"


class _Registered(Extensible, frozen=True):
    user: UserView


async def register(
    url: str, handle: str, password: str, name: str = "", tls: ssl.SSLContext | None = None
) -> UserView:
    """Make a user and return it; `IdError` (handle_taken), `ShapeError`, `ConnectionEnded` (unreachable)."""
    need_asyncio("register")
    body = {"handle": handle, "password": password} | ({"name": name} if name else {})
    registered: _Registered = await asyncio.to_thread(_post, url, "/v1/users", body, _Registered, tls)
    return registered.user


async def login(
    url: str, handle: str, password: str, device: str | None = None, tls: ssl.SSLContext | None = None
) -> Session:
    """Log in and return the session; `SessionError` (bad_credentials), `ConnectionEnded` (unreachable)."""
    need_asyncio("login")
    body = {"handle": handle, "password": password} | ({"device": device} if device else {})
    session: Session = await asyncio.to_thread(_post, url, "/v1/sessions", body, Session, tls)
    return session


def _post(url: str, path: str, body: dict[str, str], answer: type[Any], tls: ssl.SSLContext | None) -> Any:
    parts = urlsplit(http_url(url, path))
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=tls)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    )
    try:
        connection.request(
            "POST", parts.path, msgspec.json.encode(body), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        status, raw = response.status, response.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as fault:
        raise ConnectionEnded(1006, f"could not reach {parts.netloc}: {fault}") from None
    finally:
        connection.close()
    try:
        if status == 201:
            return msgspec.json.decode(raw, type=answer)
        refusal = msgspec.json.decode(raw, type=ErrorBody)
    except msgspec.MsgspecError:
        raise ConnectionEnded(1006, f"{parts.netloc} answered {status} with something else") from None
    raise error_of(refusal)
