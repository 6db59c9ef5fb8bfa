"""Red packets that anybody can check: shares follow from a seed, and it is promised before it is told.

The event of a packet carries `proof`, a SHA-256 over the seed and the shares. The seed is told when the
packet ends. Whoever has both draws the shares again and sees that they were settled before the first claim.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, Literal

from .money import in_equal_parts

Mode = Literal["equal", "lucky"]
SEED_BYTES: Final = 32
_NAME: Final = b"tuppence-packet-1"


def draw(seed: bytes, total: int, count: int, mode: Mode) -> list[int]:
    """The shares in the order in which they are claimed, minor units, each at least 1; they sum to `total`.

    Equal shares differ by 1 at most, the larger first. Of lucky ones each is uniform between 1 and twice the
    mean of what is left, the last takes the rest, and the order is shuffled, so that to be early is no luck.

    Raises:
        ValueError: fewer minor units than shares.
    """
    if not 1 <= count <= total:
        raise ValueError(f"{total} minor units cannot make {count} shares")
    if mode == "equal":
        return in_equal_parts(total, count)
    numbers = _numbers(seed)
    rest, shares = total, []
    for left in range(count, 1, -1):
        share = 1 + _below(min(2 * rest // left, rest - left + 1), numbers)
        shares.append(share)
        rest -= share
    shares.append(rest)
    for last in range(count - 1, 0, -1):  # Fisher-Yates
        other = _below(last + 1, numbers)
        shares[last], shares[other] = shares[other], shares[last]
    return shares


def proof(seed: bytes, id: str, shares: Sequence[int]) -> str:
    """The promise that the event of the packet `id` carries: SHA-256 in hexadecimal."""
    listed = ",".join(map(str, shares))
    return sha256(_NAME + b"\n" + seed + f"\n{id}\n{listed}".encode()).hexdigest()


def is_fair(id: str, total: int, count: int, mode: Mode, promised: str, seed: bytes) -> bool:
    """True where the shares that follow from the seed are those that were promised."""
    try:
        shares = draw(seed, total, count, mode)
    except ValueError:
        return False
    return sum(shares) == total and proof(seed, id, shares) == promised


def _numbers(seed: bytes) -> Iterator[int]:
    """64-bit numbers, as many as are asked for: SHA-256 over name, seed and a counter."""
    counter = 0
    while True:
        block = sha256(_NAME + seed + counter.to_bytes(8, "big")).digest()
        yield from (int.from_bytes(block[at : at + 8], "big") for at in range(0, 32, 8))
        counter += 1


def _below(bound: int, numbers: Iterator[int]) -> int:
    """A number from 0 to `bound` - 1, each as likely: what would tip the balance is drawn again."""
    top = 2**64 - 2**64 % bound
    return next(number for number in numbers if number < top) % bound
