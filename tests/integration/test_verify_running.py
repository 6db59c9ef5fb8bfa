"""The ledger is checked while people talk and pay: as of one moment, beside everything, and what was found is
told."""

import asyncio
import itertools
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.contract.busy_world import busy_world
from tests.contract.stores import opened
from tests.contract.tampering import unguarded
from tests.support.commands import PROBLEMS
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import make

from tuppence_server.audit import process
from tuppence_server.audit.running import Audits
from tuppence_server.audit.verify import verify
from tuppence_server.store.sqlite import frozen
from tuppence_server.store.sqlite.frozen import PAUSE_S_MAX, FrozenStore
from tuppence_server.store.sqlite.store import SqliteStore
from tuppence_server.telemetry.metrics import Metrics

STAND_IN = """#!{python}
import asyncio, os, sys
from pathlib import Path
from tuppence_server.store.sqlite.frozen import FrozenStore

async def main():
    store = FrozenStore(Path(sys.argv[3]))
    await store.open()
    numbers = [n for n in range(3, 64) if os.path.lexists(f"/proc/self/fd/{{n}}")]
    files = [f"{{os.fstat(n).st_mode & 0o777:o}} " + os.readlink(f"/proc/self/fd/{{n}}") for n in numbers]
    await store.close()
    Path("{told}").write_text("\\n".join(files), "utf-8")

asyncio.run(main())
"""


async def test_a_busy_server_is_checked_as_of_one_moment(server: Server) -> None:
    client, other = await server.clients("alice", "bob", credit="1000.00")
    busy = asyncio.create_task(_keep_busy(client, other))
    reports = []
    for _ in range(3):
        done = await server.cli("ledger", "verify", "--json")
        assert done.code == 0, done
        reports.append(done.json)
    busy.cancel()
    with suppress(asyncio.CancelledError):
        await busy
    positions = [report["pos"] for report in reports]
    assert positions == sorted(set(positions)), "each time the log had grown"
    assert all(report["problems"] == [] and report["events"] == report["pos"] for report in reports)
    assert await server.metric("verified_pos") == positions[-1]
    assert await server.metric("verified_problems") == 0
    assert await server.metric("verify_failed") == 0
    assert await server.metric("verified_timestamp_seconds") > 1_700_000_000


async def _keep_busy(client, other):
    """Payments, offers that are taken or not, refusals, groups: everything that changes rows."""
    group = (await client.submit("room.create", title="Club", members=["@bob"]))["conv"]
    while True:
        await client.submit("chat.text", "@bob", text="and so on")
        await client.submit("pay.send", "@bob", amount="0.02", currency="EUR")
        offer = await client.submit("pay.send", "@bob", amount="0.01", currency="EUR", accept=True)
        await other.submit("pay.accept", "@alice", ref=offer["id"])
        await client.submit("room.update", group, title="Another title")
        await client.submit("room.remove", group, user="@bob")
        await client.submit("room.invite", group, users=["@bob"])
        refused = make("pay.send", "@bob", amount="999999.00", currency="EUR")
        await client.send(refused)
        await client.answer(refused["id"])


async def test_what_the_check_of_a_running_server_finds_is_told_everywhere(faulty: Server) -> None:
    alice, _ = await faulty.people("alice", "bob", credit="10.00")
    client = await faulty.connect(alice)
    await client.submit("pay.send", "@bob", amount="1.00", currency="EUR")
    with unguarded(faulty.data / "tuppence.db") as db:
        db.execute("UPDATE account SET credits_posted = credits_posted + 1 WHERE code = 'customer'")
    done = await faulty.cli("ledger", "verify", "--json")
    assert (done.code, len(done.json["problems"]) > 0) == (PROBLEMS, True)
    assert await faulty.metric("verified_problems") == len(done.json["problems"])
    assert [line for line in faulty.faults() if '"verified"' in line]
    assert not [line for line in faulty.faults() if alice.id in line], "the log tells no details"


async def test_a_check_that_is_killed_is_told_and_the_next_one_is_good(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        await busy_world(store)
        metrics = Metrics()
        audits = Audits(tmp_path / "tuppence.db", metrics)
        audits.start()
        await audits.finished()
        assert (audits.progress()["report"]["problems"], audits.progress()["failed"]) == ([], False)
        broken = Audits(tmp_path / "nothing.db", metrics)
        broken.start()
        await broken.finished()
        assert broken.progress()["failed"]
        audits.start()
        audits.start()
        assert audits.progress()["running"]
        await audits.stop()
        audits.start()
        assert not audits.progress()["running"], "what has stopped begins nothing"
        hurried = Audits(tmp_path / "tuppence.db", metrics)
        hurried.start()
        await asyncio.sleep(0)
        await hurried.stop()
        assert (hurried.progress()["report"], hurried.progress()["failed"]) == (None, False)


async def test_checks_come_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = await busy_world(store)
        metrics = Metrics()
        audits = Audits(store.path, metrics)
        await audits.keep(0)
        assert not audits.progress()["running"], "0 is for never"
        monkeypatch.setattr("tuppence_server.audit.running.HOUR_S", 0.01)
        keeping = asyncio.create_task(audits.keep(1))
        for _ in range(2):
            pos = (await store.head()).pos

            async def checked(pos: int = pos) -> bool:
                found = audits.progress()
                return not found["running"] and found["total"] == pos

            await until(checked, "a check of what was paid last")
            await world.pay("alice", "@bob", "0.01")
        keeping.cancel()
        await audits.stop()
        assert b"tuppence_verified_problems 0.0" in metrics.text()


async def test_what_the_check_copies_lies_in_the_data_directory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for Python, started like it, takes the copy and tells what it has open."""
    data, told = tmp_path / "data", tmp_path / "told"
    data.mkdir()
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable, told=told))
    stand_in.chmod(0o700)
    async with opened("sqlite", data) as store:
        await busy_world(store)
        with unguarded(store.path) as db:
            db.execute("UPDATE user SET password = ?", ("x" * 4_000_000,))  # more than SQLite keeps in memory
        monkeypatch.setattr("tuppence_server.audit.running.sys", SimpleNamespace(executable=str(stand_in)))
        audits = Audits(store.path, Metrics())
        audits.start()
        await audits.finished()
    names = dict(line.split(" ", 1)[::-1] for line in told.read_text("utf-8").splitlines())
    files = {Path(name): mode for name, mode in names.items() if name.startswith("/") and name[:5] != "/dev/"}
    assert {path.parent for path in files} == {data.resolve()}
    assert [mode for path, mode in files.items() if path.name.endswith(" (deleted)")] == ["600"]
    assert not [path for path in data.iterdir() if path.name.startswith("etilqs_")], "it has no name any more"


def test_the_check_takes_a_quarter_of_the_time_at_the_lowest_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """By a clock on which everything that is read takes 0.1 s, and then a minute."""
    clock, paused, nice, reads_s = itertools.count(), [], [], 0.1

    async def pause(seconds: float) -> None:
        paused.append(round(seconds, 6))

    async def prepare() -> None:
        async with opened("sqlite", tmp_path) as store:
            await busy_world(store)

    asyncio.run(prepare())
    monkeypatch.setattr(frozen, "time", SimpleNamespace(monotonic=lambda: next(clock) * reads_s))
    monkeypatch.setattr(frozen, "asyncio", SimpleNamespace(sleep=pause))
    monkeypatch.setattr("os.nice", nice.append)
    monkeypatch.setattr("sys.argv", ["checking", str(tmp_path / "tuppence.db")])
    process.main()
    assert (nice, set(paused), len(paused) > 10) == ([19], {0.3}, True)
    told = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert told[-1]["report"]["problems"] == []
    paused.clear()
    reads_s = 60.0
    process.main()
    assert set(paused) == {PAUSE_S_MAX}


async def test_a_frozen_store_stays_as_it_was_and_keeps_nothing_open(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as store:
        world = await busy_world(store)
        frozen = FrozenStore(tmp_path / "tuppence.db", share=0.5)
        head = await frozen.open()
        try:
            await world.pay("alice", "@bob", "1")
            await world.pay("alice", "@bob", "1000000")
            await world.credit("carol", "5", "USD")
            await world.group("bob", "carol")
            await world.made("carol", "pay.claim", world.group_id, ref=world.ids["packet"])
            assert isinstance(store, SqliteStore)
            with closing(sqlite3.connect(store.path)) as db:
                busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert not busy, "no read of it is open"
            report = await verify(frozen, workers=0, range_events=7)
        finally:
            await frozen.close()
        assert (report.problems, report.pos, report.hash) == ([], head.pos, head.hash.hex())
        assert (await store.head()).pos > head.pos
        assert (await verify(store)).problems == []


async def test_a_check_ends_with_the_server_that_asked_for_it_and_says_nothing(faulty: Server) -> None:
    alice, _ = await faulty.people("alice", "bob", credit="100.00")
    client = await faulty.connect(alice)
    for _ in range(20):
        await client.pay("@bob", "0.01")
    await faulty.admin("ledger.verify")
    pid = faulty.pid
    (check,) = await until(lambda: _children(pid))
    os.kill(check, signal.SIGSTOP)
    await faulty.kill()
    os.kill(check, signal.SIGCONT)
    await until(lambda: _gone(check))
    assert not faulty.faults()


async def test_a_check_whose_server_is_gone_ends_before_its_report(tmp_path: Path) -> None:
    """Even where somebody still reads what it tells, so that no broken pipe ends it."""
    async with opened("sqlite", tmp_path) as store:
        await busy_world(store)
        check = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tuppence_server.audit.process", str(tmp_path / "tuppence.db")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await check.communicate()
    assert (check.returncode, b'"problems"' in told) == (0, False), told


async def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
