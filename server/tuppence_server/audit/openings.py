"""How payments begin that somebody may act on later: offers, requests, split bills and red packets."""

from collections.abc import Sequence

from msgspec.structs import replace

from tuppence_protocol.kinds import BillSplit, PacketMade, PaymentRequested, PaymentSent
from tuppence_protocol.packets import Mode, draw, proof
from tuppence_server.domain.rows import Payment, PaymentKind, Share

from .legs import Envelope, Leg, Mismatch, customer, minor, must_be, operator, single
from .payments import MoneyEvent, PaymentFolds
from .transitions import settled

OPEN = "open"
NOT_TOTAL = "the shares do not come to the total"


def sent(folds: PaymentFolds, event: MoneyEvent[PaymentSent]) -> None:
    """A payment that is more than plain, or answers something. Its transfers were looked at already."""
    envelope, body = event.envelope, event.body
    must_be(body.state, "pending" if body.accept else "completed")
    if bool(body.quote) != bool(body.received):
        raise Mismatch("an exchange has a quote, and nothing else has")
    if body.quote:
        _quoted(folds, envelope, body, body.quote)
    if body.settles:
        settled(folds, event, body.settles)
    elif folds.is_open(envelope.ref, "request", "split"):
        raise Mismatch(f"answers {envelope.ref} and does not settle it")
    if body.accept:
        holds = [move[1] for move in event.moves]
        payment = replace(
            payment_of(envelope, body), state="pending", expires_at=body.expires_at or 0,
            hold=holds[0], fee_hold=holds[1] if len(holds) > 1 else 0,
        )  # fmt: skip
        folds.begin(payment, [])


def payment_of(envelope: Envelope, body: PaymentSent) -> Payment:
    """The row of a send, where it has one."""
    currency, amount = body.currency, minor(body.amount, body.currency)
    fee = minor(body.fee, currency) if body.fee else 0
    received = amount - fee if body.fee_on == "payee" else amount
    if body.received:
        currency, received = body.received.currency, minor(body.received.amount, body.received.currency)
    payment = _begun(envelope, "send", envelope.from_, body.payee, body.currency, amount, 0)
    return replace(
        payment, state="completed", fee=fee, fee_on=body.fee_on or "payer",
        received=received, received_currency=currency,
    )  # fmt: skip


def _begun(
    envelope: Envelope, kind: PaymentKind, payer: str, payee: str, currency: str, amount: int, expires_at: int
) -> Payment:
    return Payment(
        id=envelope.id, pos=envelope.pos, at=envelope.at, kind=kind, conv=envelope.conv, payer=payer,
        payee=payee, currency=currency, amount=amount, state=OPEN, expires_at=expires_at,
    )  # fmt: skip


def _quoted(folds: PaymentFolds, envelope: Envelope, body: PaymentSent, id: str) -> None:  # noqa: A002
    quote = folds.kept.quotes.get(id)
    if quote is None:
        raise Mismatch(f"uses the quote {id}, which is not there")
    payment = payment_of(envelope, body)
    margin = minor(body.margin, body.currency) if body.margin else 0
    promised = (quote.owner, quote.sell, quote.buy, quote.sell_amount, quote.buy_amount)
    used = (envelope.from_, body.currency, payment.received_currency, payment.amount, payment.received)
    costs = (quote.margin, quote.fee, quote.rate)
    if promised != used or costs != (margin, payment.fee, body.rate) or envelope.at >= quote.expires_at:
        raise Mismatch(f"is not what the quote {id} promised")
    if quote.used_by != envelope.id:
        raise Mismatch(f"uses the quote {id}, which {quote.used_by or 'nobody'} has used")
    folds.quotes += 1


def requested(folds: PaymentFolds, event: MoneyEvent[PaymentRequested]) -> None:
    """Somebody asks another for money."""
    envelope, body = event.envelope, event.body
    must_be(body.state, OPEN)
    folds.moves(event, [])
    amount = minor(body.amount, body.currency)
    folds.begin(
        _begun(envelope, "request", body.payer, envelope.from_, body.currency, amount, body.expires_at), []
    )


def split(folds: PaymentFolds, event: MoneyEvent[BillSplit]) -> None:
    """Somebody shares a bill; their own share, if there is one, is paid from the start."""
    envelope, body = event.envelope, event.body
    must_be(body.state, OPEN)
    folds.moves(event, [])
    total, currency = minor(body.total, body.currency), body.currency
    shares = [
        Share(envelope.id, n, view.user, minor(view.amount, currency), view.state)
        for n, view in enumerate(body.shares, 1)
    ]
    _add_up([share.amount for share in shares], total)
    if len({share.person for share in shares}) != len(shares):
        raise Mismatch("somebody has two shares")
    for share in shares:
        must_be(share.state, "paid" if share.person == envelope.from_ else OPEN)
    payment = _begun(envelope, "split", "", envelope.from_, currency, total, body.expires_at)
    folds.begin(replace(payment, count=len(shares)), shares)


def packed(folds: PaymentFolds, event: MoneyEvent[PacketMade]) -> None:
    """Money is put into a red packet, held share by share as its seed makes them and its proof promises."""
    envelope, body = event.envelope, event.body
    must_be(body.state, OPEN)
    currency, total = body.currency, minor(body.total, body.currency)
    fee = minor(body.fee, currency) if body.fee else 0
    amounts = [move[4] for move in event.moves[: body.count]]
    source, kept = customer(envelope.from_, currency), operator("packets", currency)
    legs: list[Leg] = [(source, kept, amount, "pay.packet", "pending", 0) for amount in amounts]
    folds.moves(event, [*legs, single(source, operator("fees", currency), fee, "fee")] if fee else legs)
    must_be(len(amounts), body.count)
    _add_up(amounts, total)
    row = folds.kept.payments.get(envelope.id)
    seed = b"" if row is None else row.seed
    mode: Mode = "equal" if body.mode == "equal" else "lucky"
    if draw(seed, total, body.count, mode) != amounts or proof(seed, envelope.id, amounts) != body.proof:
        raise Mismatch("the shares are not those that the seed makes and the proof promises")
    payment = _begun(envelope, "packet", envelope.from_, "", currency, total, body.expires_at)
    shares = [
        Share(envelope.id, n, "", amount, OPEN, move[1])
        for n, (amount, move) in enumerate(zip(amounts, event.moves, strict=False), 1)
    ]
    folds.begin(replace(payment, fee=fee, mode=body.mode, count=body.count, seed=seed), shares)


def _add_up(amounts: Sequence[int], total: int) -> None:
    if sum(amounts) != total or min(amounts, default=0) < 1:
        raise Mismatch(NOT_TOTAL)
