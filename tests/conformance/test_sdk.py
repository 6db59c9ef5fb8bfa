"""The transcripts with the SDK in the clients' place; then its cards against the server's own lists."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from tests.conformance.real_world import TRANSCRIPTS, RealWorld, environment
from tests.conformance.transcripts import Peer, load, play
from tests.support.server import Server, serving

from tuppence_client import Card, Client, PaymentView, TuppenceError, check_packet, connect, fold
from tuppence_protocol import codec, kinds, shapes
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event

TOLD: Final = (
    kinds.BalanceNotice,
    kinds.Error,
    kinds.PresenceNotice,
    kinds.ReceiptNotice,
    kinds.TypingNotice,
)
FOLDED: Final = (
    "kind", "conv", "pos", "at", "amount", "currency", "state", "payer", "payee", "expires_at", "fee",
    "received", "refunded", "count",
)  # fmt: skip


def fits(path: Path) -> bool:
    """Whether the SDK would do such things: it says hello once, and writes no bytes by hand."""
    hellos = []
    for step in load(path)[1]:
        if step.keys() & {"raw", "raw_hex", "close", "drop"}:
            return False
        if step.get("frame", {}).get("kind") == "hello":
            hellos.append(step["who"])
        elif step["who"].removeprefix("server->") not in hellos:
            return False
    return len(hellos) == len(set(hellos))


PLAYED: Final = [path for path in TRANSCRIPTS if fits(path)]


class SdkWorld(RealWorld):
    """A real server whose connections are clients of the SDK; `heard` are the events that each told."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.url = server.url
        self.heard: dict[str, list[Event]] = {}

    async def connect(self) -> Peer:
        return SdkPeer(self)


class SdkPeer:
    """A client as a peer: frames go into its calls, what it tells comes out as the frames it was told by."""

    def __init__(self, world: SdkWorld) -> None:
        self._world = world
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self._open = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()
        self._client: Client | None = None

    async def send(self, message: str | bytes) -> None:
        decoded = codec.decode_client(message)
        if isinstance(decoded, Refusal):
            self._refused(json.loads(message).get("id"), decoded)
            return
        match decoded.frame:
            case kinds.Hello() as hello:
                await self._hello(hello)
            case kinds.Ping():
                self._spawn(self._ping())
            case shapes.Durable() as durable:
                self._spawn(self._commit(durable))
            case shapes.Ask() as question:
                self._spawn(self._ask(question))
            case shapes.Live() as live:
                self._engine.tell(live)

    async def receive(self) -> str:
        return await self._said.get()

    async def drop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._open.aclose()

    @property
    def _engine(self) -> Any:
        assert self._client is not None
        return self._client._engine

    async def _hello(self, hello: kinds.Hello) -> None:
        token = hello.body.token
        client = self._client = await self._open.enter_async_context(connect(self._world.url, token=token))
        events, notices = client.events(), client.notices()
        heard = self._world.heard.setdefault(token, [])
        self._say(
            kind="ready",
            body={
                "user": client.user, "resumed": False, "why": "first", "mode": client.mode,
                "balances": list(client.balances.values()),
                "conversations": list(client.conversations.values()),
            },
        )  # fmt: skip
        self._say(kind="synced", body={"pos": 0})

        async def listen() -> None:
            async for event in events:
                heard.append(event)
                self._tell(event)

        async def notice() -> None:
            async for each in notices:
                if isinstance(each, TOLD):
                    self._said.put_nowait(msgspec.json.encode(each).decode())

        self._spawn(listen())
        self._spawn(notice())

    async def _commit(self, frame: shapes.Durable) -> None:
        """The stream tells an event once; what is sent again is told by the call alone."""
        repeated = frame.id in self._told
        try:
            event = await self._engine.commit(frame)
        except TuppenceError as error:
            self._refused(frame.id, error)
            return
        if repeated or event.id not in self._told:
            self._tell(event, repeated=repeated)

    async def _ask(self, frame: shapes.Ask) -> None:
        try:
            self._say(kind="result", ref=frame.id, body=await self._engine.ask(frame))
        except TuppenceError as error:
            self._refused(frame.id, error)

    async def _ping(self) -> None:
        await self._engine.ask(kinds.AskWallet(id=self._engine.new_id()))
        self._say(kind="pong", body={"now": 0})

    def _tell(self, event: Event, *, repeated: bool = False) -> None:
        if event.id in self._told and not repeated:
            return
        self._told.add(event.id)
        self._said.put_nowait(msgspec.json.encode(event).decode())

    def _refused(self, ref: str | None, error: TuppenceError | Refusal) -> None:
        names = ("code", "message", "field", "final", "retry_ms", "state")
        self._say(kind="error", ref=ref, body={name: getattr(error, name) for name in names})

    def _say(self, **members: Any) -> None:
        self._said.put_nowait(msgspec.json.encode(members).decode())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
async def test_transcript(path: Path, tmp_path: Path) -> None:
    async with serving(tmp_path, **environment(path)) as server:
        world = SdkWorld(server)
        await play(world, path)
        for token, heard in world.heard.items():
            async with connect(server.url, token=token) as client:
                cards = [card for card in fold(heard).values() if card.conv in client.conversations]
                agree(client.user.id, cards, [view async for view in client.payments()])
            for packet in heard:
                fair(packet, heard)


def agree(user: str, cards: list[Card], listed: list[PaymentView]) -> None:
    """What a client made of the events is what the server says, in the conversations that one is still in."""
    known = {card.id: card for card in cards}
    seen = [view for view in listed if view.kind != "pay.claim" and view.id in known]
    for view in seen:
        card = known[view.id]
        assert {name: getattr(card, name) for name in FOLDED} == {
            name: getattr(view, name) for name in FOLDED
        }
        assert list(card.shares) == (view.shares or [])
        assert card.claimed == (view.claimed or 0)
        assert card.fee_on in (None, view.fee_on)  # of a packet, whose fee is the payer's, no event tells it
    claims = {(view.amount, view.at) for view in listed if view.kind == "pay.claim"}
    assert claims == {
        (claim.amount, claim.at) for card in cards for claim in card.claims if claim.user == user
    }
    about_me = {card.id for card in cards if user in (card.payer, card.payee) or card.share_of(user)}
    assert about_me == {view.id for view in seen}


def fair(packet: Event, heard: list[Event]) -> None:
    """A packet that has ended was drawn as it was promised."""
    about = [event for event in heard if event.ref == packet.id]
    end = next((event for event in about if getattr(event.body, "seed", None)), None)
    if isinstance(packet.body, kinds.PacketMade) and end is not None:
        claims = [event for event in about if isinstance(event.body, kinds.PacketClaimed)]
        assert check_packet(packet, claims, end).fair


def test_most_transcripts_are_played() -> None:
    assert len(PLAYED) > 10, PLAYED
