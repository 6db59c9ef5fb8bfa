"""The bot of docs/sdk.md is killed at any moment and started again: each payment is answered once."""

import asyncio
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.support.server import ROOT, WAIT_S, Server, serving

from tuppence_client import Client, Event, PaymentRefunded, PaymentSent, TextPosted, connect

GUIDE = (ROOT / "docs" / "sdk.md").read_text("utf-8")
PAYMENTS = 60
KILLS = 6


def block(name: str) -> str:
    found = re.search(rf"<!-- sdk:{re.escape(name)} -->\n```python\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None, name
    return found[1]


async def start(server: Server, directory: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "till.py", cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**server.env, "TUPPENCE_URL": server.url, "TUPPENCE_PASSWORD": "correct horse"},
    )  # fmt: skip
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), WAIT_S)
    if line != b"@till listens\n":
        _, err = await process.communicate()
        raise AssertionError(err.decode())
    return process


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    _, err = await process.communicate()
    assert err == b"", err.decode()


async def answers(me: Client) -> list[Event]:
    """All that the bot has sent."""
    found: list[Event] = []
    while page := await me.history("@till", after=found[-1].seq if found else 0, limit=200):
        found += page
    return [event for event in found if event.from_ != me.user.id]


async def test_the_bot_answers_each_payment_once_however_often_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "till.py").write_text(block("till.py"), "utf-8")
    seed = random.randrange(10_000)
    rng = random.Random(seed)
    async with serving(tmp_path) as server:
        await server.admin("user.add", handle="till", password="correct horse")
        alice = await server.person("alice", "1000.00")
        process = await start(server, tmp_path)  # from its first start on nothing is lost
        async with connect(server.url, token=alice.token) as me:
            events = me.events()

            async def one_more(of: type) -> None:
                async for event in events:
                    if event.from_ != me.user.id and isinstance(event.body, of):
                        return

            paid = []
            for n in range(PAYMENTS):
                paid.append(await me.pay("@till", "10 EUR", note=f"{n}"))
                if n % (PAYMENTS // KILLS) == 5:
                    await one_more(rng.choice([TextPosted, PaymentRefunded]))
                    for _ in range(rng.randrange(200)):
                        await asyncio.sleep(0)
                    await kill(process)
                    paid += [await me.pay("@till", "10 EUR", note=f"{n}, while it is away") for _ in range(5)]
                    process = await start(server, tmp_path)
            last = paid[-1].id
            async for event in events:
                if event.ref == last and isinstance(event.body, PaymentRefunded):
                    break
            sent = await answers(me)
            assert [view.available for view in await me.wallet()] == [f"{1000 - 9 * len(paid)}.00"]
        await kill(process)
    for kind in (TextPosted, PaymentRefunded):
        answered = Counter(event.ref for event in sent if isinstance(event.body, kind))
        assert answered == Counter(event.id for event in paid), f"seed {seed}"
    assert not any(isinstance(event.body, PaymentSent) for event in sent)


async def test_the_bot_gives_back_a_tenth_in_what_its_currency_has(tmp_path: Path) -> None:
    (tmp_path / "till.py").write_text(block("till.py"), "utf-8")
    async with serving(tmp_path, EXCHANGE_RATES='{"EUR/JPY": "160"}') as server:
        await server.admin("user.add", handle="till", password="correct horse")
        alice = await server.person("alice", "1000.00")
        await server.admin("wallet.credit", handle="alice", amount="5000", currency="JPY")
        process = await start(server, tmp_path)
        async with connect(server.url, token=alice.token) as me:
            events = me.events("@till")
            paid = {
                money: (await me.pay("@till", money)).id
                for money in ("10 EUR", "505 JPY", "9 JPY", "0.04 EUR", "0.09 EUR", "0.19 EUR")
            }
            quote = await me.quote(sell="EUR", buy="JPY", amount=333, side="buy")
            paid["333 JPY for EUR"] = (await me.pay("@till", quote.sell, quote=quote)).id
            last = (await me.pay("@till", "1 EUR")).id
            async for event in events:
                if event.ref == last and isinstance(event.body, PaymentRefunded):
                    break
            sent = await answers(me)
        await kill(process)
    back = {event.ref: event.body for event in sent if isinstance(event.body, PaymentRefunded)}
    given = {money: f"{back[id_].amount} {back[id_].currency}" for money, id_ in paid.items() if id_ in back}
    assert given == {
        "10 EUR": "1.00 EUR",
        "505 JPY": "50 JPY",
        "0.19 EUR": "0.01 EUR",
        "333 JPY for EUR": "33 JPY",
    }
    assert sum(isinstance(event.body, TextPosted) for event in sent) == len(paid) + 1


async def test_the_bot_says_in_one_line_why_it_cannot_log_in(tmp_path: Path) -> None:
    (tmp_path / "till.py").write_text(block("till.py"), "utf-8")
    async with serving(tmp_path) as server:
        await server.admin("user.add", handle="till", password="correct horse")
        for password, said in (("wrong horse", "bad_credentials: "), (None, "TUPPENCE_PASSWORD")):
            given = {} if password is None else {"TUPPENCE_PASSWORD": password}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "till.py", cwd=tmp_path, stderr=subprocess.PIPE,
                env={**server.env, "TUPPENCE_URL": server.url, **given},
            )  # fmt: skip
            _, err = await asyncio.wait_for(process.communicate(), WAIT_S)
            assert process.returncode == 1
            (line,) = err.decode().splitlines()
            assert said in line


async def test_the_test_of_the_guide_passes(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(block("test_bot.py"), "utf-8")
    path = ":".join(str(ROOT / root) for root in ("protocol", "clients/python"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "test_bot.py", cwd=tmp_path, env={"PYTHONPATH": path}, stderr=subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), WAIT_S)
    assert (process.returncode, err) == (0, b"")
