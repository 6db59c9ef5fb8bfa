"""What an idle connection costs a bare `websockets` server, in resident bytes.

Compression and keep-alive are off: each would cost memory per connection, and the floor
is the least that this library needs.
"""

import argparse
import json
import subprocess

from websockets.asyncio.server import ServerConnection, serve

from benchmarks.process import (
    announce,
    child,
    has_uvloop,
    parent_gone,
    raise_open_files,
    read_json,
    resident_bytes,
    run_loop,
)

MODULE = "benchmarks.floors.bare_idle"
# The first connections pay for caches and pools that the later ones share.
FIRST_CONNECTIONS = 200


def measure(connections: int = 4000, *, uvloop: bool = False) -> float:
    """Return resident bytes per idle connection of a bare server."""
    loop = "--uvloop" if uvloop else "--no-uvloop"
    with child(MODULE, "--serve", loop) as target:
        answer = read_json(target)
        return bytes_per_connection(answer["pid"], answer["port"], connections, "--bare")


def bytes_per_connection(pid: int, port: int, connections: int, *arguments: str) -> float:
    """Return how many resident bytes each of `connections` adds to the server `pid`.

    `arguments` go to the load generator: `--bare`, or the plan of a real server.
    """
    with child("benchmarks.load", "idle", "--port", str(port), *arguments) as generator:
        open_more(generator, FIRST_CONNECTIONS)
        before = resident_bytes(pid)
        open_more(generator, connections)
        return (resident_bytes(pid) - before) / connections


def open_more(generator: subprocess.Popen[str], count: int) -> None:
    """Have a load generator in idle mode open `count` more connections; raise if any was lost."""
    if generator.stdin is None:
        raise RuntimeError("the load generator has no stdin")
    print(count, file=generator.stdin, flush=True)
    lost = read_json(generator)["lost"]
    if lost:
        raise RuntimeError(f"{lost} idle connections were lost")


async def serve_idle() -> None:
    """Accept connections and leave them alone, until the parent is gone."""

    async def handle(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        announce(server.sockets[0].getsockname()[1])
        await parent_gone()
        server.close(close_connections=True)


def main() -> None:
    """Serve (as a child), or measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server, not the measurement")
    parser.add_argument("--uvloop", action=argparse.BooleanOptionalAction, default=has_uvloop())
    parser.add_argument("--connections", type=int, default=4000)
    options = parser.parse_args()
    if options.serve:
        raise_open_files()
        run_loop(serve_idle(), uvloop=options.uvloop)
        return
    size = measure(options.connections, uvloop=options.uvloop)
    named = {"floor": "idle", "server": "websockets", "server_uvloop": options.uvloop}
    print(json.dumps(named | {"connections": options.connections, "bytes_each": round(size)}))


if __name__ == "__main__":
    main()
