"""Money at the terminal: what is typed, the frames that come of it, and how every event about money looks."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from tuppence_client import PlaceError, Preview
from tuppence_client.errors import LimitError
from tuppence_client.terminal import money_commands as mc
from tuppence_client.terminal.actions import Actions
from tuppence_client.terminal.app import Terminal
from tuppence_client.terminal.commands import parse
from tuppence_client.terminal.complete import LineCompleter
from tuppence_client.terminal.help import HELP, Complaint
from tuppence_client.terminal.render import error_line, event_lines, plain
from tuppence_client.terminal.render_money import MARKS, mark
from tuppence_client.terminal.style import STYLES
from tuppence_client.verbs import Previewable, Verbs
from tuppence_protocol import codec, kinds, packets
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.views import BalanceView, Money, Share, UserView

ALICE = "u_" + "a" * 26
BOB = "u_" + "b" * 26
CAROL = "u_" + "c" * 26
NAMES = {ALICE: "alice", BOB: "bob", CAROL: "carol"}
EUR = "EUR"
GROUP = "c_" + "g" * 26
DM = "c_" + "d" * 26
AT = 1_790_000_000_000

# --- what is typed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/pay @bob 5 EUR lunch today", mc.Pay("@bob", "5.00", EUR, "lunch today")),
        ("/offer @bob 5 EUR", mc.Offer("@bob", "5.00", EUR, None)),
        ("/request 5 eur tea", mc.Request(None, "5.00", EUR, "tea")),
        ("/exchange @bob 10 EUR to JPY", mc.Exchange("@bob", "10.00", EUR, None, "JPY")),
        ("/exchange 10 EUR to jpy for sushi", mc.Exchange(None, "10.00", EUR, "for sushi", "JPY")),
        (
            "/split 10.00 EUR @bob @carol dinner out",
            mc.Split("10.00 EUR", (("@bob", None), ("@carol", None)), "dinner out"),
        ),
        (
            "/split 10 EUR @bob=4 @carol=6.00",
            mc.Split("10.00 EUR", (("@bob", "4.00"), ("@carol", "6.00")), None),
        ),
        ("/packet 8 EUR 4 lucky", mc.Packet("8.00 EUR", 4, "lucky", None)),
        ("/packet 8 EUR 4 equal for all", mc.Packet("8.00 EUR", 4, "equal", "for all")),
        ("/packet 8 EUR 4 good luck", mc.Packet("8.00 EUR", 4, "lucky", "good luck")),
        ("/packet 8 EUR 1", mc.Packet("8.00 EUR", 1, "lucky", None)),
        *[(f"/{verb}", mc.Act(verb)) for verb in ("settle", "claim", "accept", "cancel", "remind")],
        ("/claim #2", mc.Act("claim", 2)),
        ("/accept 2", mc.Act("accept", 2)),
        ("/decline", mc.Decline()),
        ("/decline 2 days late", mc.Decline("2 days late")),
        ("/decline #2 too late", mc.Decline("too late", 2)),
        ("/refund", mc.Refund()),
        ("/refund 2 EUR", mc.Refund("2.00 EUR")),
        ("/refund #2", mc.Refund(None, 2)),
        ("/refund #2 2 EUR", mc.Refund("2.00 EUR", 2)),
        ("/waive @bob", mc.Waive("@bob")),
        ("/waive #2 @bob", mc.Waive("@bob", 2)),
        ("/faucet 100 EUR", mc.Faucet("100.00 EUR")),
        ("/payments", mc.Payments()),
        ("/payments open", mc.Payments("open")),
        ("/payments eur", mc.Payments(None, None, EUR)),
        ("/payments @bob EUR partly_refunded", mc.Payments("partly_refunded", "@bob", EUR)),
        ("/statement EUR", mc.Statement(EUR, 30)),
        ("/statement jpy 7", mc.Statement("JPY", 7)),
        ("/preview pay @bob 5 EUR", mc.Preview(mc.Pay("@bob", "5.00", EUR, None))),
        ("/preview /refund #2", mc.Preview(mc.Refund(None, 2))),
        ("/preview settle", mc.Preview(mc.Act("settle"))),
        ("/check", mc.Check()),
        ("/check #2", mc.Check(2)),
    ],
)
def test_a_line_becomes_a_command(line, command):
    assert parse(line) == command
    assert type(parse(line)) is type(command)


@pytest.mark.parametrize(
    "line",
    [
        "/offer", "/offer @bob", "/offer @bob five EUR", "/request", "/request @bob 5", "/exchange @bob 10 EUR",
        "/exchange @bob 10 EUR JPY", "/exchange @bob 10 EUR to", "/exchange @bob 10 EUR to XXX", "/split",
        "/split 10 EUR", "/split 10 EUR dinner", "/split 10 EUR @bob=x", "/split 10 EUR @bob=1.001",
        "/split 10 EUR @bob @Böb", "/packet", "/packet 8 EUR", "/packet 8 EUR many", "/packet 8 EUR 0",
        "/packet 8 EUR 101", "/packet 8 EUR ٣", "/claim it", "/claim #0", "/accept @bob", "/refund all",
        "/refund 2", "/refund 2 EUR please", "/refund #2 2", "/waive", "/waive bob", "/waive @bob @carol",
        "/faucet", "/faucet 100", "/faucet 100 EUR now", "/payments open paid", "/payments Open", "/statement",
        "/statement EURO", "/statement EUR 0", "/statement EUR x", "/statement EUR ٣", "/preview", "/preview hi",
        "/preview claim", "/preview faucet 5 EUR", "/preview preview pay @bob 5 EUR", "/preview pay @bob",
        "/preview decline", "/check it",
    ],
)  # fmt: skip
def test_a_wrong_line_gets_one_complaint(line):
    found = parse(line)
    assert isinstance(found, Complaint)
    assert "\n" not in found.text


@given(
    st.sampled_from([line.split()[0] for line, _ in HELP]),
    st.text(max_size=20) | st.sampled_from(["#", "5 EUR @", "5 EUR 4 ", "#2 5 EUR", "@bob 5 EUR to "]),
    st.text(max_size=20),
)
def test_no_line_crashes_the_parser(name, middle, end):
    parse(f"{name} {middle}{end}")
    parse(f"/preview {name[1:]} {middle}{end}")


def test_every_command_has_a_line_of_help():
    named = {line.split()[0] for line, _ in HELP}
    assert {f"/{name}" for name in mc._READERS} <= named


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/pay bob 5", "@bob 5 EUR"),
        ("/pay bob 5 EUR", "@bob 5 EUR"),
        ("/pay 5", "write it like"),
        ("/pay 5,50 EUR", "5.50, not 5,50"),
        ("/pay 5eur", "5 EUR"),
        ("/pay 5,50eur", "5.50 EUR"),
        ("/pay @bob 5€", "three letters"),
        ("/pay 5 euros", "no currency EUROS"),
        ("/pay 5 XYZ", "no currency XYZ"),
        ("/pay bob five EUR", "@bob 5 EUR"),
        ("/pay bob", "@bob 5 EUR"),
        ("/pay five EUR", "five is no amount"),
        ("/pay @alice five EUR", "five is no amount"),
        ("/offer @alice five EUR", "five is no amount"),
        ("/exchange @alice five EUR to JPY", "five is no amount"),
        ("/request @alice five euros", "no currency EUROS"),
        ("/split five EUR @bob", "five is no amount"),
        ("/packet five EUR 3", "five is no amount"),
        ("/faucet five EUR", "five is no amount"),
        ("/ask five EUR", "five is no amount"),
        ("/refund five EUR", "five is no amount"),
        ("/pay -5 EUR", "no amount"),
        ("/pay 5.001 EUR", "too fine"),
        ("/exchange 5 EUR to XXX", "no currency XXX"),
        ("/split 5 EUR @bob=x", "no amount"),
    ],
)
def test_a_complaint_is_in_words_for_people(line, words):
    found = parse(line)
    assert isinstance(found, Complaint)
    assert words in found.text
    assert not re.search(r"_|ISO|`|\$", found.text), found.text


# --- how it looks ---------------------------------------------------------------------------------


def event(kind: str, author: str, body, ref: str = "", conv: str = GROUP, pos: int = 1) -> Event:
    more = {"ref": ref} if ref else {}
    return Event(kind, f"e{pos}", conv, pos, pos, author, AT, body, **more)


def shown(kind: str, author: str, body, me: str = ALICE) -> str:
    (line,) = event_lines(event(kind, author, body), me, NAMES.__getitem__)
    assert all(style.removeprefix("class:") in {"", *STYLES} for style, _ in line)
    return re.sub(r"\d\d \w{3,5} \d\d:\d\d", "THEN", plain(line)[7:])


def sent(payee: str, state: str = "completed", **more) -> kinds.PaymentSent:
    return kinds.PaymentSent("5.00", EUR, payee, state, "alt", **more)


SPLIT = kinds.BillSplit(
    "9.00", EUR, [Share(BOB, "3.00", "paid"), Share(ALICE, "6.00", "open")], "open", AT,
    "@bob splits 9.00 EUR", note="pizza",
)  # fmt: skip
PACKET = kinds.PacketMade(
    "8.00", EUR, 4, "lucky", "open", AT, "ab", "@bob put 8.00 EUR into a packet of 4 lucky shares"
)


@pytest.mark.parametrize(
    ("kind", "author", "body", "line"),
    [
        ("pay.send", ALICE, sent(BOB, fee="0.10", fee_on="payer"), "▲ you paid @bob 5.00 EUR · fee 0.10 on top"),
        (
            "pay.send", BOB, sent(ALICE, fee="0.10", fee_on="payee"),
            "▼ @bob paid you 5.00 EUR · fee 0.10 taken from it",
        ),
        (
            "pay.send", ALICE, sent(BOB, received=Money("800", "JPY"), rate="160", note="sushi"),
            "▲ you paid @bob 5.00 EUR as 800 JPY · sushi",
        ),
        ("pay.send", ALICE, sent(BOB, "pending", expires_at=AT), "△ you offer @bob 5.00 EUR · until THEN"),
        (
            "pay.send", BOB, sent(ALICE, "pending", expires_at=AT),
            "▽ @bob offers you 5.00 EUR · until THEN · /accept or /decline",
        ),
        ("pay.send", BOB, sent(CAROL, "pending", expires_at=AT), "◇ @bob offers @carol 5.00 EUR · until THEN"),
        ("pay.send", BOB, sent(ALICE, settles=kinds.Settles("paid")), "▼ @bob paid you 5.00 EUR ✓ as asked"),
        (
            "pay.send", BOB, sent(CAROL, settles=kinds.Settles("settled", Share(BOB, "5.00", "paid"))),
            "◆ @bob paid @carol 5.00 EUR ✓ a share, the split is settled",
        ),
        (
            "pay.request", BOB, kinds.PaymentRequested("5.00", EUR, ALICE, "open", AT, "…", "tea"),
            "○ @bob asks you for 5.00 EUR · tea · until THEN · /settle or /decline",
        ),
        (
            "pay.request", ALICE, kinds.PaymentRequested("5.00", EUR, BOB, "open", AT, "…"),
            "○ you ask @bob for 5.00 EUR · until THEN",
        ),
        (
            "pay.request", BOB, kinds.PaymentRequested("5.00", EUR, CAROL, "open", AT, "…"),
            "○ @bob asks @carol for 5.00 EUR · until THEN",
        ),
        (
            "pay.split", BOB, SPLIT,
            "○ @bob splits 9.00 EUR · pizza · your share 6.00 EUR, open · until THEN · /settle or /decline",
        ),
        (
            "pay.packet", BOB, PACKET,
            "○ @bob put 8.00 EUR into a packet of 4 lucky shares · until THEN · /claim",
        ),
        (
            "pay.claim", ALICE, kinds.PacketClaimed("2.00", EUR, ALICE, 1, 4, "open", "@alice got 2.00 EUR"),
            "○ @alice got 2.00 EUR · open, share 1 of 4",
        ),
        (
            "pay.claim", BOB, kinds.PacketClaimed("2.00", EUR, BOB, 4, 4, "emptied", "@bob got 2.00 EUR", "00"),
            "● @bob got 2.00 EUR · emptied, share 4 of 4; /check proves it",
        ),
        (
            "pay.accept", ALICE,
            kinds.PaymentAccepted("5.00", EUR, ALICE, "completed", "@alice accepted", fee="0.1", fee_on="payee"),
            "✓ @alice accepted · completed, fee 0.1 taken from it",
        ),
        (
            "pay.decline", BOB, kinds.PaymentDeclined("declined", "@bob declined", reason="no\x1b"),
            "✗ @bob declined · declined · no␛",
        ),
        ("pay.cancel", BOB, kinds.PaymentCancelled("cancelled", "@bob\r cancelled"), "✗ @bob␍ cancelled · cancelled"),
        (
            "pay.expire", "server", kinds.PaymentExpired("expired", "a packet expired", Money("1.00", EUR), "00"),
            "✗ a packet expired · expired, 1.00 EUR went back; /check proves it",
        ),
        ("pay.expire", "server", kinds.PaymentExpired("expired", "a request expired"), "✗ a request expired · expired"),
        (
            "pay.refund", BOB, kinds.PaymentRefunded("1.00", EUR, ALICE, "partly_refunded", "3.00", "@bob refunded"),
            "↩ @bob refunded · partly refunded, 3.00 EUR in all",
        ),
        (
            "pay.waive", BOB, kinds.ShareWaived(ALICE, "settled", Share(ALICE, "6.00", "waived"), "@bob waived"),
            "✓ @bob waived · settled",
        ),
        ("pay.remind", BOB, kinds.PaymentReminded([ALICE], "open", "@bob reminds @alice"), "○ @bob reminds @alice · open"),
        ("pay.faucet", ALICE, kinds.Deposited("9.00", EUR, ALICE, "completed", "…"), "▼ you received 9.00 EUR"),
        (
            "pay.cancel", BOB, kinds.PaymentCancelled("frozen_by_court", "@bob did something new"),
            "· @bob did something new · frozen by court",
        ),
    ],
)  # fmt: skip
def test_every_event_about_money_is_one_line(kind, author, body, line):
    assert shown(kind, author, body) == line


async def test_what_is_over_asks_for_nothing():
    desk = Desk()
    asked = await desk.happens(
        "pay.request", BOB, kinds.PaymentRequested("5.00", EUR, ALICE, "open", AT, "…", "tea")
    )
    assert "· /settle or /decline" in await desk.typed("/history 5")
    await desk.happens("pay.send", ALICE, sent(BOB, settles=kinds.Settles("paid")), asked.id)
    again = Desk()
    again.me.past = desk.me.past
    first, second = (await again.typed("/history 5")).splitlines()
    assert first.endswith("○ @bob asks you for 5.00 EUR · tea")
    assert second.endswith("▲ you paid @bob 5.00 EUR ✓ as asked")


def test_there_is_a_mark_for_every_state_that_is_known():
    assert {"completed", "pending", "open", "paid", "declined", "cancelled", "expired", "waived", "settled",
            "emptied", "partly_refunded", "refunded"} == set(MARKS)  # fmt: skip
    assert mark("of a later server") == "·"


@pytest.mark.parametrize(
    ("body", "style"),
    [
        (kinds.PaymentAccepted("5.00", EUR, ALICE, "completed", "…"), "class:in"),
        (kinds.PaymentAccepted("5.00", EUR, BOB, "completed", "…"), "class:good"),
        (kinds.PacketClaimed("5.00", EUR, ALICE, 1, 2, "open", "…"), "class:in"),
        (kinds.PaymentRefunded("5.00", EUR, ALICE, "refunded", "5.00", "…"), "class:in"),
        (kinds.PaymentRefunded("5.00", EUR, BOB, "refunded", "5.00", "…"), "class:between"),
        (kinds.PaymentDeclined("declined", "…"), "class:soft"),
    ],
)
def test_money_that_came_in_is_green(body, style):
    (line,) = event_lines(event("pay.x", BOB, body), ALICE, NAMES.__getitem__)
    assert line[1][0] == style


def test_a_moment_in_a_refusal_is_readable():
    state = {"limit": "100.00", "used": "90.00", "resets_at": AT}
    text = plain(error_line(LimitError("limit_daily", "Too much.", state=state)))
    assert re.search(r"limit 100\.00, used 90\.00, possible from \d\d \w+ \d\d:\d\d\)$", text)


# --- completion -----------------------------------------------------------------------------------


def offers(text: str) -> list[str]:
    me = SimpleNamespace(
        user=UserView(ALICE, "alice"),
        people={user: UserView(user, name) for user, name in NAMES.items()},
        balances={EUR: BalanceView(EUR, "5.00", "0.00", 1)},
        conversations={},
    )
    return [found.text for found in LineCompleter(me).get_completions(Document(text), CompleteEvent())]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("/req", ["/request"]),
        ("/request @c", ["@carol"]),
        ("/request @bob 5 E", ["EUR", "EGP"]),
        ("/offer ", ["@bob", "@carol"]),
        ("/exchange @bob 10 E", ["EUR"]),
        ("/exchange @bob 10 EUR ", ["to"]),
        ("/exchange @bob 10 EUR to J", ["JMD"]),
        ("/split 10 E", ["EUR"]),
        ("/split 10 EUR @b", ["@bob"]),
        ("/packet 8 E", ["EUR"]),
        ("/packet 8 EUR 4 ", ["lucky", "equal"]),
        ("/faucet 100 E", ["EUR"]),
        ("/refund 2 E", ["EUR"]),
        ("/waive ", ["@bob"]),
        ("/payments op", ["open"]),
        ("/payments @b", ["@bob"]),
        ("/statement E", ["EUR"]),
        ("/preview re", ["request", "refund"]),
        ("/preview pay @bob 5 E", ["EUR"]),
        ("/preview packet 8 EUR 4 l", ["lucky"]),
    ],
)
def test_completion_offers_what_fits(text, first):
    assert offers(text)[: len(first)] == first


@given(st.text(max_size=30))
def test_completion_never_fails(text):
    for name in ("preview", "payments", "packet", "exchange"):
        offers(f"/{name} {text}")


# --- commands, and the frames that come of them ---------------------------------------------------


class Me(Verbs):
    """A client that writes down what it would send; money comes to it in `lists`."""

    def __init__(self) -> None:
        super().__init__(self._id, lambda: ALICE, self._sent)
        self.preview = Previewable(self._id, lambda: ALICE, self._previewed)
        self.user = UserView(ALICE, "alice")
        self.mode = "live"
        self.people = {user: UserView(user, name) for user, name in NAMES.items()}
        bob = kinds.ConversationView(DM, "dm", 1, 1, "member", 1, 1, 2, peer=self.people[BOB])
        flat = kinds.ConversationView(GROUP, "group", 1, 1, "member", 1, 1, 3, title="Flat")
        self.conversations = {DM: bob, GROUP: flat}
        self.frames: list[dict] = []
        self.lists: list[kinds.PaymentView] = []
        self.past: list[Event] = []
        self.asked: list[dict] = []
        self._ids = 0

    def _id(self) -> str:
        self._ids += 1
        return f"00000000-0000-7000-8000-{self._ids:012d}"

    async def _sent(self, frame) -> None:
        decoded = codec.decode_client(codec.encode(frame))
        assert not isinstance(decoded, Refusal), decoded
        self.frames.append(codec.fields_of(codec.encode(frame)))

    async def _previewed(self, frame) -> Preview:
        self.asked.append(codec.fields_of(codec.encode(frame)))
        balance = BalanceView(EUR, "94.90", "0.00", 1)
        return Preview(
            frame.kind, sent(BOB), [Money("5.10", EUR)], [balance], fee=Money("0.10", EUR)
        )  # fmt: skip

    async def conversation(self, conv):
        return self.conversations.get(conv)

    async def send(self, conv, text):
        self.frames.append({"kind": "chat.text", "conv": conv, "body": {"text": text}})

    async def find_user(self, user):
        raise PlaceError("not_found", "There is no such person.")

    async def history(self, conv, *, after=None, before=None, limit=50):
        found = [event for event in self.past if event.conv == conv and (after is None or event.seq > after)]
        return found[:limit] if after is not None else found[-limit:]

    async def event(self, wanted):
        found = next((event for event in self.past if event.id == wanted), None)
        if found is None:
            raise PlaceError("not_found", "There is no such thing.")
        return found

    async def quote(self, *, sell, buy, amount, side="sell"):
        self.asked.append({"sell": sell, "buy": buy, "amount": amount, "side": side})
        return kinds.QuoteView(
            "00000000-0000-7000-8000-00000000abcd", Money(amount, sell), Money("1600", buy), "160", "0.01",
            "0.20", AT,
        )  # fmt: skip

    async def payments(self, **asked):
        self.asked.append(asked)
        for view in self.lists:
            yield view

    async def statement(self, currency, *, from_=None):
        self.asked.append({"currency": currency})
        lines = [
            kinds.StatementLine(1, AT, "i", DM, "pay.send", "pay.send", "-5.00", "5.00", "bob"),
            kinds.StatementLine(2, AT, "i", DM, "pay.send", "fee", "-0.10", "4.90"),
            kinds.StatementLine(
                3, AT, "i", DM, "pay.send", "pay.send", "1.00", "5.90", "a_handle_of_thirty_two_letters__"
            ),
            kinds.StatementLine(4, AT, "i", "self", "pay.deposit", "pay.deposit", "0.00", "5.90", "operator"),
        ]
        return Lines(currency, lines)

    def watch(self, *users) -> None:
        pass

    def read(self, conv, seq) -> None:
        pass


class Lines:
    opening, closing = "10.00", "5.90"

    def __init__(self, currency, lines) -> None:
        self.currency = currency
        self._lines = lines

    async def __aiter__(self):
        for line in self._lines:
            yield line


class Desk:
    """A terminal without a terminal."""

    def __init__(self, place: str | None = DM) -> None:
        self.me = Me()
        self.lines: list[str] = []
        self.actions = Actions(self.me, lambda line: self.lines.append(plain(line)))
        self.actions.place = place
        self.pos = 0

    async def typed(self, line: str) -> str:
        command = parse(line)
        assert command is not None
        await self.actions.run(command)
        text = "\n".join(self.lines)
        self.lines.clear()
        return text

    async def frame(self, line: str) -> dict:
        self.me.frames.clear()
        said = await self.typed(line)
        assert len(self.me.frames) == 1, said
        frame = self.me.frames[0]
        return {name: frame[name] for name in ("kind", "conv", "ref", "body") if name in frame}

    async def happens(self, kind: str, author: str, body, ref: str = "", conv: str = DM) -> Event:
        self.pos += 1
        own = f"00000000-0000-7000-8000-0000000{self.pos:05d}"
        more = {"ref": ref} if ref else {}
        happened = Event(kind, own, conv, self.pos, self.pos, author, AT, body, **more)
        self.me.past.append(happened)
        await self.actions.show_event(happened)
        self.lines.clear()
        return happened


FIVE = {"amount": "5.00", "currency": EUR}


@pytest.mark.parametrize(
    ("line", "place", "frame"),
    [
        ("/pay 5 EUR tea", DM, {"kind": "pay.send", "conv": DM, "body": FIVE | {"note": "tea"}}),
        ("/offer @carol 5 EUR", DM, {"kind": "pay.send", "conv": "@carol", "body": FIVE | {"accept": True}}),
        ("/offer @bob 5 EUR", GROUP, {"kind": "pay.send", "conv": GROUP, "body": FIVE | {"payee": "@bob", "accept": True}}),
        ("/request @bob 5 EUR", DM, {"kind": "pay.request", "conv": "@bob", "body": FIVE}),
        ("/request @bob 5 EUR tea", GROUP, {"kind": "pay.request", "conv": GROUP, "body": FIVE | {"payer": "@bob", "note": "tea"}}),
        (
            "/packet 8 EUR 4 equal", GROUP,
            {
                "kind": "pay.packet", "conv": GROUP,
                "body": {"total": "8.00", "currency": EUR, "count": 4, "mode": "equal"},
            },
        ),
        ("/faucet 5 EUR", None, {"kind": "pay.faucet", "conv": "self", "body": FIVE}),
    ],
)  # fmt: skip
async def test_a_command_is_one_frame(line, place, frame):
    assert await Desk(place).frame(line) == frame


@pytest.mark.parametrize(
    "line", ["/pay 5 EUR", "/split 5 EUR @bob", "/packet 5 EUR 2", "/claim", "/exchange 5 EUR to JPY"]
)
async def test_money_needs_a_place(line):
    desk = Desk(None)
    assert "/to @handle" in await desk.typed(line)
    assert desk.me.frames == []


async def test_what_is_meant_is_the_last_payment_that_fits():
    desk = Desk()
    first = await desk.happens("pay.send", BOB, sent(ALICE, "pending", expires_at=AT))
    second = await desk.happens("pay.send", BOB, sent(ALICE, "pending", expires_at=AT))
    mine = await desk.happens("pay.send", ALICE, sent(BOB, "pending", expires_at=AT))
    await desk.happens("pay.send", CAROL, sent(ALICE, "pending", expires_at=AT), conv=GROUP)
    assert await desk.frame("/accept") == {"kind": "pay.accept", "conv": DM, "ref": second.id, "body": {}}
    assert (await desk.frame("/decline too much"))["body"] == {"reason": "too much"}
    assert (await desk.frame("/cancel"))["ref"] == mine.id
    await desk.happens(
        "pay.accept", ALICE, kinds.PaymentAccepted("5.00", EUR, ALICE, "completed", "…"), second.id
    )
    assert (await desk.frame("/accept"))["ref"] == first.id
    assert await desk.frame("/refund 2 EUR") == {
        "kind": "pay.refund", "conv": DM, "ref": second.id, "body": {"amount": "2.00"},
    }  # fmt: skip
    assert "nothing in" in await desk.typed("/refund 2 JPY")
    assert "nothing in" in await desk.typed("/remind")


async def test_requests_and_splits():
    desk = Desk(GROUP)
    asked = await desk.happens(
        "pay.request", BOB, kinds.PaymentRequested("5.00", EUR, ALICE, "open", AT, "…"), conv=GROUP
    )
    assert await desk.frame("/settle") == {
        "kind": "pay.send", "conv": GROUP, "ref": asked.id, "body": FIVE | {"payee": BOB},
    }  # fmt: skip
    await desk.happens("pay.send", ALICE, sent(BOB, settles=kinds.Settles("paid")), asked.id, conv=GROUP)
    assert "nothing in" in await desk.typed("/settle")
    mine = kinds.BillSplit(
        "9.00", EUR, [Share(BOB, "4.00", "open"), Share(CAROL, "5.00", "open")], "open", AT, "…"
    )
    bill = await desk.happens("pay.split", ALICE, mine, conv=GROUP)
    assert await desk.frame("/waive @bob") == {
        "kind": "pay.waive", "conv": GROUP, "ref": bill.id, "body": {"user": "@bob"},
    }  # fmt: skip
    assert (await desk.frame("/remind"))["ref"] == bill.id
    assert (await desk.frame("/cancel"))["ref"] == bill.id


async def test_packets_in_a_group_and_in_a_dm():
    desk = Desk(GROUP)
    packet = await desk.happens("pay.packet", ALICE, PACKET, conv=GROUP)
    assert (await desk.frame("/claim"))["ref"] == packet.id
    await desk.happens(
        "pay.claim", ALICE, kinds.PacketClaimed("2.00", EUR, ALICE, 1, 4, "open", "…"), packet.id, GROUP
    )
    assert "nothing in" in await desk.typed("/claim")
    desk.actions.place = DM
    theirs = await desk.happens("pay.packet", BOB, PACKET)
    await desk.happens("pay.packet", ALICE, PACKET)  # one cannot claim one's own there
    assert (await desk.frame("/claim"))["ref"] == theirs.id


OLD = "00000000-0000-7000-8000-0000000000ff"


async def test_a_payment_that_was_not_shown_is_asked_for():
    desk = Desk()
    desk.me.lists = [
        kinds.PaymentView("elsewhere", "pay.send", GROUP, 9, AT, "5.00", EUR, "pending", CAROL, ALICE),
        kinds.PaymentView("over", "pay.send", DM, 8, AT, "5.00", EUR, "completed", BOB, ALICE),
        kinds.PaymentView(OLD, "pay.send", DM, 7, AT, "5.00", EUR, "pending", BOB, ALICE),
    ]
    assert await desk.frame("/accept") == {"kind": "pay.accept", "conv": DM, "ref": OLD, "body": {}}


async def test_the_list_and_its_numbers():
    desk = Desk()
    assert "there is no #1" in await desk.typed("/accept #1")
    split = [Share(ALICE, "4.00", "open"), Share(BOB, "5.00", "paid")]
    desk.me.lists = [
        kinds.PaymentView(OLD, "pay.send", GROUP, 9, AT, "5.00", EUR, "pending", CAROL, ALICE),
        kinds.PaymentView("i2", "pay.request", DM, 8, AT, "5.00", EUR, "paid", ALICE, BOB),
        kinds.PaymentView("i3", "pay.split", GROUP, 7, AT, "9.00", EUR, "open", None, BOB, shares=split),
        kinds.PaymentView("i4", "pay.packet", GROUP, 6, AT, "8.00", EUR, "open", ALICE, claimed=1, count=4),
        kinds.PaymentView(
            "i5", "pay.send", DM, 5, AT, "5.00", EUR, "partly_refunded", ALICE, BOB, refunded="1.00"
        ),
        kinds.PaymentView("i6", "pay.deposit", DM, 4, AT, "50.00", EUR, "completed", None, ALICE),
    ]
    lines = (await desk.typed("/payments open @bob EUR")).splitlines()
    assert desk.me.asked[-1] == {"state": "open", "with_": "@bob", "currency": EUR, "page": 20}
    wanted = [
        r"#1 .* ○ pending +@carol offered you 5\.00 EUR · /accept or /decline$",
        r"#2 .* ✓ paid +@bob asked you for 5\.00 EUR$",
        r"#3 .* ○ open +@bob split 9\.00 EUR, your share 4\.00 open · /settle or /decline$",
        r"#4 .* ○ open +a packet of 8\.00 EUR by you, 1 of 4 claimed$",
        r"#5 .* ↩ partly refunded +you paid @bob 5\.00 EUR, 1\.00 refunded$",
        r"#6 .* ✓ completed +you received 50\.00 EUR$",
    ]
    assert len(lines) == len(wanted)
    for line, pattern in zip(lines, wanted, strict=True):
        assert re.search(pattern, line), line
    assert await desk.frame("/accept #1") == {"kind": "pay.accept", "conv": GROUP, "ref": OLD, "body": {}}
    assert "there is no #7" in await desk.typed("/accept #7")
    assert "asks you for no money" in await desk.typed("/settle #6")
    desk.me.lists = []
    assert "no such payments" in await desk.typed("/payments")


@pytest.mark.parametrize("state", ["declined", "cancelled", "expired", "pending"])
async def test_what_was_never_taken_was_not_paid(state):
    desk = Desk()
    desk.me.lists = [kinds.PaymentView(OLD, "pay.send", DM, 9, AT, "5.00", EUR, state, ALICE, BOB)]
    line = await desk.typed("/payments")
    assert "you offered @bob 5.00 EUR" in line
    assert "paid" not in line


async def test_a_list_has_notes():
    desk = Desk()
    paid = await desk.happens("pay.send", BOB, sent(ALICE, note="rent \x1b[2J"))
    desk.me.past.append(Event("pay.send", OLD, DM, 9, 9, BOB, AT, sent(ALICE, note="further back")))
    desk.me.lists = [
        kinds.PaymentView(paid.id, "pay.send", DM, 9, AT, "5.00", EUR, "completed", BOB, ALICE),
        kinds.PaymentView(OLD, "pay.send", DM, 9, AT, "5.00", EUR, "completed", BOB, ALICE),
    ]
    first, second = (await desk.typed("/payments")).splitlines()
    assert "· rent ␛[2J" in first
    assert "· further back" in second


async def test_a_statement():
    lines = (await Desk(None).typed("/statement eur 7")).splitlines()
    assert [re.sub(r" +", " ", line).strip() for line in (lines[0], lines[-1])] == [
        "before 10.00 EUR",
        "now 5.90 EUR",
    ]
    assert re.search(r"-5\.00 +5\.00 +@bob  pay\.send$", lines[1])
    assert re.search(r"-0\.10 +4\.90 +fee$", lines[2])
    assert re.search(r"\+1\.00 +5\.90 +@a_handle_of_thirty_two_letters__  pay\.send$", lines[3])
    assert re.search(r" +operator  pay\.deposit$", lines[4])


async def test_a_preview_sends_nothing():
    desk = Desk()
    text = await desk.typed("/preview pay @bob 5 EUR")
    assert desk.me.asked == [{"kind": "pay.send", "id": desk.me.asked[0]["id"], "conv": "@bob", "body": FIVE}]
    assert desk.me.frames == []
    assert "would be: alt · completed; nothing was sent" in text
    assert "would leave or be held: 5.10 EUR" in text
    assert "of it the fee: 0.10 EUR" in text
    assert "then you would have: 94.90 EUR" in text


@pytest.mark.parametrize("yes", ["y", "Y", "yes"])
async def test_an_exchange_asks_first(yes):
    desk = Desk(GROUP)
    text = await desk.typed("/exchange @bob 10 EUR to JPY sushi")
    assert (
        "? @bob gets 1600 JPY for your 10.00 EUR and a fee of 0.20 EUR · rate 160, margin 0.01 EUR, until "
        in text
    )
    assert desk.me.asked == [{"sell": EUR, "buy": "JPY", "amount": "10.00", "side": "sell"}]
    assert desk.me.frames == []
    desk.actions.place = DM  # the question is still about the group
    assert await desk.frame(yes) == {
        "kind": "pay.send", "conv": GROUP,
        "body": {
            "amount": "10.00", "currency": EUR, "payee": "@bob", "note": "sushi",
            "quote": "00000000-0000-7000-8000-00000000abcd",
        },
    }  # fmt: skip
    assert desk.actions.payments.question is None


@pytest.mark.parametrize(("answer", "then"), [("n", ""), ("no", ""), ("/payments", "no such payments")])
async def test_an_exchange_that_is_not_wanted(answer, then):
    desk = Desk()
    assert "? @bob gets 1600 JPY" in await desk.typed("/exchange 10 EUR to JPY")
    text = await desk.typed(answer)
    assert "not paid: 10.00 EUR to JPY" in text
    assert then in text
    assert desk.me.frames == []
    assert desk.actions.payments.question is None


@pytest.mark.parametrize(
    ("line", "shown", "own", "shares"),
    [
        (
            "/split 10 EUR @bob=4 @carol pizza", "@bob 4.00, @carol 6.00", False,
            [{"user": "@bob", "amount": "4.00"}, {"user": "@carol", "amount": "6.00"}],
        ),
        ("/split 10 EUR @bob @carol", "@bob 5.00, @carol 5.00", False, [{"user": "@bob"}, {"user": "@carol"}]),
        (
            "/split 10 EUR @bob @alice @carol", "@bob 3.34, @alice 3.33, @carol 3.33", True,
            [{"user": "@bob"}, {"user": "@alice"}, {"user": "@carol"}],
        ),
    ],
)  # fmt: skip
async def test_a_split_shows_its_shares_and_asks(line, shown, own, shares):
    desk = Desk(GROUP)
    text = await desk.typed(line)
    assert shown in text
    assert ("you pay nothing of it" in text) == (not own)
    assert desk.me.frames == []
    assert (await desk.frame("y"))["body"]["shares"] == shares
    await desk.typed(line)
    assert "not paid" in await desk.typed("n")
    assert len(desk.me.frames) == 1


async def test_shares_that_do_not_add_up_are_said_at_once():
    desk = Desk(GROUP)
    for line in (
        "/split 10 EUR @bob=4 @carol=5",
        "/split 10 EUR @bob=10 @carol",
        "/split 0.01 EUR @bob @carol",
    ):
        assert "do not add up" in await desk.typed(line)
    assert desk.me.frames == []
    assert desk.actions.payments.question is None


LARGE = ("/pay 100 EUR", "/pay @carol 1000 EUR", "/offer 500 EUR", "/packet 100 EUR 4", "/pay 10000 JPY")


@pytest.mark.parametrize("line", LARGE)
async def test_a_large_sum_asks_first(line):
    desk = Desk()
    text = await desk.typed(line)
    assert "sure? y/n" in text
    assert desk.me.frames == []
    assert "not paid" in await desk.typed("hello")
    assert [frame["kind"] for frame in desk.me.frames] == ["chat.text"]
    await desk.typed(line)
    assert (await desk.frame("y"))["kind"].startswith("pay.")


async def test_what_is_large_can_be_set():
    desk = Desk()
    assert "before 10.00 EUR or more" in await desk.typed("/ask 10 EUR")
    await desk.typed("/pay 10 EUR")
    assert desk.me.frames == []
    await desk.typed("n")
    assert (await desk.frame("/pay 9.99 EUR"))["kind"] == "pay.send"
    await desk.typed("/ask 5000 EUR")
    assert (await desk.frame("/pay 4999 EUR"))["kind"] == "pay.send"


async def test_a_large_request_asks_before_it_is_paid():
    desk = Desk(GROUP)
    body = kinds.PaymentRequested("500.00", EUR, ALICE, "open", AT, "…")
    asked = await desk.happens("pay.request", BOB, body, conv=GROUP)
    assert "settle 500.00 EUR" in await desk.typed("/settle")
    assert desk.me.frames == []
    assert (await desk.frame("y"))["ref"] == asked.id


async def test_a_payment_among_pasted_lines_asks_and_no_pasted_line_answers():
    desk = Desk()

    async def pasted(line: str) -> str:
        command = parse(line)
        await desk.actions.run(command, hurried=True)
        text, desk.lines[:] = "\n".join(desk.lines), []
        return text

    assert "pasted with other lines" in await pasted("/pay 5 EUR")
    assert "not paid" in await pasted("y")
    assert desk.me.frames == []
    await pasted("/pay 5 EUR")
    assert (await desk.frame("y"))["kind"] == "pay.send"


@pytest.mark.parametrize("text", ["/pay 5 EUR\nhello", "/pay 5 EUR\r\n/pay 6 EUR", "/faucet 5 EUR\n"])
async def test_a_command_with_more_lines_does_nothing(text):
    desk = Desk()
    if "\n" in text.strip():
        assert "nothing was done" in await desk.typed(text)
        assert desk.me.frames == []


# --- packets are checked --------------------------------------------------------------------------


async def ended_packet(desk: Desk, *, honest: bool) -> Event:
    seed, number = bytes(32), 3
    own = f"00000000-0000-7000-8000-0000000{desk.pos + 1:05d}"
    drawn = packets.draw(seed, 900, number, "lucky")
    promise = packets.proof(seed, own, drawn)
    made = kinds.PacketMade("9.00", EUR, number, "lucky", "open", AT, promise, "…")
    packet = await desk.happens("pay.packet", BOB, made, conv=GROUP)
    assert packet.id == own
    for n, (user, share) in enumerate(zip(NAMES, drawn if honest else drawn[::-1], strict=True), 1):
        await desk.happens("chat.text", BOB, kinds.TextPosted("in between"), packet.id, conv=GROUP)
        end = {"seed": seed.hex()} if n == number else {}
        state = "emptied" if end else "open"
        amount = f"{share // 100}.{share % 100:02d}"
        body = kinds.PacketClaimed(amount, EUR, user, n, number, state, "…", **end)
        await desk.happens("pay.claim", user, body, packet.id, conv=GROUP)
    return packet


@pytest.mark.parametrize("honest", [True, False])
async def test_the_last_packet_is_checked(honest):
    desk = Desk(GROUP)
    assert "no packet that ended" in await desk.typed("/check")
    await ended_packet(desk, honest=honest)
    await desk.happens("pay.packet", BOB, PACKET, conv=GROUP)  # not ended: it is not the one
    text = await desk.typed("/check")
    if honest:
        assert "✓ the packet of 9.00 EUR was fair · drawn before the first claim:" in text
    else:
        assert "✗ the packet of 9.00 EUR was not fair" in text
        assert re.search(r"claim 1 got \S+ EUR, but \S+ EUR was drawn", text)


async def test_a_packet_of_the_list_is_checked():
    desk = Desk(None)
    packet = await ended_packet(desk, honest=True)
    desk.me.lists = [
        kinds.PaymentView(
            packet.id, "pay.packet", GROUP, 1, AT, "9.00", EUR, "emptied", BOB, claimed=3, count=3
        ),
        kinds.PaymentView("open", "pay.packet", GROUP, 1, AT, "9.00", EUR, "open", BOB, claimed=3, count=3),
    ]
    await desk.typed("/payments")
    assert "was fair" in await desk.typed("/check 1")
    assert "once it has ended" in await desk.typed("/check 2")


# --- play money is said to be that ----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sandbox", "live"])
def test_a_sandbox_is_seen(mode):
    desk = Desk()
    desk.me.mode = mode
    terminal = Terminal(desk.me, interactive=False)
    desk.actions.greet()
    assert ("play money" in "\n".join(desk.lines)) == (mode == "sandbox")
    assert plain(terminal._prompt()).startswith("sandbox: play money ") == (mode == "sandbox")


async def test_the_prompt_shows_what_it_asks():
    desk = Desk()
    await desk.typed("/exchange 10 EUR to JPY")
    terminal = Terminal(desk.me, interactive=False)
    terminal.actions = desk.actions
    assert plain(terminal._prompt()) == "@bob 10.00 EUR to JPY? y/n > "
