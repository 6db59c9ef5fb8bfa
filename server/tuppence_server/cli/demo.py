"""`tuppence demo`: a sandbox with four people, the scripted conversations, and a server to join."""

import asyncio
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from tuppence_demo.conversation import run_script
from tuppence_demo.evening import run_money_script
from tuppence_server import app, ids
from tuppence_server.app import AdminAccess
from tuppence_server.config import loading
from tuppence_server.config.settings import Settings
from tuppence_server.opening import begin
from tuppence_server.telemetry.logs import configure

from .admin_client import do, without_proxy
from .money import books_table
from .output import FAILED, fail, out, program, talk
from .printable import Paper

PEOPLE: Final = (("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol"), ("dave", "Dave"))
CREDITS: Final = (
    ("alice", "100.00", "EUR"),
    ("bob", "50.00", "EUR"),
    ("carol", "80.00", "EUR"),
    ("carol", "5000", "JPY"),
    ("dave", "40.00", "EUR"),
)
MONEY: Final = {
    "fees": [{"kind": "exchange", "currency": "EUR", "fixed": "0.10", "percent": "0.25"}],
    "exchange_rates": {"EUR/JPY": "163.52", "EUR/USD": "1.0842"},
}
"""What an operator might set: the demo shows it."""


def run_demo(data: Path | None, port: int | None) -> int:
    """Run the demo; the exit code. Without a data directory everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tuppence-demo-") as scratch:
        settings, _ = loading.load(
            {
                "data": data or Path(scratch) / "data",
                "port": 0 if port is None else port,
                "log_level": "warning",
                "mode": "sandbox",
                **MONEY,
            }
        )
        configure(settings)
        without_proxy()
        seed(settings)
        return _serve_and_play(settings, out)


def seed(settings: Settings) -> None:
    """Add the people and their sandbox money; whoever is there already is left alone."""
    asyncio.run(begin(settings))
    there = {user["handle"] for user in do(settings, "user.list")}
    for handle, name in PEOPLE:
        if handle not in there:
            do(settings, "user.add", handle=handle, name=name, password=None)
    for handle, amount, currency in CREDITS:
        if handle not in there:
            do(
                settings,
                "wallet.credit",
                handle=handle,
                amount=amount,
                currency=currency,
                note="sandbox money",
                id=ids.event_id(),
            )


def _serve_and_play(settings: Settings, console: Paper) -> int:
    outcome: list[BaseException] = []
    keep: set[asyncio.Task[None]] = set()

    def announce(access: AdminAccess) -> None:
        task = asyncio.get_running_loop().create_task(_play(settings, access, console, outcome))
        keep.add(task)

    code = app.run(settings, announce, lambda: settings)
    if outcome:
        fail(f"The demo failed: {outcome[0]}")
        return FAILED
    return code


async def _play(
    settings: Settings, access: AdminAccess, console: Paper, outcome: list[BaseException]
) -> None:
    """Play the script, then serve on for a person at a terminal or stop the server."""
    try:
        tokens = [
            (await asyncio.to_thread(do, settings, "session.open", handle=handle, device="script"))["token"]
            for handle, _ in PEOPLE
        ]
        await run_script(access.url, tokens[0], tokens[1], console.print)
        await run_money_script(access.url, tokens, console.print)
        console.print("\nThe operator's books")
        console.print(books_table(await asyncio.to_thread(do, settings, "books")))
    except Exception as fault:  # noqa: BLE001 - whatever it is, the demo says so and fails
        outcome.append(fault)
    if sys.stdin.isatty() and not outcome:
        talk.print(f"\nThe server goes on at {access.url} until Ctrl-C. Join in from another terminal:")
        talk.print(f"  {program()} chat --as carol --data {shlex.quote(str(settings.data))}")
        return
    os.kill(os.getpid(), signal.SIGTERM)
