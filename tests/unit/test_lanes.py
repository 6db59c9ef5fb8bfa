"""What a connection's frames become: questions in order and bounded, fleeting frames passed on,
faults answered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.stores import event_id, frame, head_of
from tests.support.edge import Edge, edge_on, kinds, say, told
from tests.support.memory_store.store import MemoryStore
from tests.support.road import IDS
from tests.support.waiting import turn_until

from tuppence_server.edge.asks import ASKS_IN_FLIGHT_MAX

NOWHERE = "c_" + "a" * 26


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with edge_on(MemoryStore("e_first"), tmp_path) as edge:
        yield edge


async def fails(*_: Any) -> Any:
    raise OSError("cannot read")


# --- asks ---------------------------------------------------------------------------------------------------


async def test_questions_are_answered_in_order_and_so_many_may_wait(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, answering = await edge.enter("alice"), asyncio.Event()
    funds = edge.store.funds

    async def slow(user: str) -> Any:
        await answering.wait()
        return await funds(user)

    monkeypatch.setattr(edge.store, "funds", slow)
    keys = [event_id(number) for number in range(ASKS_IN_FLIGHT_MAX + 1)]
    for key in keys:
        say(alice, "ask.wallet", id=key)
    (refused,) = told(alice)[2:]
    assert (refused["ref"], refused["body"]["code"]) == (keys[-1], "rate_limited")
    answering.set()
    await turn_until(lambda: len(told(alice)) == 3 + ASKS_IN_FLIGHT_MAX)
    assert [each["ref"] for each in told(alice)[3:]] == keys[:-1]
    assert alice.asks is None


async def test_the_next_question_waits_until_the_answer_before_was_taken(edge: Edge) -> None:
    alice = await edge.enter("alice")
    alice.pause_writing()
    say(alice, "ask.wallet", id=event_id(1))
    await turn_until(lambda: not edge.app.acceptor.tasks)
    assert len(told(alice)) == 2
    alice.resume_writing()
    await turn_until(lambda: len(told(alice)) == 3)
    assert told(alice)[2]["kind"] == "result"


async def test_a_question_that_cannot_be_read_is_answered_and_the_next_one_too(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await edge.enter("alice")
    monkeypatch.setattr(edge.store, "funds", fails)
    say(alice, "ask.wallet", id=event_id(1))
    say(alice, "ask.user", id=event_id(2), handle="bob")
    await turn_until(lambda: len(told(alice)) == 4)
    failed, answered = told(alice)[2:]
    assert (failed["ref"], failed["body"]["code"]) == (event_id(1), "unavailable")
    assert answered["body"]["user"]["id"] == IDS["bob"]


# --- live ---------------------------------------------------------------------------------------------------


async def test_typing_is_passed_on_and_nothing_where_one_is_not(edge: Edge) -> None:
    alice, bob = await edge.enter("alice"), await edge.enter("bob")
    made = await edge.app.pipeline.ask(
        frame(IDS["alice"], "room.create", None, event_id(1), None, title="Club", members=["@bob"])
    )
    await turn_until(lambda: len(told(bob)) == 3)
    say(alice, "live.typing", conv=head_of(made)["conv"])
    await turn_until(lambda: len(told(bob)) == 4)
    assert (told(bob)[3]["kind"], told(bob)[3]["from"]) == ("live.typing", IDS["alice"])
    say(alice, "live.typing", conv=NOWHERE)
    await turn_until(lambda: len(told(alice)) == 4)
    refused = told(alice)[3]
    assert (refused["kind"], refused["body"]["code"], refused.get("ref")) == ("error", "not_found", None)
    assert len(told(bob)) == 4


async def test_who_is_watched_is_shown_and_only_acquaintances_are(edge: Edge) -> None:
    alice = await edge.enter("alice")
    await edge.app.pipeline.ask(frame(IDS["bob"], "chat.text", "@alice", event_id(1), None, text="Hello"))
    await turn_until(lambda: len(told(alice)) == 3)
    say(alice, "live.watch", users=[IDS["bob"], IDS["carol"]])
    await turn_until(lambda: len(told(alice)) == 4)
    assert told(alice)[3]["body"] == {"user": IDS["bob"], "online": False, "last_seen": None}
    await edge.enter("carol")
    bob = await edge.enter("bob")
    assert [each["body"]["online"] for each in told(alice)[4:]] == [True]
    bob.connection_lost(None)
    assert len(told(alice)) == 5, "the grace has begun"


async def test_a_fleeting_frame_that_fails_is_answered_without_a_ref(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await edge.enter("alice")
    monkeypatch.setattr(edge.store, "conversation", fails)
    say(alice, "live.read", conv=NOWHERE, seq=1)
    await turn_until(lambda: len(told(alice)) == 3)
    assert (told(alice)[2]["body"]["code"], told(alice)[2].get("ref")) == ("unavailable", None)


async def test_a_heartbeat_is_answered_at_once_and_moves_the_delivered_mark(edge: Edge) -> None:
    alice, bob = await edge.enter("alice"), await edge.enter("bob")
    await edge.app.pipeline.ask(frame(IDS["bob"], "chat.text", "@alice", event_id(1), None, text="Hello"))
    await turn_until(lambda: len(told(alice)) == 3)
    say(alice, "ping", pos=told(alice)[2]["pos"])
    assert told(alice)[3]["kind"] == "pong"
    await turn_until(lambda: "live.receipt" in kinds(bob))
    assert told(bob)[-1]["body"]["delivered"] == 1
