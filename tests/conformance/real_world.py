"""A real server as the world that a transcript is played in."""

import json
import secrets
from pathlib import Path

from tests.conformance.transcripts import Peer, Person, WebSocketPeer, load
from tests.support.server import ROOT, Server
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
