"""Accounts as a range of the log moves them."""

from .legs import Key


class FoldedAccount:
    """An account as a range folds it, in minor units; `owner` is None where it is not a person's."""

    __slots__ = ("credits", "currency", "debits", "low", "low_pos", "owner", "pending")

    def __init__(self, owner: str, currency: str, code: str) -> None:
        self.debits = self.credits = self.pending = self.low = self.low_pos = 0
        self.owner = owner if code == "customer" else None
        self.currency = currency

    def note_low(self, pos: int) -> None:
        """Keep where least was available."""
        left = self.credits - self.debits - self.pending
        if left < self.low:
            self.low, self.low_pos = left, pos


class Accounts(dict[int, FoldedAccount]):
    """The accounts that a range has moved."""

    def __init__(self, owners: dict[int, Key]) -> None:
        self._owners = owners

    def __missing__(self, number: int) -> FoldedAccount:
        account = self[number] = FoldedAccount(*self._owners.get(number, ("", "", "")))
        return account
