"""The terminal client on a real terminal: what is to be seen, at every size, whatever happens meanwhile."""

import asyncio
import re
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trustme
from tests.support.screen import Screen, on_screen
from tests.support.server import ROOT, Server, serving

from tuppence_client import Client, ConnectionEnded, connect, login
from tuppence_server.cli.admin_client import trusting

SIZES = ((40, 10), (80, 24), (160, 50))


def chat(
    server: Server, handle: str, columns: int = 80, rows: int = 24
) -> AbstractAsyncContextManager[Screen]:
    command = [sys.executable, "-m", "tuppence_server", "chat", "--as", handle, "--data", str(server.data)]
    return on_screen(command, server.env, columns, rows)


def talking(server: Server, token: str) -> AbstractAsyncContextManager[Client]:
    return connect(server.url, token=token)


def prompt_of(rows: list[str]) -> int:
    return max((n for n, row in enumerate(rows) if " > " in row + " "), default=-1)


@pytest.mark.parametrize(("columns", "rows"), SIZES)
async def test_the_screen_is_whole_at_every_size(tmp_path: Path, columns: int, rows: int) -> None:
    """Words are not cut, nothing is blank below the prompt, and the bar fits."""
    async with serving(tmp_path) as server:
        alice, bob = await server.people("alice", "bob", credit="20.00")
        assert alice.handle == "alice"
        async with chat(server, "alice", columns, rows) as screen, talking(server, bob.token) as them:
            await screen.until("online")
            screen.type("/to @bob")
            await screen.until("── @bob ──")
            words = [f"word{n:03d}" for n in range(40)]
            await them.send("@alice", " ".join(words))
            await screen.until("word039")
            seen = await screen.until(lambda rows: prompt_of(rows) == len(rows) - 2)
            for row in seen[:-2]:
                whole = row.rpartition("@bob")[2].split()
                assert "word" not in row or all(re.fullmatch(r"word\d{3}", word) for word in whole), row
            assert "online" in seen[-1]
            screen.type("/help money")
            await screen.until("/offer")
            await them.send("@alice", "so it is")  # which comes behind the help
            seen = await screen.until("so it is")
            assert any("/pay " in row for row in seen), "help is no longer than the screen"
            screen.type("/p", enter=False)
            await screen.until(lambda rows: any("/packet" in row for row in rows[prompt_of(rows) + 1 :]))


async def test_what_is_typed_fast_is_never_mixed_into_the_talk(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        _, bob = await server.people("alice", "bob")
        async with chat(server, "alice") as screen, talking(server, bob.token) as them:
            await screen.until("online")
            screen.type("/to @bob\r" + "\r".join(f"line {n:02d}" for n in range(30)))
            events = them.events()
            texts = [(await anext(events)).body for _ in range(30)]
            assert [getattr(body, "text", "") for body in texts] == [f"line {n:02d}" for n in range(30)]
            seen = await screen.until("line 29")
            shown = [row for row in seen if "line" in row]
            assert all(re.fullmatch(r"\d\d:\d\d  you  line \d\d", row) for row in shown), shown


@pytest.mark.parametrize("between_keys_s", [0, 0.0003, 0.001, 0.003])
async def test_keys_that_come_while_lines_are_printed_are_not_echoed_into_them(
    tmp_path: Path, between_keys_s: float
) -> None:
    async with serving(tmp_path) as server:
        await server.people("alice", "bob")
        async with chat(server, "alice") as screen:
            await screen.until("online")
            screen.type("/to @bob")
            await screen.until("── @bob ──")
            for key in "\r".join(f"line {n:02d}" for n in range(60)):
                screen.type(key, enter=False)
                await asyncio.sleep(between_keys_s)
            screen.type("")
            seen = await screen.until("you  line 59")
            shown = [row for row in seen if "line" in row]
            assert all(re.fullmatch(r"\d\d:\d\d  you  line \d\d", row) for row in shown), shown


async def test_typing_presence_and_read_marks_are_seen(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.people("alice", "bob")
        async with chat(server, "alice") as one, chat(server, "bob", 160, 50) as other:
            await one.until("online")
            await other.until("online")
            one.type("/to @bob\rhello")
            await one.until("@bob is here")
            other.type("/to @alice")
            await other.until("@alice  hello")
            await one.until("all read")
            other.type("I am wri", enter=False)
            await one.until("@bob is writing…")
            other.type("ting")
            await one.until("@bob  I am writing")
            await one.until(lambda rows: not any("is writing…" in row for row in rows))


async def test_a_line_typed_offline_is_named_when_one_leaves(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.people("alice", "bob")
        async with chat(server, "alice") as screen:
            await screen.until("online")
            screen.type("/to @bob")
            screen.type("said before")
            await screen.until("you  said before")
            await server.kill()
            await screen.until("trying again")
            screen.type("never sent")
            await screen.until("goes out when the connection is back")
            screen.type("/pay 5 EUR rent")
            await screen.until(lambda rows: sum("goes out" in row for row in rows) == 2)
            screen.type("/wallet")
            await screen.until("this is answered when the connection is back")
            screen.type("/quit")
            seen = await screen.until("not sent: /pay 5 EUR rent")
            assert "✗ not sent: never sent" in seen
            assert not any("said before" in row and "✗" in row for row in seen)
            assert await screen.end() == 0


@pytest.mark.parametrize(
    ("act", "words"),
    [("user.disable", "your account is disabled"), ("password", "log in")],
    ids=["disabled", "password"],
)
async def test_the_operator_ends_it_in_one_sentence(tmp_path: Path, act: str, words: str) -> None:
    async with serving(tmp_path) as server:
        await server.people("alice", "bob")
        async with chat(server, "alice") as screen:
            await screen.until("online")
            if act == "password":
                await server.admin("user.passwd", handle="alice", password="another horse")
            else:
                await server.admin(act, handle="alice")
            await screen.until(words)
            assert await screen.end() == 1
            assert b"Traceback" not in screen.said
            assert "close code" not in screen.text


async def test_a_large_payment_and_a_pasted_one_ask(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.person("bob")
        await server.person("alice", "1000.00")
        async with chat(server, "alice", 100, 30) as screen:
            await screen.until("online")
            screen.type("/to @bob")
            await screen.until("nothing said yet")
            screen.type("/pay 500 EUR")
            await screen.until("? y/n >")
            screen.type("n")
            await screen.until("not paid")
            screen.type("first line\r/pay 5 EUR\ry\rlast line")  # as a paste where no brackets are sent
            await screen.until("you  last line")
            screen.type("\x1b[200~/pay 5 EUR\r/pay 6 EUR\x1b[201~")
            await screen.until("nothing was done")
            screen.type("/wallet")
            await screen.until("1000.00 EUR")
            assert "you paid" not in screen.text


async def test_the_demo_client_says_it_in_one_line_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.people("alice")
        env = {**server.env, "TUPPENCE_TOKEN": "wrong"}
        command = [sys.executable, str(ROOT / "clients" / "demo.py"), "--url", server.url, "--as", "alice"]
        async with on_screen(command, env) as screen:
            await screen.until("log in")
            assert await screen.end() == 1
            assert b"Traceback" not in screen.said


async def test_a_server_of_this_machine_is_trusted_whoever_signed_its_certificate(tmp_path: Path) -> None:
    own = trustme.CA().issue_cert("pay.example.org")
    own.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    tls = {"TLS_CERTIFICATE": str(tmp_path / "certificate.pem"), "TLS_KEY": str(tmp_path / "key.pem")}
    async with serving(tmp_path, **tls) as server:
        added = await server.cli(
            "user", "add", "alice", "--password-stdin", "--data", str(server.data), stdin="correct horse\n"
        )
        assert added.code == 0, added.err
        async with chat(server, "alice") as screen:
            await screen.until("online")
        with pytest.raises(ConnectionEnded, match="certificate"):
            await login(server.url, "alice", "correct horse")
        session = await login(server.url, "alice", "correct horse", tls=trusting())
        async with connect(server.url, token=session.token, tls=trusting()) as me:
            assert me.user.handle == "alice"
