"""A SQLite store behind the contract, its file as any other program opens it, and a world with two people."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from tests.contract.stores import World, opened

from tuppence_server.store.sqlite.store import SqliteStore


@asynccontextmanager
async def sqlite_world(folder: Path) -> AsyncIterator[World]:
    """Alice, who was credited 10 EUR and paid bob 4."""
    async with opened("sqlite", folder) as store:
        world = World(store)
        await world.register("alice", "bob")
        await world.credit("alice", "10")
        await world.pay("alice", "@bob", "4")
        yield world


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file as any other program would open it."""
    with closing(sqlite3.connect(folder / "tuppence.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def sqlite_store(world: World) -> SqliteStore:
    """The world's store, which is one of these."""
    assert isinstance(world.store, SqliteStore)
    return world.store
