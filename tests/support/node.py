"""A hub with its broker, and connections to it that remember what was written to them."""

import json
from collections.abc import Sequence
from typing import Any, Final

from tuppence_protocol.errors import CloseCode
from tuppence_server.domain.effects import Balance, Outflow, Publish
from tuppence_server.domain.rows import LoggedEvent
from tuppence_server.hub.broker import LocalBroker
from tuppence_server.hub.hub import Hub
from tuppence_server.hub.outbox import Outbox
from tuppence_server.pipeline.commits import Committed
from tuppence_server.telemetry.metrics import Metrics

DM: Final = ("alice", "bob")


class FakeConnection(Outbox):
    """A connection that takes everything, unless it is paused."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.touched)
        self.writes: list[bytes] = []
        self.closed: list[str] = []

    @property
    def open(self) -> bool:
        return not self.closed

    def transmit(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self, code: CloseCode, retry_ms: int | None = None) -> None:
        self.closed.append(code.name)

    def heard(self) -> list[Any]:
        """All that was written, read again; live frames by their kind."""
        lines = [json.loads(line) for data in self.writes for line in data.splitlines()]
        self.writes.clear()
        return [line.get("pos", line["kind"]) for line in lines]


class Node:
    """One node's hub, which frames each text as a line."""

    def __init__(self) -> None:
        self.hub = Hub(lambda text: text + b"\n", Metrics())
        self.broker = LocalBroker()
        self.broker.listen(self.hub)
        self.seqs: dict[str, int] = {}

    def arrive(self, user: str, groups: Sequence[str] = ()) -> FakeConnection:
        """A connection that is not yet told anything."""
        connection = FakeConnection(self.hub)
        self.hub.attach(connection, user, user, groups)
        return connection

    def enter(self, user: str, *groups: str, pos: int = 0) -> FakeConnection:
        """A connection that has had its snapshot."""
        connection = self.arrive(user, groups)
        self.hub.admit(connection, pos, groups, [])
        connection.writes.clear()
        return connection

    def event(
        self, pos: int, conv: str, people: tuple[str, ...] | None = None, members: int = 3, author: str = ""
    ) -> Publish:
        """An event of a conversation, with the next `seq` there."""
        seq = self.seqs[conv] = self.seqs.get(conv, 0) + 1
        head = json.dumps({"kind": "chat.text", "conv": conv, "seq": seq, "pos": pos}).encode()
        return Publish(LoggedEvent(pos, conv, seq, head, b"{}", b"", b""), people, members, author)

    def commit(self, *flow: Outflow, balances: Sequence[Balance] = ()) -> None:
        """One commit, written to everybody."""
        self.broker.commit(Committed(0, list(flow), list(balances)))
        self.hub.flush()
