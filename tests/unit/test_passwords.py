"""A flood from one network waits behind itself; everybody else is checked in turn."""

import asyncio

import pytest

from tuppence_server.admin.passwords import WAITING_MAX, WAITING_PER_NETWORK_MAX, TooManyChecks, Turns


class Queue:
    """Turns with one worker that is busy, and the order in which those who waited were taken."""

    def __init__(self) -> None:
        self.turns = Turns(1)
        self.taken: list[str] = []
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.turns.wait("first")

    async def come(self, source: str, name: str = "") -> asyncio.Task[None]:
        async def wait() -> None:
            try:
                await self.turns.wait(source)
            except TooManyChecks:
                self.refused.append(name or source)
                return
            self.taken.append(name or source)

        task = asyncio.create_task(wait())
        self.tasks.append(task)
        await settle()
        return task

    async def finish(self, count: int) -> None:
        for _ in range(count):
            self.turns.done()
            await settle()


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.fixture
async def queue():
    queue = Queue()
    await queue.start()
    yield queue
    for task in queue.tasks:
        task.cancel()
    await asyncio.gather(*queue.tasks, return_exceptions=True)


async def test_one_network_has_its_own_places_and_others_come_in_between(queue):
    for _ in range(500):
        await queue.come("flood")
    assert len(queue.refused) == 500 - WAITING_PER_NETWORK_MAX
    for name in ("alice", "bob"):
        await queue.come(name)
    await queue.finish(3)
    assert queue.taken == ["flood", "alice", "bob"]


async def test_a_newcomer_gets_the_last_place_of_whoever_has_most(queue):
    networks = WAITING_MAX // WAITING_PER_NETWORK_MAX
    for number in range(WAITING_PER_NETWORK_MAX * networks):
        await queue.come(f"flood {number % networks}")
    assert queue.refused == []
    await queue.come("alice")
    assert len(queue.refused) == 1
    assert queue.refused[0].startswith("flood")
    await queue.finish(networks + 1)
    assert queue.taken[-1] == "alice", "after one of each network that was there before"


async def test_nobody_loses_a_place_to_one_who_has_as_many(queue):
    for number in range(WAITING_MAX):
        await queue.come(f"house {number}")
    await queue.come("late")
    assert queue.refused == ["late"]
    await queue.finish(WAITING_MAX)
    assert len(queue.taken) == WAITING_MAX


async def test_the_operator_waits_with_everybody_and_may_take_more(queue):
    for _ in range(WAITING_PER_NETWORK_MAX + 1):
        await queue.come("", "operator")
    assert queue.refused == []


async def test_who_goes_away_gives_back_the_place_and_the_turn(queue):
    gone = await queue.come("gone")
    gone.cancel()
    await settle()
    given = await queue.come("given")
    await queue.come("next")
    queue.turns.done()
    given.cancel()
    await settle()
    assert queue.taken in (["next"], ["given"])
    await queue.finish(2)
    assert queue.taken[-1] == "next"
    await queue.turns.wait("last")
    assert queue.turns._waiting == {}
