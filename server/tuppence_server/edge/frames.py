"""Texts as unmasked WebSocket frames (RFC 6455 section 5.2), so that one encoding serves every receiver."""

from struct import Struct as Packer
from typing import Final

_TEXT: Final = 0x81
_short: Final = Packer("!BB").pack
_medium: Final = Packer("!BBH").pack
_long: Final = Packer("!BBQ").pack


def text_frame(payload: bytes) -> bytes:
    """One unfragmented text frame as a server sends it."""
    length = len(payload)
    if length < 126:
        return _short(_TEXT, length) + payload
    if length < 65_536:
        return _medium(_TEXT, 126, length) + payload
    return _long(_TEXT, 127, length) + payload
