"""A copy is one moment of a running server; what comes back is checked,
and is a new generation of the log."""

import asyncio
import json
import os
import resource
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.contract.stores import EPOCH, START_MS, World, opened, said
from tests.support.memory_store.store import MemoryStore

from tuppence_server.admin.backup import MANIFEST, BackupError, make_backup, restore
from tuppence_server.audit.verify import verify
from tuppence_server.data_dir import DATABASE, PARTIAL, SIDES, DataInUse, WrongData, held, in_use
from tuppence_server.store.sqlite.store import SqliteStore


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened("sqlite", tmp_path / "live") as store:
        world = World(store)
        await world.register("alice", "bob")
        await world.credit("alice", "100")
        await world.pay("alice", "@bob", "1")
        yield world


async def test_a_copy_comes_back_whole_under_a_new_epoch(world: World, tmp_path: Path) -> None:
    told = await make_backup(world.store, tmp_path / "copy", START_MS)
    head = await world.store.head()
    written = json.loads((tmp_path / "copy" / MANIFEST).read_bytes())
    assert told == {"path": str(tmp_path / "copy"), **written}
    assert (written["pos"], written["hash"], written["epoch"]) == (2, head.hash.hex(), EPOCH)
    assert (written["format"], written["made_at"]) == (1, START_MS)
    manifest, report = await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=True)
    assert manifest.pos == 2
    assert report is not None
    assert report.problems == []
    assert report.totals == {"EUR": 10_000}
    store = SqliteStore(tmp_path / "data" / DATABASE)
    restored = await store.open()
    try:
        assert restored.epoch not in ("", EPOCH)
        assert (restored.pos, restored.hash) == (head.pos, head.hash)
        again = World(store)
        again.users, again.used = world.users, 500
        assert said(await again.pay("bob", "@alice", "1")) == "stored", "the log goes on"
        assert (await verify(store)).problems == []
    finally:
        await store.close()


async def test_a_copy_is_one_moment_while_work_goes_on(world: World, tmp_path: Path) -> None:
    copying = asyncio.create_task(make_backup(world.store, tmp_path / "copy", START_MS))
    while not copying.done():
        assert said(await world.pay("alice", "@bob", "0.01")) == "stored"
    told = await copying
    _, report = await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=True)
    assert report is not None
    assert report.problems == []
    assert report.pos == told["pos"] <= (await world.store.head()).pos
    assert report.totals == {"EUR": 10_000}


async def test_a_copy_is_for_the_owners_eyes(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "copy", START_MS)
    await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=False)
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    for path in (tmp_path / "copy" / DATABASE, tmp_path / "data" / DATABASE):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {DATABASE, MANIFEST}


async def test_a_copy_never_writes_over_anything(world: World, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(BackupError, match="exists already"):
        await make_backup(world.store, tmp_path / "copy", START_MS)
    await make_backup(world.store, tmp_path / "good", START_MS)
    for side in SIDES:
        data = tmp_path / f"data{side}"
        data.mkdir()
        (data / (DATABASE + side)).write_bytes(b"precious")
        with pytest.raises(BackupError, match=f"{DATABASE}{side} exists already"):
            await restore(tmp_path / "good", data, SqliteStore, check=True)
        assert {path.name: path.read_bytes() for path in data.iterdir()} == {DATABASE + side: b"precious"}


async def test_what_comes_to_be_there_while_a_copy_is_restored_stays(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "good", START_MS)
    data = tmp_path / "data"

    def meanwhile(path: Path) -> SqliteStore:
        (data / DATABASE).write_bytes(b"precious")
        return SqliteStore(path)

    with pytest.raises(WrongData, match="meanwhile"):
        await restore(tmp_path / "good", data, meanwhile, check=False)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == {DATABASE: b"precious"}


async def test_the_directory_is_held_while_a_copy_is_restored(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "good", START_MS)
    data = tmp_path / "data"

    def meanwhile(path: Path) -> SqliteStore:
        assert in_use(data)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return SqliteStore(path)

    await restore(tmp_path / "good", data, meanwhile, check=False)
    with held(data), pytest.raises(DataInUse):
        await restore(tmp_path / "good", data, SqliteStore, check=False)
    other = tmp_path / "other"
    other.mkdir()
    with held(other), pytest.raises(DataInUse):
        await restore(tmp_path / "good", other, SqliteStore, check=False)
    assert list(other.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o000])
async def test_a_copy_is_for_its_owner_from_the_first_byte(
    world: World, tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_backup(world.store, tmp_path / "good", START_MS)
    seen = []
    copy = shutil.copyfileobj

    def watched(read: Any, write: Any, length: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(write.fileno()).st_mode))
        copy(read, write, length)

    monkeypatch.setattr(shutil, "copyfileobj", watched)
    before = os.umask(umask)
    try:
        await restore(tmp_path / "good", tmp_path / "data", SqliteStore, check=False)
    finally:
        os.umask(before)
    assert seen == [0o600]
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_what_a_killed_restore_left_does_not_get_into_the_next_one(
    world: World, tmp_path: Path
) -> None:
    """Its log would be replayed over the fresh copy, after that was found to be good."""
    await make_backup(world.store, tmp_path / "good", START_MS)
    data = tmp_path / "data"
    data.mkdir()
    async with opened("sqlite", tmp_path / "other") as other:
        people = World(other)
        await people.register("mallory")
        for side in ("", "-wal"):
            shutil.copy(tmp_path / "other" / (DATABASE + side), data / (PARTIAL + side))
    assert (data / (PARTIAL + "-wal")).stat().st_size > 0
    await restore(tmp_path / "good", data, SqliteStore, check=True)
    with closing(sqlite3.connect(data / DATABASE)) as db:
        assert db.execute("SELECT handle FROM user ORDER BY handle").fetchall() == [("alice",), ("bob",)]
    assert {path.name for path in data.iterdir()} == {DATABASE}


async def test_a_damaged_copy_is_refused_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "copy", START_MS)
    database = tmp_path / "copy" / DATABASE
    whole = database.read_bytes()
    for damaged in (whole[:-1], whole[:5000] + b"\xff" + whole[5001:], b""):
        database.write_bytes(damaged)
        with pytest.raises(BackupError, match="damaged"):
            await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=False)
        assert not (tmp_path / "data" / DATABASE).exists()
    database.write_bytes(whole)
    await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=False)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (None, "not a whole backup"),
        (b"", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"format":1,"made_at":0,"pos":"2","hash":"","epoch":"","sha256":""}', "cannot be read"),
        (
            b'{"format":2,"made_at":0,"pos":2,"hash":"","epoch":"","sha256":""}',
            "format 2; this version reads 1",
        ),
    ],
)
async def test_a_copy_without_its_manifest_is_none(
    world: World, tmp_path: Path, manifest: bytes | None, why: str
) -> None:
    await make_backup(world.store, tmp_path / "copy", START_MS)
    path = tmp_path / "copy" / MANIFEST
    if manifest is None:
        path.unlink()
    else:
        path.write_bytes(manifest)
    with pytest.raises(BackupError, match=why):
        await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=False)
    assert not (tmp_path / "data").exists()


async def test_a_manifest_without_its_database_is_told_as_such(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "copy", START_MS)
    (tmp_path / "copy" / DATABASE).unlink()
    with pytest.raises(BackupError, match=DATABASE):
        await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=False)
    assert not (tmp_path / "data" / DATABASE).exists()


async def test_a_copy_of_a_ledger_that_is_wrong_says_so(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "copy", START_MS)
    path = tmp_path / "copy" / MANIFEST
    manifest = json.loads(path.read_bytes())
    path.write_text(json.dumps(manifest | {"hash": "00" * 32}))
    _, report = await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=True)
    assert report is not None
    assert report.problems == ["the head of the log is not the manifest's"]
    assert list((tmp_path / "data").iterdir()) == [], "what is not good gets no name"
    _, report = await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=False)
    assert report is None
    assert (tmp_path / "data" / DATABASE).exists()


async def test_names_are_made_durable_after_what_they_name(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync of the file, then of the directory that has its name, then of the one above."""
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    copy, data = tmp_path / "copies" / "one", tmp_path / "datas" / "one"
    await make_backup(world.store, copy, START_MS)
    assert synced == [tmp_path, copy.parent, copy / DATABASE, copy / MANIFEST, copy]
    synced.clear()
    await restore(copy, data, SqliteStore, check=False)
    last = len(synced) - 1 - synced[::-1].index(data / PARTIAL)
    assert synced[:2] == [tmp_path, data.parent]
    assert synced[last:][:4] == [data / PARTIAL, data, data, data.parent]


async def test_restoring_shows_how_far_it_is(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "copy", START_MS)
    seen: list[tuple[int, int]] = []
    await restore(
        tmp_path / "copy", tmp_path / "data", SqliteStore, check=True, progress=lambda *now: seen.append(now)
    )
    assert seen[-1] == (2, 2)


async def test_a_restored_file_keeps_its_guards(world: World, tmp_path: Path) -> None:
    await make_backup(world.store, tmp_path / "copy", START_MS)
    await restore(tmp_path / "copy", tmp_path / "data", SqliteStore, check=False)
    with (
        closing(sqlite3.connect(tmp_path / "data" / DATABASE)) as db,
        pytest.raises(sqlite3.IntegrityError, match="immutable"),
    ):
        db.execute("DELETE FROM transfer")


async def test_memory_has_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="memory"):
        await make_backup(MemoryStore(), tmp_path / "copy", START_MS)
    assert not (tmp_path / "copy").exists()


async def test_a_copy_that_finds_no_room_says_so_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    try:
        with pytest.raises(BackupError, match="cannot be written: "):
            await make_backup(world.store, tmp_path / "copy", START_MS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "copy").exists()
    assert said(await world.pay("alice", "@bob", "1")) == "stored"
