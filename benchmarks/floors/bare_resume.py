"""A bare `websockets` server that answers every hello from memory with what a resume would bring.

No login, no log, no database: `ready`, the same events for everybody, `synced`.
"""

import argparse
import json
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from benchmarks.process import (
    announce,
    child,
    has_uvloop,
    parent_gone,
    raise_open_files,
    read_json,
    run_loop,
)
from benchmarks.returning import BARE_CONV, BARE_EPOCH
from benchmarks.tally import checked

MODULE = "benchmarks.floors.bare_resume"


def measure(clients: int = 2000, *, missed: int = 50, uvloop: bool = False) -> float:
    """Return seconds until all clients that come back at once have all that they missed."""
    loop = "--uvloop" if uvloop else "--no-uvloop"
    with child(MODULE, "--serve", "--missed", str(missed), loop) as target:
        port = str(read_json(target)["port"])
        load = ("resume", "--bare", "--port", port, "--connections", str(clients), "--missed", str(missed))
        with child("benchmarks.load", *load) as generator:
            return float(checked(read_json(generator))["synced_s"])


def frames(missed: int) -> list[str]:
    """The answer to a hello, about as long as the real one."""
    person = {"id": "u_" + "x" * 22, "handle": "somebody", "name": ""}
    ready = {"user": person, "session": "s_" + "x" * 22, "epoch": BARE_EPOCH, "pos": missed, "resumed": True}
    events = [
        {
            "kind": "chat.text",
            "id": f"0197a1c2-7d3e-7b1a-9c55-{number:012x}",
            "conv": BARE_CONV,
            "seq": number + 1,
            "pos": number + 1,
            "from": person["id"],
            "at": 1_790_000_000_123,
            "body": {"text": str(number)},
        }
        for number in range(missed)
    ]
    whole = [
        {"kind": "ready", "body": ready | {"conversations": [{"conv": BARE_CONV, "peer": person}]}},
        *events,
        {"kind": "synced", "body": {"pos": missed}},
    ]
    return [json.dumps(frame, separators=(",", ":")) for frame in whole]


async def serve_resume(missed: int) -> None:
    """Answer the first message of each connection, until the parent is gone."""
    answer = frames(missed)

    async def handle(connection: ServerConnection) -> None:
        await connection.recv()
        for frame in answer:
            await connection.send(frame)
        await connection.wait_closed()

    options: dict[str, Any] = {"compression": None, "ping_interval": None, "backlog": 4096}
    async with serve(handle, "127.0.0.1", 0, **options) as server:
        announce(server.sockets[0].getsockname()[1])
        await parent_gone()
        server.close(close_connections=True)


def main() -> None:
    """Serve (as a child), or measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server, not the measurement")
    parser.add_argument("--uvloop", action=argparse.BooleanOptionalAction, default=has_uvloop())
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--missed", type=int, default=50)
    options = parser.parse_args()
    if options.serve:
        raise_open_files()
        run_loop(serve_resume(options.missed), uvloop=options.uvloop)
        return
    seconds = measure(options.clients, missed=options.missed, uvloop=options.uvloop)
    named = {"floor": "resume", "server": "websockets", "server_uvloop": options.uvloop}
    print(json.dumps(named | {"clients": options.clients, "synced_s": round(seconds, 3)}))


if __name__ == "__main__":
    main()
