"""How many connections each network address has open. IPv6 counts by /64, which is one household."""

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address


class Addresses:
    """Counts open connections per address; `most` of 0 sets no limit.

    A trusted proxy's own address is not counted: behind it are the addresses that it names.
    """

    def __init__(self, most: int, trusted: Iterable[str] = ()) -> None:
        self.most = most
        self.trusted = frozenset(trusted)
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> None:
        """One more connection."""
        if address not in self.trusted:
            self._open[_key(address)] += 1

    def crowded(self, address: str) -> bool:
        """True where there are more than there may be."""
        return bool(self.most) and self._open[_key(address)] > self.most

    def leave(self, address: str) -> None:
        """One connection less."""
        if address in self.trusted:
            return
        key = _key(address)
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]

    def behind(self, address: str, forwarded: str) -> str:
        """The client's address: the last one in X-Forwarded-For that no trusted proxy has."""
        if address not in self.trusted:
            return address
        named = [part.strip() for part in forwarded.split(",") if part.strip()]
        return next((part for part in reversed(named) if part not in self.trusted), address)


def _key(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or (int(parsed) >> 64))
    return address
