"""The SDK over a network that fails: cuts at awkward moments, silence, refusals that pass."""

import asyncio

import pytest
from tests.support.sdk import available, joined, notice_of, received, take

from tuppence_client import ConnectionEnded, Pace, Reset, Resumed, ServerError, SessionError
from tuppence_protocol.errors import Refusal
from tuppence_testing import Act, Sandbox

BUSY = Refusal("busy", "The server's inbox is full.", retry_ms=5)


def sent_ids(sandbox: Sandbox, kind: str) -> list[str]:
    return [frame.id for frame in received(sandbox, kind)]


async def test_a_missing_event_is_fetched(sandbox, alice, bob):
    events = bob.events()
    await alice.send("@bob", "1")
    first = await take(events, 1)
    sandbox.withhold("bob")
    await alice.send("@bob", "2")
    await alice.send("@bob", "3")
    assert [event.seq for event in first + await take(events, 2)] == [1, 2, 3]
    assert received(sandbox, "ask.history")


# --- cuts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [Act.CUT_BEFORE, Act.CUT_AFTER])
async def test_a_frame_cut_off_is_sent_again_and_stored_once(sandbox, alice, act):
    sandbox.next("pay.send", act)
    paid = await alice.pay("@bob", "5 EUR")
    assert await available(alice) == "95.00"
    assert await take(alice.events(), 1) == [paid]
    assert await alice.history("@bob") == [paid]
    # what the replay settled is not sent again
    assert sent_ids(sandbox, "pay.send") == [paid.id] * (2 if act is Act.CUT_BEFORE else 1)


async def test_what_was_missed_is_resumed_without_a_gap(sandbox, alice, bob):
    events, notices = bob.events(), bob.notices()
    first = await alice.send("@bob", "1")
    got = [await anext(events)]
    async with bob.offline():
        for n in range(2, 5):
            await alice.send("@bob", f"{n}")
        await alice.pay("@bob", "1 EUR")
    assert (await notice_of(notices, Resumed)).events == 4
    assert [event.seq for event in got + await take(events, 4)] == [1, 2, 3, 4, 5]
    assert received(sandbox, "hello")[-1].body.pos == first.pos
    assert bob.balances["EUR"].available == "101.00"


async def test_frames_sent_while_away_go_out_after_the_replay(alice, bob):
    events = bob.events()
    async with bob.offline():
        sending = asyncio.create_task(bob.send("@alice", "from the tunnel"))
        await alice.send("@bob", "meanwhile")
    assert (await sending).seq == 2
    assert [event.seq for event in await take(events, 2)] == [1, 2]


async def test_a_cut_before_ready_and_one_in_the_handshake_of_resume(sandbox):
    sandbox.next("hello", Act.CUT_BEFORE)
    async with joined(sandbox, patience_s=5) as alice:
        notices = alice.notices()
        sandbox.next("hello", Act.CUT_BEFORE, Act.CUT_AFTER)
        sandbox.cut("alice")
        await notice_of(notices, Resumed)
        assert (await alice.send("@bob", "here")).seq == 1
    assert len(received(sandbox, "hello")) == 5


async def test_an_ask_is_asked_again_once(sandbox, alice):
    sandbox.next("ask.wallet", Act.CUT_BEFORE)
    assert await available(alice)
    sandbox.next("ask.wallet", Act.CUT_BEFORE, Act.CUT_BEFORE)
    with pytest.raises(ConnectionEnded):
        await alice.wallet()
    assert await available(alice)


async def test_a_server_that_cannot_replay_is_told(alice, bob):
    room = (await alice.create_room("Flat", ["@bob"])).conv
    notices, events = bob.notices(), bob.events()
    assert (await anext(events)).seq == 1
    async with bob.offline():
        await alice.send("@bob", "1")
        await alice.remove(room, "@bob")
        await alice.invite(room, "@bob")
    assert (await notice_of(notices, Reset)).why == "too_far"
    await alice.send("@bob", "2")
    assert (await anext(events)).seq == 2
    assert len(await bob.history("@alice")) == 2


async def test_silence_ends_the_socket():
    async with Sandbox(heartbeat_ms=20) as sandbox:
        sandbox.token("bob")
        async with joined(sandbox) as alice:
            notices = alice.notices()
            sandbox.next("ping", *[Act.IGNORE] * 1000)
            await notice_of(notices, Resumed)
            sandbox.planned.clear()
            await alice.send("@bob", "hi")
        assert len(received(sandbox, "hello")) >= 2


async def test_the_heartbeat_acknowledges():
    async with Sandbox(heartbeat_ms=10) as sandbox:
        sandbox.token("bob")
        async with joined(sandbox) as alice:
            said = await alice.send("@bob", "hi")
            sandbox.received.clear()
            await sandbox.heard("ping", 3)
        assert received(sandbox, "ping")[-1].body.pos == said.pos


async def test_what_is_late_is_waited_for(sandbox, alice):
    sandbox.next("pay.send", 0.02)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await alice.pay("@bob", "5 EUR", id=(saved := alice.new_id()))
    assert (await alice.pay("@bob", "5 EUR", id=saved)).body.amount == "5.00"
    assert await available(alice) == "95.00"


async def test_marks_and_watches_survive_the_connection(sandbox, alice, bob):
    said = await bob.send("@alice", "hi")
    notices = alice.notices()
    async with alice.offline():
        alice.read(said.conv, said.seq)
        alice.watch("@bob")
        alice.typing("@bob")
    await notice_of(notices, Resumed)
    await alice.wallet()
    assert received(sandbox, "live.read")
    assert received(sandbox, "live.watch")
    assert not received(sandbox, "live.typing")


async def test_the_socket_dies_at_random_moments_and_nothing_is_lost_or_doubled(sandbox, alice, bob):
    events = bob.events()
    for n in range(60):
        if n % 7 == 3:
            sandbox.cut("bob")
        if n % 5 == 2:
            sandbox.next("chat.text", Act.CUT_AFTER if n % 2 else Act.CUT_BEFORE)
        await alice.send("@bob", f"{n}")
    got = await take(events, 60)
    assert [event.body.text for event in got] == [f"{n}" for n in range(60)]
    assert [event.seq for event in got] == list(range(1, 61))


async def test_a_message_that_is_no_frame_ends_the_socket_only(sandbox, alice):
    notices = alice.notices()
    await sandbox.tell("alice", nonsense=True)
    await notice_of(notices, Resumed)
    assert (await alice.send("@bob", "hi")).seq == 1


# --- refusals that pass ---------------------------------------------------------------------------


async def test_a_refusal_that_may_pass_is_retried_under_the_same_id(sandbox, alice):
    sandbox.next("pay.send", BUSY, Refusal("unavailable", "The server cannot store now."), BUSY)
    paid = await alice.pay("@bob", "5 EUR")
    assert sent_ids(sandbox, "pay.send") == [paid.id] * 4
    sandbox.next("ask.wallet", BUSY)
    assert await available(alice) == "95.00"


async def test_the_retries_have_an_end(sandbox):
    sandbox.next("pay.send", *[Refusal("internal", "The server failed.", retry_ms=5)] * 1000)
    async with joined(sandbox, pace=Pace(retry_s=0.05, backoff_s=0.001, backoff_max_s=0.01)) as alice:
        with pytest.raises(ServerError) as caught:
            await alice.pay("@bob", "5 EUR")
        assert not caught.value.final
        sandbox.planned.clear()
        assert (await alice.pay("@bob", "5 EUR")).seq == 1


async def test_a_long_wait_that_the_server_asks_for_is_raised_at_once(sandbox, alice):
    sandbox.next("pay.send", Refusal("rate_limited", "Too many.", retry_ms=60_000))
    with pytest.raises(SessionError) as caught:
        await alice.pay("@bob", "5 EUR")
    assert caught.value.retry_ms == 60_000


async def test_a_cancelled_call_harms_nothing(sandbox, alice):
    sandbox.next("chat.text", Act.IGNORE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await alice.send("@bob", "given up")
    sandbox.cut("alice")
    said = await alice.send("@bob", "next")
    assert said.seq == 1
    assert await take(alice.events(), 1) == [said]
