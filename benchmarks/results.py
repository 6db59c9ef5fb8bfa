"""What a benchmark found: rows of a figure beside its floor, and how a ratio is made of samples."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Any, Literal, TypeVar

F = TypeVar("F")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Target:
    """What is promised: at least or at most so much, of the ratio or of the figure itself."""

    sense: Literal["≥", "≤"]
    bound: float
    of: Literal["ratio", "value"] = "ratio"

    def met(self, row: "Row") -> bool:
        """Whether a row keeps the promise."""
        found = row.ratio if self.of == "ratio" else row.value
        if found is None:
            return False
        return found >= self.bound if self.sense == "≥" else found <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `samples` are the single measurements in the order in which they were taken."""

    part: str
    name: str
    value: float | None
    unit: str
    floor_name: str = ""
    floor: float | None = None
    ratio: float | None = None
    target: Target | None = None
    note: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it, and whether the target was met."""
        met = self.target.met(self) if self.target else None
        return asdict(self) | {"met": met}


def failure(part: str, error: Exception) -> Row:
    """A part that could not be measured."""
    return Row(part=part, name="failed", value=None, unit="", note=str(error)[:500])


def interleave(rounds: int, floor: Callable[[], F], candidate: Callable[[], C]) -> tuple[list[F], list[C]]:
    """Take floor, candidate, floor, candidate … floor: one more floor than there are rounds."""
    floors, candidates = [floor()], []
    for _ in range(rounds):
        candidates.append(candidate())
        floors.append(floor())
    return floors, candidates


def paired(candidates: Sequence[float], floors: Sequence[float]) -> float:
    """The median of each candidate's ratio to the mean of the floors just before and after it."""
    return median(own / fmean(pair) for own, pair in zip(candidates, pairwise(floors), strict=True))
