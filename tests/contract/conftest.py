"""A new store of each kind, and three people in one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.stores import KINDS, World, opened

from tuppence_server.store.contract import Store


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as store:
        yield store


@pytest.fixture
async def world(store: Store) -> World:
    world = World(store)
    await world.register("alice", "bob", "carol")
    return world
