"""How a connection of the SDK ends, and what must not be lost when a reader is interrupted."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from typing import Any

import pytest
from tests.support.sdk import FAST, joined, notice_of, received
from tests.support.server import ROOT
from tests.support.waiting import WAIT_S

from tuppence_client import (
    Client,
    ConnectionEnded,
    Pace,
    SessionError,
    State,
    StateChanged,
    Stream,
    SyncClient,
    connect,
    login,
)
from tuppence_client.sync import _Waiting
from tuppence_protocol.errors import CLOSES, CloseCode
from tuppence_testing import Act, Sandbox

SPEC = (ROOT / "protocol" / "README.md").read_text("utf-8")
TABLE = {
    int(code): again == "yes"
    for code, again in re.findall(r"^\| (\d{4}) \| [^|]+ \| (yes|no) \|", SPEC, re.MULTILINE)
}
EXPIRED = 4007
"""Reconnects with another token only."""
COMES_BACK = {code: again for code, again in TABLE.items() if code != EXPIRED} | {
    3000: True, 3999: True, 4004: True, 4008: True, 4099: True, 4499: True,
    4506: False, 4600: False, 4999: False,
}  # fmt: skip
ONLY_SAID = {1004: True, 1005: True, 1006: True, 1015: True}
"""No server can send these in a close frame; a goodbye can name them."""


def test_the_table_of_the_spec_was_read() -> None:
    assert {1000, 1002, 1007, 1009, 1011, 4000, 4007, 4500, 4505} <= TABLE.keys()
    assert [code for code, again in TABLE.items() if not again and code < 4500] == [
        1002, 1003, 1007, 1008, 1009, 1010,
    ]  # fmt: skip


@pytest.mark.parametrize("said", [True, False], ids=["bye", "close frame"])
async def test_every_close_code_does_what_the_spec_says(sandbox: Sandbox, said: bool) -> None:
    wrong = []
    for code, again in (COMES_BACK | ONLY_SAID if said else COMES_BACK).items():
        hellos = len(received(sandbox, "hello"))
        async with joined(sandbox) as alice:
            if code in ONLY_SAID:
                await sandbox.tell("alice", kind="bye", body={"code": code, "reason": "", "retry_ms": None})
                await sandbox.close("alice", 1000)
            elif said:
                await sandbox.bye("alice", CloseCode("some_reason", code, ""))
            else:
                await sandbox.close("alice", code)
            await alice.wait_state(State.WAITING, State.ENDED)
            if again:
                await alice.wait_state(State.ONLINE)
                assert (await alice.send("@bob", "here")).seq
            else:
                with pytest.raises(ConnectionEnded) as caught:
                    await alice.send("@bob", "here")
                assert caught.value.close_code == code
                assert caught.value.final
            if len(received(sandbox, "hello")) != hellos + 1 + again:
                wrong.append(code)
    assert not wrong


async def test_a_bad_token_is_said_at_once(sandbox: Sandbox) -> None:
    with pytest.raises(ConnectionEnded) as caught:
        async with connect(sandbox.url, token="wrong", pace=FAST, patience_s=5):
            pass
    assert (caught.value.close_code, caught.value.code, caught.value.final) == (4500, "bad_token", True)


async def test_no_server_is_said_at_once() -> None:
    with pytest.raises(ConnectionEnded) as caught:
        async with connect("http://127.0.0.1:9", token="t", pace=FAST):
            pass
    assert not caught.value.final
    with pytest.raises(ValueError, match="base URL"):
        async with connect("127.0.0.1:9", token="t"):
            pass


async def test_the_end_is_told_to_everybody_who_waits(sandbox: Sandbox, alice: Client) -> None:
    sandbox.next("chat.text", Act.IGNORE)
    sandbox.next("ask.wallet", Act.IGNORE)
    events, notices = alice.events(), alice.notices()
    calls = (alice.send("@bob", "hi"), alice.wallet(), anext(events))
    waiting = [asyncio.ensure_future(call) for call in calls]
    await sandbox.heard("chat.text")
    await sandbox.heard("ask.wallet")
    await sandbox.bye("alice", CLOSES["replaced"])
    for ended in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(ended, ConnectionEnded)
        assert ended.close_code == CLOSES["replaced"].number
    while (await notice_of(notices, StateChanged)).state is not State.ENDED:
        pass
    with pytest.raises(ConnectionEnded):
        await anext(notices)
    assert alice.state is State.ENDED


async def test_goodbye_with_a_wait_is_honoured(sandbox: Sandbox, alice: Client) -> None:
    notices = alice.notices()
    await sandbox.bye("alice", CLOSES["shutdown"], retry_ms=30)
    while (change := await notice_of(notices, StateChanged)).state is not State.WAITING:
        pass
    assert change.retry_s >= 0.03
    assert change.ended.close_code == 4000
    assert await alice.wait_state(State.ONLINE) is State.ONLINE


async def test_leaving_the_block_ends_streams_and_calls(sandbox: Sandbox) -> None:
    sandbox.next("chat.text", Act.IGNORE)
    async with joined(sandbox) as alice:
        events = alice.events()
        waiting = asyncio.create_task(alice.send("@bob", "hi"))
        await sandbox.heard("chat.text")
    assert [event async for event in events] == []
    with pytest.raises(ConnectionEnded):
        await waiting


def test_the_pause_before_a_reconnect_is_jittered_and_bounded() -> None:
    pace = Pace()
    for attempt in range(60):
        top = min(30.0, 0.5 * 2.0**attempt)
        assert all(0 <= pace.backoff(attempt) <= top for _ in range(20))
    assert pace.backoff(0, retry_ms=2_000) >= 2.0


# --- a login runs out -----------------------------------------------------------------------------


async def test_a_token_that_has_run_out_is_the_end_where_there_is_no_other(
    sandbox: Sandbox, alice: Client
) -> None:
    waiting = asyncio.create_task(anext(alice.events()))
    sandbox.next("hello", CLOSES["token_expired"])
    sandbox.cut("alice")
    with pytest.raises(ConnectionEnded) as caught:
        await asyncio.wait_for(waiting, WAIT_S)
    assert (caught.value.close_code, caught.value.final) == (EXPIRED, True)
    with pytest.raises(ConnectionEnded):
        await alice.wallet()
    assert len(received(sandbox, "hello")) == 2
    sandbox.next("hello", CLOSES["token_expired"])
    with pytest.raises(ConnectionEnded) as caught:
        async with joined(sandbox, patience_s=5):
            pass
    assert caught.value.close_code == EXPIRED


class Logins:
    """Makes tokens; `faults` are raised first."""

    def __init__(self, sandbox: Sandbox, *faults: Exception) -> None:
        self.sandbox = sandbox
        self.faults = list(faults)
        self.made: list[str] = []
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        self.made.append(self.sandbox.token("alice"))
        return self.made[-1]

    async def later(self) -> str:
        await asyncio.sleep(0)
        return self()


@pytest.mark.parametrize("form", ["ordinary", "async"])
async def test_a_function_makes_another_token_and_nothing_is_lost(sandbox: Sandbox, form: str) -> None:
    logins = Logins(sandbox)
    make: Callable[[], str | Awaitable[str]] = logins if form == "ordinary" else logins.later
    async with (
        connect(sandbox.url, token=make, pace=FAST) as alice,
        joined(sandbox, "bob") as bob,
    ):
        events = alice.events()
        async with alice.offline():
            sandbox.next("hello", CLOSES["token_expired"])
            said = await bob.send("@alice", "while the login ran out")
            waiting = asyncio.create_task(alice.send("@bob", "and this goes out"))
        assert (await waiting).seq == 2
        assert [(await anext(events)).id for _ in range(2)] == [said.id, waiting.result().id]
    assert logins.calls == 2
    assert received(sandbox, "hello")[-1].body.token == logins.made[1]


async def test_a_login_server_that_is_away_is_asked_again(sandbox: Sandbox) -> None:
    away = ConnectionEnded(1006, "could not reach it")
    logins = Logins(sandbox, away, SessionError("busy", "Later.", final=False))
    async with connect(sandbox.url, token=logins, pace=FAST, patience_s=5) as alice:
        assert alice.state is State.ONLINE
    assert logins.calls == 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (SessionError("bad_credentials", "No match."), "bad_credentials: no token: No match."),
        (
            KeyError("TUPPENCE_PASSWORD"),
            "no_token: the function that makes tokens raised KeyError: TUPPENCE_PASSWORD",
        ),
        (KeyError("s3cret"), "no_token: the function that makes tokens raised KeyError"),
        (ValueError("s3cret"), "no_token: the function that makes tokens raised ValueError"),
    ],
)
async def test_a_login_that_is_refused_is_the_end(sandbox: Sandbox, fault: Exception, said: str) -> None:
    logins = Logins(sandbox, fault)
    with pytest.raises(ConnectionEnded) as caught:
        async with connect(sandbox.url, token=logins, pace=FAST, patience_s=5):
            pass
    assert (caught.value.final, caught.value.__cause__, logins.calls) == (True, fault, 1)
    assert str(caught.value) == said


@pytest.mark.parametrize("given", ["", None, 5])
async def test_what_is_no_token_is_the_end(sandbox: Sandbox, given: Any) -> None:
    with pytest.raises(ConnectionEnded, match="no_token"):
        async with connect(sandbox.url, token=lambda: given, pace=FAST, patience_s=5):
            pass


async def test_a_new_token_that_is_refused_is_the_end(sandbox: Sandbox) -> None:
    for make in (lambda: "unknown", iter(["one", "two", "three"]).__next__):
        with pytest.raises(ConnectionEnded) as caught:
            async with connect(sandbox.url, token=make, pace=FAST, patience_s=5):
                pass
        assert caught.value.close_code == 4500


# --- whoever stops waiting loses nothing ----------------------------------------------------------


@pytest.mark.parametrize("steps", range(8))
async def test_a_reader_that_times_out_anywhere_loses_no_event(steps: int) -> None:
    """The reader is cancelled after each number of turns of the loop, also within a look-up."""
    stream: Stream[int] = Stream(100, lossy=False, wanted=lambda _: True)

    async def looked_up(item: int) -> bool:
        for _ in range(3):
            await asyncio.sleep(0)
        return item % 3 != 0

    stream.narrow(lambda _: True, looked_up)
    given = []
    for n in range(20):
        stream.push(n)
        reading = asyncio.ensure_future(anext(stream))
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        given += [
            one for one in await asyncio.gather(reading, return_exceptions=True) if isinstance(one, int)
        ]
    stream.end(StopAsyncIteration())
    given += [item async for item in stream]
    assert given == [n for n in range(20) if n % 3]


async def test_two_readers_of_one_stream_share_it_without_loss() -> None:
    stream: Stream[int] = Stream(100, lossy=False, wanted=lambda _: True)

    async def looked_up(_: int) -> bool:
        await asyncio.sleep(0)
        return True

    stream.narrow(lambda _: True, looked_up)
    for n in range(20):
        stream.push(n)
    stream.end(StopAsyncIteration())

    async def read() -> list[int]:
        return [item async for item in stream]

    one, two = await asyncio.gather(read(), read())
    assert sorted(one + two) == list(range(20))


class Interrupted(Future[tuple[str, ...]]):
    """Ctrl-C comes at the moment at which the result is there."""

    interrupts = 1

    def result(self, timeout: float | None = None) -> tuple[str, ...]:
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        return super().result(timeout)


def test_ctrl_c_in_a_loop_over_events_loses_none() -> None:
    def begin(work: Any) -> Any:
        work.close()
        future = Interrupted()
        future.set_result(("the event",))
        return future

    async def nothing() -> AsyncIterator[str]:
        yield ""

    events: _Waiting[str] = _Waiting(begin, nothing())
    with pytest.raises(KeyboardInterrupt):
        next(events)
    assert next(events) == "the event"


async def test_the_sync_client_works_where_a_loop_runs() -> None:
    """A notebook, or an `async def` handler: the caller's loop stands still, so the network has its own."""
    started, stop = Future[tuple[str, str]](), Future[None]()

    async def serve() -> None:
        async with Sandbox() as sandbox:
            sandbox.token("bob")
            started.set_result((sandbox.url, sandbox.token("alice")))
            await asyncio.wrap_future(stop)

    serving = asyncio.create_task(asyncio.to_thread(asyncio.run, serve()))
    url, token = await asyncio.wrap_future(started)
    with SyncClient(url, token=token, pace=FAST) as alice:
        said = alice.send("@bob", "from a notebook")
        assert alice.history("@bob") == [said]
    stop.set_result(None)
    await serving


@pytest.mark.parametrize(
    "call", [connect("http://h", token="t").__aenter__, lambda: login("http://h", "a", "b")]
)
def test_without_asyncio_it_says_what_to_do(call: Callable[[], Any]) -> None:
    """As trio would run it."""
    with pytest.raises(RuntimeError, match=r"asyncio\.run.*trio.*SyncClient"):
        call().send(None)
