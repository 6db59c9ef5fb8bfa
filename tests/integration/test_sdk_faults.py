"""The SDK against a real server, over a network that fails: acks, cuts at awkward moments, retries, stops."""

import asyncio
import re
import subprocess
import sys
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.support.sdk import FAST, joined, notice_of, received, take

from tuppence_client import (
    ConnectionEnded,
    FundsError,
    IdError,
    Pace,
    PaymentSent,
    PlaceError,
    Reset,
    Resumed,
    ServerError,
    SessionError,
    ShapeError,
    State,
    StateChanged,
    StreamOverflow,
    SyncClient,
    TextPosted,
    connect,
    login,
    register,
)
from tuppence_client.ids import Ids
from tuppence_demo.conversation import ScriptFailed, run_script
from tuppence_protocol.codec import is_id
from tuppence_protocol.errors import CLOSES, Refusal
from tuppence_protocol.kinds import BalanceNotice, ReceiptNotice, TypingNotice
from tuppence_testing import Act, Sandbox

BUSY = Refusal("busy", "The server's inbox is full.", retry_ms=5)


@pytest.fixture
async def server():
    async with Sandbox() as sandbox:
        sandbox.token("bob")
        yield sandbox


def sent_ids(server: Sandbox, kind: str) -> list[str]:
    return [frame.id for frame in received(server, kind)]


async def available(me) -> str:
    (balance,) = await me.wallet()
    return balance.available


# --- say, pay, ask ---------------------------------------------------------------------------------


async def test_a_payment_is_a_message(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        said = await alice.send("@bob", "Lunch is on me")
        paid = await alice.pay("@bob", "12.5 EUR", note="lunch", ref=said.id)
        assert isinstance(said.body, TextPosted)
        assert isinstance(paid.body, PaymentSent)
        assert (paid.body.amount, paid.body.payee) == ("12.50", bob.user.id)
        assert (paid.conv, paid.seq, paid.ref) == (said.conv, said.seq + 1, said.id)
        assert await take(bob.events(), 2) == [said, paid] == await take(alice.events(), 2)
        assert (await notice_of(bob.notices(), BalanceNotice)).body.available == "112.50"
        assert bob.balances["EUR"].available == "112.50" == await available(bob)
        assert (await alice.conversation(said.conv)).peer == bob.user


async def test_money_comes_exactly_or_not_at_all(server):
    async with joined(server) as alice:
        for money in ("7 EUR", "7.00 eur", (700, "EUR"), (Decimal("7.0"), "eur")):
            assert (await alice.pay("@bob", money)).body.amount == "7.00"
        server.received.clear()
        for money in (7.0, (7.0, "EUR"), 7, (True, "EUR"), None, ("7", "EUR"), (7,)):
            with pytest.raises(TypeError, match=r"12\.50 EUR"):
                await alice.pay("@bob", money)
        for money, code in (
            ("7", "amount_format"),
            ("-7 EUR", "amount_format"),
            ("7.001 EUR", "amount_range"),
            ((0, "EUR"), "amount_range"),
            ((-5, "EUR"), "amount_format"),
            ((Decimal("NaN"), "EUR"), "amount_format"),
            ("7 EURO", "unknown_currency"),
            ((7, "XXXX"), "unknown_currency"),
        ):
            with pytest.raises(ShapeError) as caught:
                await alice.pay("@bob", money)
            assert caught.value.code == code, money
        assert await available(alice) == "72.00"
    assert received(server, "pay.send") == []


async def test_wrong_shapes_are_refused_before_anything_is_sent(server):
    async with joined(server) as alice:
        for text, code in (("", "bad_frame"), ("x" * 8001, "too_big"), ("\ud800", "bad_json")):
            with pytest.raises(ShapeError) as caught:
                await alice.send("@bob", text)
            assert caught.value.code == code
        assert (await alice.send("@bob", "still here")).seq == 1
    assert len(received(server, "chat.text")) == 1


async def test_a_refusal_raises_its_family(server):
    async with joined(server) as alice:
        with pytest.raises(FundsError) as caught:
            await alice.pay("@bob", "100.01 EUR")
        assert (caught.value.code, caught.value.final) == ("insufficient_funds", True)
        assert caught.value.state["available"] == "100.00"
        with pytest.raises(PlaceError):
            await alice.send("@nobody", "hello?")
        with pytest.raises(PlaceError):
            await alice.event(alice.new_id())


async def test_the_same_id_gives_the_same_event(server):
    async with joined(server) as alice:
        first = await alice.pay("@bob", "1 EUR", id=(saved := alice.new_id()))
        assert await alice.pay("@bob", "1 EUR", id=saved) == first
        assert await available(alice) == "99.00"
        assert await take(alice.events(), 1) == [first]


async def test_one_id_is_sent_by_one_call_at_a_time(server):
    server.next("chat.text", Act.IGNORE)
    async with joined(server) as alice:
        saved = alice.new_id()
        first = asyncio.create_task(alice.send("@bob", "hi", id=saved))
        await server.heard("chat.text")
        with pytest.raises(ValueError, match="already"):
            await alice.send("@bob", "hi", id=saved)
        first.cancel()


async def test_rooms(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        room = (await alice.create_room("Flat", ["@bob"])).conv
        events = bob.events(room)
        await alice.rename(room, "Our flat")
        await alice.set_role(room, "@bob", "admin")
        await alice.remove(room, "@bob")
        await alice.invite(room, "@bob")
        await bob.send(room, "back again")
        await bob.leave(room)
        kinds = [event.kind.removeprefix("room.") for event in await take(events, 7)]
        assert kinds == ["create", "update", "role", "remove", "invite", "chat.text", "leave"]
        assert [member.user.handle for member in await alice.members(room)] == ["alice"]
        assert room not in {view.conv for view in await bob.list_conversations()}


async def test_asks(server):
    async with joined(server) as alice:
        said = [await alice.send("@bob", f"{n}") for n in range(4)]
        conv = said[0].conv
        assert await alice.history(conv) == said
        assert await alice.history("@bob", after=1, limit=2) == said[1:3]
        assert await alice.history(conv, before=3, limit=1) == said[1:2]
        assert await alice.event(said[2].id) == said[2]
        bob = await alice.find_user("@bob")
        assert bob.handle == "bob"
        assert (await alice.list_conversations())[0].seq == 4
        assert alice.conversations[conv].peer == alice.people[bob.id]


async def test_live_frames(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        said = await alice.send("@bob", "hi")
        notices = alice.notices()
        bob.typing("@alice")
        bob.read(said.conv, said.seq)
        typing = await notice_of(notices, TypingNotice)
        receipt = await notice_of(notices, ReceiptNotice)
        assert (typing.conv, typing.from_) == (said.conv, bob.user.id)
        assert receipt.body.read == said.seq


# --- listening -----------------------------------------------------------------------------------------


async def test_calls_inside_a_handler_work(server):
    async with joined(server) as alice, joined(server, "bob") as bob:

        async def answer() -> None:
            async for event in bob.events("@alice"):
                if event.from_ != bob.user.id:
                    await bob.pay("@alice", "1 EUR", ref=event.id)
                    assert len(await bob.history(event.conv)) == event.seq + 1
                    return

        answering = asyncio.create_task(answer())
        await alice.send("@bob", "you owe me one")
        await answering
        assert [event.kind for event in await take(alice.events("@bob"), 2)] == ["chat.text", "pay.send"]


async def test_a_stream_of_one_conversation_has_no_other(server):
    server.token("carol")
    async with joined(server) as alice, joined(server, "bob") as bob:
        with_carol, to_self = alice.events("@carol"), alice.events("self")
        await bob.send("@alice", "not for that stream")
        await alice.send("self", "note")
        await alice.send("@carol", "for it")
        assert (await anext(with_carol)).body.text == "for it"
        assert (await anext(to_self)).body.text == "note"


async def test_overflow_is_told_and_the_stream_goes_on(server):
    async with joined(server, queue_max=2) as alice:
        events = alice.events()
        for n in range(5):
            await alice.send("@bob", f"{n}")
        assert [event.seq for event in await take(events, 2)] == [1, 2]
        with pytest.raises(StreamOverflow) as caught:
            await anext(events)
        assert caught.value.missed == 3
        await alice.send("@bob", "5")
        assert (await anext(events)).seq == 6


async def test_a_closed_stream_ends(server):
    async with joined(server) as alice:
        async with alice.events() as events:
            await alice.send("@bob", "hi")
        assert [event async for event in events] == []


async def test_a_missing_event_is_fetched(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        events = bob.events()
        await alice.send("@bob", "1")
        server.withhold("bob")
        await alice.send("@bob", "2")
        await alice.send("@bob", "3")
        assert [event.seq for event in await take(events, 3)] == [1, 2, 3]
        assert received(server, "ask.history")


# --- cuts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [Act.CUT_BEFORE, Act.CUT_AFTER])
async def test_a_frame_cut_off_is_sent_again_and_stored_once(server, act):
    server.next("pay.send", act)
    async with joined(server) as alice:
        paid = await alice.pay("@bob", "5 EUR")
        assert await available(alice) == "95.00"
        assert await take(alice.events(), 1) == [paid]
        assert await alice.history("@bob") == [paid]
    # what the replay settled is not sent again
    assert sent_ids(server, "pay.send") == [paid.id] * (2 if act is Act.CUT_BEFORE else 1)


async def test_what_was_missed_is_resumed_without_a_gap(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        events, notices = bob.events(), bob.notices()
        first = await alice.send("@bob", "1")
        got = [await anext(events)]
        async with bob.offline():
            for n in range(2, 5):
                await alice.send("@bob", f"{n}")
            await alice.pay("@bob", "1 EUR")
        assert (await notice_of(notices, Resumed)).events == 4
        assert [event.seq for event in got + await take(events, 4)] == [1, 2, 3, 4, 5]
        assert received(server, "hello")[-1].body.pos == first.pos
        assert bob.balances["EUR"].available == "101.00"


async def test_frames_sent_while_away_go_out_after_the_replay(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        events = bob.events()
        async with bob.offline():
            sending = asyncio.create_task(bob.send("@alice", "from the tunnel"))
            await alice.send("@bob", "meanwhile")
        assert (await sending).seq == 2
        assert [event.seq for event in await take(events, 2)] == [1, 2]


async def test_a_cut_before_ready_and_one_in_the_handshake_of_resume(server):
    server.next("hello", Act.CUT_BEFORE)
    async with joined(server, patience_s=5) as alice:
        notices = alice.notices()
        server.next("hello", Act.CUT_BEFORE, Act.CUT_AFTER)
        server.cut("alice")
        await notice_of(notices, Resumed)
        assert (await alice.send("@bob", "here")).seq == 1
    assert len(received(server, "hello")) == 5


async def test_an_ask_is_asked_again_once(server):
    async with joined(server) as alice:
        server.next("ask.wallet", Act.CUT_BEFORE)
        assert await available(alice)
        server.next("ask.wallet", Act.CUT_BEFORE, Act.CUT_BEFORE)
        with pytest.raises(ConnectionEnded):
            await alice.wallet()
        assert await available(alice)


async def test_a_server_that_cannot_replay_is_told(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
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
    async with Sandbox(heartbeat_ms=20) as server:
        server.token("bob")
        async with joined(server) as alice:
            notices = alice.notices()
            server.next("ping", *[Act.IGNORE] * 1000)
            await notice_of(notices, Resumed)
            server.planned.clear()
            await alice.send("@bob", "hi")
        assert len(received(server, "hello")) >= 2


async def test_the_heartbeat_acknowledges():
    async with Sandbox(heartbeat_ms=10) as server:
        server.token("bob")
        async with joined(server) as alice:
            said = await alice.send("@bob", "hi")
            server.received.clear()
            await server.heard("ping", 3)
        assert received(server, "ping")[-1].body.pos == said.pos


async def test_what_is_late_is_waited_for(server):
    server.next("pay.send", 0.02)
    async with joined(server) as alice:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await alice.pay("@bob", "5 EUR", id=(saved := alice.new_id()))
        assert (await alice.pay("@bob", "5 EUR", id=saved)).body.amount == "5.00"
        assert await available(alice) == "95.00"


async def test_marks_and_watches_survive_the_connection(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        said = await bob.send("@alice", "hi")
        notices = alice.notices()
        async with alice.offline():
            alice.read(said.conv, said.seq)
            alice.watch("@bob")
            alice.typing("@bob")
        await notice_of(notices, Resumed)
        await alice.wallet()
        assert received(server, "live.read")
        assert received(server, "live.watch")
        assert not received(server, "live.typing")


async def test_the_socket_dies_at_random_moments_and_nothing_is_lost_or_doubled(server):
    async with joined(server) as alice, joined(server, "bob") as bob:
        events = bob.events()
        for n in range(60):
            if n % 7 == 3:
                server.cut("bob")
            if n % 5 == 2:
                server.next("chat.text", Act.CUT_AFTER if n % 2 else Act.CUT_BEFORE)
            await alice.send("@bob", f"{n}")
        got = await take(events, 60)
        assert [event.body.text for event in got] == [f"{n}" for n in range(60)]
        assert [event.seq for event in got] == list(range(1, 61))


async def test_a_message_that_is_no_frame_ends_the_socket_only(server):
    async with joined(server) as alice:
        notices = alice.notices()
        await server.tell("alice", nonsense=True)
        await notice_of(notices, Resumed)
        assert (await alice.send("@bob", "hi")).seq == 1


# --- refusals that pass --------------------------------------------------------------------------------------


async def test_a_refusal_that_may_pass_is_retried_under_the_same_id(server):
    server.next("pay.send", BUSY, Refusal("unavailable", "The server cannot store now."), BUSY)
    async with joined(server) as alice:
        paid = await alice.pay("@bob", "5 EUR")
        assert sent_ids(server, "pay.send") == [paid.id] * 4
        server.next("ask.wallet", BUSY)
        assert await available(alice) == "95.00"


async def test_the_retries_have_an_end(server):
    server.next("pay.send", *[Refusal("internal", "The server failed.", retry_ms=5)] * 1000)
    async with joined(server, pace=Pace(retry_s=0.05, backoff_s=0.001, backoff_max_s=0.01)) as alice:
        with pytest.raises(ServerError) as caught:
            await alice.pay("@bob", "5 EUR")
        assert not caught.value.final
        server.planned.clear()
        assert (await alice.pay("@bob", "5 EUR")).seq == 1


async def test_a_long_wait_that_the_server_asks_for_is_raised_at_once(server):
    server.next("pay.send", Refusal("rate_limited", "Too many.", retry_ms=60_000))
    async with joined(server) as alice:
        with pytest.raises(SessionError) as caught:
            await alice.pay("@bob", "5 EUR")
        assert caught.value.retry_ms == 60_000


async def test_a_cancelled_call_harms_nothing(server):
    server.next("chat.text", Act.IGNORE)
    async with joined(server) as alice:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await alice.send("@bob", "given up")
        server.cut("alice")
        said = await alice.send("@bob", "next")
        assert said.seq == 1
        assert await take(alice.events(), 1) == [said]


# --- ends ------------------------------------------------------------------------------------------------------


async def test_a_bad_token_is_said_at_once(server):
    with pytest.raises(ConnectionEnded) as caught:
        async with connect(server.url, token="wrong", pace=FAST, patience_s=5):
            pass
    assert (caught.value.close_code, caught.value.code, caught.value.final) == (4500, "bad_token", True)


async def test_no_server_is_said_at_once():
    with pytest.raises(ConnectionEnded) as caught:
        async with connect("http://127.0.0.1:9", token="t", pace=FAST):
            pass
    assert not caught.value.final
    with pytest.raises(ValueError, match="base URL"):
        async with connect("127.0.0.1:9", token="t"):
            pass


async def test_stop_codes_stop_for_good_and_tell_everybody(server):
    for close in (close for close in CLOSES.values() if not close.reconnect):
        server.received.clear()
        server.next("chat.text", Act.IGNORE)
        server.next("ask.wallet", Act.IGNORE)
        async with joined(server) as alice:
            events, notices = alice.events(), alice.notices()
            waiting = [
                asyncio.create_task(work)
                for work in (alice.send("@bob", "hi"), alice.wallet(), anext(events))  # type: ignore[arg-type]
            ]
            await server.heard("chat.text")
            await server.heard("ask.wallet")
            await server.bye("alice", close)
            for ended in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(ended, ConnectionEnded)
                assert ended.close_code == close.number
            with pytest.raises(ConnectionEnded):
                await alice.send("@bob", "again")
            while (await notice_of(notices, StateChanged)).state is not State.ENDED:
                pass
            with pytest.raises(ConnectionEnded):
                await anext(notices)
            assert alice.state is State.ENDED
        assert len(received(server, "hello")) == 1


async def test_goodbye_with_a_wait_is_honoured(server):
    async with joined(server) as alice:
        notices = alice.notices()
        await server.bye("alice", CLOSES["shutdown"], retry_ms=30)
        while (change := await notice_of(notices, StateChanged)).state is not State.WAITING:
            pass
        assert change.retry_s >= 0.03
        assert change.ended.close_code == 4000
        assert await alice.wait_state(State.ONLINE) is State.ONLINE


async def test_leaving_the_block_ends_streams_and_calls(server):
    server.next("chat.text", Act.IGNORE)
    async with joined(server) as alice:
        events = alice.events()
        waiting = asyncio.create_task(alice.send("@bob", "hi"))
        await server.heard("chat.text")
    assert [event async for event in events] == []
    with pytest.raises(ConnectionEnded):
        await waiting


def test_the_pause_before_a_reconnect_is_jittered_and_bounded():
    pace = Pace()
    for attempt in range(60):
        top = min(30.0, 0.5 * 2.0**attempt)
        assert all(0 <= pace.backoff(attempt) <= top for _ in range(20))
    assert pace.backoff(0, retry_ms=2_000) >= 2.0


def test_ids_rise_and_are_uuid7():
    ids = Ids()
    made = [ids() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert all(is_id(one) and one[14] == "7" for one in made)


# --- without asyncio ----------------------------------------------------------------------------------------------


async def test_the_sync_client(server):
    def work() -> None:
        with SyncClient(server.url, token=server.token("alice"), pace=FAST) as alice:
            events = alice.events("@bob", timeout=0.3)
            said = alice.send("@bob", "hi")
            paid = alice.pay("@bob", "2 EUR", note="tea")
            assert list(events) == [said, paid]
            assert alice.history("@bob") == [said, paid]
            assert alice.wallet()[0].available == "98.00"
            assert alice.user.handle == "alice"
            with pytest.raises(FundsError):
                alice.pay("@bob", "1000 EUR")
            room = alice.create_room("Flat", ["@bob"]).conv
            alice.read(room, 1)
            alice.typing(room)
            assert alice.state is State.ONLINE
        with pytest.raises(ConnectionEnded), SyncClient(server.url, token="wrong"):
            pass

    await asyncio.to_thread(work)


# --- accounts over HTTP ---------------------------------------------------------------------------------------------


class _Proxy(BaseHTTPRequestHandler):
    """What stands in front of a server that is down; it says which path it was asked for."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(502, self.path)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


async def test_register_and_login(server):
    url = server.server.url
    assert (await register(url, "dora", "long password", name="Dora")).name == "Dora"
    session = await login(url, "dora", "long password")
    assert session.user.handle == "dora"
    assert session.expires_at > 0
    assert session.token not in repr(session)
    async with connect(server.url, token=session.token) as dora:
        assert dora.user == session.user
    with pytest.raises(IdError) as caught:
        await register(url, "dora", "long password")
    assert caught.value.field == "$.handle"
    with pytest.raises(ConnectionEnded, match="could not reach"):
        await login("http://127.0.0.1:9", "alice", "long password")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Proxy) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with pytest.raises(ConnectionEnded, match="502"):
            await login(f"ws://127.0.0.1:{http.server_address[1]}/base", "proxy", "long password")
        http.shutdown()
        thread.join()


# --- the scripted conversation ---------------------------------------------------------------------------------


async def test_the_script_holds_and_reads_the_same_every_time():
    texts = []
    for _ in range(2):
        async with Sandbox() as server:
            lines: list[str] = []
            await run_script(server.url, server.token("alice"), server.token("bob"), lines.append)
        texts.append(re.sub(r"\d\d:\d\d  ", "", "\n".join(lines)).replace(server.url, ""))
    assert texts[0] == texts[1]
    assert "resumed: 3 events, no gap" in texts[0]
    assert "insufficient_funds" in texts[0]


async def test_the_script_needs_money_and_says_so(server):
    async with joined(server) as alice:
        await alice.pay("@bob", "81 EUR")
    with pytest.raises(ScriptFailed, match=r"20\.00 EUR"):
        await run_script(server.url, server.token("alice"), server.token("bob"), lambda _: None)


def test_nothing_is_warned_about_on_import():
    command = [sys.executable, "-W", "error", "-c", "import tuppence_client, tuppence_testing"]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
