"""Texts as unmasked WebSocket frames (RFC 6455 section 5.2), so that one encoding serves every receiver."""


def text_frame(payload: bytes) -> bytes:
    """One unfragmented text frame as a server sends it: 0x81, then the length in one, three or nine bytes."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%b" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload
