"""New ids, tokens and salts: the one place that asks the operating system for randomness."""

import secrets
import time
from base64 import b32encode
from collections.abc import Iterator
from hashlib import sha256
from struct import Struct as Packer
from typing import Final
from uuid import UUID

from tuppence_protocol.packets import SEED_BYTES

from .domain.chain import SALT_BYTES

_SALTS_PER_READ: Final = 1024
_cut: Final = Packer(f"{SALT_BYTES}s" * _SALTS_PER_READ).unpack


def _random_id(prefix: str) -> str:
    return prefix + b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def user_id() -> str:
    """A new user id."""
    return _random_id("u_")


def conversation_id() -> str:
    """A new conversation id."""
    return _random_id("c_")


def session_id() -> str:
    """A new session id."""
    return _random_id("s_")


def epoch() -> str:
    """A new name for a generation of the log."""
    return _random_id("e_")


def token() -> str:
    """A new bearer token: 256 bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is kept of a token."""
    return sha256(token.encode()).hexdigest()


def event_id() -> str:
    """A UUID of version 7: time-ordered, so that index pages stay hot (RFC 9562 section 5.7)."""
    stamp = time.time_ns() // 1_000_000
    bits = secrets.randbits(74)
    value = (stamp << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & (2**62 - 1))
    return str(UUID(int=value))


class Randomness:
    """Fresh ids and salts for the domain; salts are cut from one larger read."""

    def __init__(self) -> None:
        self._salts: Iterator[bytes] = _salts()

    def conversation_id(self) -> str:
        """A new conversation id."""
        return conversation_id()

    def seed(self) -> bytes:
        """A new seed of a red packet, 32 bytes."""
        return secrets.token_bytes(SEED_BYTES)

    def salt(self) -> bytes:
        """A new salt, 16 bytes."""
        return next(self._salts)


def _salts() -> Iterator[bytes]:
    while True:
        yield from _cut(secrets.token_bytes(SALT_BYTES * _SALTS_PER_READ))
