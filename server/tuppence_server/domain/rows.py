"""The rows of the book, as every store keeps them. Money is minor units; times are ms since the epoch."""

from typing import Final, Literal

from msgspec import Struct

Role = Literal["owner", "admin", "member", "reader"]
ConversationKind = Literal["dm", "group", "self"]
AccountCode = Literal["customer", "cash"]
AccountKey = tuple[str, str, str]
"""(owner, currency, code); the operator's own accounts are owned by OPERATOR."""
MemberKey = tuple[str, str]
"""(conversation, user)"""

OPERATOR: Final = "operator"
GENESIS_HASH: Final = bytes(32)


class User(Struct, gc=False):
    """A person. `skeleton` is what the handle looks like; `password` an argon2id hash or None."""

    id: str
    handle: str
    skeleton: str
    name: str
    password: str | None
    disabled: bool
    created_at: int


class Session(Struct, gc=False):
    """A login of one device; only the SHA-256 of its token is kept."""

    id: str
    user: str
    token_hash: str
    device: str
    created_at: int
    expires_at: int
    revoked_at: int | None = None


class Conversation(Struct, gc=False):
    """A conversation and where its order stands. `pair` names the people of a dm or self."""

    id: str
    kind: ConversationKind
    title: str
    pair: str | None
    created_at: int
    seq: int = 0
    pos: int = 0
    members: int = 0
    owners: int = 0


class Member(Struct, gc=False):
    """A person in a conversation: sees the seqs from `since` to `until` (None: still in).

    `left` is where an earlier stay ended, if this is not the first.
    """

    conv: str
    user: str
    role: Role
    since: int
    until: int | None = None
    read: int = 0
    delivered: int = 0
    left: int | None = None


class Account(Struct, gc=False):
    """Four counters in minor units that only grow where posted."""

    id: int
    owner: str
    currency: str
    code: AccountCode
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0

    @property
    def available(self) -> int:
        """What the owner can spend now."""
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def held(self) -> int:
        """What open holds keep back."""
        return self.debits_pending


class Transfer(Struct, frozen=True, gc=False):
    """Money moved from one account to another, for ever; corrections are new transfers."""

    id: int
    pos: int
    debit: int
    credit: int
    amount: int
    code: str


class Receipt(Struct, frozen=True, gc=False):
    """The one outcome of an id: the event at `pos`, or a refusal as JSON."""

    id: str
    sender: str
    pos: int | None
    refusal: bytes | None


class LoggedEvent(Struct, frozen=True, gc=False):
    """One line of the log: the exact bytes that clients get, and its link in the audit chain."""

    pos: int
    conv: str
    seq: int
    head: bytes
    body: bytes
    salt: bytes
    hash: bytes


class Head(Struct, gc=False):
    """Where the log and its counters stand."""

    epoch: str
    pos: int = 0
    hash: bytes = GENESIS_HASH
    account_id: int = 0
    transfer_id: int = 0


def pair_of(one: str, other: str) -> str:
    """The name of the dm between two people, whichever of them asks; of `self` where both are the same."""
    if one == other:
        return one
    return f"{one}|{other}" if one < other else f"{other}|{one}"
