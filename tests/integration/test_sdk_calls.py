"""The SDK's calls against a real server: say, pay, ask, listen; with and without asyncio."""

import asyncio
import re
import subprocess
import sys
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.support.sdk import FAST, available, joined, notice_of, received, take

from tuppence_client import (
    ConnectionEnded,
    FundsError,
    IdError,
    PaymentSent,
    PlaceError,
    ShapeError,
    State,
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
from tuppence_protocol.kinds import BalanceNotice, ReceiptNotice, TypingNotice
from tuppence_testing import Act, Sandbox

# --- say, pay, ask --------------------------------------------------------------------------------


async def test_a_payment_is_a_message(alice, bob):
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


async def test_money_comes_exactly_or_not_at_all(sandbox, alice):
    for money in ("7 EUR", "7.00 eur", (700, "EUR"), (Decimal("7.0"), "eur")):
        assert (await alice.pay("@bob", money)).body.amount == "7.00"
    sandbox.received.clear()
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
    assert received(sandbox, "pay.send") == []


async def test_wrong_shapes_are_refused_before_anything_is_sent(sandbox, alice):
    for text, code in (("", "bad_frame"), ("x" * 8001, "too_big"), ("\ud800", "bad_json")):
        with pytest.raises(ShapeError) as caught:
            await alice.send("@bob", text)
        assert caught.value.code == code
    assert (await alice.send("@bob", "still here")).seq == 1
    assert len(received(sandbox, "chat.text")) == 1


async def test_a_refusal_raises_its_family(alice):
    with pytest.raises(FundsError) as caught:
        await alice.pay("@bob", "100.01 EUR")
    assert (caught.value.code, caught.value.final) == ("insufficient_funds", True)
    assert caught.value.state["available"] == "100.00"
    with pytest.raises(PlaceError):
        await alice.send("@nobody", "hello?")
    with pytest.raises(PlaceError):
        await alice.event(alice.new_id())


async def test_the_same_id_gives_the_same_event(alice):
    first = await alice.pay("@bob", "1 EUR", id=(saved := alice.new_id()))
    assert await alice.pay("@bob", "1 EUR", id=saved) == first
    assert await available(alice) == "99.00"
    assert await take(alice.events(), 1) == [first]


async def test_one_id_is_sent_by_one_call_at_a_time(sandbox, alice):
    sandbox.next("chat.text", Act.IGNORE)
    saved = alice.new_id()
    first = asyncio.create_task(alice.send("@bob", "hi", id=saved))
    await sandbox.heard("chat.text")
    with pytest.raises(ValueError, match="already"):
        await alice.send("@bob", "hi", id=saved)
    first.cancel()


async def test_rooms(alice, bob):
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


async def test_asks(alice):
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


async def test_live_frames(alice, bob):
    said = await alice.send("@bob", "hi")
    notices = alice.notices()
    bob.typing("@alice")
    bob.read(said.conv, said.seq)
    typing = await notice_of(notices, TypingNotice)
    receipt = await notice_of(notices, ReceiptNotice)
    assert (typing.conv, typing.from_) == (said.conv, bob.user.id)
    assert receipt.body.read == said.seq


# --- listening ------------------------------------------------------------------------------------


async def test_calls_inside_a_handler_work(alice, bob):
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


async def test_a_stream_of_one_conversation_has_no_other(sandbox, alice, bob):
    sandbox.token("carol")
    with_carol, to_self = alice.events("@carol"), alice.events("self")
    await bob.send("@alice", "not for that stream")
    await alice.send("self", "note")
    await alice.send("@carol", "for it")
    assert (await anext(with_carol)).body.text == "for it"
    assert (await anext(to_self)).body.text == "note"


async def test_overflow_is_told_and_the_stream_goes_on(sandbox):
    async with joined(sandbox, queue_max=2) as alice:
        events = alice.events()
        for n in range(5):
            await alice.send("@bob", f"{n}")
        assert [event.seq for event in await take(events, 2)] == [1, 2]
        with pytest.raises(StreamOverflow) as caught:
            await anext(events)
        assert caught.value.missed == 3
        await alice.send("@bob", "5")
        assert (await anext(events)).seq == 6


async def test_a_closed_stream_ends(alice):
    async with alice.events() as events:
        await alice.send("@bob", "hi")
    assert [event async for event in events] == []


def test_ids_rise_and_are_uuid7():
    ids = Ids()
    made = [ids() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert all(is_id(one) and one[14] == "7" for one in made)


# --- without asyncio ------------------------------------------------------------------------------


async def test_the_sync_client(sandbox):
    def work() -> None:
        with SyncClient(sandbox.url, token=sandbox.token("alice"), pace=FAST) as alice:
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
        with pytest.raises(ConnectionEnded), SyncClient(sandbox.url, token="wrong"):
            pass

    await asyncio.to_thread(work)


# --- accounts over HTTP ---------------------------------------------------------------------------


class _Proxy(BaseHTTPRequestHandler):
    """What stands in front of a server that is down; it says which path it was asked for."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(502, self.path)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


async def test_register_and_login(sandbox):
    url = sandbox.server.url
    assert (await register(url, "dora", "long password", name="Dora")).name == "Dora"
    session = await login(url, "dora", "long password")
    assert session.user.handle == "dora"
    assert session.expires_at > 0
    assert session.token not in repr(session)
    async with connect(sandbox.url, token=session.token) as dora:
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


# --- the scripted conversation --------------------------------------------------------------------


async def test_the_script_holds_and_reads_the_same_every_time():
    texts = []
    for _ in range(2):
        async with Sandbox() as sandbox:
            lines: list[str] = []
            await run_script(sandbox.url, sandbox.token("alice"), sandbox.token("bob"), lines.append)
        texts.append(re.sub(r"\d\d:\d\d  ", "", "\n".join(lines)).replace(sandbox.url, ""))
    assert texts[0] == texts[1]
    assert "resumed: 3 events, no gap" in texts[0]
    assert "insufficient_funds" in texts[0]


async def test_the_script_needs_money_and_says_so(sandbox, alice):
    await alice.pay("@bob", "81 EUR")
    with pytest.raises(ScriptFailed, match=r"20\.00 EUR"):
        await run_script(sandbox.url, sandbox.token("alice"), sandbox.token("bob"), lambda _: None)


def test_nothing_is_warned_about_on_import():
    command = [sys.executable, "-W", "error", "-c", "import tuppence_client, tuppence_testing"]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
