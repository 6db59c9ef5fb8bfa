"""A database that is taken away, replaced, cut or shared by links beneath a server costs nothing in
silence."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.support.commands import CANNOT_START, is_refused
from tests.support.server import Server
from websockets.exceptions import WebSocketException


def taken_away(data: Path) -> None:
    for each in data.glob("tuppence.db*"):
        each.unlink()


def without_its_log(data: Path) -> None:
    (data / "tuppence.db-wal").unlink()


def without_its_index(data: Path) -> None:
    (data / "tuppence.db-shm").unlink()


def replaced(data: Path) -> None:
    shutil.copy(data / "tuppence.db", data / "copy")
    (data / "copy").replace(data / "tuppence.db")


def log_replaced(data: Path) -> None:
    shutil.copy(data / "tuppence.db-wal", data / "copy")
    (data / "copy").replace(data / "tuppence.db-wal")


def cut(data: Path) -> None:
    os.truncate(data / "tuppence.db", 4_096)


def log_cut(data: Path) -> None:
    os.truncate(data / "tuppence.db-wal", 0)


async def pay(client, acknowledged: list[str], times: int) -> None:
    """Pay; until the server is gone, or as often as that."""
    with suppress(WebSocketException, EOFError):
        for _ in range(times):
            event = await client.pay("@bob", "0.01")
            if "seq" not in event:
                return
            acknowledged.append(event["id"])


async def ended(server: Server) -> int:
    process, server.process = server.process, None
    assert process is not None
    code = await asyncio.to_thread(process.wait, 30)
    assert process.stdout is not None
    process.stdout.close()
    return code


ASTRAY = (taken_away, without_its_log, without_its_index, replaced, log_replaced)


@pytest.mark.parametrize("harm", [*ASTRAY, cut, log_cut])
async def test_a_server_whose_files_are_not_what_it_opened_ends_by_itself(faulty: Server, harm) -> None:
    alice, _ = await faulty.people("alice", "bob", credit="100.00")
    client = await faulty.connect(alice)
    acknowledged: list[str] = []
    await pay(client, acknowledged, 20)
    harm(faulty.data)
    await pay(client, acknowledged, 300)
    assert await ended(faulty) == 1
    log = faulty.log.read_text()
    assert '"fatal": true' in log
    assert "while it was open" in log
    if harm in ASTRAY:
        assert_rescued(faulty.data, acknowledged)
    if harm in (taken_away, without_its_log):
        await is_not_served(faulty, "tuppence.db.rescued")
        taken_away_but_rescued(faulty.data)
        await faulty.start()
        again = await faulty.connect(alice)
        assert "seq" in await again.pay("@bob", "0.01")
        await faulty.stop_and_verify()


def assert_rescued(data: Path, acknowledged: list[str]) -> None:
    with closing(sqlite3.connect(f"file:{data}/tuppence.db.rescued?mode=ro&immutable=1", uri=True)) as db:
        kept = {row[0] for row in db.execute("SELECT id FROM receipt WHERE pos IS NOT NULL")}
    assert len(acknowledged) >= 20
    assert kept.issuperset(acknowledged)


def taken_away_but_rescued(data: Path) -> None:
    for side in ("", "-wal", "-shm"):
        (data / f"tuppence.db{side}").unlink(missing_ok=True)
    (data / "tuppence.db.rescued").rename(data / "tuppence.db")


async def is_not_served(server: Server, *words: str) -> None:
    is_refused(await server.cli("serve", "--port", "0", "--data", str(server.data)), CANNOT_START, *words)


async def test_what_is_taken_away_just_before_the_end_is_told_and_kept(faulty: Server) -> None:
    alice, _ = await faulty.people("alice", "bob", credit="100.00")
    client = await faulty.connect(alice)
    acknowledged: list[str] = []
    await pay(client, acknowledged, 20)
    taken_away(faulty.data)
    assert await faulty.stop() == 1
    assert "taken away" in faulty.log.read_text()
    assert_rescued(faulty.data, acknowledged)


async def test_who_asks_whether_it_is_ready_hears_that_the_file_is_another(faulty: Server) -> None:
    assert (await faulty.http("GET", "/readyz")).status == 200
    replaced(faulty.data)
    with suppress(OSError, EOFError, asyncio.IncompleteReadError):
        assert (await faulty.http("GET", "/readyz")).status == 503
    assert await ended(faulty) == 1


async def test_a_database_with_a_second_name_is_opened_by_nobody(tmp_path: Path) -> None:
    """The lock is the directory's, and the other name lies in another one."""
    server, second = Server(tmp_path / "data"), Server(tmp_path / "other")
    await server.start()
    try:
        second.data.mkdir(mode=0o700)
        for side in ("", "-wal", "-shm"):
            os.link(server.data / f"tuppence.db{side}", second.data / f"tuppence.db{side}")
        await is_not_served(second, "hard link")
        assert await server.stop() == 0
        await is_not_served(server, "hard link")
        shutil.rmtree(second.data)
        await server.start()
        await server.stop_and_verify()
    finally:
        await server.close()
