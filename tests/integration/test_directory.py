"""A data directory is ours, whole and held by one process, or a command says in one line why it is not
used."""

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
from contextlib import closing
from hashlib import sha256

import pytest
from tests.support.commands import CANNOT_START, PROBLEMS, UNREACHABLE, invoke, is_refused

from tuppence_server.data_dir import DATABASE, held, in_use
from tuppence_server.store.sqlite.migrate import migrations
from tuppence_server.store.sqlite.ours import APPLICATION_ID

ALL = (
    ("serve", "--port", "0"),
    ("demo",),
    ("user", "add", "alice", "--no-password"),
    ("user", "list"),
    ("user", "passwd", "alice"),
    ("user", "disable", "alice"),
    ("user", "tier", "alice", "gold"),
    ("wallet", "credit", "@alice", "1.00", "EUR"),
    ("wallet", "show", "@alice"),
    ("wallet", "freeze", "@alice"),
    ("wallet", "thaw", "@alice"),
    ("wallet", "close", "@alice"),
    ("statement", "@alice", "EUR"),
    ("books",),
    ("ledger", "verify"),
    ("backup", "COPY"),
)
"""Every command that opens a data directory's database."""
MAKERS = ALL[:3]


def carry_out(*arguments, data):
    """A command on a data directory."""
    line = [str(data.with_name("copy")) if each == "COPY" else each for each in arguments]
    return invoke(*line, "--data", str(data), env={"TUPPENCE_PASSWORD": "correct horse"})


def contents(folder):
    """Every file below a directory, with its mode and digest."""
    return {
        str(path.relative_to(folder)): (
            stat.S_IMODE(path.lstat().st_mode),
            sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def whole(folder):
    """A data directory with one person in it."""
    assert carry_out(*MAKERS[2], data=folder).code == 0


def of_another_program(folder, journal="delete"):
    folder.mkdir()
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.executescript(
            "CREATE TABLE migration (version INTEGER PRIMARY KEY, checksum TEXT);"
            " CREATE TABLE note (text TEXT);"
            "INSERT INTO migration VALUES (1, 'x'); INSERT INTO note VALUES ('precious');"
        )


def named_by_another(folder):
    whole(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.execute("PRAGMA application_id = 1")
        db.execute("DROP TABLE migration")


def of_bytes(data):
    def make(folder):
        folder.mkdir()
        (folder / DATABASE).write_bytes(data)

    return make


def cut_to(part):
    def make(folder):
        whole(folder)
        size = (folder / DATABASE).stat().st_size
        os.truncate(folder / DATABASE, int(size * part))

    return make


def with_the_pages_damaged(folder):
    whole(folder)
    path = folder / DATABASE
    path.write_bytes(path.read_bytes()[:100].ljust(path.stat().st_size, b"\xa5"))


def a_log_without_its_database(folder):
    whole(folder)
    (folder / DATABASE).rename(folder / "moved.db")
    (folder / (DATABASE + "-wal")).write_bytes(b"\0" * 40)


def a_restore_that_was_cut_short(folder):
    whole(folder)
    (folder / DATABASE).rename(folder / (DATABASE + ".partial"))


def beside_a_restore_that_was_cut_short(folder):
    whole(folder)
    shutil.copy(folder / DATABASE, folder / (DATABASE + ".partial"))


def linked(folder):
    whole(folder)
    (folder / DATABASE).rename(folder.with_name("elsewhere.db"))
    (folder / DATABASE).symlink_to(folder.with_name("elsewhere.db"))


def a_directory_of_that_name(folder):
    (folder / DATABASE).mkdir(parents=True)


WRONG = {
    "another program's": (of_another_program, "another program"),
    "another program's with a log": (lambda folder: of_another_program(folder, "wal"), "another program"),
    "another program's id": (named_by_another, "another program"),
    "empty": (of_bytes(b""), "is empty"),
    "one byte": (of_bytes(b"x"), "not a SQLite database"),
    "junk": (of_bytes(b"junk " * 4_000), "not a SQLite database"),
    "text that looks like the beginning": (of_bytes(b"SQLite format 3\0"), "not a SQLite database"),
    "half": (cut_to(0.5), "shorter"),
    "all but a byte": (cut_to(0.99999), "shorter"),
    "pages damaged": (with_the_pages_damaged, "database"),
    "log alone": (a_log_without_its_database, "without its"),
    "cut short": (a_restore_that_was_cut_short, "did not end"),
    "beside one cut short": (beside_a_restore_that_was_cut_short, "did not end"),
    "a link": (linked, "is a link"),
    "a directory": (a_directory_of_that_name, "not a file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_not_ours_or_not_whole_is_told_and_left_as_it_is(tmp_path, kind):
    make, words = WRONG[kind]
    data = tmp_path / "data"
    make(data)
    before = contents(tmp_path)
    for command in reversed(ALL):  # a server that takes it goes on for ever: others fail before
        is_refused(carry_out(*command, data=data), CANNOT_START, words)
        assert contents(tmp_path) == before, command
    done = carry_out("doctor", data=data)
    assert done.code == PROBLEMS, done
    assert contents(tmp_path) == before, "doctor"


@pytest.mark.parametrize("there", [False, True])
def test_a_mistyped_directory_is_not_made(tmp_path, there):
    data = tmp_path / "typo"
    if there:
        data.mkdir()
    for command in ALL[len(MAKERS) :]:
        is_refused(carry_out(*command, data=data), CANNOT_START, "tuppence serve --data", str(data))
        assert [path.name for path in tmp_path.rglob("*")] == ["typo"] * there, command


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    data = tmp_path / "data"
    data.write_text("not a directory")
    for command in ALL:
        is_refused(carry_out(*command, data=data), CANNOT_START, "directory")
    assert data.read_text() == "not a directory"


def test_a_database_from_before_it_had_a_name_is_taken_and_named(tmp_path):
    """As the migrations alone leave it, in the file or still in the log beside it."""
    for journal, kept in (("delete", False), ("wal", False), ("wal", True)):
        data = tmp_path / f"{journal}-{kept}"
        data.mkdir(mode=0o700)
        with closing(sqlite3.connect(data / DATABASE, isolation_level=None)) as db:
            db.execute(f"PRAGMA journal_mode = {journal}")
            db.execute(
                "CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT,"
                " checksum TEXT, applied_at INTEGER)"
            )
            for each in migrations()[:4]:
                db.executescript(each.sql)
                db.execute(
                    "INSERT INTO migration VALUES (?, ?, ?, 0)", (each.version, each.name, each.checksum)
                )
            db.execute(
                "INSERT INTO head (one, epoch, pos, hash, account_id, transfer_id, at, mode) "
                "VALUES (1, 'e_old', 0, zeroblob(32), 0, 0, 0, 'live')"
            )
            if kept:  # as a kill leaves them
                copy = tmp_path / "killed"
                copy.mkdir(mode=0o700)
                for side in ("", "-wal"):
                    shutil.copy(data / (DATABASE + side), copy)
                data = copy
        assert carry_out("user", "list", data=data).code == 0
        header = (data / DATABASE).read_bytes()[:100]
        assert int.from_bytes(header[68:72]) == APPLICATION_ID
        with closing(sqlite3.connect(data / DATABASE)) as db:
            assert db.execute("SELECT epoch FROM head").fetchone() == ("e_old",)


def test_a_first_start_that_was_cut_short_is_begun_again(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    for side in ("", "-wal", "-shm"):
        (data / (DATABASE + ".new" + side)).write_bytes(b"half")
    whole(data)
    assert {path.name for path in data.iterdir()} == {DATABASE}
    assert stat.S_IMODE((data / DATABASE).stat().st_mode) == 0o600


async def test_one_server_on_one_directory_whatever_happens_to_its_files(tmp_path, faulty):
    copy = tmp_path / "copy"
    await faulty.admin("backup", path=str(copy))
    os.kill(faulty.pid, signal.SIGSTOP)  # it would see to it, and end
    for change in ("remove", "replace"):
        for path in sorted(faulty.data.iterdir()):
            if path.name in ("admin.json", DATABASE, DATABASE + "-wal", DATABASE + "-shm"):
                if change == "remove":
                    path.rename(tmp_path / path.name)
                elif path.name == DATABASE:
                    shutil.copy(copy / DATABASE, path)
            else:
                path.unlink()
        if change == "replace":
            shutil.copy(copy / DATABASE, faulty.data / DATABASE)
        for command in (("serve", "--port", "0"), ("user", "list")):
            is_refused(await asyncio.to_thread(carry_out, *command, data=faulty.data), UNREACHABLE, "in use")


async def test_a_look_at_the_directory_does_not_stand_in_a_servers_way(tmp_path):
    """Commands ask all the time whether somebody holds it; a start in such a moment waits for a moment."""
    data = tmp_path / "data"
    await asyncio.to_thread(whole, data)
    going = True

    def look():
        while going:
            carry_out("chat", "--as", "alice", data=data)

    (data / "admin.json").write_text('{"url": "http://127.0.0.1:1", "token": "x", "pid": 1}')
    looking = asyncio.create_task(asyncio.to_thread(look))
    try:
        for _ in range(20):
            with held(data):
                assert in_use(data)
    finally:
        going = False
        await looking


def test_the_directory_is_free_once_its_holder_is_gone(tmp_path):
    data = tmp_path / "data"
    whole(data)
    with held(data):
        is_refused(carry_out("user", "list", data=data), UNREACHABLE, "in use")
        is_refused(carry_out("ledger", "verify", data=data), UNREACHABLE, "in use")
        is_refused(carry_out("serve", "--port", "0", data=data), UNREACHABLE, "in use")
    assert carry_out("user", "list", data=data).code == 0
