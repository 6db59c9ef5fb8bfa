"""What somebody does, as a few small numbers, so that a driver can draw it and Hypothesis can shrink it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.property.model.records import CLOSED, FROZEN_IN, FROZEN_OUT

MINORS: Final = (1, 1, 2, 3, 7, 10, 33, 100, 250, 999, 1_001, 2_500, 5_000, 5_001, 9_999, 25_000)
BAD_AMOUNTS: Final = (
    "0", "x", "-1", "1.", "01", "1e3", "+1", "0.00", "0.0001", "1.123456789", "1000000000000000", "",
)  # fmt: skip
FLAGS: Final = (FROZEN_IN, FROZEN_OUT, CLOSED, FROZEN_IN | FROZEN_OUT, CLOSED)
RATES: Final = ((162, 1), (1, 162), (34, 100), (1_000, 3), (9_999, 10_000))
ON_ITS_OWN: Final = frozenset({"exchange"})
"""Verbs that take two orders, so that they are not previewed."""
NO_IDS: Final = frozenset({"flags", "tier", "disable"})
"""Verbs without an id."""
OLD_IDS: Final = frozenset({"retry", "respell", "reuse", "steal", "recycle"})
"""Verbs that use an id once more."""
ACTING: Final = ("refund", "refund", "accept", "claim", "decline", "cancel", "waive", "remind", "answer")
ACTS: Final[Mapping[str, Sequence[str]]] = {
    "send": ("refund", "refund", "refund", "reverse", "accept", "decline", "cancel"),
    "request": ("answer", "decline", "cancel", "remind"),
    "split": ("answer", "decline", "cancel", "remind", "waive"),
    "packet": ("claim",),
}  # fmt: skip
"""What is tried with a payment whose id was just used for something else."""
NEAR_IDS: Final = 12
TWISTS: Final = (
    *("",) * 20, "bad_amount", "currency", "stranger", "elsewhere", "nowhere", "note", "late", "by_id",
    "by_id", "short", "short", "odd", "odd", "unknown", "oneself", "all", "all", "too_much",
    "barred", "barred", "barred", "barred", "edge", "edge",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """Who does what with whom, as numbers that are taken modulo what there is."""

    verb: str
    who: int = 0
    other: int = 0
    place: int = 0
    pick: int = 0
    aim: str = "apt"
    amount: int = 0
    currency: str = "EUR"
    twist: str = ""
