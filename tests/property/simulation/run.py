"""A long run of money: `python -m tests.property.simulation.run --steps 100000 --seed 1 --store sqlite`.

One seed gives one run. Every simulation takes a store, unless one is named, and the operator's terms in turn;
most decide beside every save, in many takes, on a book that is dropped every so often. Ends with 1 and the
last steps where the ledger is not as foretold, or where a verb or a refusal never came about.
"""

import argparse
import asyncio
import random
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from tests.contract.stores import KINDS
from tests.property.simulation.acts import LONG, act
from tests.property.simulation.checks import check_all
from tests.property.simulation.road import FAULTS
from tests.property.simulation.simulation import Simulation
from tests.property.simulation.terms import TERMS
from tests.property.simulation.verbs import VERBS

from tuppence_protocol.kinds import PAYMENT_BODIES

STEPS_EACH: Final = 1_000
"""Steps before the next simulation: long enough for limits of a month, short enough to be checked whole
often."""
WHOLE_EVERY: Final = 250
TAIL_STEPS: Final = 40
PROGRESS_STEPS: Final = 10_000
KINDS_STORED: Final = (
    *PAYMENT_BODIES, "chat.text", "room.create", "room.invite", "room.remove", "room.leave", "room.role",
)  # fmt: skip
MUST_BE_DONE: Final = (
    *VERBS, "quote", "preview", "burst", "sweep", "clock", "killed", "restarted", "forgot", "pruned",
    "decided beside a save", "taken into an open batch",
    *(f"fault {fault}" for fault in FAULTS), *(f"{kind} stored" for kind in KINDS_STORED),
)  # fmt: skip
MUST_BE_REFUSED: Final = (
    "amount_format", "amount_range", "unknown_currency", "split_sum", "bad_frame", "id_reused", "id_taken",
    "not_found", "forbidden", "not_a_member", "account_disabled", "account_frozen", "account_closed",
    "payee_unavailable", "same_account", "expired", "not_pending", "already_paid", "already_declined",
    "already_cancelled", "already_claimed", "already_refunded", "already_requested", "packet_empty",
    "exceeds_refundable", "quote_expired", "quote_used", "not_empty", "balance_limit", "limit_per_payment",
    "limit_daily", "limit_monthly", "velocity", "too_many_requests", "too_soon", "insufficient_funds",
    "unavailable", "rate_unavailable", "already_member", "last_owner",
)  # fmt: skip


class Violation(Exception):
    """The ledger is not as foretold."""


class Run:
    """A run by one seed."""

    def __init__(
        self,
        seed: int,
        steps_each: int = STEPS_EACH,
        kinds: Sequence[str] = KINDS,
        progress: Callable[[int], object] = int,
    ) -> None:
        self.seed = seed
        self.steps_each = steps_each
        self.kinds = kinds
        self.progress = progress
        self.chance = random.Random(seed)
        self.steps = 0
        self.simulations = 0
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.tail: deque[str] = deque(maxlen=TAIL_STEPS)

    async def go(self, steps: int) -> None:
        """Take so many steps.

        Raises:
            Violation: with the last steps.
        """
        while self.steps < steps:
            terms = self.simulations % len(TERMS)
            kind = self.kinds[(self.simulations + self.simulations // len(TERMS)) % len(self.kinds)]
            narrow = self.simulations % 3 != 0
            self.simulations += 1
            self.tail.clear()
            until = min(self.steps + self.steps_each, steps)
            try:
                async with Simulation(kind, TERMS[terms], self.tail.append, narrow=narrow) as simulation:
                    while self.steps < until:
                        before = self.steps
                        self.steps += await act(simulation, self.chance, LONG)
                        await check_all(simulation, whole=self.steps // WHOLE_EVERY > before // WHOLE_EVERY)
                        if self.steps // PROGRESS_STEPS > before // PROGRESS_STEPS:
                            self.progress(self.steps)
            except Exception as fault:
                where = f"simulation {self.simulations}: {kind}, terms {terms}, narrow {narrow}"
                raise Violation("\n".join((f"{where}, about step {self.steps}", *self.tail))) from fault
            self.done += simulation.counts
            self.refused += simulation.refusals

    def missing(self) -> list[str]:
        """What should have come about and never did."""
        done = [f"verb {name}" for name in MUST_BE_DONE if not self.done[name]]
        return done + [f"refusal {code}" for code in MUST_BE_REFUSED if not self.refused[code]]

    def report(self, seconds: float) -> str:
        """What was done, in lines."""
        stores = " and ".join(self.kinds)
        done = f"{self.steps} steps in {self.simulations} simulations on {stores}"
        lines = [f"seed {self.seed}: {done}, {seconds:.1f} s"]
        lines += [f"  {name:<24}{count:>9}" for name, count in sorted(self.done.items())]
        lines.append("refusals")
        lines += [f"  {name:<24}{count:>9}" for name, count in sorted(self.refused.items())]
        return "\n".join(lines)


def main() -> int:
    """Run, tell, and end with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=STEPS_EACH)
    parser.add_argument("--store", choices=(*KINDS, "both"), default="both")
    given = parser.parse_args()
    started = time.perf_counter()

    def progress(steps: int) -> None:
        sys.stderr.write(f"{steps} of {given.steps} steps, {time.perf_counter() - started:.0f} s\n")

    kinds = KINDS if given.store == "both" else (given.store,)
    run = Run(given.seed, given.each, kinds, progress)
    try:
        asyncio.run(run.go(given.steps))
    except Violation as violation:
        traceback.print_exception(violation.__cause__)
        sys.stdout.write(f"the last steps of seed {given.seed}:\n{violation}\n")
        return 1
    sys.stdout.write(run.report(time.perf_counter() - started) + "\n")
    missing = run.missing()
    sys.stdout.write("".join(f"never: {name}\n" for name in missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
