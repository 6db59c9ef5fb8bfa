"""What is submitted to the road: a client's frame or an office command, and who it is from."""

from hashlib import sha256
from typing import Final

from msgspec import Struct
from tuppence_protocol.frames import Durable

from .office import Command

FINGERPRINT_BYTES: Final = 16


class Request(Struct, frozen=True, gc=False):
    """A frame to decide on. `author` is a user id; `content` the canonical text that its id stands for."""

    frame: Durable | Command
    author: str
    content: bytes = b""

    @property
    def fingerprint(self) -> bytes:
        """What tells the same content from other content under one id."""
        return sha256(self.content).digest()[:FINGERPRINT_BYTES]
