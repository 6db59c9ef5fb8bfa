"""How money looks: an event of a payment, a line of a list, a quote. Pure; text by others is cleaned here.

The mark in front tells the state that the payment is in after the event.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tuppence_client.cards import Card, card_of
from tuppence_client.fairness import PacketCheck
from tuppence_client.payments import Preview
from tuppence_protocol import kinds
from tuppence_protocol.events import Event
from tuppence_protocol.lifecycle import WAITING
from tuppence_protocol.views import SERVER_AUTHOR, Money

from .sanitize import clean
from .style import Line, Names

MARKS: Final = {
    "pending": "○",
    "open": "○",
    "completed": "✓",
    "paid": "✓",
    "settled": "✓",
    "emptied": "●",
    "waived": "-",
    "declined": "✗",
    "cancelled": "✗",
    "expired": "✗",
    "partly_refunded": "↩",
    "refunded": "↩",
}
_STYLES: Final = {"○": "class:between", "✓": "class:good", "●": "class:good", "↩": "class:between"}


_PAID: Final = {
    "pending": "offered", "declined": "offered", "cancelled": "offered", "expired": "offered",
}  # fmt: skip
"""What was never taken was not paid."""


def _words(state: str) -> str:
    return clean(state).replace("_", " ")


def mark(state: str) -> str:
    """A state in one character."""
    return MARKS.get(state, "·")


def money_line(event: Event, me: str, name: Names, card: Card | None = None) -> Line:
    """An event about money, as seen by the user with the id `me`.

    `card` is how its payment stands by now, as far as that is known: what is over asks for nothing.
    """
    body = event.body
    card = card or card_of(event)
    waits = [] if card is None else list(_waits(card, me))
    match body:
        case kinds.PaymentSent():
            return [*_sent(event.from_, body, me, name), *_note(body), *_terms(body), *waits]
        case kinds.Deposited():
            who = "you" if body.payee == me else f"@{name(body.payee)}"
            return [("class:in", f"▼ {who} received {_sum(body.amount, body.currency)}"), *_note(body)]
        case kinds.Withdrawn():
            who = "your balance" if body.payer == me else f"the balance of @{name(body.payer)}"
            taken = f"▲ {_sum(body.amount, body.currency)} were taken out of {who}"
            return [("class:out", taken), *_borne(body), *_because(body)]
        case kinds.PaymentRequested():
            return [*_requested(event.from_, body, me, name), *_note(body), *waits]
        case kinds.BillSplit():
            return [*_told(event, me), *_note(body), *_share(body, me), *waits]
        case kinds.PacketMade():
            return [*_told(event, me), *_note(body), *waits]
    return [*_told(event, me), *_outcome(event, me)]


def _waits(card: Card, me: str) -> Iterator[tuple[str, str]]:
    """How long a payment waits, and for what of oneself."""
    if card.state not in WAITING:
        return
    if card.expires_at:
        yield ("class:soft", f" · until {_moment(card.expires_at)}")
    if wanted := _wanted(card, me):
        yield ("class:me", f" · {' or '.join(wanted)}")


def _wanted(card: Card, me: str) -> list[str]:
    """The commands by which one answers it; one's own packet is for the others."""
    own = card.kind == "pay.packet" and card.payer == me
    may = frozenset() if own else card.may(me)
    return [f"/{verb}" for verb in ("settle", "accept", "claim", "decline") if verb in may]


def _sent(author: str, body: kinds.PaymentSent, me: str, name: Names) -> Line:
    money = _sum(body.amount, body.currency)
    if isinstance(body.received, Money):
        money += f" as {_sum(body.received.amount, body.received.currency)}"
    waits = body.state == "pending"
    if author == me:
        verb, sign = ("offer", "△") if waits else ("paid", "▲")
        return [("class:out", f"{sign} you {verb} @{name(body.payee)} {money}")]
    payer = "the server" if author == SERVER_AUTHOR else f"@{name(author)}"
    verb = "offers" if waits else "paid"
    if body.payee == me:
        return [("class:in", f"{'▽' if waits else '▼'} {payer} {verb} you {money}")]
    return [("class:between", f"{'◇' if waits else '◆'} {payer} {verb} @{name(body.payee)} {money}")]


def _terms(body: kinds.PaymentSent) -> Iterator[tuple[str, str]]:
    """What else there is to a payment: its fee, what it settles."""
    if body.fee:
        how = "taken from it" if body.fee_on == "payee" else "on top"
        yield ("class:soft", f" · fee {clean(body.fee)} {how}")
    if isinstance(body.settles, kinds.Settles):
        state = clean(body.settles.state)
        what = f"a share, the split is {state}" if body.settles.share else "as asked"
        yield ("class:good", f" {mark('paid')} {what}")


def _requested(author: str, body: kinds.PaymentRequested, me: str, name: Names) -> Line:
    money = _sum(body.amount, body.currency)
    if author == me:
        return [("class:in", f"○ you ask @{name(body.payer)} for {money}")]
    if body.payer == me:
        return [("class:out", f"○ @{name(author)} asks you for {money}")]
    return [("class:between", f"○ @{name(author)} asks @{name(body.payer)} for {money}")]


def _told(event: Event, me: str) -> Line:
    """What the server says of it, behind the mark of its state; green where money came in."""
    body = event.body
    state = getattr(body, "state", "")
    moved = isinstance(
        body, kinds.PaymentAccepted | kinds.PacketClaimed | kinds.PaymentRefunded | kinds.PaymentReversed
    )
    arrived = moved and getattr(body, "payee", "") == me
    style = "class:in" if arrived else _STYLES.get(mark(state), "class:soft")
    return [(style, f"{mark(state)} {clean(getattr(body, 'alt', '') or event.kind)}")]


def _outcome(event: Event, me: str) -> Iterator[tuple[str, str]]:
    """The state that the payment is in now, and what goes with it."""
    body = event.body
    yield ("class:soft", f" · {clean(getattr(body, 'state', '')).replace('_', ' ')}")
    match body:
        case kinds.PacketClaimed():
            yield ("class:soft", f", share {body.share} of {body.count}")
        case kinds.PaymentAccepted() if body.fee and body.fee_on == "payee" and body.payee == me:
            yield ("class:soft", f", fee {clean(body.fee)} taken from it")
        case kinds.PaymentRefunded():
            yield ("class:soft", f", {_sum(body.refunded, body.currency)} in all")
        case kinds.PaymentReversed():
            yield from _borne(body)
            yield from _because(body)
        case kinds.PaymentDeclined(reason=str(reason)):
            yield ("class:note", f" · {clean(reason)}")
        case kinds.PaymentExpired(returned=Money() as returned):
            yield ("class:soft", f", {_sum(returned.amount, returned.currency)} went back")
    if isinstance(body, (kinds.PacketClaimed, kinds.PaymentExpired)) and body.seed:
        yield ("class:soft", "; /check proves it")


def _borne(body: kinds.Withdrawn | kinds.PaymentReversed) -> Line:
    """What was not there."""
    if not body.shortfall:
        return []
    return [("class:soft", f", {_sum(body.shortfall, body.currency)} of it borne by the operator")]


def _because(body: kinds.Withdrawn | kinds.PaymentReversed) -> Line:
    """Why the operator did it."""
    return [("class:note", f" · {clean(body.reason)}"), *_note(body)]


def _share(body: kinds.BillSplit, me: str) -> Line:
    mine = next((share for share in body.shares if share.user == me), None)
    if mine is None:
        return []
    return [("class:out", f" · your share {_sum(mine.amount, body.currency)}, {clean(mine.state)}")]


# --- lists and answers ----------------------------------------------------------------------------


def payment_line(number: int, view: kinds.PaymentView, me: str, name: Names, note: str | None = None) -> Line:
    """One line of /payments; `note` is that of the payment's event."""
    card = card_of(view)
    assert card is not None, "every line of a list is a card"
    what = _what(card, me, name)
    if card.refunded and card.refunded.strip("0."):
        what += f", {clean(card.refunded)} refunded"
    waits = " or ".join(_wanted(card, me))
    return [
        ("class:soft", f"{f'#{number}':>4} {_moment(card.at)}  "),
        (_STYLES.get(mark(card.state), "class:soft"), f"{mark(card.state)} {_words(card.state):<15} "),
        ("", what),
        *([("class:note", f" · {clean(note)}")] if note else []),
        ("class:out", f" · {waits}" if waits else ""),
    ]


def _what(card: Card, me: str, name: Names) -> str:
    money = _sum(card.amount, card.currency)
    payer = "" if card.payer is None else _who(card.payer, me, name)
    payee = "" if card.payee is None else _who(card.payee, me, name)
    match card.kind:
        case "pay.request":
            return f"{payee} asked {payer} for {money}"
        case "pay.split":
            share = card.share_of(me)
            mine = "" if share is None else f", your share {clean(share.amount)} {clean(share.state)}"
            return f"{payee} split {money}{mine}"
        case "pay.packet":
            return f"a packet of {money} by {payer}, {card.claimed} of {card.count or '?'} claimed"
        case "pay.withdraw":
            return f"{money} were taken out of what {payer} had"
        case "pay.claim" | "pay.deposit" | "pay.faucet":
            return f"{payee} received {money}"
    return f"{payer} {_PAID.get(card.state, 'paid')} {payee} {money}"


def _who(user: str, me: str, name: Names) -> str:
    return "you" if user == me else f"@{name(user)}"


def statement_line(line: kinds.StatementLine) -> Line:
    """One line of /statement; `with_` is a handle, or `operator`."""
    other = clean(line.with_ or "")
    person = f"@{other}  " if other not in {"", "operator", SERVER_AUTHOR} else f"{other}  " if other else ""
    style = "class:out" if line.amount.startswith("-") else "class:in"
    sign = "" if line.amount.startswith("-") else "+"
    return [
        ("class:soft", f"  {_moment(line.at)}  "),
        (style, f"{sign + clean(line.amount):>14}"),
        ("", f"{clean(line.balance):>14}  "),
        ("class:soft", f"{person}{clean(line.code)}"),
        *_note(line),
    ]


def balance_at(word: str, balance: str, currency: str) -> Line:
    """The first and the last line of /statement."""
    return [("class:soft", f"  {word:<14}"), ("class:me", f"{_sum(balance, currency):>30}")]


def quote_line(quote: kinds.QuoteView, payee: str) -> Line:
    """What a quote says, as a question."""
    fee = f" and a fee of {_sum(quote.fee, quote.sell.currency)}" if quote.fee.strip("0.") else ""
    terms = f"rate {clean(quote.rate)}, margin {_sum(quote.margin, quote.sell.currency)}"
    until = datetime.fromtimestamp(quote.expires_at / 1000).astimezone()
    return [
        ("class:out", f"? {payee} gets {_sum(quote.buy.amount, quote.buy.currency)}"),
        ("", f" for your {_sum(quote.sell.amount, quote.sell.currency)}{fee}"),
        ("class:soft", f" · {terms}, until {until:%H:%M:%S}"),
        ("class:me", " · pay? y/n"),
    ]


def preview_lines(preview: Preview) -> Iterator[Line]:
    """What would come of a command."""
    alt = clean(getattr(preview.body, "alt", "") or preview.kind)
    state = clean(getattr(preview.body, "state", ""))
    yield [("class:between", f"~ would be: {alt}"), ("class:soft", f" · {state}; nothing was sent")]
    for money in preview.spends:
        yield [("class:out", f"  would leave or be held: {_sum(money.amount, money.currency)}")]
    if preview.fee is not None:
        yield [("class:soft", f"  of it the fee: {_sum(preview.fee.amount, preview.fee.currency)}")]
    for view in preview.balances:
        yield [("class:soft", f"  then you would have: {_sum(view.available, view.currency)}")]


def check_lines(check: PacketCheck, card: Card) -> Iterator[Line]:
    """What the check of a packet found."""
    what = f"the packet of {_sum(card.amount, card.currency)}"
    if check.fair:
        drawn = ", ".join(check.shares)
        yield [
            ("class:good", f"✓ {what} was fair"),
            ("class:soft", f" · drawn before the first claim: {drawn}"),
        ]
    else:
        yield [("class:error", f"✗ {what} was not fair")]
    for wrong in check.wrong:
        yield [("class:error", f"  {clean(wrong)}")]


def _sum(amount: str, currency: str) -> str:
    return f"{clean(amount)} {clean(currency)}"


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000).astimezone():%d %b %H:%M}"


def _note(body: object) -> Line:
    note = getattr(body, "note", None)
    return [("class:note", f" · {clean(note)}")] if isinstance(note, str) else []


# --- questions ------------------------------------------------------------------------------------


def split_question(money: str, shares: list[tuple[str, str]], own: bool) -> Line:
    """Who is to pay what of a bill, and whether the author is among them."""
    listed = ", ".join(f"{clean(who)} {clean(amount)}" for who, amount in shares)
    part: Line = (
        [] if own else [("class:error", " · you pay nothing of it; /split … @yourself … gives you a share")]
    )
    return [
        ("class:out", f"? you paid {clean(money)} and ask for {listed}"),
        *part,
        ("class:me", " · send? y/n"),
    ]


def sure_question(text: str, why: str) -> Line:
    """What is about to be paid, and why it is asked."""
    return [("class:out", f"? {clean(text)}"), ("class:soft", f" · {why}"), ("class:me", " · sure? y/n")]
