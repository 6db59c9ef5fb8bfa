"""What is tested alone is part of a server too: the composition root puts it where it works."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.stores import World, command, opened, wire_id
from tests.support.waiting import WAIT_S

from tuppence_server.admin.passwords import Passwords
from tuppence_server.app import App, built, opened_admin
from tuppence_server.config.settings import Settings
from tuppence_server.domain.commands import CreateUser
from tuppence_server.edge.timer_wheel import WHEEL_SLOTS
from tuppence_server.edge.unread import UNREAD_TOTAL_BYTES_MAX
from tuppence_server.opening import opened_store
from tuppence_server.store.contract import Store

EARLIER_KIB, NOW_KIB = 64, 8


async def server(folder: Path, store: Store, **given: int) -> App:
    settings = Settings(
        data=folder, password_workers=1, password_memory_kib=NOW_KIB, **given  # type: ignore[arg-type]
    )  # fmt: skip
    return await built(settings, store, lambda: None)


class Reader:
    def __init__(self) -> None:
        self.open = True

    def cut(self) -> None:
        self.open = False


async def test_a_turn_of_the_wheel_cuts_those_for_whom_too_much_waits(tmp_path: Path) -> None:
    largest, least = Reader(), Reader()
    async with opened("memory", tmp_path) as store:
        acceptor = (await server(tmp_path, store)).acceptor
        acceptor.pressure.note(UNREAD_TOTAL_BYTES_MAX, largest)
        acceptor.pressure.note(1, least)
        for _ in range(WHEEL_SLOTS):
            acceptor.wheel._tick()
            acceptor.wheel.stop()
    assert (largest.open, least.open) == (False, True)


async def test_a_server_knows_from_its_start_how_passwords_were_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[str] = []
    verify: Callable[[Passwords, str, str], bool] = Passwords._verify

    def noted(self: Passwords, kept: str, password: str) -> bool:
        work.append(kept)
        return verify(self, kept, password)

    monkeypatch.setattr(Passwords, "_verify", noted)
    async with opened("sqlite", tmp_path) as store:
        earlier = Passwords(1, EARLIER_KIB)
        hashed = await earlier.hash("correct horse")
        earlier.close()
        app = await server(tmp_path, store)
        async with app.under_way():
            await app.pipeline.ask(
                command(CreateUser(wire_id("u_", 1), wire_id("c_", 1), "alice", "", hashed))
            )
        app = await server(tmp_path, store)
        async with app.under_way():
            assert not await app.passwords.check(None, "a wrong password", "", "nobody")
    assert [f"m={EARLIER_KIB}," in kept for kept in work] == [True]


@pytest.mark.parametrize("hours", [0, 7])
async def test_checks_of_the_ledger_come_as_often_as_the_setting_says(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    begun = asyncio.Event()

    async def keep(every_hours: int) -> None:
        kept.append(every_hours)
        begun.set()

    async with opened("memory", tmp_path) as store:
        app = await server(tmp_path, store, verify_every_hours=hours)
        monkeypatch.setattr(app.audits, "keep", keep)
        async with app.under_way():
            await asyncio.wait_for(begun.wait(), WAIT_S)
    assert kept == [hours]


async def test_a_server_and_a_command_go_on_from_a_commit_that_has_no_event(tmp_path: Path) -> None:
    """A login, made while the clock was ten days ahead: the head of the log does not tell of it."""
    ahead = time.time_ns() // 10**6 + 864_000_000
    async with opened_store(tmp_path, make=True) as store:
        world = World(store)
        await world.register("alice")
        world.now = ahead
        await world.log_in("alice", 1)
        assert (await store.head()).at < ahead
        app = await server(tmp_path, store)
        async with app.under_way():
            assert app.pipeline.now_ms() >= ahead
            assert app.lanes.clock_ms() >= ahead
            told = app.acceptor.metrics.text()
            assert b"tuppence_clock_jumps_total 1.0" in told, "it is told, once"
    settings = Settings(data=tmp_path, password_workers=1, password_memory_kib=NOW_KIB)
    async with opened_admin(settings) as (admin, _):
        assert admin._clock_ms() >= ahead
