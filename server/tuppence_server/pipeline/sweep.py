"""The sweep: sees to it that what has run out of time is given back, by the same road as everything.

What is due is a row in the store, so a restart forgets nothing; a payment that was ended meanwhile is let be,
however often it is asked for. It goes by commit time, which neither runs back nor stands still: a payment
expires neither twice nor early, nor late where the machine's clock was set back.
"""

import asyncio
from typing import Final

import structlog

from tuppence_protocol.errors import Refusal
from tuppence_server import ids
from tuppence_server.domain.commands import Expire, Forget
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import OPERATOR
from tuppence_server.domain.stale import before
from tuppence_server.store.contract import StoreFault, Upkeep

from .pipeline import Pipeline

SWEEP_S: Final = 1.0
SWEEP_PAYMENTS_MAX: Final = 500
"""Payments that are ended at once; the rest follow without a pause."""
PRUNE_ROWS_MAX: Final = 500
"""Rows of each kind that one request drops, as nobody needs them; PRUNE_BITES_MAX requests a second."""
PRUNE_BITES_MAX: Final = 8
log = structlog.get_logger("tuppence.sweep")


async def sweep(store: Upkeep, pipeline: Pipeline) -> int:
    """End what is due now; how many payments that were."""
    swept = 0
    while due := await store.due(pipeline.now_ms(), SWEEP_PAYMENTS_MAX):
        ends = (pipeline.ask(Request(Expire(ids.event_id(), id), OPERATOR)) for id in due)
        outcomes: list[Outcome] = await asyncio.gather(*ends)
        if refused := [outcome for outcome in outcomes if isinstance(outcome, Refusal)]:
            if refused[0].code != "busy":
                log.warning("sweep_refused", code=refused[0].code, payments=len(refused))
            return swept
        swept += len(due)
    return swept


async def prune(
    store: Upkeep, pipeline: Pipeline, rows_max: int = PRUNE_ROWS_MAX, bites_max: int = PRUNE_BITES_MAX
) -> int:
    """Drop what nobody needs any more, in bites that keep nobody waiting; how many rows that were."""
    dropped = 0
    for _ in range(bites_max):
        stale = await store.stale(before(pipeline.now_ms()), rows_max)
        bite = max(len(stale.quotes), len(stale.sessions), len(stale.uses))
        if not bite:
            break
        outcome = await pipeline.ask(Request(Forget(stale.quotes, stale.sessions, stale.uses), OPERATOR))
        if isinstance(outcome, Refusal):
            break
        dropped += len(stale.quotes) + len(stale.sessions) + len(stale.uses)
        if bite < rows_max:
            break
    return dropped


def sound(store: Upkeep, pipeline: Pipeline) -> bool:
    """Look whether the store still has its files; where it has not,
    the server ends and acknowledges nothing more."""
    try:
        store.watch()
    except StoreFault as fault:
        log.error("store_fault", error=str(fault), fatal=fault.fatal)
        pipeline.give_up()
        return False
    return True


async def keep_sweeping(store: Upkeep, pipeline: Pipeline, every_s: float = SWEEP_S) -> None:
    """Sweep every so many seconds until cancelled; a fault is logged and tried again, unless it is fatal."""
    while sound(store, pipeline):
        try:
            await sweep(store, pipeline)
            await prune(store, pipeline)
        except Exception:
            log.exception("sweep_fault")
        await asyncio.sleep(every_s)
