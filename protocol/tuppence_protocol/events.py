"""Events: what the log holds, and what every member of a conversation receives."""

from msgspec import UNSET, Raw, UnsetType, field

from .views import Extensible


class UnknownBody(Extensible, frozen=True):
    """The body of a kind that this client does not know: show `alt`."""

    alt: str = ""


class Event(Extensible, frozen=True):
    """One line of the log, the same bytes for every member; `at` is ms since the epoch."""

    kind: str
    id: str
    conv: str
    seq: int
    pos: int
    from_: str = field(name="from")
    at: int
    body: Extensible
    ref: str | UnsetType = UNSET


class RawEvent(Extensible, frozen=True):
    """An event whose body has not been read yet."""

    kind: str
    id: str
    conv: str
    seq: int
    pos: int
    from_: str = field(name="from")
    at: int
    body: Raw
    ref: str | UnsetType = UNSET
