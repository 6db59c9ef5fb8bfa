"""What each action of the operator takes, as the administration endpoint and the command line give it."""

from typing import Annotated, Final

import msgspec

from tuppence_protocol.limits import NOTE_CHARS_MAX

from .importing import ROWS_PER_CALL_MAX
from .people_file import Row

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_CHARS_MAX)]


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """What an action takes: nothing, or what its subclass says."""


class Whose(Arguments):
    handle: str


class NewUser(Arguments):
    handle: str
    name: str = ""
    password: str | None = None


class NewPassword(Arguments):
    handle: str
    password: str


class Shut(Arguments):
    handle: str
    disabled: bool = True


class NewSession(Arguments):
    handle: str
    device: str = "operator"


class Credit(Arguments):
    handle: str
    amount: str
    currency: str
    note: Words | None = None
    id: str | None = None


class Debit(Arguments):
    handle: str
    amount: str
    currency: str
    reason: Words
    note: Words | None = None
    force: bool = False
    id: str | None = None


class Reversal(Arguments):
    payment: str
    reason: Words
    note: Words | None = None
    force: bool = False
    id: str | None = None


class Import(Arguments):
    rows: Annotated[list[Row], msgspec.Meta(max_length=ROWS_PER_CALL_MAX)]


class Period(Arguments):
    since: int | None = None
    until: int | None = None
    currency: str | None = None


class Freeze(Arguments):
    handle: str
    currency: str | None = None
    incoming: bool = False
    outgoing: bool = False
    thaw: bool = False


class Shutter(Arguments):
    handle: str
    currency: str | None = None
    reopen: bool = False


class NewTier(Arguments):
    handle: str
    tier: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_-]{1,32}$")]


class Where(Arguments):
    path: str


PEOPLE_LISTED_MAX: Final = 1_000


class Search(Arguments):
    search: str = ""
    tier: str | None = None
    frozen: bool | None = None
    disabled: bool | None = None
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=PEOPLE_LISTED_MAX)] = PEOPLE_LISTED_MAX


class Named(Arguments):
    payment: str
