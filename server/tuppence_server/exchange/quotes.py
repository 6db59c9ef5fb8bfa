"""Where rates come from, behind one small interface, and how they become quotes."""

from fractions import Fraction
from typing import Protocol

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import QuoteBody
from tuppence_server import ids
from tuppence_server.domain.commands import OpenQuote
from tuppence_server.domain.effects import Quoted
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import OPERATOR, Quote
from tuppence_server.pipeline.pipeline import Pipeline


class RateSource(Protocol):
    """Units of `buy` for one of `sell` at the middle of the market, at a time in ms since the epoch.

    None where the source does not know the pair; a refusal where what it knows is too old. `refused` are
    currencies whose rates are not used, since people would gain by going round.
    """

    def rate(self, sell: str, buy: str, now: int) -> Fraction | Refusal | None: ...
    def refused(self) -> frozenset[str]: ...


async def quote(rates: RateSource, pipeline: Pipeline, user: str, body: QuoteBody) -> Quote | Refusal:
    """Promise an exchange; what is promised is kept by the road like everything else."""
    found = rates.rate(body.sell, body.buy, pipeline.now_ms())
    missing = found.message if isinstance(found, Refusal) else None
    rate = found if isinstance(found, Fraction) else Fraction(0)
    command = OpenQuote(
        ids.event_id(), user, body.sell, body.buy, body.amount, body.side,
        rate.numerator, rate.denominator, missing,
    )  # fmt: skip
    outcome = await pipeline.ask(Request(command, OPERATOR))
    if isinstance(outcome, Refusal):
        return outcome
    assert isinstance(outcome, Quoted), "a quote was asked for"
    return outcome.quote
