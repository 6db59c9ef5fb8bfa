"""What a rule may decide. Facts are plain values; `Book.apply` is the only thing that acts on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from tuppence_protocol import codec
from tuppence_protocol.errors import Refusal
from tuppence_protocol.shapes import Durable

from .commands import EventCommand
from .rows import AccountKey, Conversation, Member, Payment, Phase, Role, Session, Share, SimpleRow, User


class Move(Struct, frozen=True, gc=False):
    """Take `amount` minor units from one account and give them to another, or hold them for it.

    `post`, `void` and `expire` end the hold `pending` over `held` minor units.
    """

    debit: AccountKey
    credit: AccountKey
    amount: int
    code: str
    phase: Phase = "single"
    pending: int = 0
    held: int = 0


class Append(Struct, frozen=True, gc=False):
    """Write an event to a conversation, with the money it moves."""

    conv: str
    kind: str
    id: str
    author: str
    ref: str | None
    body: bytes
    moves: tuple[Move, ...] = ()


class OpenConversation(Struct, frozen=True, gc=False):
    """A new conversation with its first members."""

    conversation: Conversation
    members: tuple[Member, ...]


class Join(Struct, frozen=True, gc=False):
    """Somebody comes into a group."""

    member: Member


class Leave(Struct, frozen=True, gc=False):
    """Somebody is no longer in a group; the last event was theirs to see."""

    conv: str
    user: str


class GiveRole(Struct, frozen=True, gc=False):
    """Somebody's role in a group changes."""

    conv: str
    user: str
    role: Role


class Retitle(Struct, frozen=True, gc=False):
    """A group gets another title."""

    conv: str
    title: str


class ReadMark(Struct, frozen=True, gc=False):
    """Somebody's devices have got, or somebody has read, a conversation up to a seq; forward only."""

    conv: str
    user: str
    read: int
    delivered: int


class KeepUser(Struct, frozen=True, gc=False):
    """A person as they now are."""

    user: User


class AddSession(Struct, frozen=True, gc=False):
    """A new login."""

    session: Session


class EndSession(Struct, frozen=True, gc=False):
    """A login is revoked; its sockets close."""

    session: str
    at: int


class EndSessions(Struct, frozen=True, gc=False):
    """All of a person's logins are revoked."""

    user: str
    at: int


class KeepPayment(Struct, frozen=True, gc=False):
    """A payment as it now stands."""

    payment: Payment


class KeepShare(Struct, frozen=True, gc=False):
    """A share as it now stands."""

    share: Share


class Keep(Struct, frozen=True, gc=False):
    """A simple row as it now is."""

    row: SimpleRow


class Spend(Struct, frozen=True, gc=False):
    """Count towards a person's limits; negative gives back."""

    user: str
    currency: str
    slot: int
    amount: int
    count: int


class Flag(Struct, frozen=True, gc=False):
    """An account's flags as they now are."""

    account: AccountKey
    flags: int


class Drop(Struct, frozen=True, gc=False):
    """Nobody needs these any more: quotes and logins by id, spending by (user, currency, slot)."""

    quotes: tuple[str, ...]
    sessions: tuple[str, ...]
    uses: tuple[tuple[str, str, int], ...]


class Touch(Struct, frozen=True, gc=False):
    """Nothing but a commit, to see whether the store takes one."""


class BeginEpoch(Struct, frozen=True, gc=False):
    """The log is another generation from here on: who holds events of the one before reads anew."""

    epoch: str


Fact = (
    Append | OpenConversation | Join | Leave | GiveRole | Retitle | ReadMark
    | KeepUser | AddSession | EndSession | EndSessions
    | KeepPayment | KeepShare | Keep | Spend | Flag | Drop | Touch | BeginEpoch
)  # fmt: skip
Decision = list[Fact] | Refusal
"""What a rule comes to."""


def event(
    conv: str,
    author: str,
    frame: Durable | EventCommand,
    body: Struct | Mapping[str, Any],
    moves: Sequence[Move] = (),
) -> Append:
    """The event that a frame becomes: of its kind, under its id, about its `ref`."""
    ref = getattr(frame, "ref", None) or None
    return Append(conv, frame.kind, frame.id, author, ref, codec.encode_body(body), tuple(moves))
