"""Which characters nobody shows as they are: they act on a terminal, turn the direction of text or are not
seen."""

import unicodedata
from typing import Final

_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")
"""Persian words and pictures of families need them, and they move nothing."""


def is_harmful(character: str) -> bool:
    """True for what controls a terminal, the direction of the text, or is not seen."""
    return unicodedata.category(character) in _HARMFUL and character not in _JOINERS
