"""What a person types is read without a connection: a command, or one clear complaint; and completion."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from tests.support.terminal import ALICE, BOB, EUR, NAMES

from tuppence_client.terminal import commands as cmd
from tuppence_client.terminal import money_commands as mc
from tuppence_client.terminal.commands import parse
from tuppence_client.terminal.complete import LineCompleter
from tuppence_client.terminal.help import HELP, Complaint
from tuppence_protocol.views import BalanceView, UserView


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
        "/pay", "/pay @bob", "/pay @bob 5", "/pay @bob five EUR", "/pay @bob -5 EUR", "/pay @bob 5.001 EUR",
        "/pay @bob 1e3 EUR", "/pay @bob 5 XXX1", "/pay @Böb 5 EUR", "/to", "/group", "/group @bob",
        "/invite", "/invite bob", "/remove", "/remove @bob @carol", "/role @bob", "/role @bob king",
        "/rename", "/history 0", "/history 201", "/history x", "/history ٣", "/wallet now", "/unknown", "/",
        "/offer", "/offer @bob", "/offer @bob five EUR", "/request", "/request @bob 5",
        "/exchange @bob 10 EUR", "/exchange @bob 10 EUR JPY", "/exchange @bob 10 EUR to",
        "/exchange @bob 10 EUR to XXX", "/split", "/split 10 EUR", "/split 10 EUR dinner",
        "/split 10 EUR @bob=x", "/split 10 EUR @bob=1.001", "/split 10 EUR @bob @Böb", "/packet",
        "/packet 8 EUR", "/packet 8 EUR many", "/packet 8 EUR 0", "/packet 8 EUR 101", "/packet 8 EUR ٣",
        "/claim it", "/claim #0", "/accept @bob", "/refund all", "/refund 2", "/refund 2 EUR please",
        "/refund #2 2", "/waive", "/waive bob", "/waive @bob @carol", "/faucet", "/faucet 100",
        "/faucet 100 EUR now", "/payments open paid", "/payments Open", "/statement", "/statement EURO",
        "/statement EUR 0", "/statement EUR x", "/statement EUR ٣", "/preview", "/preview hi",
        "/preview claim", "/preview faucet 5 EUR", "/preview preview pay @bob 5 EUR", "/preview pay @bob",
        "/preview decline", "/check it",
    ],
)  # fmt: skip
def test_a_wrong_line_gets_one_complaint(line):
    found = parse(line)
    assert isinstance(found, Complaint)
    assert "\n" not in found.text


@given(
    st.sampled_from(["", *[line.split()[0] for line, _ in HELP]]),
    st.text(max_size=20) | st.sampled_from(["#", "5 EUR @", "5 EUR 4 ", "#2 5 EUR", "@bob 5 EUR to "]),
    st.text(max_size=60),
)
def test_no_line_crashes_the_parser(name, middle, end):
    parse(f"{name} {middle}{end}")
    parse(f"/preview {name[1:]} {middle}{end}")


def test_every_command_has_an_example_in_the_help_that_is_one():
    for line, _ in HELP:
        assert not isinstance(parse(line), Complaint), line
    assert {f"/{name}" for name in mc._READERS} <= {line.split()[0] for line, _ in HELP}


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


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("/pa", ["/pay", "/packet", "/payments"]),
        ("/pay @b", ["@bob"]),
        ("/pay ", ["@bob", "@carol"]),
        ("/pay @bob 5 E", ["EUR"]),
        ("/to F", ["Flat"]),
        ("/role @bob a", ["admin"]),
        ("hello @c", ["@carol"]),
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


def test_completion_offers_nothing_in_plain_words():
    assert offers("hello c") == []


@given(st.text(max_size=30))
def test_completion_never_fails(text):
    for name in ("preview", "payments", "packet", "exchange"):
        offers(f"/{name} {text}")
