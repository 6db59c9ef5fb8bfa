"""Ids are made here, before anything is sent: UUIDs of version 7 that rise, also within one millisecond."""

import hashlib
import secrets
import time


class Ids:
    """A source of rising UUIDv7 (RFC 9562 section 5.7); call it for the next one."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> str:
        """The next id, a lower-case UUID."""
        now = (time.time_ns() // 1_000_000) << 74 | secrets.randbits(74)
        self._last = max(now, self._last + 1)  # a clock set back must not make ids fall
        time_bits, high, low = self._last >> 74, self._last >> 62 & 0xFFF, self._last & (1 << 62) - 1
        text = f"{time_bits << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def derived_id(text: str) -> str:
    """A lower-case UUID of version 4 that is always the same for the same text."""
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    bits = bits & ~(0xF << 76) & ~(0b11 << 62) | 0x4 << 76 | 0b10 << 62
    found = f"{bits:032x}"
    return f"{found[:8]}-{found[8:12]}-{found[12:16]}-{found[16:20]}-{found[20:]}"
