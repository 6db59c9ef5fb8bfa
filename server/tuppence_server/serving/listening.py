"""The sockets that a server listens on, bound before it starts:
a port that cannot be had is told in a line."""

import errno
import os
import socket
from typing import Final

_HINTS: Final = {
    errno.EADDRINUSE: "another program or server has it; name another with --port",
    errno.EACCES: "ports below 1024 need the capability CAP_NET_BIND_SERVICE, or a proxy in front",
    errno.EADDRNOTAVAIL: "host is to be an address of this machine",
}
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListen(Exception):
    """The address cannot be listened on; the message says why and what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """A socket for each address that the host has; port 0 takes a free one, the same for all.

    Raises:
        CannotListen: as above.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as fault:
        raise CannotListen(f"Cannot listen on {host}: {_why(fault)}; host is {host!r}.") from fault
    bound: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        chosen = bound[0].getsockname()[1] if bound else port
        try:
            bound.append(_bound(family, kind, protocol, (address[0], chosen, *address[2:])))
        except OSError as fault:
            if fault.errno in _NOT_HERE:
                missing = fault
                continue
            for each in bound:
                each.close()
            raise _cannot(host, port, fault) from fault
    if not bound:
        raise _cannot(host, port, missing or OSError(errno.EADDRNOTAVAIL, "no such address"))
    return bound


def _bound(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _cannot(host: str, port: int, fault: OSError) -> CannotListen:
    hint = _HINTS.get(fault.errno or 0)
    return CannotListen(
        f"Cannot listen on {host}, port {port}: {_why(fault)}" + (f"; {hint}." if hint else ".")
    )


def _why(fault: Exception) -> str:
    text = getattr(fault, "strerror", None) or str(fault)
    return text[:1].lower() + text[1:]
