"""The common cases of RFC 6455 (section 5.2): a whole, unfragmented text frame,
read masked and written unmasked.

One encoding serves every receiver. Everything else - control frames, fragments, oversize, anything malformed
- goes to websockets' engine frame by frame, so that its judgement on them stands. Only frame boundaries are
found here.
"""

from typing import Final

from tuppence_protocol.limits import FRAME_BYTES_MAX

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled extension for this platform
    from websockets.utils import apply_mask

WHOLE_TEXT: Final = 0x81
_HEADER_BYTES_MIN: Final = 6
_REFUSED: Final = -1


def frame_end(data: bytes | bytearray, at: int) -> int:
    """Where the frame that begins at `at` ends, or 0 while that cannot be told.

    Negative where the engine refuses it by its header alone: unmasked, or longer than a frame may be.
    """
    size = len(data) - at
    if size < 2:
        return 0
    second = data[at + 1]
    if second < 0x80:
        return _REFUSED
    if second < 0xFE:
        return at + _HEADER_BYTES_MIN + second - 0x80
    if second == 0xFE:
        return at + 8 + (data[at + 2] << 8) + data[at + 3] if size >= 4 else 0
    if size < 10:
        return 0
    length = int.from_bytes(data[at + 2 : at + 10], "big")
    return at + 14 + length if length <= FRAME_BYTES_MAX else _REFUSED


def text_of(data: bytes | bytearray, at: int, end: int) -> bytes:
    """The payload of the whole masked frame between `at` and `end`."""
    second = data[at + 1]
    start = at + (_HEADER_BYTES_MIN if second < 0xFE else 8 if second == 0xFE else 14)
    return apply_mask(data[start:end], data[start - 4 : start])


def text_frame(payload: bytes) -> bytes:
    """One text frame as a server sends it: 0x81, then the length in one, three or nine bytes."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%b" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def is_utf8(text: bytes) -> bool:
    """Whether a text message may be one (RFC 6455 section 8.1)."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
