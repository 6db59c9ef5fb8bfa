"""A login takes the same work whether the handle is somebody's or nobody's,
whenever the setting for it was changed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.contract.stores import START_MS, Counted, command, wire_id
from tests.support.memory_store.store import MemoryStore
from tests.support.money_world import PLAIN

from tuppence_server.admin.passwords import Passwords
from tuppence_server.admin.refusals import Refused
from tuppence_server.admin.service import AdminService
from tuppence_server.domain.commands import CreateUser
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.telemetry.metrics import Metrics

BEFORE_KIB, NOW_KIB = 64, 16
HANDLES = [f"user{n:02}x" for n in range(12)]


class House:
    """An administration whose people chose their passwords before the setting was changed;
    notes what work is done."""

    def __init__(self, store: MemoryStore, road: Pipeline, passwords: Passwords) -> None:
        self.store, self.passwords = store, passwords
        self.admin = AdminService(road, store, passwords, 30, lambda: START_MS)
        self.work: list[str] = []
        verify: Callable[[str, str], bool] = passwords._verify

        def noted(kept: str, password: str) -> bool:
            self.work.append(kept.rsplit("$", 2)[0])
            return verify(kept, password)

        passwords._verify = noted  # type: ignore[method-assign]

    async def kinds(self) -> Counter[str]:
        return Counter(str(user.password).rsplit("$", 2)[0] for user in await self.store.users())

    async def work_for(self, handle: str) -> list[str]:
        """What a wrong password costs."""
        self.work.clear()
        with pytest.raises(Refused):
            await self.admin.log_in(handle, "a wrong password", "")
        return list(self.work)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    store = MemoryStore("e_first")
    road = Pipeline(store, PLAIN, Counted(), lambda _: None, Metrics(), lambda: None)
    road.start(await store.head())
    before, now = Passwords(2, BEFORE_KIB), Passwords(2, NOW_KIB)
    for number, handle in enumerate(HANDLES, 1):
        kept = await before.hash("correct horse")
        await road.ask(command(CreateUser(wire_id("u_", number), wire_id("c_", number), handle, "", kept)))
    now.learn(await store.password_kinds())
    yield House(store, road, now)
    before.close()
    now.close()
    await road.stop()


async def test_who_never_came_back_is_not_told_from_nobody() -> None:
    async with house() as inside:
        somebody = {kind for handle in HANDLES for kind in await inside.work_for(handle)}
        nobody = {kind for n in range(40) for kind in await inside.work_for(f"nobody{n}")}
        assert len(somebody) == 1
        assert nobody == somebody
        assert await inside.work_for("nobody7") == await inside.work_for("nobody7")


async def test_a_login_hashes_anew_and_ends_no_other() -> None:
    async with house() as inside:
        first = await inside.admin.log_in(HANDLES[0], "correct horse", "phone")
        kinds = await inside.kinds()
        assert sorted(kinds.values()) == [1, len(HANDLES) - 1]
        (user,) = (user for user in await inside.store.users() if user.handle == HANDLES[0])
        assert f"m={NOW_KIB}," in str(user.password)
        await inside.admin.log_in(HANDLES[0], "correct horse", "laptop")
        sessions = await inside.store.sessions(user.id, START_MS, 10)
        assert len(sessions) == 2
        assert all(session.revoked_at is None for session in sessions)
        assert first["session"] in {session.id for session in sessions}


async def test_logins_at_once_all_succeed_while_one_of_them_hashes_anew() -> None:
    async with house() as inside:
        logins = (inside.admin.log_in(HANDLES[1], "correct horse", f"device {n}") for n in range(4))
        assert len({login["session"] for login in await asyncio.gather(*logins)}) == 4
