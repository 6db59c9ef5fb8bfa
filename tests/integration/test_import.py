"""Taking in people and credits from a file: with and without a running server, once however often."""

import asyncio
import subprocess
import sys

import pytest
from tests.support.server import Done

HEADER = "handle,name,password,amount,currency,note\n"


async def run(server, *arguments):
    """A command on the server's data directory, in a process of its own."""
    line = [sys.executable, "-m", "tuppence_server", *map(str, arguments), "--data", str(server.data)]
    done = await asyncio.to_thread(
        subprocess.run, line, env=server.env, capture_output=True, text=True, check=False, timeout=60
    )
    return Done(done.returncode, done.stdout, done.stderr)


async def begin(server):
    """A data directory, which an import does not make."""
    assert (await run(server, "user", "add", "zoe", "--no-password")).code == 0


@pytest.mark.parametrize("running", [False, True])
async def test_people_are_added_and_credited_once(stopped, tmp_path, running):
    if running:
        await stopped.start()
    else:
        await begin(stopped)
    file = tmp_path / "people.csv"
    rows = [f"p{number}q,Person {number},,{number + 1}.50,EUR,Opening\n" for number in range(450)]
    file.write_text(HEADER + "".join(rows) + "ada,Ada,correct horse,,,\n")
    first = (await run(stopped, "import", file, "--batch", "opening", "--json")).json
    again = (await run(stopped, "import", file, "--batch", "opening", "--json")).json
    assert (first["added"], first["credited"], first["repeated"], first["refused"]) == (451, 450, 0, [])
    assert (again["added"], again["credited"], again["repeated"], again["refused"]) == (0, 0, 450, [])
    wallet = (await run(stopped, "wallet", "show", "p449q", "--json")).json
    assert wallet["balances"][0]["available"] == "450.50"
    if not running:
        await stopped.start()
    login = {"handle": "ada", "password": "correct horse"}
    assert (await stopped.http("POST", "/v1/sessions", login)).status == 201


async def test_what_is_refused_is_told_by_line_and_the_rest_is_done(stopped, tmp_path):
    await begin(stopped)
    file = tmp_path / "people.csv"
    file.write_text(HEADER + "alice,,,1,EUR,\nserver,,,1,EUR,\nbob,,,1,EUR,\nal1ce,,,1,EUR,\n")
    done = await run(stopped, "import", file, "--batch", "opening")
    assert done.code == 1
    assert "2 people added, 2 credits made." in done.out
    assert "line 3: " in done.err
    assert "line 5: handle_taken" in done.err
    changed = file.read_text().replace("bob,,,1,", "bob,,,2,")
    file.write_text(changed)
    again = await run(stopped, "import", file, "--batch", "opening", "--json")
    assert [each["line"] for each in again.json["refused"]] == [3, 4, 5]
    assert "id_reused" in again.json["refused"][1]["why"]
    assert (await run(stopped, "wallet", "show", "bob", "--json")).json["balances"][0]["available"] == "1.00"


async def test_one_of_a_kind_is_counted_as_one(stopped, tmp_path):
    await begin(stopped)
    assert (await run(stopped, "books")).out == "No money has moved yet.\n"
    file = tmp_path / "people.csv"
    file.write_text(HEADER + "alice,,,1,EUR,\n")
    told = [
        (await run(stopped, "import", file, "--batch", "x", *more)).out for more in (["--dry-run"], [], [])
    ]
    assert told[0] == "The file is good: 1 person, 1 credit. Nothing was done.\n"
    assert told[1] == "1 person added, 1 credit made.\n"
    assert told[2].startswith("0 people added, 0 credits made. 1 credit of the batch 'x' ")
    assert "closing 1.00, 1 line, ledger" in (await run(stopped, "statement", "@alice", "EUR")).out


async def test_a_file_with_a_mistake_does_nothing(stopped, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(HEADER + "alice,,,1,EUR,\nbob,,,1,,\n")
    for arguments in (
        ("import", file, "--batch", "x"),
        ("import", file, "--dry-run"),
        ("import", tmp_path / "none.csv"),
    ):
        done = await run(stopped, *arguments)
        assert done.code != 0
        assert "Traceback" not in done.err
        assert done.out == ""
    assert not (stopped.data / "tuppence.db").exists()


async def test_a_dry_run_counts_and_does_nothing(stopped, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(HEADER + "alice,,,1,EUR,\nalice,,,2,JPY,\nbob,,,,,\n")
    done = await run(stopped, "import", file, "--dry-run", "--json")
    assert done.json == {"rows": 3, "people": 2, "credits": 2}
    assert not (stopped.data / "tuppence.db").exists()


async def test_credits_need_the_name_of_a_round_and_a_corrected_file_pays_nobody_twice(stopped, tmp_path):
    await begin(stopped)
    first, second = tmp_path / "people.csv", tmp_path / "corrected.csv"
    rows = [f"p{number}q,,,1,EUR,\n" for number in range(230)]
    first.write_text(HEADER + "".join(rows) + "a1ice,,,1,EUR,\nal1ce,,,1,EUR,\n")
    unnamed = await run(stopped, "import", first)
    assert (unnamed.code, unnamed.out) == (2, "")
    assert "--batch" in unnamed.err
    assert (await run(stopped, "import", first, "--batch", "may", "--json")).json["credited"] == 231
    second.write_text(HEADER + "".join(rows) + "a1ice,,,1,EUR,\nbob,,,1,EUR,\n")
    again = (await run(stopped, "import", second, "--batch", "may", "--json")).json
    assert (again["credited"], again["repeated"]) == (1, 231)


async def test_mistakes_are_told_one_a_line(stopped, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(HEADER + "x!,,,1,EUR,\nbob,,short,1,EUR,\nbob,,,5.005,EUR,\n")
    done = await run(stopped, "import", file, "--dry-run")
    assert done.code == 2
    lines = done.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "line 2", "line 3", "line 4"]
    assert "\\n" not in done.err
