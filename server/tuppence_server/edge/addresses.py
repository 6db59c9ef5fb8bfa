"""How many connections each network address has open. IPv6 counts by /64, which is one household.

A trusted proxy's own connections are not counted. What comes through one counts for the address that it
names: a WebSocket while it is open, a request until it is answered.
"""

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from tuppence_server.config.networks import Networks, key


class Addresses:
    """Counts what is open per address; `most` of 0 sets no limit."""

    def __init__(self, most: int, trusted: Networks) -> None:
        self.most = most
        self.trusted = trusted
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> None:
        """One more connection."""
        if address not in self.trusted:
            self._open[key(address)] += 1

    def crowded(self, address: str) -> bool:
        """True where there are more than there may be."""
        return bool(self.most) and self._open[key(address)] > self.most

    def counts(self, address: str) -> bool:
        """True where an address stands for somebody, and is bounded."""
        return bool(self.most) and address not in self.trusted

    def leave(self, address: str) -> None:
        """One connection less."""
        if address in self.trusted:
            return
        name = key(address)
        self._open[name] -= 1
        if self._open[name] <= 0:
            del self._open[name]


class Counted:
    """The routes, with `client` as the address that a trusted proxy speaks for, and its requests counted."""

    def __init__(self, app: ASGIApp, addresses: Addresses, crowded: ASGIApp) -> None:
        self._app = app
        self._addresses = addresses
        self._crowded = crowded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        addresses = self._addresses
        peer = scope["client"][0] if scope.get("client") else ""
        client = peer
        if peer in addresses.trusted:
            named = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
            client = addresses.trusted.behind(peer, b",".join(named).decode("latin-1"))
            scope["client"] = (client, 0)
        if client == peer:  # the connection itself is counted, or nobody is named
            await self._app(scope, receive, send)
            return
        addresses.enter(client)
        try:
            await (self._crowded if addresses.crowded(client) else self._app)(scope, receive, send)
        finally:
            addresses.leave(client)
