"""Whoever is counted at the door of TLS is taken off once, in whatever order handshake,
bytes and loss come."""

import asyncio
import ssl
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from tests.support.tls import make_pair
from tests.support.waiting import seeded, until

from tuppence_server.config.networks import Networks
from tuppence_server.edge.acceptor import Acceptor
from tuppence_server.edge.addresses import Addresses
from tuppence_server.edge.handshake import client_address
from tuppence_server.edge.tls import Door, _Threshold
from tuppence_server.telemetry.metrics import Metrics

HERE = "127.0.0.1"


class Table(Addresses):
    """Addresses that count what comes and goes in all."""

    def __init__(self) -> None:
        super().__init__(1_000, Networks(()))
        self.entered = self.left = 0

    def enter(self, address: str) -> None:
        self.entered += 1
        super().enter(address)

    def leave(self, address: str) -> None:
        self.left += 1
        assert self.left <= self.entered
        super().leave(address)

    @property
    def empty(self) -> bool:
        return self.entered == self.left and not self._open


class Transport:
    """What the loop's TLS does: bytes go to whose turn it is, a loss to whose it was when it was seen."""

    def __init__(self, protocol: asyncio.Protocol, *, knows: bool) -> None:
        self.protocol, self.knows = protocol, knows
        self.seen = False
        self.tell: Callable[[Exception | None], None] | None = None

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        return self.protocol

    def is_closing(self) -> bool:
        return self.seen and self.knows

    def abort(self) -> None:
        pass

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return HERE, 1

    def lose(self) -> None:
        self.seen, self.tell = True, self.protocol.connection_lost


class Counted(asyncio.Protocol):
    """Counts itself as the HTTP side does; with `heir` its first bytes are an upgrade, not counted anew."""

    def __init__(self, table: Table, heir: "Counted | None" = None) -> None:
        self.table, self.heir = table, heir
        self.told: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.address = client_address(transport)
        self.table.enter(self.address)

    def data_received(self, data: bytes) -> None:
        self.told.append(data.decode())
        if self.heir is not None:
            self.heir.transport, self.heir.address = self.transport, self.address
            self.transport.set_protocol(self.heir)

    def eof_received(self) -> None:
        self.told.append("eof")

    def connection_lost(self, _: Exception | None) -> None:
        self.told.append("lost")
        self.table.leave(self.address)


ORDERS = [
    order
    for order in permutations(["cross", "one", "two", "eof", "seen", "told"])
    if order.index("one") < order.index("two") < order.index("eof")
    and order.index("seen") < order.index("told")
    and order.index("eof") < order.index("told")
]


@pytest.mark.parametrize("knows", [True, False], ids=["closing", "not yet closing"])
@pytest.mark.parametrize("upgrade", [False, True], ids=["http", "upgrade"])
def test_every_order_of_bytes_loss_and_crossing_leaves_nobody_counted(knows: bool, upgrade: bool) -> None:
    for order in ORDERS:
        table, threshold = Table(), _Threshold()
        heir = Counted(table) if upgrade else None
        inner, fake = Counted(table, heir), Transport(threshold, knows=knows)
        transport = cast("asyncio.Transport", fake)
        for step in order:
            if step == "cross":
                threshold.cross(transport, inner)
            elif step == "seen":
                fake.lose()
            elif step == "told":
                assert fake.tell is not None
                fake.tell(None)
            elif step == "eof":
                fake.protocol.eof_received()
            else:
                fake.protocol.data_received(step.encode())
        assert table.empty, order
        crossed = order.index("cross") < order.index("seen" if knows else "told")
        told = inner.told + (heir.told if heir else [])
        got = ["one", "two", "eof", "lost"] if crossed else []
        held = fake.tell.__self__ if fake.tell else None  # type: ignore[attr-defined]
        if upgrade and held is inner:  # the upgrade came after the loss was seen: it cannot in a real loop
            continue
        assert told == got, order


def test_bytes_and_loss_that_were_bound_before_the_crossing_come_in_after_it() -> None:
    table, threshold = Table(), _Threshold()
    inner, fake = Counted(table), Transport(threshold, knows=False)
    bound = threshold.data_received, threshold.eof_received, threshold.connection_lost
    threshold.cross(cast("asyncio.Transport", fake), inner)
    bound[0](b"late")
    bound[1]()
    bound[2](None)
    assert inner.told == ["late", "eof", "lost"]
    assert table.empty


async def burst(path: Path) -> None:
    pair, table, chance = make_pair(path), Table(), seeded()
    acceptor, faults = Acceptor(table, Metrics()), []
    acceptor.loop.set_exception_handler(lambda _, context: faults.append(context))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    door = lambda: Door(acceptor, context, lambda: Counted(table))  # noqa: E731
    listening = await acceptor.loop.create_server(door, HERE, 0)
    port = listening.sockets[0].getsockname()[1]
    ours = pair.client()

    async def one(way: int) -> None:
        shakes = way % 4 != 3
        try:
            _, writer = await asyncio.open_connection(HERE, port, ssl=ours if shakes else None)
        except OSError:
            return
        writer.write([b"first bytes", b"", b"\x16\x03\x01\x02\x00\x01", b"x" * 70_000][way // 4 % 4])
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if way % 2:
            writer.transport.abort()
        else:
            writer.close()

    for _ in range(6):
        await asyncio.gather(*(one(chance.randrange(16)) for _ in range(50)))

    async def ended() -> bool:
        return table.empty and not acceptor.tasks

    await until(ended, "every connection is taken off the table")
    assert table.entered > 300
    assert faults == []
    listening.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_after_bursts_of_every_sort_the_table_is_empty(loop: Any, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(burst(tmp_path))
