"""The terminal without a terminal: what is typed, what is shown, and what must never reach the screen."""

import re
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.utils import get_cwidth

from tuppence_client.errors import ConnectionEnded, FundsError, error_of
from tuppence_client.terminal import commands as cmd
from tuppence_client.terminal import money_commands as mc
from tuppence_client.terminal.commands import parse
from tuppence_client.terminal.complete import LineCompleter
from tuppence_client.terminal.help import HELP
from tuppence_client.terminal.render import (
    balance_line,
    error_line,
    event_lines,
    handle_style,
    place_line,
    place_title,
    plain,
)
from tuppence_client.terminal.sanitize import clean, clean_lines
from tuppence_client.terminal.words import ended
from tuppence_client.terminal.wrap import wrapped
from tuppence_protocol.errors import CODES, Refusal
from tuppence_protocol.events import Event, UnknownBody
from tuppence_protocol.kinds import ConversationView, Deposited, MemberLeft, PaymentSent, TextPosted
from tuppence_protocol.views import BalanceView, Extensible, UserView

ALICE = "u_" + "a" * 26
BOB = "u_" + "b" * 26
CAROL = "u_" + "c" * 26
NAMES = {ALICE: "alice", BOB: "bob", CAROL: "carol"}


def event(body: Extensible, author: str = BOB, kind: str = "chat.text") -> Event:
    return Event(
        kind=kind, id="i", conv="c_1", seq=1, pos=1, from_=author, at=1_790_000_000_000, body=body
    )  # fmt: skip


def shown(body: Extensible, author: str = BOB, kind: str = "chat.text", me: str = ALICE) -> list[str]:
    lines = event_lines(event(body, author, kind), me, NAMES.__getitem__)
    return [plain(line)[7:] if n == 0 else plain(line) for n, line in enumerate(lines)]


def payment(payee: str, note: str | None = None) -> PaymentSent:
    given_note = {} if note is None else {"note": note}
    return PaymentSent(
        amount="5.00", currency="EUR", payee=payee, state="completed", alt="paid", **given_note
    )  # fmt: skip


# --- what is typed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("hello /there", cmd.Say("hello /there")),
        ("//shrug", cmd.Say("/shrug")),
        ("  ", None),
        ("/pay @bob 5 EUR lunch today", mc.Pay("@bob", "5.00", "EUR", "lunch today")),
        ("/pay 12.5 eur", mc.Pay(None, "12.50", "EUR", None)),
        ("/pay @bob 100 JPY", mc.Pay("@bob", "100", "JPY", None)),
        ("/to @bob", cmd.To("@bob")),
        ("/to Flat share", cmd.To("Flat share")),
        ("/group Flat share @bob @carol", cmd.Group("Flat share", ("@bob", "@carol"))),
        ("/group Alone", cmd.Group("Alone", ())),
        ("/invite @bob @carol", cmd.Invite(("@bob", "@carol"))),
        ("/remove @bob", cmd.Remove("@bob")),
        ("/role @bob admin", cmd.Role("@bob", "admin")),
        ("/rename Our flat", cmd.Rename("Our flat")),
        ("/history", cmd.History(20)),
        ("/history 5", cmd.History(5)),
        *[
            (f"/{name}", cmd.Plain(name))
            for name in ("list", "wallet", "who", "read", "help", "quit", "leave")
        ],
    ],
)
def test_a_line_becomes_a_command(line, command):
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        "/pay", "/pay @bob", "/pay @bob 5", "/pay @bob five EUR", "/pay @bob -5 EUR", "/pay @bob 5.001 EUR",
        "/pay @bob 1e3 EUR", "/pay @bob 5 XXX1", "/pay @Böb 5 EUR", "/to", "/group", "/group @bob",
        "/invite", "/invite bob", "/remove", "/remove @bob @carol", "/role @bob", "/role @bob king",
        "/rename", "/history 0", "/history 201", "/history x", "/history ٣", "/wallet now", "/unknown", "/",
    ],
)  # fmt: skip
def test_a_wrong_line_gets_one_complaint(line):
    found = parse(line)
    assert isinstance(found, cmd.Complaint)
    assert "\n" not in found.text


@given(st.text(max_size=60))
def test_no_line_crashes_the_parser(line):
    parse(line)
    parse("/pay " + line)
    parse("/group " + line)


def test_every_example_in_the_help_is_a_command():
    for line, _ in HELP:
        assert not isinstance(parse(line), cmd.Complaint), line


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
    first, second = shown(TextPosted(text="hi\r\n12:00  @alice  I owe you"))
    assert first == "@bob  hi"
    assert second == "     │ 12:00  @alice  I owe you"


# --- how it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "author", "line"),
    [
        (TextPosted(text="hi"), ALICE, "you  hi"),
        (payment(BOB, "lunch"), ALICE, "▲ you paid @bob 5.00 EUR · lunch"),
        (payment(ALICE, "a\nb\x1b"), BOB, "▼ @bob paid you 5.00 EUR · a␊b␛"),
        (payment(CAROL), BOB, "◆ @bob paid @carol 5.00 EUR"),
        (payment(ALICE), "server", "▼ the server paid you 5.00 EUR"),
        (MemberLeft(alt="@bob\r left"), BOB, "· @bob␍ left"),
        (UnknownBody(alt=""), BOB, "· pay.future"),
    ],
)
def test_an_event_is_one_readable_line(body, author, line):
    kind = "pay.future" if isinstance(body, UnknownBody) else "chat.text"
    assert shown(body, author, kind) == [line]


def test_a_deposit_is_seen_by_its_payee_and_others():
    body = Deposited(amount="9.00", currency="EUR", payee=ALICE, state="completed", alt="…", note="cash")
    assert shown(body, "server", me=ALICE) == ["▼ you received 9.00 EUR · cash"]
    assert shown(body, "server", me=BOB) == ["▼ @alice received 9.00 EUR · cash"]


def test_places_balances_and_errors():
    dm = ConversationView(
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


# --- completion -----------------------------------------------------------------------------------


def offers(text: str) -> list[str]:
    views = [
        SimpleNamespace(kind="group", title="Flat", peer=None, conv="c_1"),
        SimpleNamespace(kind="dm", title="", peer=UserView(id=BOB, handle="bob"), conv="c_2"),
    ]
    me = SimpleNamespace(
        user=UserView(id=ALICE, handle="alice"),
        people={user: UserView(id=user, handle=name) for user, name in NAMES.items()},
        balances={"EUR": BalanceView(currency="EUR", available="5.00", held="0.00", pos=1)},
        conversations={view.conv: view for view in views},
    )
    found = LineCompleter(me).get_completions(Document(text), CompleteEvent())
    return [completion.text for completion in found]


def test_completion_offers_what_fits():
    assert offers("/pa") == ["/pay", "/packet", "/payments"]
    assert offers("/pay @b") == ["@bob"]
    assert offers("/pay ") == ["@bob", "@carol"]
    assert offers("/pay @bob 5 E")[0] == "EUR"
    assert offers("/to F") == ["Flat"]
    assert offers("/role @bob a") == ["admin"]
    assert offers("hello @c") == ["@carol"]
    assert offers("hello c") == []


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
