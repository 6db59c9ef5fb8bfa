"""What one can do with money: one call is one frame, written here once for every kind of client.

`R` is what a call gives: for `Client` a coroutine of the stored event, for `SyncClient` the event itself, and
for their `preview` what would come of the frame. Amounts that are none are refused before anything is sent.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from msgspec import UNSET, UnsetType

from tuppence_protocol import kinds
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_protocol.shapes import InPlace

from .cards import Card, card_of, payment_of
from .errors import error_of
from .money import Amount, Money, amount_in, amount_of

R = TypeVar("R")
T = TypeVar("T")
Payment = Event | kinds.PaymentView | Card | tuple[str, str]
"""A payment to act on: an event about it, a line of `payments()`, a card, or its id and conversation."""
Part = str | tuple[str, Amount]
"""A person of a split bill, with or without what is theirs to pay."""
_ASKS_NOTHING = Refusal("forbidden", "This asks you for no money.", "$.ref")
_OTHER_CURRENCY = Refusal("bad_frame", "That is not the currency that was received.", "$.body.amount")
_TOO_MANY = Refusal("split_sum", "The shares do not leave enough for the others.", "$.body.shares")


class Previewable(Generic[R]):
    """The calls that can be previewed; `id` is the frame's, made here unless it was saved before."""

    def __init__(
        self, new_id: Callable[[], str], me: Callable[[], str], do: Callable[[kinds.Previewed], R]
    ) -> None:
        self.__new_id = new_id
        self.__me = me
        self._put = do

    def pay(
        self,
        conv: str,
        money: Money,
        *,
        note: str | None = None,
        payee: str | None = None,
        ref: str | None = None,
        accept: bool = False,
        expires_s: int | None = None,
        quote: kinds.QuoteView | str | None = None,
        not_after: int | None = None,
        id: str | None = None,  # noqa: A002 - the wire's name
    ) -> R:
        """Pay `money`, such as "12.50 EUR", in `conv`; `payee` ("@handle" or "u_…") may be left out in a DM.

        With `accept` it waits for the payee for `expires_s` seconds (a day); with a `quote` the payee gets
        another currency. `not_after` is in ms since the epoch. The body of the event: `PaymentSent` with
        `amount`, `currency`, `payee`, `state`, and `fee`, `received`, `settles`, `expires_at` where there are
        any.

        Raises TypeError for floats, `ShapeError` (amount_format, amount_range, unknown_currency),
        `FundsError`, `LimitError`, `AccountError`, `PlaceError`, `StateError` (expired, quote_used,
        already_paid).
        """
        amount, currency = amount_of(money)
        body = kinds.SendBody(
            amount=amount,
            currency=currency,
            payee=_given(payee),
            note=_given(note),
            not_after=_given(not_after),
            accept=True if accept else UNSET,
            expires_s=_given(expires_s),
            quote=quote.id if isinstance(quote, kinds.QuoteView) else _given(quote),
        )
        return self._put(kinds.PaySend(id=id or self.__new_id(), conv=conv, ref=_given(ref), body=body))

    def settle(
        self,
        asked: Event | kinds.PaymentView | Card,
        *,
        note: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> R:
        """Pay what a request asks of one, or one's share of a split bill; a `PaymentSent` with `settles`.

        Raises `PlaceError` where it asks nothing of one, `StateError` (already_paid, expired …), and what
        `pay` raises.
        """
        card = card_of(asked)
        due = None if card is None else card.due(self.__me())
        if card is None or due is None:
            raise error_of(_ASKS_NOTHING)
        money = f"{due} {card.currency}"
        return self.pay(card.conv, money, payee=card.payee, note=note, ref=card.id, id=id)

    def request(
        self,
        conv: str,
        money: Money,
        *,
        payer: str | None = None,
        note: str | None = None,
        expires_s: int | None = None,
        id: str | None = None,  # noqa: A002
    ) -> R:
        """Ask a person in a conversation for money; `payer` may be left out in a DM. `expires_s` in seconds
        (a week).

        The body of the event: `PaymentRequested` with `amount`, `currency`, `payer`, `state`, `expires_at`
        (ms).

        Raises `ShapeError`, `PlaceError` (nobody has written there yet), `StateError` (already_requested),
        `LimitError` (too_many_requests).
        """
        amount, currency = amount_of(money)
        body = kinds.RequestBody(
            amount=amount,
            currency=currency,
            payer=_given(payer),
            note=_given(note),
            expires_s=_given(expires_s),
        )
        return self._put(kinds.PayRequest(id=id or self.__new_id(), conv=conv, body=body))

    def split(
        self,
        conv: str,
        money: Money,
        shares: Iterable[Part],
        *,
        note: str | None = None,
        expires_s: int | None = None,
        id: str | None = None,  # noqa: A002
    ) -> R:
        """Share a bill that one has paid: `["@bob", ("@carol", "4.00")]`.

        Who has no amount pays as much as the others without one, of what is left; odd cents fall to the
        first. The body of the event: `BillSplit` with `total`, `currency`, `shares` (`user`, `amount`,
        `state`), `state`, `expires_at` (ms). Raises `ShapeError` (split_sum), `PlaceError` (not_a_member).
        """
        total, currency = amount_of(money)
        body = kinds.SplitBody(
            total=total,
            currency=currency,
            shares=_shares(total, currency, list(shares)),
            note=_given(note),
            expires_s=_given(expires_s),
        )
        return self._put(kinds.PaySplit(id=id or self.__new_id(), conv=conv, body=body))

    def packet(
        self,
        conv: str,
        money: Money,
        count: int,
        mode: Literal["equal", "lucky"] = "lucky",
        *,
        note: str | None = None,
        expires_s: int | None = None,
        id: str | None = None,  # noqa: A002
    ) -> R:
        """Put money into a red packet of `count` shares for whoever claims first; `mode` is "equal" or
        "lucky".

        The body of the event: `PacketMade` with `total`, `currency`, `count`, `mode`, `state`, `expires_at`
        (ms), `proof`.

        Raises `ShapeError` (split_sum), `FundsError`, `LimitError`, `AccountError`, `PlaceError`.
        """
        total, currency = amount_of(money)
        body = kinds.PacketBody(
            total=total,
            currency=currency,
            count=count,
            mode=mode,
            note=_given(note),
            expires_s=_given(expires_s),
        )
        return self._put(kinds.PayPacket(id=id or self.__new_id(), conv=conv, body=body))

    def accept(self, payment: Payment, *, id: str | None = None) -> R:  # noqa: A002
        """Take a payment that waits for one's acceptance; a `PaymentAccepted` with `amount`, `currency`,
        `payee`, `state`.

        Raises `PlaceError`, `StateError` (expired, not_pending …), `AccountError`, `FundsError`
        (balance_limit).
        """
        ref, conv = _target(payment)
        return self._put(kinds.PayAccept(id=id or self.__new_id(), conv=conv, ref=ref))

    def refund(
        self,
        payment: Payment,
        amount: Money | Amount | None = None,
        *,
        id: str | None = None,  # noqa: A002
    ) -> R:
        """Give back what one received, or some of it: "2 EUR", or "2" as it was received.

        The body of the event: `PaymentRefunded` with `amount`, `currency`, `payee`, `state`, `refunded` (in
        all).

        Raises `ShapeError`, `StateError` (exceeds_refundable, already_refunded), `FundsError`, `PlaceError`.
        """
        ref, conv = _target(payment)
        part = UNSET if amount is None else _part(amount, _received_in(payment))
        body = kinds.RefundBody(amount=part)
        return self._put(kinds.PayRefund(id=id or self.__new_id(), conv=conv, ref=ref, body=body))


class Verbs(Previewable[R]):
    """Every call that moves money or ends what waits; each is one durable frame."""

    def __init__(self, new_id: Callable[[], str], me: Callable[[], str], do: Callable[[InPlace], R]) -> None:
        super().__init__(new_id, me, do)
        self.__new_id = new_id
        self._act = do

    def claim(self, payment: Payment, *, id: str | None = None) -> R:  # noqa: A002
        """Take one share of a packet; a `PacketClaimed` with `amount`, `currency`, `share` (from 1), `count`,
        `state`.

        Raises `StateError` (packet_empty, already_claimed, expired), `PlaceError`, `AccountError`.
        """
        ref, conv = _target(payment)
        return self._act(kinds.PayClaim(id=id or self.__new_id(), conv=conv, ref=ref))

    def decline(
        self,
        payment: Payment,
        reason: str | None = None,
        *,
        id: str | None = None,  # noqa: A002
    ) -> R:
        """Return a payment that waits for one, or refuse a request or one's share of a bill; a
        `PaymentDeclined`.

        `reason` has up to 500 characters. Raises `PlaceError`, `StateError` (already_paid, expired …),
        `ShapeError`.
        """
        ref, conv = _target(payment)
        body = kinds.DeclineBody(reason=_given(reason))
        return self._act(kinds.PayDecline(id=id or self.__new_id(), conv=conv, ref=ref, body=body))

    def cancel(self, payment: Payment, *, id: str | None = None) -> R:  # noqa: A002
        """Take back one's own waiting payment, request or split; a `PaymentCancelled` with `state`.

        Raises `PlaceError` (forbidden, not_found), `StateError` (not_pending, already_paid …).
        """
        ref, conv = _target(payment)
        return self._act(kinds.PayCancel(id=id or self.__new_id(), conv=conv, ref=ref))

    def waive(self, payment: Payment, user: str, *, id: str | None = None) -> R:  # noqa: A002
        """Let a person ("@handle" or "u_…") off their share of one's split; a `ShareWaived` with `share` and
        `state`.

        Raises `PlaceError`, `StateError`.
        """
        ref, conv = _target(payment)
        body = kinds.WaiveBody(user=user)
        return self._act(kinds.PayWaive(id=id or self.__new_id(), conv=conv, ref=ref, body=body))

    def remind(self, payment: Payment, *, id: str | None = None) -> R:  # noqa: A002
        """Remind those who have not answered one's request or split, at most once an hour; a
        `PaymentReminded`.

        Raises `LimitError` (too_soon), `PlaceError`, `StateError`.
        """
        ref, conv = _target(payment)
        return self._act(kinds.PayRemind(id=id or self.__new_id(), conv=conv, ref=ref))

    def faucet(self, money: Money, *, id: str | None = None) -> R:  # noqa: A002
        """Give oneself play money, at most 1,000 major units at a time.

        Raises `PlaceError` (forbidden) where the server is no sandbox, `ShapeError`, `AccountError`.
        """
        amount, currency = amount_of(money)
        body = kinds.FaucetBody(amount=amount, currency=currency)
        return self._act(kinds.PayFaucet(id=id or self.__new_id(), conv="self", body=body))


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _target(payment: Payment) -> tuple[str, str]:
    """The id and the conversation of the payment that is meant, also by an event that acted on it."""
    if isinstance(payment, tuple):
        return payment
    return payment_of(payment) if isinstance(payment, Event) else payment.id, payment.conv


def _received_in(payment: Payment) -> str | None:
    """The currency that the payee received; None where the payment is named by its id alone."""
    told = payment.body if isinstance(payment, Event) else payment
    received = getattr(told, "received", None)
    currency: str | None = getattr(received or told, "currency", None)
    return currency


def _part(amount: Money | Amount, currency: str | None) -> str:
    """An amount of that currency; without knowing it, the amount alone, for the server to judge."""
    alone = isinstance(amount, (int, Decimal)) or (isinstance(amount, str) and " " not in amount.strip())
    if alone and currency is not None:
        return amount_in(currency, amount)[0]  # type: ignore[arg-type]
    if isinstance(amount, str) and alone:
        return amount
    part, its = amount_of(amount)  # type: ignore[arg-type] # a float or a bare number is told what money is
    if its != currency:
        raise error_of(_OTHER_CURRENCY)
    return part


def _shares(total: str, currency: str, parts: list[Part]) -> list[kinds.SplitShare]:
    """All with an amount, or none: the server makes those equal."""
    given = {n: amount_in(currency, part[1])[0] for n, part in enumerate(parts) if isinstance(part, tuple)}
    others = [n for n in range(len(parts)) if n not in given]
    if given and others:
        left = _minor(total, currency) - sum(_minor(amount, currency) for amount in given.values())
        if left < len(others):
            raise error_of(_TOO_MANY)
        each, more = divmod(left, len(others))
        given |= {n: format_amount(each + (k < more), currency) for k, n in enumerate(others)}
    return [
        kinds.SplitShare(user=part[0] if isinstance(part, tuple) else part, amount=given.get(n, UNSET))
        for n, part in enumerate(parts)
    ]


def _minor(amount: str, currency: str) -> int:
    minor = parse_amount(amount, currency)
    assert isinstance(minor, int), "the amount was read before"
    return minor
