"""Single settings as the operator writes them: brought into the one form that is meant, or refused with an
example."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tuppence_protocol.currencies import EXPONENTS

from .money_tables import Mistake, nearest

EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing listens by it
"""Hosts that stand for every address of a machine, and the address by which it reaches itself."""
_ORIGIN: Final = "an origin as browsers send it, such as https://chat.example.org"
_HOST: Final = "an address such as 127.0.0.1, 0.0.0.0 or ::1, or the name of this machine"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SOCKETS: Final = {"ws": "http", "wss": "https"}
_name = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII).fullmatch
_scheme = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII).fullmatch


def read_origin(value: str) -> str:
    """An origin without what browsers leave out: capitals, a slash at the end, the port that goes without
    saying.

    Raises:
        Mistake: what no browser sends.
    """
    text = value.strip().lower()
    scheme, separator, rest = text.partition("://")
    if not separator or not _scheme(scheme):
        raise Mistake(f"origins: {value!r} has no scheme; expected {_ORIGIN}{_with_scheme(text)}.")
    if scheme in _SOCKETS:
        raise Mistake(
            f"origins: {value!r} is no page's; expected {_ORIGIN}; did you mean {_SOCKETS[scheme]}."
        )
    try:
        parts = urlsplit(f"//{rest.removesuffix('/')}")
        host, port = parts.hostname or "", parts.port
    except ValueError as fault:
        raise Mistake(f"origins: {value!r} is no address: {fault}; expected {_ORIGIN}.") from fault
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or rest.endswith((":", "?", "#")):
        raise Mistake(f"origins: {value!r} is more than scheme, host and port; expected {_ORIGIN}.")
    shown = _host_of_origin(host, value)
    return (
        f"{scheme}://{shown}" if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{scheme}://{shown}:{port}"
    )


def _with_scheme(text: str) -> str:
    host = text.split("/", maxsplit=1)[0]
    return f"; did you mean 'https://{host}'" if _name(host.partition(":")[0]) else ""


def _host_of_origin(host: str, value: str) -> str:
    if ":" in host:
        return f"[{_address(host, 'origins', _ORIGIN)}]"
    if not _name(host):
        more = "; other letters than a to z as browsers send them, xn--…" if not host.isascii() else ""
        raise Mistake(f"origins: {value!r} names no host; expected {_ORIGIN}{more}.")
    return host


def read_host(value: str) -> str:
    """What to listen on.

    Raises:
        Mistake: neither an address nor a name.
    """
    text = value.strip().lower()
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare or bare.replace(".", "").isdigit():
        return _address(bare, f"host is {value!r}", _HOST)
    if not _name(bare):
        raise Mistake(f"host is {value!r}; expected {_HOST}.")
    return bare


def _address(text: str, place: str, expected: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise Mistake(f"{place}: {text!r} is no address; expected {expected}.") from None


def read_currency(value: str) -> str:
    """An ISO 4217 code, in capitals or not.

    Raises:
        Mistake: no currency.
    """
    code = value.strip().upper()
    if code not in EXPONENTS:
        raise Mistake(f"currencies: {value!r} is not an ISO 4217 code such as EUR{nearest(code, EXPONENTS)}.")
    return code


def read_path(name: str, value: str) -> Path:
    """A path; a beginning of ~ is somebody's home.

    Raises:
        Mistake: what no path can be.
    """
    if "\0" in value:
        raise Mistake(f"{name} is {value!r}; expected a path, and none has a zero byte.")
    try:
        return Path(value).expanduser()
    except RuntimeError as fault:
        raise Mistake(f"{name} is {value!r}: {fault}") from fault
