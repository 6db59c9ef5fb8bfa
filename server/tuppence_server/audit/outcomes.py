"""Receipts: each event has exactly its own, which names who sent it and where it is.

Events come in the order of the log and receipts in that of their ids. So each side is summed up, and only
where the sums differ is looked for what it is that does.
"""

from collections.abc import Iterable, Sequence
from operator import add, mul
from typing import Final
from zlib import crc32

from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.rows import OPERATOR

MODULUS: Final = 2**61 - 1
"""What sums are told by, so that they stay numbers of 64 bits; a prime, so that no difference is lost in
it."""


def sum_of_events(ids: Sequence[str], authors: Sequence[str], places: Sequence[int]) -> int:
    """What the receipts of these events have to sum up to. The operator's orders are the server's events."""
    senders = [OPERATOR if author == SERVER_AUTHOR else author for author in authors]
    total: int = sum(map(mul, map(crc32, map(str.encode, map(add, ids, senders))), places))
    return total % MODULUS


def sum_of_receipts(rows: Iterable[Sequence[tuple[bytes, int]]]) -> tuple[int, int]:
    """How many receipts there are, and their sum; of each the id with the sender, and the pos."""
    count = total = 0
    for some in rows:
        keys, places = zip(*some, strict=True)
        total += sum(map(mul, map(crc32, keys), places))
        count += len(some)
    return count, total % MODULUS
