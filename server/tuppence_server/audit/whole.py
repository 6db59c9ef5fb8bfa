"""Ranges put together: what each found as a difference becomes a sum, and is held against the rows."""

from collections import Counter
from collections.abc import Sequence

from tuppence_protocol.currencies import exponent
from tuppence_server.domain.rows import GENESIS_HASH, OPERATOR, Account, LogHead

from .legs import Key
from .outcomes import MODULUS
from .range import PROBLEMS_MAX, Found, Sums


class Whole:
    """The log as a whole, and what is not as it must be."""

    def __init__(self, owners: dict[int, Key]) -> None:
        self._owners = owners
        self.problems: list[str] = []
        self.at = 0
        self.hash = GENESIS_HASH
        self.events = self.transfers = self.last_transfer = self.outcomes = self._moment = 0
        self.begun: dict[str, int] = {}
        self.lasts: dict[str, tuple[int, int]] = {}
        self._sums: dict[int, Sums] = {}

    def report(self, problem: str) -> None:
        """Note what is not as it must be."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    def add(self, found: Found) -> None:
        """The next range."""
        if found.events and found.after != self.at:
            self.report(f"pos {found.after + 1}: follows {self.at}; something is missing before it")
        for problem in found.problems:
            self.report(problem)
        for conv, (seq, pos, at) in found.firsts.items():
            last = self.lasts.get(conv, (0, 0))[0]
            if seq != last + 1:
                self.report(f"pos {pos}: seq {seq} follows {last} in {conv}")
            self.begun.setdefault(conv, at)
        self.lasts |= found.lasts
        for number, sums in found.sums.items():
            self._add_sums(number, sums)
        if found.first_transfer:
            if found.first_transfer != self.last_transfer + 1:
                self.report(f"transfer {found.first_transfer}: follows {self.last_transfer}")
            self.last_transfer = found.last_transfer
        self.events += found.events
        self.transfers += found.transfers
        self.outcomes = (self.outcomes + found.outcomes) % MODULUS
        if found.events:
            self.at, self.hash, self._moment = found.upto, found.hash, found.at

    def _add_sums(self, number: int, more: Sums) -> None:
        sums = self._sums.get(number)
        if sums is None:
            sums = self._sums[number] = Sums(0, 0, 0, 0, 0)
        available = sums.credits - sums.debits - sums.pending
        if available + more.low < 0 and self._owners.get(number, ("", "", ""))[2] == "customer":
            self.report(f"account {number}: below zero at pos {more.low_pos}")
        sums.debits += more.debits
        sums.credits += more.credits
        sums.pending += more.pending

    def end(self, head: LogHead) -> None:
        """Where the log ends, against the head."""
        if self.at != head.pos or self.hash != head.hash:
            self.report(f"the log ends at {self.at}; the head says {head.pos}")
        elif head.at != self._moment:
            self.report(f"the last event was committed at {self._moment}; the head says {head.at}")
        if self.transfers != head.transfer_id or self.last_transfer != head.transfer_id:
            self.report(f"{self.transfers} transfers belong to events; the head says {head.transfer_id}")

    def opened(
        self, accounts: Sequence[Account], head: LogHead, users: frozenset[str], currencies: dict[str, int]
    ) -> None:
        """That accounts are numbered without a gap up to where the head says, and are somebody's, in what
        there is."""
        if [account.id for account in accounts] != list(range(1, head.account_id + 1)):
            last = accounts[-1].id if accounts else 0
            self.report(f"{len(accounts)} accounts up to number {last}; the head says {head.account_id}")
        for account in accounts:
            if not (account.owner in users if account.code == "customer" else account.owner == OPERATOR):
                self.report(f"account {account.id}: is nobody's")
        expected = {account.currency: exponent(account.currency) for account in accounts}
        if expected != currencies:
            self.report("the currencies that are noted are not those of the accounts, with their decimals")

    def accounts(self, accounts: list[Account], held: tuple[Counter[int], Counter[int]]) -> dict[str, int]:
        """The counters against the sums of the transfers and of the open holds."""
        posted: dict[str, list[int]] = {}
        totals: dict[str, int] = {}
        for account in accounts:
            sums = self._sums.pop(account.id, None) or Sums(0, 0, 0, 0, 0)
            for name, stored, expected in (
                ("debits", account.debits_posted, sums.debits),
                ("credits", account.credits_posted, sums.credits),
                ("pending debits", account.debits_pending, held[0][account.id]),
                ("pending credits", account.credits_pending, held[1][account.id]),
            ):
                if stored != expected:
                    self.report(f"account {account.id}: {name} differ from its transfers")
            if account.code == "customer":
                balance = account.credits_posted - account.debits_posted
                totals[account.currency] = totals.get(account.currency, 0) + balance
                if account.available < 0:
                    self.report(f"account {account.id}: below zero")
            both = posted.setdefault(account.currency, [0, 0])
            both[0] += account.debits_posted
            both[1] += account.credits_posted
        for currency, (debited, credited) in posted.items():
            if debited != credited:
                self.report(f"{currency}: debits {debited} are not credits {credited}")
        for unknown in self._sums:
            self.report(f"account {unknown}: has transfers but does not exist")
        return totals
