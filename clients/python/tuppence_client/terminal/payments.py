"""What each command about money does: to the last payment here for which it fits, or to one of a list."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from tuppence_client.cards import Card, Cards, card_of
from tuppence_client.client import Client
from tuppence_client.errors import PlaceError
from tuppence_client.fairness import check_packet
from tuppence_client.verbs import Previewable
from tuppence_protocol.currencies import EXPONENTS
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import ConversationView, PaymentView
from tuppence_protocol.lifecycle import WAITING, Verb
from tuppence_protocol.limits import PAGE_EVENTS_MAX
from tuppence_protocol.money import format_amount, in_equal_parts, parse_amount

from . import money_commands as mc
from .render_money import (
    balance_at,
    check_lines,
    payment_line,
    preview_lines,
    quote_line,
    split_question,
    statement_line,
    sure_question,
)
from .style import Line

T = TypeVar("T")
CARDS_MAX: Final = 2_000
LISTED_MAX: Final = 20
LOOKED_AT_MAX: Final = 200
LINES_MAX: Final = 200
ASK_FROM_MAJOR: Final = 100
ASK_FROM_UNDIVIDED: Final = 10_000
"""From this sum on, in the major units of a currency with and without decimals, a payment asks first; /ask
sets another."""
_VERBS: Final = {mc.Offer: "offer", mc.Packet: "put out", mc.Act: "settle"}
_OF_PACKETS: Final = {"pay.claim", "pay.expire"}
NO_PLACE: Final = "nobody is listening yet: choose a conversation with /to @handle"


class Stuck(Exception):
    """A command that cannot go on, and why."""


@dataclass(frozen=True)
class Question:
    """What waits for a y, and what to do then."""

    text: str
    act: Callable[[], Awaitable[object]]


class Here(Protocol):
    """What the payments must know of the screen."""

    place: str | None

    @property
    def view(self) -> ConversationView | None: ...

    def title(self) -> str: ...

    def name(self, user: str) -> str: ...

    async def meet(self, users: Iterable[str | None]) -> None: ...


class PaymentActions:
    """The money of one terminal: the cards seen so far, the list shown last, and a question that is open."""

    def __init__(self, me: Client, show: Callable[[Line], None], here: Here) -> None:
        self._me = me
        self._show = show
        self._here = here
        self._listed: list[PaymentView] = []
        self.cards = Cards(CARDS_MAX)
        self.question: Question | None = None
        self._ask_minor: dict[str, int] = {}

    async def run(self, command: mc.MoneyCommand, *, hurried: bool = False) -> None:
        """Do it, or ask first; raises `Stuck`, or the `TuppenceError` of the refusal.

        `hurried`: it came with other lines, faster than anybody types.
        """
        match command:
            case mc.Split():
                self._split(command)
            case mc.AskFrom(money):
                self._ask_from(money)
            case mc.Pay() | mc.Offer() | mc.Packet() | mc.Act("settle"):
                await self._pay(command, hurried=hurried)
            case mc.Payments():
                await self._list(command)
            case mc.Statement():
                await self._statement(command)
            case mc.Preview(inner):
                for line in preview_lines(await self._put(inner, self._me.preview)):
                    self._show(line)
            case mc.Exchange():
                await self._exchange(command)
            case mc.Check(number):
                await self._check(number)
            case _:
                await self._act(command)

    # --- what is asked first ----------------------------------------------------------------------

    async def _pay(self, command: mc.MoneyCommand, *, hurried: bool) -> None:
        """Pay; a large sum, and one that was pasted with other lines, after a yes."""
        ready = await self._ready(command, self._me)
        money = await self._sum_of(command)
        asks = self._asks(money)
        if not (hurried or asks):
            await ready()
            return
        why = (
            f"you are asked from {self._limit(money.split()[1])} on; /ask changes that"
            if asks
            else "pasted with other lines"
        )
        text = f"{_VERBS.get(type(command), 'pay')} {money}{self._to(command)}"
        self._show(sure_question(text, why))
        self.question = Question(text, ready)

    def _to(self, command: mc.MoneyCommand) -> str:
        person = getattr(command, "person", None)
        return f" to {person or self._here.title()}" if isinstance(command, mc.Pay | mc.Offer) else ""

    async def _sum_of(self, command: mc.MoneyCommand) -> str:
        if isinstance(command, mc.Act):
            card = await self._fitting("settle", command.number)
            return f"{card.due(self._me.user.id) or card.amount} {card.currency}"
        return str(getattr(command, "money"))  # noqa: B009 - what costs money has it

    def _limit(self, currency: str) -> str:
        major = ASK_FROM_MAJOR if EXPONENTS[currency] else ASK_FROM_UNDIVIDED
        minor = self._ask_minor.get(currency, major * 10 ** EXPONENTS[currency])
        return f"{format_amount(minor, currency)} {currency}"

    def _asks(self, money: str) -> bool:
        return _minor(money) >= _minor(self._limit(money.split()[1]))

    def _ask_from(self, money: str | None) -> None:
        if money is not None:
            self._ask_minor[money.split()[1]] = _minor(money)
        currencies = [money.split()[1]] if money else sorted({*self._me.balances, *self._ask_minor})
        for currency in currencies:
            self._show([("class:soft", f"   you are asked before {self._limit(currency)} or more is paid")])

    def _split(self, wanted: mc.Split) -> None:
        """Show who would owe what, and send it after a yes."""
        place, me = self._place(), self._me
        shares = _parts(wanted)
        own = any(who == f"@{me.user.handle}" for who, _ in shares)
        parts = [user if amount is None else (user, amount) for user, amount in wanted.shares]
        self._show(split_question(wanted.money, shares, own))
        self.question = Question(
            f"split {wanted.money}", lambda: me.split(place, wanted.money, parts, note=wanted.note)
        )

    # --- what becomes a frame ---------------------------------------------------------------------

    async def _act(self, command: mc.MoneyCommand) -> object:
        me = self._me
        match command:
            case mc.Act("claim" | "cancel" | "remind" as verb, number):
                return await getattr(me, verb)(await self._fitting(verb, number))
            case mc.Decline(reason, number):
                return await me.decline(await self._fitting("decline", number), reason)
            case mc.Waive(user, number):
                return await me.waive(await self._fitting("waive", number, self._owes(user)), user)
            case mc.Faucet(money):
                return await me.faucet(money)
        return await self._put(command, me)

    async def _put(self, command: mc.MoneyCommand, verbs: Previewable[Coroutine[Any, Any, T]]) -> T:
        """What can be previewed as well as done."""
        return await (await self._ready(command, verbs))()

    async def _ready(
        self, command: mc.MoneyCommand, verbs: Previewable[Coroutine[Any, Any, T]]
    ) -> Callable[[], Coroutine[Any, Any, T]]:
        """The call, with everything that depends on where one is now."""
        match command:
            case mc.Pay() | mc.Offer():
                conv, payee = self._with(command.person)
                accept = isinstance(command, mc.Offer)
                return partial(verbs.pay, conv, command.money, payee=payee, note=command.note, accept=accept)
            case mc.Request():
                conv, payer = self._with(command.person)
                return partial(verbs.request, conv, command.money, payer=payer, note=command.note)
            case mc.Split(money, shares, note):
                parts = [user if amount is None else (user, amount) for user, amount in shares]
                return partial(verbs.split, self._place(), money, parts, note=note)
            case mc.Packet(money, count, mode, note):
                return partial(verbs.packet, self._place(), money, count, mode, note=note)
            case mc.Act("settle" | "accept" as verb, number):
                return partial(getattr(verbs, verb), await self._fitting(verb, number))
            case mc.Refund(money, number):
                card = await self._fitting("refund", number, _received(money))
                return partial(verbs.refund, card, money)
        raise Stuck("there is no such command")

    async def _exchange(self, wanted: mc.Exchange) -> None:
        """Ask for a quote, then for a yes."""
        conv, payee = self._with(wanted.person)
        me = self._me
        quote = await me.quote(sell=wanted.currency, buy=wanted.other, amount=wanted.amount)
        self._show(quote_line(quote, wanted.person or self._here.title()))
        self.question = Question(
            f"{wanted.money} to {wanted.other}",
            lambda: me.pay(conv, quote.sell, quote=quote, payee=payee, note=wanted.note),
        )

    # --- which place, which payment ---------------------------------------------------------------

    def _place(self) -> str:
        if self._here.place is None:
            raise Stuck(NO_PLACE)
        return self._here.place

    def _with(self, person: str | None) -> tuple[str, str | None]:
        """The conversation for a payment with somebody, and their name where it must be said: in a group."""
        view = self._here.view
        in_group = view is not None and view.kind == "group"
        if person is None or in_group:
            return self._place(), person
        return person, None

    def _owes(self, handle: str) -> Callable[[Card], bool]:
        people = self._me.people.values()
        user = next((user.id for user in people if f"@{user.handle}" == handle), None)
        return lambda card: user is None or card.due(user) is not None

    async def _fitting(
        self, verb: Verb, number: int | None, also: Callable[[Card], bool] = lambda _: True
    ) -> Card:
        """The payment of that number of the list, or the last one here that one may do this with."""
        if number is not None:
            return self._numbered(number)
        self._place()
        view, mine = self._here.view, self._me.user.id
        own_too = verb != "claim" or (view is not None and view.kind != "dm")
        async for card in self._cards_of(view):
            if verb in card.may(mine) and also(card) and (own_too or card.payer != mine):
                return card
        raise Stuck(f"nothing in {self._here.title()} to {verb}; /payments lists what there is")

    async def _cards_of(self, view: ConversationView | None) -> AsyncIterator[Card]:
        """The payments of a conversation: those that were shown, then those that the server lists."""
        if view is None:
            return
        for card in self.cards.of(view.conv):
            yield card
        looked_at = 0
        async for listed in self._me.payments(page=LOOKED_AT_MAX):
            found = card_of(listed)
            if found is not None and found.conv == view.conv:
                yield found
            looked_at += 1
            if looked_at == LOOKED_AT_MAX:
                return

    def _numbered(self, number: int) -> Card:
        card = card_of(self._listed[number - 1]) if number <= len(self._listed) else None
        if card is None:
            raise Stuck(f"there is no #{number}; /payments shows the numbers")
        return card

    # --- what is asked ----------------------------------------------------------------------------

    async def _list(self, wanted: mc.Payments) -> None:
        self._listed = []
        found = self._me.payments(
            state=wanted.state, with_=wanted.person, currency=wanted.currency, page=LISTED_MAX
        )
        async for view in found:
            self._listed.append(view)
            if len(self._listed) == LISTED_MAX:
                break
        await self._here.meet(user for view in self._listed for user in (view.payer, view.payee))
        for number, view in enumerate(self._listed, 1):
            note = await self._note(view)
            self._show(payment_line(number, view, self._me.user.id, self._here.name, note))
        if not self._listed:
            self._show([("class:soft", "   no such payments")])

    async def _note(self, view: PaymentView) -> str | None:
        """The note of a payment, which a list does not have, from its event."""
        card = self.cards.get(view.id)
        if card is not None:
            return card.note
        try:
            note = getattr((await self._me.event(view.id)).body, "note", None)
        except PlaceError:
            return None
        return note if isinstance(note, str) else None

    async def _statement(self, wanted: mc.Statement) -> None:
        since = time.time_ns() // 1_000_000 - wanted.days * 86_400_000
        statement = await self._me.statement(wanted.currency, from_=max(0, since))
        self._show(balance_at("before", statement.opening, statement.currency))
        shown = 0
        async for line in statement:
            if shown == LINES_MAX:
                self._show([("class:soft", "   … and more: ask for fewer days")])
                return
            self._show(statement_line(line))
            shown += 1
        self._show(balance_at("now", statement.closing, statement.currency))

    async def _check(self, number: int | None) -> None:
        """Fetch the packet's events and draw its shares again."""
        card = self._ended_packet() if number is None else self._numbered(number)
        if card.kind != "pay.packet" or card.state in WAITING:
            raise Stuck("a packet can be checked once it has ended")
        packet = await self._me.event(card.id)
        about = await self._about(packet)
        if not about:
            raise Stuck("the end of that packet is not to be seen")
        for line in check_lines(check_packet(packet, about, about[-1]), card):
            self._show(line)

    def _ended_packet(self) -> Card:
        view = self._here.view
        cards = [] if view is None else self.cards.of(view.conv)
        ended = [card for card in cards if card.kind == "pay.packet" and card.seed is not None]
        if not ended:
            raise Stuck(
                "no packet that ended was shown here; /history shows more, /check #2 takes one of /payments"
            )
        return max(ended, key=lambda card: card.last_pos)

    async def _about(self, packet: Event) -> list[Event]:
        """The claims of a packet and its end, from the history behind it."""
        about: list[Event] = []
        after = packet.seq
        while page := await self._me.history(packet.conv, after=after, limit=PAGE_EVENTS_MAX):
            about += [event for event in page if event.ref == packet.id and event.kind in _OF_PACKETS]
            if about and getattr(about[-1].body, "seed", None):
                break
            after = page[-1].seq
        return about


def _received(money: str | None) -> Callable[[Card], bool]:
    """Cards by which that currency was received."""
    currency = None if money is None else money.split()[1]
    return lambda card: currency in {None, card.received.currency if card.received else card.currency}


def _minor(money: str) -> int:
    amount, currency = money.split()
    minor = parse_amount(amount, currency)
    assert isinstance(minor, int), "the command was read before"
    return minor


def _parts(wanted: mc.Split) -> list[tuple[str, str]]:
    """What each person of a bill would owe; those without an amount share the rest alike."""
    total, currency = wanted.money.split()
    given = sum(_minor(f"{amount} {currency}") for _, amount in wanted.shares if amount is not None)
    others = sum(amount is None for _, amount in wanted.shares)
    rest = _minor(f"{total} {currency}") - given
    if (rest < others) if others else (rest != 0):
        raise Stuck(f"the shares do not add up to {wanted.money}")
    equal = iter(in_equal_parts(rest, others) if others else ())
    return [
        (who, amount if amount is not None else format_amount(next(equal), currency))
        for who, amount in wanted.shares
    ]
