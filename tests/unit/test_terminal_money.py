"""Money at the terminal: the frames that come of what is typed, what is asked first, and what is listed."""

import re

import pytest
from tests.support.terminal import ALICE, AT, BOB, CAROL, DM, EUR, GROUP, NAMES, PACKET, Desk, sent

from tuppence_client.terminal.app import Terminal
from tuppence_client.terminal.commands import parse
from tuppence_client.terminal.render import plain
from tuppence_protocol import kinds, packets
from tuppence_protocol.events import Event
from tuppence_protocol.views import Share

FIVE = {"amount": "5.00", "currency": EUR}


@pytest.mark.parametrize(
    ("line", "place", "kind", "conv", "body"),
    [
        ("/pay 5 EUR tea", DM, "pay.send", DM, FIVE | {"note": "tea"}),
        ("/offer @carol 5 EUR", DM, "pay.send", "@carol", FIVE | {"accept": True}),
        ("/offer @bob 5 EUR", GROUP, "pay.send", GROUP, FIVE | {"payee": "@bob", "accept": True}),
        ("/request @bob 5 EUR", DM, "pay.request", "@bob", FIVE),
        ("/request @bob 5 EUR tea", GROUP, "pay.request", GROUP, FIVE | {"payer": "@bob", "note": "tea"}),
        ("/packet 8 EUR 4 equal", GROUP, "pay.packet", GROUP,
         {"total": "8.00", "currency": EUR, "count": 4, "mode": "equal"}),
        ("/faucet 5 EUR", None, "pay.faucet", "self", FIVE),
    ],
)  # fmt: skip
async def test_a_command_is_one_frame(line, place, kind, conv, body):
    assert await Desk(place).frame(line) == {"kind": kind, "conv": conv, "body": body}


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
        ("@bob=4 @carol pizza", "@bob 4.00, @carol 6.00", False, {"@bob": "4.00", "@carol": "6.00"}),
        ("@bob @carol", "@bob 5.00, @carol 5.00", False, {"@bob": None, "@carol": None}),
        ("@bob @alice @carol", "@bob 3.34, @alice 3.33, @carol 3.33", True,
         {"@bob": None, "@alice": None, "@carol": None}),
    ],
)  # fmt: skip
async def test_a_split_shows_its_shares_and_asks(line, shown, own, shares):
    desk = Desk(GROUP)
    text = await desk.typed(f"/split 10 EUR {line}")
    assert shown in text
    assert ("you pay nothing of it" in text) == (not own)
    assert desk.me.frames == []
    sent = (await desk.frame("y"))["body"]["shares"]
    assert {share["user"]: share.get("amount") for share in sent} == shares
    await desk.typed(f"/split 10 EUR {line}")
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


@pytest.mark.parametrize("text", ["/pay 5 EUR\nhello", "/pay 5 EUR\r\n/pay 6 EUR"])
async def test_a_command_with_more_lines_does_nothing(text):
    desk = Desk()
    assert "nothing was done" in await desk.typed(text)
    assert desk.me.frames == []


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
