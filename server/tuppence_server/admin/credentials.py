"""Handles and passwords as people type them: one form of what looks the same, whatever keyboard it came from.

Passwords follow the OpaqueString profile of RFC 8265; docs/decisions/0026 tells where they do not.
"""

import unicodedata

from tuppence_protocol.characters import is_harmful


def handle_meant(text: str) -> str:
    """The handle that somebody means, wherever one is typed: with or without @, in capitals or not."""
    return text.strip().removeprefix("@").lower()


def opaque(password: str) -> str:
    """A password in its one form: every space is the plain one, and letters are composed (NFC)."""
    plain = "".join(" " if unicodedata.category(each) == "Zs" else each for each in password)
    return unicodedata.normalize("NFC", plain)


def forms(password: str) -> tuple[str, ...]:
    """What to compare with a kept hash: the one form, and as typed, as it may have been kept before there was
    one."""
    one = opaque(password)
    return (one,) if one == password else (one, password)


def can_be_typed(password: str) -> bool:
    """False where it has what no keyboard types and no eye sees: it got in by accident, and would not come
    again."""
    return not any(map(is_harmful, password))
