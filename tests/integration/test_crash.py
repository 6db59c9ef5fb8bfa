"""SIGKILL at random moments loses nothing that was acknowledged and does nothing twice.

TUPPENCE_TEST_KILLS=50 makes it long; TUPPENCE_TEST_SEED repeats a run.
"""

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

from tests.integration.crash_run import crash_run
from tests.support.server import ROOT
from tests.support.waiting import seeded
from tests.support.wire import make
from websockets.exceptions import WebSocketException


async def test_killed_at_random_moments(tmp_path):
    kills = int(os.environ.get("TUPPENCE_TEST_KILLS", "5"))
    figures = await crash_run(tmp_path, kills, seeded())
    assert figures["stored"] > 0
    assert figures["sent_again"] > 0, "no kill met a frame under way"


async def test_a_lost_answer_is_told_again_after_the_crash(server):
    """P2: committed but never told, since the server was killed; the same id gives the same entry."""
    alice, bob = await server.people("alice", "bob", credit="10.00")
    a, b = await server.connect(alice), await server.connect(bob)
    frame = make("pay.send", "@bob", amount="4.00", currency="EUR")
    await a.send(frame)
    told = await b.answer(frame["id"])
    await server.kill()
    assert (await server.verify())["totals"] == {"EUR": 2_000}
    await server.start()
    a = await server.connect(alice)
    for _ in range(3):
        await a.send(frame)
        assert await a.answer(frame["id"]) == told
    assert (await a.submit("ask.wallet"))["body"]["balances"][0]["available"] == "6.00"
    assert (await a.pay("@bob", "6.01"))["body"]["code"] == "insufficient_funds"


async def test_a_restore_that_is_killed_at_any_step_can_be_begun_again(tmp_path):
    """From another backup, too; what is there is whole, or no server takes it."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.integration.restore_kills", str(tmp_path / "run")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20, "steps"


async def test_a_disk_that_fails_beneath_the_log_ends_the_server_and_costs_nothing_acknowledged(faulty):
    """The file cannot grow, the log can: commits would go on for long if nobody looked at how it is
    folded."""
    (alice,) = await faulty.people("alice", credit="10.00")
    await faulty.stop()
    with closing(sqlite3.connect(faulty.data / "tuppence.db")) as db:
        db.execute("CREATE TABLE ballast (x)")
        db.execute("INSERT INTO ballast VALUES (zeroblob(?))", (24 << 20,))
        db.commit()
    await faulty.start()
    a = await faulty.connect(alice)
    resource.prlimit(faulty.pid, resource.RLIMIT_FSIZE, (20 << 20, resource.RLIM_INFINITY))
    acknowledged = []
    with suppress(WebSocketException, EOFError):
        for _ in range(60):
            frames = [make("chat.text", "self", text="\u00e9" * 8_000) for _ in range(50)]
            for frame in frames:
                await a.send(frame)
            for frame in frames:
                answer = await a.answer(frame["id"])
                if answer["kind"] == "error":
                    assert answer["body"]["code"] == "unavailable", answer
                else:
                    acknowledged.append(frame["id"])
    process, faulty.process = faulty.process, None
    assert await asyncio.to_thread(process.wait, 30) == 1
    process.stdout.close()
    assert '"fatal": true' in faulty.log.read_text()
    assert len(acknowledged) > 100
    assert (faulty.data / "tuppence.db-wal").stat().st_size < 18 << 20, "the log had room; the file had none"
    await faulty.start()
    a = await faulty.connect(alice)
    kept = {row[0] for row in faulty.rows("SELECT id FROM receipt WHERE pos IS NOT NULL")}
    assert kept.issuperset(acknowledged)
    assert (await a.text("self", "it goes on"))["kind"] == "chat.text"
    assert await faulty.stop() == 0
