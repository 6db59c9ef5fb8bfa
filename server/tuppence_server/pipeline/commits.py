"""What one commit lets out: plain data, which a broker may carry to other nodes as bytes."""

from msgspec import Struct

from tuppence_server.domain.changes import Changes
from tuppence_server.domain.effects import Balance, Outflow


class Committed(Struct, frozen=True):
    """All that one commit lets out, in order."""

    pos: int
    outflow: list[Outflow]
    balances: list[Balance]


def balances_of(changes: Changes, pos: int) -> list[Balance]:
    """How the people's accounts stand that a batch moved."""
    return [
        Balance(account.owner, account.currency, account.available, account.held, pos)
        for account in changes.accounts.values()
        if account.code == "customer"
    ]
