"""A bare `websockets` server that gives the first claims to everybody and refuses the others.

No login, no money, nothing stored: as many frames, about as long, as a red packet makes.
"""

import argparse
import json
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.claiming import BARE_CONV, BARE_PACKET, TOTAL
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
from benchmarks.wire import ID_BYTES

MODULE = "benchmarks.floors.bare_packet"
MARK = '"id":"'


def measure(clients: int = 500, *, shares: int = 100, uvloop: bool = False) -> dict[str, Any]:
    """Return the load generator's report: `outcome_s`, `all_s` and more."""
    loop = "--uvloop" if uvloop else "--no-uvloop"
    with child(MODULE, "--serve", "--shares", str(shares), loop) as target:
        port = str(read_json(target)["port"])
        load = ("packet", "--bare", "--port", port, "--connections", str(clients), "--shares", str(shares))
        with child("benchmarks.load", *load) as generator:
            return checked(read_json(generator))


def claimed(identity: str, share: int, shares: int) -> str:
    """The event of a claim, about as long as the real one."""
    cents = int(TOTAL.replace(".", "")) // shares
    person = f"u_{share:022d}"
    amount = f"{cents // 100}.{cents % 100:02d}"
    body = {
        "amount": amount,
        "currency": "EUR",
        "payee": person,
        "share": share,
        "count": shares,
        "state": "open" if share < shares else "emptied",
        "alt": f"@p{share:x}x got {amount} EUR of @pgx's packet",
    }
    place = {"conv": BARE_CONV, "seq": 700 + share, "pos": 3_000 + share, "from": person}
    event = {"kind": "pay.claim", "id": identity, **place, "at": 1_790_000_000_123}
    return json.dumps(event | {"ref": BARE_PACKET, "body": body}, separators=(",", ":"))


def refused(identity: str) -> str:
    """The error that a claim gets which came too late, about as long as the real one."""
    said = {"code": "packet_empty", "message": "All shares of this packet are taken.", "field": "$.ref"}
    body = {**said, "final": True, "retry_ms": None, "state": {"state": "emptied"}}
    return json.dumps({"kind": "error", "ref": identity, "body": body}, separators=(",", ":"))


async def serve_packet(shares: int) -> None:
    """Take claims, until the parent is gone."""
    connected: set[ServerConnection] = set()
    taken = 0

    async def handle(connection: ServerConnection) -> None:
        nonlocal taken
        connected.add(connection)
        try:
            async for message in connection:
                identity = str(message).partition(MARK)[2][:ID_BYTES]
                if taken < shares:
                    taken += 1
                    broadcast(connected, claimed(identity, taken, shares))
                else:
                    await connection.send(refused(identity))
        finally:
            connected.discard(connection)

    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        announce(server.sockets[0].getsockname()[1])
        await parent_gone()
        server.close(close_connections=True)


def main() -> None:
    """Serve (as a child), or measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server, not the measurement")
    parser.add_argument("--uvloop", action=argparse.BooleanOptionalAction, default=has_uvloop())
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--shares", type=int, default=100)
    options = parser.parse_args()
    if options.serve:
        raise_open_files()
        run_loop(serve_packet(options.shares), uvloop=options.uvloop)
        return
    report = measure(options.clients, shares=options.shares, uvloop=options.uvloop)
    print(json.dumps({"floor": "packet", "server": "websockets", "server_uvloop": options.uvloop} | report))


if __name__ == "__main__":
    main()
