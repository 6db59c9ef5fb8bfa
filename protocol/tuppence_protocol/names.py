"""What names are made of: people's, groups' and devices'. They are shown in lists and on terminals, in one
line."""

import re
from typing import Final

from .errors import Refusal

NAME_PATTERN: Final = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*(?![\s\S])"
"""No control characters (C0, DEL, C1), line or paragraph separators, and none that turn the direction of what
follows (Unicode's Bidi_Control): a part of what `characters` calls harmful, as a pattern for any language."""
_fits = re.compile(NAME_PATTERN).match


def fit_name(name: str, chars_max: int, field: str) -> Refusal | None:
    """Why something cannot be a name of so many characters at most."""
    if len(name) > chars_max:
        return Refusal("too_big", f"A name has at most {chars_max} characters.", field)
    if _fits(name) is None:
        return Refusal(
            "bad_frame", "A name has no control characters and none that turn its direction.", field
        )
    return None
