"""Cards follow the last event about a payment, whatever comes twice or late; a packet can be checked."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tuppence_client import Cards, Claim, check_packet, fold
from tuppence_client.cards import card_of, payment_of
from tuppence_protocol import kinds, packets
from tuppence_protocol.events import Event, UnknownBody
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import Money, Share

ALICE = "u_" + "a" * 26
BOB = "u_" + "b" * 26
CAROL = "u_" + "c" * 26
EUR = "EUR"
PACKET = "00000000-0000-7000-8000-000000000001"
SEED = bytes(range(32))


class Log:
    """Events as a server would write them, one behind the other."""

    def __init__(self) -> None:
        self.pos = count(1)
        self.events: list[Event] = []

    def __call__(self, kind: str, author: str, body, ref=None, own=None, conv="c_1") -> Event:
        pos = next(self.pos)
        event = Event(
            kind, own or f"e{pos}", conv, pos, pos, author, 1_000 + pos, body, **({"ref": ref} if ref else {})
        )
        self.events.append(event)
        return event

    def card(self, event: Event):
        return fold(self.events)[event.id]


@pytest.fixture
def log() -> Log:
    return Log()


def sent(payee: str = BOB, state: str = "completed", amount: str = "5.00", **more) -> kinds.PaymentSent:
    return kinds.PaymentSent(amount, EUR, payee, state, "…", **more)


def asked_by_alice(log: Log, **more) -> Event:
    return log("pay.request", ALICE, kinds.PaymentRequested("5.00", EUR, BOB, "open", 99, "…", **more))


def split(log: Log) -> Event:
    body = kinds.BillSplit("9.00", EUR, shares("paid", "open", "open"), "open", 99, "…")
    return log("pay.split", ALICE, body)


def packet_of_two(log: Log) -> Event:
    return log("pay.packet", ALICE, kinds.PacketMade("3.00", EUR, 2, "equal", "open", 99, "ab", "…"))


def shares(*states: str) -> list[Share]:
    return [Share(user, "3.00", state) for user, state in zip((ALICE, BOB, CAROL), states, strict=True)]


# --- what becomes of a payment --------------------------------------------------------------------


def test_a_plain_payment(log):
    paid = log("pay.send", ALICE, sent(note="lunch", fee="0.10", fee_on="payer"))
    card = log.card(paid)
    assert (card.payer, card.payee, card.amount, card.currency) == (ALICE, BOB, "5.00", EUR)
    assert (card.state, card.note, card.fee, card.fee_on) == ("completed", "lunch", "0.10", "payer")
    assert (card.id, card.conv, card.pos, card.last_pos, card.kind) == (paid.id, "c_1", 1, 1, "pay.send")
    assert (card.refunded, card.settles, card.expires_at, card.count) == (None, None, None, None)


@pytest.mark.parametrize(
    ("kind", "author", "body", "state"),
    [
        ("pay.accept", BOB, kinds.PaymentAccepted("5.00", EUR, BOB, "completed", "…"), "completed"),
        ("pay.decline", BOB, kinds.PaymentDeclined("declined", "…", reason="too much"), "declined"),
        ("pay.cancel", ALICE, kinds.PaymentCancelled("cancelled", "…"), "cancelled"),
        ("pay.expire", "server", kinds.PaymentExpired("expired", "…", Money("5.00", EUR)), "expired"),
    ],
)
def test_an_offer_and_its_ends(log, kind, author, body, state):
    offered = log("pay.send", ALICE, sent(state="pending", accept=True, expires_at=99))
    assert (log.card(offered).state, log.card(offered).expires_at) == ("pending", 99)
    log(kind, author, body, offered.id)
    card = log.card(offered)
    assert (card.state, card.last_pos) == (state, 2)
    assert card.reason == ("too much" if state == "declined" else None)
    assert card.returned == (Money("5.00", EUR) if state == "expired" else None)
    assert card.may(ALICE) == frozenset()
    assert card.may(BOB) == ({"refund"} if state == "completed" else frozenset())


def test_the_fee_of_an_acceptance(log):
    offered = log("pay.send", ALICE, sent(state="pending"))
    accepted = kinds.PaymentAccepted("5.00", EUR, BOB, "completed", "…", fee="0.25", fee_on="payee")
    log("pay.accept", BOB, accepted, offered.id)
    assert (log.card(offered).fee, log.card(offered).fee_on) == ("0.25", "payee")


def test_a_request_is_paid_by_a_payment_of_its_own(log):
    asked = asked_by_alice(log, note="tea")
    assert (log.card(asked).payer, log.card(asked).payee, log.card(asked).note) == (BOB, ALICE, "tea")
    paid = log("pay.send", BOB, sent(ALICE, settles=kinds.Settles("paid")), asked.id)
    assert (log.card(asked).state, log.card(asked).settled_by) == ("paid", (paid.id,))
    assert (log.card(paid).state, log.card(paid).settles) == ("completed", asked.id)
    log("pay.refund", ALICE, kinds.PaymentRefunded("5.00", EUR, BOB, "refunded", "5.00", "…"), paid.id)
    assert (log.card(asked).state, log.card(paid).state) == ("paid", "refunded")


def test_a_reply_by_payment_is_about_no_other_payment(log):
    asked = asked_by_alice(log)
    log("pay.send", BOB, sent(ALICE, amount="1.00"), asked.id)
    assert (log.card(asked).state, log.card(asked).settled_by) == ("open", ())


def test_a_split_share_by_share(log):
    bill = split(log)
    assert [share.state for share in log.card(bill).shares] == ["paid", "open", "open"]
    assert (log.card(bill).amount, log.card(bill).payee, log.card(bill).payer) == ("9.00", ALICE, None)
    log("pay.remind", ALICE, kinds.PaymentReminded([BOB, CAROL], "open", "…"), bill.id)
    assert log.card(bill).reminded_at == 1_002
    settles = kinds.Settles("open", Share(BOB, "3.00", "paid"))
    paid = log("pay.send", BOB, sent(ALICE, amount="3.00", settles=settles), bill.id)
    assert [share.state for share in log.card(bill).shares] == ["paid", "paid", "open"]
    assert (log.card(bill).state, log.card(bill).settled_by) == ("open", (paid.id,))
    waived = kinds.ShareWaived(CAROL, "settled", Share(CAROL, "3.00", "waived"), "…")
    log("pay.waive", ALICE, waived, bill.id)
    assert [share.state for share in log.card(bill).shares] == ["paid", "paid", "waived"]
    assert log.card(bill).state == "settled"


def test_a_declined_share(log):
    bill = split(log)
    no = kinds.PaymentDeclined("open", "…", reason="was not there", share=Share(BOB, "3.00", "declined"))
    log("pay.decline", BOB, no, bill.id)
    card = log.card(bill)
    assert (card.state, card.share_of(BOB).state, card.share_of(CAROL).state) == ("open", "declined", "open")
    assert (card.may(BOB), card.may(CAROL)) == (frozenset(), {"settle", "decline"})


@pytest.mark.parametrize(
    ("kind", "body", "state"),
    [
        ("pay.cancel", kinds.PaymentCancelled("cancelled", "…"), "cancelled"),
        ("pay.expire", kinds.PaymentExpired("expired", "…"), "expired"),
    ],
)
def test_what_is_open_of_a_bill_ends_with_it(log, kind, body, state):
    bill = split(log)
    log(kind, ALICE, body, bill.id)
    assert [share.state for share in log.card(bill).shares] == ["paid", state, state]
    assert log.card(bill).state == state


def test_a_packet_and_its_claims(log):
    packet = packet_of_two(log)
    assert (log.card(packet).payer, log.card(packet).payee, log.card(packet).count) == (ALICE, None, 2)
    log("pay.claim", BOB, kinds.PacketClaimed("1.50", EUR, BOB, 1, 2, "open", "…"), packet.id)
    assert (log.card(packet).state, log.card(packet).claimed) == ("open", 1)
    assert (log.card(packet).may(BOB), log.card(packet).may(CAROL)) == (frozenset(), {"claim"})
    log("pay.claim", CAROL, kinds.PacketClaimed("1.50", EUR, CAROL, 2, 2, "emptied", "…", "5e"), packet.id)
    card = log.card(packet)
    assert (card.state, card.seed, card.proof, card.claimed) == ("emptied", "5e", "ab", 2)
    assert card.claims == (Claim(BOB, "1.50", 1, 1_002), Claim(CAROL, "1.50", 2, 1_003))


def test_refunds_add_up(log):
    paid = log("pay.send", ALICE, sent(received=Money("800", "JPY"), rate="160"))
    assert log.card(paid).received == Money("800", "JPY")
    for so_far, state in (("300", "partly_refunded"), ("800", "refunded")):
        log("pay.refund", BOB, kinds.PaymentRefunded("300", "JPY", ALICE, state, so_far, "…"), paid.id)
        assert (log.card(paid).refunded, log.card(paid).state) == (so_far, state)
    assert "refund" not in log.card(paid).may(BOB)


def test_money_from_the_server(log):
    for kind, author in (("pay.deposit", "server"), ("pay.faucet", BOB)):
        card = log.card(log(kind, author, kinds.Deposited("9.00", EUR, BOB, "completed", "…"), conv="c_2"))
        assert (card.kind, card.payer, card.payee, card.amount) == (kind, None, BOB, "9.00")
        assert card.may(BOB) == frozenset()


# --- the fold -------------------------------------------------------------------------------------


def a_busy_day() -> list[Event]:
    log = Log()
    offered = log("pay.send", ALICE, sent(state="pending", expires_at=99))
    bill = split(log)
    log("chat.text", BOB, kinds.TextPosted("hm"), bill.id)
    log("pay.accept", BOB, kinds.PaymentAccepted("5.00", EUR, BOB, "completed", "…"), offered.id)
    log("pay.remind", ALICE, kinds.PaymentReminded([BOB], "open", "…"), bill.id)
    settles = kinds.Settles("open", Share(BOB, "3.00", "paid"))
    paid = log("pay.send", BOB, sent(ALICE, amount="3.00", settles=settles), bill.id)
    part = kinds.PaymentRefunded("1.00", EUR, ALICE, "partly_refunded", "1.00", "…")
    log("pay.refund", BOB, part, offered.id)
    log("pay.future", BOB, UnknownBody("later"), offered.id)
    packet = packet_of_two(log)
    log("pay.claim", BOB, kinds.PacketClaimed("1.50", EUR, BOB, 1, 2, "open", "…"), packet.id)
    log("pay.cancel", ALICE, kinds.PaymentCancelled("cancelled", "…"), bill.id)
    log("pay.claim", CAROL, kinds.PacketClaimed("1.50", EUR, CAROL, 2, 2, "emptied", "…", "5e"), packet.id)
    log("pay.refund", BOB, kinds.PaymentRefunded("4.00", EUR, ALICE, "refunded", "5.00", "…"), offered.id)
    log("pay.refund", ALICE, kinds.PaymentRefunded("3.00", EUR, BOB, "refunded", "3.00", "…"), paid.id)
    return log.events


DAY = a_busy_day()


@given(st.permutations([*DAY, *DAY]))
def test_neither_order_nor_repeats_change_what_comes_out(events):
    cards = fold(events)
    assert cards == fold(DAY)
    assert {card.kind: card.state for card in cards.values() if card.payer == ALICE} == {
        "pay.send": "refunded", "pay.packet": "emptied",
    }  # fmt: skip
    assert sum(card.state == "cancelled" for card in cards.values()) == 1
    assert len(next(card for card in cards.values() if card.kind == "pay.packet").claims) == 2


def test_what_changed_is_told_once():
    cards = Cards()
    changed = [[card.id for card in cards.add(event)] for event in DAY]
    assert changed[5] == [DAY[5].id, DAY[1].id]  # the payment, and the bill that it settles
    assert changed[2] == changed[7] == []
    assert all(cards.add(event) == [] for event in DAY)
    assert cards.get(DAY[0].id).state == "refunded"
    assert [card.pos for card in cards.of("c_1")] == [9, 6, 2, 1]
    assert cards.of("c_2") == []


def test_an_act_waits_for_its_payment():
    cards = Cards()
    assert cards.add(DAY[3]) == []
    assert cards.get(DAY[0].id) is None
    assert [card.state for card in cards.add(DAY[0])] == ["completed"]


def test_the_oldest_cards_are_let_go(log):
    cards = Cards(cards_max=2)
    ids = [log("pay.send", ALICE, sent()).id for _ in range(4)]
    for event in log.events:
        cards.add(event)
    assert [card.id for card in cards] == ids[2:]
    assert len(cards._events) == 2


def test_which_payment_an_event_is_about():
    assert [payment_of(event) for event in DAY[:4]] == [DAY[0].id, DAY[1].id, DAY[2].id, DAY[0].id]
    assert payment_of(DAY[5]) == DAY[5].id


# --- what one can do with it ----------------------------------------------------------------------


def test_what_is_due(log):
    asked = log.card(asked_by_alice(log))
    assert (asked.due(BOB), asked.due(ALICE), asked.due(CAROL)) == ("5.00", None, None)
    bill = log.card(split(log))
    assert (bill.due(BOB), bill.due(ALICE), bill.due("u_d")) == ("3.00", None, None)
    assert log.card(log("pay.send", ALICE, sent())).due(BOB) is None


def test_a_line_of_a_list_is_a_card_too():
    view = kinds.PaymentView(
        "i", "pay.packet", "c_1", 3, 4, "5.00", EUR, "open", payer=ALICE, expires_at=9, claimed=1, count=4
    )
    card = card_of(view)
    assert (card.pos, card.at, card.state, card.claimed, card.count) == (3, 4, "open", 1, 4)
    assert card_of(card) is card
    assert card_of(DAY[2]) is None


# --- packets that anybody can check ---------------------------------------------------------------


def played(log: Log, total: int = 1_000, number: int = 4, mode: str = "lucky", claimed: int | None = None):
    """A packet as an honest server plays it: its event, the claims, the end."""
    drawn = packets.draw(SEED, total, number, mode)
    promise = packets.proof(SEED, PACKET, drawn)
    made = kinds.PacketMade(format_amount(total, EUR), EUR, number, mode, "open", 99, promise, "…")
    packet = log("pay.packet", ALICE, made, own=PACKET)
    claims = []
    for n, share in enumerate(drawn[:claimed], 1):
        last = n == number
        body = kinds.PacketClaimed(
            format_amount(share, EUR), EUR, f"u_{n}", n, number, "emptied" if last else "open", "…",
            **({"seed": SEED.hex()} if last else {}),
        )  # fmt: skip
        claims.append(log("pay.claim", f"u_{n}", body, PACKET))
    if claimed is None:
        return packet, claims, claims[-1]
    rest = Money(format_amount(sum(drawn[claimed:]), EUR), EUR)
    end = log("pay.expire", "server", kinds.PaymentExpired("expired", "…", rest, SEED.hex()), PACKET)
    return packet, claims, end


@given(st.sampled_from(["equal", "lucky"]), st.integers(1, 20), st.integers(0, 5_000), st.data())
def test_an_honest_packet_is_fair(mode, number, more, data):
    claimed = data.draw(st.none() | st.integers(0, number - 1))
    packet, claims, end = played(Log(), number + more, number, mode, claimed)
    check = check_packet(packet, data.draw(st.permutations([*claims, *claims])), end)
    assert (check.fair, check.wrong, len(check.shares)) == (True, (), number)


def with_body(event: Event, **changed) -> Event:
    return replace(event, body=replace(event.body, **changed))


OTHER = PACKET[:-1] + "2"
LIES = {
    "another seed": (lambda p, c, e: (p, c[:-1], with_body(e, seed="00" * 32)), "promised"),
    "another promise": (lambda p, c, e: (with_body(p, proof="0" * 64), c, e), "promised"),
    "another id": (lambda p, c, e: (
            replace(p, id=OTHER), [replace(x, ref=OTHER) for x in c], replace(e, ref=OTHER)
        ),
     "promised"),
    "another amount": (lambda p, c, e: (p, [with_body(c[0], amount="9.99"), *c[1:]], e), "claim 1 got 9.99"),
    "another currency": (lambda p, c, e: (p, [with_body(c[0], currency="JPY"), *c[1:]], e), "JPY, but"),
    "another place": (lambda p, c, e: (p, [c[0], with_body(c[1], share=3), *c[2:]], e), "given place 3"),
    "a swap": (lambda p, c, e: (p, [with_body(c[0], share=2), with_body(c[1], share=1), *c[2:]], e),
     "claim 1 was given place 2"),
    "a claim kept back": (lambda p, c, e: (p, c[1:], e), "3 of 4 claims"),
    "one claims twice": (lambda p, c, e: (p, [c[0], with_body(c[1], payee="u_1"), *c[2:]], e), "second one"),
    "another packet's claim": (lambda p, c, e: (p, [replace(c[0], ref=OTHER), *c[1:]], e), "another packet"),
    "another place's claim": (lambda p, c, e: (p, [replace(c[0], conv="c_9"), *c[1:]], e), "another packet"),
    "a late promise": (lambda p, c, e: (replace(p, pos=3), c, e), "before the promise"),
    "no seed": (lambda p, c, e: (p, c[:-1], with_body(e, seed="")), "not told"),
    "a short seed": (lambda p, c, e: (p, c[:-1], with_body(e, seed="00" * 31)), "not told"),
    "a seed with spaces": (lambda p, c, e: (p, c[:-1], with_body(e, seed=" " * 64)), "not told"),
    "the end of another": (lambda p, c, e: (p, c, replace(e, ref=OTHER)), "not the end"),
    "no end": (lambda p, c, e: (p, c, p), "not the end"),
    "no packet": (lambda p, c, e: (e, c, e), "no packet"),
    "no such mode": (lambda p, c, e: (with_body(p, mode="rigged"), c, e), "cannot be drawn"),
    "too many shares": (lambda p, c, e: (with_body(p, count=10**9), c, e), "cannot be drawn"),
    "too little money": (lambda p, c, e: (with_body(p, total="0.03"), c, e), "cannot be drawn"),
    "no money": (lambda p, c, e: (with_body(p, total="ten"), c, e), "cannot be drawn"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(log, lie):
    tell, said = LIES[lie]
    packet, claims, end = tell(*played(log))
    check = check_packet(packet, claims, end)
    assert not check.fair
    assert any(said in wrong for wrong in check.wrong), check.wrong


@pytest.mark.parametrize("returned", [Money("0.01", EUR), Money("1.00", "JPY")])
def test_what_was_not_claimed_goes_back(log, returned):
    packet, claims, end = played(log, claimed=2)
    assert check_packet(packet, claims, end).fair
    for lied in (
        with_body(end, returned=returned),
        replace(end, body=kinds.PaymentExpired("expired", "…", seed=SEED.hex())),
    ):
        assert "should have gone back" in check_packet(packet, claims, lied).wrong[0]
    assert "should have gone back" in check_packet(packet, claims[:1], end).wrong[0]
