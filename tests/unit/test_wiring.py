"""What is tested alone is part of a server too: the composition root puts it where it works."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.contract.stores import World, command, opened, wire_id
from tests.support.waiting import WAIT_S

from tuppence_server import app
from tuppence_server.admin.passwords import Passwords
from tuppence_server.audit.running import Audits
from tuppence_server.config.settings import Settings
from tuppence_server.domain.commands import CreateUser
from tuppence_server.edge.services import Services
from tuppence_server.edge.timer_wheel import WHEEL_SLOTS
from tuppence_server.edge.unread import UNREAD_TOTAL_BYTES_MAX
from tuppence_server.opening import opened_store
from tuppence_server.store.contract import Store

EARLIER_KIB, NOW_KIB = 64, 8


class Root:
    """Builds a server of all its parts, and looks at them in place of serving."""

    def __init__(self, folder: Path, store: Store, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._store, self._patch = folder, store, patch

    async def look(self, at: Callable[[Services], Awaitable[None]], **settings: int) -> None:
        looked: list[Services] = []

        async def serve(server: app.Server, _: object) -> None:
            looked.append(server._services)
            await at(server._services)

        self._patch.setattr(app.Server, "serve", serve)
        given = Settings(
            data=self._folder, password_workers=1, password_memory_kib=NOW_KIB, **settings  # type: ignore[arg-type]
        )  # fmt: skip
        await app._serve(given, self._store, [], lambda _: None, lambda: given)
        assert looked


class Reader:
    def __init__(self) -> None:
        self.open = True

    def cut(self) -> None:
        self.open = False


async def test_a_turn_of_the_wheel_cuts_those_for_whom_too_much_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest, least = Reader(), Reader()

    async def too_much(services: Services) -> None:
        services.pressure.note(UNREAD_TOTAL_BYTES_MAX, largest)
        services.pressure.note(1, least)
        for _ in range(WHEEL_SLOTS):
            services.wheel._tick()
            services.wheel.stop()

    async with opened("memory", tmp_path) as store:
        await Root(tmp_path, store, monkeypatch).look(too_much)
    assert (largest.open, least.open) == (False, True)


async def test_a_server_knows_from_its_start_how_passwords_were_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Passwords] = []
    work: list[str] = []

    class Noted(Passwords):
        def __init__(self, workers: int, memory_kib: int) -> None:
            super().__init__(workers, memory_kib)
            made.append(self)

        def _verify(self, kept: str, password: str) -> bool:
            work.append(kept)
            return super()._verify(kept, password)

    async def try_nobody(_: Services) -> None:
        assert not await made[0].check(None, "a wrong password", "", "nobody")

    monkeypatch.setattr(app, "Passwords", Noted)
    async with opened("sqlite", tmp_path) as store:
        earlier = Passwords(1, EARLIER_KIB)
        order = CreateUser(
            wire_id("u_", 1), wire_id("c_", 1), "alice", "", await earlier.hash("correct horse")
        )
        earlier.close()

        async def add(services: Services) -> None:
            await services.pipeline.ask(command(order))

        root = Root(tmp_path, store, monkeypatch)
        await root.look(add)
        made.clear()
        await root.look(try_nobody)
    assert [f"m={EARLIER_KIB}," in kept for kept in work] == [True]


@pytest.mark.parametrize("hours", [0, 7])
async def test_checks_of_the_ledger_come_as_often_as_the_setting_says(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    begun = asyncio.Event()

    async def keep(_: Audits, every_hours: int) -> None:
        kept.append(every_hours)
        begun.set()

    async def turn(_: Services) -> None:
        await asyncio.wait_for(begun.wait(), WAIT_S)

    monkeypatch.setattr(Audits, "keep", keep)
    async with opened("memory", tmp_path) as store:
        await Root(tmp_path, store, monkeypatch).look(turn, verify_every_hours=hours)
    assert kept == [hours]


async def test_a_server_and_a_command_go_on_from_a_commit_that_has_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login, made while the clock was ten days ahead: the head of the log does not tell of it."""
    ahead = time.time_ns() // 10**6 + 864_000_000
    settings = Settings(data=tmp_path, password_workers=1, password_memory_kib=NOW_KIB)
    async with opened_store(tmp_path, make=True) as store:
        world = World(store)
        await world.register("alice")
        world.now = ahead
        await world.log_in("alice", 1)
        assert (await store.head()).at < ahead

        async def no_earlier(services: Services) -> None:
            assert services.pipeline.now_ms() >= ahead
            assert services.clock_ms() >= ahead
            assert b"tuppence_clock_jumps_total 1.0" in services.metrics.text(), "it is told, once"

        await Root(tmp_path, store, monkeypatch).look(no_earlier)
    async with app.opened_admin(settings) as (admin, _):
        assert admin._clock_ms() >= ahead
