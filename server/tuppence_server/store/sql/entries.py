"""Which transfers move an account, and what they came to now and then, for SQLite: filled in bulk, a little
behind.

Two ordinary indexes over a transfer's accounts would touch two pages anywhere in the file for each payment,
and a commit writes every page that it touched. Filled many at a time and sorted, most of these pages are
touched once. What is not filled in yet is found by looking through the last transfers.

With each filling, posted balances are carried over, of the more accounts the more they moved: a row for each
of thousands would cost as much as the entries. So the balance after any transfer is one that was carried and
what moved the account since, which is little more than was filled in at once.
"""

from typing import Final

ENTRIES_BEHIND_MAX: Final = 4_096
"""Transfers that may be made before their entries are filled in; a reader looks through so many,
and one batch more."""

_FILL: Final = (
    "INSERT INTO entry (account, transfer) "
    "SELECT debit, id FROM transfer WHERE id > (SELECT entries FROM head) UNION ALL "
    "SELECT credit, id FROM transfer WHERE id > (SELECT entries FROM head) ORDER BY 1, 2"
)
CARRIED_OF_TRANSFERS: Final = 16
"""One transfer in so many has the balances of its two accounts carried over. Which of them nobody can choose:
it is told by where the filling ends. That none of an account's last 500 was one comes about once in 10^14."""
_PICKED: Final = (
    "FROM transfer WHERE id > (SELECT entries FROM head) "
    f"AND id % {CARRIED_OF_TRANSFERS} = (SELECT transfer_id FROM head) % {CARRIED_OF_TRANSFERS}"
)
_CARRY: Final = (
    "INSERT INTO carried (account, transfer, balance) "
    "SELECT a.id, (SELECT transfer_id FROM head), a.credits_posted - a.debits_posted "
    f"FROM (SELECT debit AS id {_PICKED} UNION SELECT credit {_PICKED}) AS k "
    "CROSS JOIN account AS a ON a.id = k.id"
)
FILL: Final = (_FILL, _CARRY, "UPDATE head SET entries = transfer_id WHERE one = 1")
"""To be run in the transaction that made the last transfers, after head and accounts were brought up to
date."""
CARRIED: Final = (
    "SELECT transfer, balance FROM carried WHERE account = :account AND transfer <= :transfer "
    "ORDER BY transfer DESC LIMIT 1"
)
FILLED: Final = "SELECT coalesce(max(entries), 0) FROM head"


def moving(order: str) -> str:
    """Ids of the transfers that move `:account`, behind `:after` up to `:upto`, `:limit` of them;
    ASC or DESC."""
    return (
        "SELECT transfer AS id FROM entry "
        "WHERE account = :account AND transfer > :after AND transfer <= :upto UNION ALL "
        "SELECT id FROM transfer WHERE id > max(:after, (SELECT entries FROM head)) AND id <= :upto "
        f"AND (debit = :account OR credit = :account) ORDER BY id {order} LIMIT :limit"
    )
