"""The command line: beside a running server and without one, its JSON, its exit codes, backup and restore."""

import asyncio
import json
import sqlite3
import stat

from tests.support.commands import CANNOT_START, FAILED, PROBLEMS, UNREACHABLE, USAGE, invoke, is_refused
from tests.support.server import ROOT, Server, serving
from tests.support.wire import make, new_id


async def run(server, *arguments, stdin="", env=None):
    """A command on the server's data directory that must succeed; its JSON."""
    line = (*arguments, "--json", "--data", str(server.data))
    done = await asyncio.to_thread(invoke, *line, stdin=stdin, env=env)
    assert done.code == 0, done
    return done.json


async def refused(*arguments, code, text, stdin="", env=None):
    """A command that must end with this exit code, one line on stderr that says this, and nothing on
    stdout."""
    is_refused(await asyncio.to_thread(invoke, *arguments, stdin=stdin, env=env), code, text)


async def test_the_same_commands_with_and_without_a_running_server(stopped):
    server, credit_id = stopped, new_id()
    shapes = []
    for handle, running in (("alice", False), ("bob", True)):
        if running:
            await server.start()
        added = await run(server, "user", "add", handle, "--name", f"The {handle}", "--no-password")
        credit = ("wallet", "credit", f"@{handle}", "12.5", "eur", "--note", "hello", "--id", credit_id)
        first, again = await run(server, *credit), await run(server, *credit)
        listed, wallet = await asyncio.gather(
            run(server, "user", "list"), run(server, "wallet", "show", f"@{handle}")
        )
        shown, payment = await asyncio.gather(
            run(server, "user", "show", f"@{handle}"), run(server, "payment", "show", credit_id)
        )
        found = await run(server, "user", "list", handle[:2].upper(), "--enabled", "--limit", "1")
        assert [user["handle"] for user in found] == [handle]
        assert (shown["id"], shown["balances"]) == (added["id"], wallet["balances"])
        assert (payment["amount"], payment["payee_handle"], payment["note"]) == ("12.50", handle, "hello")
        disabled = await run(server, "user", "disable", handle)
        enabled = await run(server, "user", "disable", handle, "--enable")
        assert (first["amount"], first["repeated"], again["repeated"]) == ("12.50", False, True)
        assert first["pos"] == again["pos"]
        assert [user["handle"] for user in listed] == (["alice", "bob"] if running else ["alice"])
        assert wallet["balances"] == [{"currency": "EUR", "available": "12.50", "held": "0.00"}]
        assert (disabled["disabled"], enabled["disabled"]) == (True, False)
        shapes.append([sorted(each) for each in (added, first, listed[0], wallet, shown, payment, disabled)])
        credit_id = new_id()
    assert shapes[0] == shapes[1]
    assert stat.S_IMODE((server.data / "admin.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert (await run(server, "ledger", "verify"))["totals"] == {"EUR": 2_500}, "beside the server, too"
    is_refused(await server.cli("serve", "--port", "0", "--data", str(server.data)), UNREACHABLE, "in use")
    port, free = str(server.port), str(server.data.with_name("free"))
    done = await server.cli("serve", "--port", port, "--data", free)
    assert (done.code, done.out, "address already in use" in done.err) == (CANNOT_START, "", True), done
    await _what_a_crash_leaves_is_in_nobodys_way(server)


async def _what_a_crash_leaves_is_in_nobodys_way(server):
    await server.kill()
    assert (server.data / "admin.json").exists()
    listed = await run(server, "user", "list")
    assert len(listed) == 2, "what a crash left behind does not stand in the way"
    assert (await run(server, "ledger", "verify"))["totals"] == {"EUR": 2_500}
    table = await server.cli("user", "list", "--data", str(server.data))
    assert (table.code, "@alice" in table.out, "The bob" in table.out, table.err) == (0, True, True, "")
    page = await server.cli("user", "list", "--limit", "1", "--data", str(server.data))
    assert (page.code, "@bob" in page.out, "--after @alice" in page.err) == (0, False, True)
    page = await server.cli("user", "show", "alice", "--data", str(server.data))
    assert (page.code, "12.50" in page.out, "basic" in page.out) == (0, True, True)


async def test_passwords_and_logins(stopped):
    server, data = stopped, str(stopped.data)
    await server.start()
    secret = {"TUPPENCE_PASSWORD": "from the environment"}
    await run(server, "user", "add", "alice", "--password-stdin", stdin="correct horse\n")
    await run(server, "user", "add", "bob", env=secret)

    async def log_in(handle, password):
        return await server.http("POST", "/v1/sessions", {"handle": handle, "password": password})

    alice = await log_in("alice", "correct horse")
    assert (alice.status, (await log_in("bob", "from the environment")).status) == (201, 201)
    socket = await server.dial()
    await socket.hello({"token": alice.json["token"]})
    await run(server, "user", "passwd", "@alice", "--password-stdin", stdin="battery staple\n")
    assert (await socket.closed())[0] == 4500
    assert (
        (await log_in("alice", "correct horse")).status,
        (await log_in("alice", "battery staple")).status,
    ) == (401, 201)
    add = ("user", "add", "carol", "--password-stdin", "--data", data)
    await asyncio.gather(
        *(refused(*add, stdin=each, code=FAILED, text="bad_frame") for each in ("short", "x" * 1_025))
    )
    await refused("user", "add", "a1ice", "--no-password", "--data", data, code=FAILED, text="handle_taken")
    await refused("user", "passwd", "nobody", "--data", data, env=secret, code=FAILED, text="not_found")
    await refused("user", "passwd", "nobody", "--data", data, code=FAILED, text="not_found")  # before it asks
    await run(server, "user", "add", "zoe", "--password-stdin", stdin="\ufeffgrößer als\u00a012\r\n")
    for handle, password in (
        ("zoe", "größer als 12"),
        ("@zoe", "gro\u0308\u00dfer als 12"),
        (" Zoe", "größer\u3000als 12"),
    ):
        assert (await log_in(handle, password)).status == 201, (handle, password)
    assert (await log_in("zoe", "Größer als 12")).status == 401
    register = {"handle": "yves", "password": "correct\rhorse"}
    said = await server.http("POST", "/v1/users", register)
    assert (said.status, said.json["code"], said.json["field"]) == (400, "bad_frame", "$.password")
    assert "horse" not in server.log.read_text()


async def test_backup_under_load_restores_to_the_same_money_under_a_new_epoch(tmp_path):
    async with serving(tmp_path) as server:
        a, b = await server.clients("alice", "bob", credit="100.00")
        first = await a.pay("@bob", "0.01")
        going = True

        async def pay(client, peer):
            while going:
                await client.pay(peer, "0.01")
                await client.text(peer, "x" * 200)

        load = [asyncio.create_task(pay(a, "@bob")), asyncio.create_task(pay(b, "@alice"))]
        copy = tmp_path / "copies" / "one"
        made = await run(server, "backup", str(copy))
        assert made["pos"] >= first["pos"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in copy.iterdir()} == {0o600}
        await refused("backup", str(copy), "--data", str(server.data), code=FAILED, text="exists already")
        going = False
        await asyncio.gather(*load)
        await a.settle()
        cursor, after = {"epoch": a.ready["epoch"], "pos": made["pos"]}, a.events[-1]
        assert after["pos"] > made["pos"], "the load went on"
        texts = dict(a.texts)

    restored = Server(tmp_path / "restored")
    done = await restored.cli("restore", str(copy), str(restored.data), "--verify", "--json")
    assert (done.code, done.json["problems"], done.json["pos"]) == (0, [], made["pos"])
    assert done.json["totals"] == {"EUR": 20_000}
    await refused("restore", str(copy), str(restored.data), code=FAILED, text="exists already")
    assert (await restored.verify())["hash"] == made["hash"]
    try:
        await restored.start()
        await _goes_on_from_the_copy(restored, a.account, cursor, made["pos"], texts)
        assert await restored.stop() == 0
    finally:
        await restored.close()
    await _damaged_copies_are_refused(copy, str(tmp_path / "third"))


async def _goes_on_from_the_copy(restored, account, cursor, pos, texts):
    back = await restored.connect(account, cursor=cursor)
    assert (back.ready["resumed"], back.ready["why"]) == (False, "epoch")
    assert (back.ready["epoch"] != cursor["epoch"], back.ready["pos"]) == (True, pos)
    page = (await back.submit("ask.history", "@bob", limit=200))["body"]["events"]
    assert page
    assert page == [json.loads(texts[event["id"]]) for event in page], "what is left is what was"
    lost = make("chat.text", "@bob", text="said after the copy")
    assert (await back.submit(**_parts(lost)))["seq"] == page[-1]["seq"] + 1
    again = await restored.connect(account, cursor={"epoch": back.ready["epoch"], "pos": back.ready["pos"]})
    assert (again.ready["resumed"], [event["id"] for event in again.events]) == (True, [lost["id"]])
    balances = [
        (await restored.admin("wallet.show", handle=handle))["balances"] for handle in ("alice", "bob")
    ]
    assert sum(round(float(each[0]["available"]) * 100) for each in balances) == 20_000


async def _damaged_copies_are_refused(copy, to):
    with (copy / "tuppence.db").open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 64)
    await refused("restore", str(copy), to, code=PROBLEMS, text="damaged")
    await refused("restore", str(copy), to, "--verify", code=PROBLEMS, text="damaged")
    (copy / "manifest.json").write_bytes(b"{")
    await refused("restore", str(copy), to, code=PROBLEMS, text="cannot be read")
    (copy / "manifest.json").unlink()
    await refused("restore", str(copy), to, code=FAILED, text="not a whole backup")


def _parts(frame):
    return {"kind": frame["kind"], "conv": frame["conv"], "id": frame["id"], **frame["body"]}


async def test_what_explains_itself(stopped, tmp_path):
    server, data = stopped, str(stopped.data)
    (tmp_path / "tuppence.toml").write_text('origins = ["https://chat.example"]\nsession_days = 7\n')
    shown, doc, markdown, schemas, version, doctor, bare = await asyncio.gather(
        server.cli("config", "show", "--json", "--data", data),
        server.cli("config", "doc", "--json"),
        server.cli("config", "doc"),
        server.cli("schema", "export", str(tmp_path / "schemas"), "--json"),
        server.cli("version", "--json"),
        server.cli("doctor", "--json", "--data", data),
        server.cli("--help"),
    )
    rows = {row["name"]: row for row in shown.json}
    assert rows["session_days"] == {"name": "session_days", "value": "7", "from": "tuppence.toml"}
    assert (rows["rate_limits"]["value"], rows["rate_limits"]["from"]) == ("off", "environment")
    assert (rows["data"]["value"], rows["data"]["from"], rows["port"]["from"]) == (data, "flag", "default")
    assert [row["name"] for row in doc.json] == list(rows)
    assert all(row["meaning"] and row["environment"] == f"TUPPENCE_{row['name'].upper()}" for row in doc.json)
    assert markdown.out.count("\n") == len(rows) + 2
    assert len(schemas.json["files"]) == 2
    for name in ("schema.json", "asyncapi.json"):
        assert json.loads((tmp_path / "schemas" / name).read_text()) == json.loads(
            (ROOT / "protocol" / name).read_text()
        )
    assert set(version.json) == {"version"}
    assert {row["state"] for row in doctor.json} <= {"ok", "warning"}
    assert all(set(row) == {"check", "state", "detail"} for row in doctor.json)
    assert bare.code == 0
    assert all(word in bare.out for word in ("serve", "user", "wallet", "ledger", "backup", "restore"))


def test_refusals_and_exit_codes(tmp_path, monkeypatch):
    """In this process, since there are many."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUPPENCE_PASSWORD_MEMORY_KIB", "8")
    data = tmp_path / "data"
    at = ("--data", str(data))

    def cli(*arguments, **env):
        return invoke(*arguments, env=env)

    assert cli("user", "add", "alice", "--no-password", *at).code == 0
    assert cli("wallet", "credit", "@alice", "5.00", "EUR", *at).code == 0
    for code, text, arguments in (
        (FAILED, "not_found", ("wallet", "credit", "@nobody", "1.00", "EUR")),
        (FAILED, "amount_format", ("wallet", "credit", "@alice", "1e3", "EUR")),
        (FAILED, "amount_", ("wallet", "credit", "@alice", "0", "EUR")),
        (FAILED, "unknown_currency", ("wallet", "credit", "@alice", "1.00", "XXX")),
        (FAILED, "bad_id", ("wallet", "credit", "@alice", "1.00", "EUR", "--id", "nonsense")),
        (FAILED, "bad_frame", ("user", "add", "No Such", "--no-password")),
        (FAILED, "not_found", ("wallet", "show", "@nobody")),
        (FAILED, "holds no", ("restore", str(tmp_path / "nothing"), str(tmp_path / "new"))),
        (USAGE, "No such command", ("wallte", "show")),
        (USAGE, "Missing argument", ("wallet", "show")),
    ):
        is_refused(cli(*arguments, *(() if arguments[0] in ("restore", "wallte") else at)), code, text)
    is_refused(cli("ledger", "verify", "--data", str(tmp_path / "absent")), CANNOT_START, "no directory")
    for name, value, text in (
        ("PROT", "1", "TUPPENCE_PORT"),
        ("PORT", "x", "whole number"),
        ("CURRENCIES", "EUR,ZZZ", "ZZZ"),
    ):
        done = cli("user", "list", *at, **{f"TUPPENCE_{name}": value})
        assert (done.code, done.out) == (USAGE, "")
        assert text in done.err or name == "PROT"


def test_a_ledger_that_is_not_good_and_one_of_a_newer_version(tmp_path):
    data = tmp_path / "data"
    at = ("--data", str(data))
    assert invoke("user", "add", "alice", "--no-password", *at).code == 0
    assert invoke("wallet", "credit", "@alice", "5.00", "EUR", *at).code == 0
    with sqlite3.connect(data / "tuppence.db") as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE account SET credits_posted = credits_posted + 1 WHERE code = 'customer'")
    db.close()
    found = invoke("ledger", "verify", "--json", *at)
    assert (found.code, len(found.json["problems"]) > 0) == (PROBLEMS, True)
    said = invoke("ledger", "verify", *at)
    assert (said.code, "NOT good" in said.out) == (PROBLEMS, True)
    with sqlite3.connect(data / "tuppence.db") as db:
        db.execute("INSERT INTO migration VALUES (9999, 'from the future', 'x', 1)")
    db.close()
    is_refused(invoke("user", "list", *at), CANNOT_START, "newer version")
    assert invoke("doctor", "--json", *at).code == PROBLEMS
