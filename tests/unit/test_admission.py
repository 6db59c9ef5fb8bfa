"""Who is let in: the address's pace, the token, the person's pace, in this order; then join first,
read second."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.stores import command, event_id, frame
from tests.support.edge import SESSION_MS, Edge, edge_on, kinds, reason, say, told
from tests.support.memory_store.store import MemoryStore
from tests.support.road import IDS, pay
from tests.support.waiting import turn_until

from tuppence_server.domain.commands import DisableUser, RevokeSession
from tuppence_server.edge.guests import ADMISSION, HELLO
from tuppence_server.edge.rate_limits import ASK, DURABLE, LIMITED, LIVE, Pace


@pytest.fixture
async def edge(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Edge]:
    async with edge_on(MemoryStore("e_first"), tmp_path, **getattr(request, "param", {})) as edge:
        yield edge


async def test_a_good_token_is_greeted_in_one_write(edge: Edge) -> None:
    alice = await edge.enter("alice", device="phone")
    assert kinds(alice) == ["ready", "synced"]
    assert len(alice.transport.written) == 1  # type: ignore[union-attr]
    assert told(alice)[0]["body"]["user"]["id"] == IDS["alice"]
    assert (alice.session_id, alice.device) == (told(alice)[0]["body"]["session"], "phone")


async def test_the_paces_that_are_announced_are_those_that_hold(edge: Edge) -> None:
    alice = await edge.enter("alice")
    announced = told(alice)[0]["body"]["limits"]
    for lane, name in ((DURABLE, "durable"), (LIVE, "live"), (ASK, "ask")):
        pace, burst = Pace(), announced[name]["burst"]
        assert [LIMITED.wait_ms(lane, pace, 50.0) > 0 for _ in range(burst + 1)] == [False] * burst + [True]
        assert LIMITED.wait_ms(lane, pace, 50.0 + 1 / announced[name]["per_s"]) == 0


async def test_a_token_is_judged_before_the_person(edge: Edge) -> None:
    assert reason(await edge.enter("nobody")) == "bad_token"
    edge.at_ms += SESSION_MS
    assert reason(await edge.enter("alice")) == "token_expired"
    await edge.app.pipeline.ask(command(DisableUser("alice", disabled=True)))
    assert reason(await edge.enter("alice")) == "bad_token", "a person who is disabled has no logins"
    assert reason(await edge.enter("bob")) == "token_expired"


async def test_a_login_that_ends_while_it_says_hello_is_turned_away(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = edge.store.groups

    async def ended_meanwhile(user: str) -> list[str]:
        found = await groups(user)
        await edge.app.pipeline.ask(command(RevokeSession(session, user)))
        return found

    session = told(await edge.enter("alice"))[0]["body"]["session"]
    monkeypatch.setattr(edge.store, "groups", ended_meanwhile)
    assert reason(await edge.enter("alice")) == "bad_token"
    assert len(edge.app.hub.people) == 1


async def test_an_address_is_paced_before_its_token_is_looked_at(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    identify = edge.store.identify

    async def noted(token: str) -> Any:
        looked.append(token)
        return await identify(token)

    monkeypatch.setattr(edge.store, "identify", noted)
    for _ in range(HELLO.burst):
        await edge.enter("nobody")
    late = await edge.enter("alice")
    assert reason(late) == "rate_limited"
    assert told(late)[-1]["body"]["retry_ms"] > 0
    assert len(looked) == HELLO.burst
    assert kinds(await edge.enter("alice", "192.0.2.2")) == ["ready", "synced"]


async def test_a_person_is_paced_wherever_they_come_from(edge: Edge) -> None:
    for number in range(ADMISSION.burst):
        await edge.enter("alice", f"192.0.2.{number}", device="phone")
    assert reason(await edge.enter("alice", "198.51.100.1", device="phone")) == "rate_limited"
    assert kinds(await edge.enter("bob")) == ["ready", "synced"]


@pytest.mark.parametrize("edge", [{"connections_per_user": 2}], indirect=True)
async def test_the_same_device_is_replaced_and_a_person_has_so_many(edge: Edge) -> None:
    first, second = [await edge.enter("alice", device=device) for device in ("phone", "laptop")]
    again = await edge.enter("alice", device="phone")
    assert reason(first) == "replaced"
    assert kinds(again) == ["ready", "synced"], "one that is closing does not count"
    assert reason(await edge.enter("alice", device="watch")) == "too_many_connections"
    assert second.open
    assert again.open


@pytest.mark.parametrize("edge", [{"rate_limits": "off", "connections_per_user": 1}], indirect=True)
async def test_without_limits_nobody_is_paced_or_counted(edge: Edge) -> None:
    several = [await edge.enter("alice") for _ in range(ADMISSION.burst + 2)]
    assert all(each.open for each in several)


async def test_what_happens_between_joining_and_reading_comes_once(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = edge.store.snapshot

    async def meanwhile(*given: Any) -> Any:
        found = await snapshot(*given)
        await edge.app.pipeline.ask(
            frame(IDS["bob"], "chat.text", "@alice", event_id(77), None, text="Meanwhile")
        )
        return found

    monkeypatch.setattr(edge.store, "snapshot", meanwhile)
    alice = await edge.enter("alice")
    assert kinds(alice) == ["ready", "synced", "chat.text"]


async def test_a_store_that_fails_is_no_fault_of_the_token(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise OSError("cannot read")

    monkeypatch.setattr(edge.store, "snapshot", fails)
    alice = await edge.enter("alice")
    assert reason(alice) == "server_error"
    alice.connection_lost(None)
    assert alice.person is None or not alice.person.outboxes


async def test_a_connection_that_goes_while_it_is_judged_leaves_nothing(edge: Edge) -> None:
    alice = edge.arrive()
    say(alice, "hello", token="alice")
    alice.connection_lost(None)
    await turn_until(lambda: not edge.app.acceptor.tasks)
    assert len(edge.app.hub.people) == 0
    assert edge.app.acceptor.addresses._open.total() == 0
    assert await edge.app.pipeline.ask(pay(1, "alice", "bob", "1")) is not None
