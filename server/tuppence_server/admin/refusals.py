"""What the operator's commands, and logins, are refused with."""

from typing import Final

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN

NOBODY: Final = Refusal("not_found", "There is nobody with that handle.", "$.handle")
NO_PAYMENT: Final = Refusal("not_found", "There is no payment with that id.", "$.payment")
WEAK: Final = Refusal(
    "bad_frame",
    f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.",
    "$.password",
)
UNSEEN: Final = Refusal(
    "bad_frame",
    "A password has no control characters and none that cannot be seen, "
    "such as a line break or a byte order mark.",
    "$.password",
)
OVERLOADED: Final = Refusal("busy", "Too many logins at once; try again.", retry_ms=2_000)
WRONG_PASSWORD: Final = Refusal("bad_credentials", "Handle and password do not match.")
BAD_ID: Final = Refusal("bad_id", "An id is a lower-case UUID of version 4 or 7.", "$.id")
AT_REST: Final = Refusal("forbidden", "This checks the ledger of a running server.", "$.do")


class Refused(Exception):
    """A command of the operator, or a login, was refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
