"""What is done with a simulation, by any source of chance: a seed for long runs, Hypothesis for short
ones."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.property.model.records import DAY_MS, HOUR_MS
from tests.property.simulation.road import FAULTS
from tests.property.simulation.simulation import Simulation
from tests.property.simulation.step import ON_ITS_OWN
from tests.property.simulation.verbs import random_step

TICKS_MS: Final = (
    1, 1_000, 1_000, 30_000, 30_000, 59_999, 60_000, 60_000, 600_000, 600_000, 900_000, 900_000, HOUR_MS,
    HOUR_MS, 3 * HOUR_MS, DAY_MS, 7 * DAY_MS, 31 * DAY_MS, -1_000, -HOUR_MS, -DAY_MS,
)  # fmt: skip
MOMENTS: Final = ("payment", "quote", "reminder", "limit")
FORGET_AFTER: Final = (0, 0, 1, 2, 5, 11)
"""Frames after which the book is dropped, as soon as that may be."""


@dataclass(frozen=True)
class Odds:
    """How often things happen, and how many steps come at once."""

    one: int
    burst: int
    preview: int
    tick: int
    sweep: int
    restart: int
    fault: float
    forget: float
    burst_steps: Sequence[int]


LONG: Final = Odds(68, 7, 9, 9, 5, 2, fault=0.04, forget=0.3, burst_steps=(2, 3, 5, 8, 13, 90))
SHORT: Final = Odds(3, 3, 2, 3, 2, 1, fault=0.3, forget=0.3, burst_steps=range(2, 13))
"""For a few dozen acts, of which each should be worth its while."""


async def act(simulation: Simulation, chance: random.Random, odds: Odds) -> int:
    """Do something; how many steps it was."""
    weights = (odds.one, odds.burst, odds.preview, odds.tick, odds.sweep, odds.restart)
    fault = chance.choice(FAULTS) if chance.random() > 1 - odds.fault else ""
    if chance.random() > 1 - odds.forget:
        simulation.forget(chance.choice(FORGET_AFTER))
    match chance.choices(("one", "burst", "preview", "tick", "sweep", "restart"), weights)[0]:
        case "one":
            await simulation.act(random_step(chance), fault)
        case "burst":
            return await burst(simulation, chance, odds, fault)
        case "preview":
            await simulation.preview(random_step(chance, ON_ITS_OWN), send=chance.random() < 0.7)
        case "tick" if chance.random() < 0.4:
            simulation.tick(chance.choice(TICKS_MS))
        case "tick":
            simulation.tick_to(chance.choice(MOMENTS), chance.randrange(3), early=chance.random() < 0.5)
        case "sweep":
            await simulation.sweep(fault)
        case "restart":
            await simulation.restart(kill=chance.random() < 0.5)
    return 1


async def burst(simulation: Simulation, chance: random.Random, odds: Odds, fault: str = "") -> int:
    """Do several things at once; how many."""
    steps = [random_step(chance) for _ in range(chance.choice(odds.burst_steps))]
    await simulation.burst(steps, fault)
    return len(steps)
