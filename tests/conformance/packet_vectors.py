"""Red packets: what each seed makes of a total, drawn after the spec and not by the library."""

from collections.abc import Iterator
from hashlib import sha256
from struct import pack
from typing import Any, Final

Row = dict[str, Any]

_NAME: Final = b"tuppence-packet-1"
_IDS: Final = ("0197a1c2-7d3e-7b1a-9c55-0123456789ab", "3f2b8c1e-94d7-4a06-8e21-fedcba987654")
_ZEROS: Final = bytes(32)
_ONES: Final = b"\xff" * 32
_COUNTING: Final = bytes(range(32))
# This seed's first number is beyond the last whole run of the bound, about one in 25,000, and is not used.
_THROWN_AWAY: Final = (
    "98f03249cc3ae459ee88ea2875d6450b13009c52cb02475b6ba21ed81f34f24c", 999_999_999_980_001, 2
)  # fmt: skip


class Numbers:
    """The numbers of a seed, one after the other; `thrown` counts those that were not used."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._taken = 0
        self.thrown = 0

    def below(self, bound: int) -> int:
        """Cut the 2^64 numbers into runs of `bound`, and throw away the last run if it is not whole."""
        while True:
            counter, place = divmod(self._taken, 4)
            digest = sha256(_NAME + self._seed + pack(">Q", counter)).hexdigest()
            number = int(digest[16 * place : 16 * place + 16], 16)
            self._taken += 1
            run, within = divmod(number, bound)
            if (run + 1) * bound <= 1 << 64:
                return within
            self.thrown += 1


def equal_shares(total: int, count: int) -> list[int]:
    """As equal as can be; the first take what is left over."""
    shares = [total // count] * count
    for n in range(total % count):
        shares[n] += 1
    return shares


def lucky_shares(seed: bytes, total: int, count: int) -> list[int]:
    """Cut one share after the other, then shuffle."""
    numbers = Numbers(seed)
    shares: list[int] = []
    while len(shares) < count - 1:
        rest, left = total - sum(shares), count - len(shares)
        twice_the_mean = (rest + rest) // left
        all_but_one_each = rest - (left - 1)
        shares.append(1 + numbers.below(min(twice_the_mean, all_but_one_each)))
    shares.append(total - sum(shares))
    for n in reversed(range(1, count)):
        m = numbers.below(n + 1)
        keep = shares[n]
        shares[n] = shares[m]
        shares[m] = keep
    return shares


def promise(seed: bytes, of: str, shares: list[int]) -> str:
    """What the packet's event carries as `proof`."""
    digest = sha256()
    for piece in (_NAME, b"\n", seed, b"\n", of.encode("ascii"), b"\n"):
        digest.update(piece)
    digest.update(",".join(str(share) for share in shares).encode("ascii"))
    return digest.hexdigest()


def packets() -> Iterator[Row]:
    """Packets with their shares and proof; where `fair` is false, the proof is not that of the shares."""
    for seed in (_ZEROS, _ONES, _COUNTING):
        for mode in ("equal", "lucky"):
            for total, count in ((1, 1), (10, 3), (10, 10), (2_000, 5), (12_345, 100), (10**15, 7)):
                name = f"{mode}: {total} in {count}, seed {seed.hex()[:6]}"
                yield _row(name, seed, total, count, mode)
    for n in range(16):
        seed = sha256(b"lucky packet %d" % n).digest()
        yield _row(f"lucky: 8.88 in 8, the {n}th", seed, 888, 8, "lucky")
    for n in range(1, 9):
        yield _row(f"lucky: {n + 1} in {n}, one has two", sha256(b"%d" % n).digest(), n + 1, n, "lucky")
    text, total, count = _THROWN_AWAY
    yield _row("lucky: the first number is thrown away", bytes.fromhex(text), total, count, "lucky")
    yield _row("lucky: of another id", _COUNTING, 2_000, 5, "lucky", of=_IDS[1])
    yield from _unfair()


def _unfair() -> Iterator[Row]:
    fair = _row("", _COUNTING, 2_000, 5, "lucky")
    shares: list[int] = fair["shares"]
    moved = [shares[0] - 1, shares[1] + 1, *shares[2:]]
    swapped = [shares[1], shares[0], *shares[2:]]
    other = lucky_shares(_ZEROS, 2_000, 5)
    promises = (
        ("a unit moved", promise(_COUNTING, _IDS[0], moved)),
        ("two swapped", promise(_COUNTING, _IDS[0], swapped)),
        ("the shares of another seed", promise(_COUNTING, _IDS[0], other)),
        ("promised with another seed", promise(_ZEROS, _IDS[0], shares)),
        ("promised for another id", promise(_COUNTING, _IDS[1], shares)),
        ("equal shares, though lucky", promise(_COUNTING, _IDS[0], equal_shares(2_000, 5))),
        ("shares of one unit more", promise(_COUNTING, _IDS[0], lucky_shares(_COUNTING, 2_001, 5))),
        ("no promise", ""),
    )
    for what, promised in promises:
        yield fair | {"name": f"unfair: {what}", "proof": promised, "fair": False}


def _row(name: str, seed: bytes, total: int, count: int, mode: str, of: str = _IDS[0]) -> Row:
    shares = equal_shares(total, count) if mode == "equal" else lucky_shares(seed, total, count)
    return {
        "name": name, "seed": seed.hex(), "total": total, "count": count, "mode": mode, "id": of,
        "shares": shares, "proof": promise(seed, of, shares), "fair": True,
    }  # fmt: skip
