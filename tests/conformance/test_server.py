"""The transcripts against a real server, and the vectors through its sockets."""

import json
import secrets
from pathlib import Path

import pytest
from tests.conformance.transcripts import Peer, Person, WebSocketPeer, load, play
from tests.support.server import ROOT, Server, serving
from websockets.asyncio.client import connect

VECTORS = ROOT / "protocol" / "vectors"
TRANSCRIPTS = sorted((VECTORS / "transcripts").glob("*.jsonl"))


class RealWorld:
    """A real server process; people get handles that no other transcript uses."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def person(self, name: str, owns: list[str]) -> Person:
        account = await self._server.person(
            f"{name}_{secrets.token_hex(3).translate(str.maketrans('01', 'gh'))}"
        )
        for money in owns:
            amount, currency = money.split()
            await self._server.admin("wallet.credit", handle=account.handle, amount=amount, currency=currency)
        return Person(account.id, account.handle, account.token)

    async def connect(self) -> Peer:
        return WebSocketPeer(await connect(self._server.ws_url, compression=None))


def environment(path: Path) -> dict[str, str]:
    """The settings that a transcript names, as the environment holds them: what is no text is JSON."""
    settings = load(path)[0].get("settings", {})
    return {
        name.upper(): value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
    }


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_transcript(path: Path, tmp_path: Path) -> None:
    async with serving(tmp_path, **environment(path)) as server:
        await play(RealWorld(server), path)


async def test_every_malformed_frame_gets_its_error_and_the_connection_lives(tmp_path: Path) -> None:
    """What is only malformed costs an error; bad UTF-8 and oversize end the connection, as RFC 6455 says."""
    vectors = [json.loads(line) for line in (VECTORS / "invalid.jsonl").read_text("utf-8").splitlines()]
    texts = [vector for vector in vectors if "raw" in vector and len(vector["raw"].encode()) <= 65_536]
    assert len(texts) > 500
    async with serving(tmp_path) as server:
        client = await server.connect(await server.person("alice"))
        for vector in texts:
            await client.send(vector["raw"])
            error = await client.expect(kind="error")
            assert (error["body"]["code"], error["body"]["field"]) == (vector["code"], vector["field"]), (
                vector["name"]
            )
        event = await client.submit("chat.text", "self", text="still here")
        assert event["seq"] == 1
