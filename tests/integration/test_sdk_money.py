"""The SDK's calls about money over real sockets: the frames they send, and what they make of the answers.

`FakeServer` plays none of these kinds, so each answer is told by hand; the real server has tests of its own.
"""

import asyncio
import json
from collections.abc import Awaitable
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from tuppence_client import (
    BillSplit,
    LimitError,
    Pace,
    PaymentAccepted,
    PaymentRequested,
    PaymentSent,
    PaymentView,
    PlaceError,
    QuoteView,
    SessionError,
    ShapeError,
    Share,
    SyncClient,
    connect,
    fold,
)
from tuppence_client.testing import Act, FakeServer
from tuppence_protocol import kinds
from tuppence_protocol.codec import encode, is_id
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.views import BalanceView, Extensible
from tuppence_protocol.views import Money as ToldMoney

FAST = Pace(retry_s=5, backoff_s=0.004, backoff_max_s=0.02, silence_s=0.05, gap_s=0.01, jitter=lambda: 0.5)
BUSY = Refusal("busy", "The server's inbox is full.", retry_ms=5)


@pytest.fixture
async def server():
    async with FakeServer() as fake:
        fake.token("bob")
        yield fake


def joined(server: FakeServer, handle: str = "alice"):
    return connect(server.url, token=server.token(handle), pace=FAST)


# --- every call is one frame ------------------------------------------------------------------------------

CONV = "c_" + "a" * 26
REF = "00000000-0000-7000-8000-000000000001"
BILL = "00000000-0000-7000-8000-000000000002"


def told(kind: str, body: Extensible, own: str = REF, author: str = "u_bob", **more) -> Event:
    """An event as a server would tell it."""
    return Event(kind, own, CONV, 1, 1, author, 1, body, **more)


def view_of(kind: str, **more) -> PaymentView:
    """A line of a list."""
    return PaymentView(REF, kind, CONV, 1, 1, "5.00", "EUR", "open", **more)


SENT = told("pay.send", PaymentSent("5.00", "EUR", "u_alice", "completed", "…"))
EXCHANGED = told(
    "pay.send", PaymentSent("5.00", "EUR", "u_alice", "completed", "…", received=ToldMoney("800", "JPY"))
)
ACCEPTED = told("pay.accept", PaymentAccepted("5.00", "EUR", "u_alice", "completed", "…"), own=BILL, ref=REF)
QUOTE = QuoteView(BILL, ToldMoney("10.00", "EUR"), ToldMoney("1600", "JPY"), "160", "0.01", "0.00", 99)
FIVE = {"amount": "5.00", "currency": "EUR"}
TEN = {"total": "10.00", "currency": "EUR"}

CALLS = {
    "pay": (lambda me: me.pay("@bob", "5 EUR"), "pay.send", "@bob", None, FIVE),
    "offer": (
        lambda me: me.pay("@bob", "5 EUR", accept=True, expires_s=60, note="tea"),
        "pay.send", "@bob", None, FIVE | {"accept": True, "expires_s": 60, "note": "tea"},
    ),
    "exchange": (
        lambda me: me.pay("@bob", QUOTE.sell, quote=QUOTE),
        "pay.send", "@bob", None, {"amount": "10.00", "currency": "EUR", "quote": BILL},
    ),
    "exchange by id": (
        lambda me: me.pay("@bob", "10 EUR", quote=BILL),
        "pay.send", "@bob", None, {"amount": "10.00", "currency": "EUR", "quote": BILL},
    ),
    "request": (
        lambda me: me.request(CONV, "5 EUR", payer="@bob", note="tea", expires_s=60),
        "pay.request", CONV, None, FIVE | {"payer": "@bob", "note": "tea", "expires_s": 60},
    ),
    "request in a dm": (lambda me: me.request("@bob", "5 EUR"), "pay.request", "@bob", None, FIVE),
    "settle a request": (
        lambda me: me.settle(
            told("pay.request", PaymentRequested("5.00", "EUR", me.user.id, "open", 9, "…")), note="here"
        ),
        "pay.send", CONV, REF, FIVE | {"payee": "u_bob", "note": "here"},
    ),
    "settle a share": (
        lambda me: me.settle(
            told(
                "pay.split",
                BillSplit(
                    "9.00", "EUR",
                    [Share("u_bob", "4.00", "paid"), Share(me.user.id, "5.00", "open")], "open", 9, "…",
                ),
            )
        ),
        "pay.send", CONV, REF, FIVE | {"payee": "u_bob"},
    ),
    "settle a line of the list": (
        lambda me: me.settle(view_of("pay.request", payer=me.user.id, payee="u_bob")),
        "pay.send", CONV, REF, FIVE | {"payee": "u_bob"},
    ),
    "split alike": (
        lambda me: me.split(CONV, "10 EUR", ["@bob", "@carol"], note="dinner"),
        "pay.split", CONV, None, TEN | {"shares": [{"user": "@bob"}, {"user": "@carol"}], "note": "dinner"},
    ),
    "split by amounts": (
        lambda me: me.split(CONV, "10 EUR", [("@bob", "6"), ("@carol", 350), ("@dan", Decimal("0.5"))]),
        "pay.split", CONV, None,
        TEN | {
            "shares": [
                {"user": "@bob", "amount": "6.00"},
                {"user": "@carol", "amount": "3.50"},
                {"user": "@dan", "amount": "0.50"},
            ]
        },
    ),
    "split what is left": (
        lambda me: me.split(CONV, "10 EUR", ["@bob", ("@carol", "4.99"), "@dan"], expires_s=60),
        "pay.split", CONV, None,
        TEN | {
            "shares": [
                {"user": "@bob", "amount": "2.51"},
                {"user": "@carol", "amount": "4.99"},
                {"user": "@dan", "amount": "2.50"},
            ],
            "expires_s": 60,
        },
    ),
    "packet": (
        lambda me: me.packet(CONV, "10 EUR", 4, note="luck", expires_s=60),
        "pay.packet", CONV, None, TEN | {"count": 4, "mode": "lucky", "note": "luck", "expires_s": 60},
    ),
    "equal packet": (
        lambda me: me.packet(CONV, "10 EUR", 4, "equal"),
        "pay.packet", CONV, None, TEN | {"count": 4, "mode": "equal"},
    ),
    "claim": (lambda me: me.claim(SENT), "pay.claim", CONV, REF, {}),
    "claim by id": (lambda me: me.claim((REF, CONV)), "pay.claim", CONV, REF, {}),
    "accept": (lambda me: me.accept(view_of("pay.send")), "pay.accept", CONV, REF, {}),
    "decline": (lambda me: me.decline(SENT), "pay.decline", CONV, REF, {}),
    "decline with a reason": (
        lambda me: me.decline(SENT, "too much"), "pay.decline", CONV, REF, {"reason": "too much"},
    ),
    "cancel": (lambda me: me.cancel(fold([SENT])[REF]), "pay.cancel", CONV, REF, {}),
    "refund": (lambda me: me.refund(SENT), "pay.refund", CONV, REF, {}),
    "refund some": (lambda me: me.refund(SENT, "2 EUR"), "pay.refund", CONV, REF, {"amount": "2.00"}),
    "refund an amount": (lambda me: me.refund(SENT, "2"), "pay.refund", CONV, REF, {"amount": "2.00"}),
    "refund minor units": (lambda me: me.refund(SENT, 2), "pay.refund", CONV, REF, {"amount": "0.02"}),
    "refund what was received": (
        lambda me: me.refund(EXCHANGED, EXCHANGED.body.received), "pay.refund", CONV, REF, {"amount": "800"},
    ),
    "refund what was accepted": (lambda me: me.refund(ACCEPTED, "1"), "pay.refund", CONV, REF, {"amount": "1.00"}),
    "refund by id": (lambda me: me.refund((REF, CONV), "2.00"), "pay.refund", CONV, REF, {"amount": "2.00"}),
    "waive": (lambda me: me.waive(SENT, "@bob"), "pay.waive", CONV, REF, {"user": "@bob"}),
    "remind": (lambda me: me.remind(SENT), "pay.remind", CONV, REF, {}),
    "faucet": (lambda me: me.faucet("5 EUR"), "pay.faucet", "self", None, FIVE),
}  # fmt: skip
PREVIEWED = [name for name, call in CALLS.items() if call[1] not in {
    "pay.claim", "pay.decline", "pay.cancel", "pay.waive", "pay.remind", "pay.faucet",
}]  # fmt: skip


def as_sent(frame: Struct) -> dict:
    """A frame as it went over the wire, without its id."""
    members = json.loads(encode(frame))
    assert is_id(members.pop("id"))
    return members


def expected(name: str) -> dict:
    _, kind, conv, ref, body = CALLS[name]
    return {"kind": kind, "conv": conv, "body": body} | ({} if ref is None else {"ref": ref})


NO = Refusal("velocity", "That would be too many payments in an hour.", state={"limit": 60})


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_one_frame(server, name):
    call, kind = CALLS[name][:2]
    async with joined(server) as alice:
        server.next(kind, BUSY, NO)
        with pytest.raises(LimitError) as caught:
            await call(alice)
        assert caught.value.state == {"limit": 60}
    sent = [frame for frame in server.received if frame.kind.startswith("pay.")]
    assert as_sent(sent[0]) == expected(name)
    assert sent == [sent[0]] * 2  # what may pass is tried again under the same id


@pytest.mark.parametrize("name", PREVIEWED)
async def test_a_preview_asks_with_the_same_frame(server, name):
    async with joined(server) as alice:
        server.next("ask.preview", NO)
        me = SimpleNamespace(user=alice.user, **{
            verb: getattr(alice.preview, verb)
            for verb in ("pay", "settle", "request", "split", "packet", "accept", "refund")
        })  # fmt: skip
        with pytest.raises(LimitError):
            await CALLS[name][0](me)
    (asked,) = [frame for frame in server.received if isinstance(frame, kinds.AskPreview)]
    assert as_sent(asked.body.frame) == expected(name)
    assert not [frame for frame in server.received if frame.kind.startswith("pay.")]


@pytest.mark.parametrize(
    ("call", "error", "code"),
    [
        (lambda me: me.request("@bob", "5"), ShapeError, "amount_format"),
        (lambda me: me.split(CONV, "10 EUR", ["@bob", ("@carol", "10")]), ShapeError, "split_sum"),
        (lambda me: me.split(CONV, "10 EUR", [("@bob", "1.001")]), ShapeError, "amount_range"),
        (lambda me: me.split(CONV, "10 EUR", [("@bob", "1 JPY")]), ShapeError, "amount_format"),
        (lambda me: me.split(CONV, "10 EUR", []), ShapeError, "bad_frame"),
        (lambda me: me.packet(CONV, "10 EUR", 101), ShapeError, "bad_frame"),
        (lambda me: me.pay("@bob", "5 EUR", accept=True, expires_s=0), ShapeError, "bad_frame"),
        (lambda me: me.refund(SENT, "2 JPY"), ShapeError, "bad_frame"),
        (lambda me: me.refund(EXCHANGED, "2 EUR"), ShapeError, "bad_frame"),
        (lambda me: me.refund((REF, CONV), "2 EUR"), ShapeError, "bad_frame"),
        (lambda me: me.claim((CONV, REF)), ShapeError, "too_big"),
        (lambda me: me.settle(SENT), PlaceError, "forbidden"),
        (
            lambda me: me.settle(view_of("pay.request", payer="u_carol", payee="u_bob")),
            PlaceError,
            "forbidden",
        ),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_sent(server, call, error, code):
    async with joined(server) as alice:
        with pytest.raises(error) as caught:
            await call(alice)
        assert caught.value.code == code
    assert not [frame for frame in server.received if frame.kind.startswith("pay.")]


@pytest.mark.parametrize(
    "call",
    [
        lambda me: me.request("@bob", 5.0),
        lambda me: me.split(CONV, "10 EUR", [("@bob", 1.5)]),
        lambda me: me.refund(SENT, 2.0),
        lambda me: me.faucet((5.0, "EUR")),
    ],
)
async def test_floats_are_no_money_here_either(server, call):
    async with joined(server) as alice:
        with pytest.raises(TypeError, match="float"):
            await call(alice)


# --- what comes back -----------------------------------------------------------------------------------------


def question(server: FakeServer, kind: str) -> Any:
    """The last frame of that kind."""
    return next(frame for frame in reversed(server.received) if frame.kind == kind)


async def answered(server: FakeServer, kind: str, doing: Awaitable, *pages: object) -> Any:
    """Answer the next questions of that kind, one page each."""
    server.next(kind, *[Act.IGNORE] * len(pages))
    task = asyncio.ensure_future(doing)
    for number, page in enumerate(pages, 1):
        await server.heard(kind, number)
        await server.tell("alice", kind="result", ref=question(server, kind).id, body=page)
    return await task


async def everything(items) -> list:
    return [item async for item in items]


async def test_a_request_comes_back_as_its_event_over_a_cut(server):
    body = PaymentRequested("5.00", "EUR", "u_bob", "open", 9, "@alice asks @bob for 5.00 EUR")
    async with joined(server) as alice:
        server.next("pay.request", Act.CUT_BEFORE, Act.IGNORE)
        saved = alice.new_id()
        asking = asyncio.create_task(alice.request("@bob", "5 EUR", id=saved))
        await server.heard("pay.request", 2)
        event = {
            "kind": "pay.request",
            "id": saved,
            "conv": CONV,
            "seq": 1,
            "pos": 1,
            "from": "u_alice",
            "at": 1,
        }
        await server.tell("alice", **event, body=body)
        assert (await asking).body == body
    assert {frame.id for frame in server.received if isinstance(frame, kinds.PayRequest)} == {saved}


async def test_a_quote(server):
    async with joined(server) as alice:
        asked = alice.quote(sell="eur", buy="jpy", amount="10")
        assert await answered(server, "ask.quote", asked, {"quote": QUOTE}) == QUOTE
        assert as_sent(question(server, "ask.quote")) == {
            "kind": "ask.quote", "body": {"sell": "EUR", "buy": "JPY", "amount": "10.00", "side": "sell"},
        }  # fmt: skip
        server.next("ask.quote", Refusal("rate_limited", "Wait.", retry_ms=60_000))
        with pytest.raises(SessionError):
            await alice.quote(sell="EUR", buy="JPY", amount=1600, side="buy")
        assert question(server, "ask.quote").body.amount == "1600"


async def test_a_preview(server):
    body = {"amount": "5.00", "currency": "EUR", "payee": "u_bob", "state": "pending", "alt": "…"}
    balance = BalanceView("EUR", "94.90", "5.10", 3)
    spends = [ToldMoney("5.10", "EUR")]
    page = {
        "kind": "pay.send", "body": body, "spends": spends, "balances": [balance], "fee": ToldMoney("0.10", "EUR"),
    }  # fmt: skip
    async with joined(server) as alice:
        asked = alice.preview.pay("@bob", "5 EUR", accept=True)
        found = await answered(server, "ask.preview", asked, page)
        assert found.body == PaymentSent("5.00", "EUR", "u_bob", "pending", "…")
        assert (found.kind, found.spends, found.balances) == ("pay.send", spends, [balance])
        assert found.fee == ToldMoney("0.10", "EUR")


async def test_payments_are_asked_for_page_by_page(server):
    first, second = view_of("pay.send", payer="u_alice"), view_of("pay.request")
    async with joined(server) as alice:
        found = everything(alice.payments(state="open", with_="@bob", currency="eur", page=1))
        pages = [
            {"payments": [first], "pos": 9, "next": 7},
            {"payments": [], "pos": 9, "next": 5},
            {"payments": [second], "pos": 9},
        ]
        assert await answered(server, "ask.payments", found, *pages) == [first, second]
    asked = [frame.body for frame in server.received if isinstance(frame, kinds.AskPayments)]
    assert [(body.before or None, body.limit) for body in asked] == [(None, 1), (7, 1), (5, 1)]
    assert {(body.state, body.with_, body.currency) for body in asked} == {("open", "@bob", "EUR")}


def line(number: int) -> kinds.StatementLine:
    return kinds.StatementLine(number, number, REF, CONV, "pay.send", "pay.send", "-1.00", "9.00", "u_bob")


STATEMENT = (
    {
        "currency": "EUR",
        "opening": "10.00",
        "lines": [line(1), line(2)],
        "closing": "8.00",
        "pos": 9,
        "next": 2,
    },
    {"currency": "EUR", "opening": "8.00", "lines": [line(3)], "closing": "7.00", "pos": 9},
)


async def test_a_statement_runs_from_opening_to_closing(server):
    async with joined(server) as alice:

        async def read() -> tuple[str, list[int], str]:
            statement = await alice.statement("eur", from_=datetime(2026, 1, 1, tzinfo=UTC), to=5)
            opening = statement.opening
            lines = [found.pos async for found in statement]
            return opening, lines, statement.closing

        assert await answered(server, "ask.statement", read(), *STATEMENT) == ("10.00", [1, 2, 3], "7.00")
    asked = [frame.body for frame in server.received if isinstance(frame, kinds.AskStatement)]
    assert [(body.from_, body.to, body.after or None) for body in asked] == [
        (1_767_225_600_000, 5, None), (1_767_225_600_000, 5, 2),
    ]  # fmt: skip
    assert asked[0].currency == "EUR"


async def test_an_empty_statement_has_both_balances(server):
    page = {"currency": "EUR", "opening": "3.00", "lines": [], "closing": "3.00", "pos": 9}
    async with joined(server) as alice:
        statement = await answered(server, "ask.statement", alice.statement("EUR"), page)
        assert await everything(statement) == []
        assert (statement.opening, statement.closing) == ("3.00", "3.00")


@pytest.mark.parametrize("mode", ["sandbox", "live"])
async def test_whether_it_is_play_money_is_known(mode):
    async with FakeServer(mode=mode) as server, joined(server) as alice:
        assert alice.mode == mode


# --- without asyncio --------------------------------------------------------------------------------------------


async def test_the_sync_client_has_the_same_calls(server):
    def work() -> None:
        with SyncClient(server.url, token=server.token("alice"), pace=FAST) as alice:
            assert alice.mode == "live"
            for name, (call, kind, *_) in CALLS.items():
                server.next(kind, NO)
                with pytest.raises(LimitError):
                    call(alice)
                assert as_sent(question(server, kind)) == expected(name)
            server.next("ask.preview", NO)
            with pytest.raises(LimitError):
                alice.preview.pay("@bob", "5 EUR")
            frame = kinds.PayClaim(id=BILL, conv=CONV, ref=REF)
            server.next("pay.claim", NO)
            with pytest.raises(LimitError):
                alice.submit(frame)
            assert question(server, "pay.claim") == frame

    await asyncio.to_thread(work)


async def test_the_sync_client_reads_pages(server):
    def lists() -> list[str]:
        with SyncClient(server.url, token=server.token("alice"), pace=FAST) as alice:
            return [found.kind for found in alice.payments(currency="EUR")]

    def statements() -> tuple[str, list[int], str]:
        with SyncClient(server.url, token=server.token("alice"), pace=FAST) as alice:
            statement = alice.statement("EUR")
            return statement.opening, [found.pos for found in statement], statement.closing

    def quotes() -> QuoteView:
        with SyncClient(server.url, token=server.token("alice"), pace=FAST) as alice:
            return alice.quote(sell="EUR", buy="JPY", amount="10")

    pages = ({"payments": [view_of("pay.send")], "pos": 9, "next": 7}, {"payments": [], "pos": 9})
    assert await answered(server, "ask.payments", asyncio.to_thread(lists), *pages) == ["pay.send"]
    found = await answered(server, "ask.statement", asyncio.to_thread(statements), *STATEMENT)
    assert found == ("10.00", [1, 2, 3], "7.00")
    assert await answered(server, "ask.quote", asyncio.to_thread(quotes), {"quote": QUOTE}) == QUOTE


# --- the fake server does not pretend -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda me: me.request("@bob", "5 EUR"),
        lambda me: me.faucet("5 EUR"),
        lambda me: me.claim((REF, CONV)),
        lambda me: me.quote(sell="EUR", buy="JPY", amount="10"),
        lambda me: me.preview.pay("@bob", "5 EUR"),
        lambda me: everything(me.payments()),
        lambda me: me.statement("EUR"),
    ],
)
async def test_the_fake_server_says_that_it_plays_no_such_kind(server, call):
    async with joined(server) as alice:
        with pytest.raises(ShapeError, match="sandbox") as caught:
            await call(alice)
        assert caught.value.code == "unknown_kind"
        assert [view.available for view in await alice.wallet()] == ["100.00"]


@pytest.mark.parametrize(("member", "options"), [("accept", {"accept": True}), ("quote", {"quote": BILL})])
async def test_the_fake_server_pays_at_once_or_not_at_all(server, member, options):
    async with joined(server) as alice:
        with pytest.raises(ShapeError, match="sandbox") as caught:
            await alice.pay("@bob", "5 EUR", **options)
        assert (caught.value.code, caught.value.field) == ("bad_frame", f"$.body.{member}")
        assert [view.available for view in await alice.wallet()] == ["100.00"]
    async with joined(server, "bob") as bob:  # a refused frame leaves no conversation behind
        assert await bob.list_conversations() == []
