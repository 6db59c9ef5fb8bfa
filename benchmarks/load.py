"""The load generator: `python -m benchmarks.load closed|paced|fanout|idle|resume|packet --port PORT ...`.

A process of its own. One JSON object on stdout is the report, stderr shows progress on a terminal, and the
exit code is 1 when any frame was refused, lost or unanswered: a figure with losses is no figure.

A real server needs `--plan FILE`: a JSON list of `{"token": ..., "conv": ...}`, one for each connection; for
the fan-out the first ones are the senders and all are members of one room; to claim a packet, the first makes
it and all claim; to resume, each has `epoch`, `pos` and `missed` as well. `--bare` means a server that
repeats to everybody whatever it receives.

`closed` sends a new frame for each answer, `paced` at `--rate` whatever comes back.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.claiming import claim
from benchmarks.process import has_uvloop, raise_open_files, run_loop
from benchmarks.progress import Progress
from benchmarks.returning import Returner, bare_returners, come_back
from benchmarks.runs import Load, Seat, hold, run

KINDS = ("chat.text", "pay.send")


def main() -> None:
    """Run one load; exit with 1 if its figures do not count."""
    parser = _parser()
    options = parser.parse_args()
    if options.mode == "paced" and not options.rate:
        parser.error("a pace needs --rate")
    load = _load(options)
    returners = _returners(options)
    if load.mode != "idle" and not 0 < load.senders <= load.connections:
        parser.error("there must be connections, and no more senders than connections")
    raise_open_files()
    reports: list[dict[str, Any]] = []

    async def play() -> None:
        with Progress() as progress:
            if load.mode == "idle":
                await hold(load, progress)
            elif load.mode == "packet":
                reports.append(await claim(load, options.shares, progress))
            elif returners:
                reports.append(await come_back(load.port, returners, progress))
            else:
                reports.append(await run(load, progress))

    run_loop(play(), uvloop=options.uvloop)
    for report in reports:
        print(json.dumps(report), flush=True)
    sys.exit(not all(report["ok"] for report in reports))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("mode", choices=("closed", "paced", "fanout", "idle", "resume", "packet"))
    parser.add_argument("--port", type=int, required=True)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--plan", type=Path, help="JSON list of {token, conv}")
    target.add_argument("--bare", action="store_true", help="no login; the server repeats")
    parser.add_argument("--connections", type=int, help="default: one for each entry of the plan")
    parser.add_argument("--in-flight", type=int, default=1, help="frames per sending connection")
    parser.add_argument("--rate", type=float, default=0.0, help="paced: frames/s of all together")
    parser.add_argument("--missed", type=int, default=50, help="resume --bare: events for each")
    parser.add_argument("--shares", type=int, default=100, help="packet: how many there are to claim")
    parser.add_argument("--senders", type=int, default=1, help="fan-out only")
    parser.add_argument("--kind", choices=KINDS, default="chat.text")
    parser.add_argument("--text-bytes", type=int, default=40, help="of a chat.text")
    parser.add_argument("--amount", default="0.01", help="of a pay.send")
    parser.add_argument("--currency", default="EUR", help="of a pay.send")
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds")
    parser.add_argument("--seconds", type=float, help="measured; idle: how long to hold")
    parser.add_argument("--uvloop", action=argparse.BooleanOptionalAction, default=has_uvloop())
    return parser


def _load(options: argparse.Namespace) -> Load:
    seats = _seats(options.plan) if options.plan else ()
    body: dict[str, Any] = {"text": "x" * options.text_bytes}
    if options.kind == "pay.send":
        body = {"amount": options.amount, "currency": options.currency}
    idle = options.mode == "idle"
    return Load(
        mode=options.mode,
        port=options.port,
        connections=options.connections or (0 if idle else len(seats)),
        in_flight=options.in_flight,
        senders=options.senders,
        kind=options.kind,
        body=body,
        warmup_s=options.warmup,
        seconds=options.seconds or (0.0 if idle else 5.0),
        seats=seats,
        rate=options.rate if options.mode == "paced" else 0.0,
    )


def _returners(options: argparse.Namespace) -> list[Returner]:
    if options.mode != "resume":
        return []
    if options.bare:
        return bare_returners(options.connections, options.missed)
    return [Returner(**entry) for entry in json.loads(options.plan.read_text(encoding="utf-8"))]


def _seats(plan: Path) -> tuple[Seat, ...]:
    entries = json.loads(plan.read_text(encoding="utf-8"))
    return tuple(Seat(entry["token"], entry["conv"]) for entry in entries)


if __name__ == "__main__":
    main()
