"""Everything that is done, how often, and the drawing of steps."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from tests.property.simulation import acting, again, new, operating
from tests.property.simulation.orders import Verbs
from tests.property.simulation.step import MINORS, TWISTS, Step

VERBS: Final[Verbs] = {
    "deposit": (7, new.deposit), "faucet": (5, new.faucet), "pay": (12, new.pay),
    "offer": (8, new.offer), "exchange": (8, new.exchange), "answer": (9, acting.answer),
    "request": (9, new.request), "split": (6, new.split), "packet": (6, new.packet),
    "claim": (11, acting.plain), "accept": (7, acting.plain), "decline": (5, acting.decline),
    "cancel": (4, acting.plain), "refund": (7, acting.refund), "waive": (3, acting.waive),
    "remind": (4, acting.plain), "chat": (3, new.chat), "flags": (4, operating.flags),
    "tier": (4, operating.tier), "disable": (1, operating.disable), "room": (5, operating.room),
    "expire": (3, operating.expire), "retry": (4, again.retry), "respell": (4, again.respell),
    "reuse": (4, again.reuse), "steal": (2, again.steal), "recycle": (9, again.recycle),
    "misname": (3, acting.misname), "withdraw": (3, operating.withdraw),
    "reverse": (4, operating.reverse),
}  # fmt: skip
CHOICES: Final[Mapping[str, Sequence[Any]]] = {
    "verb": [verb for verb, (often, _) in VERBS.items() for _ in range(often)],
    "who": range(5),
    "other": range(4),
    "place": range(12),
    "pick": range(8),
    "aim": ("apt", "apt", "apt", "near", "over", "any"),
    "amount": range(len(MINORS)),
    "currency": ("EUR", "EUR", "EUR", "JPY", "KWD"),
    "twist": TWISTS,
}


def random_step(chance: random.Random, without: Iterable[str] = ()) -> Step:
    """Any step, as chance has it."""
    step = Step(**{name: chance.choice(options) for name, options in CHOICES.items()})
    return random_step(chance, without) if step.verb in without else step


assert {each.name for each in fields(Step)} == set(CHOICES)
