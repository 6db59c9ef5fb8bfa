"""What the terminal shows: one readable line for each thing, and nothing that acts on the screen."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth
from tests.support.terminal import ALICE, AT, BOB, CAROL, EUR, GROUP, NAMES, PACKET, sent

from tuppence_client.errors import ConnectionEnded, FundsError, LimitError, error_of
from tuppence_client.terminal.render import (
    balance_line,
    error_line,
    event_lines,
    handle_style,
    place_line,
    place_title,
    plain,
)
from tuppence_client.terminal.render_money import MARKS, mark
from tuppence_client.terminal.sanitize import clean, clean_lines
from tuppence_client.terminal.style import STYLES
from tuppence_client.terminal.words import ended
from tuppence_client.terminal.wrap import wrapped
from tuppence_protocol import kinds
from tuppence_protocol.errors import CODES, Refusal
from tuppence_protocol.events import Event, UnknownBody
from tuppence_protocol.views import BalanceView, Money, Share, UserView


def event(kind: str, author: str, body, ref: str = "", conv: str = GROUP, pos: int = 1) -> Event:
    more = {"ref": ref} if ref else {}
    return Event(kind, f"e{pos}", conv, pos, pos, author, AT, body, **more)


def lines_of(kind: str, author: str, body, me: str = ALICE) -> list[str]:
    lines = event_lines(event(kind, author, body), me, NAMES.__getitem__)
    for line in lines:
        assert all(style.removeprefix("class:").split()[0] in STYLES for style, _ in line if style), line
    texts = [plain(line)[7:] if n == 0 else plain(line) for n, line in enumerate(lines)]
    return [re.sub(r"\d\d \w{3,5} \d\d:\d\d", "THEN", text) for text in texts]


# --- what must never reach the screen -------------------------------------------------------------


@given(st.text())
def test_nothing_that_acts_on_a_terminal_is_left(text):
    for line in clean_lines(text):
        categories = {unicodedata.category(char) for char in line}
        assert not categories & {"Cc", "Cs", "Zl", "Zp", "Cn", "Co"}
        assert all(char in "\u200c\u200d" for char in line if unicodedata.category(char) == "Cf")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b[2J", "␛[2J"),
        ("a\rb", "a␍b"),
        ("\x9b31m", "<U+009B>31m"),
        ("abc\u202edef", "abc<U+202E>def"),
        ("\u2066x\u2069", "<U+2066>x<U+2069>"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        ("a\tb", "a b"),
        ("\x7f", "␡"),
        ("👩\u200d🚀 ünïcode 日本語", "👩\u200d🚀 ünïcode 日本語"),
        ("e" + "\u0301" * 40, "e" + "\u0301" * 4),
    ],
)
def test_others_text_is_made_harmless(text, safe):
    assert clean(text) == safe


def test_a_second_line_cannot_pass_for_another_message():
    first, second = lines_of("chat.text", BOB, kinds.TextPosted(text="hi\r\n12:00  @alice  I owe you"))
    assert first == "@bob  hi"
    assert second == "     │ 12:00  @alice  I owe you"


# --- how it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "author", "line"),
    [
        (kinds.TextPosted("hi"), ALICE, "you  hi"),
        (sent(BOB, note="lunch"), ALICE, "▲ you paid @bob 5.00 EUR · lunch"),
        (sent(ALICE, note="a\nb\x1b"), BOB, "▼ @bob paid you 5.00 EUR · a␊b␛"),
        (sent(CAROL), BOB, "◆ @bob paid @carol 5.00 EUR"),
        (sent(ALICE), "server", "▼ the server paid you 5.00 EUR"),
        (kinds.MemberLeft(alt="@bob\r left"), BOB, "· @bob␍ left"),
        (UnknownBody(alt=""), BOB, "· pay.future"),
    ],
)
def test_an_event_is_one_readable_line(body, author, line):
    assert lines_of("pay.future", author, body) == [line]


def test_a_deposit_is_seen_by_its_payee_and_others():
    body = kinds.Deposited(
        amount="9.00", currency="EUR", payee=ALICE, state="completed", alt="…", note="cash"
    )
    assert lines_of("pay.deposit", "server", body, ALICE) == ["▼ you received 9.00 EUR · cash"]
    assert lines_of("pay.deposit", "server", body, BOB) == ["▼ @alice received 9.00 EUR · cash"]


def test_places_balances_and_errors():
    dm = kinds.ConversationView(
        conv="c_1", kind="dm", seq=5, pos=9, role="member", since=1, read=2, members=2,
        peer=UserView(id=BOB, handle="bob"),
    )  # fmt: skip
    assert place_title(dm) == "@bob"
    assert "● 3 unread" in plain(place_line(1, dm, current=True))
    balance = BalanceView(currency="EUR", available="5.00", held="0.00", pos=1)
    assert plain(balance_line(balance)).strip() == "5.00 EUR"
    error = FundsError("insufficient_funds", "Not covered.\x1b", state={"available": "1.00"})
    assert plain(error_line(error)) == "✗ Not covered.␛ (available 1.00)"
    assert handle_style("bob") == handle_style("bob")


SPLIT = kinds.BillSplit(
    "9.00", EUR, [Share(BOB, "3.00", "paid"), Share(ALICE, "6.00", "open")], "open", AT,
    "@bob splits 9.00 EUR", note="pizza",
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "author", "body", "line"),
    [
        ("pay.send", ALICE, sent(BOB, fee="0.10", fee_on="payer"),
         "▲ you paid @bob 5.00 EUR · fee 0.10 on top"),
        ("pay.send", BOB, sent(ALICE, fee="0.10", fee_on="payee"),
         "▼ @bob paid you 5.00 EUR · fee 0.10 taken from it"),
        ("pay.send", ALICE, sent(BOB, received=Money("800", "JPY"), rate="160", note="sushi"),
         "▲ you paid @bob 5.00 EUR as 800 JPY · sushi"),
        ("pay.send", ALICE, sent(BOB, "pending", expires_at=AT), "△ you offer @bob 5.00 EUR · until THEN"),
        ("pay.send", BOB, sent(ALICE, "pending", expires_at=AT),
         "▽ @bob offers you 5.00 EUR · until THEN · /accept or /decline"),
        ("pay.send", BOB, sent(CAROL, "pending", expires_at=AT),
         "◇ @bob offers @carol 5.00 EUR · until THEN"),
        ("pay.send", BOB, sent(ALICE, settles=kinds.Settles("paid")), "▼ @bob paid you 5.00 EUR ✓ as asked"),
        ("pay.send", BOB, sent(CAROL, settles=kinds.Settles("settled", Share(BOB, "5.00", "paid"))),
         "◆ @bob paid @carol 5.00 EUR ✓ a share, the split is settled"),
        ("pay.request", BOB, kinds.PaymentRequested("5.00", EUR, ALICE, "open", AT, "…", "tea"),
         "○ @bob asks you for 5.00 EUR · tea · until THEN · /settle or /decline"),
        ("pay.request", ALICE, kinds.PaymentRequested("5.00", EUR, BOB, "open", AT, "…"),
         "○ you ask @bob for 5.00 EUR · until THEN"),
        ("pay.request", BOB, kinds.PaymentRequested("5.00", EUR, CAROL, "open", AT, "…"),
         "○ @bob asks @carol for 5.00 EUR · until THEN"),
        ("pay.split", BOB, SPLIT,
         "○ @bob splits 9.00 EUR · pizza · your share 6.00 EUR, open · until THEN · /settle or /decline"),
        ("pay.packet", BOB, PACKET,
         "○ @bob put 8.00 EUR into a packet of 4 lucky shares · until THEN · /claim"),
        ("pay.claim", ALICE, kinds.PacketClaimed("2.00", EUR, ALICE, 1, 4, "open", "@alice got 2.00 EUR"),
         "○ @alice got 2.00 EUR · open, share 1 of 4"),
        ("pay.claim", BOB, kinds.PacketClaimed("2.00", EUR, BOB, 4, 4, "emptied", "@bob got 2.00 EUR", "00"),
         "● @bob got 2.00 EUR · emptied, share 4 of 4; /check proves it"),
        ("pay.accept", ALICE,
         kinds.PaymentAccepted("5.00", EUR, ALICE, "completed", "@alice accepted", fee="0.1", fee_on="payee"),
         "✓ @alice accepted · completed, fee 0.1 taken from it"),
        ("pay.decline", BOB, kinds.PaymentDeclined("declined", "@bob declined", reason="no\x1b"),
         "✗ @bob declined · declined · no␛"),
        ("pay.cancel", BOB, kinds.PaymentCancelled("cancelled", "@bob\r cancelled"),
         "✗ @bob␍ cancelled · cancelled"),
        ("pay.expire", "server",
         kinds.PaymentExpired("expired", "a packet expired", Money("1.00", EUR), "00"),
         "✗ a packet expired · expired, 1.00 EUR went back; /check proves it"),
        ("pay.expire", "server", kinds.PaymentExpired("expired", "a request expired"),
         "✗ a request expired · expired"),
        ("pay.refund", BOB,
         kinds.PaymentRefunded("1.00", EUR, ALICE, "partly_refunded", "3.00", "@bob refunded"),
         "↩ @bob refunded · partly refunded, 3.00 EUR in all"),
        ("pay.waive", BOB, kinds.ShareWaived(ALICE, "settled", Share(ALICE, "6.00", "waived"), "@bob waived"),
         "✓ @bob waived · settled"),
        ("pay.remind", BOB, kinds.PaymentReminded([ALICE], "open", "@bob reminds @alice"),
         "○ @bob reminds @alice · open"),
        ("pay.faucet", ALICE, kinds.Deposited("9.00", EUR, ALICE, "completed", "…"),
         "▼ you received 9.00 EUR"),
        ("pay.cancel", BOB, kinds.PaymentCancelled("frozen_by_court", "@bob did something new"),
         "· @bob did something new · frozen by court"),
    ],
)  # fmt: skip
def test_every_event_about_money_is_one_line(kind, author, body, line):
    assert lines_of(kind, author, body) == [line]


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


# --- plain words ----------------------------------------------------------------------------------

PROGRAMMERS = re.compile(
    r"[`$_{}]|\b(frame|JSON|UUID|ISO|close code|str|null|id|ref|retry|token|inbox|queue)\b", re.IGNORECASE
)


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.name)
def test_every_refusal_is_said_in_words_for_people(code):
    said = plain(error_line(error_of(Refusal(code.name, code.meaning, "$.body.amount"))))
    assert not PROGRAMMERS.search(said), said
    assert said.startswith("✗ ")


@pytest.mark.parametrize("number", [*range(1000, 1016), *range(4000, 4010), *range(4499, 4508), 4999])
def test_every_end_is_said_in_words_for_people(number):
    said = ended(ConnectionEnded(number, "some_reason"))
    assert not PROGRAMMERS.search(said), said
    assert not re.search(r"\d", said)


@given(st.text(max_size=60), st.integers(1, 60))
def test_no_row_is_wider_than_the_screen_and_no_word_is_lost(text, columns):
    line = [("class:time", "12:00  "), ("class:me", "you"), ("", f"  {clean(text)}")]
    rows = wrapped(line, columns)
    width = max(columns, 12)
    assert all(sum(map(get_cwidth, plain(row))) <= max(width, 2) for row in rows)
    assert "".join(plain(line).split()) == "".join("".join(map(plain, rows)).split())


def test_words_stay_whole_where_they_fit():
    words = [f"word{n}" for n in range(30)]
    rows = wrapped([("class:time", "12:00  "), ("", " ".join(words))], 40)
    assert [word for row in rows for word in plain(row).split()][1:] == words
    assert all(plain(row).startswith("       ") for row in rows[1:])
