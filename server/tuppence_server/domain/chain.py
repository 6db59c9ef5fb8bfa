"""The audit chain: each event's hash covers the one before, its exact bytes and the transfers it made.

The body goes in as a salted commitment, so that erasing body and salt leaves the chain whole. Every part is
length-prefixed, so that no two different events read the same.
"""

from hashlib import sha256
from struct import Struct as Packer
from typing import Final

from .rows import Transfer

CHAIN_VERSION: Final = b"tuppence-chain-1"
SALT_BYTES: Final = 16
_length = Packer(">I").pack


def commit(salt: bytes, body: bytes) -> bytes:
    """The commitment to a body: SHA-256 over salt and body, 32 bytes."""
    return sha256(salt + body).digest()


def encode_transfer(moved: Transfer) -> bytes:
    """One transfer as the chain hashes it; phase and hold are told where it is not a single one."""
    if moved.phase == "single":
        return f"{moved.id} {moved.debit} {moved.credit} {moved.amount} {moved.code}\n".encode()
    hold = f"{moved.phase} {moved.pending}"
    return f"{moved.id} {moved.debit} {moved.credit} {moved.amount} {moved.code} {hold}\n".encode()


def link(previous: bytes, head: bytes, commitment: bytes, transfers: bytes) -> bytes:
    """The hash of one event, 32 bytes."""
    sizes = _length(len(head)), _length(len(transfers))
    parts = (CHAIN_VERSION, previous, sizes[0], head, commitment, sizes[1], transfers)
    return sha256(b"".join(parts)).digest()
