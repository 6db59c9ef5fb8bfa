"""Holds: each has one outcome at most, over its own accounts, and of no more than was held."""

from collections import Counter
from collections.abc import Callable, Sequence

from tuppence_server.store.contract import MoveRow


class Holds:
    """The holds that are open: debit, credit and minor units, by transfer."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._open: dict[int, tuple[int, int, int]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def take(self, moves: Sequence[MoveRow]) -> None:
        """The transfers of one event."""
        for _, number, debit, credit, amount, other in moves:
            if other is None:
                continue
            _, phase, pending = other.split(" ")
            if phase == "pending":
                self._open[number] = (debit, credit, amount)
            elif phase != "single":
                self._end(number, (debit, credit, amount), phase, int(pending))

    def _end(self, number: int, move: tuple[int, int, int], phase: str, pending: int) -> None:
        hold = self._open.pop(pending, None)
        if hold is None:
            self._report(f"transfer {number}: ends the hold {pending}, which is not open")
            return
        if hold[:2] != move[:2]:
            self._report(f"transfer {number}: its accounts are not those of the hold {pending}")
        if move[2] > hold[2] or (phase != "post" and move[2] != hold[2]):
            self._report(f"transfer {number}: a {phase} of {move[2]}, where {hold[2]} is held")

    def sums(self) -> tuple[Counter[int], Counter[int]]:
        """What the open holds keep from accounts, and what is on its way to them."""
        debits: Counter[int] = Counter()
        credits: Counter[int] = Counter()  # noqa: A001
        for debit, credit, amount in self._open.values():
            debits[debit] += amount
            credits[credit] += amount
        return debits, credits
