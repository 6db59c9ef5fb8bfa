"""Network addresses as people, proxies and sockets write them: one reading for settings, HTTP and WebSockets.

An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is that IPv4 address. For counting and pacing, an IPv6
address is its /64: that is what one household or machine gets, and whoever has one can use all of it.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
WIDEST_BITS: Final = {4: 8, 6: 7}
"""The shortest prefix that may be trusted: 10.0.0.0/8 and fc00::/7 are the widest private networks there
are."""
_ADDRESS_CHARS_MAX: Final = 100
_MAPPED_BITS: Final = 96


class Mistake(ValueError):
    """A text that names no network that may be trusted; the message says why and gives an example."""


def address(text: str) -> Address | None:
    """Read an address, with or without a port, brackets or an interface; None where it is not one."""
    text = text.strip().strip('"')
    if len(text) > _ADDRESS_CHARS_MAX:
        return None
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest
    elif text.count(":") == 1:
        host, colon, number = text.partition(":")
        port = colon + number
    if port and not (port[1:].isascii() and port[1:].isdecimal() and int(port[1:]) <= 65_535):
        return None
    try:
        return _plain(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def network(text: str) -> Network:
    """Read a network that may be trusted; one address is the network of itself.

    Raises:
        Mistake: it is none, or so wide that it would trust strangers.
    """
    text = text.strip()
    if text == "*":
        raise Mistake("'*' would believe what any client writes; name the proxy's address or network")
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise Mistake(
            f"{text!r} is not an address such as 127.0.0.1 or a network such as 10.0.0.0/8"
        ) from None
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    if mapped is not None and found.prefixlen >= _MAPPED_BITS:
        found = IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    elif ip_address(text.partition("/")[0]) != found.network_address:
        raise Mistake(f"{text!r} is an address within a network; write {str(found)!r}, or the address alone")
    if found.prefixlen < WIDEST_BITS[found.version]:
        raise Mistake(f"{text!r} is wider than any private network; name the proxy's own")
    return found


def key(text: str) -> str:
    """What an address counts as: its /64 for IPv6; a text that is no address counts as itself."""
    return _key(text, 64, 32)


def neighbourhood(text: str) -> str:
    """The wider network that one customer may hold whole: /24 for IPv4, /48 for IPv6."""
    return _key(text, 48, 24)


class Networks:
    """Addresses and networks that are trusted."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = tuple(network(text) for text in texts)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, text: str) -> bool:
        parsed = address(text) if self._networks else None
        return parsed is not None and self.holds(parsed)

    def holds(self, parsed: Address) -> bool:
        """Whether an address is in one of them."""
        return any(parsed in each for each in self._networks)

    def behind(self, peer: str, forwarded: str) -> str:
        """Who the peer speaks for, where it is trusted: the last in X-Forwarded-For whom nobody trusted
        wrote.

        Proxies append, so it is read from its end, and no further than an entry that is not an address.
        """
        if peer not in self:
            return peer
        found = peer
        for named in reversed(forwarded.split(",")):
            parsed = address(named)
            if parsed is None:
                break
            found = str(parsed)
            if not self.holds(parsed):
                break
        return found


def _plain(parsed: Address) -> Address:
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


def _key(text: str, bits: int, bits_of_4: int) -> str:
    parsed = address(text)
    if parsed is None:
        return text
    return str(ip_network((parsed, bits if parsed.version == 6 else bits_of_4), strict=False))
