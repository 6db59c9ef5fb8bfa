"""The rows of the book, as every store keeps them. Money is minor units; times are ms since the epoch."""

from operator import attrgetter
from typing import Any, ClassVar, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

Role = Literal["owner", "admin", "member", "reader"]
ConversationKind = Literal["dm", "group", "self"]
AccountCode = Literal["customer", "cash", "fees", "fx", "losses", "margin", "packets", "suspense"]
Phase = Literal["single", "pending", "post", "void", "expire"]
PaymentKind = Literal["send", "request", "split", "packet"]
DataMode = Literal["sandbox", "live"]
AccountKey = tuple[str, str, str]
"""(owner, currency, code); the operator's own accounts are owned by OPERATOR."""
MemberKey = tuple[str, str]
"""(conversation, user)"""
PairKey = tuple[str, str]
"""(who asks for money, who is asked)"""
UseKey = tuple[str, str]
"""(user, currency)"""
ShareKey = tuple[str, int]
"""(payment, number of the share)"""

FROZEN_IN: Final = 1
FROZEN_OUT: Final = 2
CLOSED: Final = 4

OPERATOR: Final = "operator"
GENESIS_HASH: Final = bytes(32)


class User(Struct, gc=False):
    """A person. `skeleton` is what the handle looks like; `password` an argon2id hash or None.

    `flags` hold for all of the person's accounts; limits and fees go by `tier`. `groups` is how many groups
    the person is in.
    """

    id: str
    handle: str
    skeleton: str
    name: str
    password: str | None
    disabled: bool
    created_at: int
    tier: str = "basic"
    flags: int = 0
    groups: int = 0


class Session(Struct, gc=False):
    """A login of one device; only the SHA-256 of its token is kept."""

    id: str
    user: str
    token_hash: str
    device: str
    created_at: int
    expires_at: int
    revoked_at: int | None = None

    @property
    def over_at(self) -> int:
        """When it ends or ended."""
        return self.expires_at if self.revoked_at is None else self.revoked_at


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

    `gone` is the `pos` of the event that ended the latest stay that is over; 0 where none is.
    """

    conv: str
    user: str
    role: Role
    since: int
    until: int | None = None
    read: int = 0
    delivered: int = 0
    gone: int = 0


class Account(Struct, gc=False):
    """Four counters in minor units, of which the posted ones only grow; `flags` as on a person."""

    id: int
    owner: str
    currency: str
    code: AccountCode
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    flags: int = 0

    @property
    def available(self) -> int:
        """What the owner can spend now."""
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def held(self) -> int:
        """What open holds keep back."""
        return self.debits_pending


class Transfer(Struct, frozen=True, gc=False):
    """Money moved from one account to another, for ever; corrections are new transfers.

    A `pending` one holds it; the one outcome of that hold is a `post` (of all or less),
    `void` or `expire` that names it in `pending`.
    """

    id: int
    pos: int
    debit: int
    credit: int
    amount: int
    code: str
    phase: Phase = "single"
    pending: int = 0


class Payment(Struct, frozen=True, gc=False):
    """A payment that somebody may yet act on, as it stands now; its event says how it began.

    A plain send has a row only once it was refunded in part: until then its event tells all. `payer` is empty
    for a split, `payee` for a packet. `received` is what reached the payee, in the currency that did.
    """

    id: str
    pos: int
    at: int
    kind: PaymentKind
    conv: str
    payer: str
    payee: str
    currency: str
    amount: int
    state: str
    fee: int = 0
    fee_on: str = "payer"
    refunded: int = 0
    received: int = 0
    received_currency: str = ""
    hold: int = 0
    fee_hold: int = 0
    expires_at: int = 0
    mode: str = ""
    count: int = 0
    claimed: int = 0
    seed: bytes = b""
    reminded_at: int = 0
    counted: int = 0
    """1 where it was counted towards the payer's limits, so that no more is given back than was counted."""
    refund_transfer: int = 0
    """The latest transfer that gave back some of it; 0 where none did."""


class Share(Struct, frozen=True, gc=False):
    """One part of a split bill or red packet. `person` owes it or has claimed it;
    `hold` keeps a packet's money."""

    payment: str
    n: int
    person: str
    amount: int
    state: str
    hold: int = 0


class SimpleRow(Struct, frozen=True, gc=False):
    """A row that rules find by its key and keep whole, and that tells nothing else.

    Each class has its name for its table, and says which columns are its key, and which of them ever change.
    """

    KEY: ClassVar[tuple[str, ...]]
    CHANGING: ClassVar[tuple[str, ...]]


class Quote(SimpleRow, frozen=True, gc=False):
    """A promised exchange: the owner gives `sell_amount` and `fee`, the payee gets `buy_amount`, once."""

    KEY = ("id",)
    CHANGING = ("used_by",)
    id: str
    owner: str
    sell: str
    buy: str
    sell_amount: int
    buy_amount: int
    margin: int
    fee: int
    rate: str
    expires_at: int
    used_by: str = ""


SIMPLE_ROWS: Final[tuple[type[SimpleRow], ...]] = (Quote,)
SimpleKey = tuple[type[SimpleRow], Any]
"""(the kind of row, its key: a tuple where that has several columns)"""
_KEY_OF: Final = {kind: attrgetter(*kind.KEY) for kind in SIMPLE_ROWS}


def key_of(row: SimpleRow) -> SimpleKey:
    """What a simple row is found by."""
    return type(row), _KEY_OF[type(row)](row)


class Use(Struct, frozen=True, gc=False):
    """What a person has spent of a currency in one slot of time, for the limits."""

    user: str
    currency: str
    slot: int
    amount: int
    count: int


class IdempotencyRecord(Struct, frozen=True, gc=False):
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


class LogHead(Struct, gc=False):
    """Where the log and its counters stand; `at` is when the last event was committed; `seals` as in
    `seals.py`."""

    epoch: str
    pos: int = 0
    hash: bytes = GENESIS_HASH
    account_id: int = 0
    transfer_id: int = 0
    at: int = 0
    mode: DataMode = "live"
    seals: dict[str, int] = {}

    def copy(self) -> "LogHead":
        """The same, for somebody else to change."""
        return replace(self, seals=dict(self.seals))


def pair_of(one: str, other: str) -> str:
    """The name of the dm between two people, whichever of them asks; of `self` where both are the same."""
    if one == other:
        return one
    return f"{one}|{other}" if one < other else f"{other}|{one}"
