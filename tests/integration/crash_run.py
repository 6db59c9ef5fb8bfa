"""Twenty clients pay and talk in circles while the server is killed at random moments.

Run for long:  python -m tests.integration.crash_run --kills 50 --seed 1

After each kill the ledger must verify, every acknowledged frame must be stored once with the bytes that were
told, no refused payment may be stored, and the money must be what it was. Frames without an answer are sent
again under their ids.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from tests.support.server import Account, Server
from tests.support.waiting import until
from tests.support.wire import Client, Frame, make
from websockets.exceptions import WebSocketException

CLIENTS: Final = 20
CREDIT: Final = Decimal("100.00")
IN_FLIGHT_MAX: Final = 8
ANSWERS_PER_LIFE_MAX: Final = 1_500


@dataclass
class Payer:
    """One client: what it sent and what it was told, over all the server's lives."""

    account: Account
    peers: list[str]
    rng: random.Random
    pending: dict[str, Frame] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Frame] = field(default_factory=dict)
    sent_again: int = 0
    finishing: bool = False

    @property
    def answers(self) -> int:
        """Frames whose outcome is known."""
        return len(self.stored) + len(self.refused)

    async def live(self, server: Server) -> None:
        """Work until the server dies, or until all is answered where it is time to finish."""
        with suppress(WebSocketException, OSError, EOFError):
            client = await Client.open(server.ws_url)
            try:
                await client.hello({"token": self.account.token, "device": self.account.handle})
                self.sent_again += len(self.pending)
                for frame in self.pending.values():
                    await client.send(frame)
                while self.pending or not self.finishing:
                    while len(self.pending) < IN_FLIGHT_MAX and not self.finishing:
                        frame = self._next()
                        self.pending[frame["id"]] = frame
                        await client.send(frame)
                    self._take(await client.read(), client)
            finally:
                await client.drop()

    def _next(self) -> Frame:
        peer, choice = self.rng.choice(self.peers), self.rng.random()
        if choice < 0.3:
            return make("chat.text", peer, text=f"hello {self.rng.random()}")
        amount = "5000.00" if choice < 0.35 else f"{self.rng.randrange(1, 900) / 100:.2f}"
        return make("pay.send", peer, amount=amount, currency="EUR")

    def _take(self, frame: Frame, client: Client) -> None:
        if frame["kind"] == "error":
            body = frame["body"]
            if not body["final"]:
                raise EOFError
            del self.pending[frame["ref"]]
            self.refused[frame["ref"]] = body
        elif "seq" in frame and frame["from"] == self.account.id:
            text = client.texts[frame["id"]]
            assert self.stored.setdefault(frame["id"], text) == text, "one id, two answers"
            self.pending.pop(frame["id"], None)


def check_stored(server: Server, payers: list[Payer]) -> None:
    """Compare what is on disk with what the clients were told. The server is down."""
    found: Counter[str] = Counter()
    texts: dict[str, str] = {}
    for head, body in server.rows("SELECT head, body FROM event"):
        text = (bytes(head)[:-1] + b',"body":' + bytes(body) + b"}").decode()
        frame_id = text.partition('"id":"')[2][:36]
        found[frame_id] += 1
        texts[frame_id] = text
    assert max(found.values()) == 1, "an id is stored twice"
    for payer in payers:
        for frame_id, text in payer.stored.items():
            assert texts.get(frame_id) == text, f"{frame_id} was told and is not stored like that"
        for frame_id in payer.refused:
            assert frame_id not in found, f"{frame_id} was refused and is stored"


async def check_wallets(server: Server, payers: list[Payer]) -> None:
    """Balances are what the stored payments make of the credits; refusals stay refusals."""
    wanted = {payer.account.id: CREDIT for payer in payers}
    for payer in payers:
        for text in payer.stored.values():
            frame = json.loads(text)
            if frame["kind"] == "pay.send":
                amount = Decimal(frame["body"]["amount"])
                wanted[frame["from"]] -= amount
                wanted[frame["body"]["payee"]] += amount
    for payer in payers:
        client = await server.connect(payer.account)
        balances = (await client.submit("ask.wallet"))["body"]["balances"]
        assert Decimal(balances[0]["available"]) == wanted[payer.account.id] >= 0
        await client.drop()


async def one_life(server: Server, payers: list[Payer], rng: random.Random) -> None:
    """Let the clients work, and kill the server at a random moment."""
    before = sum(payer.answers for payer in payers)
    goal = before + rng.randrange(1, ANSWERS_PER_LIFE_MAX)
    tasks = [asyncio.create_task(payer.live(server)) for payer in payers]

    async def far_enough() -> bool:
        assert not any(task.done() and task.exception() for task in tasks)
        return sum(payer.answers for payer in payers) >= goal

    await until(far_enough, f"{goal - before} more answers")
    await asyncio.sleep(rng.random() * 0.05)  # the random moment itself
    await server.kill()
    await asyncio.gather(*tasks)


async def crash_run(directory: Path, kills: int, rng: random.Random) -> dict[str, int]:
    """Kill a server so many times and check everything each time; figures of the run."""
    server = Server(directory / "data")
    await server.start()
    try:
        accounts = [await server.person(f"c{number:02}", str(CREDIT)) for number in range(CLIENTS)]
        payers = [
            Payer(
                account,
                [f"@c{(number + step) % CLIENTS:02}" for step in (1, 2, 7)],
                random.Random(rng.random()),
            )
            for number, account in enumerate(accounts)
        ]
        for kill in range(kills):
            await one_life(server, payers, rng)
            report = await server.verify()
            assert report["totals"] == {"EUR": int(CREDIT * 100) * CLIENTS}
            check_stored(server, payers)
            answers = sum(payer.answers for payer in payers)
            sys.stdout.write(f"kill {kill + 1}: {answers} answers, {report['events']} events, good\n")
            sys.stdout.flush()
            await server.start()
        for payer in payers:
            payer.finishing = True
        await asyncio.gather(*(payer.live(server) for payer in payers))
        assert not any(payer.pending for payer in payers)
        await check_wallets(server, payers)
        assert await server.stop() == 0
        await server.verify()
        check_stored(server, payers)
        assert server.faults() == []
    finally:
        await server.close()
    return {
        "kills": kills,
        "stored": sum(len(payer.stored) for payer in payers),
        "refused": sum(len(payer.refused) for payer in payers),
        "sent_again": sum(payer.sent_again for payer in payers),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    with tempfile.TemporaryDirectory(prefix="tuppence-crash-") as directory:
        sys.stdout.write(
            f"{asyncio.run(crash_run(Path(directory), options.kills, random.Random(options.seed)))}\n"
        )


if __name__ == "__main__":
    main()
