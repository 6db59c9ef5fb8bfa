"""What leaves the road after a commit, in the order of the facts: for the hub, and for who submitted."""

from msgspec import Struct

from tuppence_protocol.errors import Refusal

from .rows import LoggedEvent, Quote


class Publish(Struct, frozen=True, gc=False, tag=True):
    """An event of `author` for everybody in its conversation; `people` where that is a dm or self."""

    event: LoggedEvent
    people: tuple[str, ...] | None
    members: int
    author: str


class Joined(Struct, frozen=True, gc=False, tag=True):
    """From here on this person's connections belong to the conversation."""

    conv: str
    user: str
    pos: int


class Left(Struct, frozen=True, gc=False, tag=True):
    """From here on this person's connections no longer belong to the conversation."""

    conv: str
    user: str
    pos: int


class Marked(Struct, frozen=True, gc=False, tag=True):
    """Somebody's read or delivered mark moved."""

    conv: str
    people: tuple[str, ...] | None
    members: int
    user: str
    read: int
    delivered: int


class SessionEnded(Struct, frozen=True, gc=False, tag=True):
    """A login was revoked."""

    user: str
    session: str


class UserEnded(Struct, frozen=True, gc=False, tag=True):
    """All logins of a person were revoked, or the person was disabled."""

    user: str
    disabled: bool


class Balance(Struct, frozen=True, gc=False):
    """An account after a commit that moved it, minor units."""

    owner: str
    currency: str
    available: int
    held: int
    pos: int


Outflow = Publish | Joined | Left | Marked | SessionEnded | UserEnded


class Stored(Struct, frozen=True, gc=False):
    """The frame is this event; `repeated` where it was so already."""

    event: LoggedEvent
    repeated: bool = False


class Done(Struct, frozen=True, gc=False):
    """A command that writes no event was carried out."""


class Previewed(Struct, frozen=True, gc=False):
    """What would come of a frame: the event's kind and body, and minor units by currency.

    `spends` is what would leave the author or be held, `after` the author's (available, held) in what moves.
    """

    kind: str
    body: bytes
    spends: dict[str, int]
    fee: tuple[str, int] | None
    after: dict[str, tuple[int, int]]
    pos: int


class Quoted(Struct, frozen=True, gc=False):
    """The quote that was asked for."""

    quote: Quote


Outcome = Stored | Done | Previewed | Quoted | Refusal
