"""Seals: how the check of the ledger knows that rows which no event tells of are as they were written.

A seal is the sum of its rows' digests. So a change costs as much as it changes, order does not matter, and a
row that was edited, added or taken away shows. It is no signature: who can edit the file can sum up anew.
"""

from hashlib import sha256
from typing import Final

from .rows import Account, IdempotencyRecord, User

MODULUS: Final = 2**61 - 1
PEOPLE: Final = "people"
FLAGS: Final = "flags"
REFUSALS: Final = "refusals"
MODE: Final = "mode"
SEALS: Final = (PEOPLE, FLAGS, REFUSALS, MODE)
PERSON: Final = (
    "id", "handle", "skeleton", "name", "password", "disabled", "created_at", "tier", "flags",
)  # fmt: skip
"""The columns of a person that are sealed; the log tells the others."""
ACCOUNT: Final = ("id", "owner", "currency", "code", "flags")
"""Of an account that has flags."""
REFUSAL: Final = ("id", "sender", "refusal")


def digest(*values: object) -> int:
    """What one row adds to its seal; below 2^56."""
    plain = [int(value) if isinstance(value, bool) else value for value in values]
    return int.from_bytes(sha256(repr(plain).encode()).digest()[:7], "big")


def of_person(user: User) -> int:
    """A person's part in the seal of people."""
    return digest(*(getattr(user, column) for column in PERSON))


def of_flags(account: Account) -> int:
    """An account's part in the seal of flags; none without any."""
    return digest(*(getattr(account, column) for column in ACCOUNT)) if account.flags else 0


def of_refusal(receipt: IdempotencyRecord) -> int:
    """A refusal's part in the seal of refusals."""
    return digest(*(getattr(receipt, column) for column in REFUSAL))
