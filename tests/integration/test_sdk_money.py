"""The SDK's calls about money over real sockets: the frames they send, and what they make of the answers."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from msgspec import Struct
from tests.support.sdk import FAST, joined, received

from tuppence_client import (
    BillSplit,
    LimitError,
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
    fold,
)
from tuppence_protocol import kinds
from tuppence_protocol.codec import encode, is_id
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.views import Extensible
from tuppence_protocol.views import Money as ToldMoney
from tuppence_testing import Act, Sandbox

BUSY = Refusal("busy", "The server's inbox is full.", retry_ms=5)
pytestmark = pytest.mark.settings(
    fees='[{"kind": "send", "currency": "EUR", "fixed": "0.10"}]', exchange_rates='{"EUR/JPY": "160"}'
)


# --- every call is one frame ----------------------------------------------------------------------

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
QUOTED = {"amount": "10.00", "currency": "EUR", "quote": BILL}


def requested(user: str) -> Event:
    return told("pay.request", PaymentRequested("5.00", "EUR", user, "open", 9, "…"))


def split_with(user: str) -> Event:
    parts = [Share("u_bob", "4.00", "paid"), Share(user, "5.00", "open")]
    return told("pay.split", BillSplit("9.00", "EUR", parts, "open", 9, "…"))


def shares(**people: str) -> dict:
    return {"shares": [{"user": f"@{name}", "amount": amount} for name, amount in people.items()]}


CALLS = {
    "pay": (lambda me: me.pay("@bob", "5 EUR"), "pay.send", "@bob", None, FIVE),
    "offer": (
        lambda me: me.pay("@bob", "5 EUR", accept=True, expires_s=60, note="tea"),
        "pay.send", "@bob", None, FIVE | {"accept": True, "expires_s": 60, "note": "tea"}),
    "exchange": (lambda me: me.pay("@bob", QUOTE.sell, quote=QUOTE), "pay.send", "@bob", None, QUOTED),
    "exchange by id": (lambda me: me.pay("@bob", "10 EUR", quote=BILL), "pay.send", "@bob", None, QUOTED),
    "request": (
        lambda me: me.request(CONV, "5 EUR", payer="@bob", note="tea", expires_s=60),
        "pay.request", CONV, None, FIVE | {"payer": "@bob", "note": "tea", "expires_s": 60}),
    "request in a dm": (lambda me: me.request("@bob", "5 EUR"), "pay.request", "@bob", None, FIVE),
    "settle a request": (
        lambda me: me.settle(requested(me.user.id), note="here"),
        "pay.send", CONV, REF, FIVE | {"payee": "u_bob", "note": "here"}),
    "settle a share": (
        lambda me: me.settle(split_with(me.user.id)), "pay.send", CONV, REF, FIVE | {"payee": "u_bob"}),
    "settle a line of the list": (
        lambda me: me.settle(view_of("pay.request", payer=me.user.id, payee="u_bob")),
        "pay.send", CONV, REF, FIVE | {"payee": "u_bob"}),
    "split alike": (
        lambda me: me.split(CONV, "10 EUR", ["@bob", "@carol"], note="dinner"),
        "pay.split", CONV, None, TEN | {"shares": [{"user": "@bob"}, {"user": "@carol"}], "note": "dinner"}),
    "split by amounts": (
        lambda me: me.split(CONV, "10 EUR", [("@bob", "6"), ("@carol", 350), ("@dan", Decimal("0.5"))]),
        "pay.split", CONV, None, TEN | shares(bob="6.00", carol="3.50", dan="0.50")),
    "split what is left": (
        lambda me: me.split(CONV, "10 EUR", ["@bob", ("@carol", "4.99"), "@dan"], expires_s=60),
        "pay.split", CONV, None, TEN | shares(bob="2.51", carol="4.99", dan="2.50") | {"expires_s": 60}),
    "packet": (
        lambda me: me.packet(CONV, "10 EUR", 4, note="luck", expires_s=60),
        "pay.packet", CONV, None, TEN | {"count": 4, "mode": "lucky", "note": "luck", "expires_s": 60}),
    "equal packet": (
        lambda me: me.packet(CONV, "10 EUR", 4, "equal"),
        "pay.packet", CONV, None, TEN | {"count": 4, "mode": "equal"}),
    "claim": (lambda me: me.claim(SENT), "pay.claim", CONV, REF, {}),
    "claim by id": (lambda me: me.claim((REF, CONV)), "pay.claim", CONV, REF, {}),
    "accept": (lambda me: me.accept(view_of("pay.send")), "pay.accept", CONV, REF, {}),
    "decline": (lambda me: me.decline(SENT), "pay.decline", CONV, REF, {}),
    "decline why": (lambda me: me.decline(SENT, "late"), "pay.decline", CONV, REF, {"reason": "late"}),
    "cancel": (lambda me: me.cancel(fold([SENT])[REF]), "pay.cancel", CONV, REF, {}),
    "refund": (lambda me: me.refund(SENT), "pay.refund", CONV, REF, {}),
    "refund some": (lambda me: me.refund(SENT, "2 EUR"), "pay.refund", CONV, REF, {"amount": "2.00"}),
    "refund an amount": (lambda me: me.refund(SENT, "2"), "pay.refund", CONV, REF, {"amount": "2.00"}),
    "refund minor units": (lambda me: me.refund(SENT, 2), "pay.refund", CONV, REF, {"amount": "0.02"}),
    "refund what was received": (
        lambda me: me.refund(EXCHANGED, EXCHANGED.body.received), "pay.refund", CONV, REF, {"amount": "800"}),
    "refund what was accepted": (
        lambda me: me.refund(ACCEPTED, "1"), "pay.refund", CONV, REF, {"amount": "1.00"}),
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


async def everything(items) -> list:
    return [item async for item in items]


def about_money(sandbox: Sandbox) -> list:
    return [frame for frame in sandbox.received if frame.kind.startswith("pay.")]


async def test_a_call_is_one_frame(sandbox, alice):
    for name, (call, kind, *_) in CALLS.items():
        sandbox.received.clear()
        sandbox.next(kind, BUSY, NO)
        with pytest.raises(LimitError) as caught:
            await call(alice)
        assert caught.value.state == {"limit": 60}
        sent = about_money(sandbox)
        assert as_sent(sent[0]) == expected(name), name
        assert sent == [sent[0]] * 2  # what may pass is tried again under the same id


async def test_a_preview_asks_with_the_same_frame(sandbox):
    verbs = ("pay", "settle", "request", "split", "packet", "accept", "refund")
    async with joined(sandbox) as alice:
        me = SimpleNamespace(user=alice.user, **{verb: getattr(alice.preview, verb) for verb in verbs})
        for name in PREVIEWED:
            sandbox.next("ask.preview", NO)
            with pytest.raises(LimitError):
                await CALLS[name][0](me)
            assert as_sent(received(sandbox, "ask.preview")[-1].body.frame) == expected(name), name
    assert len(received(sandbox, "ask.preview")) == len(PREVIEWED)
    assert about_money(sandbox) == []


async def test_what_cannot_be_is_refused_before_anything_is_sent(sandbox, alice):
    for call, error, code in (
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
            PlaceError, "forbidden",
        ),
    ):  # fmt: skip
        with pytest.raises(error) as caught:
            await call(alice)
        assert caught.value.code == code
    for call in (
        lambda me: me.request("@bob", 5.0),
        lambda me: me.split(CONV, "10 EUR", [("@bob", 1.5)]),
        lambda me: me.refund(SENT, 2.0),
        lambda me: me.faucet((5.0, "EUR")),
    ):
        with pytest.raises(TypeError, match="float"):
            await call(alice)
    assert about_money(sandbox) == []


# --- what comes back ------------------------------------------------------------------------------


async def test_a_request_comes_back_as_its_event_over_cuts(sandbox, alice):
    await alice.send("@bob", "hi")
    sandbox.next("pay.request", Act.CUT_BEFORE, Act.CUT_AFTER)
    asked = await alice.request("@bob", "5 EUR", id=(saved := alice.new_id()))
    assert isinstance(asked.body, PaymentRequested)
    assert (asked.id, asked.seq, asked.body.amount, asked.body.state) == (saved, 2, "5.00", "open")
    assert await alice.history("@bob", after=1) == [asked]
    assert [frame.id for frame in received(sandbox, "pay.request")] == [saved, saved]


async def test_a_quote(sandbox, alice):
    quote = await alice.quote(sell="eur", buy="jpy", amount="10")
    assert (quote.sell, quote.buy.currency) == (ToldMoney("10.00", "EUR"), "JPY")
    assert as_sent(received(sandbox, "ask.quote")[-1]) == {
        "kind": "ask.quote", "body": {"sell": "EUR", "buy": "JPY", "amount": "10.00", "side": "sell"},
    }  # fmt: skip
    assert (await alice.pay("@bob", quote.sell, quote=quote)).body.received == quote.buy
    sandbox.next("ask.quote", Refusal("rate_limited", "Wait.", retry_ms=60_000))
    with pytest.raises(SessionError):
        await alice.quote(sell="EUR", buy="JPY", amount=1600, side="buy")
    assert received(sandbox, "ask.quote")[-1].body.amount == "1600"


async def test_a_preview(alice, bob):
    found = await alice.preview.pay("@bob", "5 EUR", accept=True)
    assert isinstance(found.body, PaymentSent)
    assert (found.body.amount, found.body.payee, found.body.state) == ("5.00", bob.user.id, "pending")
    assert (found.kind, found.spends) == ("pay.send", [ToldMoney("5.10", "EUR")])
    assert found.fee == ToldMoney("0.10", "EUR")
    assert [(view.currency, view.available) for view in found.balances] == [("EUR", "94.90")]


async def test_payments_are_asked_for_page_by_page(sandbox, alice):
    paid = [await alice.pay("@bob", f"{n} EUR", accept=True) for n in (1, 2, 3)]
    sandbox.next("ask.payments", Act.IGNORE)
    found = alice.payments(state="pending", with_="@bob", currency="eur", page=1)
    reading = asyncio.create_task(everything(found))
    await sandbox.heard("ask.payments")
    none_yet = {"payments": [], "pos": paid[-1].pos, "next": paid[-1].pos + 1}
    await sandbox.tell("alice", kind="result", ref=received(sandbox, "ask.payments")[0].id, body=none_yet)
    assert [view.id for view in await reading] == [event.id for event in reversed(paid)]
    asked = [frame.body for frame in received(sandbox, "ask.payments")]
    assert [body.before or None for body in asked[:2]] == [None, paid[-1].pos + 1]
    assert len({body.before for body in asked}) == len(asked) >= 4
    assert {(body.state, body.with_, body.currency, body.limit) for body in asked} == {
        ("pending", "@bob", "EUR", 1)
    }


async def test_a_statement_runs_from_opening_to_closing(sandbox, alice):
    paid = [await alice.pay("@bob", "1 EUR") for _ in range(3)]
    begin = datetime.fromtimestamp(paid[0].at / 1000, UTC)
    statement = await alice.statement("eur", from_=begin, to=paid[-1].at + 1, page=2)
    assert statement.opening == "100.00"
    lines = [(line.pos, line.amount) for line in await everything(statement)]
    assert lines == [(event.pos, amount) for event in paid for amount in ("-1.00", "-0.10")]
    assert statement.closing == "96.70"
    nothing = await alice.statement("EUR", from_=paid[-1].at + 1)
    assert await everything(nothing) == []
    assert (nothing.opening, nothing.closing) == ("96.70", "96.70")
    asked = [frame.body for frame in received(sandbox, "ask.statement")][:-1]
    assert {(body.currency, body.from_, body.to) for body in asked} == {("EUR", paid[0].at, paid[-1].at + 1)}
    assert len({body.after for body in asked}) == len(asked) >= 3


@pytest.mark.parametrize("mode", ["sandbox", "live"])
async def test_whether_it_is_play_money_is_known(mode):
    async with Sandbox(mode=mode) as sandbox, joined(sandbox) as alice:
        assert alice.mode == mode


# --- without asyncio ------------------------------------------------------------------------------


async def test_the_sync_client_has_the_same_calls(sandbox):
    def work() -> None:
        with SyncClient(sandbox.url, token=sandbox.token("alice"), pace=FAST) as alice:
            assert alice.mode == "sandbox"
            for name, (call, kind, *_) in CALLS.items():
                sandbox.next(kind, NO)
                with pytest.raises(LimitError):
                    call(alice)
                assert as_sent(received(sandbox, kind)[-1]) == expected(name), name
            sandbox.next("ask.preview", NO)
            with pytest.raises(LimitError):
                alice.preview.pay("@bob", "5 EUR")
            frame = kinds.PayClaim(id=BILL, conv=CONV, ref=REF)
            sandbox.next("pay.claim", NO)
            with pytest.raises(LimitError):
                alice.submit(frame)
            assert received(sandbox, "pay.claim")[-1] == frame

    await asyncio.to_thread(work)


async def test_the_sync_client_reads_pages(sandbox):
    def work() -> None:
        with SyncClient(sandbox.url, token=sandbox.token("alice"), pace=FAST) as alice:
            paid = [alice.pay("@bob", "1 EUR", accept=True) for _ in range(2)]
            assert [view.id for view in alice.payments(page=1, state="pending")] == [paid[1].id, paid[0].id]
            statement = alice.statement("EUR", page=1)
            assert statement.opening == "0.00"
            assert [line.amount for line in statement] == ["100.00"]
            assert statement.closing == "100.00"
            assert alice.quote(sell="EUR", buy="JPY", amount="10").sell.amount == "10.00"

    await asyncio.to_thread(work)
