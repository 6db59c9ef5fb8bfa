"""The way into the terminal client: whose account, which server, and one line where either does not work."""

import asyncio
import os
import re
import ssl
from typing import Annotated, Final

import typer

from tuppence_server.admin.credentials import handle_meant

from .inputs import ask_password
from .output import FAILED, UNREACHABLE, USAGE, DataOption, fail, guarded, program, read_settings

_TLS_FAULTS: Final = {
    "WRONG_VERSION_NUMBER": "the server there does not speak TLS; try http:// or ws://.",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not one that this machine trusts, "
    "or names another host.",
    "did not receive a valid HTTP response": "that is no web server, or one that speaks TLS; try https://.",
}
_numbers = re.compile(r"\[(?:Errno -?\d+|SSL: \w+)\] | \(_ssl\.c:\d+\)")


@guarded
def chat(
    as_handle: Annotated[str, typer.Option("--as", help="Whose account: a handle such as alice.")],
    data: DataOption = None,
    url: Annotated[
        str | None, typer.Option(help="Server to talk to; without it, the one of the data directory.")
    ] = None,
) -> None:
    """Talk and pay in the terminal.

    With the data directory at hand the operator's access logs you in; elsewhere the password is asked for
    (or taken from TUPPENCE_PASSWORD), or TUPPENCE_TOKEN is used.
    """
    from tuppence_client.errors import ConnectionEnded, TuppenceError

    handle = handle_meant(as_handle)
    address, token, tls = _of_this_machine(data, handle) if url is None else (url, "", None)
    try:
        code = asyncio.run(_chat(address, token or _token_for(address, handle), tls))
    except ConnectionEnded as ended:
        raise fail(_why(address, ended.reason), FAILED if ended.final else UNREACHABLE) from None
    except TuppenceError as refused:
        raise fail(f"{refused.code}: {refused.message}") from None
    if code:
        raise typer.Exit(code)


def _why(address: str, reason: str) -> str:
    """Why there is no connection, without the numbers of system and library."""
    for mark, meaning in _TLS_FAULTS.items():
        if mark in reason:
            return f"{address}: {meaning}"
    return f"{address}: {_numbers.sub('', reason).rstrip('.')}."


def _of_this_machine(data: DataOption, handle: str) -> tuple[str, str, ssl.SSLContext]:
    """Address and token where the data directory is at hand; no proxy stands between a machine and itself."""
    from . import admin_client

    settings = read_settings(data=data)
    access = admin_client.running(settings.data)
    if access is None:
        raise fail(
            f"No server runs on {settings.data}; start one with: {program()} serve --data {settings.data}",
            UNREACHABLE,
        )
    session = admin_client.do(settings, "session.open", handle=handle, device="terminal")
    admin_client.without_proxy()
    return access.url, str(session["token"]), admin_client.trusting()


def _token_for(url: str, handle: str) -> str:
    from tuppence_client import login
    from tuppence_client.urls import http_url

    try:
        http_url(url, "/")
    except ValueError:
        raise fail(
            f"--url is {url!r}; expected the address of a server such as https://pay.example.org.", USAGE
        ) from None
    if token := os.environ.get("TUPPENCE_TOKEN", "").strip():
        return token
    return asyncio.run(login(url, handle, ask_password(), device="terminal")).token


async def _chat(url: str, token: str, tls: ssl.SSLContext | None) -> int:
    from tuppence_client import connect
    from tuppence_client.terminal import run_terminal

    async with connect(url, token=token, device="terminal", tls=tls) as me:
        return await run_terminal(me)
