"""Servers that pass every message to every connection and store nothing.

What they deliver a second into one room is the floor for a room of the real server,
which has to make each message durable first.
"""

import argparse
import json
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.process import (
    announce,
    child,
    has_uvloop,
    parent_gone,
    raise_open_files,
    read_json,
    run_loop,
)
from benchmarks.tally import checked

SERVERS = ("websockets", "picows")
MODULE = "benchmarks.floors.bare_fanout"


def measure(
    server: str,
    *,
    uvloop: bool = False,
    connections: int = 1000,
    senders: int = 1,
    in_flight: int = 1,
    warmup: float = 2.0,
    seconds: float = 5.0,
) -> dict[str, Any]:
    """Return the load generator's report on one of `SERVERS`: `deliveries_per_s` and more."""
    loop = "--uvloop" if uvloop else "--no-uvloop"
    with child(MODULE, "--serve", "--server", server, loop) as target:
        port = read_json(target)["port"]
        load = ("fanout", "--bare", "--port", str(port), "--connections", str(connections))
        shape = ("--senders", str(senders), "--in-flight", str(in_flight))
        times = ("--warmup", str(warmup), "--seconds", str(seconds))
        with child("benchmarks.load", *load, *shape, *times) as generator:
            return checked(read_json(generator))


def measure_paced(server: str, rate: float, *, warmup: float = 2.0, seconds: float = 5.0) -> dict[str, Any]:
    """Return the report of an open loop into two connections:
    every frame is seen by its sender and one other."""
    with child(MODULE, "--serve", "--server", server) as target:
        port = read_json(target)["port"]
        load = ("paced", "--bare", "--port", str(port), "--connections", "2", "--rate", f"{rate:.0f}")
        times = ("--warmup", str(warmup), "--seconds", str(seconds))
        with child("benchmarks.load", *load, *times) as generator:
            return checked(read_json(generator))


async def serve_websockets() -> None:
    """Pass messages on with `websockets` and its `broadcast`, until the parent is gone."""
    connected: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        connected.add(connection)
        try:
            async for message in connection:
                broadcast(connected, message)
        finally:
            connected.discard(connection)

    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        announce(server.sockets[0].getsockname()[1])
        await parent_gone()
        server.close(close_connections=True)


class Repeater(WSListener):
    """One picows connection that sends what it receives to all."""

    def __init__(self, connected: set[WSTransport]) -> None:
        self._connected = connected

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Join."""
        self._connected.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass a text frame on; answer a close frame."""
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        for other in tuple(self._connected):
            other.send(WSMsgType.TEXT, payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Leave."""
        self._connected.discard(transport)


async def serve_picows() -> None:
    """Pass messages on with picows, until the parent is gone."""
    connected: set[WSTransport] = set()

    def accept(_: WSUpgradeRequest) -> WSListener:
        return Repeater(connected)

    server = await ws_create_server(accept, "127.0.0.1", 0)
    announce(server.sockets[0].getsockname()[1])
    await parent_gone()
    server.close()


def main() -> None:
    """Serve (as a child), or measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server, not the measurement")
    parser.add_argument("--server", choices=SERVERS, default="websockets")
    parser.add_argument("--uvloop", action=argparse.BooleanOptionalAction, default=has_uvloop())
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    if options.serve:
        raise_open_files()
        server = serve_websockets if options.server == "websockets" else serve_picows
        run_loop(server(), uvloop=options.uvloop)
        return
    report = measure(
        options.server,
        uvloop=options.uvloop,
        connections=options.connections,
        senders=options.senders,
        in_flight=options.in_flight,
        seconds=options.seconds,
    )
    named = {"floor": "fanout", "server": options.server, "server_uvloop": options.uvloop}
    print(json.dumps(named | report))


if __name__ == "__main__":
    main()
