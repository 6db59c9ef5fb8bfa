"""Which transfers move an account, for SQLite: an index that is filled in bulk, a little behind the transfers.

Two ordinary indexes over a transfer's accounts would touch two pages anywhere in the file for each payment, and a
commit writes every page that it touched. Filled many at a time and sorted, most of these pages are touched once. What
is not filled in yet is found by looking through the last transfers.
"""

from typing import Final

ENTRIES_BEHIND_MAX: Final = 4_096
"""Transfers that may be made before their entries are filled in; a reader looks through so many, and one batch more."""

_FILL: Final = (
    "INSERT INTO entry (account, transfer) "
    "SELECT debit, id FROM transfer WHERE id > (SELECT entries FROM head) UNION ALL "
    "SELECT credit, id FROM transfer WHERE id > (SELECT entries FROM head) ORDER BY 1, 2"
)
FILL: Final = (_FILL, "UPDATE head SET entries = transfer_id WHERE one = 1")
"""To be run in the transaction that made the last transfers, after the head was brought up to date."""
FILLED: Final = "SELECT coalesce(max(entries), 0) FROM head"


def moving(order: str) -> str:
    """Ids of the transfers that move `:account`, behind `:after` up to `:upto`, `:limit` of them; ASC or DESC."""
    return (
        "SELECT transfer AS id FROM entry "
        "WHERE account = :account AND transfer > :after AND transfer <= :upto UNION ALL "
        "SELECT id FROM transfer WHERE id > max(:after, (SELECT entries FROM head)) AND id <= :upto "
        f"AND (debit = :account OR credit = :account) ORDER BY id {order} LIMIT :limit"
    )
